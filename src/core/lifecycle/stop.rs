//! A stop: frigate ends the child, because it was asked to end or because the child is unhealthy.

use core::time::Duration;

use crate::core::action::{Actions, SURVIVES_KILL};
use crate::core::escalation::{Due, Escalation, KILL_TIMEOUT};
use crate::core::exit_code;
use crate::core::fact::Fact;
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::event::Event;
use crate::core::lifecycle::finish::Finish;
use crate::core::lifecycle::state::{Drain, State, StopCause, Stopping};
use crate::core::moment::Moment;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};

/// The reason why a child is left behind that KILL could end.
pub(super) const NOT_PERMITTED: &str = "frigate is not allowed to signal it";

impl Lifecycle {
    /// Asks the child to end, or kills it with `--kill`. The caller sends the stop signal.
    pub(super) fn begin_stop(
        &mut self,
        since: Moment,
        cause: StopCause,
        now: Moment,
        out: &mut Actions,
    ) {
        self.end_checks(out);
        let escalation = if self.rules.stop.kill {
            Escalation::killed(now, KILL_TIMEOUT)
        } else {
            Escalation::asked(self.grace(cause).map(|grace| now.after(grace)))
        };
        self.state = State::Stopping(Stopping {
            since,
            cause,
            escalation,
            is_signal_refused: false,
        });
    }

    /// Takes a request to stop: begins the stop, or the delay before it.
    pub(super) fn take_stop(
        &mut self,
        since: Moment,
        stop: (Signal, bool),
        at_once: bool,
        now: Moment,
        out: &mut Actions,
    ) {
        let (asked, queued) = stop;
        let delay = self.rules.stop.delay;
        if at_once || delay.is_zero() {
            self.begin_stop(since, StopCause::Asked(asked), now, out);
            return self.send_stop(asked, queued, out);
        }
        self.end_checks(out);
        let until = now.after(delay);
        self.state = State::Draining(Drain {
            since,
            asked,
            until,
        });
        let pid = self.pid;
        out.report(Fact::StopDelayed { pid, delay });
    }

    /// Stops the child so that it is started again, if another start is possible.
    pub(super) fn take_restart(&mut self, since: Moment, now: Moment, out: &mut Actions) {
        if self.is_last_start() {
            return self.report_impossible(Event::Restart, out);
        }
        self.begin_stop(since, StopCause::Restart, now, out);
        self.send_own_stop(self.rules.own_stop_signal(false), out);
    }

    /// Makes a stop that frigate began by itself one that it was asked for. The grace period does
    /// not begin anew.
    pub(super) fn note_stop_asked(&mut self, mut stopping: Stopping, signal: Signal) {
        if !matches!(stopping.cause, StopCause::Asked(_)) {
            stopping.cause = StopCause::Asked(signal);
            self.state = State::Stopping(stopping);
        }
    }

    /// Makes the stop of a child that is unhealthy or not ready one after which it is started again
    /// at once, whatever the restart policy says. A stop that frigate was asked for stays one.
    pub(super) fn note_restart_asked(&mut self, mut stopping: Stopping) {
        let is_own = matches!(stopping.cause, StopCause::NotReady | StopCause::Unhealthy);
        if is_own && !self.is_last_start() {
            stopping.cause = StopCause::Restart;
            self.state = State::Stopping(stopping);
        }
    }

    /// Returns the time from the stop signal to KILL; `None` means that no KILL follows.
    fn grace(&self, cause: StopCause) -> Option<Duration> {
        match cause {
            StopCause::Asked(_) => self.rules.stop.grace,
            StopCause::NotReady | StopCause::Unhealthy | StopCause::Restart => {
                Some(self.rules.own_stop_grace())
            }
        }
    }

    /// Sends the stop signal, and then CONT: a suspended child would not handle the signal.
    pub(super) fn send_stop(&self, asked: Signal, queued: bool, out: &mut Actions) {
        if self.rules.stop.kill {
            self.send(Signal::KILL, out);
            return;
        }
        let signal = self.rules.stop.signal.unwrap_or(asked);
        out.send(
            signal,
            self.rules.recipient(queued && signal != Signal::KILL),
        );
        self.send(Signal::CONT, out);
    }

    /// Sends the signal of a stop that frigate began by itself, and then CONT.
    pub(super) fn send_own_stop(&self, signal: Signal, out: &mut Actions) {
        self.send(signal, out);
        if !self.rules.stop.kill {
            self.send(Signal::CONT, out);
        }
    }

    /// Takes the step that is due in a stop.
    pub(super) fn tick_stop(&mut self, mut stopping: Stopping, now: Moment, out: &mut Actions) {
        match stopping.escalation.tick(now, KILL_TIMEOUT) {
            Due::Nothing | Due::Probe => {}
            Due::Kill if !stopping.is_signal_refused => {
                self.state = State::Stopping(stopping);
                // If `--grace` is none, frigate began this stop by itself.
                let (pid, grace) = (self.pid, self.rules.own_stop_grace());
                // Without a grace period, KILL is expected.
                if !grace.is_zero() {
                    out.report(Fact::Killed { pid, grace });
                }
                self.send(Signal::KILL, out);
            }
            Due::Kill | Due::GiveUp => self.leave_behind(stopping, now, out),
        }
    }

    /// Ends the lifecycle by a stop for which no child had to be asked to end.
    pub(super) fn cancel(&mut self, stop: Signal, now: Moment) {
        let last = self.last_status;
        let kill_at = now.after(self.rules.after_stop());
        self.end(
            Outcome::Cancel { last, stop },
            Some(kill_at),
            self.rules.stop.kill,
        );
    }

    /// Ends the lifecycle because the user at the terminal has ended the child, by INT or QUIT.
    pub(super) fn cancel_by_user(&mut self, status: ExitStatus, now: Moment) {
        let is_int = status.code() == exit_code::of_signal(Signal::INT);
        let stop = if is_int { Signal::INT } else { Signal::QUIT };
        self.cancel(stop, now);
    }

    /// Ends the lifecycle by a stop between two starts. The leftovers of the former child keep
    /// their grace period.
    pub(super) fn cancel_between(
        &mut self,
        stop: Signal,
        leftovers: Option<Escalation>,
        now: Moment,
    ) {
        let is_killed = leftovers.is_some_and(Escalation::is_killed);
        let kill_at = match leftovers {
            Some(_) if is_killed => now,
            Some(leftovers) => leftovers.until().unwrap_or(now),
            None => now.after(self.rules.after_stop()),
        };
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop,
        };
        self.end(outcome, Some(kill_at), is_killed || self.rules.stop.kill);
    }

    /// Ends the lifecycle after frigate was asked to stop, and the child has ended.
    pub(super) fn end_stop(&mut self, stopping: Stopping, asked: Signal, now: Moment) {
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop: asked,
        };
        let kill_at = self.kill_after_stop(stopping, now);
        self.end(outcome, Some(kill_at), stopping.escalation.is_killed());
    }

    /// Ends a stop whose child has never executed its command.
    pub(super) fn after_failed_stop(
        &mut self,
        stopping: Stopping,
        failure: SpawnFailure,
        now: Moment,
        out: &mut Actions,
    ) {
        match stopping.cause {
            StopCause::NotReady | StopCause::Unhealthy | StopCause::Restart => {
                self.after_failure(failure, now, out);
            }
            StopCause::Asked(signal) if failure.is_for_now() => {
                self.end_stop(stopping, signal, now);
            }
            StopCause::Asked(_) => {
                let kill_at = self.kill_after_stop(stopping, now);
                let is_killed = stopping.escalation.is_killed();
                self.end_unstarted(failure, Some(kill_at), is_killed, out);
            }
        }
    }

    /// Returns when leftovers are killed after a stop: at the end of the grace period, if there is
    /// one.
    pub(super) fn kill_after_stop(&self, stopping: Stopping, now: Moment) -> Moment {
        let escalation = stopping.escalation;
        let grace = self.grace(stopping.cause);
        match (escalation.is_killed(), escalation.until(), grace) {
            (true, ..) => now,
            (false, Some(until), Some(_)) => until,
            (false, ..) => now.after(self.rules.after_stop()),
        }
    }

    /// Gives up a child that does not end, or that frigate may not signal. Leftovers are killed at
    /// once, since they had as much time as the child.
    fn leave_behind(&mut self, stopping: Stopping, now: Moment, out: &mut Actions) {
        let reason = if stopping.is_signal_refused {
            NOT_PERMITTED
        } else {
            SURVIVES_KILL
        };
        out.report(Fact::LeftBehind {
            pid: self.pid,
            reason,
        });
        let signal = Signal::KILL;
        let status = ExitStatus::Signaled {
            signal,
            core: false,
        };
        self.last_status = Some(status);
        let outcome = match stopping.cause {
            StopCause::Asked(stop) => Outcome::Cancel {
                last: self.last_status,
                stop,
            },
            // Not started again, whatever `--restart` says: the child is still there.
            StopCause::NotReady | StopCause::Unhealthy | StopCause::Restart => Outcome::Unhealthy {
                last: status,
                was_ready: stopping.cause != StopCause::NotReady,
            },
        };
        self.state = State::Ended(Finish {
            outcome,
            kill_at: Some(now),
            is_kill_expected: true,
            is_left_behind: true,
        });
    }

    fn send(&self, signal: Signal, out: &mut Actions) {
        out.send(signal, self.rules.recipient(false));
    }
}

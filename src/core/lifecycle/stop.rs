//! A stop: frigate was asked to end, and ends the child.

use crate::core::action::{Actions, SURVIVES_KILL};
use crate::core::escalation::{Due, Escalation, KILL_TIMEOUT};
use crate::core::exit_code;
use crate::core::fact::Fact;
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::finish::Finish;
use crate::core::lifecycle::state::{State, Stopping};
use crate::core::moment::Moment;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};

/// The reason why a child is left behind that KILL could end.
pub(super) const NOT_PERMITTED: &str = "frigate is not allowed to signal it";

impl Lifecycle {
    /// Asks the child to end, or kills it with `--kill`.
    pub(super) fn begin_stop(
        &mut self,
        since: Moment,
        signal: Signal,
        queued: bool,
        now: Moment,
        out: &mut Actions,
    ) {
        let escalation = if self.rules.stop.kill {
            Escalation::killed(now, KILL_TIMEOUT)
        } else {
            Escalation::asked(self.rules.stop.grace.map(|grace| now.after(grace)))
        };
        self.state = State::Stopping(Stopping {
            since,
            asked: signal,
            escalation,
            is_signal_refused: false,
        });
        self.send_stop(signal, queued, out);
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

    /// Takes the step that is due in a stop.
    pub(super) fn tick_stop(&mut self, mut stopping: Stopping, now: Moment, out: &mut Actions) {
        match stopping.escalation.tick(now, KILL_TIMEOUT) {
            Due::Nothing | Due::Probe => {}
            Due::Kill if !stopping.is_signal_refused => {
                self.state = State::Stopping(stopping);
                let (pid, grace) = (self.pid, self.rules.stop.grace.unwrap_or_default());
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

    /// Ends the lifecycle after the child was asked to stop, and has ended.
    pub(super) fn end_stop(&mut self, stopping: Stopping, now: Moment) {
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop: stopping.asked,
        };
        let kill_at = self.kill_after_stop(stopping, now);
        self.end(outcome, Some(kill_at), stopping.escalation.is_killed());
    }

    /// Returns when leftovers are killed after a stop: at the end of the grace period, if there is
    /// one.
    pub(super) fn kill_after_stop(&self, stopping: Stopping, now: Moment) -> Moment {
        let escalation = stopping.escalation;
        match (
            escalation.is_killed(),
            escalation.until(),
            self.rules.stop.grace,
        ) {
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
        self.last_status = Some(ExitStatus::Signaled {
            signal,
            core: false,
        });
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop: stopping.asked,
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

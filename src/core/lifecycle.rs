//! One protected child, from its first start to its last end: state × event -> state and actions,
//! in virtual time.
//!
//! *Invariant:* every state and event meet in `Lifecycle::step`, by name. A pair that cannot happen
//! changes nothing and is reported; nothing here panics, waits or asks the kernel.

use core::time::Duration;

use crate::core::action::{Action, Actions, SURVIVES_KILL};
use crate::core::escalation::{Due, Escalation, KILL_TIMEOUT};
use crate::core::exit_code;
use crate::core::fact::{Fact, Trouble};
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::restart::{History, Restart, Verdict};
use crate::core::rules::Rules;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};
use crate::core::usage::Usage;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ready,
    /// Other processes of the name are being ended before the start.
    Closing(Escalation),
    Spawning,
    Running {
        since: Moment,
    },
    /// Asked to stop; the child lives.
    Stopping(Stopping),
    /// The pause between two starts, while what is left of the former child's group comes to its
    /// end.
    Between {
        start_at: Moment,
        /// The end of what is left; `None` once nothing is.
        leftovers: Option<Escalation>,
    },
    Ended(Finish),
}

/// A stop under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stopping {
    /// When the child was started.
    since: Moment,
    /// The signal that asked for it.
    asked: Signal,
    escalation: Escalation,
    /// The kernel does not let frigate signal the child.
    is_signal_refused: bool,
}

/// How the child ended for good, and what that means for its leftovers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Finish {
    pub(crate) outcome: Outcome,
    /// When leftovers are killed; `None` means that they are left alone.
    pub(crate) kill_at: Option<Moment>,
    /// Do not report KILL again: it was already reported, or `--kill` made it expected.
    pub(crate) is_kill_expected: bool,
    /// The child itself did not die of KILL, and said so: nothing else is given as long again.
    pub(crate) is_left_behind: bool,
}

/// What the rim, or time, tells of one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Begin,
    /// No other process of the command's name is left.
    NamesakesGone,
    Spawned {
        pid: Pid,
    },
    SpawnFailed(SpawnFailure),
    /// The child runs its program. Told only where somebody wants to know, and always before its
    /// end.
    Executed,
    /// The kernel does not let frigate signal the child (EPERM).
    SignalRefused,
    /// The child was reaped; `held_terminal`: its group was the terminal's foreground group then.
    Ended {
        status: ExitStatus,
        held_terminal: bool,
        usage: Usage,
    },
    /// Something else was reaped.
    OthersReaped,
    GroupGone,
    /// frigate was asked to stop; `queued`: the signal came with a value.
    Stop {
        signal: Signal,
        queued: bool,
    },
    Tick,
}

#[derive(Debug)]
pub(crate) struct Lifecycle {
    rules: Rules,
    state: State,
    history: History,
    pid: Option<Pid>,
    last_status: Option<ExitStatus>,
    restarts: u32,
    /// A start was tried: the next one is a restart.
    has_tried_start: bool,
    /// The kernel killed a process of the last child's group for want of memory.
    out_of_memory: bool,
}

impl Lifecycle {
    pub(crate) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Ready,
            history: History::NONE,
            pid: None,
            last_status: None,
            restarts: 0,
            has_tried_start: false,
            out_of_memory: false,
        }
    }

    /// The living child.
    pub(crate) fn alive(&self) -> Option<Pid> {
        match self.state {
            State::Running { .. } | State::Stopping(_) => self.pid,
            State::Ready
            | State::Closing(_)
            | State::Spawning
            | State::Between { .. }
            | State::Ended(_) => None,
        }
    }

    pub(crate) const fn finish(&self) -> Option<Finish> {
        match self.state {
            State::Ended(finish) => Some(finish),
            State::Ready
            | State::Closing(_)
            | State::Spawning
            | State::Running { .. }
            | State::Stopping(_)
            | State::Between { .. } => None,
        }
    }

    pub(crate) const fn restarts(&self) -> u32 {
        self.restarts
    }

    pub(crate) const fn out_of_memory(&self) -> bool {
        self.out_of_memory
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether the child will not be started again, whatever happens.
    pub(crate) fn is_last_start(&self) -> bool {
        match self.state {
            State::Running { .. } => self.rules.restart_policy.restart == Restart::False,
            State::Stopping(_) | State::Ended(_) => true,
            State::Ready | State::Closing(_) | State::Spawning | State::Between { .. } => false,
        }
    }

    /// Whether something that a former child left is being ended, before the next start.
    pub(crate) const fn is_ending_leftovers(&self) -> bool {
        matches!(
            self.state,
            State::Between {
                leftovers: Some(_),
                ..
            }
        )
    }

    /// Sets the grace period of the stop that is about to come. A stop that is under way is
    /// shortened to it, never extended.
    pub(crate) fn limit_grace(&mut self, grace: Duration, now: Moment) {
        self.rules.grace = Some(grace);
        if let State::Stopping(stopping) = &mut self.state {
            stopping.escalation.shorten(now.after(grace));
        }
    }

    /// When `Event::Tick` is due; `None` means that only an event from outside changes anything.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Ready | State::Spawning | State::Running { .. } | State::Ended(_) => None,
            State::Closing(escalation) | State::Stopping(Stopping { escalation, .. }) => {
                escalation.deadline()
            }
            State::Between {
                start_at,
                leftovers,
            } => leftovers.map_or(Some(start_at), Escalation::deadline),
        }
    }

    pub(crate) fn step(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match self.state {
            State::Ready => self.when_ready(event, now, out),
            State::Closing(escalation) => self.when_closing(escalation, event, now, out),
            State::Spawning => self.when_spawning(event, now, out),
            State::Running { since } => self.when_running(since, event, now, out),
            State::Stopping(stopping) => self.when_stopping(stopping, event, now, out),
            State::Between {
                start_at,
                leftovers,
            } => {
                self.when_between(start_at, leftovers, event, now, out);
            }
            State::Ended(_) => {}
        }
    }

    fn when_ready(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Begin if self.rules.is_adopted => self.end_leftovers(now, now, out),
            Event::Begin => self.start(now, out),
            Event::Stop { signal, .. } => self.cancel(signal, now),
            Event::OthersReaped | Event::Tick => {}
            Event::NamesakesGone
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. }
            | Event::GroupGone => self.report_impossible(event, out),
        }
    }

    #[inline(never)]
    fn when_closing(
        &mut self,
        mut escalation: Escalation,
        event: Event,
        now: Moment,
        out: &mut Actions,
    ) {
        match event {
            Event::NamesakesGone => self.spawn(out),
            Event::Stop { signal, .. } => self.cancel(signal, now),
            Event::Tick => match escalation.tick(now, KILL_TIMEOUT) {
                Due::Nothing | Due::Probe => {}
                Due::Kill => {
                    self.state = State::Closing(escalation);
                    out.push(Action::KillNamesakes);
                }
                Due::GiveUp => {
                    out.report(Fact::OthersLeft);
                    self.spawn(out);
                }
            },
            Event::OthersReaped => {}
            Event::Begin
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. }
            | Event::GroupGone => self.report_impossible(event, out),
        }
    }

    fn when_spawning(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Spawned { pid } => {
                self.pid = Some(pid);
                self.state = State::Running { since: now };
            }
            Event::SpawnFailed(failure) => self.after_failure(failure, now, out),
            Event::OthersReaped | Event::Tick => {}
            // A stop cannot come here: the rim answers Spawn before it takes another signal.
            Event::Begin
            | Event::NamesakesGone
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. }
            | Event::GroupGone
            | Event::Stop { .. } => self.report_impossible(event, out),
        }
    }

    fn when_running(&mut self, since: Moment, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Ended {
                status,
                held_terminal,
                usage,
            } => {
                self.last_status = Some(status);
                self.out_of_memory = usage.out_of_memory;
                if held_terminal && status.looks_interrupted() {
                    self.report_ended(status, since, usage, now, out);
                    let stop = if status.code() == exit_code::of_signal(Signal::INT) {
                        Signal::INT
                    } else {
                        Signal::QUIT
                    };
                    self.cancel(stop, now);
                } else {
                    self.after_end(status, since, usage, now, out);
                }
            }
            // A failure between fork and exec is known only when the child that reported it is
            // reaped.
            Event::SpawnFailed(failure) => self.after_failure(failure, now, out),
            Event::Stop { signal, queued } => {
                let escalation = if self.rules.kill {
                    Escalation::killed(now, KILL_TIMEOUT)
                } else {
                    Escalation::asked(self.rules.grace.map(|grace| now.after(grace)))
                };
                self.state = State::Stopping(Stopping {
                    since,
                    asked: signal,
                    escalation,
                    is_signal_refused: false,
                });
                self.send_stop(signal, queued, out);
            }
            Event::Executed => self.report_started(out),
            // A signal that is no stop did not reach it, which the rim has said.
            Event::SignalRefused | Event::OthersReaped | Event::Tick => {}
            Event::Begin | Event::NamesakesGone | Event::Spawned { .. } | Event::GroupGone => {
                self.report_impossible(event, out);
            }
        }
    }

    #[inline(never)]
    fn when_stopping(
        &mut self,
        mut stopping: Stopping,
        event: Event,
        now: Moment,
        out: &mut Actions,
    ) {
        match event {
            Event::Executed => self.report_started(out),
            // It may still end by itself, but nothing that frigate does will make it.
            Event::SignalRefused => {
                stopping.is_signal_refused = true;
                stopping.escalation.shorten(now.after(KILL_TIMEOUT));
                self.state = State::Stopping(stopping);
            }
            Event::Ended { status, usage, .. } => {
                self.last_status = Some(status);
                self.out_of_memory = usage.out_of_memory;
                self.report_ended(status, stopping.since, usage, now, out);
                self.end_stop(stopping, now);
            }
            Event::SpawnFailed(failure) if failure.is_for_now() => self.end_stop(stopping, now),
            Event::SpawnFailed(failure) => {
                let kill_at = self.kill_after_stop(stopping, now);
                let is_killed = stopping.escalation.is_killed();
                self.end_unstarted(failure, Some(kill_at), is_killed, out);
            }
            Event::Stop { signal, queued } if !stopping.escalation.is_killed() => {
                self.send_stop(signal, queued, out);
            }
            Event::Tick => match stopping.escalation.tick(now, KILL_TIMEOUT) {
                Due::Nothing | Due::Probe => {}
                Due::Kill if !stopping.is_signal_refused => {
                    self.state = State::Stopping(stopping);
                    let (pid, grace) = (self.pid, self.rules.grace.unwrap_or_default());
                    // Without a grace period KILL is what was asked for.
                    if !grace.is_zero() {
                        out.report(Fact::Killed { pid, grace });
                    }
                    self.send(Signal::KILL, out);
                }
                Due::Kill | Due::GiveUp => self.leave_behind(stopping, now, out),
            },
            Event::Stop { .. } | Event::OthersReaped => {}
            Event::Begin | Event::NamesakesGone | Event::Spawned { .. } | Event::GroupGone => {
                self.report_impossible(event, out);
            }
        }
    }

    /// The child does not die, or frigate may not signal it: what is left has had as long as it.
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

    #[inline(never)]
    fn when_between(
        &mut self,
        start_at: Moment,
        leftovers: Option<Escalation>,
        event: Event,
        now: Moment,
        out: &mut Actions,
    ) {
        match event {
            Event::GroupGone => self.wait_for_start(start_at, None, now, out),
            Event::OthersReaped if leftovers.is_some() => out.push(Action::ProbeGroup),
            Event::Tick => {
                let leftovers =
                    leftovers.and_then(|leftovers| self.tick_leftovers(leftovers, now, out));
                self.wait_for_start(start_at, leftovers, now, out);
            }
            // The leftovers of the former group keep the grace period that they were given.
            Event::Stop { signal, .. } => {
                let is_killed = leftovers.is_some_and(Escalation::is_killed);
                let kill_at = match leftovers {
                    Some(_) if is_killed => now,
                    Some(leftovers) => leftovers.until().unwrap_or(now),
                    None => now.after(self.rules.after_stop()),
                };
                let outcome = Outcome::Cancel {
                    last: self.last_status,
                    stop: signal,
                };
                self.end(outcome, Some(kill_at), is_killed || self.rules.kill);
            }
            Event::OthersReaped => {}
            Event::Begin
            | Event::NamesakesGone
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. } => self.report_impossible(event, out),
        }
    }

    /// Takes the step that is due with what a former child left. Returns `None` once nothing is
    /// left, or what is left is given up.
    fn tick_leftovers(
        &self,
        mut leftovers: Escalation,
        now: Moment,
        out: &mut Actions,
    ) -> Option<Escalation> {
        match leftovers.tick(now, KILL_TIMEOUT) {
            Due::Nothing => {}
            Due::Probe => out.push(Action::ProbeGroup),
            Due::Kill => {
                let grace = self.rules.between_starts();
                out.report_leftovers_killed(grace);
                out.push(Action::KillGroup);
                out.push(Action::ProbeGroup);
            }
            Due::GiveUp => {
                out.report_leftovers_left();
                return None;
            }
        }
        Some(leftovers)
    }

    fn report_impossible(&self, event: Event, out: &mut Actions) {
        out.report(Fact::Impossible {
            state: self.state.name(),
            event: event.name(),
        });
    }

    fn report_started(&self, out: &mut Actions) {
        if let Some(pid) = self.pid {
            let restarts = self.restarts;
            out.report(Fact::Started { pid, restarts });
        }
    }

    fn report_ended(
        &self,
        status: ExitStatus,
        since: Moment,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        let (pid, uptime) = (self.pid, now.since(since));
        out.report(Fact::Ended {
            pid,
            status,
            uptime,
            usage,
        });
    }

    fn start(&mut self, now: Moment, out: &mut Actions) {
        if let Some(wait) = self.rules.grace_close {
            self.state = State::Closing(Escalation::asked(Some(now.after(wait))));
            out.push(Action::CloseNamesakes);
        } else {
            self.spawn(out);
        }
    }

    fn spawn(&mut self, out: &mut Actions) {
        self.state = State::Spawning;
        self.has_tried_start = true;
        out.push(Action::Spawn {
            restarts: self.restarts,
        });
    }

    /// Starts the next child if nothing of the former one is left and the pause is over.
    fn wait_for_start(
        &mut self,
        start_at: Moment,
        leftovers: Option<Escalation>,
        now: Moment,
        out: &mut Actions,
    ) {
        if leftovers.is_none() && now >= start_at {
            self.restarts = self.restarts.saturating_add(self.has_tried_start.into());
            self.start(now, out);
        } else {
            self.state = State::Between {
                start_at,
                leftovers,
            };
        }
    }

    /// The child ended by itself: the strategy decides.
    fn after_end(
        &mut self,
        status: ExitStatus,
        since: Moment,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        let uptime = now.since(since);
        let verdict =
            self.history
                .after_end(&self.rules.restart_policy, status, uptime, self.random(now));
        let trouble = Trouble::Ended {
            pid: self.pid,
            status,
            uptime,
            usage,
        };
        // A restart has a line of its own, which says the same.
        if !matches!(verdict, Verdict::Again { .. }) {
            self.report_ended(status, since, usage, now, out);
        }
        self.apply(verdict, trouble, Outcome::Complete(status), now, out);
    }

    fn after_failure(&mut self, failure: SpawnFailure, now: Moment, out: &mut Actions) {
        let verdict =
            self.history
                .after_failure(&self.rules.restart_policy, failure, self.random(now));
        let (trouble, outcome) = (Trouble::NotStarted(failure), Outcome::NotStarted(failure));
        self.apply(verdict, trouble, outcome, now, out);
    }

    fn apply(
        &mut self,
        verdict: Verdict,
        trouble: Trouble,
        outcome: Outcome,
        now: Moment,
        out: &mut Actions,
    ) {
        let kill_at = self.rules.after_own_end().map(|span| now.after(span));
        match (verdict, outcome) {
            (Verdict::Finish, Outcome::NotStarted(failure)) => {
                self.end_unstarted(failure, kill_at, self.rules.kill, out);
            }
            (Verdict::Finish, _) => self.end(outcome, kill_at, self.rules.kill),
            (Verdict::GiveUp { failures }, _) => {
                let outcome = Outcome::GaveUp {
                    last: self.last_status,
                };
                out.report(Fact::GaveUp {
                    failures,
                    last: self.last_status,
                    code: self.rules.exit_code(outcome),
                });
                self.end(outcome, kill_at, self.rules.kill);
            }
            (Verdict::Again { pause, failures }, _) => {
                let limit = self.rules.restart_policy.limit();
                out.report(Fact::Restarting {
                    trouble,
                    pause,
                    failures,
                    limit,
                });
                self.end_leftovers(now.after(pause), now, out);
            }
        }
    }

    /// Ends what a former child left, so that the next one, not before `start_at`, meets none of
    /// it.
    fn end_leftovers(&mut self, start_at: Moment, now: Moment, out: &mut Actions) {
        let leftovers = if self.rules.kill {
            out.push(Action::KillGroup);
            out.push(Action::ProbeGroup);
            Escalation::killed(now, KILL_TIMEOUT)
        } else {
            out.push(Action::EndGroup);
            Escalation::asked(Some(now.after(self.rules.between_starts())))
        };
        self.state = State::Between {
            start_at,
            leftovers: Some(leftovers.with_probes(now)),
        };
    }

    /// The end by a stop while no child had to be killed for it.
    fn cancel(&mut self, stop: Signal, now: Moment) {
        let last = self.last_status;
        let kill_at = now.after(self.rules.after_stop());
        self.end(
            Outcome::Cancel { last, stop },
            Some(kill_at),
            self.rules.kill,
        );
    }

    /// The end of a child that was asked to stop.
    fn end_stop(&mut self, stopping: Stopping, now: Moment) {
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop: stopping.asked,
        };
        let kill_at = self.kill_after_stop(stopping, now);
        self.end(outcome, Some(kill_at), stopping.escalation.is_killed());
    }

    /// When what is left after a stop is killed: at the end of the grace period if there is one.
    fn kill_after_stop(&self, stopping: Stopping, now: Moment) -> Moment {
        let escalation = stopping.escalation;
        match (escalation.is_killed(), escalation.until(), self.rules.grace) {
            (true, ..) => now,
            (false, Some(until), Some(_)) => until,
            (false, ..) => now.after(self.rules.after_stop()),
        }
    }

    /// The end of a child that never executed its command.
    fn end_unstarted(
        &mut self,
        failure: SpawnFailure,
        kill_at: Option<Moment>,
        is_kill_expected: bool,
        out: &mut Actions,
    ) {
        let outcome = Outcome::NotStarted(failure);
        let code = self.rules.exit_code(outcome);
        out.report(Fact::NotStarted { failure, code });
        self.end(outcome, kill_at, is_kill_expected);
    }

    fn end(&mut self, outcome: Outcome, kill_at: Option<Moment>, is_kill_expected: bool) {
        self.state = State::Ended(Finish {
            outcome,
            kill_at,
            is_kill_expected,
            is_left_behind: false,
        });
    }

    /// The stop signal, then CONT, since a stopped child could not die of it.
    fn send_stop(&self, asked: Signal, queued: bool, out: &mut Actions) {
        if self.rules.kill {
            self.send(Signal::KILL, out);
            return;
        }
        let signal = self.rules.stop_signal.unwrap_or(asked);
        out.send(
            signal,
            self.rules.recipient(queued && signal != Signal::KILL),
        );
        self.send(Signal::CONT, out);
    }

    fn send(&self, signal: Signal, out: &mut Actions) {
        out.send(signal, self.rules.recipient(false));
    }

    /// A number that two frigates do not share: the nanoseconds of the moment, well stirred (the
    /// finalizer of `SplitMix64`). Pure, so that virtual time replays it; a pause needs no better
    /// chance than that.
    fn random(&self, now: Moment) -> u32 {
        let mut bits = now.nanos() ^ u64::from(self.restarts);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from(bits >> 32).unwrap_or(0)
    }
}

/// Why a child is left behind that a signal could end.
const NOT_PERMITTED: &str = "frigate is not allowed to signal it";

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Closing(_) => "closing",
            Self::Spawning => "spawning",
            Self::Running { .. } => "running",
            Self::Stopping(_) => "stopping",
            Self::Between { .. } => "between",
            Self::Ended(_) => "ended",
        }
    }
}

impl Event {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::NamesakesGone => "namesakes-gone",
            Self::Spawned { .. } => "spawned",
            Self::SpawnFailed(_) => "spawn-failed",
            Self::Executed => "executed",
            Self::SignalRefused => "out-of-reach",
            Self::Ended { .. } => "ended",
            Self::OthersReaped => "swept",
            Self::GroupGone => "group-gone",
            Self::Stop { .. } => "stop",
            Self::Tick => "tick",
        }
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;

//! One protected child, from its first start to its last end.
//!
//! Architecture invariant: every state meets every event by name, in the functions that
//! `Lifecycle::step` calls. A pair that cannot happen changes nothing and is reported. Nothing here
//! panics, waits or asks the kernel.

mod check;
mod end;
mod event;
mod finish;
mod start;
mod state;
mod stop;

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::command_status::CommandState;
use crate::core::escalation::{Due, Escalation, KILL_TIMEOUT};
use crate::core::fact::Fact;
use crate::core::health::checks::Checks;
use crate::core::health::event::CheckEvent;
use crate::core::health::notification::Notification;
use crate::core::lifecycle::state::{Drain, State, StopCause, Stopping};
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::restart::History;
use crate::core::rules::Rules;
use crate::core::status::ExitStatus;

pub(crate) use crate::core::lifecycle::event::Event;
pub(crate) use crate::core::lifecycle::finish::Finish;

#[derive(Debug)]
pub(crate) struct Lifecycle {
    rules: Rules,
    state: State,
    history: History,
    checks: Checks,
    pid: Option<Pid>,
    last_status: Option<ExitStatus>,
    restarts: u32,
    /// A start was tried, so that the next one is a restart.
    has_tried_start: bool,
    /// The kernel killed a process of the last child's cgroup because memory was short.
    out_of_memory: bool,
}

impl Lifecycle {
    pub(crate) const fn new(rules: &Rules) -> Self {
        Self {
            rules: *rules,
            state: State::Ready,
            history: History::NONE,
            checks: Checks::OFF,
            pid: None,
            last_status: None,
            restarts: 0,
            has_tried_start: false,
            out_of_memory: false,
        }
    }

    /// Returns the child, if it is alive.
    pub(crate) fn alive(&self) -> Option<Pid> {
        match self.state {
            State::Running { .. } | State::Draining(_) | State::Stopping(_) => self.pid,
            State::Ready
            | State::Closing(_)
            | State::Spawning
            | State::Between { .. }
            | State::Ended(_) => None,
        }
    }

    /// Returns whether the child is alive, and no stop has begun.
    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub(crate) const fn finish(&self) -> Option<Finish> {
        match self.state {
            State::Ended(finish) => Some(finish),
            State::Ready
            | State::Closing(_)
            | State::Spawning
            | State::Running { .. }
            | State::Draining(_)
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

    /// Returns what the child does, as `--status` tells it. A child is up from its fork on, or from
    /// the moment at which it is ready.
    pub(crate) const fn command_state(&self) -> CommandState {
        match self.state {
            State::Running { .. }
                if self.rules.checks.ready.is_some() && !self.checks.has_been_ready() =>
            {
                CommandState::Starting
            }
            State::Ready | State::Closing(_) | State::Spawning => CommandState::Starting,
            State::Running { .. } => CommandState::Up,
            State::Between { .. } => CommandState::Waiting,
            State::Draining(_) | State::Stopping(_) => CommandState::Stopping,
            State::Ended(_) => CommandState::Ended,
        }
    }

    /// Returns whether no other start can follow.
    pub(crate) fn is_last_start(&self) -> bool {
        match self.state {
            State::Running { .. }
            | State::Stopping(Stopping {
                cause: StopCause::NotReady | StopCause::Unhealthy | StopCause::Restart,
                ..
            }) => !self.rules.restart_policy.restarts(),
            State::Draining(_)
            | State::Stopping(Stopping {
                cause: StopCause::Asked(_),
                ..
            })
            | State::Ended(_) => true,
            State::Ready | State::Closing(_) | State::Spawning | State::Between { .. } => false,
        }
    }

    /// Returns whether leftovers of a former child are being ended before the next start.
    pub(crate) const fn is_ending_leftovers(&self) -> bool {
        matches!(
            self.state,
            State::Between {
                leftovers: Some(_),
                ..
            }
        )
    }

    /// Sets the grace period of the next stop. Shortens a stop under way, and never extends it.
    pub(crate) fn limit_grace(&mut self, grace: Duration, now: Moment) {
        self.rules.stop.grace = Some(grace);
        if let State::Stopping(stopping) = &mut self.state {
            stopping.escalation.shorten(now.after(grace));
        }
    }

    /// Returns when `Event::Tick` is due; `None` means never.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Running { .. } if self.rules.checks.is_any() => self.checks.deadline(),
            State::Ready | State::Spawning | State::Running { .. } | State::Ended(_) => None,
            State::Draining(Drain { until, .. }) => Some(until),
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
            State::Draining(drain) => self.when_draining(drain, event, now, out),
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
            // The start that is asked for comes anyway.
            Event::Restart | Event::OthersReaped | Event::Tick => {}
            Event::NamesakesGone
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. }
            | Event::GroupGone
            | Event::Check(_) => self.report_impossible(event, out),
        }
    }

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
            // The start that is asked for comes anyway. What checks bring comes late, from the former
            // child.
            Event::Restart | Event::OthersReaped | Event::Check(_) => {}
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
                if self.rules.checks.is_any() {
                    self.checks.start(&self.rules.checks, now, out);
                }
            }
            Event::SpawnFailed(failure) => self.after_failure(failure, now, out),
            Event::OthersReaped | Event::Tick => {}
            // No stop can come: the rim answers Spawn before it takes another signal.
            Event::Begin
            | Event::NamesakesGone
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. }
            | Event::GroupGone
            | Event::Check(_)
            | Event::Stop { .. }
            | Event::Restart => self.report_impossible(event, out),
        }
    }

    fn when_running(&mut self, since: Moment, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Ended {
                status,
                held_terminal,
                usage,
            } => {
                self.end_checks(out);
                self.note_end(status, usage);
                if held_terminal && status.looks_interrupted() {
                    self.report_ended(status, since, usage, now, out);
                    self.cancel_by_user(status, now);
                } else {
                    self.after_end(status, since, usage, now, out);
                }
            }
            // A failure between fork and exec is known only when the child has been reaped.
            Event::SpawnFailed(failure) => {
                self.end_checks(out);
                self.after_failure(failure, now, out);
            }
            Event::Stop {
                signal,
                queued,
                at_once,
            } => self.take_stop(since, (signal, queued), at_once, now, out),
            Event::Restart => self.take_restart(since, now, out),
            Event::Executed => self.report_started(out),
            Event::Check(event) => {
                let finding = self.checks.step(event, &self.rules.checks, now, out);
                self.apply_finding(finding, since, now, out);
            }
            Event::Tick => {
                let finding = self.checks.tick(&self.rules.checks, now, out);
                self.apply_finding(finding, since, now, out);
            }
            // A forwarded signal did not reach the child. The rim has reported that.
            Event::SignalRefused | Event::OthersReaped => {}
            Event::Begin | Event::NamesakesGone | Event::Spawned { .. } | Event::GroupGone => {
                self.report_impossible(event, out);
            }
        }
    }

    // Not inlined: what every run executes has 838 bytes less (`tools/order.ld`).
    #[inline(never)]
    fn when_draining(&mut self, drain: Drain, event: Event, now: Moment, out: &mut Actions) {
        let cause = StopCause::Asked(drain.asked);
        match event {
            Event::Tick if now >= drain.until => {
                self.begin_stop(drain.since, cause, now, out);
                let queued = false;
                self.send_stop(drain.asked, queued, out);
            }
            Event::Stop { signal, queued, .. } => {
                self.begin_stop(drain.since, cause, now, out);
                self.send_stop(signal, queued, out);
            }
            Event::Ended { status, usage, .. } => {
                self.note_end(status, usage);
                self.report_ended(status, drain.since, usage, now, out);
                self.cancel(drain.asked, now);
            }
            Event::SpawnFailed(failure) if failure.is_for_now() => self.cancel(drain.asked, now),
            Event::SpawnFailed(failure) => {
                let kill_at = now.after(self.rules.after_stop());
                self.end_unstarted(failure, Some(kill_at), self.rules.stop.kill, out);
            }
            Event::Executed => self.report_started(out),
            // Signals are forwarded, and frigate will end: nothing is started again or checked.
            Event::SignalRefused
            | Event::OthersReaped
            | Event::Restart
            | Event::Check(_)
            | Event::Tick => {}
            Event::Begin | Event::NamesakesGone | Event::Spawned { .. } | Event::GroupGone => {
                self.report_impossible(event, out);
            }
        }
    }

    // Not inlined: what every run executes has 1,696 bytes less (`tools/order.ld`).
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
            // The child may still end by itself, but frigate cannot make it end.
            Event::SignalRefused => {
                stopping.is_signal_refused = true;
                stopping.escalation.shorten(now.after(KILL_TIMEOUT));
                self.state = State::Stopping(stopping);
            }
            Event::Ended { status, usage, .. } => {
                self.note_end(status, usage);
                match stopping.cause {
                    StopCause::Asked(signal) => {
                        self.report_ended(status, stopping.since, usage, now, out);
                        self.end_stop(stopping, signal, now);
                    }
                    StopCause::NotReady | StopCause::Unhealthy => {
                        self.after_unhealthy_end(stopping, status, usage, now, out);
                    }
                    StopCause::Restart => {
                        self.after_restart_end(stopping, status, usage, now, out);
                    }
                }
            }
            Event::SpawnFailed(failure) => self.after_failed_stop(stopping, failure, now, out),
            Event::Stop { signal, queued, .. } => {
                self.note_stop_asked(stopping, signal);
                if !stopping.escalation.is_killed() {
                    self.send_stop(signal, queued, out);
                }
            }
            Event::Check(CheckEvent::Notified(Notification::Extend(span))) => {
                stopping.escalation.extend(now.after(span));
                self.state = State::Stopping(stopping);
            }
            Event::Restart => self.note_restart_asked(stopping),
            Event::Tick => self.tick_stop(stopping, now, out),
            // No check is under way any more, and none follows.
            Event::OthersReaped | Event::Check(_) => {}
            Event::Begin | Event::NamesakesGone | Event::Spawned { .. } | Event::GroupGone => {
                self.report_impossible(event, out);
            }
        }
    }

    // Not inlined: what every run executes has 504 bytes less (`tools/order.ld`).
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
            // The pause is over, and earlier failed starts are forgotten. Leftovers are ended all the
            // same.
            Event::Restart => {
                self.history = History::NONE;
                self.wait_for_start(start_at.min(now), leftovers, now, out);
            }
            Event::OthersReaped if leftovers.is_some() => out.push(Action::ProbeGroup),
            Event::Tick => {
                let leftovers =
                    leftovers.and_then(|leftovers| self.tick_leftovers(leftovers, now, out));
                self.wait_for_start(start_at, leftovers, now, out);
            }
            Event::Stop { signal, .. } => self.cancel_between(signal, leftovers, now),
            // The others come late, from the former child.
            Event::OthersReaped | Event::Check(_) => {}
            Event::Begin
            | Event::NamesakesGone
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::SignalRefused
            | Event::Ended { .. } => self.report_impossible(event, out),
        }
    }

    fn report_impossible(&self, event: Event, out: &mut Actions) {
        out.report(Fact::Impossible {
            state: self.state.name(),
            event: event.name(),
        });
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;

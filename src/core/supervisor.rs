//! One protected child: its lifecycle, and after it the end of the rest.
//!
//! The binary and the library differ in the scope. The binary ends every process around it, and the
//! kernel reports each end by SIGCHLD. The library ends what is left in the child's group and
//! cgroup, since the other children belong to the host.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::command_status::CommandState;
use crate::core::escalation::{Due, Escalation, KILL_TIMEOUT};
use crate::core::fact::Fact;
use crate::core::health::checks::Health;
use crate::core::lifecycle::{self, Finish, Lifecycle};
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::status::Outcome;

/// How long after KILL the rest is left behind, if the child has used up `KILL_TIMEOUT` already.
const SHORT_KILL_TIMEOUT: Duration = Duration::from_millis(100);

/// What the supervisor ends when the child has ended for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Every other process. With `reports_ends`, orphans become frigate's children, so that the
    /// kernel reports each end.
    Everyone { reports_ends: bool },
    /// What is left in the child's process group and cgroup. Nothing reports their ends.
    Group,
}

/// What the rim reports, or that a deadline has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Child(lifecycle::Event),
    /// The answer to `Action::ProbeRest`. In the scope `Everyone`, it also comes whenever processes
    /// have been reaped: after the child's end, if the child was one of them.
    Rest {
        is_any: bool,
    },
    Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serving,
    /// The child has ended for good. It is not known yet whether anything is left.
    Ended(Finish),
    /// The rest is being ended.
    Ending {
        finish: Finish,
        escalation: Escalation,
    },
    Done,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Lifecycle,
    scope: Scope,
    phase: Phase,
}

impl Supervisor {
    pub(crate) const fn new(rules: &Rules, scope: Scope) -> Self {
        Self {
            child: Lifecycle::new(rules),
            scope,
            phase: Phase::Serving,
        }
    }

    pub(crate) const fn rules(&self) -> &Rules {
        self.child.rules()
    }

    pub(crate) const fn restarts(&self) -> u32 {
        self.child.restarts()
    }

    pub(crate) const fn out_of_memory(&self) -> bool {
        self.child.out_of_memory()
    }

    pub(crate) const fn command_state(&self) -> CommandState {
        self.child.command_state()
    }

    /// Returns how the child is, as far as checks tell.
    pub(crate) const fn health(&self) -> Health {
        self.child.health()
    }

    /// Returns the exit code that frigate ends with, after `--remap-exit`.
    pub(crate) fn exit_code(&self, outcome: Outcome) -> u8 {
        self.rules().exit_code(outcome)
    }

    /// Returns the child, if it is alive.
    pub(crate) fn alive(&self) -> Option<Pid> {
        self.child.alive()
    }

    /// Returns whether the child is alive, and no stop has begun.
    pub(crate) const fn is_running(&self) -> bool {
        self.child.is_running()
    }

    /// Returns whether the child has not ended for good, so that a stop still changes something.
    pub(crate) fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// Returns whether no other start will follow.
    pub(crate) fn is_last_start(&self) -> bool {
        !self.is_serving() || self.child.is_last_start()
    }

    /// Returns whether leftovers are being ended, so that their end has to be reported.
    pub(crate) const fn is_ending_leftovers(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. }) || self.child.is_ending_leftovers()
    }

    /// Returns whether leftovers are left alone, in the cgroup too, if the child ends by itself.
    pub(crate) const fn leaves_leftovers(&self) -> bool {
        self.rules().leftovers.is_none()
    }

    /// Sets the grace period of the next stop. Shortens an end under way, and never extends it.
    pub(crate) fn limit_grace(&mut self, grace: Duration, now: Moment) {
        self.child.limit_grace(grace, now);
        let kill_at = now.after(self.rules().after_stop());
        if let Phase::Ending { escalation, .. } = &mut self.phase {
            escalation.shorten(kill_at);
        }
    }

    /// Returns when `Event::Tick` is due; `None` means never.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.phase {
            Phase::Serving => self.child.deadline(),
            Phase::Ending { escalation, .. } => escalation.deadline(),
            Phase::Ended(_) | Phase::Done => None,
        }
    }

    pub(crate) fn step(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match (event, self.phase) {
            (Event::Child(event), _) => self.step_child(event, now, out),
            (Event::Tick, Phase::Serving) => self.step_child(lifecycle::Event::Tick, now, out),
            (Event::Rest { .. }, Phase::Serving) => {
                self.step_child(lifecycle::Event::OthersReaped, now, out);
            }
            (
                Event::Rest { is_any: false },
                Phase::Ended(finish) | Phase::Ending { finish, .. },
            ) => self.exit(finish, out),
            (Event::Rest { is_any: true }, Phase::Ended(finish)) => self.end_rest(finish, now, out),
            (Event::Tick, Phase::Ending { finish, escalation }) => {
                self.tick_ending(finish, escalation, now, out);
            }
            (Event::Rest { is_any: true }, Phase::Ending { .. })
            | (Event::Tick, Phase::Ended(_))
            | (Event::Rest { .. } | Event::Tick, Phase::Done) => {}
        }
    }

    fn step_child(&mut self, event: lifecycle::Event, now: Moment, out: &mut Actions) {
        self.child.step(event, now, out);
        let Some(finish) = self.child.finish().filter(|_| self.is_serving()) else {
            return;
        };
        match self.scope {
            Scope::Group => self.end_rest(finish, now, out),
            Scope::Everyone { .. } => {
                self.phase = Phase::Ended(finish);
                // When the child was reaped, `Event::Rest` follows without being asked for.
                if !matches!(event, lifecycle::Event::Ended { .. }) {
                    out.push(Action::ProbeRest);
                }
            }
        }
    }

    /// Asks the rest to end, unless it is left alone.
    fn end_rest(&mut self, finish: Finish, now: Moment, out: &mut Actions) {
        if finish.kill_at.is_none() {
            return self.exit(finish, out);
        }
        let asked = Escalation::asked(finish.kill_at);
        let escalation = match self.scope {
            Scope::Everyone { reports_ends: true } => asked,
            Scope::Everyone { .. } | Scope::Group => asked.with_probes(now),
        };
        self.phase = Phase::Ending { finish, escalation };
        out.report(Fact::EndingLeftovers);
        out.push(Action::EndRest);
    }

    // Not inlined: what every run executes has 400 bytes less (`tools/order.ld`).
    #[inline(never)]
    fn tick_ending(
        &mut self,
        finish: Finish,
        mut escalation: Escalation,
        now: Moment,
        out: &mut Actions,
    ) {
        let timeout = if finish.is_left_behind {
            SHORT_KILL_TIMEOUT
        } else {
            KILL_TIMEOUT
        };
        match escalation.tick(now, timeout) {
            Due::Nothing => {}
            Due::Probe => {
                // A process that was forked while KILL was sent may not have got it.
                if escalation.is_killed() {
                    out.push(Action::KillRest);
                }
                out.push(Action::ProbeRest);
            }
            Due::Kill => {
                // With probes from now on: they send KILL again, and see ends that nothing reports.
                escalation = escalation.with_probes(now);
                let grace = self.rules().leftovers_grace(finish.outcome);
                if !finish.is_kill_expected {
                    out.report_leftovers_killed(grace);
                }
                out.push(Action::KillRest);
                out.push(Action::ProbeRest);
            }
            Due::GiveUp => {
                if !finish.is_left_behind {
                    out.report_leftovers_left();
                }
                return self.exit(finish, out);
            }
        }
        self.phase = Phase::Ending { finish, escalation };
    }

    fn exit(&mut self, finish: Finish, out: &mut Actions) {
        self.phase = Phase::Done;
        let outcome: Outcome = finish.outcome;
        out.push(Action::Exit(outcome));
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;

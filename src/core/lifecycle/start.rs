//! The way to the next start. The leftovers of the former child are ended first.

use crate::core::action::{Action, Actions};
use crate::core::escalation::{Due, Escalation, KILL_TIMEOUT};
use crate::core::fact::Fact;
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::state::State;
use crate::core::moment::Moment;

impl Lifecycle {
    pub(super) fn start(&mut self, now: Moment, out: &mut Actions) {
        if let Some(wait) = self.rules.grace_close {
            self.state = State::Closing(Escalation::asked(Some(now.after(wait))));
            out.push(Action::CloseNamesakes);
        } else {
            self.spawn(out);
        }
    }

    pub(super) fn spawn(&mut self, out: &mut Actions) {
        self.state = State::Spawning;
        self.has_tried_start = true;
        out.push(Action::Spawn {
            restarts: self.restarts,
        });
    }

    pub(super) fn report_started(&self, out: &mut Actions) {
        if let Some(pid) = self.pid {
            let restarts = self.restarts;
            out.report(Fact::Started { pid, restarts });
        }
    }

    /// Starts the next child if nothing of the former one is left and the pause is over.
    pub(super) fn wait_for_start(
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

    /// Ends the leftovers of the former child, so that the next child does not meet them. It starts
    /// at `start_at` or later.
    pub(super) fn end_leftovers(&mut self, start_at: Moment, now: Moment, out: &mut Actions) {
        let leftovers = if self.rules.stop.kill {
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

    /// Takes the step that is due with the leftovers. Returns `None` if they are given up.
    pub(super) fn tick_leftovers(
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
}

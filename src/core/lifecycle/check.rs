//! What follows for the child from its checks.

use crate::core::action::Actions;
use crate::core::fact::Fact;
use crate::core::health::checks::{Finding, Health};
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::state::{State, StopCause, Stopping};
use crate::core::moment::Moment;

impl Lifecycle {
    /// Returns how the child is, as far as checks tell.
    pub(crate) const fn health(&self) -> Health {
        match (self.rules.checks.health, self.state) {
            (None, _) => Health::Unchecked,
            (
                Some(_),
                State::Stopping(Stopping {
                    cause: StopCause::Unhealthy,
                    ..
                }),
            ) => Health::Unhealthy,
            (Some(_), State::Running { .. } | State::Draining(_) | State::Stopping(_)) => {
                self.checks.health()
            }
            (
                Some(_),
                State::Ready
                | State::Closing(_)
                | State::Spawning
                | State::Between { .. }
                | State::Ended(_),
            ) => Health::Starting,
        }
    }

    /// Ends the checks of a child. Without rules nothing of them is executed, so that it need not be
    /// in memory.
    pub(super) fn end_checks(&mut self, out: &mut Actions) {
        if self.rules.checks.is_any() {
            self.checks.end(out);
        }
    }

    /// Reports what the checks have found, and stops the child if it is unhealthy or not ready in
    /// time.
    pub(super) fn apply_finding(
        &mut self,
        finding: Option<Finding>,
        since: Moment,
        now: Moment,
        out: &mut Actions,
    ) {
        let pid = self.pid;
        let (cause, fact, signal) = match finding {
            None => return,
            Some(Finding::Ready) => return out.report(Fact::Ready { pid }),
            Some(Finding::Healthy { is_first }) => {
                let again = !is_first;
                return out.report(Fact::Healthy { pid, again });
            }
            Some(Finding::NotReady { within, failure }) => {
                let signal = self.rules.own_stop_signal(false);
                let fact = Fact::NotReady {
                    pid,
                    within,
                    failure,
                    signal,
                };
                (StopCause::NotReady, fact, signal)
            }
            Some(Finding::Unhealthy { failure, failures }) => {
                let signal = self.rules.own_stop_signal(true);
                let fact = Fact::Unhealthy {
                    pid,
                    failure,
                    failures,
                    signal,
                };
                (StopCause::Unhealthy, fact, signal)
            }
        };
        self.begin_stop(since, cause, now, out);
        out.report(fact);
        self.send_own_stop(signal, out);
    }
}

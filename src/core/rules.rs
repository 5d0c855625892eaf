//! The options that govern one child, and the times that follow from them.

use core::time::Duration;

use crate::core::action::Recipient;
use crate::core::exit_code::ExitCodeMap;
use crate::core::health::rules::CheckRules;
use crate::core::restart::{Restart, RestartPolicy};
use crate::core::signal::{Signal, SignalSet};
use crate::core::status::Outcome;

/// The shortest time from TERM to KILL for what is left after a stop without a grace period. What
/// is left between two starts gets it if `--leftovers=leave` sets no time.
pub(crate) const SHORTEST_LEFTOVERS_GRACE: Duration = Duration::from_secs(5);

/// The default of `--stop-on`: the signals that ask frigate to stop.
pub(crate) const STOP_ON: SignalSet = SignalSet::of([Signal::TERM, Signal::INT, Signal::QUIT]);

/// The default of `--grace-close-wait`: how long namesakes get to end.
pub(crate) const GRACE_CLOSE_WAIT: Duration = Duration::from_secs(30);

/// The default of `--grace` with restarts.
const GRACE: Duration = Duration::from_secs(30);

/// Returns the default of `--grace`. Without restarts frigate sends no KILL: the container engine
/// has a deadline of its own.
pub(crate) fn default_grace(restart: Restart) -> Option<Duration> {
    (restart != Restart::False).then_some(GRACE)
}

/// How the child is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StopRules {
    /// What the child is sent; `None` means the signal that asked frigate to stop.
    pub(crate) signal: Option<Signal>,
    /// The time from the stop signal to KILL; `None` means that no KILL follows.
    pub(crate) grace: Option<Duration>,
    /// Stop the child with KILL at once.
    pub(crate) kill: bool,
    /// The time from a request to stop to the stop signal.
    pub(crate) delay: Duration,
}

/// The options that govern one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    pub(crate) restart_policy: RestartPolicy,
    pub(crate) stop: StopRules,
    /// The time from TERM to KILL for the leftovers of a child that ended by itself; `None` means
    /// that they are left alone.
    pub(crate) leftovers: Option<Duration>,
    /// How long namesakes get to end before each start; `None` means that they are not looked for.
    pub(crate) grace_close: Option<Duration>,
    pub(crate) single_child: bool,
    /// The child's cgroup holds processes of an earlier run, which are ended before the first
    /// start.
    pub(crate) is_adopted: bool,
    pub(crate) exit_codes: ExitCodeMap,
    pub(crate) checks: CheckRules,
}

impl Default for Rules {
    fn default() -> Self {
        let restart_policy = RestartPolicy::default();
        Self {
            restart_policy,
            stop: StopRules {
                signal: None,
                grace: default_grace(restart_policy.restart),
                kill: false,
                delay: Duration::ZERO,
            },
            leftovers: Some(Duration::from_secs(5)),
            grace_close: None,
            single_child: false,
            is_adopted: false,
            exit_codes: ExitCodeMap::IDENTITY,
            checks: CheckRules::NONE,
        }
    }
}

impl Rules {
    /// Returns the exit code that frigate ends with, after `--remap-exit`.
    pub(crate) fn exit_code(&self, outcome: Outcome) -> u8 {
        self.exit_codes.apply(outcome.code())
    }

    /// Returns what a child is sent that frigate stops by itself: because it is unhealthy, if
    /// `is_unhealthy` says so.
    pub(crate) fn own_stop_signal(&self, is_unhealthy: bool) -> Signal {
        if self.stop.kill {
            return Signal::KILL;
        }
        let health = self.checks.health.filter(|_| is_unhealthy);
        let signal = health.and_then(|health| health.signal);
        signal.or(self.stop.signal).unwrap_or(Signal::TERM)
    }

    /// Returns the time from the stop signal to KILL if frigate stops the child by itself. It is
    /// never unlimited: no container engine has a deadline for that stop, and a child that hangs
    /// may not react to any other signal.
    pub(crate) fn own_stop_grace(&self) -> Duration {
        self.stop.grace.unwrap_or(GRACE)
    }

    /// Returns the time that leftovers get after the child's last end, if it ended by itself;
    /// `None` means that they are left alone.
    pub(crate) fn after_own_end(&self) -> Option<Duration> {
        self.leftovers.map(|span| self.unless_kill(span))
    }

    /// Returns the time that leftovers get between two starts. They are never left alone there,
    /// since the new child would meet them.
    pub(crate) fn between_starts(&self) -> Duration {
        self.unless_kill(self.leftovers.unwrap_or(SHORTEST_LEFTOVERS_GRACE))
    }

    /// Returns the time that leftovers get after a stop. With a grace period it counts from the stop
    /// signal.
    pub(crate) fn after_stop(&self) -> Duration {
        let without_grace = self
            .leftovers
            .unwrap_or_default()
            .max(SHORTEST_LEFTOVERS_GRACE);
        self.unless_kill(self.stop.grace.unwrap_or(without_grace))
    }

    fn unless_kill(&self, span: Duration) -> Duration {
        if self.stop.kill { Duration::ZERO } else { span }
    }

    /// Returns the time that leftovers had from TERM to KILL, after this outcome.
    pub(crate) fn leftovers_grace(&self, outcome: Outcome) -> Duration {
        match outcome {
            Outcome::Cancel { .. } => self.after_stop(),
            Outcome::Unhealthy { .. } => self.unless_kill(self.own_stop_grace()),
            Outcome::Complete(_) | Outcome::GaveUp { .. } | Outcome::NotStarted(_) => {
                self.after_own_end().unwrap_or_default()
            }
        }
    }

    /// Returns who gets a signal. A value that came with it can be passed on to one process only.
    pub(crate) const fn recipient(&self, queued: bool) -> Recipient {
        match (queued, self.single_child) {
            (true, _) => Recipient::ChildWithValue,
            (false, true) => Recipient::Child,
            (false, false) => Recipient::Group,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::errno::Errno;
    use crate::core::status::{ExitStatus, SpawnFailure, Stage};

    #[test]
    fn exit_codes_are_remapped_whatever_they_stand_for() {
        let rules = Rules {
            exit_codes: ExitCodeMap::new(&[(3, 77), (127, 0), (143, 9), (126, 1)]),
            ..Rules::default()
        };
        let missing = SpawnFailure {
            stage: Stage::Exec,
            errno: Errno::NOT_FOUND,
        };
        let stop = Signal::TERM;
        let table = [
            (Outcome::Complete(ExitStatus::Exited(3)), 77),
            (Outcome::Complete(ExitStatus::Exited(4)), 4),
            (Outcome::NotStarted(missing), 0),
            (Outcome::Cancel { last: None, stop }, 9),
            (Outcome::GaveUp { last: None }, 1),
        ];
        for (outcome, code) in table {
            assert_eq!(rules.exit_code(outcome), code, "{outcome:?}");
        }
    }
}

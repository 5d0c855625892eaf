//! The options that govern one child, and the times that follow from several of them.

use core::time::Duration;

use crate::core::action::Recipient;
use crate::core::restart::Strategy;
use crate::core::signal::Signal;
use crate::core::status::Outcome;

/// What is left after a stop without a grace period has at least this long from TERM to KILL. What
/// is left between two starts has it where the leftovers of the last child are left alone.
pub(crate) const LEAST_FOR_LEFTOVERS: Duration = Duration::from_secs(5);

/// The options that govern one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    pub(crate) strategy: Strategy,
    pub(crate) stop_signal: Option<Signal>,
    /// From the stop signal to KILL; `None`: no KILL follows.
    pub(crate) grace: Option<Duration>,
    /// How long what a child leaves behind has from TERM to KILL if the child ended by itself;
    /// `None`: it is left alone.
    pub(crate) leftovers: Option<Duration>,
    /// Stop by KILL at once.
    pub(crate) kill: bool,
    /// How long other processes of the same name get to end before each start; none: they are not
    /// looked for.
    pub(crate) grace_close: Option<Duration>,
    pub(crate) single_child: bool,
    /// The child's cgroup holds processes of an earlier run, which are ended before the first
    /// start.
    pub(crate) is_adopted: bool,
}

impl Rules {
    /// What leftovers get after the child ended by itself for good; `None`: they are left alone.
    pub(crate) fn after_own_end(&self) -> Option<Duration> {
        self.leftovers.map(|span| self.unless_kill(span))
    }

    /// What leftovers get between two starts. They are never left alone there: the new child would
    /// meet them.
    pub(crate) fn between_starts(&self) -> Duration {
        self.unless_kill(self.leftovers.unwrap_or(LEAST_FOR_LEFTOVERS))
    }

    /// What leftovers get after a stop, counted from the stop signal if there is a grace period.
    pub(crate) fn after_stop(&self) -> Duration {
        let without_grace = self.leftovers.unwrap_or_default().max(LEAST_FOR_LEFTOVERS);
        self.unless_kill(self.grace.unwrap_or(without_grace))
    }

    fn unless_kill(&self, span: Duration) -> Duration {
        if self.kill { Duration::ZERO } else { span }
    }

    /// What leftovers got from TERM to KILL, at an end with this outcome.
    pub(crate) fn leftovers_grace(&self, outcome: Outcome) -> Duration {
        if matches!(outcome, Outcome::Cancel { .. }) {
            self.after_stop()
        } else {
            self.after_own_end().unwrap_or_default()
        }
    }

    /// Who gets the signals. A value that came with a signal can be passed on to one process only.
    pub(crate) const fn recipient(&self, queued: bool) -> Recipient {
        match (queued, self.single_child) {
            (true, _) => Recipient::ChildWithValue,
            (false, true) => Recipient::Child,
            (false, false) => Recipient::Group,
        }
    }
}

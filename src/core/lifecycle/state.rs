//! The states of one child.

use crate::core::escalation::Escalation;
use crate::core::lifecycle::finish::Finish;
use crate::core::moment::Moment;
use crate::core::signal::Signal;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
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
pub(super) struct Stopping {
    /// When the child was started.
    pub(super) since: Moment,
    /// The signal that asked for it.
    pub(super) asked: Signal,
    pub(super) escalation: Escalation,
    /// The kernel does not let frigate signal the child.
    pub(super) is_signal_refused: bool,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
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

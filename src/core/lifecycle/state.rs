//! The states of one child.

use crate::core::escalation::Escalation;
use crate::core::lifecycle::finish::Finish;
use crate::core::moment::Moment;
use crate::core::signal::Signal;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Ready,
    /// Namesakes are being ended before the start.
    Closing(Escalation),
    Spawning,
    Running {
        since: Moment,
    },
    /// frigate was asked to stop, and leaves the child alone until the delay is over.
    Draining(Drain),
    /// The child was asked to stop, and is still alive.
    Stopping(Stopping),
    /// The pause between two starts, in which the leftovers of the former child are ended.
    Between {
        start_at: Moment,
        /// The end of the leftovers; `None` means that nothing is left.
        leftovers: Option<Escalation>,
    },
    Ended(Finish),
}

/// The delay before a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Drain {
    /// When the child was started.
    pub(super) since: Moment,
    /// The signal that asked frigate to stop.
    pub(super) asked: Signal,
    pub(super) until: Moment,
}

/// Why the child is being stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StopCause {
    /// This signal asked frigate to stop.
    Asked(Signal),
    /// The child was not ready in time.
    NotReady,
    Unhealthy,
    /// frigate was asked to start the child again.
    Restart,
}

/// A stop under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stopping {
    /// When the child was started.
    pub(super) since: Moment,
    pub(super) cause: StopCause,
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
            Self::Draining(_) => "draining",
            Self::Stopping(Stopping {
                cause: StopCause::Restart,
                ..
            }) => "restarting",
            Self::Stopping(Stopping {
                cause: StopCause::Asked(_),
                ..
            }) => "stopping",
            Self::Stopping(Stopping {
                cause: StopCause::NotReady | StopCause::Unhealthy,
                ..
            }) => "unhealthy",
            Self::Between { .. } => "between",
            Self::Ended(_) => "ended",
        }
    }
}

//! What is due next in the checks of one child.

use crate::core::moment::Moment;

/// What is due next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    Nothing,
    /// The next check.
    Check {
        at: Moment,
    },
    /// The end of the check that is under way: it takes too long.
    Timeout {
        at: Moment,
    },
    /// The child has to send `WATCHDOG=1` before this.
    Watchdog {
        at: Moment,
    },
    /// The child becomes unhealthy, unless it ends before this.
    Unhealthy {
        at: Moment,
    },
}

impl Timer {
    /// Returns when it is due; `None` means never.
    pub(super) const fn at(self) -> Option<Moment> {
        match self {
            Self::Nothing => None,
            Self::Check { at }
            | Self::Timeout { at }
            | Self::Watchdog { at }
            | Self::Unhealthy { at } => Some(at),
        }
    }
}

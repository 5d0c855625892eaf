//! What happens to one child.

use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, SpawnFailure};
use crate::core::usage::Usage;

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

//! What happens to one child.

use crate::core::health::event::CheckEvent;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, SpawnFailure};
use crate::core::usage::Usage;

/// What the rim reports of one child, or that a deadline has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Begin,
    /// No namesake is left.
    NamesakesGone,
    Spawned {
        pid: Pid,
    },
    SpawnFailed(SpawnFailure),
    /// The child has executed its command. Comes before the child's end, and only if starts are
    /// reported.
    Executed,
    /// The kernel does not let frigate signal the child (EPERM).
    SignalRefused,
    /// The child was reaped. `held_terminal` says whether its group was the terminal's foreground
    /// group.
    Ended {
        status: ExitStatus,
        held_terminal: bool,
        usage: Usage,
    },
    /// Processes were reaped, and the child was not one of them.
    OthersReaped,
    /// Nothing is left of the former child's group.
    GroupGone,
    /// frigate was asked to stop. With `queued`, the signal has a value. With `at_once`,
    /// `--stop-delay` does not hold: a user at the terminal waits.
    Stop {
        signal: Signal,
        queued: bool,
        at_once: bool,
    },
    /// frigate was asked to stop the child, and to start it again at once.
    Restart,
    /// Something that only the checks of the child are concerned with.
    Check(CheckEvent),
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
            Self::Restart => "restart",
            Self::Check(_) => "check",
            Self::Tick => "tick",
        }
    }
}

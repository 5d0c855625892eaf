//! Why a check failed, as data. `messages` decides how it reads.

use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::status::{ExitStatus, SpawnFailure};

/// Why one check failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CheckFailure {
    /// The kernel refused a step: to connect, to read, to look at the file.
    Refused {
        verb: &'static str,
        errno: Errno,
    },
    TimedOut {
        timeout: Duration,
    },
    /// The server answered with an HTTP status that is no success.
    Status(u16),
    /// The server closed the connection before its status line was complete.
    Closed,
    /// What the server sent is no HTTP status line.
    NotHttp,
    /// The file was last modified so long ago.
    Stale {
        age: Duration,
    },
    /// The program of the check ended, and not with 0.
    Ended(ExitStatus),
    /// The program of the check could not be started.
    NotStarted(SpawnFailure),
    /// The child let this interval pass without `WATCHDOG=1`.
    Silent {
        interval: Duration,
    },
    /// The child sent `WATCHDOG=trigger`.
    Triggered,
}

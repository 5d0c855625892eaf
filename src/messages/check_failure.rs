//! How the failure of a check reads, in one clause.
#![forbid(unsafe_code)]

use core::fmt;

use crate::core::health::failure::CheckFailure;
use crate::messages::units::ReadableDuration;

/// A check's failure as people read it: `no answer within 3 s`.
pub(crate) struct ReadableFailure(pub(crate) CheckFailure);

impl fmt::Display for ReadableFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CheckFailure::Refused { verb, errno } => write!(out, "cannot {verb}: {errno}"),
            CheckFailure::TimedOut { timeout } => {
                write!(out, "no answer within {}", ReadableDuration(timeout))
            }
            CheckFailure::Status(status) => write!(out, "status {status}"),
            CheckFailure::Closed => out.write_str("closed before the status line was complete"),
            CheckFailure::NotHttp => out.write_str("the answer is not HTTP"),
            CheckFailure::Stale { age } => {
                write!(out, "last modified {} ago", ReadableDuration(age))
            }
            CheckFailure::Ended(status) => write!(out, "{status}"),
            CheckFailure::NotStarted(failure) => {
                write!(out, "cannot be started: {}", failure.errno)
            }
            CheckFailure::Silent { interval } => {
                write!(out, "no WATCHDOG=1 within {}", ReadableDuration(interval))
            }
            CheckFailure::Triggered => out.write_str("WATCHDOG=trigger"),
        }
    }
}

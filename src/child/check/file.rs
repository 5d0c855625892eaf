//! A file that is modified again and again: the heartbeat of a worker without a port.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::core::health::failure::CheckFailure;
use crate::sys::clock;
use crate::sys::path_handle::PathHandle;

/// Checks that the file was modified no longer ago than `longest`.
pub(super) fn check(path: &str, longest: Duration) -> Result<(), CheckFailure> {
    let modified = PathHandle::open(path)
        .and_then(|file| file.modification_time())
        .map_err(|errno| CheckFailure::Refused {
            verb: "look at it",
            errno,
        })?;
    let age = since(modified, clock::wall_time());
    if age > longest {
        return Err(CheckFailure::Stale { age });
    }
    Ok(())
}

/// Returns how long before `now` a time was: no time, if it is yet to come because the clock was set
/// back.
fn since(time: (i64, u32), now: (i64, u32)) -> Duration {
    let since_1970 = |(seconds, nanos)| Duration::new(u64::try_from(seconds).unwrap_or(0), nanos);
    since_1970(now).saturating_sub(since_1970(time))
}

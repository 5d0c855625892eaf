//! Reaps children, one a call (`wait4(-1, WNOHANG)`).

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use crate::core::errno;
use crate::core::pid::Pid;
use crate::core::status::WaitStatus;

/// The result of one call.
pub(crate) enum WaitResult {
    Changed {
        pid: Pid,
        status: WaitStatus,
    },
    /// There are children, but none has ended.
    NothingYet,
    /// There is no child.
    NoChild,
    /// The kernel refuses the call, now and later: a seccomp filter forbids it.
    Failed(errno::Errno),
}

/// Reaps one child that has ended. With `with_stops`, also returns a child that was stopped or
/// continued.
pub(crate) fn reap_next(with_stops: bool) -> WaitResult {
    let mut options = WaitOptions::NOHANG;
    options.set(WaitOptions::UNTRACED | WaitOptions::CONTINUED, with_stops);
    loop {
        match wait(options) {
            Ok(Some((pid, status))) => {
                let pid = Pid::new(pid.as_raw_nonzero().get());
                let status = WaitStatus::from_raw(status.as_raw());
                // `WaitStatus` knows every end and every stop. A status that it does not know was
                // neither.
                if let (Some(pid), Some(status)) = (pid, status) {
                    return WaitResult::Changed { pid, status };
                }
            }
            Ok(None) => return WaitResult::NothingYet,
            // Cannot repeat for long, because a call with WNOHANG does not sleep.
            Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return WaitResult::NoChild,
            Err(error) => return WaitResult::Failed(super::errno(error)),
        }
    }
}

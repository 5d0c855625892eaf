//! `wait4(-1, WNOHANG)`: collects what has ended, one process a call.

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use crate::core::errno;
use crate::core::pid::Pid;
use crate::core::status::WaitStatus;

/// What one call found.
pub(crate) enum WaitResult {
    Changed {
        pid: Pid,
        status: WaitStatus,
    },
    /// No child has ended, but there are some.
    NothingYet,
    /// There is no child at all.
    NoChild,
    /// Nothing can be reaped, and never will be: a filter of system calls refuses it.
    Failed(errno::Errno),
}

/// Reaps one child that has ended or, with `with_stops`, tells of one that was stopped.
pub(crate) fn reap_next(with_stops: bool) -> WaitResult {
    let mut options = WaitOptions::NOHANG;
    options.set(WaitOptions::UNTRACED, with_stops);
    loop {
        match wait(options) {
            Ok(Some((pid, status))) => {
                let pid = Pid::new(pid.as_raw_nonzero().get());
                let status = WaitStatus::from_raw(status.as_raw());
                // A status that cannot be decoded was no end: the kernel has no other kinds than
                // those that are.
                if let (Some(pid), Some(status)) = (pid, status) {
                    return WaitResult::Changed { pid, status };
                }
            }
            Ok(None) => return WaitResult::NothingYet,
            // WNOHANG never sleeps, so that this cannot go on.
            Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return WaitResult::NoChild,
            Err(error) => return WaitResult::Failed(super::errno(error)),
        }
    }
}

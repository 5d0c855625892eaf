//! Reaps one child by its pidfd.
//!
//! Architecture invariant: nothing here waits for "any child". The host has children of its own.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};

use super::{rustix_pid, signals};
use crate::core::signal::Signal;
use crate::core::status::ExitStatus;

/// What was found when a child was to be reaped.
pub(crate) enum ReapResult {
    Alive,
    Ended(ExitStatus),
    /// The child has ended, and another part of the host was told how: it waits for any child, or
    /// ignores SIGCHLD.
    ReapedElsewhere,
}

/// Returns whether the process of the pidfd has ended, reaped or not.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    signals::is_readable(pidfd)
}

/// Reaps the child if it has ended (`waitid(2)`).
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> ReapResult {
    loop {
        match waitid(
            WaitId::PidFd(pidfd),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        ) {
            Ok(None) => return ReapResult::Alive,
            Ok(Some(status)) => {
                return decode(&status).map_or(ReapResult::ReapedElsewhere, ReapResult::Ended);
            }
            // WNOHANG never sleeps, so that this does not repeat for long.
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return ReapResult::ReapedElsewhere,
        }
    }
}

/// Returns whether a child is suspended by a signal (`waitid(2)` with `WSTOPPED`). Takes no status:
/// whoever else waits for it in the host still gets it.
pub(crate) fn is_suspended(pidfd: BorrowedFd<'_>) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    matches!(waitid(WaitId::PidFd(pidfd), options), Ok(Some(_)))
}

fn decode(status: &WaitIdStatus) -> Option<ExitStatus> {
    if let Some(code) = status.exit_status() {
        return u8::try_from(code & 0xff).ok().map(ExitStatus::Exited);
    }
    let signal = Signal::new(status.terminating_signal()?)?;
    Some(ExitStatus::Signaled {
        signal,
        core: status.dumped(),
    })
}

/// Returns whether a child can be reaped by its pidfd: the kernel is Linux 5.4 or later, and no
/// filter forbids it. The process asks for itself, which is not its own child: ECHILD says that the
/// call works.
pub(crate) fn is_supported() -> bool {
    let own = super::startup::own_pid().and_then(rustix_pid);
    let Some(pidfd) = own.and_then(|own| pidfd_open(own, PidfdFlags::empty()).ok()) else {
        return false;
    };
    let asked = waitid(
        WaitId::PidFd(pidfd.as_fd()),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
    matches!(asked, Err(rustix::io::Errno::CHILD))
}

//! The end of a child, by its pidfd.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};

use super::{rustix_pid, signals};
use crate::core::signal::Signal;
use crate::core::status::ExitStatus;

/// Whether one that is watched by a pidfd has ended, and how.
pub(crate) enum ReapResult {
    Alive,
    Ended(ExitStatus),
    /// It has, but somebody else of the host was told how: it waits for any child, or ignores
    /// SIGCHLD.
    ReapedElsewhere,
}

/// Whether the pidfd says that its process has ended, be it reaped or not.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    signals::is_readable(pidfd)
}

/// `waitid(P_PIDFD, WNOHANG)`: reaps that one child, and no other.
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
            // WNOHANG never sleeps, so that this cannot go on.
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return ReapResult::ReapedElsewhere,
        }
    }
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

/// Whether this kernel has all that the library needs: pidfds that can be waited for (Linux 5.4),
/// and nothing that forbids them. The process asks about itself, which is no child of its own.
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

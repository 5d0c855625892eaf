//! The process group of a child that has been reaped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::send::{PIDFD_SIGNAL_PROCESS_GROUP, kill, pidfd_send};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// The group that a reaped child led. Processes may be left in it.
pub(crate) struct FormerGroup {
    pub(crate) leader: Pid,
    pidfd: Option<OwnedFd>,
}

impl FormerGroup {
    pub(crate) fn new(leader: Pid, pidfd: Option<OwnedFd>) -> Self {
        Self { leader, pidfd }
    }

    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Sends a signal to the members that are left; without a signal, only looks for them. Returns
    /// false if none is left, not even a zombie.
    ///
    /// The child has been reaped, so that its id is reserved only as long as the group has members.
    /// The pidfd names the former group even if the id is used again. Linux before 6.9 cannot do
    /// that, and the id has to suffice. If a process has that id, the kernel has used it again, and
    /// so no member of the former group is left.
    pub(crate) fn send(&self, signal: Option<Signal>) -> bool {
        let number = signal.map_or(0, Signal::raw);
        if let Some(pidfd) = &self.pidfd {
            match pidfd_send(pidfd.as_fd(), number, PIDFD_SIGNAL_PROCESS_GROUP) {
                Ok(()) => return true,
                Err(Errno::NO_PROCESS) => return false,
                // Linux before 6.9, or a filter, or every member belongs to another user: the id
                // decides.
                Err(_) => {}
            }
        }
        if kill(self.leader.raw(), 0) != Err(Errno::NO_PROCESS) {
            return false;
        }
        kill(-self.leader.raw(), number) != Err(Errno::NO_PROCESS)
    }
}

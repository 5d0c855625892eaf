//! The process group of a child that has been reaped.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::send::{PIDFD_SIGNAL_PROCESS_GROUP, kill, pidfd_send};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// What may be left of the group that a reaped child led.
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

    /// Sends a signal to what is left of it; false: nothing is, not even a zombie.
    ///
    /// The child is reaped, so that its id stays the group's only while members live. The pidfd
    /// names the group that was, whoever has the number now. Before Linux 6.9 the number has to do:
    /// a process of that id would mean that it was given out anew, and then nothing of the old
    /// group can be left.
    pub(crate) fn send(&self, signal: Option<Signal>) -> bool {
        let number = signal.map_or(0, Signal::raw);
        if let Some(pidfd) = &self.pidfd {
            match pidfd_send(pidfd.as_fd(), number, PIDFD_SIGNAL_PROCESS_GROUP) {
                Ok(()) => return true,
                Err(Errno::NO_PROCESS) => return false,
                // Not known before Linux 6.9, or refused by a filter, or all members are another
                // user's: the number tells.
                Err(_) => {}
            }
        }
        if kill(self.leader.raw(), 0) != Err(Errno::NO_PROCESS) {
            return false;
        }
        kill(-self.leader.raw(), number) != Err(Errno::NO_PROCESS)
    }
}

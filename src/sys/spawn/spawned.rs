//! A child that was cloned.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::core::pid::Pid;
use crate::sys::own_descriptor::note_own;
use crate::sys::signals::is_readable;

/// A child that was cloned. Whether it executed its program is known when it is reaped.
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) pidfd: Option<OwnedFd>,
    /// A pipe whose other end only the child holds. The kernel closes that end when the child
    /// executes its program or ends.
    pub(super) exec_pipe: Option<OwnedFd>,
}

impl Spawned {
    /// Returns a process that executes no program.
    pub(in crate::sys) const fn without_exec(pid: Pid, pidfd: Option<OwnedFd>) -> Self {
        Self {
            pid,
            pidfd,
            exec_pipe: None,
        }
    }

    /// Returns the descriptor that hangs up when the child executes its program or ends; `None` if
    /// that was reported already, or is not wanted.
    pub(crate) fn exec_pipe(&self) -> Option<BorrowedFd<'_>> {
        self.exec_pipe.as_ref().map(AsFd::as_fd)
    }

    /// Whether the child has executed its program or ended since the last call.
    /// `SpawnPlan::failure` tells the two apart: a child that fails writes its word before it ends.
    pub(crate) fn has_left_frigate(&mut self) -> bool {
        self.exec_pipe
            .take_if(|pipe| is_readable(pipe.as_fd()))
            .is_some()
    }
}

/// Returns frigate's end and the child's end of the pipe. If there are no descriptors for it, the
/// start is reported only when the child ends.
pub(super) fn make_exec_pipe(is_wanted: bool) -> (Option<OwnedFd>, Option<OwnedFd>) {
    match is_wanted.then(|| pipe_with(PipeFlags::CLOEXEC)) {
        Some(Ok((own, childs))) => (Some(note_own(own)), Some(childs)),
        Some(Err(_)) | None => (None, None),
    }
}

//! A process that frigate forks for one call that may hang in the kernel, where frigate must not.
#![expect(unsafe_code, reason = "the new process ends by _exit")]

use super::{Spawned, clone};
use crate::core::errno::Errno;

/// Runs `work` in a new process, which ends after it. The process is reaped like an orphan.
///
/// # Errors
///
/// The kernel makes no process. `work` has not run then.
pub(crate) fn run_in_new_process(work: impl FnOnce()) -> Result<Spawned, Errno> {
    fork_for(work, false)
}

/// Does the same with a process that has a pidfd, by which the caller reaps it.
///
/// # Errors
///
/// The kernel makes no process, or knows no pidfds. `work` has not run then.
pub(crate) fn run_in_new_process_with_pidfd(work: impl FnOnce()) -> Result<Spawned, Errno> {
    fork_for(work, true)
}

#[expect(clippy::disallowed_methods, reason = "the new process ends here")]
fn fork_for(work: impl FnOnce(), with_pidfd: bool) -> Result<Spawned, Errno> {
    if let Some((pid, pidfd)) = clone::fork(with_pidfd)? {
        return Ok(Spawned::without_exec(pid, pidfd));
    }
    work();
    // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
    unsafe { libc::_exit(0) }
}

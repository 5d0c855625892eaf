//! A process that frigate forks for one call that may hang in the kernel, where frigate must not.
#![expect(unsafe_code, reason = "the new process ends by _exit")]

use super::clone;
use crate::core::errno::Errno;
use crate::core::pid::Pid;

/// Runs `work` in a new process, which ends after it. The process is reaped like an orphan.
///
/// # Errors
///
/// The kernel makes no process. `work` has not run then.
#[expect(clippy::disallowed_methods, reason = "the new process ends here")]
pub(crate) fn run_in_new_process(work: impl FnOnce()) -> Result<Pid, Errno> {
    if let Some((pid, _)) = clone::fork(false)? {
        return Ok(pid);
    }
    work();
    // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
    unsafe { libc::_exit(0) }
}

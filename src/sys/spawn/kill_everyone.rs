//! `kill(-1, SIGKILL)`.
#![expect(unsafe_code, reason = "the process that sends KILL ends by _exit")]

use super::clone;
use crate::core::signal::Signal;
use crate::sys::signals::send_to_everyone;

/// Sends KILL to every process, from a new process: the call may hang in the kernel on a process
/// in uninterruptible sleep, and frigate must not. The new process is reaped like an orphan.
#[expect(clippy::disallowed_methods, reason = "the sender of KILL ends here")]
pub(crate) fn kill_everyone() {
    let cloned = clone::fork(false);
    if let Ok(Some(_)) = cloned {
        return;
    }
    let _ = send_to_everyone(Signal::KILL);
    if cloned.is_ok() {
        // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
        unsafe { libc::_exit(0) }
    }
}

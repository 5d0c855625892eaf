//! `kill(-1, SIGKILL)`.

use super::new_process::run_in_new_process;
use crate::core::signal::Signal;
use crate::sys::signals::send_to_everyone;

/// Sends KILL to every process, from a new process: the call may hang in the kernel on a process
/// in uninterruptible sleep, and frigate must not.
pub(crate) fn kill_everyone() {
    let kill = || {
        let _ = send_to_everyone(Signal::KILL);
    };
    if run_in_new_process(kill).is_err() {
        kill();
    }
}

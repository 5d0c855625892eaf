//! Sends signals to processes, by process id or by pidfd.
//!
//! # Safety
//!
//! Every system call here is given pointers to live values of the size that its man page names;
//! none keeps a pointer.
#![expect(unsafe_code, reason = "kill, rt_sigqueueinfo and pidfd_send_signal")]

use std::os::fd::{AsRawFd, BorrowedFd};

use super::received::ReceivedSignal;
use super::watch::is_readable;
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::last_errno;
use crate::sys::process::group_of;

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

pub(super) fn kill(target: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill(2) touches no memory of this process.
    check(unsafe { libc::kill(target, signal) }.into())
}

/// Sends a signal to a process. The caller has not reaped it yet, so that no other process can have
/// its id.
pub(crate) fn send(pid: Pid, signal: Signal) -> Result<(), Errno> {
    kill(pid.raw(), signal.raw())
}

/// Sends a signal to the group of a child that has not been reaped, and to the child itself. The
/// child may not have made its group yet, or may have left it for another one.
///
/// # Errors
///
/// The child did not get the signal. Other processes of the group may have.
pub(crate) fn send_to_group_of(child: Pid, signal: Signal) -> Result<(), Errno> {
    let sent = kill(-child.raw(), signal.raw());
    if sent.is_err() || has_left_own_group(child) {
        return send(child, signal);
    }
    // The kernel reports success if one process of the group got the signal (kill(2)). Signal 0
    // checks whether the child was permitted to get it.
    kill(child.raw(), 0)
}

/// Returns whether a process has left the group that has its number. Must be called after the group
/// was sent a signal: a process that leaves meanwhile then gets it twice. In the other order it
/// might never get it.
fn has_left_own_group(pid: Pid) -> bool {
    group_of(pid) != Some(pid)
}

/// Passes a queued signal on with its value and its sender, as the signal `signal`
/// (`rt_sigqueueinfo(2)`).
pub(crate) fn requeue(pid: Pid, signal: Signal, received: &ReceivedSignal) -> Result<(), Errno> {
    let info = &raw const received.info;
    // SAFETY: the pointer is to a live siginfo_t. Its code is SI_QUEUE, which any process may send.
    // The kernel itself sets the number of the signal.
    check(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid.raw(), signal.raw(), info) })
}

/// Sends a signal to every process of the PID namespace but PID 1 and the caller.
pub(crate) fn send_to_everyone(signal: Signal) -> Result<(), Errno> {
    kill(-1, signal.raw())
}

/// Returns whether there is a process in the PID namespace but PID 1 and the caller. A process that
/// has ended counts until it is reaped.
pub(crate) fn is_anyone_left() -> bool {
    kill(-1, 0) != Err(Errno::NO_PROCESS)
}

/// Suspends the job that frigate is part of, as Ctrl-Z would: TSTP to the process group, then STOP
/// to frigate itself. frigate's own TSTP stays pending, and is discarded by the CONT that resumes
/// the job (`signal(7)`).
pub(crate) fn suspend_own_job() {
    let _ = kill(0, libc::SIGTSTP);
    let _ = kill(nix::unistd::getpid().as_raw(), libc::SIGSTOP);
}

/// `PIDFD_SIGNAL_PROCESS_GROUP` (Linux 6.9, `pidfd_send_signal(2)`).
pub(super) const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

pub(super) fn pidfd_send(
    pidfd: BorrowedFd<'_>,
    signal: i32,
    flags: libc::c_uint,
) -> Result<(), Errno> {
    let no_info = core::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open. With a null siginfo, the kernel fills one in as kill(2) does.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            no_info,
            flags,
        )
    })
}

/// Sends a signal to one process. It need not be a child: its id may have been used again.
pub(crate) fn send_by_pidfd(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<(), Errno> {
    pidfd_send(pidfd, signal.raw(), 0)
}

/// Sends a signal to the group of a child of a host program, and to the child itself.
///
/// Another thread of the host may reap the child at any moment, so that its id is not to be
/// trusted: the pidfd names the group. Linux before 6.9 cannot do that, and a filter may refuse it.
/// Then the id is used, just after the pidfd has shown that the child has not ended.
///
/// # Errors
///
/// The child did not get the signal. Other processes of the group may have.
pub(crate) fn send_to_group_by_pidfd(
    pidfd: BorrowedFd<'_>,
    leader: Pid,
    signal: Signal,
) -> Result<(), Errno> {
    let sent = match pidfd_send(pidfd, signal.raw(), PIDFD_SIGNAL_PROCESS_GROUP) {
        Err(errno) if errno != Errno::NO_PROCESS && !is_readable(pidfd) => {
            kill(-leader.raw(), signal.raw())
        }
        result => result,
    };
    if sent.is_err() || has_left_own_group(leader) {
        return match send_by_pidfd(pidfd, signal) {
            Err(errno) if errno != Errno::NO_PROCESS && !is_readable(pidfd) => send(leader, signal),
            result => result,
        };
    }
    Ok(())
}

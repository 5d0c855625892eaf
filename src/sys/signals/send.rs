//! Signals to processes: by number, or by pidfd.
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
use crate::sys::{last_errno, rustix_pid};

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

pub(super) fn kill(target: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill(2) touches no memory of ours.
    check(unsafe { libc::kill(target, signal) }.into())
}

/// `kill(pid, sig)`. The caller holds the process unreaped, so that the id cannot be another's.
pub(crate) fn send(pid: Pid, signal: Signal) -> Result<(), Errno> {
    kill(pid.raw(), signal.raw())
}

/// `kill(-pid, sig)`, sends a signal to the group that a living, unreaped child was given, and to
/// the child wherever it is: it may not have made its group yet, or have left it for another one.
///
/// # Errors
///
/// The child did not get it; others of the group may have.
pub(crate) fn send_to_group_of(child: Pid, signal: Signal) -> Result<(), Errno> {
    let sent = kill(-child.raw(), signal.raw());
    if sent.is_err() || has_left_own_group(child) {
        return send(child, signal);
    }
    // The kernel counts it as sent if one process of the group got it (kill(2)). Signal 0 only asks
    // for the permission.
    kill(child.raw(), 0)
}

/// Whether a process is in another group than the one of its own number. To be asked after the
/// group was sent a signal: a process that leaves just then gets the signal twice, and not never.
fn has_left_own_group(pid: Pid) -> bool {
    let group = rustix_pid(pid).and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
    group.is_none_or(|group| group.as_raw_nonzero().get() != pid.raw())
}

/// `rt_sigqueueinfo(pid, sig, info)`, passes a queued signal on with its value and its sender,
/// under the number `signal`.
pub(crate) fn requeue(pid: Pid, signal: Signal, received: &ReceivedSignal) -> Result<(), Errno> {
    let info = &raw const received.info;
    // SAFETY: the pointer is to a live siginfo_t. The kernel takes SI_QUEUE, which it is, from
    // anyone, and puts the signal's number in by itself.
    check(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid.raw(), signal.raw(), info) })
}

/// `kill(-1, sig)`, sends a signal to every process of the namespace but PID 1 and the caller.
pub(crate) fn send_to_everyone(signal: Signal) -> Result<(), Errno> {
    kill(-1, signal.raw())
}

/// `kill(0, SIGTSTP)` and then `raise(SIGSTOP)`: stops the job that frigate is part of, as Ctrl-Z
/// would have. Its own TSTP stays blocked, and the CONT that ends the stop discards it
/// (`signal(7)`).
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
    // SAFETY: the descriptor is open, and a null siginfo asks the kernel to fill it in as kill(2)
    // does.
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

/// `pidfd_send_signal(2)`, sends a signal to one process that need not be ours, whatever became of
/// its id.
pub(crate) fn send_by_pidfd(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<(), Errno> {
    pidfd_send(pidfd, signal.raw(), 0)
}

/// The same in a host program, where another thread may reap the child at any moment, so that its
/// number is never trusted: the pidfd names the group. Before Linux 6.9, or where a filter refuses
/// the call, the number has to do; the pidfd shows, just before it is used, that the child has not
/// ended.
///
/// # Errors
///
/// The child did not get it; others of the group may have.
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

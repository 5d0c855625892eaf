//! Signals as the kernel has them: blocked, awaited, sent on.
//!
//! The sets here are the kernel's own 64 bits, passed to the raw system calls. The C library's
//! `sigset_t` will not do: its `sigfillset` leaves out the two or three signals that the library
//! keeps for its threads, and its `sigprocmask` and `sigaction` refuse them, while `kill(2)` does
//! not.
//!
//! # Safety
//!
//! Every system call here is given pointers to live values of the size that its man page names;
//! none keeps a pointer.
#![expect(
    unsafe_code,
    reason = "raw system calls over the kernel's 64-bit signal set, and siginfo_t, a union"
)]

use core::mem::MaybeUninit;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};

use super::{clone, last_errno, rustix_pid};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::{Sender, Signal};

/// The size of the kernel's signal set in bytes, which its calls demand as an argument.
const SIGSET_BYTES: usize = size_of::<u64>();

/// All 64; the kernel leaves out KILL and STOP by itself (`sigprocmask(2)`).
const ALL_SIGNALS: u64 = u64::MAX;

/// A signal mask as it was, to be given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(u64);

/// `rt_sigprocmask(SIG_SETMASK)` on everything. Returns the mask as it was.
///
/// # Errors
///
/// A filter of system calls refuses it; the kernel itself has no reason to.
pub(crate) fn block_all() -> Result<Mask, Errno> {
    set_mask(Mask(ALL_SIGNALS))
}

/// `rt_sigprocmask(SIG_SETMASK)`. Returns the mask as it was. Fit for the child's side of a clone,
/// in shared memory too: the C library's `errno` is left alone.
pub(super) fn set_mask(mask: Mask) -> Result<Mask, Errno> {
    let mut old = 0_u64;
    let (new, how) = (&raw const mask.0, libc::SIG_SETMASK.unsigned_abs() as usize);
    let arguments = [
        how,
        new.expose_provenance(),
        (&raw mut old).expose_provenance(),
        SIGSET_BYTES,
    ];
    // SAFETY: both pointers are to live 64-bit sets, whose size is given.
    let result = unsafe { clone::call(libc::SYS_rt_sigprocmask, arguments) };
    if result < 0 {
        Err(Errno::new(i32::try_from(-result).unwrap_or(0)))
    } else {
        Ok(Mask(old))
    }
}

/// The signals that the C library keeps for its threads: glibc's 32 and 33, musl's 33 and 34. With
/// the latter of each pair it makes every thread of a process change its user or group, and waits
/// for each to have done so.
const LIBC_SIGNALS: u64 = if cfg!(target_env = "musl") {
    0b11 << 32
} else {
    0b11 << 31
};

/// Blocks everything in a thread beside others: a C library that waited for it to answer would wait
/// for ever.
pub(super) fn block_all_but_libc_signals() {
    let _ = set_mask(Mask(ALL_SIGNALS & !LIBC_SIGNALS));
}

/// The calling thread's mask.
pub(super) fn current_mask() -> Mask {
    let mut now = 0_u64;
    let nothing = core::ptr::null::<u64>();
    // SAFETY: a null set changes nothing; the other pointer is to a live 64-bit set, whose size is
    // given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            nothing,
            &raw mut now,
            SIGSET_BYTES,
        )
    };
    Mask(now)
}

/// The kernel's own `struct sigaction`, which differs from the C library's, as far as no handler is
/// involved.
#[repr(C)]
#[derive(Clone, Copy)]
struct Disposition {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// `rt_sigaction(2)`: sets a signal to `SIG_DFL` or `SIG_IGN`, or only looks; answers with what it
/// was before, `SIG_DFL`, `SIG_IGN` or the address of a handler. Fit for the child's side of a
/// fork.
pub(super) fn set_disposition(signal: i32, handler: Option<usize>) -> usize {
    let none = Disposition {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let (new, mut old) = (handler.map(|handler| Disposition { handler, ..none }), none);
    let new: *const Disposition = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the structures are live and laid out as the kernel's, the former perhaps null;
    // neither SIG_DFL nor SIG_IGN runs any code.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            new,
            &raw mut old,
            SIGSET_BYTES,
        )
    };
    old.handler
}

/// Sets SIGCHLD back to its default where it was inherited as ignored, since the kernel would then
/// reap behind frigate's back (`wait(2)`, NOTES); answers whether it was.
pub(crate) fn restore_sigchld() -> bool {
    set_disposition(libc::SIGCHLD, Some(libc::SIG_DFL)) == libc::SIG_IGN
}

/// Ignores SIGCHLD, as it was inherited. For the child's side of a fork.
pub(super) fn ignore_sigchld() {
    set_disposition(libc::SIGCHLD, Some(libc::SIG_IGN));
}

/// A signal as it was taken.
pub(crate) struct ReceivedSignal {
    info: libc::siginfo_t,
}

impl ReceivedSignal {
    pub(crate) fn signal(&self) -> Option<Signal> {
        Signal::new(self.info.si_signo)
    }

    /// Who sent it; `own` is frigate's id.
    pub(crate) fn sender(&self, own_pid: Pid) -> Sender {
        match self.info.si_code {
            libc::SI_QUEUE => Sender::Process { queued: true },
            libc::SI_USER | libc::SI_TKILL => {
                // SAFETY: with these two codes the union holds the sender's pid and uid
                // (sigaction(2)).
                let pid = unsafe { self.info.si_pid() };
                if pid == own_pid.raw() {
                    Sender::Frigate
                } else {
                    Sender::Process { queued: false }
                }
            }
            code if code > 0 => Sender::Kernel,
            _ => Sender::Process { queued: false },
        }
    }
}

/// What ended a wait.
pub(crate) enum WakeReason {
    Signal(ReceivedSignal),
    /// One of the watched descriptors is readable, or has changed.
    Ready,
    /// The time is over, or the wait was interrupted: look at the clock.
    Timeout,
    /// Signals cannot be taken, and never will be: a filter of system calls refuses it.
    Failed(Errno),
}

/// A descriptor, and what is waited for there.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) flags: PollFlags,
}

impl<'a> Watch<'a> {
    pub(crate) const fn readable(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: PollFlags::IN,
        }
    }

    pub(crate) const fn writable(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: PollFlags::OUT,
        }
    }

    /// `POLLPRI`, which is how a cgroup's files tell of a change.
    pub(crate) const fn changed(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: PollFlags::PRI,
        }
    }
}

/// The pause between two looks at what no wait reports.
const PENDING_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for signals, and where there are any for descriptors too.
#[derive(Default)]
pub(crate) struct SignalWaiter {
    /// A signalfd that is never read: it makes `poll(2)` return when a signal is pending. Made when
    /// first needed.
    signalfd: Option<OwnedFd>,
    /// Which of those watched were ready when the last wait ended, whatever ended it: bit by bit,
    /// the first the lowest.
    pub(crate) ready: u32,
}

impl SignalWaiter {
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.signalfd.as_ref().map(AsFd::as_fd)
    }

    /// Sleeps in one system call until a signal is there, one of `watched` is ready, or `timeout`
    /// is over; without a timeout for as long as it takes.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, watched: &[Watch<'_>]) -> WakeReason {
        self.ready = 0;
        if watched.is_empty() {
            take_pending(timeout)
        } else {
            self.wait_and_watch(timeout, watched)
        }
    }

    /// Not inlined, since a plain run watches nothing.
    #[inline(never)]
    fn wait_and_watch(&mut self, timeout: Option<Duration>, watched: &[Watch<'_>]) -> WakeReason {
        if self.signalfd.is_none() {
            self.signalfd = make_signalfd();
        }
        let signals = self.signalfd.as_ref().map(|fd| Watch::readable(fd.as_fd()));
        let mut fds = Vec::with_capacity(watched.len() + 1);
        for Watch { fd, flags } in signals.iter().chain(watched) {
            fds.push(PollFd::from_borrowed_fd(*fd, *flags));
        }
        // Without a signalfd, which only a lack of descriptors can cause, signals are looked for
        // ten times a second.
        let interval = timeout
            .unwrap_or(PENDING_CHECK_INTERVAL)
            .min(PENDING_CHECK_INTERVAL);
        let polled = poll(
            &mut fds,
            signals
                .as_ref()
                .map_or(Some(interval), |_| timeout)
                .map(timespec)
                .as_ref(),
        );
        // Nor does a poll that is refused (EINVAL: more descriptors than `RLIMIT_NOFILE`; ENOMEM)
        // become a busy loop.
        let left = if matches!(polled, Ok(_) | Err(rustix::io::Errno::INTR)) {
            Duration::ZERO
        } else {
            interval
        };
        let is_reliable = polled.is_ok() && signals.is_some();
        let mut bit = 1;
        for fd in fds.iter().skip(usize::from(signals.is_some())) {
            if !fd.revents().is_empty() {
                self.ready |= bit;
            }
            // One beyond the last bit counts as that one.
            bit = bit.checked_shl(1).filter(|bit| *bit > 0).unwrap_or(bit);
        }
        let is_none_pending = is_reliable && fds.first().is_some_and(|fd| fd.revents().is_empty());
        match if is_none_pending {
            WakeReason::Timeout
        } else {
            take_pending(Some(left))
        } {
            WakeReason::Timeout if self.ready > 0 => WakeReason::Ready,
            wake @ (WakeReason::Signal(_)
            | WakeReason::Ready
            | WakeReason::Timeout
            | WakeReason::Failed(_)) => wake,
        }
    }
}

pub(super) fn timespec(span: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

/// `rt_sigtimedwait(2)` over all signals. They are all blocked, so that each waits in the kernel
/// until it is taken here, even one that is ignored or, for PID 1, one that has no handler.
fn take_pending(timeout: Option<Duration>) -> WakeReason {
    let set = ALL_SIGNALS;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let timeout = timeout.map(timespec);
    let time: *const rustix::time::Timespec = timeout
        .as_ref()
        .map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the set is 64 bits as its size says, the timeout null or live and laid out as the
    // kernel's 64-bit timespec (two i64), and the siginfo has room for what the kernel writes (128
    // bytes).
    let taken = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set,
            info.as_mut_ptr(),
            time,
            SIGSET_BYTES,
        )
    };
    if taken <= 0 {
        return match last_errno() {
            Errno::AGAIN | Errno::INTERRUPTED => WakeReason::Timeout,
            errno => WakeReason::Failed(errno),
        };
    }
    // SAFETY: zeroed at first, and the kernel has filled it since.
    let info = unsafe { info.assume_init() };
    WakeReason::Signal(ReceivedSignal { info })
}

/// `signalfd4(2)` over all signals.
fn make_signalfd() -> Option<OwnedFd> {
    let set = ALL_SIGNALS;
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is 64 bits as its size says; -1 asks for a new descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const set, SIGSET_BYTES, flags) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just made it, and nobody else knows it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

fn kill(target: i32, signal: i32) -> Result<(), Errno> {
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
const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

fn pidfd_send(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> Result<(), Errno> {
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

/// Whether there is something to read, or the other side has hung up; of a pidfd, whether its
/// process has ended.
pub(super) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    poll(
        &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
        Some(&timespec(Duration::ZERO)),
    ) == Ok(1)
}

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

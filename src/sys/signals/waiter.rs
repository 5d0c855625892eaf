//! Waiting for signals, and for descriptors besides.
//!
//! # Safety
//!
//! Every system call here is given pointers to live values of the size that its man page names;
//! none keeps a pointer.
#![expect(
    unsafe_code,
    reason = "rt_sigtimedwait and signalfd4 with the kernel's 64-bit signal set"
)]

use core::mem::MaybeUninit;
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, poll};

use super::received::ReceivedSignal;
use super::watch::{Watch, timespec};
use super::{ALL_SIGNALS, SIGSET_BYTES};
use crate::core::errno::Errno;
use crate::sys::last_errno;

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

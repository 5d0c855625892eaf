//! Waits for signals, and for descriptors at the same time.
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
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, poll};

use super::received::ReceivedSignal;
use super::watch::{Watch, timespec};
use super::{ALL_SIGNALS, SIGSET_BYTES};
use crate::core::errno::Errno;
use crate::sys::last_errno;
use crate::sys::own_descriptor::note_own;

/// What ended a wait.
pub(crate) enum WakeReason {
    Signal(ReceivedSignal),
    /// One of the watched descriptors is ready.
    Ready,
    /// The time is over, or the wait was interrupted.
    Timeout,
    /// A filter of system calls refuses to let frigate take signals, now and later.
    Failed(Errno),
}

/// How often pending signals are looked for if no descriptor reports them.
const PENDING_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for signals and, if any are watched, for descriptors.
#[derive(Default)]
pub(crate) struct SignalWaiter {
    /// Makes `poll(2)` return when a signal is pending. It is made when it is first needed, and
    /// never read.
    signalfd: Option<OwnedFd>,
    /// Which of the watched descriptors were ready when the last wait ended, for any reason. The
    /// first has the lowest bit.
    pub(crate) ready: u32,
}

impl SignalWaiter {
    /// Sleeps in one system call until a signal is pending, one of `watched` is ready, or the time
    /// is over. `None` means that the time is never over.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, watched: &[Watch<'_>]) -> WakeReason {
        self.ready = 0;
        if watched.is_empty() {
            take_pending(timeout)
        } else {
            self.wait_and_watch(timeout, watched)
        }
    }

    /// Waits for signals, and for what is watched. A plain run watches nothing.
    // Not inlined: what every run executes has 720 bytes less (`tools/order.ld`).
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
        // If descriptors are short, there is no signalfd. Signals are then looked for ten times a
        // second.
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
        // The kernel refuses the poll if there are more descriptors than `RLIMIT_NOFILE` (EINVAL),
        // or if memory is short. Then the wait for signals sleeps instead, since the loop would be
        // busy otherwise.
        let left = if matches!(polled, Ok(_) | Err(rustix::io::Errno::INTR)) {
            Duration::ZERO
        } else {
            interval
        };
        let is_reliable = polled.is_ok() && signals.is_some();
        self.ready = ready_bits(fds.iter().skip(usize::from(signals.is_some())));
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

/// Returns one bit for each descriptor: whether it is ready. The first has the lowest bit, and one
/// beyond the last bit counts as the last.
fn ready_bits<'a>(fds: impl Iterator<Item = &'a PollFd<'a>>) -> u32 {
    let mut ready = 0;
    let mut bit = 1_u32;
    for fd in fds {
        if !fd.revents().is_empty() {
            ready |= bit;
        }
        bit = bit.checked_shl(1).filter(|bit| *bit > 0).unwrap_or(bit);
    }
    ready
}

/// Takes one pending signal, or waits for one (`rt_sigtimedwait(2)`). All signals are blocked. So
/// each stays pending until it is taken here, even if it is ignored or, for PID 1, has no handler.
fn take_pending(timeout: Option<Duration>) -> WakeReason {
    let set = ALL_SIGNALS;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let timeout = timeout.map(timespec);
    let time: *const rustix::time::Timespec = timeout
        .as_ref()
        .map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the set has 64 bits, as its size says. The timeout is null, or live and laid out as
    // the kernel's 64-bit timespec (two i64). The siginfo has the 128 bytes that the kernel writes.
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
    // SAFETY: it was zeroed, and the kernel has filled it in.
    let info = unsafe { info.assume_init() };
    WakeReason::Signal(ReceivedSignal { info })
}

/// Makes a signalfd for all signals (`signalfd4(2)`). `None` means that descriptors are short.
fn make_signalfd() -> Option<OwnedFd> {
    let set = ALL_SIGNALS;
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set has 64 bits, as its size says. -1 asks for a new descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const set, SIGSET_BYTES, flags) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just made it, and no other code owns it.
    Some(note_own(unsafe { OwnedFd::from_raw_fd(fd) }))
}

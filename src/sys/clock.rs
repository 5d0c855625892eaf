//! The monotonic clock and the wall clock. If the kernel offers its vDSO (`vdso(7)`), reading them
//! makes no system call.
//!
//! # Safety
//!
//! `clock_gettime(2)` writes into a live `timespec`.
#![expect(clippy::disallowed_methods, reason = "reads the time for all files")]
#![expect(unsafe_code, reason = "clock_gettime(2) writes through a pointer")]

use crate::core::moment::Moment;

/// Reads a clock of the kernel.
fn read_clock(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer must be valid for writes, and points to a live timespec. The call cannot
    // fail, because both clocks exist on every kernel.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time
}

/// Reads the monotonic clock. It never jumps, and stops while the machine is suspended.
pub(crate) fn now() -> Moment {
    let time = read_clock(libc::CLOCK_MONOTONIC);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Moment::from_nanos(
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec.unsigned_abs()),
    )
}

/// Reads the wall clock: seconds and nanoseconds since 1970, UTC.
pub(crate) fn wall_time() -> (i64, u32) {
    let time = read_clock(libc::CLOCK_REALTIME);
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sleeps for less than a second, or until a signal interrupts it. Only for a short race before the
/// first start: the event loop never sleeps, it waits for events.
pub(crate) fn sleep(time: core::time::Duration) {
    let timeout = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    let _ = rustix::event::poll(&mut [], Some(&timeout));
}

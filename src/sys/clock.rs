//! The two clocks, read without a system call where the kernel offers its vdso.
#![expect(clippy::disallowed_methods, reason = "reads the time for all files")]
#![expect(unsafe_code, reason = "clock_gettime(2) writes through a pointer")]

use crate::core::moment::Moment;

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec; both clocks exist on every kernel, so that the
    // call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time
}

/// The monotonic clock: it never jumps, and stands still while the machine is suspended.
pub(crate) fn now() -> Moment {
    let time = read(libc::CLOCK_MONOTONIC);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Moment::from_nanos(
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec.unsigned_abs()),
    )
}

/// Seconds and nanoseconds since 1970, UTC.
pub(crate) fn wall() -> (i64, u32) {
    let time = read(libc::CLOCK_REALTIME);
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sleeps that long, or until interrupted. For a moment's race before the first start only; the
/// loop waits for events.
pub(crate) fn pause(span: core::time::Duration) {
    let span = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(span.subsec_nanos()),
    };
    let _ = rustix::event::poll(&mut [], Some(&span));
}

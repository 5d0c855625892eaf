//! Durations and sizes as people read them.
#![forbid(unsafe_code)]

use core::fmt;
use core::time::Duration;

/// A duration as people read it: `87 ms`, `3.2 s`, `30 s`.
pub(super) struct ReadableDuration(pub(super) Duration);

impl fmt::Display for ReadableDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = millis(self.0);
        let (seconds, tenths) = (millis / 1000, millis / 100 % 10);
        match (seconds, tenths) {
            (0, _) => write!(out, "{millis} ms"),
            (60.., _) | (_, 0) => write!(out, "{seconds} s"),
            _ => write!(out, "{seconds}.{tenths} s"),
        }
    }
}

/// A number of bytes as people read it: `512 B`, `63.9 MiB`.
pub(super) struct ReadableSize(pub(super) u64);

impl fmt::Display for ReadableSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = match self.0 {
            0..0x400 => return write!(out, "{} B", self.0),
            0x400..0x10_0000 => ("KiB", 10),
            0x10_0000..0x4000_0000 => ("MiB", 20),
            _ => ("GiB", 30),
        };
        let tenths = ((self.0 & ((1 << shift) - 1)) * 10) >> shift;
        write!(out, "{}.{tenths} {unit}", self.0 >> shift)
    }
}

/// Returns the duration in milliseconds, at most `u64::MAX`: the digits of 64 bits take less code
/// than those of the 128 that the library counts in.
pub(super) fn millis(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1000)
        .saturating_add(duration.subsec_millis().into())
}

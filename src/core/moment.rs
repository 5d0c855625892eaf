//! A time of the monotonic clock, as a number. So the tests of the core run in virtual time.

use core::time::Duration;

/// Nanoseconds since a fixed point before the program began (`CLOCK_MONOTONIC`). 584 years fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// Returns the moment that much later, or the last moment if that is too late for a number.
    pub(crate) fn after(self, span: Duration) -> Self {
        let span = span
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(span.subsec_nanos().into());
        Self(self.0.saturating_add(span))
    }

    /// Returns how long ago `earlier` was; zero if it is yet to come.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

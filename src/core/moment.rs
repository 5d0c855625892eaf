//! An instant of the monotonic clock, as a plain number, so that the core runs in virtual time
//! under test.

use core::time::Duration;

/// Nanoseconds since some fixed point before the program began (`CLOCK_MONOTONIC`): 584 years fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// The moment that much later; the end of time where that is beyond it.
    #[inline(never)]
    pub(crate) fn after(self, span: Duration) -> Self {
        let span = span
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(span.subsec_nanos().into());
        Self(self.0.saturating_add(span))
    }

    /// How long ago `earlier` was; nothing where it is yet to come.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

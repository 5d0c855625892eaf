//! When to look again for what nobody reports: soon at first, and then less and less often.

use core::time::Duration;

use crate::core::moment::Moment;

/// The pauses between two looks at processes whose end nobody reports: doubled each time up to the
/// longest.
const FIRST_LOOK: Duration = Duration::from_millis(10);
pub(crate) const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// A deadline for looking again, further off each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    at: Moment,
    pause: Duration,
}

impl Look {
    pub(crate) fn first(now: Moment) -> Self {
        Self {
            at: now.after(FIRST_LOOK),
            pause: FIRST_LOOK,
        }
    }

    pub(crate) const fn at(self) -> Moment {
        self.at
    }

    pub(crate) fn next(self, now: Moment) -> Self {
        let pause = (self.pause * 2).min(LONGEST_LOOK);
        Self {
            at: now.after(pause),
            pause,
        }
    }
}

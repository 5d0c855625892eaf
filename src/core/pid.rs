//! A process id.

use core::fmt;
use core::num::NonZeroI32;

/// The id of one process: never 0, never negative, so that it cannot be mistaken for "my group" or
/// "everyone" in `kill(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pid(NonZeroI32);

impl Pid {
    pub(crate) fn new(raw: i32) -> Option<Self> {
        NonZeroI32::new(raw).filter(|n| n.get() > 0).map(Self)
    }

    pub(crate) const fn raw(self) -> i32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

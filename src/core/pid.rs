//! A process id.

use core::fmt;
use core::num::NonZeroI32;

/// The id of one process. It is above 0: to `kill(2)`, 0 and negative numbers mean groups of
/// processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pid(NonZeroI32);

impl Pid {
    /// Returns the id; `None` means that the number is not above 0.
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

//! What each signal is treated as (`--rewrite`).

use crate::core::signal::Signal;

/// What each signal is treated as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rewrite {
    /// Signal 1 is the first. `None` means that the signal is dropped.
    to: [Option<Signal>; 64],
}

impl Rewrite {
    /// Treats every signal as itself.
    pub(crate) fn identity() -> Self {
        let mut to = [None; 64];
        for (slot, number) in to.iter_mut().zip(1..) {
            *slot = Signal::new(number);
        }
        Self { to }
    }

    pub(crate) fn set(&mut self, from: Signal, to: Option<Signal>) {
        if let Some(slot) = self.to.get_mut(usize::from(from.number()) - 1) {
            *slot = to;
        }
    }

    /// Returns what the signal is treated as; `None` means that it is dropped.
    pub(crate) fn apply(&self, signal: Signal) -> Option<Signal> {
        self.to
            .get(usize::from(signal.number()) - 1)
            .copied()
            .flatten()
    }
}

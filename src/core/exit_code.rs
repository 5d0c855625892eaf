//! Exit codes: the numbers with a meaning, and the code that `--remap-exit` turns each code into.

use crate::core::signal::Signal;

/// frigate failed, or was called with a mistake.
pub(crate) const FRIGATE_FAILED: u8 = 125;

/// The command was found and cannot be executed.
pub(crate) const CANNOT_EXECUTE: u8 = 126;

/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// Returns the exit code that shells and container engines give to an end by this signal.
pub(crate) const fn of_signal(signal: Signal) -> u8 {
    128 + signal.number()
}

/// What `--remap-exit` asks for: pairs of an exit code and the one that replaces it.
///
/// The pairs live as long as the process, so that `Rules`, which holds them, stays a small `Copy`
/// type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ExitCodeMap(&'static [(u8, u8)]);

impl ExitCodeMap {
    /// Leaves every code as it is.
    pub(crate) const IDENTITY: Self = Self(&[]);

    /// Maps the first code of each pair to the second. A later pair replaces an earlier one with
    /// the same first code.
    pub(crate) const fn new(pairs: &'static [(u8, u8)]) -> Self {
        Self(pairs)
    }

    /// Returns the code that frigate ends with. Pairs do not chain: each code is mapped once.
    pub(crate) fn apply(self, code: u8) -> u8 {
        self.0
            .iter()
            .rev()
            .find(|(from, _)| *from == code)
            .map_or(code, |(_, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_mapped_once_and_by_the_last_pair() {
        assert!((0..=u8::MAX).all(|code| ExitCodeMap::IDENTITY.apply(code) == code));
        let map = ExitCodeMap::new(&[(3, 4), (4, 5), (0, 7), (255, 1), (3, 6)]);
        let changed: Vec<_> = (0..=u8::MAX)
            .map(|code| (code, map.apply(code)))
            .filter(|(from, to)| from != to)
            .collect();
        assert_eq!(changed, [(0, 7), (3, 6), (4, 5), (255, 1)]);
    }

    #[test]
    fn an_end_by_a_signal_has_the_code_that_shells_give_it() {
        assert_eq!(of_signal(Signal::TERM), 143);
        assert_eq!(of_signal(Signal::KILL), 137);
    }
}

//! What every message may name besides its fact.
#![forbid(unsafe_code)]

use crate::core::text::Printable;

/// The names that messages need, as they were typed.
#[derive(Clone, Default)]
pub(crate) struct MessageContext {
    pub(crate) command: String,
    pub(crate) user: String,
    pub(crate) root: String,
    pub(crate) directory: String,
    /// The path of the child's cgroup.
    pub(crate) group: String,
    /// The target of `--health`.
    pub(crate) health: String,
    /// The target of `--ready`.
    pub(crate) ready: String,
}

/// The most characters of a name that a message shows.
const NAME_CHARACTERS: usize = 120;

impl MessageContext {
    pub(super) fn printable_command(&self) -> Printable<'_> {
        printable(&self.command)
    }
}

/// Returns a name as messages show it: cut short, and free of what would break the line.
pub(super) fn printable(name: &str) -> Printable<'_> {
    Printable(name, NAME_CHARACTERS)
}

//! A target as an option names it.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::core::health::target::Target;

/// What `--health` or `--ready` asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WantedTarget {
    pub(crate) target: Target,
    /// The target as it was typed, for messages.
    pub(crate) text: String,
    /// How long ago the target may have been modified, if it is a file.
    pub(crate) longest_age: Duration,
}

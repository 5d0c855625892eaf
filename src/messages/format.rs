//! How messages are written.
#![forbid(unsafe_code)]

/// How messages are written (`--log-format`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

impl Format {
    /// Returns what ends a line.
    pub(super) const fn line_end(self) -> &'static str {
        match self {
            Self::Text => "\n",
            Self::Json => "}\n",
        }
    }
}

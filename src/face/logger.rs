//! Where a child's output goes.

use std::path::PathBuf;

use crate::face::error::Error;
use crate::face::size::ByteSize;

/// The files that a child's standard output and standard error are written to; without one, the child has the host's.
///
/// Until log capture is part of frigate, [`Frigate::protect`](crate::Frigate::protect) refuses a child that has one
/// ([`Error::LogCapture`]).
///
/// ```
/// use frigate::{ByteSize, Logger};
///
/// let logger = Logger::new().stdout("/var/log/web.log").redirect(true).max_bytes(ByteSize::mib(50)).backups(10);
/// assert_eq!(logger.backups, 10);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Logger {
    /// The file for standard output; default: none, the host's.
    pub stdout: Option<PathBuf>,
    /// The file for standard error; default: none, the host's.
    pub stderr: Option<PathBuf>,
    /// How many rotated files are kept, `FILE.1` being the newest; default: 0.
    pub backups: u32,
    /// A file that would grow beyond is rotated first; default: 0, never.
    pub max_bytes: ByteSize,
    /// Whether standard error goes where standard output does; default: false.
    pub redirect: bool,
}

impl Logger {
    /// One that captures nothing yet.
    ///
    /// ```
    /// assert_eq!(frigate::Logger::new(), frigate::Logger::default());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Logger::stdout`](#structfield.stdout).
    ///
    /// ```
    /// assert!(frigate::Logger::new().stdout("out.log").stdout.is_some());
    /// ```
    #[must_use]
    pub fn stdout(self, file: impl Into<PathBuf>) -> Self {
        Self { stdout: Some(file.into()), ..self }
    }

    /// Sets [`Logger::stderr`](#structfield.stderr).
    ///
    /// ```
    /// assert!(frigate::Logger::new().stderr("err.log").stderr.is_some());
    /// ```
    #[must_use]
    pub fn stderr(self, file: impl Into<PathBuf>) -> Self {
        Self { stderr: Some(file.into()), ..self }
    }

    /// Sets [`Logger::backups`](#structfield.backups).
    ///
    /// ```
    /// assert_eq!(frigate::Logger::new().backups(3).backups, 3);
    /// ```
    #[must_use]
    pub fn backups(self, backups: u32) -> Self {
        Self { backups, ..self }
    }

    /// Sets [`Logger::max_bytes`](#structfield.max_bytes).
    ///
    /// ```
    /// use frigate::{ByteSize, Logger};
    /// assert_eq!(Logger::new().max_bytes(ByteSize::kib(4)).max_bytes.bytes(), 4096);
    /// ```
    #[must_use]
    pub fn max_bytes(self, max_bytes: ByteSize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets [`Logger::redirect`](#structfield.redirect).
    ///
    /// ```
    /// assert!(frigate::Logger::new().redirect(true).redirect);
    /// ```
    #[must_use]
    pub fn redirect(self, redirect: bool) -> Self {
        Self { redirect, ..self }
    }
}

/// The one place where capture begins, and where it is refused as long as there is none.
pub(crate) fn begin_capture(logger: Option<&Logger>) -> Result<(), Error> {
    match logger {
        None => Ok(()),
        Some(_) => Err(Error::LogCapture),
    }
}

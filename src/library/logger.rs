//! The files that a child's output is written to.

use std::io;
use std::path::{Path, PathBuf};

use crate::child::capture::{Capture, LogPath, Logs};
use crate::library::error::Error;
use crate::library::size::ByteSize;
use crate::sys::safe_open::ChildUser;

/// The files that a child's standard output and standard error are written to.
///
/// frigate appends to an existing file, and creates a missing one with mode 0640. It takes a
/// relative path from the host's working directory at the time of the start. If the child's user
/// could have put something else in the place of the file, or of a directory on the way, such as a
/// symbolic link, the start is refused ([`Error::LogFile`]); if that happens later, nothing is
/// written to it.
///
/// frigate's thread writes the files, across all restarts of the child. It loses no byte, except
/// those that a full disk does not take and those of a backup that is to be thrown away. The child
/// never waits for a disk. frigate notices when another program, such as logrotate, renames,
/// removes or empties a file. What a process of the child writes after the end of the child's group
/// is lost.
///
/// ```
/// use frigate::{ByteSize, Frigate, Logger};
///
/// let logger = Logger::new()
///     .stdout("/var/log/web.log")
///     .redirect(true)
///     .max_bytes(ByteSize::mib(50))
///     .backups(10);
/// let frigate = Frigate::create("nginx").logger(logger);
/// # let _ = frigate;
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Logger {
    stdout: Option<PathBuf>,
    stderr: Option<PathBuf>,
    backups: u32,
    max_bytes: ByteSize,
    redirect: bool,
}

impl Logger {
    /// Returns a logger that writes no file.
    ///
    /// ```
    /// assert_eq!(frigate::Logger::new(), frigate::Logger::default());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the file for standard output. Default: the child has the host's standard output.
    ///
    /// ```
    /// let logger = frigate::Logger::new().stdout("out.log");
    /// # let _ = logger;
    /// ```
    #[must_use]
    pub fn stdout(self, file: impl Into<PathBuf>) -> Self {
        Self {
            stdout: Some(file.into()),
            ..self
        }
    }

    /// Sets the file for standard error. Default: the child has the host's standard error.
    ///
    /// Both streams may go to one file; their order is kept.
    ///
    /// ```
    /// let logger = frigate::Logger::new().stderr("err.log");
    /// # let _ = logger;
    /// ```
    #[must_use]
    pub fn stderr(self, file: impl Into<PathBuf>) -> Self {
        Self {
            stderr: Some(file.into()),
            ..self
        }
    }

    /// Sets whether standard error goes where standard output goes: to its file or, without one, to
    /// the host's standard output. [`Logger::stderr`] has no effect then. Default: `false`.
    ///
    /// ```
    /// let logger = frigate::Logger::new().stdout("all.log").redirect(true);
    /// # let _ = logger;
    /// ```
    #[must_use]
    pub fn redirect(self, redirect: bool) -> Self {
        Self { redirect, ..self }
    }

    /// Sets the size beyond which a file does not grow: it is rotated first. With 0 or
    /// [`ByteSize::MAX`], it is never rotated. Default: 0.
    ///
    /// ```
    /// use frigate::{ByteSize, Logger};
    /// let logger = Logger::new().stdout("out.log").max_bytes(ByteSize::mib(50));
    /// # let _ = logger;
    /// ```
    #[must_use]
    pub fn max_bytes(self, max_bytes: ByteSize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets how many rotated files are kept: `FILE.1` is the newest, `FILE.2` the one before. With
    /// 0, a full file is emptied. Default: 0.
    ///
    /// ```
    /// use frigate::{ByteSize, Logger};
    /// let logger = Logger::new().stdout("out.log").max_bytes(ByteSize::mib(50)).backups(3);
    /// # let _ = logger;
    /// ```
    #[must_use]
    pub fn backups(self, backups: u32) -> Self {
        Self { backups, ..self }
    }
}

/// Opens the files, and makes the pipes to them. Without a logger, it opens none.
///
/// # Errors
///
/// [`Error::Word`] for a path that no file can have, and [`Error::LogFile`].
pub(crate) fn open(logger: Option<&Logger>, user: Option<ChildUser<'_>>) -> Result<Capture, Error> {
    let Some(logger) = logger else {
        return Ok(Capture::default());
    };
    let Logger {
        stdout,
        stderr,
        backups,
        max_bytes,
        redirect,
    } = logger;
    let logs = Logs {
        stdout: stdout.as_deref().map(log_path).transpose()?,
        stderr: stderr.as_deref().map(log_path).transpose()?,
        // If both have the same file, they share a pipe, which keeps their order.
        redirect: *redirect || stdout.is_some() && stdout == stderr,
        max_bytes: if *max_bytes == ByteSize::MAX {
            0
        } else {
            max_bytes.bytes()
        },
        backups: *backups,
    };
    Capture::open(&logs, user).map_err(|(log, refusal)| Error::LogFile {
        path: PathBuf::from(&log.path),
        source: if refusal.is_rule_violation() {
            io::Error::new(io::ErrorKind::PermissionDenied, refusal.reason())
        } else {
            io::Error::from_raw_os_error(refusal.errno.raw())
        },
    })
}

fn log_path(path: &Path) -> Result<LogPath, Error> {
    path.to_str()
        .filter(|text| (1..4096).contains(&text.len()) && !text.contains('\0'))
        .map(|text| LogPath {
            path: text.to_owned(),
            spelled: String::new(),
        })
        .ok_or_else(|| Error::Word {
            word: path.to_string_lossy().into_owned(),
            expected: "a file's path of at most 4095 bytes, in UTF-8 and without a null byte",
        })
}

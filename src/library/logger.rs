//! Where a child's output goes.

use std::io;
use std::path::PathBuf;

use crate::child::capture::Capture;
use crate::child::capture::LogPath;
use crate::child::capture::Logs;
use crate::library::error::Error;
use crate::library::size::ByteSize;
use crate::sys::place::ChildUser;

/// The files that a child's standard output and standard error are written to; without one, the
/// child has the host's.
///
/// An existing file is appended to, a new one has mode 0640. What the child's user could have put
/// in the place of a file or of a directory on the way, a link say, is refused, and not written to
/// later. A relative path is taken from the directory that the host is in when the child is
/// protected. frigate's thread moves the bytes, over all starts of the child, and loses none but
/// those that a full disk does not take and those of a backup too many; the child never waits for a
/// disk. A file that is renamed, removed or emptied by somebody else, as logrotate does, is
/// noticed. What a process of the child's writes after the child's group has ended for good is
/// lost.
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
        Self {
            stdout: Some(file.into()),
            ..self
        }
    }

    /// Sets [`Logger::stderr`](#structfield.stderr).
    ///
    /// ```
    /// assert!(frigate::Logger::new().stderr("err.log").stderr.is_some());
    /// ```
    #[must_use]
    pub fn stderr(self, file: impl Into<PathBuf>) -> Self {
        Self {
            stderr: Some(file.into()),
            ..self
        }
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

/// Opens the files, and makes the pipes to them.
pub(crate) fn open(logger: Option<&Logger>, user: Option<ChildUser<'_>>) -> Result<Capture, Error> {
    let Some(Logger {
        stdout,
        stderr,
        backups,
        max_bytes,
        redirect,
    }) = logger
    else {
        return Ok(Capture::default());
    };
    let place = |path: &Option<PathBuf>| {
        let path = path.as_ref().map(|path| {
            let expected = "a file's path of at most 4095 bytes, in UTF-8 and without a null byte";
            let word = || Error::Word {
                word: path.to_string_lossy().into_owned(),
                expected,
            };
            let text = path
                .to_str()
                .filter(|text| (1..4096).contains(&text.len()) && !text.contains('\0'));
            text.map(|text| LogPath {
                path: text.to_owned(),
                spelled: String::new(),
            })
            .ok_or_else(word)
        });
        path.transpose()
    };
    let logs = Logs {
        stdout: place(stdout)?,
        stderr: place(stderr)?,
        // By the same name both would be moved to one file, each in its own time; by one pipe they
        // keep their order.
        redirect: *redirect || stdout.is_some() && stdout == stderr,
        // As good as 0: the file is never rotated.
        max_bytes: if *max_bytes == ByteSize::MAX {
            0
        } else {
            max_bytes.bytes()
        },
        backups: *backups,
    };
    Capture::open(&logs, user).map_err(|(log, refusal)| Error::LogFile {
        path: PathBuf::from(&log.path),
        source: if refusal.is_by_rule() {
            io::Error::new(io::ErrorKind::PermissionDenied, refusal.reason())
        } else {
            io::Error::from_raw_os_error(refusal.errno.raw())
        },
    })
}

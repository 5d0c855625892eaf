//! The termination log: the file in which Kubernetes looks for the reason of a container's end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::core::errno::Errno;
use crate::messages::line::Line;
use crate::sys::output;
use crate::sys::safe_open::{self, ChildUser, OpenError};

/// The path that Kubernetes mounts by default (`terminationMessagePath`).
pub(crate) const DEFAULT_PATH: &str = "/dev/termination-log";

/// What `--termination-log` asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum WantedLog {
    /// `/dev/termination-log`, if it exists and the application has left it empty.
    #[default]
    Automatic,
    None,
    Path(String),
}

/// The log that the termination message is written to.
pub(crate) enum Log {
    None,
    /// `/dev/termination-log`. It is looked for when there is a message: only root can replace it,
    /// and a plain start makes no system call for it.
    Automatic,
    /// A path that was asked for. It is opened before the child starts, which could replace it.
    At {
        path: String,
        file: Result<OwnedFd, OpenError>,
    },
}

/// The path that was asked for and cannot be written, why, and what happens next.
pub(crate) type Failure<'a> = (&'a str, Errno, String);

impl Log {
    /// Opens what was asked for, or creates it. Nothing is written or emptied before there is a
    /// message.
    pub(crate) fn open(wanted: &WantedLog, user: Option<ChildUser<'_>>) -> Self {
        match wanted {
            WantedLog::None => Self::None,
            WantedLog::Automatic => Self::Automatic,
            WantedLog::Path(path) => Self::at(path, user),
        }
    }

    // Not inlined: what every run executes has 160 bytes less (`tools/order.ld`).
    #[inline(never)]
    fn at(path: &str, user: Option<ChildUser<'_>>) -> Self {
        Self::At {
            path: path.to_owned(),
            file: safe_open::open(path, user).map(|opened| opened.file),
        }
    }

    /// Writes the message. It is composed only if there is a file for it.
    ///
    /// # Errors
    ///
    /// The path that was asked for cannot be written. The automatic one may fail silently.
    pub(crate) fn write(&self, compose: &dyn Fn() -> Line) -> Result<(), Failure<'_>> {
        const THEN: &str = "going on";
        match self {
            Self::None => Ok(()),
            Self::Automatic => {
                if let Some(file) = output::open_empty_file(DEFAULT_PATH) {
                    let _ = write_message(file.as_fd(), compose);
                }
                Ok(())
            }
            Self::At {
                path,
                file: Ok(file),
            } => write_message(file.as_fd(), compose)
                .map_err(|errno| (path.as_str(), errno, THEN.to_owned())),
            Self::At {
                path,
                file: Err(error),
            } => Err((path, error.errno, error.followed_by(THEN))),
        }
    }
}

/// Composes and writes the message. Not inlined, so that its stack frame, with a message of 2 KiB,
/// is not part of its callers'.
#[inline(never)]
fn write_message(file: BorrowedFd<'_>, compose: &dyn Fn() -> Line) -> Result<(), Errno> {
    output::replace_content(file, compose().as_bytes())
}

#[cfg(test)]
#[path = "termination_tests.rs"]
mod tests;

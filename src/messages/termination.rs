//! The termination message: one line of JSON in the file where Kubernetes looks for the reason of a
//! container's end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::core::errno::Errno;
use crate::messages::line::Line;
use crate::sys::output;
use crate::sys::safe_open::{self, ChildUser, OpenError};

/// The path that Kubernetes mounts by default (`terminationMessagePath`).
pub(crate) const DEFAULT_PATH: &str = "/dev/termination-log";

/// Where an option sends the termination message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum TerminationLog {
    /// To `/dev/termination-log`, if it exists and the application has left it empty.
    #[default]
    Automatic,
    None,
    Path(String),
}

/// Where the message goes, with the file open if an option names it.
pub(crate) enum OpenLog {
    None,
    /// `/dev/termination-log`, opened when there is a message. It needs no early open, because only
    /// root can replace it, and so a plain start makes no system call for it.
    Automatic,
    /// The path of an option. It is opened at the start, because by the end the child may have
    /// replaced the file.
    At {
        path: String,
        file: Result<OwnedFd, OpenError>,
    },
}

/// A path that could not be written: the path, the error number, and what follows it in the
/// message.
pub(crate) type Failure<'a> = (&'a str, Errno, String);

impl OpenLog {
    /// Opens the file that an option names, or creates it. Writes nothing, and does not empty it
    /// before there is a message.
    pub(crate) fn open(wanted: &TerminationLog, user: Option<ChildUser<'_>>) -> Self {
        match wanted {
            TerminationLog::None => Self::None,
            TerminationLog::Automatic => Self::Automatic,
            TerminationLog::Path(path) => Self::at(path, user),
        }
    }

    /// Not inlined, since a plain run has no such path.
    #[inline(never)]
    fn at(path: &str, user: Option<ChildUser<'_>>) -> Self {
        Self::At {
            path: path.to_owned(),
            file: safe_open::open(path, user).map(|opened| opened.file),
        }
    }

    /// Returns the descriptor that must stay open. `None` means that there is none.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::At { file: Ok(file), .. } => Some(file.as_fd()),
            Self::None | Self::Automatic | Self::At { .. } => None,
        }
    }

    /// Writes the message. Calls `compose` only if there is a file for it.
    ///
    /// # Errors
    ///
    /// The path of an option cannot be written. A failure to write `/dev/termination-log` is no
    /// error, because no option asked for it.
    #[inline(never)]
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
/// is not part of the callers' frames.
#[inline(never)]
fn write_message(file: BorrowedFd<'_>, compose: &dyn Fn() -> Line) -> Result<(), Errno> {
    output::replace_content(file, compose().as_bytes())
}

#[cfg(test)]
#[path = "termination_tests.rs"]
mod tests;

//! The termination message: one line of JSON where Kubernetes looks for the reason of a container's
//! end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::core::errno::Errno;
use crate::messages::line::Line;
use crate::sys::output;
use crate::sys::safe_open::{self, ChildUser, OpenError};

/// The path that Kubernetes mounts by default (`terminationMessagePath`).
pub(crate) const DEFAULT_PATH: &str = "/dev/termination-log";

/// Where the last message goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum TerminationLog {
    /// `/dev/termination-log`, where it exists and the application has left it empty.
    #[default]
    Automatic,
    None,
    Path(String),
}

/// Where the message goes.
pub(crate) enum OpenLog {
    None,
    /// `/dev/termination-log`, which is looked for when there is a message: nobody but root can put
    /// anything in its place, and a plain start makes no system call for it.
    Automatic,
    /// A path that was asked for by name, opened at the start: by the end the child may have put
    /// anything in its place.
    At {
        path: String,
        file: Result<OwnedFd, OpenError>,
    },
}

/// The path that was asked for by name cannot be written, why, and what is said after that.
pub(crate) type Failure<'a> = (&'a str, Errno, String);

impl OpenLog {
    /// Opens what was asked for, or makes it; nothing is written and nothing emptied before there
    /// is a message.
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

    /// What must stay open.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::At { file: Ok(file), .. } => Some(file.as_fd()),
            Self::None | Self::Automatic | Self::At { .. } => None,
        }
    }

    /// Writes the message, which is composed only if there is a file for it.
    ///
    /// # Errors
    ///
    /// The path that was asked for by name cannot be written. Where nobody asked, nobody is told.
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

/// Not inlined, so that its stack frame, with a message of 2 KiB, is not part of those that look
/// for a file.
#[inline(never)]
fn write_message(file: BorrowedFd<'_>, compose: &dyn Fn() -> Line) -> Result<(), Errno> {
    output::replace_content(file, compose().as_bytes())
}

#[cfg(test)]
#[path = "termination_tests.rs"]
mod tests;

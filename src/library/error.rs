//! Why something was refused.

use core::fmt;
use std::error;
use std::io;
use std::path::PathBuf;

/// Why a call was refused. Nothing was started then, and nothing was changed.
///
/// What happens to a child later, and be it that its program does not exist, is no error but an
/// [`Outcome`](crate::Outcome).
///
/// ```
/// use frigate::{Error, Frigate};
///
/// let refused = Frigate::create("").protect();
/// assert!(matches!(refused, Err(Error::Word { .. })));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A word that has no meaning where it was given: an empty name, a null byte, a size that is
    /// none.
    Word {
        /// The word.
        word: String,
        /// What is accepted there.
        expected: &'static str,
    },
    /// A child of that name is protected already, and has not ended for good.
    AlreadyProtected {
        /// The name.
        name: String,
    },
    /// It is not protected, so that there is nothing to stop or to wait for.
    NotProtected {
        /// The name.
        name: String,
    },
    /// This process was started as a task that it has not registered. It must not protect anything:
    /// each of its children would do the same, without end.
    NotRegistered {
        /// The name of the task.
        name: String,
    },
    /// A task of a program that the kernel started with privileges of its file: set-user-ID,
    /// set-group-ID or file capabilities (`AT_SECURE` in `getauxval(3)`). The task's process would
    /// be started in the same way, and in such a process the variable that says which task it is is
    /// not believed: anybody can set it. Programs can be protected there.
    Privileged {
        /// The name of the task.
        name: String,
    },
    /// The user, the group or the user database of [`Strategy::user`](crate::Strategy::user) cannot
    /// be had.
    User {
        /// One line: what cannot be had, and why.
        reason: String,
    },
    /// A limit of the [`ControlGroup`](crate::ControlGroup) cannot be had.
    ControlGroup {
        /// One line: the limit, the file, the reason and the remedy.
        reason: String,
    },
    /// A file of the [`Logger`](crate::Logger) cannot be opened or made.
    LogFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This process was forked from the one that protects the children, without an exec. It has a
    /// copy of the host's memory, but the thread that watches over the children is in the host
    /// alone. A program that forks does so before it protects anything; each process is then a host
    /// of its own.
    Forked,
    /// The host ignores SIGCHLD or has set `SA_NOCLDWAIT`: the kernel would throw away how children
    /// end (`wait(2)`).
    ChildrenDiscarded,
    /// The kernel is older than Linux 5.4, or a filter of system calls forbids pidfds.
    Unsupported,
    /// The kernel refused something else.
    System {
        /// What was to be done.
        attempt: &'static str,
        /// Why it could not be.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { word, expected } => write!(out, "cannot use '{}': expected {expected}", word.escape_debug()),
            Self::AlreadyProtected { name } => {
                write!(out, "cannot protect '{name}': a child of that name is protected already")
            }
            Self::NotProtected { name } => write!(out, "cannot act on '{name}': it is not protected"),
            Self::NotRegistered { name } => write!(
                out,
                "cannot protect anything: this process was started as the task '{name}', which was not registered; call \
                 register_task first of all in main"
            ),
            Self::Privileged { name } => write!(
                out,
                "cannot protect the task '{name}': this program has privileges of its file (set-user-ID, set-group-ID or \
                 capabilities), where FRIGATE_TASK is ignored; protect a program instead"
            ),
            Self::User { reason } | Self::ControlGroup { reason } => out.write_str(reason),
            Self::LogFile { path, source } => write!(out, "cannot open '{}': {source}", path.display()),
            Self::Forked => out.write_str(
                "cannot protect, stop or wait for anything: this process was forked from the one that protects the \
                 children; fork before anything is protected, or execute a program",
            ),
            Self::ChildrenDiscarded => {
                out.write_str("cannot protect anything: SIGCHLD is ignored, so that nobody learns how a child ended")
            }
            Self::Unsupported => out.write_str(
                "cannot protect anything: this kernel has no pidfds that can be waited for (Linux 5.4), or a filter forbids \
                 them",
            ),
            Self::System { attempt, source } => write!(out, "cannot {attempt}: {source}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::System { source, .. } | Self::LogFile { source, .. } => Some(source),
            Self::Word { .. }
            | Self::AlreadyProtected { .. }
            | Self::NotProtected { .. }
            | Self::NotRegistered { .. }
            | Self::Privileged { .. }
            | Self::User { .. }
            | Self::ControlGroup { .. }
            | Self::Forked
            | Self::ChildrenDiscarded
            | Self::Unsupported => None,
        }
    }
}

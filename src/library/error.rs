//! Why a call was refused.

use core::fmt;
use std::error;
use std::io;
use std::path::PathBuf;

/// Why a call was refused. Nothing was started, and the child stays as it was.
///
/// What happens after a start is an [`Outcome`](crate::Outcome), not an `Error`. That includes a
/// program that does not exist.
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
    /// A value has no meaning: an empty name, text with a null byte, or a size that is no number.
    Word {
        /// The value.
        word: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A child of this name is protected, and has not ended for good.
    AlreadyProtected {
        /// The name of the child.
        name: String,
    },
    /// The child is not protected, so that there is nothing to stop or to wait for.
    NotProtected {
        /// The name of the child.
        name: String,
    },
    /// This process was started as a task that it has not registered. It must not protect anything:
    /// it runs the same `main` as the host, and its children would do so again, without end.
    NotRegistered {
        /// The name of the task.
        name: String,
    },
    /// The child is a function of a program that got privileges from its file: set-user-ID,
    /// set-group-ID or file capabilities (`AT_SECURE` in `getauxval(3)`). Such a program ignores
    /// the variable `FRIGATE_TASK`, because any user could set it, and so cannot run the function
    /// in another process. It can protect programs.
    Privileged {
        /// The name of the task.
        name: String,
    },
    /// The user or the group of [`Strategy::user`](crate::Strategy::user) does not exist, or the
    /// user database cannot be read.
    User {
        /// One line that says what is wrong.
        reason: String,
    },
    /// The target of a check has no meaning, or is not supported:
    /// [`Strategy::health`](crate::Strategy::health), [`Strategy::ready`](crate::Strategy::ready).
    Target {
        /// The target.
        target: String,
        /// What is wrong with it, and what is accepted.
        reason: &'static str,
    },
    /// A limit of the [`ControlGroup`](crate::ControlGroup) cannot be applied.
    ControlGroup {
        /// One line that names the limit, the reason and the remedy.
        reason: String,
    },
    /// A file of the [`Logger`](crate::Logger) cannot be opened or created.
    LogFile {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// This process was forked from the host, without an exec. It has a copy of the host's memory,
    /// but not frigate's thread. A program that forks must do so before it protects anything; then
    /// each of its processes can be a host of its own.
    Forked,
    /// The host ignores SIGCHLD or has set `SA_NOCLDWAIT`, so that the kernel discards the exit
    /// statuses of children (`wait(2)`).
    ChildrenDiscarded,
    /// The kernel is older than Linux 5.4, or a filter of system calls forbids pidfds.
    Unsupported,
    /// The kernel refused another system call.
    System {
        /// What frigate tried to do.
        attempt: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { word, expected } => {
                let word = word.escape_debug();
                write!(out, "cannot use '{word}': expected {expected}")
            }
            Self::Target { target, reason } => {
                let target = target.escape_debug();
                write!(out, "cannot check '{target}': {reason}")
            }
            Self::AlreadyProtected { name } => write!(
                out,
                "cannot protect '{name}': a child of that name is protected already"
            ),
            Self::NotProtected { name } => {
                write!(out, "cannot act on '{name}': it is not protected")
            }
            Self::NotRegistered { name } => write!(
                out,
                "cannot protect anything: this process was started as the task '{name}', which was \
                 not registered; call register_task first of all in main"
            ),
            Self::Privileged { name } => write!(
                out,
                "cannot protect the task '{name}': this program has privileges of its file \
                 (set-user-ID, set-group-ID or capabilities), where FRIGATE_TASK is ignored; \
                 protect a program instead"
            ),
            Self::User { reason } | Self::ControlGroup { reason } => out.write_str(reason),
            Self::LogFile { path, source } => {
                write!(out, "cannot open '{}': {source}", path.display())
            }
            Self::Forked => out.write_str(
                "cannot protect, stop or wait for anything: this process was forked from the one \
                 that protects the children; fork before anything is protected, or execute a \
                 program",
            ),
            Self::ChildrenDiscarded => out.write_str(
                "cannot protect anything: SIGCHLD is ignored, so that nobody learns how a child \
                 ended",
            ),
            Self::Unsupported => out.write_str(
                "cannot protect anything: this kernel has no pidfds that can be waited for \
                 (Linux 5.4), or a filter forbids them",
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
            | Self::Target { .. }
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

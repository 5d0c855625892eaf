//! How the protection of a child ended, and why a child could not begin.

use core::fmt;
use std::error;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::core::status::{self, SpawnFailure, Stage};

/// What [`Outcome::Cancel`] prints: the host asked for the end.
///
/// ```
/// assert_eq!(frigate::Outcome::Cancel { last: None }.to_string(), frigate::CANCEL_PROCESS);
/// ```
pub const CANCEL_PROCESS: &str = "cancel";

/// What [`Outcome::Complete`] prints: the child ended by itself, and the strategy wants no other
/// start.
///
/// ```
/// use std::process::ExitStatus;
/// assert_eq!(frigate::Outcome::Complete(ExitStatus::default()).to_string(), frigate::COMPLETE_PROCESS);
/// ```
pub const COMPLETE_PROCESS: &str = "complete";

/// How the protection of a child ended. It prints one word: `cancel`, `complete`, `gave-up` or
/// `not-started`.
///
/// ```
/// use frigate::{AutoRestart, Frigate, Outcome, Strategy};
///
/// let frigate = Frigate::create("true").strategy(Strategy::new().auto_restart(AutoRestart::False));
/// frigate.protect()?;
/// match frigate.wait()? {
///     Outcome::Complete(status) => assert!(status.success()),
///     other => panic!("it was to complete: {other}"),
/// }
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It was stopped by [`Frigate::stop`](crate::Frigate::stop).
    Cancel {
        /// How the last child ended; none: none ever ran.
        last: Option<ExitStatus>,
    },
    /// The child ended by itself, and the strategy does not start it again.
    Complete(ExitStatus),
    /// Too many starts in a row failed.
    GaveUp {
        /// How the last child ended; none: none ever ran.
        last: Option<ExitStatus>,
    },
    /// It cannot be started, now or later.
    NotStarted(StartError),
}

impl Outcome {
    /// How the last child ended, where one ever ran.
    ///
    /// ```
    /// assert_eq!(frigate::Outcome::GaveUp { last: None }.status(), None);
    /// ```
    #[must_use]
    pub const fn status(&self) -> Option<ExitStatus> {
        match self {
            Self::Complete(status) => Some(*status),
            Self::Cancel { last } | Self::GaveUp { last } => *last,
            Self::NotStarted(_) => None,
        }
    }

    /// The words of the core for a library's caller; `message` says what a start failed of.
    pub(crate) fn of(
        outcome: status::Outcome,
        message: impl FnOnce(SpawnFailure) -> String,
    ) -> Self {
        match outcome {
            status::Outcome::Complete(status) => Self::Complete(exit_status(status)),
            status::Outcome::Cancel { last, .. } => Self::Cancel {
                last: last.map(exit_status),
            },
            status::Outcome::GaveUp { last } => Self::GaveUp {
                last: last.map(exit_status),
            },
            status::Outcome::NotStarted(failure) => {
                Self::NotStarted(StartError::new(failure, message(failure)))
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Cancel { .. } => CANCEL_PROCESS,
            Self::Complete(_) => COMPLETE_PROCESS,
            Self::GaveUp { .. } => "gave-up",
            Self::NotStarted(_) => "not-started",
        })
    }
}

/// The number of `wait(2)` for it, which the standard library's own type wraps.
pub(crate) fn exit_status(status: status::ExitStatus) -> ExitStatus {
    ExitStatus::from_raw(match status {
        status::ExitStatus::Exited(code) => i32::from(code) << 8,
        status::ExitStatus::Signaled { signal, core } => signal.raw() | if core { 0x80 } else { 0 },
    })
}

/// The step between the decision to start a child and its first instruction that failed.
///
/// ```
/// use frigate::{Frigate, Outcome, Step};
///
/// let frigate = Frigate::create("/does/not/exist");
/// frigate.protect()?;
/// assert!(matches!(frigate.wait()?, Outcome::NotStarted(error) if error.step() == Step::Execute));
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Step {
    /// To make a process.
    Fork,
    /// To enter its cgroup.
    ControlGroup,
    /// To change its root.
    Root,
    /// To become its user.
    User,
    /// To enter its working directory.
    Directory,
    /// To execute the program.
    Execute,
}

/// Why a child could not be started. It prints one line: `cannot execute 'x': …`.
///
/// ```
/// use frigate::{Frigate, Outcome};
///
/// let frigate = Frigate::create("/etc");
/// frigate.protect()?;
/// let Outcome::NotStarted(error) = frigate.wait()? else { panic!("a directory was executed") };
/// assert_eq!(error.to_string(), "cannot execute '/etc': permission denied");
/// assert_eq!(error.io_error().kind(), std::io::ErrorKind::PermissionDenied);
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartError {
    step: Step,
    errno: i32,
    message: String,
}

impl StartError {
    pub(crate) fn new(failure: SpawnFailure, message: String) -> Self {
        let step = match failure.stage {
            Stage::Fork | Stage::Streams => Step::Fork,
            Stage::Cgroup => Step::ControlGroup,
            Stage::Root => Step::Root,
            Stage::Groups | Stage::Group | Stage::User | Stage::NoNewPrivileges => Step::User,
            Stage::Directory => Step::Directory,
            Stage::Exec => Step::Execute,
        };
        Self {
            step,
            errno: failure.errno.raw(),
            message,
        }
    }

    /// The step that failed.
    ///
    /// ```
    /// # use frigate::{Frigate, Outcome, Step};
    /// # let frigate = Frigate::create("/does/not/exist");
    /// # frigate.protect()?;
    /// # let Outcome::NotStarted(error) = frigate.wait()? else { panic!() };
    /// assert_eq!(error.step(), Step::Execute);
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Why, in the words of the operating system.
    ///
    /// ```
    /// # use frigate::{Frigate, Outcome, Step};
    /// # let frigate = Frigate::create("/does/not/exist");
    /// # frigate.protect()?;
    /// # let Outcome::NotStarted(error) = frigate.wait()? else { panic!() };
    /// assert_eq!(error.io_error().kind(), std::io::ErrorKind::NotFound);
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn io_error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl error::Error for StartError {}

//! How the protection of a child ended, and why a child could not be started.

use core::fmt;
use std::error;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::core::status::{self, SpawnFailure, Stage};

/// The word that [`Outcome::Cancel`] prints: the host stopped the child.
///
/// ```
/// assert_eq!(frigate::Outcome::Cancel { last: None }.to_string(), frigate::CANCEL_PROCESS);
/// ```
pub const CANCEL_PROCESS: &str = "cancel";

/// The word that [`Outcome::Complete`] prints: the child ended by itself, and is not started again.
///
/// ```
/// use std::process::ExitStatus;
/// use frigate::{COMPLETE_PROCESS, Outcome};
/// assert_eq!(Outcome::Complete(ExitStatus::default()).to_string(), COMPLETE_PROCESS);
/// ```
pub const COMPLETE_PROCESS: &str = "complete";

/// How the protection of a child ended. It prints as one word: `cancel`, `complete`, `unhealthy`,
/// `gave-up` or `not-started`.
///
/// ```
/// use frigate::{AutoRestart, Frigate, Outcome, Strategy};
///
/// let once = Strategy::new().auto_restart(AutoRestart::False);
/// let frigate = Frigate::create("true").strategy(once);
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
    /// [`Frigate::stop`](crate::Frigate::stop) stopped the child.
    Cancel {
        /// How the last process ended. `None` means that none ever ran.
        last: Option<ExitStatus>,
    },
    /// The child ended by itself, and [`Strategy::auto_restart`](crate::Strategy::auto_restart)
    /// does not ask for another start.
    Complete(ExitStatus),
    /// The child was unhealthy or not ready in time, frigate stopped it, and
    /// [`Strategy::auto_restart`](crate::Strategy::auto_restart) does not ask for another start.
    Unhealthy(ExitStatus),
    /// Too many starts in a row failed.
    GaveUp {
        /// How the last process ended. `None` means that none ever ran.
        last: Option<ExitStatus>,
    },
    /// The child could not be started, and another attempt would not help.
    NotStarted(StartError),
}

impl Outcome {
    /// Returns how the last process ended. `None` means that none ever ran.
    ///
    /// ```
    /// assert_eq!(frigate::Outcome::GaveUp { last: None }.status(), None);
    /// ```
    #[must_use]
    pub const fn status(&self) -> Option<ExitStatus> {
        match self {
            Self::Complete(status) | Self::Unhealthy(status) => Some(*status),
            Self::Cancel { last } | Self::GaveUp { last } => *last,
            Self::NotStarted(_) => None,
        }
    }

    /// Converts the core's outcome. `message` words the failure of a start.
    pub(crate) fn of(
        outcome: status::Outcome,
        message: impl FnOnce(SpawnFailure) -> String,
    ) -> Self {
        match outcome {
            status::Outcome::Complete(status) => Self::Complete(exit_status(status)),
            status::Outcome::Cancel { last, .. } => Self::Cancel {
                last: last.map(exit_status),
            },
            status::Outcome::Unhealthy { last, .. } => Self::Unhealthy(exit_status(last)),
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
            Self::Unhealthy(_) => "unhealthy",
            Self::GaveUp { .. } => "gave-up",
            Self::NotStarted(_) => "not-started",
        })
    }
}

/// Converts an exit status to that of the standard library, which wraps the number of `wait(2)`.
pub(crate) fn exit_status(status: status::ExitStatus) -> ExitStatus {
    ExitStatus::from_raw(match status {
        status::ExitStatus::Exited(code) => i32::from(code) << 8,
        status::ExitStatus::Signaled { signal, core } => signal.raw() | if core { 0x80 } else { 0 },
    })
}

/// A step of the start of a child.
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
    /// Creating a process.
    Fork,
    /// Entering the child's cgroup.
    ControlGroup,
    /// Changing the root directory.
    Root,
    /// Becoming the child's user.
    User,
    /// Entering the working directory.
    Directory,
    /// Executing the program.
    Execute,
}

/// Why a child could not be started. It prints as one line, such as `cannot execute 'x': …`.
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

    /// Returns the step that failed.
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

    /// Returns the error of the operating system.
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

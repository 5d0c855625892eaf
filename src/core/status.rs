//! How a child ended or failed to start, how frigate ends, and the exit codes of both.

use core::fmt;

use crate::core::errno::Errno;
use crate::core::exit_code::{self, CANNOT_EXECUTE, FRIGATE_FAILED, NOT_FOUND};
use crate::core::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExitStatus {
    Exited(u8),
    Signaled { signal: Signal, core: bool },
}

/// What `wait4(2)` reports of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitStatus {
    Ended(ExitStatus),
    Suspended(Signal),
    Continued,
}

impl WaitStatus {
    /// Decodes the raw number of `wait4(2)`. The usual decoders know no real-time signals, and fail
    /// after they have reaped the child.
    pub(crate) fn from_raw(raw: i32) -> Option<Self> {
        let high = u8::try_from((raw >> 8) & 0xff).ok()?;
        match (raw & 0x7f, raw) {
            (_, 0xffff) => Some(Self::Continued),
            (0, _) => Some(Self::Ended(ExitStatus::Exited(high))),
            (0x7f, _) => Signal::new(i32::from(high)).map(Self::Suspended),
            (number, _) => {
                let signal = Signal::new(number)?;
                Some(Self::Ended(ExitStatus::Signaled {
                    signal,
                    core: raw & 0x80 != 0,
                }))
            }
        }
    }
}

impl ExitStatus {
    /// Returns the exit code that shells and container engines give it: its own, or 128 plus the
    /// signal's number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled { signal, .. } => exit_code::of_signal(signal),
        }
    }

    pub(crate) const fn signal(self) -> Option<Signal> {
        match self {
            Self::Exited(_) => None,
            Self::Signaled { signal, .. } => Some(signal),
        }
    }

    /// Returns whether a user at the terminal may have ended it: by SIGINT or SIGQUIT, or with the
    /// exit code that a shell makes of them.
    pub(crate) fn looks_interrupted(self) -> bool {
        let code = self.code();
        [Signal::INT, Signal::QUIT]
            .map(exit_code::of_signal)
            .contains(&code)
    }
}

/// `exited with code 3`, `was ended by TERM`.
impl fmt::Display for ExitStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(out, "exited with code {code}"),
            Self::Signaled { signal, core } => {
                write!(
                    out,
                    "was ended by {signal}{}",
                    if *core { " (core dumped)" } else { "" }
                )
            }
        }
    }
}

/// The steps between the decision to start a child and its first instruction, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Fork,
    Streams,
    Cgroup,
    Root,
    Groups,
    Group,
    User,
    Directory,
    NoNewPrivileges,
    Exec,
}

impl Stage {
    pub(crate) const ALL: [Self; 10] = [
        Self::Fork,
        Self::Streams,
        Self::Cgroup,
        Self::Root,
        Self::Groups,
        Self::Group,
        Self::User,
        Self::Directory,
        Self::NoNewPrivileges,
        Self::Exec,
    ];

    /// Returns whether the step prepares what the user asked for, so that its failure is frigate's
    /// own.
    pub(crate) const fn is_setup(self) -> bool {
        matches!(
            self,
            Self::Cgroup
                | Self::Root
                | Self::Groups
                | Self::Group
                | Self::User
                | Self::Directory
                | Self::NoNewPrivileges
        )
    }
}

/// Why a child could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SpawnFailure {
    pub(crate) stage: Stage,
    pub(crate) errno: Errno,
}

impl SpawnFailure {
    /// Returns whether the same start may succeed a moment later.
    pub(crate) const fn is_for_now(self) -> bool {
        self.errno.is_for_now()
    }

    /// Returns 127 if the command was not found, 126 if it could not be executed, as shells do, and
    /// 125 if frigate failed.
    pub(crate) fn code(self) -> u8 {
        match (self.stage, self.errno) {
            (stage, _) if stage.is_setup() => FRIGATE_FAILED,
            (Stage::Exec, Errno::NOT_FOUND | Errno::NOT_A_DIRECTORY) => NOT_FOUND,
            (_, _) => CANNOT_EXECUTE,
        }
    }
}

/// How frigate ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The child ended by itself and is not restarted.
    Complete(ExitStatus),
    /// frigate was asked to stop by this signal, or by the user at the terminal.
    Cancel {
        last: Option<ExitStatus>,
        stop: Signal,
    },
    /// The child was unhealthy, was stopped for that, and is not restarted. Without `was_ready`, it
    /// was not ready in time.
    Unhealthy { last: ExitStatus, was_ready: bool },
    /// Too many starts failed in a row.
    GaveUp { last: Option<ExitStatus> },
    /// The command cannot be started.
    NotStarted(SpawnFailure),
}

impl Outcome {
    /// Returns the word for it in messages and in the termination message.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Complete(_) => "complete",
            Self::Cancel { .. } => "cancel",
            Self::Unhealthy { .. } => "unhealthy",
            Self::GaveUp { .. } => "gave-up",
            Self::NotStarted(failure) if failure.stage.is_setup() => "error",
            Self::NotStarted(_) => "not-started",
        }
    }

    /// Returns the exit code, before `--remap-exit`.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete(status)
            | Self::Cancel {
                last: Some(status), ..
            } => status.code(),
            Self::Cancel { last: None, stop } => exit_code::of_signal(stop),
            Self::Unhealthy { last: status, .. } | Self::GaveUp { last: Some(status) } => {
                status.code().max(1)
            }
            Self::GaveUp { last: None } => CANNOT_EXECUTE,
            Self::NotStarted(failure) => failure.code(),
        }
    }

    /// Returns how the child ended last; `None` if it never ran.
    pub(crate) const fn last(self) -> Option<ExitStatus> {
        match self {
            Self::Complete(status) | Self::Unhealthy { last: status, .. } => Some(status),
            Self::Cancel { last, .. } | Self::GaveUp { last } => last,
            Self::NotStarted(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

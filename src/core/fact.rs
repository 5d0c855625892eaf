//! The facts that frigate may have to tell, as data; how they read is `message`'s business.

use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};
use crate::core::usage::Usage;

/// How much a fact matters, from the most to the least; each is said from some verbosity on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Level {
    /// Always said, `-q` or not: frigate refuses, gives up or fails.
    Error,
    /// Said unless `-q`: something that a good run does not have.
    Warning,
    /// Said at `-v`.
    Info,
    /// Said at `-vv`.
    Debug,
}

impl Level {
    /// The default verbosity: what is reported without `-q` and `-v`.
    pub(crate) const DEFAULT_VERBOSITY: Self = Self::Warning;
}

/// What became of a start or of an end that is followed by another start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    Ended {
        pid: Option<Pid>,
        status: ExitStatus,
        uptime: Duration,
        usage: Usage,
    },
    NotStarted(SpawnFailure),
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fact<'a> {
    Started {
        pid: Pid,
        restarts: u32,
    },
    Ended {
        pid: Option<Pid>,
        status: ExitStatus,
        uptime: Duration,
        usage: Usage,
    },
    /// `limit`: the failed starts in a row that are one too many, where there is such a number.
    Restarting {
        trouble: Trouble,
        pause: Duration,
        failures: u32,
        limit: Option<u32>,
    },
    GaveUp {
        failures: u32,
        last: Option<ExitStatus>,
        code: u8,
    },
    NotStarted {
        failure: SpawnFailure,
        code: u8,
    },
    StopAsked {
        signal: Signal,
    },
    Forwarded {
        signal: Signal,
        pid: Pid,
    },
    /// Nobody was there to get it or, `by_rule`, `--rewrite` says so.
    Dropped {
        signal: Signal,
        by_rule: bool,
    },
    Continued {
        pid: Pid,
    },
    /// The child was sent KILL, its grace period being over.
    Killed {
        pid: Option<Pid>,
        grace: Duration,
    },
    /// What the child left was sent TERM.
    EndingLeftovers,
    /// What the child left was sent KILL, its grace period being over.
    LeftoversKilled {
        grace: Duration,
    },
    /// The child, or `pid` being `None` what it left, is still there and is given up.
    LeftBehind {
        pid: Option<Pid>,
        reason: &'static str,
    },
    /// Another process of the child's name was sent TERM, or KILL.
    OtherSignaled {
        signal: Signal,
        pid: Pid,
        wait: Duration,
    },
    OthersLeft,
    /// The child's cgroup was there already, with processes of an earlier run.
    GroupAdopted,
    /// Something about a limit that keeps nothing from starting.
    Limit {
        verb: &'a str,
        object: &'a str,
        reason: &'a str,
        then: &'a str,
    },
    Orphan {
        pid: Pid,
        status: ExitStatus,
    },
    CannotSignal {
        signal: Signal,
        pid: Pid,
        errno: Errno,
    },
    /// Something else frigate could not do; `then` says what happens next.
    Cannot {
        verb: &'a str,
        object: &'a str,
        errno: Errno,
        then: &'a str,
    },
    /// Standard error took no more; so many messages were never said.
    MessagesDropped {
        count: u64,
    },
    /// So many bytes of the child's output could not be written to its log file.
    LogDropped {
        file: &'a str,
        count: u64,
        errno: Errno,
    },
    /// The state machine was told something that cannot happen there; it did nothing.
    Impossible {
        state: &'static str,
        event: &'static str,
    },
    Finished {
        outcome: Outcome,
        code: u8,
    },
}

impl Fact<'_> {
    pub(crate) const fn level(&self) -> Level {
        match self {
            Self::GaveUp { .. } | Self::NotStarted { .. } => Level::Error,
            // Nobody asked for that end, and nothing else would tell of it.
            Self::Ended {
                usage:
                    Usage {
                        out_of_memory: true,
                        ..
                    },
                ..
            }
            | Self::Restarting { .. }
            | Self::Continued { .. }
            | Self::Killed { .. }
            | Self::LeftoversKilled { .. }
            | Self::LeftBehind { .. }
            | Self::OtherSignaled { .. }
            | Self::OthersLeft
            | Self::GroupAdopted
            | Self::Limit { .. }
            | Self::CannotSignal { .. }
            | Self::Cannot { .. }
            | Self::MessagesDropped { .. }
            | Self::LogDropped { .. }
            | Self::Impossible { .. } => Level::Warning,
            Self::Started { .. }
            | Self::Ended { .. }
            | Self::StopAsked { .. }
            | Self::Forwarded { .. }
            | Self::Dropped { .. }
            | Self::EndingLeftovers
            | Self::Finished { .. } => Level::Info,
            Self::Orphan { .. } => Level::Debug,
        }
    }

    /// The name of the event in JSON messages.
    pub(crate) const fn event(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Ended { .. } => "ended",
            Self::Restarting { .. } => "restarting",
            Self::GaveUp { .. } => "gave-up",
            Self::NotStarted { .. } => "not-started",
            Self::StopAsked { .. } => "stop",
            Self::Forwarded { .. } => "forwarded",
            Self::Dropped { .. } => "dropped",
            Self::Continued { .. } => "continued",
            Self::Killed { .. } => "killed",
            Self::EndingLeftovers => "leftovers",
            Self::LeftoversKilled { .. } => "leftovers-killed",
            Self::LeftBehind { .. } => "left-behind",
            Self::OtherSignaled { .. } => "other-signaled",
            Self::OthersLeft => "others-left",
            Self::GroupAdopted => "group-adopted",
            Self::Limit { .. } => "limit",
            Self::Orphan { .. } => "reaped",
            Self::CannotSignal { .. } => "cannot-signal",
            Self::Cannot { .. } => "cannot",
            Self::MessagesDropped { .. } => "messages-dropped",
            Self::LogDropped { .. } => "log-dropped",
            Self::Impossible { .. } => "impossible",
            Self::Finished { .. } => "finished",
        }
    }
}

//! What happened and may be reported, as data. `messages` decides how it reads.

use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::health::failure::CheckFailure;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};
use crate::core::usage::Usage;

/// How much a fact matters, from the most to the least. The verbosity is the last level that is
/// reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Level {
    /// Always reported, even with `-q`: frigate refuses, gives up or fails.
    Error,
    /// Reported unless `-q`: a good run has no such fact.
    Warning,
    /// Reported with `-v`.
    Info,
    /// Reported with `-vv`.
    Debug,
}

impl Level {
    /// The default verbosity: what is reported without `-q` and `-v`.
    pub(crate) const DEFAULT_VERBOSITY: Self = Self::Warning;
}

/// What makes frigate start the child again.
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
    /// `limit` is how many consecutive failed starts make frigate give up; `None` if it never does.
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
    /// The child is left alone for `delay` before it is sent the stop signal.
    StopDelayed {
        pid: Option<Pid>,
        delay: Duration,
    },
    RestartAsked {
        signal: Signal,
    },
    /// What a path of `--watch` names has changed. The child is sent `signal`; `None` means that it is
    /// stopped and started again.
    Changed {
        path: &'a str,
        signal: Option<Signal>,
        pid: Pid,
    },
    Forwarded {
        signal: Signal,
        pid: Pid,
    },
    /// The child was not running or, with `by_rule`, `--rewrite` drops the signal.
    Dropped {
        signal: Signal,
        by_rule: bool,
    },
    Continued {
        pid: Pid,
    },
    /// The child was sent KILL at the end of its grace period.
    Killed {
        pid: Option<Pid>,
        grace: Duration,
    },
    /// The child is ready, and so has started.
    Ready {
        pid: Option<Pid>,
    },
    /// A check of health has succeeded: the first since the start or, with `again`, the first after
    /// failures.
    Healthy {
        pid: Option<Pid>,
        again: bool,
    },
    /// The child was not ready in time, and is sent `signal`. `failure` is that of the last check;
    /// `None` means that the child should have reported it by itself.
    NotReady {
        pid: Option<Pid>,
        within: Duration,
        failure: Option<CheckFailure>,
        signal: Signal,
    },
    /// So many consecutive checks have failed, the last of them like this. The child is sent
    /// `signal`.
    Unhealthy {
        pid: Option<Pid>,
        failure: CheckFailure,
        failures: u32,
        signal: Signal,
    },
    /// What the child says about itself (`STATUS=`).
    ChildStatus {
        text: &'a str,
    },
    /// The child's leftovers were sent TERM.
    EndingLeftovers,
    /// The child's leftovers were sent KILL at the end of their grace period.
    LeftoversKilled {
        grace: Duration,
    },
    /// The child does not end, and frigate gives up on it. `pid` is `None` if that is true of its
    /// leftovers.
    LeftBehind {
        pid: Option<Pid>,
        reason: &'static str,
    },
    /// A namesake was sent TERM or KILL, and has `wait` to end.
    OtherSignaled {
        signal: Signal,
        pid: Pid,
        wait: Duration,
    },
    OthersLeft,
    /// frigate has no command, and is not PID 1: orphans of other processes do not come to it.
    NotInit,
    /// The child's cgroup existed already, with processes of an earlier run.
    GroupAdopted,
    /// A limit is not applied, or has no effect, and the child is started all the same.
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
    /// frigate failed at something else. `then` is what happens next.
    Cannot {
        verb: &'a str,
        object: &'a str,
        errno: Errno,
        then: &'a str,
    },
    /// Standard error was full, and so many messages were lost.
    MessagesDropped {
        count: u64,
    },
    /// So many bytes of the child's output could not be written to its log file, and were lost.
    LogDropped {
        file: &'a str,
        count: u64,
        errno: Errno,
    },
    /// The core got an event that cannot happen in its state, and did nothing.
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
            // The kernel ended it, and no other message says so.
            Self::Ended {
                usage:
                    Usage {
                        out_of_memory: true,
                        ..
                    },
                ..
            }
            | Self::Restarting { .. }
            | Self::Changed { signal: None, .. }
            | Self::Continued { .. }
            | Self::Killed { .. }
            | Self::NotReady { .. }
            | Self::Unhealthy { .. }
            | Self::LeftoversKilled { .. }
            | Self::LeftBehind { .. }
            | Self::OtherSignaled { .. }
            | Self::OthersLeft
            | Self::NotInit
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
            | Self::StopDelayed { .. }
            | Self::RestartAsked { .. }
            | Self::Changed {
                signal: Some(_), ..
            }
            | Self::Forwarded { .. }
            | Self::Dropped { .. }
            | Self::Ready { .. }
            | Self::Healthy { .. }
            | Self::ChildStatus { .. }
            | Self::EndingLeftovers
            | Self::Finished { .. } => Level::Info,
            Self::Orphan { .. } => Level::Debug,
        }
    }

    /// Returns the name of the event in JSON messages.
    pub(crate) const fn event(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Ended { .. } => "ended",
            Self::Restarting { .. } => "restarting",
            Self::GaveUp { .. } => "gave-up",
            Self::NotStarted { .. } => "not-started",
            Self::StopAsked { .. } => "stop",
            Self::StopDelayed { .. } => "stop-delayed",
            Self::RestartAsked { .. } => "restart",
            Self::Changed { .. } => "changed",
            Self::Forwarded { .. } => "forwarded",
            Self::Dropped { .. } => "dropped",
            Self::Continued { .. } => "continued",
            Self::Killed { .. } => "killed",
            Self::Ready { .. } => "ready",
            Self::Healthy { .. } => "healthy",
            Self::NotReady { .. } => "not-ready",
            Self::Unhealthy { .. } => "unhealthy",
            Self::ChildStatus { .. } => "status",
            Self::EndingLeftovers => "leftovers",
            Self::LeftoversKilled { .. } => "leftovers-killed",
            Self::LeftBehind { .. } => "left-behind",
            Self::OtherSignaled { .. } => "other-signaled",
            Self::OthersLeft => "others-left",
            Self::NotInit => "not-init",
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

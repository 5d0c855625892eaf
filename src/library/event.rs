//! What frigate reports to the host about a protected child.

use core::fmt;
use core::time::Duration;
use std::process::ExitStatus;
use std::sync::Arc;

use crate::core::fact::{Fact, Trouble};
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::library::outcome::{Outcome, StartError, exit_status};
use crate::messages::formatter::MessageFormatter;

/// One thing that happened to a protected child. It prints as one line for people to read, without
/// a line feed.
///
/// ```
/// use frigate::{AutoRestart, EventKind, Frigate, Outcome, Strategy};
///
/// let once = Strategy::new().auto_restart(AutoRestart::False);
/// let frigate = Frigate::create("true").strategy(once);
/// let events = frigate.events();
/// frigate.protect()?;
/// let mut completed = false;
/// // The channel closes when the child has ended for good.
/// for event in events {
///     assert_eq!(&*event.name, "true");
///     completed |= matches!(event.kind, EventKind::Finished(Outcome::Complete(_)));
/// }
/// assert!(completed);
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The name of the child.
    pub name: Arc<str>,
    /// What happened.
    pub kind: EventKind,
    message: String,
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// What happened to a child, in a form for programs.
///
/// ```
/// use frigate::{EventKind, Frigate};
///
/// let frigate = Frigate::create("/does/not/exist");
/// let events = frigate.events();
/// frigate.protect()?;
/// assert!(events.iter().any(|event| matches!(event.kind, EventKind::CannotStart(_))));
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A process was started for the child. If it cannot execute its program,
    /// [`EventKind::CannotStart`] follows.
    Started {
        /// The id of the process.
        pid: u32,
        /// How many processes were started before it.
        restarts: u32,
    },
    /// A process of the child ended.
    Ended {
        /// The id that the process had.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
        /// How long it ran.
        uptime: Duration,
        /// Whether the kernel killed a process of its [`ControlGroup`](crate::ControlGroup) because
        /// it ran out of memory.
        out_of_memory: bool,
    },
    /// A start failed before the program was executed.
    CannotStart(StartError),
    /// The child will be started again.
    Restarting {
        /// How long frigate waits before that.
        pause: Duration,
        /// How many starts in a row have failed.
        failures: u32,
    },
    /// The child will not be started again, because too many starts in a row have failed.
    GaveUp {
        /// How many have failed.
        failures: u32,
    },
    /// The host stops the child.
    Stopping {
        /// How long the child has until KILL.
        timeout: Duration,
    },
    /// The child is ready, and so has started. If a check succeeds even before the process has
    /// executed its program, this comes before [`EventKind::Started`].
    Ready,
    /// A check of the child's health has succeeded: the first since the start, or the first after
    /// failures.
    Healthy,
    /// The child was unhealthy, or not ready in time, and frigate stops it. The event's text says
    /// which check failed, and how.
    Unhealthy,
    /// The child did not end in time after a stop, and was sent KILL.
    Killed,
    /// Processes that the child left running did not end in time, and were sent KILL.
    LeftoversKilled,
    /// The child, or a process that it left running, did not end within 5 s after KILL. frigate no
    /// longer waits for it.
    LeftBehind,
    /// Before the start, another process of the same program was sent TERM or KILL
    /// ([`Strategy::grace_close`](crate::Strategy::grace_close)).
    Closing {
        /// The id of that process.
        pid: u32,
        /// Whether it was KILL.
        killed: bool,
    },
    /// frigate could not do something, and goes on without it. The event's text says what.
    Warning,
    /// The child has ended for good, and none of its processes is left. This is the last event.
    Finished(Outcome),
}

fn raw_pid(pid: Option<Pid>) -> u32 {
    pid.map_or(0, |pid| pid.raw().unsigned_abs())
}

impl Event {
    pub(crate) fn new(name: &Arc<str>, kind: EventKind, message: String) -> Self {
        Self {
            name: Arc::clone(name),
            kind,
            message,
        }
    }

    /// Returns the events that report a fact: two if the fact holds an end and what follows from
    /// it, and none if it does not concern a host. `formatter` calls the child by its name, and
    /// `starter` by its program.
    pub(crate) fn of(
        name: &Arc<str>,
        fact: &Fact<'_>,
        formatter: &MessageFormatter,
        starter: &MessageFormatter,
    ) -> Vec<Self> {
        let event = |kind| Self::new(name, kind, formatter.text(fact));
        let failed = |failure| {
            let error = StartError::new(failure, starter.failure_text(failure));
            let message = error.to_string();
            Self::new(name, EventKind::CannotStart(error), message)
        };
        let last = match *fact {
            Fact::Started { pid, restarts } => EventKind::Started {
                pid: raw_pid(Some(pid)),
                restarts,
            },
            Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            } => EventKind::Ended {
                pid: raw_pid(pid),
                status: exit_status(status),
                uptime,
                out_of_memory: usage.out_of_memory,
            },
            Fact::Restarting {
                trouble,
                pause,
                failures,
                limit,
            } => {
                let mut all = match trouble {
                    Trouble::Ended {
                        pid,
                        status,
                        uptime,
                        usage,
                    } => Self::of(
                        name,
                        &Fact::Ended {
                            pid,
                            status,
                            uptime,
                            usage,
                        },
                        formatter,
                        starter,
                    ),
                    Trouble::NotStarted(failure) => vec![failed(failure)],
                };
                // The first event says what led to the restart.
                let kind = EventKind::Restarting { pause, failures };
                all.push(Self::new(
                    name,
                    kind,
                    formatter.restart_text(pause, failures, limit),
                ));
                return all;
            }
            Fact::GaveUp { failures, .. } => EventKind::GaveUp { failures },
            Fact::NotStarted { failure, .. } => return vec![failed(failure)],
            Fact::Ready { .. } => EventKind::Ready,
            Fact::Healthy { .. } => EventKind::Healthy,
            Fact::NotReady { .. } | Fact::Unhealthy { .. } => EventKind::Unhealthy,
            Fact::Killed { .. } => EventKind::Killed,
            Fact::LeftoversKilled { .. } => EventKind::LeftoversKilled,
            Fact::LeftBehind { .. } => EventKind::LeftBehind,
            Fact::OtherSignaled { signal, pid, .. } => EventKind::Closing {
                pid: raw_pid(Some(pid)),
                killed: signal == Signal::KILL,
            },
            Fact::OthersLeft
            | Fact::GroupAdopted
            | Fact::Limit { .. }
            | Fact::CannotSignal { .. }
            | Fact::Cannot { .. }
            | Fact::LogDropped { .. }
            | Fact::Impossible { .. } => EventKind::Warning,
            // The thread reports these itself, or they exist in the binary alone.
            Fact::StopAsked { .. }
            | Fact::StopDelayed { .. }
            | Fact::RestartAsked { .. }
            | Fact::Changed { .. }
            | Fact::Forwarded { .. }
            | Fact::Dropped { .. }
            | Fact::Continued { .. }
            | Fact::ChildStatus { .. }
            | Fact::EndingLeftovers
            | Fact::NotInit
            | Fact::Orphan { .. }
            | Fact::MessagesDropped { .. }
            | Fact::Finished { .. } => return Vec::new(),
        };
        vec![event(last)]
    }
}

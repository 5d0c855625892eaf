//! What a host is told of its children while they are protected.

use core::fmt;
use core::time::Duration;
use std::process::ExitStatus;
use std::sync::Arc;

use crate::core::fact::{Fact, Trouble};
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::library::outcome::{Outcome, StartError, exit_status};
use crate::messages::message::Speaker;

/// One thing that happened to a protected child. It prints one line for people, without an end.
///
/// ```
/// use frigate::{AutoRestart, EventKind, Frigate, Outcome, Strategy};
///
/// let frigate = Frigate::create("true").strategy(Strategy::new().auto_restart(AutoRestart::False));
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
    /// The name of the child, as it was created by.
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

/// What happened to a child, with its facts.
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
    /// A process was made for it. Whether it came as far as its program, later events tell.
    Started {
        /// The process.
        pid: u32,
        /// How many starts there were before.
        restarts: u32,
    },
    /// It ended.
    Ended {
        /// The process that it was.
        pid: u32,
        /// How.
        status: ExitStatus,
        /// How long it was up.
        uptime: Duration,
        /// The kernel killed a process of its [`ControlGroup`](crate::ControlGroup) for want of
        /// memory.
        out_of_memory: bool,
    },
    /// A start failed before its program began.
    CannotStart(StartError),
    /// It is started again.
    Restarting {
        /// After that pause.
        pause: Duration,
        /// That many starts in a row have failed.
        failures: u32,
    },
    /// It is not started again: that many starts in a row have failed.
    GaveUp {
        /// The number.
        failures: u32,
    },
    /// The host asked for its end.
    Stopping {
        /// When this is over it gets KILL.
        timeout: Duration,
    },
    /// It did not end in time after a stop, and was sent KILL.
    Killed,
    /// What it left running did not end in time, and was sent KILL.
    LeftoversKilled,
    /// It, or something that it left running, does not even die of KILL within 5 s, and is left
    /// behind.
    LeftBehind,
    /// Another process of its name was sent TERM, or KILL, before the start
    /// ([`Strategy::grace_close`](crate::Strategy)).
    Closing {
        /// That process.
        pid: u32,
        /// It was KILL.
        killed: bool,
    },
    /// Something that frigate could not do, and does without. The event's text says what.
    Warning,
    /// It has ended for good, nothing of it is left, and no other event follows.
    Finished(Outcome),
}

fn number(pid: Option<Pid>) -> u32 {
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

    /// What a fact comes to for a host: one event or, where a fact tells of an end and of what
    /// follows, two. `starter` speaks of what was to be executed, `speaker` of the child by its
    /// name.
    pub(crate) fn of(
        name: &Arc<str>,
        fact: &Fact<'_>,
        speaker: &Speaker,
        starter: &Speaker,
    ) -> Vec<Self> {
        let event = |kind| Self::new(name, kind, speaker.words(fact));
        let failed = |failure| {
            let error = StartError::new(failure, starter.failure_words(failure));
            let message = error.to_string();
            Self::new(name, EventKind::CannotStart(error), message)
        };
        let last = match *fact {
            Fact::Started { pid, restarts } => EventKind::Started {
                pid: number(Some(pid)),
                restarts,
            },
            Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            } => EventKind::Ended {
                pid: number(pid),
                status: exit_status(status),
                uptime,
                out_of_memory: usage.out_of_memory,
            },
            Fact::Restarting {
                trouble,
                pause,
                failures,
                ..
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
                        speaker,
                        starter,
                    ),
                    Trouble::NotStarted(failure) => vec![failed(failure)],
                };
                let mut restarting = event(EventKind::Restarting { pause, failures });
                // What led to it is the first event; this one is what follows.
                if let Some((_, then)) = restarting.message.rsplit_once("; ") {
                    restarting.message = String::from(then);
                }
                all.push(restarting);
                return all;
            }
            Fact::GaveUp { failures, .. } => EventKind::GaveUp { failures },
            Fact::NotStarted { failure, .. } => return vec![failed(failure)],
            Fact::Killed { .. } => EventKind::Killed,
            Fact::LeftoversKilled { .. } => EventKind::LeftoversKilled,
            Fact::LeftBehind { .. } => EventKind::LeftBehind,
            Fact::OtherSignaled { signal, pid, .. } => EventKind::Closing {
                pid: number(Some(pid)),
                killed: signal == Signal::KILL,
            },
            Fact::OthersLeft
            | Fact::GroupAdopted
            | Fact::Limit { .. }
            | Fact::CannotSignal { .. }
            | Fact::Cannot { .. }
            | Fact::LogDropped { .. }
            | Fact::Impossible { .. } => EventKind::Warning,
            // The driver's own words, or the business of the binary.
            Fact::StopAsked { .. }
            | Fact::Forwarded { .. }
            | Fact::Dropped { .. }
            | Fact::Continued { .. }
            | Fact::EndingLeftovers
            | Fact::Orphan { .. }
            | Fact::MessagesDropped { .. }
            | Fact::Finished { .. } => return Vec::new(),
        };
        vec![event(last)]
    }
}

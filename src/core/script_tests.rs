//! What the tests of the core have in common: its words in short, and scripts that are played in
//! virtual time.
#![allow(clippy::panic, reason = "a test whose own script is wrong has failed")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at the few kinds that it is about"
)]

use core::fmt::Debug;

use crate::core::action::{Action, Recipient};
use crate::core::dispatch::ProgramAction;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::ExitStatus;
use crate::core::usage::Usage;
use crate::core::{lifecycle, supervisor};
use crate::program::command_line::{self, Request};
use crate::program::config::Config;

/// A time that stands for "whenever the deadline is".
pub(super) const DUE: u64 = u64::MAX;

pub(super) const fn at_millis(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

pub(super) const fn by(signal: Signal) -> ExitStatus {
    let core = false;
    ExitStatus::Signaled { signal, core }
}

pub(super) const fn ended(status: ExitStatus) -> lifecycle::Event {
    lifecycle::Event::Ended {
        status,
        held_terminal: false,
        usage: Usage::NONE,
    }
}

pub(super) const fn exited(code: u8) -> lifecycle::Event {
    ended(ExitStatus::Exited(code))
}

/// Returns the child's end by a signal while its group was the terminal's foreground group.
pub(super) const fn interrupted(signal: Signal) -> lifecycle::Event {
    lifecycle::Event::Ended {
        status: by(signal),
        held_terminal: true,
        usage: Usage::NONE,
    }
}

pub(super) const fn stop(signal: Signal) -> lifecycle::Event {
    lifecycle::Event::Stop {
        signal,
        queued: false,
        at_once: false,
    }
}

pub(super) fn spawned(pid: i32) -> lifecycle::Event {
    let pid = Pid::new(pid).unwrap_or_else(|| panic!("{pid} is no pid"));
    lifecycle::Event::Spawned { pid }
}

pub(super) const fn rest(is_any: bool) -> supervisor::Event {
    supervisor::Event::Rest { is_any }
}

/// Parses the options as a user would type them, so that the defaults are the real ones.
pub(super) fn config(options: &str) -> Config {
    let words: Vec<&[u8]> = options
        .split_whitespace()
        .chain(["command"])
        .map(str::as_bytes)
        .collect();
    match command_line::read(&words, core::iter::empty()) {
        Ok(Request::Run(config, _)) => *config,
        Ok(
            Request::Probe(_)
            | Request::Status(_)
            | Request::Signal(_)
            | Request::Pause(_)
            | Request::Exec(..)
            | Request::Help
            | Request::Version,
        )
        | Err(_) => {
            panic!("bad options: {options}")
        }
    }
}

/// An action in a few words: facts by the name of their event, the others as they are written in
/// the code.
pub(super) trait Brief {
    fn brief(&self) -> String;
}

impl Brief for Action {
    fn brief(&self) -> String {
        match *self {
            Self::Report(fact) => format!("report {}", fact.event()),
            Self::ReportIfAnyLeft(fact) => format!("report {} if any", fact.event()),
            Self::Send { signal, to } => {
                let to = match to {
                    Recipient::Group => "",
                    Recipient::Child => " to the child",
                    Recipient::ChildWithValue => " with its value",
                };
                format!("send {signal}{to}")
            }
            action => format!("{action:?}"),
        }
    }
}

impl Brief for ProgramAction {
    fn brief(&self) -> String {
        match self {
            Self::Child(action) => action.brief(),
            action => format!("{action:?}"),
        }
    }
}

pub(super) fn brief(actions: &[impl Brief]) -> String {
    let all: Vec<_> = actions.iter().map(Brief::brief).collect();
    all.join("; ")
}

/// A machine of the core, in virtual time.
pub(super) trait Scripted: Sized {
    type Event: Copy + PartialEq + Debug;
    type Action: Brief;
    const TICK: Self::Event;

    fn deadline(&self) -> Option<Moment>;

    fn set_now(&mut self, now: Moment);

    /// Takes an event now.
    fn step(&mut self, event: Self::Event) -> Vec<Self::Action>;

    /// Takes an event. Returns what is done, in brief.
    fn take(&mut self, event: impl Into<Self::Event>) -> String {
        brief(&self.step(event.into()))
    }

    /// Lets time pass up to the deadline, and takes the tick.
    fn due(&mut self) -> String {
        if let Some(deadline) = self.deadline() {
            self.set_now(deadline);
        }
        self.take(Self::TICK)
    }

    /// Plays a script: when (in milliseconds), what happens, what is done. A tick comes exactly at
    /// the deadline, and no deadline is overslept, so that a script also claims when each deadline
    /// is.
    fn play<E: Copy + Into<Self::Event>>(mut self, script: &[(u64, E, &str)]) -> Self {
        for (line, (when, event, expected)) in script.iter().enumerate() {
            let event: Self::Event = (*event).into();
            let deadline = self.deadline();
            let now = match (*when, deadline) {
                (DUE, Some(deadline)) => deadline,
                (DUE, None) => panic!("line {line} has no deadline"),
                (when, _) => at_millis(when),
            };
            self.set_now(now);
            if event == Self::TICK {
                assert_eq!(deadline, Some(now), "deadline of line {line}");
            } else {
                assert!(
                    deadline.is_none_or(|at| at >= now),
                    "line {line} oversleeps {deadline:?}"
                );
            }
            assert_eq!(self.take(event), *expected, "line {line}: {event:?}");
        }
        self
    }
}

/// A row of a table: where, what happens, where that leads, what is done.
pub(super) type Move = (&'static str, &'static str, &'static str, &'static str);

/// A machine whose states have names, and whose moves are a table.
pub(super) trait Tabled: Scripted {
    const SITUATIONS: &'static [&'static str];
    const MOVES: &'static [Move];

    /// Returns every event, in every kind that makes a difference anywhere. A "due" tick comes at
    /// the deadline, an "early" one before.
    fn events() -> Vec<(&'static str, Self::Event)>;

    /// Returns a machine that was brought there by what really leads there.
    fn in_situation(situation: &str) -> Self;

    fn situation(&self) -> &'static str;

    /// Checks a machine after an event that the table does not name there. `former` is the machine
    /// before it.
    fn check_unnamed(&self, former: &Self, situation: &str, event: &str, actions: &str);
}

/// Checks every event in every situation against the table.
pub(super) fn check_moves<M: Tabled>() {
    for situation in M::SITUATIONS {
        for (name, event) in M::events() {
            let mut machine = M::in_situation(situation);
            let actions = if name == "due" {
                machine.due()
            } else {
                machine.take(event)
            };
            let is_here = |(from, what, ..): &&Move| (from, *what) == (situation, name);
            if let Some((.., to, expected)) = M::MOVES.iter().find(is_here) {
                assert_eq!(
                    (machine.situation(), actions.as_str()),
                    (*to, *expected),
                    "{situation}: {name}"
                );
            } else {
                machine.check_unnamed(&M::in_situation(situation), situation, name, &actions);
            }
        }
    }
}

/// Checks that the table names only situations and events that exist.
pub(super) fn check_names<M: Tabled>() {
    let names: Vec<&str> = M::events().iter().map(|(name, _)| *name).collect();
    for (from, event, to, _) in M::MOVES {
        assert!(
            M::SITUATIONS.contains(from) && M::SITUATIONS.contains(to) && names.contains(event),
            "{from}, {event}, {to}"
        );
    }
}

impl From<lifecycle::Event> for supervisor::Event {
    fn from(event: lifecycle::Event) -> Self {
        match event {
            lifecycle::Event::Tick => Self::Tick,
            event => Self::Child(event),
        }
    }
}

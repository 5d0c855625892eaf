#![allow(clippy::panic, reason = "a test whose own script is wrong has failed")]
#![allow(
    clippy::large_types_passed_by_value,
    reason = "a test reads better with rules as values"
)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at the few kinds that it is about"
)]

use core::time::Duration;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::state::StopCause;
use super::stop::NOT_PERMITTED;
use super::{Event, Finish, Lifecycle, State};
use crate::core::action::{Action, Actions, SURVIVES_KILL};
use crate::core::errno::Errno;
use crate::core::escalation::{KILL_TIMEOUT, LONGEST_PROBE_PAUSE};
use crate::core::fact::{Fact, Trouble};
use crate::core::health::event::CheckEvent;
use crate::core::health::failure::CheckFailure;
use crate::core::health::notification::Notification;
use crate::core::health::rules::{CheckKind, HealthRules, Method};
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::restart::Restart;
use crate::core::rules::{Rules, SHORTEST_LEFTOVERS_GRACE, StopRules};
use crate::core::script::{
    DUE, Scripted, at_millis, by, config, ended, exited, interrupted, spawned, stop,
};
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure, Stage};
use crate::core::usage::Usage;

#[path = "check_tests.rs"]
mod check;
#[path = "request_tests.rs"]
mod request;

const FOR_NOW: Event = failed(Stage::Fork, 11);
const FOR_GOOD: Event = failed(Stage::Exec, 2);

const fn failed(stage: Stage, errno: i32) -> Event {
    Event::SpawnFailed(SpawnFailure {
        stage,
        errno: Errno::new(errno),
    })
}

const fn succeeded(kind: CheckKind) -> Event {
    let result = Ok(());
    Event::Check(CheckEvent::Done { kind, result })
}

const fn failed_check(kind: CheckKind) -> Event {
    let result = Err(CheckFailure::Status(503));
    Event::Check(CheckEvent::Done { kind, result })
}

const SUSPENDED: Event = Event::Check(CheckEvent::Suspended);
const RESUMED: Event = Event::Check(CheckEvent::Resumed);

const fn notified(notification: Notification) -> Event {
    Event::Check(CheckEvent::Notified(notification))
}

fn rules(options: &str) -> Rules {
    config(options).rules
}

/// One child in virtual time.
#[derive(Debug)]
struct Child {
    lifecycle: Lifecycle,
    now: Moment,
}

impl Child {
    fn new(options: &str) -> Self {
        Self::with(rules(options))
    }

    fn with(rules: Rules) -> Self {
        Self {
            lifecycle: Lifecycle::new(&rules),
            now: at_millis(0),
        }
    }

    /// Returns a child that was started at 0.
    fn running(options: &str) -> Self {
        let mut child = Self::new(options);
        child.take(Event::Begin);
        child.take(spawned(7));
        assert_eq!(child.situation(), "running");
        child
    }

    #[track_caller]
    fn ends_with(&self, outcome: Outcome, kill_at: u64) -> &Self {
        let Some(finish) = self.lifecycle.finish() else {
            panic!("not ended, but {}", self.situation())
        };
        assert_eq!(
            (finish.outcome, finish.kill_at),
            (outcome, Some(at_millis(kill_at)))
        );
        assert_eq!(
            (self.lifecycle.alive(), self.lifecycle.deadline()),
            (None, None)
        );
        self
    }

    /// Returns the state, with what else decides in it.
    fn situation(&self) -> &'static str {
        match self.lifecycle.state {
            State::Closing(escalation) if escalation.is_killed() => "closing, killed",
            State::Stopping(stopping) if stopping.escalation.is_killed() => match stopping.cause {
                StopCause::Asked(_) => "stopping, killed",
                StopCause::NotReady | StopCause::Unhealthy => "unhealthy, killed",
                StopCause::Restart => "restarting, killed",
            },
            State::Between {
                leftovers: Some(leftovers),
                ..
            } if leftovers.is_killed() => "between, killed",
            State::Between {
                leftovers: Some(_), ..
            } => "between, ending",
            State::Between {
                leftovers: None, ..
            } => "between, gone",
            state @ (State::Ready
            | State::Closing(_)
            | State::Spawning
            | State::Running { .. }
            | State::Draining(_)
            | State::Stopping(_)
            | State::Ended(_)) => state.name(),
        }
    }

    /// Returns a child in this situation, brought there by events that really lead there.
    fn in_situation(situation: &str) -> Self {
        const RESTARTED: &str = "--restart=unexpected --backoff=1s --stop-signal=USR1";
        let close = format!("{RESTARTED} --grace-close");
        let mut rules = rules(if situation.starts_with("closing") {
            &close
        } else {
            RESTARTED
        });
        if situation.starts_with("unhealthy") {
            rules.checks.health = Some(HealthRules::new(Method::Notify));
        }
        if situation == "draining" {
            rules.stop.delay = Duration::from_secs(5);
        }
        let mut child = Self::with(rules);
        let way: &[Event] = match situation {
            "ready" => &[],
            "closing" | "closing, killed" | "spawning" => &[Event::Begin],
            "running" => &[Event::Begin, spawned(7)],
            "restarting" | "restarting, killed" => &[Event::Begin, spawned(7), Event::Restart],
            "draining" | "stopping" | "stopping, killed" => {
                &[Event::Begin, spawned(7), stop(Signal::TERM)]
            }
            "unhealthy" | "unhealthy, killed" => {
                &[Event::Begin, spawned(7), notified(Notification::Trigger)]
            }
            "between, ending" | "between, killed" => &[Event::Begin, spawned(7), exited(1)],
            "between, gone" => &[Event::Begin, spawned(7), exited(1), Event::GroupGone],
            "ended" => &[Event::Begin, spawned(7), exited(0)],
            _ => panic!("no such situation: {situation}"),
        };
        for event in way {
            child.take(*event);
        }
        while situation.ends_with("killed") && child.situation() != situation {
            child.due();
        }
        assert_eq!(child.situation(), situation);
        child
    }
}

impl Scripted for Child {
    type Event = Event;
    type Action = Action;
    const TICK: Event = Event::Tick;

    fn deadline(&self) -> Option<Moment> {
        self.lifecycle.deadline()
    }

    fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut out = Actions::new();
        let before = self.lifecycle.deadline();
        self.lifecycle.step(event, self.now, &mut out);
        assert!(!out.is_full(), "{event:?} may have lost an action");
        let after = self.lifecycle.deadline();
        assert!(
            after == before || after.is_none_or(|at| at >= self.now),
            "{event:?} set a deadline in the past"
        );
        out.iter().collect()
    }
}

const SITUATIONS: [&str; 16] = [
    "ready",
    "closing",
    "closing, killed",
    "spawning",
    "running",
    "stopping",
    "stopping, killed",
    "draining",
    "unhealthy",
    "unhealthy, killed",
    "restarting",
    "restarting, killed",
    "between, ending",
    "between, killed",
    "between, gone",
    "ended",
];

/// Returns every event, in every kind that makes a difference anywhere. A "due" tick comes at the
/// deadline, an "early" one before.
fn events() -> [(&'static str, Event); 21] {
    [
        ("begin", Event::Begin),
        ("namesakes-gone", Event::NamesakesGone),
        ("spawned", spawned(8)),
        ("failed for now", FOR_NOW),
        ("failed for good", FOR_GOOD),
        ("executed", Event::Executed),
        ("signal-refused", Event::SignalRefused),
        ("ended as expected", exited(0)),
        ("ended otherwise", exited(1)),
        ("interrupted", interrupted(Signal::INT)),
        ("others-reaped", Event::OthersReaped),
        ("group-gone", Event::GroupGone),
        ("stop", stop(Signal::INT)),
        ("restart", Event::Restart),
        ("check-done", succeeded(CheckKind::Health)),
        ("check failed", failed_check(CheckKind::Ready)),
        ("notified", notified(Notification::Alive)),
        ("suspended", SUSPENDED),
        ("resumed", RESUMED),
        ("early", Event::Tick),
        ("due", Event::Tick),
    ]
}

/// The whole machine: the situation, the event, the next situation, the actions. A pair in neither
/// this table nor the next cannot happen.
const MOVES: &[(&str, &str, &str, &str)] = &[
    ("ready", "begin", "spawning", "Spawn { restarts: 0 }"),
    ("ready", "stop", "ended", ""),
    (
        "closing",
        "namesakes-gone",
        "spawning",
        "Spawn { restarts: 0 }",
    ),
    ("closing", "stop", "ended", ""),
    ("closing", "due", "closing, killed", "KillNamesakes"),
    (
        "closing, killed",
        "namesakes-gone",
        "spawning",
        "Spawn { restarts: 0 }",
    ),
    ("closing, killed", "stop", "ended", ""),
    (
        "closing, killed",
        "due",
        "spawning",
        "report others-left; Spawn { restarts: 0 }",
    ),
    ("spawning", "spawned", "running", ""),
    (
        "spawning",
        "failed for now",
        "between, ending",
        "report restarting; EndGroup",
    ),
    ("spawning", "failed for good", "ended", "report not-started"),
    ("running", "executed", "running", "report started"),
    (
        "running",
        "failed for now",
        "between, ending",
        "report restarting; EndGroup",
    ),
    ("running", "failed for good", "ended", "report not-started"),
    ("running", "ended as expected", "ended", "report ended"),
    (
        "running",
        "ended otherwise",
        "between, ending",
        "report restarting; EndGroup",
    ),
    ("running", "interrupted", "ended", "report ended"),
    ("running", "stop", "stopping", "send USR1; send CONT"),
    ("stopping", "executed", "stopping", "report started"),
    ("stopping", "signal-refused", "stopping", ""),
    ("stopping", "failed for now", "ended", ""),
    ("stopping", "failed for good", "ended", "report not-started"),
    ("stopping", "ended as expected", "ended", "report ended"),
    ("stopping", "ended otherwise", "ended", "report ended"),
    ("stopping", "interrupted", "ended", "report ended"),
    ("stopping", "stop", "stopping", "send USR1; send CONT"),
    (
        "stopping",
        "due",
        "stopping, killed",
        "report killed; KillCgroup; send KILL",
    ),
    (
        "stopping, killed",
        "executed",
        "stopping, killed",
        "report started",
    ),
    ("stopping, killed", "signal-refused", "stopping, killed", ""),
    ("stopping, killed", "failed for now", "ended", ""),
    (
        "stopping, killed",
        "failed for good",
        "ended",
        "report not-started",
    ),
    (
        "stopping, killed",
        "ended as expected",
        "ended",
        "report ended",
    ),
    (
        "stopping, killed",
        "ended otherwise",
        "ended",
        "report ended",
    ),
    ("stopping, killed", "interrupted", "ended", "report ended"),
    ("stopping, killed", "due", "ended", "report left-behind"),
    ("running", "restart", "restarting", "send USR1; send CONT"),
    ("draining", "executed", "draining", "report started"),
    ("draining", "failed for now", "ended", ""),
    ("draining", "failed for good", "ended", "report not-started"),
    ("draining", "ended as expected", "ended", "report ended"),
    ("draining", "ended otherwise", "ended", "report ended"),
    ("draining", "interrupted", "ended", "report ended"),
    ("draining", "stop", "stopping", "send USR1; send CONT"),
    ("draining", "due", "stopping", "send USR1; send CONT"),
    ("restarting", "executed", "restarting", "report started"),
    ("restarting", "signal-refused", "restarting", ""),
    (
        "restarting",
        "failed for now",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting",
        "failed for good",
        "ended",
        "report not-started",
    ),
    (
        "restarting",
        "ended as expected",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting",
        "ended otherwise",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting",
        "interrupted",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting, killed",
        "executed",
        "restarting, killed",
        "report started",
    ),
    (
        "restarting, killed",
        "signal-refused",
        "restarting, killed",
        "",
    ),
    (
        "restarting, killed",
        "failed for now",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting, killed",
        "failed for good",
        "ended",
        "report not-started",
    ),
    (
        "restarting, killed",
        "ended as expected",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting, killed",
        "ended otherwise",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "restarting, killed",
        "interrupted",
        "between, ending",
        "report restarting; EndGroup",
    ),
    ("restarting", "stop", "stopping", "send USR1; send CONT"),
    (
        "restarting",
        "due",
        "restarting, killed",
        "report killed; KillCgroup; send KILL",
    ),
    ("restarting, killed", "stop", "stopping, killed", ""),
    ("restarting, killed", "due", "ended", "report left-behind"),
    ("unhealthy", "restart", "restarting", ""),
    ("unhealthy, killed", "restart", "restarting, killed", ""),
    ("between, ending", "restart", "between, ending", ""),
    ("between, killed", "restart", "between, killed", ""),
    (
        "between, gone",
        "restart",
        "spawning",
        "Spawn { restarts: 1 }",
    ),
    ("unhealthy", "executed", "unhealthy", "report started"),
    ("unhealthy", "signal-refused", "unhealthy", ""),
    (
        "unhealthy",
        "failed for now",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "unhealthy",
        "failed for good",
        "ended",
        "report not-started",
    ),
    (
        "unhealthy",
        "ended as expected",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "unhealthy",
        "ended otherwise",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "unhealthy",
        "interrupted",
        "between, ending",
        "report restarting; EndGroup",
    ),
    ("unhealthy", "stop", "stopping", "send USR1; send CONT"),
    (
        "unhealthy",
        "due",
        "unhealthy, killed",
        "report killed; KillCgroup; send KILL",
    ),
    (
        "unhealthy, killed",
        "executed",
        "unhealthy, killed",
        "report started",
    ),
    (
        "unhealthy, killed",
        "signal-refused",
        "unhealthy, killed",
        "",
    ),
    (
        "unhealthy, killed",
        "failed for now",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "unhealthy, killed",
        "failed for good",
        "ended",
        "report not-started",
    ),
    (
        "unhealthy, killed",
        "ended as expected",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "unhealthy, killed",
        "ended otherwise",
        "between, ending",
        "report restarting; EndGroup",
    ),
    (
        "unhealthy, killed",
        "interrupted",
        "between, ending",
        "report restarting; EndGroup",
    ),
    ("unhealthy, killed", "stop", "stopping, killed", ""),
    ("unhealthy, killed", "due", "ended", "report left-behind"),
    (
        "between, ending",
        "others-reaped",
        "between, ending",
        "ProbeGroup",
    ),
    ("between, ending", "group-gone", "between, gone", ""),
    ("between, ending", "stop", "ended", ""),
    ("between, ending", "due", "between, ending", "ProbeGroup"),
    (
        "between, killed",
        "others-reaped",
        "between, killed",
        "ProbeGroup",
    ),
    (
        "between, killed",
        "group-gone",
        "spawning",
        "Spawn { restarts: 1 }",
    ),
    ("between, killed", "stop", "ended", ""),
    ("between, killed", "due", "between, killed", "ProbeGroup"),
    ("between, gone", "stop", "ended", ""),
    ("between, gone", "due", "spawning", "Spawn { restarts: 1 }"),
];

/// Events that may happen in a situation and change nothing: no deadline has come, it is too late,
/// or they do not matter there.
const QUIET: &[(&str, &[&str])] = &[
    ("ready", &["others-reaped", "early", "due", "restart"]),
    ("closing", &["others-reaped", "early", "restart"]),
    ("closing, killed", &["others-reaped", "early", "restart"]),
    ("spawning", &["others-reaped", "early", "due"]),
    (
        "running",
        &["others-reaped", "early", "due", "signal-refused"],
    ),
    (
        "draining",
        &["others-reaped", "early", "signal-refused", "restart"],
    ),
    ("stopping", &["others-reaped", "early", "restart"]),
    (
        "stopping, killed",
        &["others-reaped", "early", "stop", "restart"],
    ),
    ("restarting", &["others-reaped", "early", "restart"]),
    ("restarting, killed", &["others-reaped", "early", "restart"]),
    ("unhealthy", &["others-reaped", "early"]),
    ("unhealthy, killed", &["others-reaped", "early"]),
    ("between, ending", &["early"]),
    ("between, killed", &["early"]),
    ("between, gone", &["others-reaped", "early", "group-gone"]),
];

/// What checks bring about. It changes nothing if none is under way: it comes late, or there are no
/// rules for it.
const ABOUT_CHECKS: [&str; 5] = [
    "check-done",
    "check failed",
    "notified",
    "suspended",
    "resumed",
];

#[test]
fn every_state_and_event_do_what_the_table_says() {
    for situation in SITUATIONS {
        for (name, event) in events() {
            let mut child = Child::in_situation(situation);
            let before = format!("{:?}", child.lifecycle);
            let actions = if name == "due" {
                child.due()
            } else {
                child.take(event)
            };
            let found = MOVES
                .iter()
                .find(|(from, what, ..)| (*from, *what) == (situation, name));
            if let Some((.., to, expected)) = found {
                assert_eq!(
                    (child.situation(), actions.as_str()),
                    (*to, *expected),
                    "{situation}: {name}"
                );
                continue;
            }
            let quiet = situation == "ended"
                || !["ready", "spawning"].contains(&situation) && ABOUT_CHECKS.contains(&name)
                || QUIET
                    .iter()
                    .any(|(at, what)| *at == situation && what.contains(&name));
            assert_eq!(
                actions,
                if quiet { "" } else { "report impossible" },
                "{situation}: {name}"
            );
            assert_eq!(
                format!("{:?}", child.lifecycle),
                before,
                "{situation}: {name}"
            );
        }
    }
}

#[test]
fn the_table_names_only_what_exists() {
    let names: Vec<&str> = events().iter().map(|(name, _)| *name).collect();
    for (from, event, to, _) in MOVES {
        assert!(
            SITUATIONS.contains(from) && SITUATIONS.contains(to) && names.contains(event),
            "{from}, {event}, {to}"
        );
    }
    for (at, quiet) in QUIET {
        assert!(
            SITUATIONS.contains(at) && quiet.iter().all(|event| names.contains(event)),
            "{at}"
        );
    }
}

#[test]
fn an_impossible_event_is_reported_by_the_names_of_state_and_event() {
    let mut child = Child::new("");
    let said = child.step(Event::GroupGone);
    assert_eq!(
        said,
        [Action::Report(Fact::Impossible {
            state: "ready",
            event: "group-gone"
        })]
    );
}

// Ends and restarts: `doc/specification.md#restarting`.

#[test]
fn a_child_that_ends_by_itself_completes_with_its_status() {
    for status in [
        ExitStatus::Exited(0),
        ExitStatus::Exited(3),
        by(Signal::KILL),
    ] {
        let child = Child::running("--grace=5s").play(&[(2000, ended(status), "report ended")]);
        child.ends_with(Outcome::Complete(status), 7000);
    }
}

#[test]
fn a_child_that_had_started_is_started_again_at_once() {
    let child = Child::running("--restart=unexpected").play(&[
        (10_000, exited(1), "report restarting; EndGroup"),
        (10_000, Event::GroupGone, "Spawn { restarts: 1 }"),
        (10_000, spawned(8), ""),
        (10_000, Event::Executed, "report started"),
    ]);
    assert_eq!(child.lifecycle.alive(), Pid::new(8));
}

#[test]
fn a_failed_start_is_tried_again_after_a_pause() {
    let child = Child::running("--restart=unexpected --backoff=8s").play(&[
        (9_999, exited(1), "report restarting; EndGroup"),
        (9_999, Event::GroupGone, ""),
    ]);
    let pause = child
        .lifecycle
        .deadline()
        .map(|at| at.since(at_millis(9_999)));
    assert!(
        pause
            .is_some_and(|pause| pause > Duration::from_secs(6) && pause <= Duration::from_secs(8)),
        "{pause:?}"
    );
    child.play(&[(DUE, Event::Tick, "Spawn { restarts: 1 }")]);
}

#[test]
fn three_retries_are_four_attempts_and_then_it_gives_up_with_the_last_code() {
    let child = Child::new("--restart=unexpected --backoff-max=10ms --grace=5s").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
        (100, exited(1), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (110, Event::Tick, "Spawn { restarts: 1 }"),
        (110, spawned(8), ""),
        (200, exited(2), "report restarting; EndGroup"),
        (200, Event::GroupGone, ""),
        (210, Event::Tick, "Spawn { restarts: 2 }"),
        (210, FOR_NOW, "report restarting; EndGroup"),
        (210, Event::GroupGone, ""),
        (220, Event::Tick, "Spawn { restarts: 3 }"),
        (220, spawned(9), ""),
        (300, exited(4), "report ended; report gave-up"),
    ]);
    child.ends_with(
        Outcome::GaveUp {
            last: Some(ExitStatus::Exited(4)),
        },
        5300,
    );
    assert_eq!(child.lifecycle.restarts(), 3);
}

#[test]
fn giving_up_before_any_child_ran_has_no_last_status() {
    let child =
        Child::new("--restart=true --start-retries=1 --backoff-max=10ms --grace=5s").play(&[
            (0, Event::Begin, "Spawn { restarts: 0 }"),
            (0, FOR_NOW, "report restarting; EndGroup"),
            (0, Event::GroupGone, ""),
            (10, Event::Tick, "Spawn { restarts: 1 }"),
            (10, FOR_NOW, "report gave-up"),
        ]);
    child.ends_with(Outcome::GaveUp { last: None }, 5010);
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(126)
    );
}

#[test]
fn giving_up_where_a_restart_cannot_fork_has_the_status_of_the_last_child() {
    let child = Child::running("--restart=true --start-retries=0 --grace=5s").play(&[
        (60_000, exited(9), "report restarting; EndGroup"),
        (60_000, Event::GroupGone, "Spawn { restarts: 1 }"),
        (60_000, FOR_NOW, "report gave-up"),
    ]);
    child.ends_with(
        Outcome::GaveUp {
            last: Some(ExitStatus::Exited(9)),
        },
        65_000,
    );
}

#[test]
fn what_cannot_be_executed_for_good_is_not_tried_again_whatever_the_strategy() {
    let Event::SpawnFailed(failure) = FOR_GOOD else {
        panic!("it is a failure")
    };
    for restart in ["false", "unexpected", "true"] {
        let options = format!("--restart={restart} --grace=5s");
        let known_at_once =
            Child::new(&options).play(&[(0, Event::Begin, "Spawn { restarts: 0 }")]);
        let known_when_reaped = Child::running(&options);
        for mut child in [known_at_once, known_when_reaped] {
            assert_eq!(child.take(FOR_GOOD), "report not-started", "{restart}");
            child.ends_with(Outcome::NotStarted(failure), 5000);
        }
    }
}

#[test]
fn what_cannot_be_started_for_now_is_not_tried_again_without_a_strategy() {
    let Event::SpawnFailed(failure) = FOR_NOW else {
        panic!("it is a failure")
    };
    let mut child = Child::new("--grace=5s").play(&[(0, Event::Begin, "Spawn { restarts: 0 }")]);
    assert_eq!(child.take(FOR_NOW), "report not-started");
    child.ends_with(Outcome::NotStarted(failure), 5000);
}

#[test]
fn an_expected_end_restarts_under_true_and_completes_under_unexpected() {
    let expected = |restart| {
        let options = format!("--restart={restart} --expect=7,TERM --grace=5s");
        [ExitStatus::Exited(7), by(Signal::TERM)].map(|status| {
            let mut child = Child::running(&options);
            child.now = at_millis(60_000);
            child.take(ended(status));
            child.situation()
        })
    };
    assert_eq!(expected("unexpected"), ["ended", "ended"]);
    assert_eq!(expected("true"), ["between, ending", "between, ending"]);
}

#[test]
fn a_restart_is_said_with_all_that_led_to_it() {
    let mut child = Child::running("--restart=unexpected --start-retries=5 --backoff-max=10ms");
    child.now = at_millis(1500);
    let said = child.step(exited(3));
    let trouble = Trouble::Ended {
        pid: Pid::new(7),
        status: ExitStatus::Exited(3),
        uptime: Duration::from_millis(1500),
        usage: Usage::NONE,
    };
    let pause = Duration::from_millis(10);
    let fact = Fact::Restarting {
        trouble,
        pause,
        failures: 1,
        limit: Some(6),
    };
    assert_eq!(said, [Action::Report(fact), Action::EndGroup]);
}

#[test]
fn a_restart_has_no_limit_to_tell_of_where_nothing_ever_gives_up() {
    let mut child = Child::running("--restart=unexpected --start-secs=0");
    let said = child.step(exited(3));
    assert!(
        matches!(
            said.first(),
            Some(Action::Report(Fact::Restarting {
                failures: 0,
                limit: None,
                ..
            }))
        ),
        "{said:?}"
    );
}

#[test]
fn two_moments_do_not_give_the_same_pause() {
    let pause = |millis| {
        let mut child = Child::running("--restart=unexpected --backoff=8s");
        child.now = at_millis(millis);
        child.take(exited(1));
        child.take(Event::GroupGone);
        child.lifecycle.deadline().map(|at| at.since(child.now))
    };
    let pauses: BTreeSet<_> = (1..=100).map(pause).collect();
    assert!(
        pauses.len() > 90,
        "only {} different pauses of 100",
        pauses.len()
    );
}

#[test]
fn with_nothing_to_do_there_is_no_deadline() {
    for options in [
        "",
        "--restart=true",
        "--restart=unexpected --start-secs=0",
        "--grace-close",
    ] {
        let mut child = Child::new(options);
        child.take(Event::Begin);
        child.take(Event::NamesakesGone);
        child.take(spawned(7));
        assert_eq!(
            (child.situation(), child.lifecycle.deadline()),
            ("running", None),
            "{options}"
        );
    }
}

// What is let go of.

#[test]
fn a_child_that_will_not_be_restarted_is_released_when_it_has_been_started() {
    Child::new("").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
        (5, exited(0), "report ended"),
    ]);
}

#[test]
fn a_child_that_may_be_restarted_is_released_only_when_that_is_over() {
    for restart in ["unexpected", "true"] {
        Child::new(&format!("--restart={restart}")).play(&[
            (0, Event::Begin, "Spawn { restarts: 0 }"),
            (0, spawned(7), ""),
            (5, stop(Signal::TERM), "send TERM; send CONT"),
            (6, exited(0), "report ended"),
        ]);
    }
}

// Stopping: `doc/specification.md#stopping`.

#[test]
fn a_stop_sends_the_signal_as_received_and_lets_a_stopped_child_continue() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let sent = format!("send {signal}; send CONT");
        let child = Child::running("--grace=5s")
            .play(&[(100, stop(signal), &sent), (300, exited(3), "report ended")]);
        child.ends_with(
            Outcome::Cancel {
                last: Some(ExitStatus::Exited(3)),
                stop: signal,
            },
            5100,
        );
    }
}

#[test]
fn a_stop_sends_the_stop_signal_where_there_is_one() {
    let child = Child::running("--stop-signal=QUIT --grace=5s").play(&[
        (100, stop(Signal::TERM), "send QUIT; send CONT"),
        (200, ended(by(Signal::QUIT)), "report ended"),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::QUIT)),
            stop: Signal::TERM,
        },
        5100,
    );
}

#[test]
fn a_stop_goes_to_the_child_alone_where_that_was_asked_for() {
    Child::running("--single-child --grace=5s").play(&[
        (
            0,
            stop(Signal::TERM),
            "send TERM to the child; send CONT to the child",
        ),
        (5000, Event::Tick, "report killed; send KILL to the child"),
    ]);
}

#[test]
fn a_queued_stop_is_passed_on_with_its_value() {
    let queued = Event::Stop {
        signal: Signal::TERM,
        queued: true,
        at_once: false,
    };
    Child::running("--grace=5s").play(&[
        (0, queued, "send TERM with its value; send CONT"),
        (1, queued, "send TERM with its value; send CONT"),
        (2, stop(Signal::TERM), "send TERM; send CONT"),
    ]);
}

#[test]
fn kill_follows_when_the_grace_period_is_over_and_no_earlier() {
    let mut child =
        Child::running("--grace=5s").play(&[(1000, stop(Signal::TERM), "send TERM; send CONT")]);
    child.now = Moment::from_nanos(at_millis(6000).nanos() - 1);
    assert_eq!(child.take(Event::Tick), "");
    let child = child.play(&[
        (6000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6001, ended(by(Signal::KILL)), "report ended"),
    ]);
    // KILL for the group has reached the leftovers, so they are not waited for.
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::KILL)),
            stop: Signal::TERM,
        },
        6001,
    );
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(137)
    );
}

#[test]
fn a_grace_of_nothing_kills_at_once_but_after_the_signal() {
    Child::running("--grace=0").play(&[
        (1000, stop(Signal::TERM), "send TERM; send CONT"),
        (1000, Event::Tick, "KillCgroup; send KILL"),
    ]);
}

#[test]
fn repeated_stops_are_passed_on_and_do_not_extend_the_grace_period() {
    Child::running("--grace=5s").play(&[
        (1000, stop(Signal::TERM), "send TERM; send CONT"),
        (3000, stop(Signal::TERM), "send TERM; send CONT"),
        (5999, stop(Signal::INT), "send INT; send CONT"),
        (6000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6001, stop(Signal::TERM), ""),
        (11_000, Event::Tick, "report left-behind"),
    ]);
}

#[test]
fn the_first_of_several_stops_is_the_one_that_is_reported() {
    let child = Child::running("--grace=5s").play(&[
        (0, stop(Signal::INT), "send INT; send CONT"),
        (1, stop(Signal::TERM), "send TERM; send CONT"),
        (2, exited(0), "report ended"),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(0)),
            stop: Signal::INT,
        },
        5000,
    );
}

#[test]
fn under_kill_a_stop_is_sigkill_at_once_without_grace() {
    let options = "--kill --grace=5s --stop-signal=QUIT";
    let child = Child::running(options).play(&[
        (
            1000,
            Event::Stop {
                signal: Signal::TERM,
                queued: true,
                at_once: false,
            },
            "KillCgroup; send KILL",
        ),
        (1001, stop(Signal::TERM), ""),
        (1002, ended(by(Signal::KILL)), "report ended"),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::KILL)),
            stop: Signal::TERM,
        },
        1002,
    );
}

#[test]
fn a_child_that_not_even_kill_ends_is_left_behind_after_five_seconds() {
    let child = Child::running("--grace=1s").play(&[
        (0, stop(Signal::TERM), "send TERM; send CONT"),
        (1000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6000, Event::Tick, "report left-behind"),
        (6001, ended(by(Signal::KILL)), ""),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::KILL)),
            stop: Signal::TERM,
        },
        6000,
    );
    let child = Child::running("--kill").play(&[
        (0, stop(Signal::TERM), "KillCgroup; send KILL"),
        (5000, Event::Tick, "report left-behind"),
    ]);
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(137)
    );
}

#[test]
fn killing_is_said_with_pid_and_grace() {
    let mut child =
        Child::running("--grace=5s").play(&[(0, stop(Signal::TERM), "send TERM; send CONT")]);
    child.now = at_millis(5000);
    let said = Fact::Killed {
        pid: Pid::new(7),
        grace: Duration::from_secs(5),
    };
    assert_eq!(child.step(Event::Tick).first(), Some(&Action::Report(said)));
    child.now = at_millis(10_000);
    assert_eq!(
        child.step(Event::Tick).first(),
        Some(&Action::Report(left_behind(SURVIVES_KILL)))
    );
}

fn left_behind(reason: &'static str) -> Fact<'static> {
    Fact::LeftBehind {
        pid: Pid::new(7),
        reason,
    }
}

#[test]
fn without_a_grace_period_a_stop_waits_for_the_child_as_long_as_it_takes() {
    for options in ["", "--restart=unexpected --grace=none"] {
        let mut child = Child::running(options);
        child.take(stop(Signal::TERM));
        assert_eq!(child.lifecycle.deadline(), None, "{options}");
        let child = child.play(&[
            (900_000, stop(Signal::TERM), "send TERM; send CONT"),
            (900_001, exited(3), "report ended"),
        ]);
        child.ends_with(
            Outcome::Cancel {
                last: Some(ExitStatus::Exited(3)),
                stop: Signal::TERM,
            },
            905_001,
        );
    }
    // With restarts there is one, unless it was asked for.
    assert_eq!(
        rules("--restart=true").stop.grace,
        Some(Duration::from_secs(30))
    );
}

#[test]
fn what_is_left_after_a_stop_without_a_grace_period_has_five_seconds_at_least() {
    for (options, kill_at) in [
        ("", 5000),
        ("--leftovers=1s", 5000),
        ("--leftovers=8s", 8000),
        ("--leftovers=leave", 5000),
    ] {
        let mut child = Child::running(options);
        child.take(stop(Signal::TERM));
        child.take(exited(0));
        child.ends_with(
            Outcome::Cancel {
                last: Some(ExitStatus::Exited(0)),
                stop: Signal::TERM,
            },
            kill_at,
        );
    }
}

#[test]
fn what_a_child_leaves_that_ends_by_itself_has_a_time_of_its_own_or_is_left_alone() {
    for (options, kill_at) in [
        ("", Some(5000)),
        ("--grace=1h", Some(5000)),
        ("--leftovers=2s", Some(2000)),
        ("--leftovers=0", Some(0)),
        ("--leftovers=leave", None),
        ("--leftovers=2s --kill", Some(0)),
    ] {
        let mut child = Child::running(options);
        child.take(exited(0));
        let finish = child.lifecycle.finish().map(|finish| finish.kill_at);
        assert_eq!(finish, Some(kill_at.map(at_millis)), "{options}");
    }
}

#[test]
fn between_two_starts_nothing_is_left_alone() {
    let mut child = Child::running("--restart=unexpected --leftovers=leave");
    child.take(exited(1));
    while child.situation() == "between, ending" {
        child.due();
    }
    assert_eq!(
        (child.situation(), child.now),
        ("between, killed", at_millis(5000))
    );
}

#[test]
fn a_child_that_may_not_be_signalled_is_left_behind_five_seconds_after_the_stop() {
    for options in ["", "--grace=1h", "--kill"] {
        let mut child = Child::running(options);
        child.take(stop(Signal::TERM));
        assert_eq!(child.take(Event::SignalRefused), "");
        child.now = at_millis(5000);
        assert_eq!(child.lifecycle.deadline(), Some(child.now), "{options}");
        assert_eq!(
            child.step(Event::Tick),
            [Action::Report(left_behind(NOT_PERMITTED))],
            "{options}"
        );
        child.ends_with(
            Outcome::Cancel {
                last: Some(by(Signal::KILL)),
                stop: Signal::TERM,
            },
            5000,
        );
    }
    // It never extends a grace period, and a child that ends by itself has its own status.
    Child::running("--grace=2s").play(&[
        (0, stop(Signal::TERM), "send TERM; send CONT"),
        (0, Event::SignalRefused, ""),
        (2000, Event::Tick, "report left-behind"),
    ]);
    let child = Child::running("").play(&[
        (0, stop(Signal::TERM), "send TERM; send CONT"),
        (0, Event::SignalRefused, ""),
        (10, exited(4), "report ended"),
    ]);
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(4)
    );
}

#[test]
fn an_end_after_a_stop_is_a_cancel_whatever_the_strategy() {
    for restart in ["false", "unexpected", "true"] {
        for status in [
            ExitStatus::Exited(0),
            ExitStatus::Exited(1),
            by(Signal::TERM),
        ] {
            let mut child = Child::running(&format!("--restart={restart} --grace=5s"));
            child.take(stop(Signal::TERM));
            child.take(ended(status));
            child.ends_with(
                Outcome::Cancel {
                    last: Some(status),
                    stop: Signal::TERM,
                },
                5000,
            );
        }
    }
}

#[test]
fn a_stop_before_any_child_ran_has_no_last_status() {
    Child::new("--grace=5s")
        .play(&[(0, stop(Signal::INT), "")])
        .ends_with(
            Outcome::Cancel {
                last: None,
                stop: Signal::INT,
            },
            5000,
        );
    let child = Child::new("--grace-close --grace=5s").play(&[
        (0, Event::Begin, "CloseNamesakes"),
        (9, stop(Signal::TERM), ""),
        (10, Event::NamesakesGone, ""),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: None,
            stop: Signal::TERM,
        },
        5009,
    );
}

#[test]
fn a_stop_of_a_child_that_never_became_its_program_is_a_cancel_unless_it_never_could() {
    let stopped =
        || Child::running("--grace=5s").play(&[(100, stop(Signal::TERM), "send TERM; send CONT")]);
    stopped()
        .play(&[(200, failed(Stage::Exec, 12), "")])
        .ends_with(
            Outcome::Cancel {
                last: None,
                stop: Signal::TERM,
            },
            5100,
        );
    let Event::SpawnFailed(failure) = FOR_GOOD else {
        panic!("it is a failure")
    };
    stopped()
        .play(&[(200, FOR_GOOD, "report not-started")])
        .ends_with(Outcome::NotStarted(failure), 5100);
}

#[test]
fn a_stop_during_a_pause_ends_at_once() {
    let child = Child::running("--restart=unexpected --backoff=1s --grace=5s").play(&[
        (100, exited(3), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (200, stop(Signal::TERM), ""),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(3)),
            stop: Signal::TERM,
        },
        5200,
    );
}

#[test]
fn a_stop_during_a_pause_leaves_leftovers_the_grace_period_that_they_had() {
    let ending = Child::running("--restart=unexpected --backoff=1s --leftovers=5s").play(&[
        (100, exited(3), "report restarting; EndGroup"),
        (105, stop(Signal::TERM), ""),
    ]);
    ending.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(3)),
            stop: Signal::TERM,
        },
        5100,
    );

    let mut killed = Child::running("--restart=unexpected --leftovers=5s");
    killed.take(exited(3));
    while killed.situation() != "between, killed" {
        killed.due();
    }
    assert_eq!(killed.now, at_millis(5000));
    killed.take(stop(Signal::TERM));
    killed.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(3)),
            stop: Signal::TERM,
        },
        5000,
    );
}

#[test]
fn leftovers_that_were_killed_before_a_stop_are_not_said_to_be_killed_again() {
    let mut child = Child::running("--restart=unexpected --leftovers=5s");
    child.take(exited(3));
    while child.situation() != "between, killed" {
        child.due();
    }
    child.take(stop(Signal::TERM));
    assert_eq!(
        child
            .lifecycle
            .finish()
            .map(|finish| finish.is_kill_expected),
        Some(true)
    );
}

#[test]
fn after_a_stop_nothing_is_started_again_in_any_state() {
    for situation in SITUATIONS {
        let mut child = Child::in_situation(situation);
        // In this one state, no stop is taken: the rim answers Spawn before it takes another
        // signal.
        if situation == "spawning" {
            child.take(spawned(7));
        }
        child.take(stop(Signal::TERM));
        for (name, event) in events() {
            let actions = if name == "due" {
                child.due()
            } else {
                child.take(event)
            };
            assert!(
                !actions.contains("Spawn") && !actions.contains("Close"),
                "{situation}, {name}: {actions}"
            );
        }
    }
}

// A person at the terminal: `doc/specification.md#terminal`.

#[test]
fn a_child_interrupted_at_the_terminal_is_cancelled_and_not_restarted() {
    let table = [
        (by(Signal::INT), Signal::INT),
        (by(Signal::QUIT), Signal::QUIT),
        (ExitStatus::Exited(130), Signal::INT),
        (ExitStatus::Exited(131), Signal::QUIT),
    ];
    for restart in ["false", "unexpected", "true"] {
        for (status, signal) in table {
            let mut child = Child::running(&format!("--restart={restart} --grace=5s"));
            child.now = at_millis(60_000);
            child.take(Event::Ended {
                status,
                held_terminal: true,
                usage: Usage::NONE,
            });
            child.ends_with(
                Outcome::Cancel {
                    last: Some(status),
                    stop: signal,
                },
                65_000,
            );
        }
    }
}

#[test]
fn the_same_ends_without_the_terminal_or_others_with_it_are_ends_like_any_other() {
    let end = |status, held_terminal| {
        let mut child = Child::running("--restart=true");
        child.take(Event::Ended {
            status,
            held_terminal,
            usage: Usage::NONE,
        });
        child.situation()
    };
    for status in [
        by(Signal::INT),
        by(Signal::QUIT),
        ExitStatus::Exited(130),
        ExitStatus::Exited(131),
    ] {
        assert_eq!(end(status, false), "between, ending", "{status}");
    }
    for status in [
        by(Signal::TERM),
        by(Signal::KILL),
        ExitStatus::Exited(129),
        ExitStatus::Exited(132),
    ] {
        assert_eq!(end(status, true), "between, ending", "{status}");
    }
}

// Leftovers between two starts: `doc/specification.md#leftovers`.

#[test]
fn a_new_child_waits_until_nothing_is_left_of_the_old_one() {
    Child::running("--restart=unexpected --leftovers=30s").play(&[
        (20_000, exited(1), "report restarting; EndGroup"),
        (20_000, Event::OthersReaped, "ProbeGroup"),
        (20_010, Event::Tick, "ProbeGroup"),
        (20_030, Event::Tick, "ProbeGroup"),
        (20_070, Event::Tick, "ProbeGroup"),
        (20_090, Event::OthersReaped, "ProbeGroup"),
        (20_090, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn a_pause_goes_on_after_nothing_is_left() {
    Child::running("--restart=unexpected --backoff=10s --backoff-max=10ms").play(&[
        (1000, exited(1), "report restarting; EndGroup"),
        (1005, Event::GroupGone, ""),
        (1006, Event::OthersReaped, ""),
        (1010, Event::Tick, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn leftovers_are_looked_for_less_and_less_often_but_every_second() {
    let mut child = Child::running("--restart=unexpected --leftovers=30s");
    child.take(exited(1));
    let mut looks = Vec::new();
    while child.situation() == "between, ending" {
        let before = child.now;
        child.due();
        looks.push(child.now.since(before));
    }
    assert_eq!(child.now, at_millis(30_000));
    looks.pop();
    assert_eq!(looks.first(), Some(&Duration::from_millis(10)));
    assert!(
        looks.is_sorted() && looks.last() == Some(&LONGEST_PROBE_PAUSE),
        "{looks:?}"
    );
    assert!(looks.len() < 40, "{} looks in 30 s", looks.len());
}

#[test]
fn leftovers_get_kill_after_the_grace_period_and_are_left_behind_after_five_seconds_more() {
    let mut child = Child::running("--restart=unexpected --leftovers=20ms");
    child.now = at_millis(20_000);
    child.take(exited(1));
    let mut child = child.play(&[
        (20_010, Event::Tick, "ProbeGroup"),
        (
            20_020,
            Event::Tick,
            "report leftovers-killed if any; KillGroup; ProbeGroup",
        ),
        (20_030, Event::Tick, "ProbeGroup"),
    ]);
    let mut last = String::new();
    while child.situation() == "between, killed" {
        last = child.due();
    }
    assert_eq!(last, "report left-behind if any; Spawn { restarts: 1 }");
    assert_eq!(child.now.since(at_millis(20_020)), KILL_TIMEOUT);
}

/// Returns a child whose cgroup existed before.
fn with_leftovers(options: &str) -> Child {
    Child::with(Rules {
        is_adopted: true,
        ..rules(options)
    })
}

#[test]
fn what_an_earlier_run_left_is_ended_before_the_first_start() {
    let child = with_leftovers("--leftovers 20s").play(&[
        (0, Event::Begin, "EndGroup"),
        (10, Event::Tick, "ProbeGroup"),
        (15, Event::GroupGone, "Spawn { restarts: 0 }"),
    ]);
    assert_eq!(child.lifecycle.restarts(), 0, "the first start is none");
    with_leftovers("--leftovers 15ms").play(&[
        (0, Event::Begin, "EndGroup"),
        (10, Event::Tick, "ProbeGroup"),
        (
            15,
            Event::Tick,
            "report leftovers-killed if any; KillGroup; ProbeGroup",
        ),
        (16, Event::GroupGone, "Spawn { restarts: 0 }"),
    ]);
    with_leftovers("--kill").play(&[
        (0, Event::Begin, "KillGroup; ProbeGroup"),
        (0, Event::GroupGone, "Spawn { restarts: 0 }"),
    ]);
    with_leftovers("--grace-close").play(&[
        (0, Event::Begin, "EndGroup"),
        (1, Event::GroupGone, "CloseNamesakes"),
    ]);
}

#[test]
fn a_stop_while_an_earlier_run_is_ended_starts_nothing() {
    let mut child = with_leftovers("");
    child.take(Event::Begin);
    child.take(Event::Stop {
        signal: Signal::TERM,
        queued: false,
        at_once: false,
    });
    assert_eq!(child.situation(), "ended");
    assert_eq!(child.take(Event::GroupGone), "");
}

#[test]
fn an_end_for_want_of_memory_is_remembered_until_the_next() {
    let mut child = Child::running("--restart true");
    let end = |out_of_memory| Event::Ended {
        status: by(Signal::KILL),
        held_terminal: false,
        usage: Usage {
            out_of_memory,
            ..Usage::NONE
        },
    };
    child.take(end(true));
    assert!(child.lifecycle.out_of_memory());
    child.take(Event::GroupGone);
    child.due();
    child.take(spawned(8));
    assert!(
        child.lifecycle.out_of_memory(),
        "it is still how the last one ended"
    );
    child.take(end(false));
    assert!(!child.lifecycle.out_of_memory());
}

#[test]
fn leftovers_that_die_of_kill_make_way_at_once() {
    Child::running("--restart=true --leftovers=5ms").play(&[
        (20_000, exited(1), "report restarting; EndGroup"),
        (
            20_005,
            Event::Tick,
            "report leftovers-killed if any; KillGroup; ProbeGroup",
        ),
        (20_005, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn under_kill_leftovers_get_no_grace_either() {
    Child::running("--restart=true --kill --leftovers=5s").play(&[
        (
            20_000,
            exited(1),
            "report restarting; KillGroup; ProbeGroup",
        ),
        (20_010, Event::Tick, "ProbeGroup"),
        (20_020, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

// Other processes of the name: `doc/specification.md#processes-of-the-same-name`.

#[test]
fn others_are_closed_before_the_first_start_and_before_every_other() {
    Child::new("--grace-close --restart=unexpected").play(&[
        (0, Event::Begin, "CloseNamesakes"),
        (500, Event::NamesakesGone, "Spawn { restarts: 0 }"),
        (500, spawned(7), ""),
        (20_000, exited(1), "report restarting; EndGroup"),
        (20_000, Event::GroupGone, "CloseNamesakes"),
        (20_000, Event::NamesakesGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn others_get_kill_after_their_wait_and_five_seconds_later_it_starts_all_the_same() {
    for (options, wait) in [
        ("--grace-close", 30_000),
        ("--grace-close --grace-close-wait=2s", 2000),
    ] {
        Child::new(options).play(&[
            (0, Event::Begin, "CloseNamesakes"),
            (wait, Event::Tick, "KillNamesakes"),
            (
                wait + 5000,
                Event::Tick,
                "report others-left; Spawn { restarts: 0 }",
            ),
        ]);
    }
    Child::new("--grace-close --grace-close-wait=0").play(&[
        (0, Event::Begin, "CloseNamesakes"),
        (0, Event::Tick, "KillNamesakes"),
        (1, Event::NamesakesGone, "Spawn { restarts: 0 }"),
    ]);
}

// Walks: any events, in any order, at any time.

/// One step of a walk: some time passes, and then something happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Any event, sensible or not.
    Wild(Event),
    /// One of the events that can happen in this situation.
    Likely(usize),
    /// No event until the deadline.
    Due,
}

fn likely(situation: &str) -> Vec<Event> {
    match situation {
        "ready" => vec![Event::Begin],
        "closing" | "closing, killed" => vec![Event::NamesakesGone, Event::OthersReaped],
        "spawning" => vec![
            Event::Begin,
            Event::Begin,
            Event::Begin,
            Event::Begin,
            FOR_NOW,
        ],
        "running" => vec![
            exited(1),
            exited(1),
            ended(by(Signal::KILL)),
            FOR_NOW,
            Event::OthersReaped,
            stop(Signal::TERM),
            stop(Signal::INT),
            succeeded(CheckKind::Health),
            failed_check(CheckKind::Health),
            notified(Notification::Trigger),
            notified(Notification::Trigger),
            notified(Notification::Alive),
            Event::Restart,
            Event::Restart,
        ],
        "unhealthy" | "restarting" => vec![Event::OthersReaped, exited(0)],
        "draining" => vec![Event::OthersReaped, exited(0), stop(Signal::INT)],
        // A walk seldom comes here, and would not meet everything by chance.
        "unhealthy, killed" | "restarting, killed" => events().map(|(_, event)| event).to_vec(),
        "stopping" | "stopping, killed" => {
            vec![
                Event::OthersReaped,
                Event::OthersReaped,
                stop(Signal::INT),
                exited(0),
            ]
        }
        "between, ending" | "between, killed" | "between, gone" => {
            vec![Event::GroupGone, Event::GroupGone, Event::OthersReaped]
        }
        _ => vec![
            Event::OthersReaped,
            stop(Signal::TERM),
            exited(1),
            Event::Begin,
        ],
    }
}

fn walk() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let gap = prop_oneof![Just(0), 0..20_u64, 0..40_000_u64];
    let status = prop_oneof![
        any::<u8>().prop_map(ExitStatus::Exited),
        (1..=64)
            .prop_filter_map("no such signal", Signal::new)
            .prop_map(by)
    ];
    let wild = prop_oneof![
        prop::sample::select(events().to_vec()).prop_map(|(_, event)| event),
        (status, any::<bool>()).prop_map(|(status, held_terminal)| Event::Ended {
            status,
            held_terminal,
            usage: Usage::NONE
        }),
        (1..400).prop_map(failed_with),
    ];
    let step = prop_oneof![
        4 => wild.prop_map(Step::Wild),
        6 => any::<usize>().prop_map(Step::Likely),
        2 => Just(Step::Due),
    ];
    prop::collection::vec((gap, step), 1..60)
}

fn failed_with(errno: i32) -> Event {
    failed(Stage::Exec, errno)
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let restart = prop::sample::select(vec![
        Restart::False,
        Restart::Unexpected,
        Restart::Unexpected,
        Restart::True,
        Restart::True,
    ]);
    let span = || {
        prop::sample::select(vec![0, 1, 50, 1000, 10_000, 30_000]).prop_map(Duration::from_millis)
    };
    let close = prop::option::weighted(0.3, span());
    let patience = (
        prop::option::weighted(0.8, span()),
        prop::option::weighted(0.8, span()),
    );
    (
        restart,
        span(),
        0..5_u32,
        span(),
        patience,
        prop::bool::weighted(0.2),
        close,
        (any::<bool>(), any_health(), prop::bool::weighted(0.3)),
    )
        .prop_map(
            |(
                restart,
                start_secs,
                start_retries,
                backoff,
                (grace, leftovers),
                kill,
                grace_close,
                (single_child, health, by_request),
            )| {
                let delay = if by_request { backoff } else { Duration::ZERO };
                let mut rules = Rules {
                    stop: StopRules {
                        signal: None,
                        grace,
                        kill,
                        delay,
                    },
                    leftovers,
                    grace_close,
                    single_child,
                    ..rules("")
                };
                rules.checks.health = health;
                rules.restart_policy.on_request = by_request;
                rules.restart_policy.restart = restart;
                rules.restart_policy.start_secs = start_secs;
                rules.restart_policy.start_retries = start_retries;
                rules.restart_policy.backoff = backoff;
                rules
            },
        )
}

fn any_health() -> impl Strategy<Value = Option<HealthRules>> {
    let method = prop::sample::select(vec![Method::Check, Method::Notify]);
    let span = (0..20_000_u64).prop_map(Duration::from_millis);
    let rules = (method, span, 0..3_u32).prop_map(|(method, start, retries)| HealthRules {
        retries,
        start,
        ..HealthRules::new(method)
    });
    prop::option::weighted(0.6, rules)
}

/// Watches a child on its walk, keeps its own record of the promises, and notes each promise that
/// is broken.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an account of its own"
)]
struct Witness {
    child: Child,
    rules: Rules,
    was_stopped: bool,
    /// Whether no other child may be started.
    was_last: bool,
    spawns: u32,
    group_is_gone: bool,
    started: Moment,
    stopped: Moment,
    /// What the stop under way leaves the child until KILL.
    grace: Option<Duration>,
    closed: Moment,
    ended: Moment,
    /// Failed starts since the last one that was none.
    failed: u32,
    last_was_quick: bool,
    /// How it ended, and how long leftovers have then.
    finish: Option<(Finish, Duration)>,
    seen: BTreeSet<(&'static str, &'static str)>,
    broken: Vec<String>,
}

impl Witness {
    fn new(rules: Rules) -> Self {
        let start = at_millis(0);
        Self {
            child: Child::with(rules),
            rules,
            was_stopped: false,
            was_last: false,
            spawns: 0,
            group_is_gone: true,
            started: start,
            stopped: start,
            grace: None,
            closed: start,
            ended: start,
            failed: 0,
            last_was_quick: false,
            finish: None,
            seen: BTreeSet::new(),
            broken: Vec::new(),
        }
    }

    fn watch(rules: Rules, walk: &[(u64, Step)]) -> Self {
        let mut witness = Self::new(rules);
        for (gap, step) in walk {
            let child = &mut witness.child;
            let event = match step {
                Step::Wild(event) => *event,
                Step::Likely(choice) => {
                    let events = likely(child.situation());
                    events
                        .get(choice % events.len())
                        .copied()
                        .unwrap_or(Event::OthersReaped)
                }
                Step::Due => Event::Tick,
            };
            let event = match (child.situation(), event) {
                // The answers to Spawn come at once, and before anything else.
                ("spawning", Event::Begin | Event::Stop { .. }) => spawned(100),
                (_, event) => event,
            };
            child.now = match (step, child.lifecycle.deadline()) {
                (Step::Due, Some(deadline)) => deadline.max(child.now),
                _ => child.now.after(Duration::from_millis(*gap)),
            };
            witness.step(event);
        }
        witness
    }

    fn promise(&mut self, kept: bool, promise: &str) {
        if !kept {
            self.broken
                .push(format!("{promise}, at {:?}", self.child.now));
        }
    }

    fn step(&mut self, event: Event) {
        let situation = self.child.situation();
        self.seen.insert((situation, event.name()));
        let before = self.finish.map(|_| format!("{:?}", self.child.lifecycle));
        self.account(situation, event);
        let actions = self.child.step(event);
        let after = self.child.situation();
        if situation == "running" && (after.starts_with("unhealthy") || after == "restarting") {
            self.stopped = self.child.now;
            self.grace = Some(self.rules.own_stop_grace());
        }
        if situation == "draining" && after.starts_with("stopping") {
            self.stopped = self.child.now;
        }
        for action in &actions {
            self.check(*action);
        }
        let is_last = self.child.lifecycle.is_last_start();
        self.promise(is_last || !self.was_last, "the last start stays the last");
        self.was_last = is_last;
        if let Some(before) = before {
            let absorbed = actions.is_empty() && format!("{:?}", self.child.lifecycle) == before;
            self.promise(absorbed, "the end is the end");
        } else if let Some(finish) = self.child.lifecycle.finish() {
            self.finish = Some((
                finish,
                finish
                    .kill_at
                    .map(|at| at.since(self.child.now))
                    .unwrap_or_default(),
            ));
            self.promise(self.was_last, "the end is announced as the last start");
        }
    }

    /// Records what the event means for the promises, before the child gets it.
    fn account(&mut self, situation: &str, event: Event) {
        let now = self.child.now;
        let uptime = now.since(self.started);
        let strategy = self.rules.restart_policy;
        let quick = if strategy.start_secs.is_zero() {
            Duration::from_secs(10)
        } else {
            Duration::from_millis(100)
        };
        match (situation, event) {
            ("spawning", Event::Spawned { .. }) => self.started = now,
            (
                "spawning" | "running" | "restarting" | "restarting, killed",
                Event::SpawnFailed(_),
            ) => {
                self.failed += 1;
                self.last_was_quick = true;
            }
            ("running", Event::Ended { status, .. }) => {
                self.last_was_quick = uptime < strategy.start_secs.max(quick);
                if uptime >= strategy.start_secs {
                    self.failed = 0;
                } else if !strategy.expected.covers(status) {
                    self.failed += 1;
                }
            }
            ("restarting" | "restarting, killed", Event::Ended { .. })
            | ("between, ending" | "between, killed" | "between, gone", Event::Restart) => {
                self.failed = 0;
                self.last_was_quick = false;
            }
            ("between, ending" | "between, killed", Event::GroupGone) => self.group_is_gone = true,
            ("running", Event::Stop { .. }) => {
                (self.stopped, self.grace) = (now, self.rules.stop.grace);
            }
            ("unhealthy" | "unhealthy, killed", Event::Ended { .. } | Event::SpawnFailed(_)) => {
                let is_well = self.child.lifecycle.checks.has_been_healthy();
                let is_end = matches!(event, Event::Ended { .. });
                if is_end && is_well && uptime >= strategy.start_secs {
                    self.failed = 0;
                } else {
                    self.failed += 1;
                }
                self.last_was_quick = self.failed > 0 || uptime < strategy.start_secs.max(quick);
            }
            _ => {}
        }
        self.was_stopped |= situation != "spawning" && matches!(event, Event::Stop { .. });
    }

    fn check(&mut self, action: Action) {
        let now = self.child.now;
        let Rules {
            stop: StopRules { kill, .. },
            leftovers,
            grace_close,
            ..
        } = self.rules;
        match action {
            Action::Send {
                signal: Signal::KILL,
                ..
            } => {
                let enough = kill
                    || self
                        .grace
                        .is_some_and(|grace| now.since(self.stopped) >= grace);
                self.promise(enough, "KILL only after the grace period");
            }
            Action::KillGroup => {
                let enough =
                    kill || now.since(self.ended) >= leftovers.unwrap_or(SHORTEST_LEFTOVERS_GRACE);
                self.promise(enough, "KILL for leftovers only after their time");
            }
            Action::KillNamesakes => {
                let enough = grace_close.is_some_and(|wait| now.since(self.closed) >= wait);
                self.promise(enough, "KILL for others only after their wait");
            }
            Action::EndGroup => (self.group_is_gone, self.ended) = (false, now),
            Action::ReportIfAnyLeft(Fact::LeftBehind { .. }) => self.group_is_gone = true,
            Action::CloseNamesakes => {
                self.closed = now;
                self.check_start();
            }
            Action::Spawn { restarts } => {
                let counted =
                    (restarts, self.child.lifecycle.restarts()) == (self.spawns, self.spawns);
                self.promise(counted, "every restart is counted");
                self.spawns += 1;
                self.check_start();
            }
            _ => {}
        }
    }

    fn check_start(&mut self) {
        let strategy = self.rules.restart_policy;
        self.promise(!self.was_stopped, "no start after a stop");
        self.promise(!self.was_last, "no start after the last");
        self.promise(self.group_is_gone, "no start beside leftovers");
        self.promise(
            self.child.lifecycle.alive().is_none(),
            "no start beside a living child",
        );
        let few = self.failed <= strategy.start_retries || strategy.start_secs.is_zero();
        self.promise(few, "no more failed starts in a row than retries");
        let pause = self.child.now.since(self.ended);
        self.promise(
            !self.last_was_quick || pause >= Duration::from_millis(10),
            "a pause after a quick end",
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_walk_breaks_a_promise(rules in any_rules(), walk in walk()) {
        prop_assert_eq!(Witness::watch(rules, &walk).broken, [""; 0]);
    }

    /// Even if no process ever ends and the rim never answers, time alone brings a stopped child to
    /// its end.
    #[test]
    fn a_stop_ends_every_walk_within_grace_and_patience(rules in any_rules(), walk in walk()) {
        let mut witness = Witness::watch(rules, &walk);
        if witness.child.situation() == "spawning" {
            witness.step(spawned(101));
        }
        if witness.child.lifecycle.finish().is_none() {
            let asked = witness.child.now;
            witness.step(stop(Signal::TERM));
            while let Some(deadline) = witness.child.lifecycle.deadline() {
                witness.child.now = deadline.max(witness.child.now);
                witness.step(Event::Tick);
            }
            let has_ended = witness.child.lifecycle.finish().is_some();
            prop_assert!(has_ended || rules.stop.grace.is_none() && !rules.stop.kill && witness.child.situation() == "stopping");
            let took = witness.child.now.since(asked);
            let grace = if rules.stop.kill { Duration::ZERO } else { rules.own_stop_grace() };
            prop_assert!(took <= rules.stop.delay + grace + KILL_TIMEOUT, "it took {took:?}");
            prop_assert_eq!(witness.broken, [""; 0]);
        }
    }

    /// Every wait can end: an answer is due, there is a deadline, or all has ended.
    #[test]
    fn every_walk_leads_to_a_state_that_something_ends(rules in any_rules(), walk in walk()) {
        let witness = Witness::watch(rules, &walk);
        let child = &witness.child;
        let is_checked = child.situation() == "running" && rules.checks.health.is_some();
        let waits = matches!(child.situation(), "ready" | "spawning" | "running" | "ended");
        let has_time = child.situation() == "stopping" && rules.stop.grace.is_none();
        prop_assert!(has_time || is_checked || child.lifecycle.deadline().is_none() == waits, "{}", child.situation());
    }

    #[test]
    fn at_no_end_have_leftovers_more_than_their_time(rules in any_rules(), walk in walk()) {
        if let Some((finish, left)) = Witness::watch(rules, &walk).finish {
            let longest = rules.after_stop().max(rules.between_starts());
            prop_assert!(left <= longest.max(rules.own_stop_grace()));
            prop_assert!(!finish.is_kill_expected || left.is_zero(), "killed already, and yet {left:?} are left");
        }
    }
}

/// The properties above say nothing about a pair that no walk ever meets.
#[test]
fn the_walks_meet_every_event_in_every_state() {
    let mut missing: BTreeSet<_> = SITUATIONS
        .iter()
        .flat_map(|at| events().map(|(_, event)| (*at, event.name())))
        .collect();
    // In this state the walk answers in place of the rim, which takes no signal and begins nothing
    // there.
    missing.remove(&("spawning", Event::Begin.name()));
    missing.remove(&("spawning", stop(Signal::TERM).name()));
    let mut runner = TestRunner::deterministic();
    for _ in 0..20_000 {
        let walk = (any_rules(), walk())
            .new_tree(&mut runner)
            .map(|tree| tree.current());
        if let Ok((rules, walk)) = walk {
            for pair in Witness::watch(rules, &walk).seen {
                missing.remove(&pair);
            }
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("never met: {missing:?}");
}

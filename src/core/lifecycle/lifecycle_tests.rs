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

use super::state::StopCause;
use super::{Event, Finish, Lifecycle, State};
use crate::core::action::{Action, Actions};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::health::event::CheckEvent;
use crate::core::health::failure::CheckFailure;
use crate::core::health::notification::Notification;
use crate::core::health::rules::{CheckKind, HealthRules, Method};
use crate::core::moment::Moment;
use crate::core::rules::Rules;
use crate::core::script::{
    Move, Scripted, Tabled, at_millis, by, check_moves, check_names, config, ended, exited,
    interrupted, spawned, stop,
};
use crate::core::signal::Signal;
use crate::core::status::{Outcome, SpawnFailure, Stage};

#[path = "check_tests.rs"]
mod check;
#[path = "end_tests.rs"]
mod end;
#[path = "leftovers_tests.rs"]
mod leftovers;
#[path = "request_tests.rs"]
mod request;
#[path = "stop_tests.rs"]
mod stops;
#[path = "walk_tests.rs"]
mod walk;

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

    /// A child that was started at 0.
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

    /// The state with what else decides in it.
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

    /// Brings a child there by what really leads there.
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

/// Every event, in every kind that makes a difference anywhere. A "due" tick comes at the deadline,
/// an "early" one before.
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

/// The whole machine: where, what happens, where that leads, what is done. What is in neither this
/// table nor the next cannot happen.
const MOVES: &[Move] = &[
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

/// What may well happen there, and changes nothing: no deadline has come, it is too late, or it is
/// of no concern.
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

impl Tabled for Child {
    const SITUATIONS: &'static [&'static str] = &SITUATIONS;
    const MOVES: &'static [Move] = MOVES;

    fn events() -> Vec<(&'static str, Event)> {
        events().into()
    }

    fn in_situation(situation: &str) -> Self {
        Self::in_situation(situation)
    }

    fn situation(&self) -> &'static str {
        self.situation()
    }

    fn check_unnamed(&self, former: &Self, situation: &str, event: &str, actions: &str) {
        let quiet = situation == "ended"
            || !["ready", "spawning"].contains(&situation) && ABOUT_CHECKS.contains(&event)
            || QUIET
                .iter()
                .any(|(at, what)| *at == situation && what.contains(&event));
        assert_eq!(
            actions,
            if quiet { "" } else { "report impossible" },
            "{situation}: {event}"
        );
        assert_eq!(
            format!("{:?}", self.lifecycle),
            format!("{:?}", former.lifecycle),
            "{situation}: {event}"
        );
    }
}

#[test]
fn every_state_and_event_do_what_the_table_says() {
    check_moves::<Child>();
}

#[test]
fn the_tables_name_only_what_exists() {
    check_names::<Child>();
    for (at, quiet) in QUIET {
        let is_event = |name: &&str| events().iter().any(|(event, _)| event == name);
        assert!(
            SITUATIONS.contains(at) && quiet.iter().all(is_event),
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

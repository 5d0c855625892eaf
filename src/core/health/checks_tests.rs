#![allow(clippy::panic, reason = "a test whose own script is wrong has failed")]

use core::time::Duration;

use proptest::prelude::*;

use super::{
    Checks, Finding, Health, LAST_FAILURE_DELAY, LONGEST_TICK_DELAY, Phase, SHORTEST_PAUSE, Timer,
};
use crate::core::action::{Action, Actions};
use crate::core::health::event::CheckEvent;
use crate::core::health::failure::CheckFailure;
use crate::core::health::notification::Notification;
use crate::core::health::rules::{
    CheckKind, CheckRules, HealthRules, Method, READY_WITHIN, ReadyRules,
};
use crate::core::moment::Moment;
use crate::core::script::{
    Brief, DUE, Move, Scripted, Tabled, at_millis, check_moves, check_names,
};

const REFUSED: CheckFailure = CheckFailure::Status(503);

/// The rules of `--ready` alone.
const fn ready_rules(method: Method) -> ReadyRules {
    ReadyRules {
        method,
        within: Some(READY_WITHIN),
    }
}

/// What happens to the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Start,
    End,
    Done(CheckKind, Result<(), CheckFailure>),
    Notified(Notification),
    Suspend,
    Resume,
    Tick,
}

const READY_OK: Input = Input::Done(CheckKind::Ready, Ok(()));
const READY_FAILED: Input = Input::Done(CheckKind::Ready, Err(REFUSED));
const OK: Input = Input::Done(CheckKind::Health, Ok(()));
const FAILED: Input = Input::Done(CheckKind::Health, Err(REFUSED));
const ALIVE: Input = Input::Notified(Notification::Alive);

/// What comes out of the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Output {
    Action(Action),
    Finding(Finding),
}

impl Brief for Output {
    fn brief(&self) -> String {
        match *self {
            Self::Action(Action::StartCheck { kind }) => format!("check {kind:?}"),
            Self::Action(Action::CancelCheck) => "cancel".to_owned(),
            Self::Action(action) => action.brief(),
            Self::Finding(Finding::Healthy { is_first: true }) => "healthy".to_owned(),
            Self::Finding(Finding::Healthy { is_first: false }) => "healthy again".to_owned(),
            Self::Finding(Finding::Ready) => "ready".to_owned(),
            Self::Finding(Finding::NotReady { within, failure }) => {
                format!("not ready within {within:?}: {failure:?}")
            }
            Self::Finding(Finding::Unhealthy { failure, failures }) => {
                format!("unhealthy by {failures}: {failure:?}")
            }
        }
    }
}

/// The checks of one child in virtual time.
#[derive(Debug)]
struct World {
    checks: Checks,
    rules: CheckRules,
    now: Moment,
}

impl World {
    fn new(rules: CheckRules) -> Self {
        Self {
            checks: Checks::OFF,
            rules,
            now: at_millis(0),
        }
    }

    fn started(rules: CheckRules) -> Self {
        let mut world = Self::new(rules);
        world.take(Input::Start);
        world
    }

    /// The state with what else decides in it.
    fn situation(&self) -> &'static str {
        let Checks {
            phase,
            timer,
            failures,
            has_been_healthy,
            suspended_at,
            ..
        } = self.checks;
        if suspended_at.is_some() {
            return "suspended";
        }
        match (phase, timer, failures, has_been_healthy) {
            (Phase::Nothing, ..) => "off",
            (Phase::Ready { .. }, Timer::Check { .. }, ..) => "unready",
            (Phase::Ready { .. }, Timer::Timeout { .. }, ..) => "unready, checking",
            (Phase::Ready { .. }, Timer::Nothing, ..) => "unready, notify",
            (Phase::Health, Timer::Check { .. }, 0, false) => "starting",
            (Phase::Health, Timer::Timeout { .. }, 0, false) => "starting, checking",
            (Phase::Health, Timer::Check { .. }, 0, true) => "healthy",
            (Phase::Health, Timer::Timeout { .. }, 0, true) => "healthy, checking",
            (Phase::Health, Timer::Check { .. }, ..) => "failing",
            (Phase::Health, Timer::Timeout { .. }, ..) => "failing, checking",
            (Phase::Health, Timer::Unhealthy { .. }, ..) => "last failure",
            (Phase::Health, Timer::Watchdog { .. }, _, false) => "starting, notify",
            (Phase::Health, Timer::Watchdog { .. }, _, true) => "healthy, notify",
            (Phase::Health, Timer::Nothing, ..) => "unhealthy",
            (phase, timer, ..) => panic!("no such situation: {phase:?}, {timer:?}"),
        }
    }

    /// Brings the checks there by what really leads there.
    fn in_situation(situation: &str) -> Self {
        let both = |method| CheckRules {
            health: Some(HealthRules {
                retries: 2,
                ..HealthRules::new(method)
            }),
            ready: Some(ready_rules(method)),
            ..CheckRules::NONE
        };
        let method = if situation.ends_with("notify") {
            Method::Notify
        } else {
            Method::Check
        };
        let notify_ready = Input::Notified(Notification::Ready);
        let way: &[Input] = match situation {
            "off" => &[],
            "unready, checking" | "unready, notify" => &[Input::Start],
            "unready" => &[Input::Start, READY_FAILED],
            "starting" => &[Input::Start, READY_OK],
            "starting, checking" => &[Input::Start, READY_OK, Input::Tick],
            "healthy" => &[Input::Start, READY_OK, Input::Tick, OK],
            "healthy, checking" => &[Input::Start, READY_OK, Input::Tick, OK, Input::Tick],
            "suspended" => &[Input::Start, READY_OK, Input::Tick, OK, Input::Suspend],
            "failing" => &[Input::Start, READY_OK, Input::Tick, OK, Input::Tick, FAILED],
            "failing, checking" => &[
                Input::Start,
                READY_OK,
                Input::Tick,
                OK,
                Input::Tick,
                FAILED,
                Input::Tick,
            ],
            "last failure" => &[
                Input::Start,
                READY_OK,
                Input::Tick,
                OK,
                Input::Tick,
                FAILED,
                Input::Tick,
                FAILED,
            ],
            "unhealthy" => &[
                Input::Start,
                READY_OK,
                Input::Tick,
                OK,
                Input::Tick,
                FAILED,
                Input::Tick,
                Input::Tick,
            ],
            "starting, notify" => &[Input::Start, notify_ready],
            "healthy, notify" => &[Input::Start, notify_ready, ALIVE],
            _ => panic!("no such situation: {situation}"),
        };
        let mut world = Self::new(both(method));
        for input in way {
            if *input == Input::Tick {
                world.due();
            } else {
                world.take(*input);
            }
        }
        assert_eq!(world.situation(), situation);
        world
    }
}

impl Scripted for World {
    type Event = Input;
    type Action = Output;
    const TICK: Input = Input::Tick;

    fn deadline(&self) -> Option<Moment> {
        self.checks.deadline()
    }

    fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Actions::new();
        let (checks, rules, now) = (&mut self.checks, &self.rules, self.now);
        let before = checks.deadline();
        let finding = match input {
            Input::Start => {
                checks.start(rules, now, &mut out);
                None
            }
            Input::End => {
                checks.end(&mut out);
                None
            }
            Input::Done(kind, result) => {
                checks.step(CheckEvent::Done { kind, result }, rules, now, &mut out)
            }
            Input::Notified(notification) => {
                checks.step(CheckEvent::Notified(notification), rules, now, &mut out)
            }
            Input::Suspend => checks.step(CheckEvent::Suspended, rules, now, &mut out),
            Input::Resume => checks.step(CheckEvent::Resumed, rules, now, &mut out),
            Input::Tick => checks.tick(rules, now, &mut out),
        };
        let after = checks.deadline();
        assert!(
            after == before || after.is_none_or(|at| at >= now),
            "{input:?} set a deadline in the past"
        );
        let findings = finding.into_iter().map(Output::Finding);
        out.iter().map(Output::Action).chain(findings).collect()
    }
}

const SITUATIONS: [&str; 15] = [
    "off",
    "unready",
    "unready, checking",
    "unready, notify",
    "starting",
    "starting, checking",
    "starting, notify",
    "healthy",
    "healthy, checking",
    "healthy, notify",
    "failing",
    "failing, checking",
    "last failure",
    "suspended",
    "unhealthy",
];

/// Every input, in every kind that makes a difference anywhere. A "due" tick comes at the deadline,
/// an "early" one before.
fn inputs() -> [(&'static str, Input); 16] {
    let notified = Input::Notified;
    [
        ("start", Input::Start),
        ("end", Input::End),
        ("ready succeeded", READY_OK),
        ("ready failed", READY_FAILED),
        ("health succeeded", OK),
        ("health failed", FAILED),
        ("READY", notified(Notification::Ready)),
        ("WATCHDOG", ALIVE),
        ("trigger", notified(Notification::Trigger)),
        (
            "WATCHDOG_USEC",
            notified(Notification::Interval(Duration::from_secs(99))),
        ),
        (
            "EXTEND_TIMEOUT_USEC",
            notified(Notification::Extend(Duration::from_secs(99))),
        ),
        ("STOPPING", notified(Notification::Stopping)),
        ("suspended", Input::Suspend),
        ("resumed", Input::Resume),
        ("early", Input::Tick),
        ("due", Input::Tick),
    ]
}

/// The whole machine: where, what happens, where that leads, what comes out. What is not in this
/// table changes nothing.
const MOVES: &[Move] = &[
    ("unready", "due", "unready, checking", "check Ready"),
    ("unready, checking", "ready succeeded", "starting", "ready"),
    ("unready, checking", "ready failed", "unready", ""),
    ("unready, checking", "due", "unready", "cancel"),
    ("unready, notify", "READY", "starting, notify", "ready"),
    (
        "unready, notify",
        "trigger",
        "unready, notify",
        "unhealthy by 1: Triggered",
    ),
    ("unready, notify", "WATCHDOG_USEC", "unready, notify", ""),
    (
        "unready, notify",
        "due",
        "unready, notify",
        "not ready within 60s: None",
    ),
    ("starting", "due", "starting, checking", "check Health"),
    (
        "starting, checking",
        "health succeeded",
        "healthy",
        "healthy",
    ),
    ("starting, checking", "health failed", "starting", ""),
    ("starting, checking", "due", "starting", "cancel"),
    ("starting, notify", "WATCHDOG", "healthy, notify", "healthy"),
    (
        "starting, notify",
        "trigger",
        "starting, notify",
        "unhealthy by 1: Triggered",
    ),
    ("starting, notify", "WATCHDOG_USEC", "starting, notify", ""),
    (
        "starting, notify",
        "due",
        "starting, notify",
        "unhealthy by 1: Silent { interval: 10s }",
    ),
    ("healthy", "due", "healthy, checking", "check Health"),
    ("healthy, checking", "health succeeded", "healthy", ""),
    ("healthy, checking", "health failed", "failing", ""),
    ("healthy, checking", "due", "failing", "cancel"),
    ("healthy, notify", "WATCHDOG", "healthy, notify", ""),
    (
        "healthy, notify",
        "trigger",
        "healthy, notify",
        "unhealthy by 1: Triggered",
    ),
    ("healthy, notify", "WATCHDOG_USEC", "healthy, notify", ""),
    (
        "healthy, notify",
        "due",
        "healthy, notify",
        "unhealthy by 1: Silent { interval: 10s }",
    ),
    ("failing", "due", "failing, checking", "check Health"),
    (
        "failing, checking",
        "health succeeded",
        "healthy",
        "healthy again",
    ),
    ("failing, checking", "health failed", "last failure", ""),
    (
        "failing, checking",
        "due",
        "unhealthy",
        "cancel; unhealthy by 2: TimedOut { timeout: 3s }",
    ),
    (
        "last failure",
        "due",
        "last failure",
        "unhealthy by 2: Status(503)",
    ),
    ("suspended", "resumed", "healthy", ""),
];

/// What follows, for those inputs that do the same in many situations.
fn rule(situation: &str, input: &str) -> Option<(&'static str, &'static str)> {
    let cancel = if situation.ends_with("checking") {
        "cancel"
    } else {
        ""
    };
    match (situation, input) {
        (_, "start") if situation.ends_with("notify") => Some(("unready, notify", "")),
        (_, "start") => Some((
            "unready, checking",
            if cancel.is_empty() {
                "check Ready"
            } else {
                "cancel; check Ready"
            },
        )),
        ("off", _) => None,
        (_, "end" | "STOPPING") => Some(("off", cancel)),
        ("suspended", _) => None,
        (_, "suspended") => Some(("suspended", cancel)),
        (_, _) => None,
    }
}

impl Tabled for World {
    const SITUATIONS: &'static [&'static str] = &SITUATIONS;
    const MOVES: &'static [Move] = MOVES;

    fn events() -> Vec<(&'static str, Input)> {
        inputs().into()
    }

    fn in_situation(situation: &str) -> Self {
        Self::in_situation(situation)
    }

    fn situation(&self) -> &'static str {
        self.situation()
    }

    fn check_unnamed(&self, former: &Self, situation: &str, input: &str, out: &str) {
        match rule(situation, input) {
            Some(expected) => assert_eq!((self.situation(), out), expected, "{situation}: {input}"),
            // It may move a deadline.
            None if input == "EXTEND_TIMEOUT_USEC" => {
                assert_eq!((self.situation(), out), (situation, ""));
            }
            None => assert_eq!(
                (out, self.checks),
                ("", former.checks),
                "{situation}: {input}"
            ),
        }
    }
}

#[test]
fn every_situation_and_input_do_what_the_table_says() {
    check_moves::<World>();
}

#[test]
fn the_table_names_only_what_exists() {
    check_names::<World>();
}

/// The rules of `--health` alone, with every default.
fn health(method: Method) -> CheckRules {
    CheckRules {
        health: Some(HealthRules::new(method)),
        ..CheckRules::NONE
    }
}

/// The rules of `--ready` alone, with every default.
fn ready(method: Method) -> CheckRules {
    CheckRules {
        ready: Some(ready_rules(method)),
        ..CheckRules::NONE
    }
}

fn both(method: Method) -> CheckRules {
    CheckRules {
        health: health(method).health,
        ..ready(method)
    }
}

const fn notified(notification: Notification) -> Input {
    Input::Notified(notification)
}

#[test]
fn without_rules_there_is_no_check_and_no_deadline() {
    let mut world = World::new(CheckRules::NONE);
    for (name, input) in inputs() {
        assert_eq!(
            (world.take(input), world.checks.deadline()),
            (String::new(), None),
            "{name}"
        );
    }
}

// When each check is due: `doc/specification.md#when-a-check-is-due`.

#[test]
fn a_child_is_checked_once_a_second_until_the_first_success_and_then_each_interval() {
    World::new(health(Method::Check)).play(&[
        (0, Input::Start, ""),
        (1000, Input::Tick, "check Health"),
        (1000, FAILED, ""),
        (2000, Input::Tick, "check Health"),
        (2500, FAILED, ""),
        (3500, Input::Tick, "check Health"),
        (4000, OK, "healthy"),
        (14_000, Input::Tick, "check Health"),
        (14_700, OK, ""),
        (24_700, Input::Tick, "check Health"),
    ]);
}

#[test]
fn a_short_interval_counts_before_the_first_success_too_but_never_makes_a_busy_loop() {
    for (interval, pause) in [(300, 300), (100, 100), (1, 100), (0, 100)] {
        let mut rules = health(Method::Check);
        rules.health = rules.health.map(|health| HealthRules {
            interval: Duration::from_millis(interval),
            ..health
        });
        World::new(rules).play(&[
            (0, Input::Start, ""),
            (pause, Input::Tick, "check Health"),
            (pause, OK, "healthy"),
            (2 * pause, Input::Tick, "check Health"),
        ]);
    }
}

#[test]
fn readiness_is_asked_at_once_and_once_a_second_and_health_comes_after_it() {
    World::new(both(Method::Check)).play(&[
        (0, Input::Start, "check Ready"),
        (5, READY_FAILED, ""),
        (1005, Input::Tick, "check Ready"),
        (4005, Input::Tick, "cancel"),
        (5005, Input::Tick, "check Ready"),
        (5010, READY_OK, "ready"),
        (6010, Input::Tick, "check Health"),
        (6020, OK, "healthy"),
        (16_020, Input::Tick, "check Health"),
    ]);
    let world = World::new(ready(Method::Check))
        .play(&[(0, Input::Start, "check Ready"), (5, READY_OK, "ready")]);
    assert_eq!(world.checks.deadline(), None);
}

#[test]
fn a_check_is_over_at_its_timeout_whatever_it_does() {
    let world = World::new(health(Method::Check)).play(&[
        (0, Input::Start, ""),
        (DUE, Input::Tick, "check Health"),
        (2000, OK, "healthy"),
        (12_000, Input::Tick, "check Health"),
        (15_000, Input::Tick, "cancel"),
        // Its result comes too late.
        (15_001, OK, ""),
        (25_000, Input::Tick, "check Health"),
    ]);
    assert_eq!(world.checks.failures, 1);
}

// When a child is unhealthy: `doc/specification.md#unhealthy`.

#[test]
fn retries_failures_in_a_row_make_a_child_unhealthy_and_a_success_between_does_not() {
    World::new(health(Method::Check)).play(&[
        (0, Input::Start, ""),
        (1000, Input::Tick, "check Health"),
        (1000, OK, "healthy"),
        (11_000, Input::Tick, "check Health"),
        (11_000, FAILED, ""),
        (21_000, Input::Tick, "check Health"),
        (21_000, FAILED, ""),
        (31_000, Input::Tick, "check Health"),
        (31_000, OK, "healthy again"),
        (41_000, Input::Tick, "check Health"),
        (41_000, FAILED, ""),
        (51_000, Input::Tick, "check Health"),
        (51_000, FAILED, ""),
        (61_000, Input::Tick, "check Health"),
        (61_000, FAILED, ""),
        (61_100, Input::Tick, "unhealthy by 3: Status(503)"),
    ]);
}

#[test]
fn a_child_that_ends_right_after_the_last_failure_is_not_unhealthy() {
    let world = World::in_situation("last failure");
    let pause = world.checks.deadline().map(|at| at.since(world.now));
    assert_eq!(pause, Some(LAST_FAILURE_DELAY));
    let mut world = world;
    assert_eq!(
        (world.take(Input::End), world.checks.deadline()),
        (String::new(), None)
    );
}

#[test]
fn failures_do_not_count_before_the_first_success_or_the_end_of_health_start() {
    let mut rules = health(Method::Check);
    rules.health = rules.health.map(|health| HealthRules {
        start: Duration::from_millis(2500),
        ..health
    });
    World::new(rules).play(&[
        (0, Input::Start, ""),
        (1000, Input::Tick, "check Health"),
        (1000, FAILED, ""),
        (2000, Input::Tick, "check Health"),
        (2499, FAILED, ""),
        (3499, Input::Tick, "check Health"),
        (3500, FAILED, ""),
        (4500, Input::Tick, "check Health"),
        (4500, FAILED, ""),
        (5500, Input::Tick, "check Health"),
        (
            8500,
            Input::Tick,
            "cancel; unhealthy by 3: TimedOut { timeout: 3s }",
        ),
    ]);
    // The first success ends it early.
    rules.health = rules.health.map(|health| HealthRules {
        start: Duration::from_secs(3600),
        ..health
    });
    let mut world = World::started(rules);
    for input in [OK, FAILED, FAILED, FAILED] {
        world.due();
        world.take(input);
    }
    assert_eq!(world.due(), "unhealthy by 3: Status(503)");
    assert!(world.now < at_millis(3_600_000));
}

#[test]
fn zero_retries_are_one() {
    let mut rules = health(Method::Check);
    rules.health = rules.health.map(|health| HealthRules {
        retries: 0,
        ..health
    });
    World::new(rules).play(&[
        (0, Input::Start, ""),
        (1000, Input::Tick, "check Health"),
        (1000, OK, "healthy"),
        (11_000, Input::Tick, "check Health"),
        (11_000, FAILED, ""),
        (11_100, Input::Tick, "unhealthy by 1: Status(503)"),
    ]);
}

#[test]
fn a_child_that_is_not_ready_in_time_has_the_failure_of_the_last_check() {
    let within = |millis| {
        let mut rules = ready(Method::Check);
        rules.ready = rules.ready.map(|ready| ReadyRules {
            within: Some(Duration::from_millis(millis)),
            ..ready
        });
        World::new(rules)
    };
    within(1500).play(&[
        (0, Input::Start, "check Ready"),
        (0, READY_FAILED, ""),
        (1000, Input::Tick, "check Ready"),
        (
            1500,
            Input::Tick,
            "not ready within 1.5s: Some(Status(503))",
        ),
    ]);
    within(1500).play(&[
        (0, Input::Start, "check Ready"),
        (
            1500,
            Input::Tick,
            "not ready within 1.5s: Some(TimedOut { timeout: 1.5s })",
        ),
    ]);
    within(3000).play(&[
        (0, Input::Start, "check Ready"),
        (
            3000,
            Input::Tick,
            "not ready within 3s: Some(TimedOut { timeout: 3s })",
        ),
    ]);
    let mut rules = ready(Method::Check);
    rules.ready = rules.ready.map(|ready| ReadyRules {
        within: None,
        ..ready
    });
    let mut world = World::started(rules);
    for _ in 0..10_000 {
        assert!(["cancel", "check Ready"].contains(&world.due().as_str()));
    }
}

#[test]
fn the_words_for_a_childs_health_follow_its_checks() {
    let table = [
        ("starting, checking", Health::Starting),
        ("healthy", Health::Healthy),
        ("failing, checking", Health::Failing(1)),
        ("last failure", Health::Failing(2)),
        ("healthy, notify", Health::Healthy),
    ];
    for (situation, health) in table {
        assert_eq!(World::in_situation(situation).checks.health(), health);
    }
}

// A child that is suspended, or frozen together with frigate: `doc/specification.md#suspended-children`.

#[test]
fn a_suspended_child_is_not_checked_and_has_one_whole_interval_when_it_goes_on() {
    let world = World::new(health(Method::Check)).play(&[
        (0, Input::Start, ""),
        (1000, Input::Tick, "check Health"),
        (1000, OK, "healthy"),
        (11_000, Input::Tick, "check Health"),
        (11_001, Input::Suspend, "cancel"),
        (11_002, Input::Suspend, ""),
        (11_003, FAILED, ""),
    ]);
    assert_eq!(world.checks.deadline(), None);
    world.play(&[
        (500_000, Input::Resume, ""),
        (500_001, Input::Resume, ""),
        (510_000, Input::Tick, "check Health"),
    ]);
}

#[test]
fn time_stands_still_for_a_suspended_child() {
    let world = World::new(both(Method::Check)).play(&[
        (0, Input::Start, "check Ready"),
        (10, Input::Suspend, "cancel"),
        (100_010, Input::Resume, ""),
        (101_010, Input::Tick, "check Ready"),
        (101_010, READY_FAILED, ""),
    ]);
    assert_eq!(world.checks.start_until, at_millis(130_000));
    let Phase::Ready { until } = world.checks.phase else {
        panic!("it is not ready")
    };
    assert_eq!(until, Some(at_millis(160_000)));
    World::new(health(Method::Notify)).play(&[
        (0, Input::Start, ""),
        (10, ALIVE, "healthy"),
        (20, Input::Suspend, ""),
        (500_000, Input::Resume, ""),
        (
            510_000,
            Input::Tick,
            "unhealthy by 1: Silent { interval: 10s }",
        ),
    ]);
}

#[test]
fn a_tick_that_comes_much_too_late_is_a_thaw_of_frigate_itself_and_no_failure() {
    let late = u64::try_from(LONGEST_TICK_DELAY.as_millis()).unwrap_or(0);
    for (situation, out, pause) in [
        ("healthy, checking", "cancel", 10_000),
        ("failing, checking", "cancel", 10_000),
        ("healthy", "", 10_000),
        ("last failure", "", 10_000),
        ("healthy, notify", "", 10_000),
        ("unready, checking", "cancel", 1000),
    ] {
        let mut world = World::in_situation(situation);
        let due = world
            .checks
            .deadline()
            .map_or(world.now, |at| at.max(world.now));
        let failures = world.checks.failures;
        world.now = due.after(Duration::from_millis(late));
        assert_eq!(world.take(Input::Tick), out, "{situation}");
        let next = world.checks.deadline().map(|at| at.since(world.now));
        assert_eq!(next, Some(Duration::from_millis(pause)), "{situation}");
        assert_eq!(world.checks.failures, failures, "{situation}");
    }
    // The same for a child that was frozen while it started.
    let mut world = World::in_situation("unready, notify");
    world.now = at_millis(3_600_000);
    assert_eq!(world.take(Input::Tick), "");
    let Phase::Ready { until } = world.checks.phase else {
        panic!("it is not ready")
    };
    assert_eq!(until, Some(world.now));
}

// What the child reports: `doc/specification.md#what-the-child-reports`.

#[test]
fn one_interval_without_watchdog_is_unhealthy_from_the_first_message_on() {
    World::new(health(Method::Notify)).play(&[
        (0, Input::Start, ""),
        (5000, ALIVE, "healthy"),
        (14_999, ALIVE, ""),
        (
            24_999,
            Input::Tick,
            "unhealthy by 1: Silent { interval: 10s }",
        ),
    ]);
    World::new(health(Method::Notify)).play(&[
        (0, Input::Start, ""),
        (
            40_000,
            Input::Tick,
            "unhealthy by 1: Silent { interval: 10s }",
        ),
    ]);
}

#[test]
fn a_trigger_is_unhealthy_at_once_even_before_it_is_ready() {
    for rules in [health(Method::Notify), both(Method::Notify)] {
        World::new(rules).play(&[
            (0, Input::Start, ""),
            (
                1,
                notified(Notification::Trigger),
                "unhealthy by 1: Triggered",
            ),
        ]);
    }
}

#[test]
fn the_child_changes_its_interval_and_switches_it_off() {
    let interval = |secs| notified(Notification::Interval(Duration::from_secs(secs)));
    World::new(health(Method::Notify)).play(&[
        (0, Input::Start, ""),
        (1000, ALIVE, "healthy"),
        (2000, interval(60), ""),
        (61_000, ALIVE, ""),
        (120_999, interval(5), ""),
        (
            125_999,
            Input::Tick,
            "unhealthy by 1: Silent { interval: 5s }",
        ),
    ]);
    let mut world = World::started(health(Method::Notify));
    world.take(ALIVE);
    world.take(interval(0));
    assert_eq!(world.checks.deadline(), None);
    // The next start has the interval of the rules.
    world.take(Input::Start);
    world.take(ALIVE);
    assert_eq!(
        world.checks.deadline().map(|at| at.since(world.now)),
        Some(Duration::from_secs(10))
    );
}

#[test]
fn extend_timeout_moves_the_deadline_of_the_moment_and_never_shortens_it() {
    let extend = |secs| notified(Notification::Extend(Duration::from_secs(secs)));
    World::new(both(Method::Notify)).play(&[
        (0, Input::Start, ""),
        (10_000, extend(20), ""),
        (59_000, extend(30), ""),
        (88_000, extend(2), ""),
        (90_000, Input::Tick, "not ready within 60s: None"),
    ]);
    World::new(health(Method::Notify)).play(&[
        (0, Input::Start, ""),
        (1000, ALIVE, "healthy"),
        (2000, extend(60), ""),
        (3000, extend(1), ""),
        (
            62_000,
            Input::Tick,
            "unhealthy by 1: Silent { interval: 10s }",
        ),
    ]);
    // The end of --health-start, which decides whether failures count.
    let mut world = World::started(CheckRules {
        health: Some(HealthRules::new(Method::Check)),
        ..ready(Method::Notify)
    });
    world.take(notified(Notification::Ready));
    world.take(extend(60));
    while world.now < at_millis(58_000) {
        world.due();
        world.take(FAILED);
        assert_eq!(world.checks.health(), Health::Starting);
    }
}

#[test]
fn a_child_that_says_that_it_stops_is_not_checked_any_more() {
    for situation in SITUATIONS {
        let mut world = World::in_situation(situation);
        world.take(notified(Notification::Stopping));
        assert_eq!(world.checks.deadline(), None, "{situation}");
    }
}

#[test]
fn what_the_child_reports_counts_only_where_notify_was_asked_for() {
    let mut world = World::started(both(Method::Check));
    for message in [
        Notification::Ready,
        Notification::Alive,
        Notification::Trigger,
        Notification::Interval(Duration::ZERO),
    ] {
        let before = world.checks;
        assert_eq!(
            (world.take(notified(message)), world.checks),
            (String::new(), before)
        );
    }
}

// Walks: whatever happens, in whatever order, at whatever time.

/// Some time passes, and then something happens. `None` means that nothing does until the deadline,
/// and then the tick comes so many milliseconds late.
type Step = (u64, Option<Input>);

fn any_rules() -> impl Strategy<Value = CheckRules> {
    let span = || {
        prop::sample::select(vec![0, 1, 300, 1000, 3000, 10_000, 30_000])
            .prop_map(Duration::from_millis)
    };
    let method = || prop::sample::select(vec![Method::Check, Method::Check, Method::Notify]);
    let health =
        (method(), span(), 0..4_u32, span()).prop_map(|(method, interval, retries, start)| {
            HealthRules {
                method,
                interval,
                retries,
                start,
                signal: None,
            }
        });
    let ready = (method(), prop::option::of(span()))
        .prop_map(|(method, within)| ReadyRules { method, within });
    (
        prop::option::weighted(0.8, health),
        prop::option::of(ready),
        span(),
    )
        .prop_map(|(health, ready, timeout)| CheckRules {
            run_programs: false,
            health,
            ready,
            timeout,
        })
}

fn walk() -> impl Strategy<Value = Vec<Step>> {
    let gap = prop_oneof![Just(0), 0..20_u64, 0..40_000_u64];
    let result = prop::sample::select(vec![OK, FAILED, FAILED, READY_OK, READY_FAILED]);
    let any = prop::sample::select(inputs().map(|(_, input)| input).to_vec());
    let span = (0..40_000_u64).prop_map(Duration::from_millis);
    let message = span.prop_flat_map(|span| {
        prop::sample::select(vec![
            Notification::Interval(span),
            Notification::Extend(span),
        ])
    });
    prop::collection::vec(
        prop_oneof![
            5 => (Just(0), Just(None)),
            1 => (gap.clone(), Just(None)),
            5 => (0..4000_u64, result.prop_map(Some)),
            2 => (gap.clone(), any.prop_map(Some)),
            1 => (gap, message.prop_map(Input::Notified).prop_map(Some)),
        ],
        1..80,
    )
}

/// Watches the checks on a walk, and keeps its own account of what was promised.
#[derive(Default)]
struct Account {
    /// When the check under way began.
    begun: Option<Moment>,
    /// When the last check was over.
    over: Option<Moment>,
    /// How many checks of health have failed in a row.
    failures: u32,
    is_suspended: bool,
    has_ended: bool,
    broken: Vec<String>,
}

impl Account {
    fn watch(rules: CheckRules, walk: &[Step]) -> Self {
        let mut world = World::new(rules);
        let mut account = Self::default();
        account.step(&mut world, Input::Start);
        for (gap, input) in walk {
            let gap = Duration::from_millis(*gap);
            world.now = match (input, world.checks.deadline()) {
                (None, Some(at)) => at.max(world.now).after(gap),
                // No deadline is overslept.
                (Some(_), Some(at)) => world.now.after(gap).min(at.max(world.now)),
                (None | Some(_), None) => world.now.after(gap),
            };
            account.step(&mut world, input.unwrap_or(Input::Tick));
        }
        account
    }

    fn step(&mut self, world: &mut World, input: Input) {
        let before = world.checks;
        let is_due = before.deadline().is_some_and(|at| at <= world.now);
        let out = world.step(input);
        let is_idle = out.is_empty() && world.checks == before;
        self.promise(
            !(is_due && is_idle && input == Input::Tick),
            "no tick for nothing",
        );
        self.note(world, input, &out);
        let is_stop = |output: &Output| {
            matches!(
                output,
                Output::Finding(Finding::NotReady { .. } | Finding::Unhealthy { .. })
            )
        };
        if out.iter().any(is_stop) {
            self.step(world, Input::End);
        }
        let took = self.begun.map(|begun| world.now.since(begun));
        let is_young = |took: Duration| took.is_zero() || took < world.rules.timeout;
        self.promise(
            input != Input::Tick || took.is_none_or(is_young),
            "a check is over at its timeout",
        );
    }

    fn promise(&mut self, kept: bool, promise: &str) {
        if !kept {
            self.broken.push(promise.to_owned());
        }
    }

    fn note(&mut self, world: &World, input: Input, out: &[Output]) {
        match input {
            Input::Start => (self.is_suspended, self.has_ended, self.failures) = (false, false, 0),
            Input::End | Input::Notified(Notification::Stopping) => self.has_ended = true,
            Input::Suspend => self.is_suspended = true,
            Input::Resume => self.is_suspended = false,
            Input::Done(CheckKind::Health, Err(_)) if self.begun.is_some() => self.failures += 1,
            Input::Done(CheckKind::Health, Ok(())) if self.begun.is_some() => self.failures = 0,
            Input::Done(..) | Input::Notified(_) | Input::Tick => {}
        }
        // The result of another check than the one under way is no result.
        let is_over = !world.situation().ends_with("checking");
        if matches!(input, Input::Done(..)) && is_over && self.begun.take().is_some() {
            self.over = Some(world.now);
        }
        for output in out {
            match output {
                Output::Action(Action::StartCheck { .. }) => {
                    self.promise(self.begun.is_none(), "never two checks at once");
                    self.promise(!self.is_suspended, "no check of a suspended child");
                    self.promise(!self.has_ended, "no check after the end");
                    let pause = self.over.map(|over| world.now.since(over));
                    let is_slow = pause.is_none_or(|pause| pause >= SHORTEST_PAUSE);
                    self.promise(
                        is_slow || input == Input::Start,
                        "a pause between two checks",
                    );
                    self.begun = Some(world.now);
                }
                Output::Action(_) => {
                    let begun = self.begun.take();
                    self.promise(begun.is_some(), "only a check under way is cancelled");
                    self.over = Some(world.now);
                    if input == Input::Tick {
                        self.failures += 1;
                    }
                }
                Output::Finding(Finding::Unhealthy { failure, .. }) => {
                    let retries = world.rules.health.map_or(0, |health| health.retries.max(1));
                    let by_child = matches!(
                        failure,
                        CheckFailure::Silent { .. } | CheckFailure::Triggered
                    );
                    self.promise(
                        by_child || self.failures >= retries,
                        "unhealthy only after so many failures in a row",
                    );
                }
                Output::Finding(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_walk_breaks_a_promise(rules in any_rules(), walk in walk()) {
        prop_assert_eq!(Account::watch(rules, &walk).broken, [""; 0]);
    }
}

//! Random walks of one child: whatever happens, in whatever order, at whatever time.

use core::time::Duration;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{
    Child, Event, FOR_NOW, Finish, SITUATIONS, events, failed, failed_check, notified, rules,
    succeeded,
};
use crate::core::action::Action;
use crate::core::escalation::KILL_TIMEOUT;
use crate::core::fact::Fact;
use crate::core::health::notification::Notification;
use crate::core::health::rules::{CheckKind, HealthRules, Method};
use crate::core::moment::Moment;
use crate::core::restart::Restart;
use crate::core::rules::{Rules, SHORTEST_LEFTOVERS_GRACE, StopRules};
use crate::core::script::{Scripted, at_millis, by, ended, exited, spawned, stop};
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Stage};
use crate::core::usage::Usage;

/// One step of a walk: some time passes, and then something happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Anything at all, sensible or not.
    Wild(Event),
    /// One of the things that can happen there.
    Likely(usize),
    /// Nothing until the deadline.
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

/// Watches a child on its walk, keeps its own account of what was promised, and notes each promise
/// that is broken.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an account of its own"
)]
struct Witness {
    child: Child,
    rules: Rules,
    was_stopped: bool,
    /// No child was to be started any more.
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

    /// What the event means for the promises, before the child has said anything to it.
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

    /// Even where nothing ever dies and nobody answers, time alone brings a stopped child to its
    /// end.
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

    /// Nothing ever waits for what may never come: it is somebody else's turn, there is a deadline,
    /// or it is over.
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

/// The properties above claim nothing of what no walk ever meets.
#[test]
fn the_walks_meet_every_event_in_every_state() {
    let mut missing: BTreeSet<_> = SITUATIONS
        .iter()
        .flat_map(|at| events().map(|(_, event)| (*at, event.name())))
        .collect();
    // In this one the walk answers for the rim, which takes no signal and begins nothing there.
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

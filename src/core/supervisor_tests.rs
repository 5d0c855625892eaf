use core::time::Duration;

use proptest::prelude::*;

use super::{Event, Scope, Supervisor};
use crate::core::action::{Action, Actions};
use crate::core::lifecycle;
use crate::core::moment::Moment;
use crate::core::script::{
    Scripted, at_millis, brief, by, config, ended, exited, rest, spawned, stop,
};
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};

const SECOND: Duration = Duration::from_secs(1);
const TICK: Event = Event::Tick;
const GONE: Event = rest(false);
const LEFT: Event = rest(true);

/// A child of a host program, in virtual time.
#[derive(Debug)]
struct Child {
    supervisor: Supervisor,
    now: Moment,
}

impl Child {
    fn new(options: &str, scope: Scope) -> Self {
        Self {
            supervisor: Supervisor::new(&config(options).rules, scope),
            now: at_millis(0),
        }
    }

    fn running(options: &str) -> Self {
        Self::running_in(options, Scope::Group)
    }

    fn running_in(options: &str, scope: Scope) -> Self {
        let mut child = Self::new(options, scope);
        assert_eq!(child.take(lifecycle::Event::Begin), "Spawn { restarts: 0 }");
        assert_eq!(child.take(spawned(42)), "");
        child
    }

    /// Asks for the end within a time.
    fn stop(&mut self, grace: Duration, millis: u64) -> String {
        self.now = at_millis(millis);
        self.supervisor.limit_grace(grace, self.now);
        self.take(stop(Signal::TERM))
    }
}

impl Scripted for Child {
    type Event = Event;
    type Action = Action;
    const TICK: Event = TICK;

    fn deadline(&self) -> Option<Moment> {
        self.supervisor.deadline()
    }

    fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut out = Actions::new();
        self.supervisor.step(event, self.now, &mut out);
        assert!(!out.is_full(), "{event:?} may have lost an action");
        out.iter().collect()
    }
}

fn exit(outcome: Outcome) -> String {
    brief(&[Action::Exit(outcome)])
}

fn complete(code: u8) -> String {
    exit(Outcome::Complete(ExitStatus::Exited(code)))
}

#[test]
fn a_child_that_leaves_nothing_ends_at_once() {
    let ended: Event = exited(3).into();
    let mut child = Child::running("").play(&[
        (5000, ended, "report ended; report leftovers; EndRest"),
        (5000, GONE, &complete(3)),
    ]);
    assert_eq!(child.deadline(), None);
    child.set_now(at_millis(9_000_000));
    assert_eq!(child.take(TICK), "");
}

#[test]
fn what_a_child_leaves_is_probed_now_and_then_and_killed_when_its_time_is_over() {
    let ended: Event = exited(0).into();
    let killed = "report leftovers-killed if any; KillRest; ProbeRest";
    let mut child = Child::running("").play(&[
        (1000, ended, "report ended; report leftovers; EndRest"),
        (1010, TICK, "ProbeRest"),
        (1010, LEFT, ""),
        (1030, TICK, "ProbeRest"),
    ]);
    while child.deadline() < Some(at_millis(6000)) {
        assert_eq!(child.due(), "ProbeRest");
    }
    assert_eq!(child.due(), killed);
    while child.deadline() < Some(at_millis(11_000)) {
        assert_eq!(child.due(), "KillRest; ProbeRest");
    }
    let given_up = format!("report left-behind if any; {}", complete(0));
    assert_eq!(child.due(), given_up, "left behind after five seconds");
}

#[test]
fn a_stop_has_the_time_that_it_was_given() {
    let mut child = Child::running("--restart=true");
    assert_eq!(child.stop(SECOND * 2, 500), "send TERM; send CONT");
    let outcome = Outcome::Cancel {
        last: Some(by(Signal::KILL)),
        stop: Signal::TERM,
    };
    let killed: Event = ended(by(Signal::KILL)).into();
    child.play(&[
        (2500, TICK, "report killed; KillCgroup; send KILL"),
        (2501, killed, "report ended; report leftovers; EndRest"),
        (2501, TICK, "KillRest; ProbeRest"),
        (2501, GONE, &exit(outcome)),
    ]);
}

#[test]
fn a_second_stop_can_only_be_shorter() {
    let mut child = Child::running("--restart=true");
    child.stop(SECOND * 30, 0);
    child.stop(SECOND, 1000);
    assert_eq!(child.deadline(), Some(at_millis(2000)));
    child.stop(SECOND * 60, 1500);
    assert_eq!(child.deadline(), Some(at_millis(2000)));
}

#[test]
fn a_stop_shortens_the_time_of_what_an_end_left_too() {
    let mut child = Child::running("");
    child.take(exited(0));
    assert_eq!(child.stop(Duration::ZERO, 5), "");
    // The outcome stays that of the end.
    child.play(&[
        (
            5,
            TICK,
            "report leftovers-killed if any; KillRest; ProbeRest",
        ),
        (6, GONE, &complete(0)),
    ]);
}

#[test]
fn under_kill_nothing_has_any_time() {
    let mut child = Child::running("--kill");
    child.take(exited(0));
    assert_eq!(child.deadline(), Some(at_millis(0)));
    assert_eq!(child.take(TICK), "KillRest; ProbeRest");
}

#[test]
fn a_stop_before_the_start_is_a_cancel_without_a_child() {
    let mut child = Child::new("--restart=true", Scope::Group);
    assert_eq!(child.stop(SECOND, 0), "report leftovers; EndRest");
    let (last, stop) = (None, Signal::TERM);
    assert_eq!(child.take(GONE), exit(Outcome::Cancel { last, stop }));
}

#[test]
fn a_child_that_survives_kill_leaves_its_rest_a_tenth_of_a_second() {
    let mut child = Child::running("--restart=true");
    child.stop(Duration::ZERO, 0);
    let mut outcome = Outcome::Complete(ExitStatus::Exited(0));
    for expected in [
        "KillCgroup; send KILL",
        "report left-behind; report leftovers; EndRest",
    ] {
        assert_eq!(child.due(), expected);
    }
    assert_eq!(child.due(), "KillRest; ProbeRest");
    let killed_at = child.now;
    while child.supervisor.deadline().is_some() {
        child.set_now(child.deadline().unwrap_or(killed_at));
        for action in child.step(TICK) {
            if let Action::Exit(last) = action {
                outcome = last;
            }
        }
    }
    let last = Some(by(Signal::KILL));
    let stop = Signal::TERM;
    assert_eq!(outcome, Outcome::Cancel { last, stop });
    assert_eq!(child.now.since(killed_at), Duration::from_millis(100));
}

#[test]
fn ends_that_the_kernel_does_not_report_are_probed_for() {
    for (reports_ends, expected) in [(true, 6000), (false, 1010)] {
        let mut child = Child::running_in("", Scope::Everyone { reports_ends });
        child.set_now(at_millis(1000));
        assert_eq!(child.take(exited(0)), "report ended");
        assert_eq!(child.take(LEFT), "report leftovers; EndRest");
        assert_eq!(child.deadline(), Some(at_millis(expected)));
    }
}

#[test]
fn nothing_matters_once_the_child_has_ended_for_good() {
    let mut child = Child::running("");
    child.take(exited(0));
    for event in [
        lifecycle::Event::Begin,
        exited(1),
        spawned(43),
        lifecycle::Event::GroupGone,
        stop(Signal::INT),
    ] {
        assert_eq!(child.take(event), "", "{event:?}");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(lifecycle::Event::Begin.into()),
        Just(lifecycle::Event::NamesakesGone.into()),
        Just(spawned(42).into()),
        Just(exited(0).into()),
        Just(exited(1).into()),
        Just(lifecycle::Event::Executed.into()),
        Just(lifecycle::Event::SignalRefused.into()),
        Just(lifecycle::Event::GroupGone.into()),
        Just(stop(Signal::TERM).into()),
        Just(LEFT),
        Just(GONE),
        Just(TICK),
    ]
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Group),
        any::<bool>().prop_map(|reports_ends| Scope::Everyone { reports_ends }),
    ]
}

/// Returns whether an action brings an event about.
fn answers(action: Action) -> bool {
    match action {
        Action::CloseNamesakes
        | Action::Spawn { .. }
        | Action::StartCheck { .. }
        | Action::EndGroup
        | Action::ProbeGroup
        | Action::EndRest
        | Action::ProbeRest => true,
        // Its answer changes only what a later tick does: see `Action::Send`.
        Action::Send { .. }
        | Action::Report(_)
        | Action::ReportIfAnyLeft(_)
        | Action::KillNamesakes
        | Action::CancelCheck
        | Action::KillCgroup
        | Action::KillGroup
        | Action::KillRest
        | Action::Exit(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_exits_at_most_once_and_never_starts_after_a_stop(
        options in prop_oneof![Just("--restart=true"), Just(""), Just("--restart=unexpected --grace-close")],
        scope in any_scope(),
        script in prop::collection::vec((any_event(), 0..20_000_u64), 0..60),
    ) {
        let mut child = Child::new(options, scope);
        let (mut now, mut exits, mut stopped) = (0, 0, false);
        for (event, after) in script {
            now += after;
            child.set_now(at_millis(now));
            let actions = child.step(event);
            // The rim answers a spawn before it takes a stop.
            let is_taken = !brief(&actions).contains("impossible");
            stopped |= is_taken && event == Event::from(stop(Signal::TERM));
            exits += actions.iter().filter(|action| matches!(action, Action::Exit(_))).count();
            prop_assert!(exits <= 1);
            let starts = actions.iter().any(|action| matches!(action, Action::Spawn { .. }));
            prop_assert!(!stopped || !starts);
            prop_assert!(exits == 0 || child.deadline().is_none());
        }
    }

    #[test]
    fn an_action_that_answers_is_the_last_of_its_step(
        options in prop_oneof![
            Just("--restart=true"), Just("--restart=unexpected --grace-close"), Just("--kill --restart=true"), Just(""),
        ],
        scope in any_scope(),
        script in prop::collection::vec((any_event(), 0..20_000_u64), 0..60),
    ) {
        let mut child = Child::new(options, scope);
        let mut now = 0;
        for (event, after) in script {
            now += after;
            child.set_now(at_millis(now));
            let actions = child.step(event);
            let first = actions.iter().position(|action| answers(*action));
            prop_assert!(first.is_none_or(|at| at + 1 == actions.len()), "{}", brief(&actions));
            // The rim takes one answer of a step.
            let is_sent = actions.iter().any(|action| matches!(action, Action::Send { .. }));
            prop_assert!(first.is_none() || !is_sent, "{}", brief(&actions));
        }
    }
}

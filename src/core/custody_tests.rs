use proptest::prelude::*;

use super::*;
use crate::core::pid::Pid;
use crate::core::status::{ExitStatus, Outcome};
use crate::core::usage::Usage;
use crate::library::strategy::{AutoRestart, Strategy as Public};

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn rules(restart: AutoRestart) -> Rules {
    Public::new().auto_restart(restart).rules()
}

fn spawned() -> Event {
    Pid::new(42).map_or(Event::Swept, |pid| Event::Spawned { pid })
}

fn exited(code: u8) -> Event {
    Event::Ended {
        status: ExitStatus::Exited(code),
        held_terminal: false,
        usage: Usage::NONE,
    }
}

fn step(custody: &mut Custody, event: Event, millis: u64) -> Vec<Action> {
    let mut out = Actions::default();
    custody.step(event, at(millis), &mut out);
    assert!(!out.is_full(), "more actions than there is room for");
    out.iter().collect()
}

fn stop(custody: &mut Custody, grace: Duration, millis: u64) -> Vec<Action> {
    let mut out = Actions::default();
    custody.stop(grace, at(millis), &mut out);
    assert!(!out.is_full(), "more actions than there is room for");
    out.iter().collect()
}

fn running(restart: AutoRestart) -> Custody {
    let mut custody = Custody::new(rules(restart));
    assert_eq!(
        step(&mut custody, Event::Begin, 0),
        [Action::Spawn { restarts: 0 }]
    );
    step(&mut custody, spawned(), 0);
    custody
}

fn sends(actions: &[Action], wanted: Signal) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Send { signal, .. } if *signal == wanted))
}

fn exits(actions: &[Action]) -> Option<Outcome> {
    actions.iter().find_map(|action| {
        if let Action::Exit(outcome) = action {
            Some(*outcome)
        } else {
            None
        }
    })
}

#[test]
fn a_child_that_leaves_nothing_ends_at_once() {
    let mut custody = running(AutoRestart::False);
    assert_eq!(
        step(&mut custody, exited(3), 5000).last(),
        Some(&Action::EndGroup)
    );
    let actions = step(&mut custody, Event::GroupGone, 5000);
    assert_eq!(
        exits(&actions),
        Some(Outcome::Complete(ExitStatus::Exited(3)))
    );
    assert_eq!(custody.deadline(), None);
    assert_eq!(step(&mut custody, Event::Tick, 9_000_000), []);
}

#[test]
fn what_a_child_leaves_is_looked_at_now_and_then_and_killed_when_its_grace_is_over() {
    let mut custody = running(AutoRestart::False);
    step(&mut custody, exited(0), 1000);
    assert_eq!(custody.deadline(), Some(at(1010)));
    assert_eq!(step(&mut custody, Event::Tick, 1010), [Action::ProbeGroup]);
    assert_eq!(custody.deadline(), Some(at(1030)));
    assert_eq!(step(&mut custody, Event::Tick, 5999), [Action::ProbeGroup]);
    let actions = step(&mut custody, Event::Tick, 6000);
    assert_eq!(
        actions.get(1..),
        Some(&[Action::KillGroup, Action::ProbeGroup][..])
    );
    let actions = step(&mut custody, Event::Tick, 11_000);
    assert_eq!(
        exits(&actions),
        Some(Outcome::Complete(ExitStatus::Exited(0))),
        "left behind after five seconds"
    );
}

#[test]
fn a_stop_has_the_time_that_it_was_given() {
    let mut custody = running(AutoRestart::True);
    let actions = stop(&mut custody, SECOND * 2, 500);
    assert!(sends(&actions, Signal::TERM) && sends(&actions, Signal::CONT));
    assert_eq!(custody.deadline(), Some(at(2500)));
    assert!(sends(&step(&mut custody, Event::Tick, 2500), Signal::KILL));
    let status = ExitStatus::Signaled {
        signal: Signal::KILL,
        core: false,
    };
    let ended = Event::Ended {
        status,
        held_terminal: false,
        usage: Usage::NONE,
    };
    assert_eq!(
        step(&mut custody, ended, 2501).last_chunk(),
        Some(&[Action::KillGroup, Action::ProbeGroup])
    );
    let outcome = exits(&step(&mut custody, Event::GroupGone, 2501));
    assert_eq!(
        outcome,
        Some(Outcome::Cancel {
            last: Some(status),
            stop: Signal::TERM
        })
    );
}

#[test]
fn a_second_stop_can_only_be_shorter() {
    let mut custody = running(AutoRestart::True);
    stop(&mut custody, SECOND * 30, 0);
    stop(&mut custody, SECOND, 1000);
    assert_eq!(custody.deadline(), Some(at(2000)));
    stop(&mut custody, SECOND * 60, 1500);
    assert_eq!(custody.deadline(), Some(at(2000)));
}

#[test]
fn a_stop_cuts_the_time_of_what_an_end_left_too() {
    let mut custody = running(AutoRestart::False);
    step(&mut custody, exited(0), 0);
    stop(&mut custody, Duration::ZERO, 5);
    assert_eq!(custody.deadline(), Some(at(5)));
    assert!(step(&mut custody, Event::Tick, 5).contains(&Action::KillGroup));
    // The outcome stays that of the end.
    assert_eq!(
        exits(&step(&mut custody, Event::GroupGone, 6)),
        Some(Outcome::Complete(ExitStatus::Exited(0)))
    );
}

#[test]
fn under_kill_there_is_no_grace_for_anything() {
    let mut custody = Custody::new(Rules {
        kill: true,
        ..rules(AutoRestart::False)
    });
    step(&mut custody, Event::Begin, 0);
    step(&mut custody, spawned(), 0);
    assert_eq!(
        step(&mut custody, exited(0), 1).last_chunk(),
        Some(&[Action::KillGroup, Action::ProbeGroup])
    );
}

#[test]
fn a_stop_before_the_start_is_a_cancel_without_a_child() {
    let mut custody = Custody::new(rules(AutoRestart::True));
    stop(&mut custody, SECOND, 0);
    let outcome = exits(&step(&mut custody, Event::GroupGone, 0));
    assert_eq!(
        outcome,
        Some(Outcome::Cancel {
            last: None,
            stop: Signal::TERM
        })
    );
}

#[test]
fn an_impossible_event_is_reported_and_changes_nothing() {
    let mut custody = running(AutoRestart::False);
    step(&mut custody, exited(0), 0);
    for (event, name) in [
        (Event::Begin, "begin"),
        (exited(1), "ended"),
        (spawned(), "spawned"),
    ] {
        let reported = Action::Say(Fact::Impossible {
            state: "draining",
            event: name,
        });
        assert_eq!(step(&mut custody, event, 1), [reported]);
    }
    step(&mut custody, Event::Tick, 5000);
    let reported = Action::Say(Fact::Impossible {
        state: "killing",
        event: "begin",
    });
    assert_eq!(step(&mut custody, Event::Begin, 5001), [reported]);
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Begin),
        Just(Event::OthersGone),
        Just(spawned()),
        Just(exited(0)),
        Just(exited(1)),
        Just(Event::Executed),
        Just(Event::OutOfReach),
        Just(Event::Swept),
        Just(Event::GroupGone),
        Just(Event::Stop {
            signal: Signal::TERM,
            queued: false
        }),
        Just(Event::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_exits_at_most_once_and_never_starts_after_a_stop(
        restart in prop_oneof![Just(AutoRestart::True), Just(AutoRestart::False), Just(AutoRestart::Unexpected)],
        script in prop::collection::vec((any_event(), 0..20_000_u64), 0..60),
    ) {
        let mut custody = Custody::new(rules(restart));
        let (mut now, mut exited, mut stopped) = (0, 0, false);
        for (event, after) in script {
            now += after;
            let actions = step(&mut custody, event, now);
            // The rim answers a spawn before it takes a stop.
            let is_taken = !actions.iter().any(|action| matches!(action, Action::Say(Fact::Impossible { .. })));
            stopped |= is_taken && matches!(event, Event::Stop { .. });
            exited += actions.iter().filter(|action| matches!(action, Action::Exit(_))).count();
            prop_assert!(exited <= 1);
            let starts = actions.iter().any(|action| matches!(action, Action::Spawn { .. }));
            prop_assert!(!stopped || !starts);
            prop_assert!(exited == 0 || custody.deadline().is_none());
        }
    }
}

//! Stops, their timeouts, and handles that are dropped.

use std::time::{Duration, Instant};

use frigate::{AutoRestart, EventKind, Outcome, Strategy};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

use crate::support::{
    GRACE, Scenario, children, directory, is_alive, kill, next, next_start, once, shell, sleeper,
    text_of, wait_gone,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("stopping::term_comes_first_and_its_exit_code_counts", term),
    Scenario::new(
        "stopping::one_that_ignores_term_gets_kill_when_the_time_is_over",
        ignores,
    ),
    Scenario::new("stopping::kill_leaves_no_time", kill_at_once),
    Scenario::new("stopping::a_second_stop_shortens_the_first", shortened),
    Scenario::new(
        "stopping::a_stopped_child_is_continued_and_can_die",
        suspended,
    ),
    Scenario::new(
        "stopping::what_a_child_leaves_in_its_group_ends_with_it",
        group,
    ),
    Scenario::new(
        "stopping::leftovers_that_ignore_term_get_kill_after_five_seconds",
        stubborn_leftovers,
    ),
    Scenario::new(
        "stopping::a_stop_between_two_starts_ends_it_at_once",
        between,
    ),
    Scenario::new(
        "stopping::dropping_a_handle_neither_kills_nor_leaks",
        dropped,
    ),
];

const TRAP: &str = "trap 'exit 12' TERM; echo ready > ready; while :; do sleep 0.05; done";
const STUBBORN: &str = "trap '' TERM; echo ready > ready; while :; do sleep 0.05; done";

fn term() {
    let frigate = shell("polite", TRAP);
    frigate.protect().unwrap();
    text_of(&directory().join("ready"));
    let Outcome::Cancel { last: Some(last) } = frigate.stop(GRACE).unwrap() else {
        panic!("no cancel")
    };
    assert_eq!(last.code(), Some(12));
    assert_eq!(
        frigate.stop(GRACE).unwrap(),
        Outcome::Cancel { last: Some(last) },
        "a second stop changes nothing"
    );
}

fn ignores() {
    let frigate = shell("stubborn", STUBBORN);
    let events = frigate.events();
    frigate.protect().unwrap();
    text_of(&directory().join("ready"));
    let Outcome::Cancel { last: Some(last) } = frigate.stop(Duration::from_millis(100)).unwrap()
    else {
        panic!("no cancel")
    };
    assert_eq!(last.signal(), Some(9));
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert!(
        kinds.contains(&EventKind::Stopping {
            timeout: Duration::from_millis(100)
        }),
        "{kinds:?}"
    );
    assert!(kinds.contains(&EventKind::Killed), "{kinds:?}");
    assert_eq!(children(), []);
}

fn kill_at_once() {
    let frigate = shell("polite", TRAP).strategy(Strategy::new().kill(true));
    frigate.protect().unwrap();
    text_of(&directory().join("ready"));
    let outcome = frigate.stop(GRACE).unwrap();
    assert_eq!(outcome.status().and_then(|status| status.signal()), Some(9));
}

fn shortened() {
    let frigate = std::sync::Arc::new(shell("stubborn", STUBBORN));
    let events = frigate.events();
    frigate.protect().unwrap();
    text_of(&directory().join("ready"));
    let patient = std::sync::Arc::clone(&frigate);
    let waiting = std::thread::spawn(move || patient.stop(Duration::from_secs(100_000)));
    next(&events, "the first stop", |kind| {
        matches!(kind, EventKind::Stopping { .. }).then_some(())
    });
    let outcome = frigate.stop(Duration::ZERO).unwrap();
    assert_eq!(outcome.status().and_then(|status| status.signal()), Some(9));
    assert_eq!(waiting.join().unwrap().unwrap(), outcome);
}

fn suspended() {
    let frigate = sleeper("suspended");
    let events = frigate.events();
    frigate.protect().unwrap();
    kill(next_start(&events), Signal::SIGSTOP);
    let outcome = frigate.stop(GRACE).unwrap();
    assert_eq!(
        outcome.status().and_then(|status| status.signal()),
        Some(15)
    );
}

fn group() {
    let frigate = shell("parent", "sleep 1000 & echo $! > left; exit 0").strategy(once());
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(_))));
    let left: u32 = text_of(&directory().join("left")).trim().parse().unwrap();
    assert!(!is_alive(left));
}

/// Checks that KILL follows after 5 s both times: between the two starts, and at the end.
fn stubborn_leftovers() {
    let script = "sh -c \"trap '' TERM; echo > ready; exec sleep 1000\" & \
                  while [ ! -e ready ]; do sleep 0.01; done; rm ready; exit 1";
    let frigate = shell("parent", script).strategy(Strategy::new().start_retries(1));
    let began = Instant::now();
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::GaveUp { .. })));
    let elapsed = began.elapsed();
    assert!(
        elapsed >= Duration::from_secs(10) && elapsed < Duration::from_secs(40),
        "{elapsed:?}"
    );
    assert_eq!(children(), []);
}

fn between() {
    let frigate = shell("failing", "exit 1").strategy(Strategy::new().start_retries(1_000_000));
    let events = frigate.events();
    frigate.protect().unwrap();
    // The pauses double from 100 ms on.
    next(&events, "a long pause", |kind| match kind {
        EventKind::Restarting { pause, .. } if *pause > Duration::from_millis(500) => Some(()),
        _ => None,
    });
    let outcome = frigate.stop(GRACE).unwrap();
    assert_eq!(outcome.status().and_then(|status| status.code()), Some(1));
    assert!(matches!(outcome, Outcome::Cancel { .. }));
}

fn dropped() {
    let frigate = sleeper("orphan").strategy(Strategy::new().auto_restart(AutoRestart::False));
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = next_start(&events);
    drop(frigate);
    // frigate's thread starts this other child after the drop.
    let other = shell("other", "exit 0").strategy(once());
    other.protect().unwrap();
    other.wait().unwrap();
    assert!(is_alive(pid));
    kill(pid, Signal::SIGKILL);
    let outcomes = frigate::done();
    assert_eq!(
        outcomes["orphan"]
            .status()
            .and_then(|status| status.signal()),
        Some(9)
    );
    wait_gone(pid);
    assert_eq!(
        frigate::done().keys().collect::<Vec<_>>(),
        ["other"],
        "a child without a handle is reported once"
    );
    drop(other);
    assert!(frigate::done().is_empty());
}

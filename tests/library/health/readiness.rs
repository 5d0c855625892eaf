//! When a child is ready, and what follows if it is not.

use std::time::Duration;

use frigate::{AutoRestart, EventKind, Outcome, Strategy};

use super::{exists, is, lines, next_start_with};
use crate::support::{
    DEADLINE, GRACE, Scenario, directory, eventually, kill, next, next_start, shell, sleeper,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("health::a_child_is_ready_with_its_first_success", ready),
    Scenario::new("health::a_ready_child_has_started_and_no_other", started),
    Scenario::new(
        "health::a_child_that_is_not_ready_in_time_is_a_failed_start",
        late,
    ),
    Scenario::new(
        "health::a_child_that_is_not_ready_in_time_ends_unhealthy_without_restarts",
        late_once,
    ),
    Scenario::new("health::health_is_asked_after_readiness", order),
];

fn waiting(target: impl Into<String>) -> Strategy {
    Strategy::new().ready(target).health_timeout(DEADLINE)
}

fn ready() {
    let frigate = shell("server", "exec sleep 1000").strategy(
        waiting("exec:sh -c 'echo >> checks; test -e well'").ready_within(Duration::ZERO),
    );
    let events = frigate.events();
    frigate.protect().unwrap();
    next_start(&events);
    eventually("two checks", || {
        (lines(&directory().join("checks")) >= 2).then_some(())
    });
    let early: Vec<_> = events.try_iter().map(|event| event.kind).collect();
    assert!(!early.contains(&EventKind::Ready), "{early:#?}");
    std::fs::write(directory().join("well"), "").unwrap();
    next(&events, "it is ready", |kind| is(kind, &EventKind::Ready));
    let checks = lines(&directory().join("checks"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(
        lines(&directory().join("checks")),
        checks,
        "it is ready once"
    );
    frigate.stop(GRACE).unwrap();
}

/// Ends twice within the start window: as a ready child, which is restarted at once, and as one
/// that is not ready.
fn started() {
    let frigate = shell("server", "exec sleep 1000")
        .strategy(waiting(exists("well")).start_secs(Duration::from_secs(1000)));
    std::fs::write(directory().join("well"), "").unwrap();
    let events = frigate.events();
    frigate.protect().unwrap();
    let failures = |kind: &EventKind| match kind {
        EventKind::Restarting { failures, .. } => Some(*failures),
        _ => None,
    };
    let first = next_start_with(&events, &EventKind::Ready);
    std::fs::remove_file(directory().join("well")).unwrap();
    kill(first, nix::sys::signal::Signal::SIGKILL);
    assert_eq!(next(&events, "a restart", failures), 0);
    kill(next_start(&events), nix::sys::signal::Signal::SIGKILL);
    assert_eq!(next(&events, "a second restart", failures), 1);
    frigate.stop(GRACE).unwrap();
}

fn late() {
    let strategy = waiting("exec:false")
        .ready_within(Duration::from_millis(300))
        .start_retries(1);
    let frigate = sleeper("late").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert!(matches!(outcome, Outcome::GaveUp { .. }), "{outcome:?}");
    let events: Vec<_> = events.iter().collect();
    let late: Vec<String> = events
        .iter()
        .filter(|event| event.kind == EventKind::Unhealthy)
        .map(ToString::to_string)
        .collect();
    assert_eq!(late.len(), 2, "{events:#?}");
    for text in late {
        assert!(
            text.contains("not ready within 300 ms") && text.contains("'exec:false'"),
            "{text}"
        );
    }
}

fn late_once() {
    let strategy = waiting("exec:sleep 1000")
        .ready_within(Duration::from_millis(300))
        .auto_restart(AutoRestart::False);
    let frigate = sleeper("late").strategy(strategy);
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert!(matches!(outcome, Outcome::Unhealthy(_)), "{outcome:?}");
    eventually("the check's program is gone", || {
        crate::support::children().is_empty().then_some(())
    });
}

fn order() {
    let strategy = waiting("exec:sh -c 'echo ready >> asked'")
        .health("exec:sh -c 'echo health >> asked'")
        .health_interval(Duration::ZERO);
    let frigate = shell("server", "exec sleep 1000").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    next(&events, "it is ready", |kind| is(kind, &EventKind::Ready));
    next(&events, "it is healthy", |kind| {
        is(kind, &EventKind::Healthy)
    });
    let asked = directory().join("asked");
    eventually("three questions", || (lines(&asked) >= 3).then_some(()));
    frigate.stop(GRACE).unwrap();
    let asked = std::fs::read_to_string(asked).unwrap();
    let (first, rest) = asked.split_once('\n').unwrap();
    assert_eq!(first, "ready");
    assert!(rest.lines().all(|line| line == "health"), "{asked}");
}

//! Which children are restarted, when frigate gives up, and what resets the count of failures.

use std::time::Duration;

use frigate::{AutoRestart, EventKind, Frigate, Outcome, Strategy};
use nix::sys::signal::Signal;

use crate::support::{
    GRACE, Scenario, children, directory, is_alive, next, next_start, once, shell, sleeper,
    text_of, wait_gone,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "restarting::a_long_running_program_is_protected_and_stopped_without_a_process_left",
        scenario,
    ),
    Scenario::new(
        "restarting::one_that_is_killed_from_outside_comes_back",
        comes_back,
    ),
    Scenario::new(
        "restarting::one_that_fails_at_start_is_given_up_after_three_retries",
        gives_up,
    ),
    Scenario::new("restarting::a_good_start_sets_the_count_to_zero", reset),
    Scenario::new(
        "restarting::an_expected_end_is_final_under_unexpected_and_not_under_true",
        expected,
    ),
    Scenario::new(
        "restarting::a_new_child_never_meets_what_the_old_one_left",
        leftovers,
    ),
    Scenario::new(
        "restarting::each_of_several_children_has_its_own_strategy",
        several,
    ),
    Scenario::new(
        "restarting::a_thousand_restarts_leak_no_descriptor_and_no_process",
        thousand,
    ),
];

fn scenario() {
    let frigate = sleeper("top");
    frigate.protect().unwrap();
    let events = frigate.events();
    let pid = frigate.task().pid().unwrap_or_else(|| next_start(&events));
    assert!(is_alive(pid));
    let outcome = frigate.stop(GRACE).unwrap();
    assert_eq!(outcome.to_string(), frigate::CANCEL_PROCESS);
    wait_gone(pid);
    assert_eq!(children(), []);
}

fn comes_back() {
    let frigate = sleeper("phoenix");
    let events = frigate.events();
    frigate.protect().unwrap();
    let first = next_start(&events);
    for restarts in 1..=2 {
        let pid = frigate.task().pid().expect("the child runs");
        kill_for_good(pid);
        let (next, count) = next(&events, "a restart", |kind| match kind {
            EventKind::Started { pid, restarts } => Some((*pid, *restarts)),
            _ => None,
        });
        assert_eq!(count, restarts);
        assert!(is_alive(next) && next != first);
    }
    frigate.stop(GRACE).unwrap();
}

fn kill_for_good(pid: u32) {
    crate::support::kill(pid, Signal::SIGKILL);
    wait_gone(pid);
}

fn gives_up() {
    let frigate = shell("failing", "echo x >> starts; exit 7");
    let events = frigate.events();
    frigate.protect().unwrap();
    let Outcome::GaveUp { last: Some(last) } = frigate.wait().unwrap() else {
        panic!("it was not given up")
    };
    assert_eq!(last.code(), Some(7));
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    let started = kinds
        .iter()
        .filter(|kind| matches!(kind, EventKind::Started { .. }))
        .count();
    assert_eq!(started, 4, "one start and three retries: {kinds:#?}");
    assert!(kinds.contains(&EventKind::GaveUp { failures: 4 }));
    assert_eq!(text_of(&directory().join("starts")), "x\n".repeat(4));
    assert_eq!(children(), []);
}

/// Makes three failed starts, a good one, and three more failed ones. If the good one did not reset
/// the count, frigate would give up at the last one.
fn reset() {
    let script = "echo x >> starts; case $FRIGATE_RESTARTS in \
                  3) sleep 1; exit 1;; 7) exec sleep 1000;; *) exit 1;; esac";
    let frigate = shell("recovering", script)
        .strategy(Strategy::new().start_secs(Duration::from_millis(500)));
    let events = frigate.events();
    frigate.protect().unwrap();
    let mut failures = Vec::new();
    next(&events, "the eighth start", |kind| {
        if let EventKind::Restarting {
            failures: count, ..
        } = kind
        {
            failures.push(*count);
        }
        matches!(kind, EventKind::Started { restarts: 7, .. }).then_some(())
    });
    assert_eq!(failures.get(3), Some(&0), "{failures:?}");
    frigate.stop(GRACE).unwrap();
}

fn expected() {
    let frigate =
        shell("fine", "exit 0").strategy(Strategy::new().auto_restart(AutoRestart::Unexpected));
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(status)) if status.success()));

    let frigate = shell("fine", "exit 0").strategy(Strategy::new().auto_restart(AutoRestart::True));
    let events = frigate.events();
    frigate.protect().unwrap();
    next_start(&events);
    next_start(&events);
    frigate.stop(GRACE).unwrap();
}

fn leftovers() {
    let script = "if [ -f left ]; then \
                  kill -0 $(cat left) && echo met || echo alone; exec sleep 1000; fi > found; \
                  sleep 1000 & echo $! > new; mv new left; exit 1";
    let frigate = shell("messy", script);
    frigate.protect().unwrap();
    assert_eq!(text_of(&directory().join("found")), "alone\n");
    frigate.stop(GRACE).unwrap();
}

fn several() {
    let strategies = [
        AutoRestart::False,
        AutoRestart::Unexpected,
        AutoRestart::True,
    ];
    let all: Vec<Frigate> = strategies
        .iter()
        .map(|restart| {
            shell(&restart.to_string(), "exit 9")
                .strategy(Strategy::new().auto_restart(*restart).start_retries(1))
        })
        .collect();
    for frigate in &all {
        frigate.protect().unwrap();
    }
    let outcomes = frigate::done();
    let words: Vec<String> = outcomes
        .iter()
        .map(|(name, outcome)| format!("{name} {outcome}"))
        .collect();
    assert_eq!(
        words,
        ["false complete", "true gave-up", "unexpected gave-up"]
    );
    assert_eq!(frigate::done(), outcomes, "as long as there is a handle");
    drop(all);
    assert!(frigate::done().is_empty());
}

/// Runs fifty children at a time. Each sleeps just longer than the start window, so that the next
/// start follows at once.
fn thousand() {
    let (sender, events) = std::sync::mpsc::channel();
    let strategy = Strategy::new().start_secs(Duration::from_millis(100));
    let all: Vec<Frigate> = (0..50)
        .map(|number| {
            let task = frigate::ProtectTask::new(format!("sleep {number}"))
                .program("sleep")
                .arg("0.11");
            Frigate::from(task)
                .strategy(strategy.clone())
                .event_channel(sender.clone())
        })
        .collect();
    drop(sender);
    let count = |most: usize| {
        let restarts = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Restarting { .. }));
        assert_eq!(restarts.take(most).count(), most);
    };
    for frigate in &all {
        frigate.protect().unwrap();
    }
    count(100);
    let before = crate::support::descriptors();
    count(1000);
    let after = crate::support::descriptors();
    // Each child that runs has two: its pidfd and the pipe of its exec. It is a matter of chance
    // how many run at this moment.
    assert!(
        after <= before.max(3 + 2 * all.len() + 10),
        "{before} descriptors before, {after} after"
    );
    for frigate in &all {
        frigate.stop(GRACE).unwrap();
    }
    assert_eq!(children(), []);
    let idle = crate::support::descriptors();
    assert!(idle <= 8, "{idle} descriptors with nothing to do");
    let again = shell("again", "exit 0").strategy(once());
    again.protect().unwrap();
    again.wait().unwrap();
    assert_eq!(crate::support::descriptors(), idle);
}

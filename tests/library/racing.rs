//! Calls of several threads on one handle, and calls at the moment when a child ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use frigate::{EventKind, Outcome, Strategy};

use crate::support::{DEADLINE, GRACE, Scenario, children, next, next_start, once, shell, sleeper};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "racing::a_stop_beside_a_start_leaves_no_child_that_lives",
        stop_and_start,
    ),
    Scenario::new(
        "racing::a_stop_is_of_the_child_that_it_met",
        stop_and_start_anew,
    ),
    Scenario::new(
        "racing::one_whose_end_was_told_can_be_started_anew_at_once",
        reported_end,
    ),
    Scenario::new(
        "racing::a_channel_asked_for_while_the_child_ends_is_reported_of_an_end",
        channels,
    ),
];

/// Runs the function on another thread. Panics if it has not returned by the deadline.
#[track_caller]
fn in_time<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(act()));
    receiver
        .recv_timeout(DEADLINE)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Stops and starts a child at the same moment. With many channels it takes long to report an end,
/// so that the start is likely to come in between.
fn stop_and_start() {
    let mut cancelled = 0;
    for turn in 0..2_000 {
        let mut frigate = sleeper("contended").strategy(Strategy::new().auto_start(false));
        let (sender, events) = channel();
        for _ in 0..if turn % 2 == 0 { 1_000 } else { 0 } {
            frigate = frigate.event_channel(sender.clone());
        }
        drop((sender, events));
        frigate.protect().unwrap();
        let frigate = Arc::new(frigate);
        let barrier = Arc::new(Barrier::new(2));
        let (starting, ready) = (Arc::clone(&frigate), Arc::clone(&barrier));
        let start = std::thread::spawn(move || {
            ready.wait();
            starting.start()
        });
        let stopping = Arc::clone(&frigate);
        let outcome = in_time("a stop", move || {
            barrier.wait();
            stopping.stop(GRACE)
        });
        start.join().unwrap().unwrap();
        cancelled += u32::from(matches!(outcome.unwrap(), Outcome::Cancel { last: None }));
        // If the start came second, the child runs, and this stop ends it. In both cases no child
        // may be left.
        let outcome = in_time("the last stop", move || frigate.stop(GRACE)).unwrap();
        assert!(
            matches!(outcome, Outcome::Cancel { .. }),
            "turn {turn}: {outcome:?}"
        );
        assert_eq!(children(), [], "turn {turn}: a child lives after its stop");
    }
    eprintln!("{cancelled} of 2000 stops came first");
}

/// Stops the child again and again, while another thread starts it whenever it has ended. Each stop
/// must return nevertheless.
fn stop_and_start_anew() {
    let frigate = Arc::new(sleeper("restless").strategy(once()));
    frigate.protect().unwrap();
    let (done, stop) = channel::<()>();
    let again = Arc::clone(&frigate);
    let starter = std::thread::spawn(move || {
        while stop.try_recv().is_err() {
            let _ = again.wait();
            again.start().unwrap();
        }
    });
    for _ in 0..1_000 {
        let stopping = Arc::clone(&frigate);
        in_time("a stop", move || stopping.stop(GRACE)).unwrap();
    }
    done.send(()).unwrap();
    // The thread may still wait for the child that it started last.
    while !starter.is_finished() {
        frigate.stop(GRACE).unwrap();
    }
    starter.join().unwrap();
    frigate.stop(GRACE).unwrap();
    assert_eq!(children(), []);
}

fn reported_end() {
    let frigate = shell("brief", "exit 0").strategy(once());
    let mut events = frigate.events();
    frigate.protect().unwrap();
    for _ in 0..1_000 {
        next(&events, "the end", |kind| {
            matches!(kind, EventKind::Finished(_)).then_some(())
        });
        events = frigate.events();
        frigate.start().unwrap();
        next_start(&events);
    }
    frigate.wait().unwrap();
}

fn channels() {
    for turn in 0..200 {
        let frigate = shell("brief", "exit 0").strategy(once());
        let has_ended = AtomicBool::new(false);
        frigate.protect().unwrap();
        let channels = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut channels = Vec::new();
                while !has_ended.load(Ordering::Relaxed) {
                    channels.push(frigate.events());
                }
                channels
            });
            frigate.wait().unwrap();
            has_ended.store(true, Ordering::Relaxed);
            asking.join().unwrap()
        });
        // The channels that came after the end get the events of this start.
        frigate.start().unwrap();
        frigate.wait().unwrap();
        for (number, events) in channels.iter().enumerate() {
            let is_reported = events
                .iter()
                .any(|event| matches!(event.kind, EventKind::Finished(_)));
            assert!(
                is_reported,
                "turn {turn}: channel {number} of {} got no end",
                channels.len()
            );
        }
    }
}

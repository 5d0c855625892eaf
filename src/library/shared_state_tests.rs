use std::sync::mpsc::{Receiver, TryRecvError};

use super::*;

fn outcome() -> Outcome {
    Outcome::GaveUp { last: None }
}

fn cancelled() -> Outcome {
    Outcome::Cancel { last: None }
}

fn started(name: &str) -> SharedState {
    let shared = SharedState::new(name);
    shared.set_state(State::Started(None));
    shared
}

fn kinds(events: &Receiver<Event>) -> Vec<EventKind> {
    events.try_iter().map(|event| event.kind).collect()
}

#[test]
fn nothing_is_to_be_waited_for_before_a_start() {
    let shared = SharedState::new("new");
    assert!(shared.outcome().is_none());
    shared.set_state(State::NotStarted);
    assert!(shared.outcome().is_none());
}

#[test]
fn a_waiter_gets_the_outcome_of_its_own_start() {
    let shared = started("restless");
    let first = shared.outcome().map(|waiter| {
        shared.end(outcome());
        shared.set_state(State::Started(None));
        shared.end(cancelled());
        waiter.recv()
    });
    assert_eq!(first, Some(Ok(outcome())));
    let late = shared.outcome().map(|waiter| waiter.recv());
    assert_eq!(late, Some(Ok(cancelled())));
}

#[test]
fn a_listener_that_comes_after_the_end_belongs_to_the_next_start() {
    let shared = started("brief");
    let ((first, first_events), (second, second_events)) = (channel(), channel());
    shared.add_listener(first);
    shared.end(outcome());
    shared.add_listener(second);
    assert_eq!(
        kinds(&first_events),
        [EventKind::Finished(outcome())],
        "the first start"
    );
    assert_eq!(
        first_events.try_recv().err(),
        Some(TryRecvError::Disconnected)
    );
    shared.set_state(State::Started(None));
    shared.end(cancelled());
    assert_eq!(kinds(&second_events), [EventKind::Finished(cancelled())]);
}

#[test]
fn a_listener_whose_receiver_is_gone_is_forgotten() {
    let shared = started("quiet");
    let (sender, events) = channel();
    shared.add_listener(sender);
    drop(events);
    shared.send(&Event::new(
        &shared.name,
        EventKind::Warning,
        String::from("text"),
    ));
    assert!(lock(&shared.inner).listeners.is_empty());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any `Instant` serves")]
fn only_a_started_child_has_a_process() {
    let process = Process {
        pid: 42,
        start_time: Instant::now(),
    };
    let shared = SharedState::new("process");
    for state in [
        State::NotProtected,
        State::NotStarted,
        State::Ended(outcome()),
    ] {
        shared.set_state(state);
        shared.set_process(Some(process));
        assert_eq!(shared.process(), None);
    }
    shared.set_state(State::Started(None));
    shared.set_process(Some(process));
    assert_eq!(shared.process(), Some(process));
    shared.end(outcome());
    assert_eq!(shared.process(), None);
}

#[test]
fn the_listeners_of_a_protected_child_stay_with_it() {
    let shared = SharedState::new("listened to");
    let (sender, _events) = channel();
    shared.add_listener(sender);
    for state in [State::NotStarted, State::Started(None)] {
        shared.set_state(state);
        assert!(shared.take_idle_listeners().is_empty());
    }
    shared.set_state(State::Ended(outcome()));
    assert_eq!(shared.take_idle_listeners().len(), 1);
}

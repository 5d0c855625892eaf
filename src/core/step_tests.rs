use std::collections::VecDeque;

use super::StepTaker;
use crate::core::action::{Action, Actions};
use crate::core::lifecycle;
use crate::core::script::{Brief, at_millis, config, spawned, stop};
use crate::core::signal::Signal;
use crate::core::supervisor::{Event, Scope, Supervisor};

/// Numbers as events. A number has two actions, itself and its negative; only some are answered.
#[derive(Default)]
struct Numbers {
    answers: Vec<(i32, i32)>,
    log: Vec<String>,
}

impl StepTaker for Numbers {
    type Event = i32;
    type Action = i32;

    fn decide(&mut self, event: i32, actions: &mut Actions<i32>) {
        self.log.push(format!("take {event}"));
        actions.push(event);
        actions.push(-event);
    }

    fn perform(&mut self, action: i32) -> Option<i32> {
        self.log.push(format!("perform {action}"));
        let answers = self.answers.iter();
        let found = answers.copied().find(|(asked, _)| *asked == action);
        found.map(|(_, answer)| answer)
    }
}

fn play(answers: &[(i32, i32)], waiting: &[i32]) -> String {
    let mut numbers = Numbers {
        answers: answers.to_vec(),
        log: Vec::new(),
    };
    for event in waiting {
        numbers.take_step(*event);
    }
    numbers.log.join(", ")
}

#[test]
fn an_answer_is_taken_before_the_events_that_wait() {
    assert_eq!(
        play(&[(-1, 10)], &[1, 2]),
        "take 1, perform 1, perform -1, take 10, perform 10, perform -10, \
         take 2, perform 2, perform -2"
    );
}

#[test]
fn an_answer_to_an_answer_is_taken_before_the_events_that_wait() {
    assert_eq!(
        play(&[(-1, 10), (-10, 20)], &[1, 2]),
        "take 1, perform 1, perform -1, take 10, perform 10, perform -10, \
         take 20, perform 20, perform -20, take 2, perform 2, perform -2"
    );
}

#[test]
fn an_answer_is_taken_after_the_whole_step() {
    assert_eq!(
        play(&[(1, 10)], &[1]),
        "take 1, perform 1, perform -1, take 10, perform 10, perform -10"
    );
}

#[test]
fn two_answers_of_a_step_are_taken_as_one() {
    assert_eq!(
        play(&[(1, 10), (-1, 10)], &[1]),
        "take 1, perform 1, perform -1, take 10, perform 10, perform -10"
    );
}

/// A supervisor whose child starts at once, as the rim reports it.
struct Starting {
    supervisor: Supervisor,
    performed: Vec<String>,
}

impl StepTaker for Starting {
    type Event = Event;
    type Action = Action;

    fn decide(&mut self, event: Event, actions: &mut Actions) {
        self.supervisor.step(event, at_millis(0), actions);
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        self.performed.push(action.brief());
        let is_start = matches!(action, Action::Spawn { .. });
        is_start.then(|| Event::Child(spawned(42)))
    }
}

#[test]
fn a_stop_that_waits_during_the_start_meets_a_running_child() {
    let mut starting = Starting {
        supervisor: Supervisor::new(&config("").rules, Scope::Group),
        performed: Vec::new(),
    };
    let begin = Event::Child(lifecycle::Event::Begin);
    let mut waiting = VecDeque::from([begin, Event::Child(stop(Signal::TERM))]);
    while let Some(event) = waiting.pop_front() {
        starting.take_step(event);
    }
    assert_eq!(
        starting.performed.join("; "),
        "Spawn { restarts: 0 }; send TERM; send CONT"
    );
}

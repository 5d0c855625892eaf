//! Scripts of ends and restarts.

use core::time::Duration;
use std::collections::BTreeSet;

use super::{Child, Event, FOR_GOOD, FOR_NOW};
use crate::core::action::Action;
use crate::core::fact::{Fact, Trouble};
use crate::core::pid::Pid;
use crate::core::script::{DUE, Scripted, at_millis, by, ended, exited, spawned, stop};
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};
use crate::core::usage::Usage;

// Ends and restarts: `doc/specification.md#restarting`.

#[test]
fn a_child_that_ends_by_itself_completes_with_its_status() {
    for status in [
        ExitStatus::Exited(0),
        ExitStatus::Exited(3),
        by(Signal::KILL),
    ] {
        let child = Child::running("--grace=5s").play(&[(2000, ended(status), "report ended")]);
        child.ends_with(Outcome::Complete(status), 7000);
    }
}

#[test]
fn a_child_that_had_started_is_started_again_at_once() {
    let child = Child::running("--restart=unexpected").play(&[
        (10_000, exited(1), "report restarting; EndGroup"),
        (10_000, Event::GroupGone, "Spawn { restarts: 1 }"),
        (10_000, spawned(8), ""),
        (10_000, Event::Executed, "report started"),
    ]);
    assert_eq!(child.lifecycle.alive(), Pid::new(8));
}

#[test]
fn a_failed_start_is_tried_again_after_a_pause() {
    let child = Child::running("--restart=unexpected --backoff=8s").play(&[
        (9_999, exited(1), "report restarting; EndGroup"),
        (9_999, Event::GroupGone, ""),
    ]);
    let pause = child
        .lifecycle
        .deadline()
        .map(|at| at.since(at_millis(9_999)));
    assert!(
        pause
            .is_some_and(|pause| pause > Duration::from_secs(6) && pause <= Duration::from_secs(8)),
        "{pause:?}"
    );
    child.play(&[(DUE, Event::Tick, "Spawn { restarts: 1 }")]);
}

#[test]
fn three_retries_are_four_attempts_and_then_it_gives_up_with_the_last_code() {
    let child = Child::new("--restart=unexpected --backoff-max=10ms --grace=5s").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
        (100, exited(1), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (110, Event::Tick, "Spawn { restarts: 1 }"),
        (110, spawned(8), ""),
        (200, exited(2), "report restarting; EndGroup"),
        (200, Event::GroupGone, ""),
        (210, Event::Tick, "Spawn { restarts: 2 }"),
        (210, FOR_NOW, "report restarting; EndGroup"),
        (210, Event::GroupGone, ""),
        (220, Event::Tick, "Spawn { restarts: 3 }"),
        (220, spawned(9), ""),
        (300, exited(4), "report ended; report gave-up"),
    ]);
    child.ends_with(
        Outcome::GaveUp {
            last: Some(ExitStatus::Exited(4)),
        },
        5300,
    );
    assert_eq!(child.lifecycle.restarts(), 3);
}

#[test]
fn giving_up_before_any_child_ran_has_no_last_status() {
    let child =
        Child::new("--restart=true --start-retries=1 --backoff-max=10ms --grace=5s").play(&[
            (0, Event::Begin, "Spawn { restarts: 0 }"),
            (0, FOR_NOW, "report restarting; EndGroup"),
            (0, Event::GroupGone, ""),
            (10, Event::Tick, "Spawn { restarts: 1 }"),
            (10, FOR_NOW, "report gave-up"),
        ]);
    child.ends_with(Outcome::GaveUp { last: None }, 5010);
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(126)
    );
}

#[test]
fn giving_up_where_a_restart_cannot_fork_has_the_status_of_the_last_child() {
    let child = Child::running("--restart=true --start-retries=0 --grace=5s").play(&[
        (60_000, exited(9), "report restarting; EndGroup"),
        (60_000, Event::GroupGone, "Spawn { restarts: 1 }"),
        (60_000, FOR_NOW, "report gave-up"),
    ]);
    child.ends_with(
        Outcome::GaveUp {
            last: Some(ExitStatus::Exited(9)),
        },
        65_000,
    );
}

#[test]
fn what_cannot_be_executed_for_good_is_not_tried_again_whatever_the_strategy() {
    let Event::SpawnFailed(failure) = FOR_GOOD else {
        panic!("it is a failure")
    };
    for restart in ["false", "unexpected", "true"] {
        let options = format!("--restart={restart} --grace=5s");
        let known_at_once =
            Child::new(&options).play(&[(0, Event::Begin, "Spawn { restarts: 0 }")]);
        let known_when_reaped = Child::running(&options);
        for mut child in [known_at_once, known_when_reaped] {
            assert_eq!(child.take(FOR_GOOD), "report not-started", "{restart}");
            child.ends_with(Outcome::NotStarted(failure), 5000);
        }
    }
}

#[test]
fn what_cannot_be_started_for_now_is_not_tried_again_without_a_strategy() {
    let Event::SpawnFailed(failure) = FOR_NOW else {
        panic!("it is a failure")
    };
    let mut child = Child::new("--grace=5s").play(&[(0, Event::Begin, "Spawn { restarts: 0 }")]);
    assert_eq!(child.take(FOR_NOW), "report not-started");
    child.ends_with(Outcome::NotStarted(failure), 5000);
}

#[test]
fn an_expected_end_restarts_under_true_and_completes_under_unexpected() {
    let expected = |restart| {
        let options = format!("--restart={restart} --expect=7,TERM --grace=5s");
        [ExitStatus::Exited(7), by(Signal::TERM)].map(|status| {
            let mut child = Child::running(&options);
            child.now = at_millis(60_000);
            child.take(ended(status));
            child.situation()
        })
    };
    assert_eq!(expected("unexpected"), ["ended", "ended"]);
    assert_eq!(expected("true"), ["between, ending", "between, ending"]);
}

#[test]
fn a_restart_is_said_with_all_that_led_to_it() {
    let mut child = Child::running("--restart=unexpected --start-retries=5 --backoff-max=10ms");
    child.now = at_millis(1500);
    let said = child.step(exited(3));
    let trouble = Trouble::Ended {
        pid: Pid::new(7),
        status: ExitStatus::Exited(3),
        uptime: Duration::from_millis(1500),
        usage: Usage::NONE,
    };
    let pause = Duration::from_millis(10);
    let fact = Fact::Restarting {
        trouble,
        pause,
        failures: 1,
        limit: Some(6),
    };
    assert_eq!(said, [Action::Report(fact), Action::EndGroup]);
}

#[test]
fn a_restart_has_no_limit_to_tell_of_where_nothing_ever_gives_up() {
    let mut child = Child::running("--restart=unexpected --start-secs=0");
    let said = child.step(exited(3));
    assert!(
        matches!(
            said.first(),
            Some(Action::Report(Fact::Restarting {
                failures: 0,
                limit: None,
                ..
            }))
        ),
        "{said:?}"
    );
}

#[test]
fn two_moments_do_not_give_the_same_pause() {
    let pause = |millis| {
        let mut child = Child::running("--restart=unexpected --backoff=8s");
        child.now = at_millis(millis);
        child.take(exited(1));
        child.take(Event::GroupGone);
        child.lifecycle.deadline().map(|at| at.since(child.now))
    };
    let pauses: BTreeSet<_> = (1..=100).map(pause).collect();
    assert!(
        pauses.len() > 90,
        "only {} different pauses of 100",
        pauses.len()
    );
}

#[test]
fn with_nothing_to_do_there_is_no_deadline() {
    for options in [
        "",
        "--restart=true",
        "--restart=unexpected --start-secs=0",
        "--grace-close",
    ] {
        let mut child = Child::new(options);
        child.take(Event::Begin);
        child.take(Event::NamesakesGone);
        child.take(spawned(7));
        assert_eq!(
            (child.situation(), child.lifecycle.deadline()),
            ("running", None),
            "{options}"
        );
    }
}

// What is let go of.

#[test]
fn a_child_that_will_not_be_restarted_is_released_when_it_has_been_started() {
    Child::new("").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
        (5, exited(0), "report ended"),
    ]);
}

#[test]
fn a_child_that_may_be_restarted_is_released_only_when_that_is_over() {
    for restart in ["unexpected", "true"] {
        Child::new(&format!("--restart={restart}")).play(&[
            (0, Event::Begin, "Spawn { restarts: 0 }"),
            (0, spawned(7), ""),
            (5, stop(Signal::TERM), "send TERM; send CONT"),
            (6, exited(0), "report ended"),
        ]);
    }
}

//! Scripts of leftovers and namesakes.

use core::time::Duration;

use super::{Child, Event, rules};
use crate::core::escalation::{KILL_TIMEOUT, LONGEST_PROBE_PAUSE};
use crate::core::rules::Rules;
use crate::core::script::{Scripted, at_millis, by, exited, spawned};
use crate::core::signal::Signal;
use crate::core::usage::Usage;

// Leftovers between two starts: `doc/specification.md#leftovers`.

#[test]
fn a_new_child_waits_until_nothing_is_left_of_the_old_one() {
    Child::running("--restart=unexpected --leftovers=30s").play(&[
        (20_000, exited(1), "report restarting; EndGroup"),
        (20_000, Event::OthersReaped, "ProbeGroup"),
        (20_010, Event::Tick, "ProbeGroup"),
        (20_030, Event::Tick, "ProbeGroup"),
        (20_070, Event::Tick, "ProbeGroup"),
        (20_090, Event::OthersReaped, "ProbeGroup"),
        (20_090, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn a_pause_goes_on_after_nothing_is_left() {
    Child::running("--restart=unexpected --backoff=10s --backoff-max=10ms").play(&[
        (1000, exited(1), "report restarting; EndGroup"),
        (1005, Event::GroupGone, ""),
        (1006, Event::OthersReaped, ""),
        (1010, Event::Tick, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn leftovers_are_looked_for_less_and_less_often_but_every_second() {
    let mut child = Child::running("--restart=unexpected --leftovers=30s");
    child.take(exited(1));
    let mut looks = Vec::new();
    while child.situation() == "between, ending" {
        let before = child.now;
        child.due();
        looks.push(child.now.since(before));
    }
    assert_eq!(child.now, at_millis(30_000));
    looks.pop();
    assert_eq!(looks.first(), Some(&Duration::from_millis(10)));
    assert!(
        looks.is_sorted() && looks.last() == Some(&LONGEST_PROBE_PAUSE),
        "{looks:?}"
    );
    assert!(looks.len() < 40, "{} looks in 30 s", looks.len());
}

#[test]
fn leftovers_get_kill_after_the_grace_period_and_are_left_behind_after_five_seconds_more() {
    let mut child = Child::running("--restart=unexpected --leftovers=20ms");
    child.now = at_millis(20_000);
    child.take(exited(1));
    let mut child = child.play(&[
        (20_010, Event::Tick, "ProbeGroup"),
        (
            20_020,
            Event::Tick,
            "report leftovers-killed if any; KillGroup; ProbeGroup",
        ),
        (20_030, Event::Tick, "ProbeGroup"),
    ]);
    let mut last = String::new();
    while child.situation() == "between, killed" {
        last = child.due();
    }
    assert_eq!(last, "report left-behind if any; Spawn { restarts: 1 }");
    assert_eq!(child.now.since(at_millis(20_020)), KILL_TIMEOUT);
}

/// As where the child's cgroup was there already.
fn with_leftovers(options: &str) -> Child {
    Child::with(Rules {
        is_adopted: true,
        ..rules(options)
    })
}

#[test]
fn what_an_earlier_run_left_is_ended_before_the_first_start() {
    let child = with_leftovers("--leftovers 20s").play(&[
        (0, Event::Begin, "EndGroup"),
        (10, Event::Tick, "ProbeGroup"),
        (15, Event::GroupGone, "Spawn { restarts: 0 }"),
    ]);
    assert_eq!(child.lifecycle.restarts(), 0, "the first start is none");
    with_leftovers("--leftovers 15ms").play(&[
        (0, Event::Begin, "EndGroup"),
        (10, Event::Tick, "ProbeGroup"),
        (
            15,
            Event::Tick,
            "report leftovers-killed if any; KillGroup; ProbeGroup",
        ),
        (16, Event::GroupGone, "Spawn { restarts: 0 }"),
    ]);
    with_leftovers("--kill").play(&[
        (0, Event::Begin, "KillGroup; ProbeGroup"),
        (0, Event::GroupGone, "Spawn { restarts: 0 }"),
    ]);
    with_leftovers("--grace-close").play(&[
        (0, Event::Begin, "EndGroup"),
        (1, Event::GroupGone, "CloseNamesakes"),
    ]);
}

#[test]
fn a_stop_while_an_earlier_run_is_ended_starts_nothing() {
    let mut child = with_leftovers("");
    child.take(Event::Begin);
    child.take(Event::Stop {
        signal: Signal::TERM,
        queued: false,
        at_once: false,
    });
    assert_eq!(child.situation(), "ended");
    assert_eq!(child.take(Event::GroupGone), "");
}

#[test]
fn an_end_for_want_of_memory_is_remembered_until_the_next() {
    let mut child = Child::running("--restart true");
    let end = |out_of_memory| Event::Ended {
        status: by(Signal::KILL),
        held_terminal: false,
        usage: Usage {
            out_of_memory,
            ..Usage::NONE
        },
    };
    child.take(end(true));
    assert!(child.lifecycle.out_of_memory());
    child.take(Event::GroupGone);
    child.due();
    child.take(spawned(8));
    assert!(
        child.lifecycle.out_of_memory(),
        "it is still how the last one ended"
    );
    child.take(end(false));
    assert!(!child.lifecycle.out_of_memory());
}

#[test]
fn leftovers_that_die_of_kill_make_way_at_once() {
    Child::running("--restart=true --leftovers=5ms").play(&[
        (20_000, exited(1), "report restarting; EndGroup"),
        (
            20_005,
            Event::Tick,
            "report leftovers-killed if any; KillGroup; ProbeGroup",
        ),
        (20_005, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn under_kill_leftovers_get_no_grace_either() {
    Child::running("--restart=true --kill --leftovers=5s").play(&[
        (
            20_000,
            exited(1),
            "report restarting; KillGroup; ProbeGroup",
        ),
        (20_010, Event::Tick, "ProbeGroup"),
        (20_020, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

// Other processes of the name: `doc/specification.md#processes-of-the-same-name`.

#[test]
fn others_are_closed_before_the_first_start_and_before_every_other() {
    Child::new("--grace-close --restart=unexpected").play(&[
        (0, Event::Begin, "CloseNamesakes"),
        (500, Event::NamesakesGone, "Spawn { restarts: 0 }"),
        (500, spawned(7), ""),
        (20_000, exited(1), "report restarting; EndGroup"),
        (20_000, Event::GroupGone, "CloseNamesakes"),
        (20_000, Event::NamesakesGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn others_get_kill_after_their_wait_and_five_seconds_later_it_starts_all_the_same() {
    for (options, wait) in [
        ("--grace-close", 30_000),
        ("--grace-close --grace-close-wait=2s", 2000),
    ] {
        Child::new(options).play(&[
            (0, Event::Begin, "CloseNamesakes"),
            (wait, Event::Tick, "KillNamesakes"),
            (
                wait + 5000,
                Event::Tick,
                "report others-left; Spawn { restarts: 0 }",
            ),
        ]);
    }
    Child::new("--grace-close --grace-close-wait=0").play(&[
        (0, Event::Begin, "CloseNamesakes"),
        (0, Event::Tick, "KillNamesakes"),
        (1, Event::NamesakesGone, "Spawn { restarts: 0 }"),
    ]);
}

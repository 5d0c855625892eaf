//! Scripts of a stop after a delay, and of a restart on request.

use core::time::Duration;

use super::{
    Child, Event, FOR_GOOD, FOR_NOW, Scripted, at_millis, by, ended, exited, rules, spawned, stop,
};
use crate::core::action::Action;
use crate::core::fact::Fact;
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};

// The delay before a stop: `doc/specification.md#delay-before-a-stop`.

fn draining(options: &str) -> Child {
    Child::running(&format!("--stop-delay=5s --grace=10s {options}")).play(&[(
        1000,
        stop(Signal::TERM),
        "report stop-delayed",
    )])
}

fn cancelled(status: ExitStatus) -> Outcome {
    Outcome::Cancel {
        last: Some(status),
        stop: Signal::TERM,
    }
}

#[test]
fn the_stop_signal_comes_after_the_delay_and_grace_begins_with_it() {
    let child = draining("").play(&[
        (6000, Event::Tick, "send TERM; send CONT"),
        (16_000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (16_001, ended(by(Signal::KILL)), "report ended"),
    ]);
    child.ends_with(cancelled(by(Signal::KILL)), 16_001);
    draining("--stop-signal=QUIT").play(&[(6000, Event::Tick, "send QUIT; send CONT")]);
    draining("--kill").play(&[(6000, Event::Tick, "KillCgroup; send KILL")]);
}

#[test]
fn a_second_stop_signal_ends_the_delay_and_the_first_is_the_one_that_is_reported() {
    let child = draining("").play(&[
        (2000, stop(Signal::INT), "send INT; send CONT"),
        (3000, exited(3), "report ended"),
    ]);
    child.ends_with(cancelled(ExitStatus::Exited(3)), 12_000);
}

#[test]
fn a_child_that_ends_during_the_delay_is_cancelled_with_its_code_whatever_the_strategy() {
    for restart in ["false", "unexpected", "true"] {
        for status in [
            ExitStatus::Exited(0),
            ExitStatus::Exited(3),
            by(Signal::QUIT),
        ] {
            let mut child = draining(&format!("--restart={restart}"));
            assert!(child.lifecycle.is_last_start());
            assert_eq!(child.lifecycle.alive(), Pid::new(7));
            child.now = at_millis(2000);
            assert_eq!(child.take(ended(status)), "report ended");
            child.ends_with(cancelled(status), 12_000);
        }
    }
    for (failure, said) in [(FOR_NOW, ""), (FOR_GOOD, "report not-started")] {
        let mut child = draining("--restart=true");
        assert_eq!(child.take(failure), said);
        assert_eq!(child.situation(), "ended");
    }
}

#[test]
fn a_user_at_the_terminal_does_not_wait() {
    let at_once = Event::Stop {
        signal: Signal::INT,
        queued: false,
        at_once: true,
    };
    Child::running("--stop-delay=5s").play(&[(1000, at_once, "send INT; send CONT")]);
    draining("").play(&[(1500, at_once, "send INT; send CONT")]);
}

#[test]
fn a_stop_without_a_child_has_no_delay() {
    Child::new("--stop-delay=5s --grace=5s")
        .play(&[(0, stop(Signal::TERM), "")])
        .ends_with(
            Outcome::Cancel {
                last: None,
                stop: Signal::TERM,
            },
            5000,
        );
    Child::running("--stop-delay=5s --restart=true").play(&[
        (100, exited(1), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (101, stop(Signal::TERM), ""),
    ]);
}

#[test]
fn the_delay_is_reported_with_pid_and_length() {
    let mut child = Child::running("--stop-delay=5s");
    let fact = Fact::StopDelayed {
        pid: Pid::new(7),
        delay: Duration::from_secs(5),
    };
    assert_eq!(child.step(stop(Signal::TERM)), [Action::Report(fact)]);
}

// Restarts on request: `doc/specification.md#restart-on-request`.

fn on_request(options: &str) -> Rules {
    rules(&format!("--restart-on=HUP {options}"))
}

fn running(options: &str) -> Child {
    Child::with(on_request(options)).play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
    ])
}

#[test]
fn a_restart_stops_the_child_and_starts_it_at_once_whatever_the_strategy_and_its_code() {
    for restart in ["false", "unexpected", "true"] {
        for status in [
            ExitStatus::Exited(0),
            ExitStatus::Exited(1),
            by(Signal::TERM),
        ] {
            let child = running(&format!("--restart={restart}"));
            assert!(!child.lifecycle.is_last_start());
            let child = child.play(&[
                (100, Event::Restart, "send TERM; send CONT"),
                (101, Event::Restart, ""),
                (200, ended(status), "report restarting; EndGroup"),
                (200, Event::GroupGone, "Spawn { restarts: 1 }"),
                (200, spawned(8), ""),
            ]);
            assert_eq!(child.situation(), "running");
        }
    }
}

#[test]
fn a_restart_has_a_grace_period_and_then_kill() {
    for (options, grace) in [("", 30_000), ("--grace=5s", 5000)] {
        running(options).play(&[
            (100, Event::Restart, "send TERM; send CONT"),
            (
                100 + grace,
                Event::Tick,
                "report killed; KillCgroup; send KILL",
            ),
            (
                101 + grace,
                ended(by(Signal::KILL)),
                "report restarting; EndGroup",
            ),
        ]);
    }
    running("--stop-signal=QUIT").play(&[(100, Event::Restart, "send QUIT; send CONT")]);
    // It has no delay: the service is to be back soon.
    running("--stop-delay=5s").play(&[(100, Event::Restart, "send TERM; send CONT")]);
}

#[test]
fn a_restart_is_no_failed_start_and_forgets_earlier_ones() {
    let child = running("--restart=true --start-retries=1 --backoff-max=10ms").play(&[
        (100, exited(1), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (110, Event::Tick, "Spawn { restarts: 1 }"),
        (110, spawned(8), ""),
        (120, Event::Restart, "send TERM; send CONT"),
        (130, exited(1), "report restarting; EndGroup"),
        (130, Event::GroupGone, "Spawn { restarts: 2 }"),
        (130, spawned(9), ""),
        (140, exited(1), "report restarting; EndGroup"),
    ]);
    assert_eq!(child.lifecycle.history.failures(), 1);
}

#[test]
fn a_restart_in_a_pause_ends_the_pause() {
    let child = running("--restart=true --backoff=60s").play(&[
        (100, exited(1), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (500, Event::Restart, "Spawn { restarts: 1 }"),
    ]);
    assert_eq!(child.lifecycle.history.failures(), 0);
    running("--restart=true --backoff=60s").play(&[
        (100, exited(1), "report restarting; EndGroup"),
        (105, Event::Restart, ""),
        (107, Event::GroupGone, "Spawn { restarts: 1 }"),
    ]);
}

#[test]
fn a_stop_signal_during_a_restart_is_a_stop() {
    let child = running("--restart=true --grace=10s").play(&[
        (100, Event::Restart, "send TERM; send CONT"),
        (200, stop(Signal::TERM), "send TERM; send CONT"),
        (300, exited(0), "report ended"),
    ]);
    child.ends_with(cancelled(ExitStatus::Exited(0)), 10_100);
}

#[test]
fn without_restart_on_and_restarts_nothing_restarts() {
    let mut child = Child::running("");
    assert_eq!(child.take(Event::Restart), "report impossible");
    assert_eq!(child.situation(), "running");
    let mut child = Child::running("--restart=unexpected");
    assert_eq!(child.take(Event::Restart), "send TERM; send CONT");
}

#[test]
fn a_child_that_survives_kill_is_not_started_again_beside_itself() {
    let child = running("--grace=1s").play(&[
        (0, Event::Restart, "send TERM; send CONT"),
        (1000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6000, Event::Tick, "report left-behind"),
    ]);
    let (last, was_ready) = (by(Signal::KILL), true);
    child.ends_with(Outcome::Unhealthy { last, was_ready }, 6000);
}

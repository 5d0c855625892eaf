//! Scripts of stops.

use core::time::Duration;

use super::{Child, Event, FOR_GOOD, SITUATIONS, events, failed, rules};
use crate::core::action::{Action, SURVIVES_KILL};
use crate::core::fact::Fact;
use crate::core::lifecycle::stop::NOT_PERMITTED;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::script::{Scripted, at_millis, by, ended, exited, spawned, stop};
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, Stage};
use crate::core::usage::Usage;

// Stopping: `doc/specification.md#stopping`.

#[test]
fn a_stop_sends_the_signal_as_received_and_lets_a_stopped_child_continue() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let sent = format!("send {signal}; send CONT");
        let child = Child::running("--grace=5s")
            .play(&[(100, stop(signal), &sent), (300, exited(3), "report ended")]);
        child.ends_with(
            Outcome::Cancel {
                last: Some(ExitStatus::Exited(3)),
                stop: signal,
            },
            5100,
        );
    }
}

#[test]
fn a_stop_sends_the_stop_signal_where_there_is_one() {
    let child = Child::running("--stop-signal=QUIT --grace=5s").play(&[
        (100, stop(Signal::TERM), "send QUIT; send CONT"),
        (200, ended(by(Signal::QUIT)), "report ended"),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::QUIT)),
            stop: Signal::TERM,
        },
        5100,
    );
}

#[test]
fn a_stop_goes_to_the_child_alone_where_that_was_asked_for() {
    Child::running("--single-child --grace=5s").play(&[
        (
            0,
            stop(Signal::TERM),
            "send TERM to the child; send CONT to the child",
        ),
        (5000, Event::Tick, "report killed; send KILL to the child"),
    ]);
}

#[test]
fn a_queued_stop_is_passed_on_with_its_value() {
    let queued = Event::Stop {
        signal: Signal::TERM,
        queued: true,
        at_once: false,
    };
    Child::running("--grace=5s").play(&[
        (0, queued, "send TERM with its value; send CONT"),
        (1, queued, "send TERM with its value; send CONT"),
        (2, stop(Signal::TERM), "send TERM; send CONT"),
    ]);
}

#[test]
fn kill_follows_when_the_grace_period_is_over_and_no_earlier() {
    let mut child =
        Child::running("--grace=5s").play(&[(1000, stop(Signal::TERM), "send TERM; send CONT")]);
    child.now = Moment::from_nanos(at_millis(6000).nanos() - 1);
    assert_eq!(child.take(Event::Tick), "");
    let child = child.play(&[
        (6000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6001, ended(by(Signal::KILL)), "report ended"),
    ]);
    // What is left was sent KILL with the group: nobody waits for it any more.
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::KILL)),
            stop: Signal::TERM,
        },
        6001,
    );
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(137)
    );
}

#[test]
fn a_grace_of_nothing_kills_at_once_but_after_the_signal() {
    Child::running("--grace=0").play(&[
        (1000, stop(Signal::TERM), "send TERM; send CONT"),
        (1000, Event::Tick, "KillCgroup; send KILL"),
    ]);
}

#[test]
fn repeated_stops_are_passed_on_and_do_not_extend_the_grace_period() {
    Child::running("--grace=5s").play(&[
        (1000, stop(Signal::TERM), "send TERM; send CONT"),
        (3000, stop(Signal::TERM), "send TERM; send CONT"),
        (5999, stop(Signal::INT), "send INT; send CONT"),
        (6000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6001, stop(Signal::TERM), ""),
        (11_000, Event::Tick, "report left-behind"),
    ]);
}

#[test]
fn the_first_of_several_stops_is_the_one_that_is_reported() {
    let child = Child::running("--grace=5s").play(&[
        (0, stop(Signal::INT), "send INT; send CONT"),
        (1, stop(Signal::TERM), "send TERM; send CONT"),
        (2, exited(0), "report ended"),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(0)),
            stop: Signal::INT,
        },
        5000,
    );
}

#[test]
fn under_kill_a_stop_is_sigkill_at_once_without_grace() {
    let options = "--kill --grace=5s --stop-signal=QUIT";
    let child = Child::running(options).play(&[
        (
            1000,
            Event::Stop {
                signal: Signal::TERM,
                queued: true,
                at_once: false,
            },
            "KillCgroup; send KILL",
        ),
        (1001, stop(Signal::TERM), ""),
        (1002, ended(by(Signal::KILL)), "report ended"),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::KILL)),
            stop: Signal::TERM,
        },
        1002,
    );
}

#[test]
fn a_child_that_not_even_kill_ends_is_left_behind_after_five_seconds() {
    let child = Child::running("--grace=1s").play(&[
        (0, stop(Signal::TERM), "send TERM; send CONT"),
        (1000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (6000, Event::Tick, "report left-behind"),
        (6001, ended(by(Signal::KILL)), ""),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(by(Signal::KILL)),
            stop: Signal::TERM,
        },
        6000,
    );
    let child = Child::running("--kill").play(&[
        (0, stop(Signal::TERM), "KillCgroup; send KILL"),
        (5000, Event::Tick, "report left-behind"),
    ]);
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(137)
    );
}

#[test]
fn killing_is_said_with_pid_and_grace() {
    let mut child =
        Child::running("--grace=5s").play(&[(0, stop(Signal::TERM), "send TERM; send CONT")]);
    child.now = at_millis(5000);
    let said = Fact::Killed {
        pid: Pid::new(7),
        grace: Duration::from_secs(5),
    };
    assert_eq!(child.step(Event::Tick).first(), Some(&Action::Report(said)));
    child.now = at_millis(10_000);
    assert_eq!(
        child.step(Event::Tick).first(),
        Some(&Action::Report(left_behind(SURVIVES_KILL)))
    );
}

fn left_behind(reason: &'static str) -> Fact<'static> {
    Fact::LeftBehind {
        pid: Pid::new(7),
        reason,
    }
}

#[test]
fn without_a_grace_period_a_stop_waits_for_the_child_as_long_as_it_takes() {
    for options in ["", "--restart=unexpected --grace=none"] {
        let mut child = Child::running(options);
        child.take(stop(Signal::TERM));
        assert_eq!(child.lifecycle.deadline(), None, "{options}");
        let child = child.play(&[
            (900_000, stop(Signal::TERM), "send TERM; send CONT"),
            (900_001, exited(3), "report ended"),
        ]);
        child.ends_with(
            Outcome::Cancel {
                last: Some(ExitStatus::Exited(3)),
                stop: Signal::TERM,
            },
            905_001,
        );
    }
    // With restarts there is one, unless it was asked for.
    assert_eq!(
        rules("--restart=true").stop.grace,
        Some(Duration::from_secs(30))
    );
}

#[test]
fn what_is_left_after_a_stop_without_a_grace_period_has_five_seconds_at_least() {
    for (options, kill_at) in [
        ("", 5000),
        ("--leftovers=1s", 5000),
        ("--leftovers=8s", 8000),
        ("--leftovers=leave", 5000),
    ] {
        let mut child = Child::running(options);
        child.take(stop(Signal::TERM));
        child.take(exited(0));
        child.ends_with(
            Outcome::Cancel {
                last: Some(ExitStatus::Exited(0)),
                stop: Signal::TERM,
            },
            kill_at,
        );
    }
}

#[test]
fn what_a_child_leaves_that_ends_by_itself_has_a_time_of_its_own_or_is_left_alone() {
    for (options, kill_at) in [
        ("", Some(5000)),
        ("--grace=1h", Some(5000)),
        ("--leftovers=2s", Some(2000)),
        ("--leftovers=0", Some(0)),
        ("--leftovers=leave", None),
        ("--leftovers=2s --kill", Some(0)),
    ] {
        let mut child = Child::running(options);
        child.take(exited(0));
        let finish = child.lifecycle.finish().map(|finish| finish.kill_at);
        assert_eq!(finish, Some(kill_at.map(at_millis)), "{options}");
    }
}

#[test]
fn between_two_starts_nothing_is_left_alone() {
    let mut child = Child::running("--restart=unexpected --leftovers=leave");
    child.take(exited(1));
    while child.situation() == "between, ending" {
        child.due();
    }
    assert_eq!(
        (child.situation(), child.now),
        ("between, killed", at_millis(5000))
    );
}

#[test]
fn a_child_that_may_not_be_signalled_is_left_behind_five_seconds_after_the_stop() {
    for options in ["", "--grace=1h", "--kill"] {
        let mut child = Child::running(options);
        child.take(stop(Signal::TERM));
        assert_eq!(child.take(Event::SignalRefused), "");
        child.now = at_millis(5000);
        assert_eq!(child.lifecycle.deadline(), Some(child.now), "{options}");
        assert_eq!(
            child.step(Event::Tick),
            [Action::Report(left_behind(NOT_PERMITTED))],
            "{options}"
        );
        child.ends_with(
            Outcome::Cancel {
                last: Some(by(Signal::KILL)),
                stop: Signal::TERM,
            },
            5000,
        );
    }
    // It never extends a grace period, and a child that ends by itself has its own status.
    Child::running("--grace=2s").play(&[
        (0, stop(Signal::TERM), "send TERM; send CONT"),
        (0, Event::SignalRefused, ""),
        (2000, Event::Tick, "report left-behind"),
    ]);
    let child = Child::running("").play(&[
        (0, stop(Signal::TERM), "send TERM; send CONT"),
        (0, Event::SignalRefused, ""),
        (10, exited(4), "report ended"),
    ]);
    assert_eq!(
        child.lifecycle.finish().map(|finish| finish.outcome.code()),
        Some(4)
    );
}

#[test]
fn an_end_after_a_stop_is_a_cancel_whatever_the_strategy() {
    for restart in ["false", "unexpected", "true"] {
        for status in [
            ExitStatus::Exited(0),
            ExitStatus::Exited(1),
            by(Signal::TERM),
        ] {
            let mut child = Child::running(&format!("--restart={restart} --grace=5s"));
            child.take(stop(Signal::TERM));
            child.take(ended(status));
            child.ends_with(
                Outcome::Cancel {
                    last: Some(status),
                    stop: Signal::TERM,
                },
                5000,
            );
        }
    }
}

#[test]
fn a_stop_before_any_child_ran_has_no_last_status() {
    Child::new("--grace=5s")
        .play(&[(0, stop(Signal::INT), "")])
        .ends_with(
            Outcome::Cancel {
                last: None,
                stop: Signal::INT,
            },
            5000,
        );
    let child = Child::new("--grace-close --grace=5s").play(&[
        (0, Event::Begin, "CloseNamesakes"),
        (9, stop(Signal::TERM), ""),
        (10, Event::NamesakesGone, ""),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: None,
            stop: Signal::TERM,
        },
        5009,
    );
}

#[test]
fn a_stop_of_a_child_that_never_became_its_program_is_a_cancel_unless_it_never_could() {
    let stopped =
        || Child::running("--grace=5s").play(&[(100, stop(Signal::TERM), "send TERM; send CONT")]);
    stopped()
        .play(&[(200, failed(Stage::Exec, 12), "")])
        .ends_with(
            Outcome::Cancel {
                last: None,
                stop: Signal::TERM,
            },
            5100,
        );
    let Event::SpawnFailed(failure) = FOR_GOOD else {
        panic!("it is a failure")
    };
    stopped()
        .play(&[(200, FOR_GOOD, "report not-started")])
        .ends_with(Outcome::NotStarted(failure), 5100);
}

#[test]
fn a_stop_during_a_pause_ends_at_once() {
    let child = Child::running("--restart=unexpected --backoff=1s --grace=5s").play(&[
        (100, exited(3), "report restarting; EndGroup"),
        (100, Event::GroupGone, ""),
        (200, stop(Signal::TERM), ""),
    ]);
    child.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(3)),
            stop: Signal::TERM,
        },
        5200,
    );
}

#[test]
fn a_stop_during_a_pause_leaves_leftovers_the_grace_period_that_they_had() {
    let ending = Child::running("--restart=unexpected --backoff=1s --leftovers=5s").play(&[
        (100, exited(3), "report restarting; EndGroup"),
        (105, stop(Signal::TERM), ""),
    ]);
    ending.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(3)),
            stop: Signal::TERM,
        },
        5100,
    );

    let mut killed = Child::running("--restart=unexpected --leftovers=5s");
    killed.take(exited(3));
    while killed.situation() != "between, killed" {
        killed.due();
    }
    assert_eq!(killed.now, at_millis(5000));
    killed.take(stop(Signal::TERM));
    killed.ends_with(
        Outcome::Cancel {
            last: Some(ExitStatus::Exited(3)),
            stop: Signal::TERM,
        },
        5000,
    );
}

#[test]
fn leftovers_that_were_killed_before_a_stop_are_not_said_to_be_killed_again() {
    let mut child = Child::running("--restart=unexpected --leftovers=5s");
    child.take(exited(3));
    while child.situation() != "between, killed" {
        child.due();
    }
    child.take(stop(Signal::TERM));
    assert_eq!(
        child
            .lifecycle
            .finish()
            .map(|finish| finish.is_kill_expected),
        Some(true)
    );
}

#[test]
fn after_a_stop_nothing_is_started_again_in_any_state() {
    for situation in SITUATIONS {
        let mut child = Child::in_situation(situation);
        // The one state where no stop is taken: the rim answers Spawn before it takes another
        // signal.
        if situation == "spawning" {
            child.take(spawned(7));
        }
        child.take(stop(Signal::TERM));
        for (name, event) in events() {
            let actions = if name == "due" {
                child.due()
            } else {
                child.take(event)
            };
            assert!(
                !actions.contains("Spawn") && !actions.contains("Close"),
                "{situation}, {name}: {actions}"
            );
        }
    }
}

// A person at the terminal: `doc/specification.md#terminal`.

#[test]
fn a_child_interrupted_at_the_terminal_is_cancelled_and_not_restarted() {
    let table = [
        (by(Signal::INT), Signal::INT),
        (by(Signal::QUIT), Signal::QUIT),
        (ExitStatus::Exited(130), Signal::INT),
        (ExitStatus::Exited(131), Signal::QUIT),
    ];
    for restart in ["false", "unexpected", "true"] {
        for (status, signal) in table {
            let mut child = Child::running(&format!("--restart={restart} --grace=5s"));
            child.now = at_millis(60_000);
            child.take(Event::Ended {
                status,
                held_terminal: true,
                usage: Usage::NONE,
            });
            child.ends_with(
                Outcome::Cancel {
                    last: Some(status),
                    stop: signal,
                },
                65_000,
            );
        }
    }
}

#[test]
fn the_same_ends_without_the_terminal_or_others_with_it_are_ends_like_any_other() {
    let end = |status, held_terminal| {
        let mut child = Child::running("--restart=true");
        child.take(Event::Ended {
            status,
            held_terminal,
            usage: Usage::NONE,
        });
        child.situation()
    };
    for status in [
        by(Signal::INT),
        by(Signal::QUIT),
        ExitStatus::Exited(130),
        ExitStatus::Exited(131),
    ] {
        assert_eq!(end(status, false), "between, ending", "{status}");
    }
    for status in [
        by(Signal::TERM),
        by(Signal::KILL),
        ExitStatus::Exited(129),
        ExitStatus::Exited(132),
    ] {
        assert_eq!(end(status, true), "between, ending", "{status}");
    }
}

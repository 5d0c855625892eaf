//! Scripts of one child whose health or readiness is checked.

use core::time::Duration;

use super::{
    Child, Event, FOR_NOW, RESUMED, SUSPENDED, Scripted, at_millis, by, ended, exited,
    failed_check, notified, rules, spawned, stop, succeeded,
};
use crate::core::action::Action;
use crate::core::command_status::CommandState;
use crate::core::fact::Fact;
use crate::core::health::checks::Health;
use crate::core::health::failure::CheckFailure;
use crate::core::health::notification::Notification;
use crate::core::health::rules::{
    CheckKind, CheckRules, HealthRules, Method, READY_WITHIN, ReadyRules,
};
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};

const OK: Event = succeeded(CheckKind::Health);
const FAILED: Event = failed_check(CheckKind::Health);
const READY: Event = succeeded(CheckKind::Ready);
const UNREADY: Event = failed_check(CheckKind::Ready);
const CHECK: &str = "StartCheck { kind: Health }";
const CHECK_READY: &str = "StartCheck { kind: Ready }";

/// The rules of `--ready` alone.
const fn ready_rules(method: Method) -> ReadyRules {
    ReadyRules {
        method,
        within: Some(READY_WITHIN),
    }
}

/// A child that is checked with `--health` of one retry, and with what else the options say.
fn checked(options: &str) -> Child {
    Child::with(with_health(options))
}

fn with_health(options: &str) -> Rules {
    let health = HealthRules {
        retries: 1,
        ..HealthRules::new(Method::Check)
    };
    Rules {
        checks: CheckRules {
            health: Some(health),
            ..CheckRules::NONE
        },
        ..rules(options)
    }
}

fn with_ready(options: &str) -> Child {
    Child::with(Rules {
        checks: CheckRules {
            ready: Some(ready_rules(Method::Check)),
            ..CheckRules::NONE
        },
        ..rules(options)
    })
}

/// The child of these rules, healthy since 1 s.
fn healthy(rules: Rules) -> Child {
    Child::with(rules).play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
        (1000, Event::Tick, CHECK),
        (1000, OK, "report healthy"),
    ])
}

/// That child, unhealthy since 21.1 s.
fn unhealthy(rules: Rules, sent: &str) -> Child {
    healthy(rules).play(&[
        (11_000, Event::Tick, CHECK),
        (11_000, OK, ""),
        (21_000, Event::Tick, CHECK),
        (21_000, FAILED, ""),
        (21_100, Event::Tick, sent),
    ])
}

const SENT: &str = "report unhealthy; send TERM; send CONT";

#[test]
fn an_unhealthy_child_is_stopped_and_started_again_at_once_whatever_its_code() {
    for status in [ExitStatus::Exited(0), by(Signal::TERM)] {
        unhealthy(with_health("--restart=unexpected"), SENT).play(&[
            (21_300, ended(status), "report restarting; EndGroup"),
            (21_300, Event::GroupGone, "Spawn { restarts: 1 }"),
            (21_300, spawned(8), ""),
            (22_300, Event::Tick, CHECK),
        ]);
    }
}

#[test]
fn an_unhealthy_child_gets_kill_after_the_grace_period_also_if_stops_have_none() {
    for (options, grace) in [
        ("--restart=unexpected", 30_000),
        ("--restart=unexpected --grace=5s", 5000),
        ("--restart=unexpected --grace=none", 30_000),
        ("", 30_000),
    ] {
        unhealthy(with_health(options), SENT).play(&[
            (
                21_100 + grace,
                Event::Tick,
                "report killed; KillCgroup; send KILL",
            ),
            (26_100 + grace, Event::Tick, "report left-behind"),
        ]);
    }
    let sent = "report unhealthy; KillCgroup; send KILL";
    unhealthy(with_health("--restart=true --kill --stop-signal=INT"), sent).play(&[(
        21_200,
        ended(by(Signal::KILL)),
        "report restarting; KillGroup; ProbeGroup",
    )]);
}

#[test]
fn leftovers_of_a_child_that_was_killed_are_not_said_to_be_killed_again() {
    let child = unhealthy(with_health("--grace=5s"), SENT).play(&[
        (26_100, Event::Tick, "report killed; KillCgroup; send KILL"),
        (26_200, ended(by(Signal::KILL)), "report ended"),
    ]);
    let (last, was_ready) = (by(Signal::KILL), true);
    child.ends_with(Outcome::Unhealthy { last, was_ready }, 26_200);
    let finish = child.lifecycle.finish();
    assert!(finish.is_some_and(|finish| finish.is_kill_expected));
}

#[test]
fn the_signal_is_that_of_health_or_the_stop_signal_or_term() {
    let with_signal = |options| {
        let mut rules = with_health(options);
        rules.checks.health = rules.checks.health.map(|health| HealthRules {
            signal: Some(Signal::QUIT),
            ..health
        });
        rules
    };
    let sent = "report unhealthy; send QUIT; send CONT";
    unhealthy(with_signal("--restart=true"), sent);
    unhealthy(with_signal("--restart=true --stop-signal=INT"), sent);
    let sent = "report unhealthy; send INT; send CONT";
    unhealthy(with_health("--restart=true --stop-signal=INT"), sent);
    let sent = "report unhealthy; send TERM to the child; send CONT to the child";
    unhealthy(with_health("--restart=true --single-child"), sent);
}

#[test]
fn without_restarts_frigate_ends_with_the_childs_code_or_1() {
    for (code, expected) in [(0, 1), (3, 3)] {
        let mut child = unhealthy(with_health("--grace=5s"), SENT);
        assert!(child.lifecycle.is_last_start());
        child.now = at_millis(21_200);
        assert_eq!(child.take(exited(code)), "report ended");
        let (last, was_ready) = (ExitStatus::Exited(code), true);
        let outcome = Outcome::Unhealthy { last, was_ready };
        child.ends_with(outcome, 26_100);
        assert_eq!((outcome.code(), outcome.word()), (expected, "unhealthy"));
    }
}

#[test]
fn a_child_that_was_never_healthy_is_a_failed_start_however_long_it_was_up() {
    let mut rules = with_health("--restart=unexpected --start-retries=1 --backoff-max=10ms");
    rules.checks.health = rules.checks.health.map(|health| HealthRules {
        start: Duration::from_secs(15),
        ..health
    });
    let mut child = Child::with(rules);
    child.take(Event::Begin);
    for attempt in [
        "report restarting; EndGroup",
        "report ended; report gave-up",
    ] {
        let started = child.now;
        child.take(spawned(7));
        while child.situation() == "running" {
            child.due();
            child.take(FAILED);
        }
        assert!(child.now.since(started) > Duration::from_secs(15));
        assert_eq!(child.take(exited(0)), attempt);
        child.take(Event::GroupGone);
        child.due();
    }
    let last = Some(ExitStatus::Exited(0));
    let finish = child.lifecycle.finish().map(|finish| finish.outcome);
    assert_eq!(finish, Some(Outcome::GaveUp { last }));
}

#[test]
fn a_trigger_before_the_child_is_ready_is_unhealthy_and_not_late() {
    let mut rules = with_health("");
    rules.checks.health = Some(HealthRules::new(Method::Notify));
    rules.checks.ready = Some(ready_rules(Method::Notify));
    let child = Child::with(rules).play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
        (1000, notified(Notification::Trigger), SENT),
        (1100, exited(0), "report ended"),
    ]);
    let (last, was_ready) = (ExitStatus::Exited(0), true);
    child.ends_with(Outcome::Unhealthy { last, was_ready }, 31_000);
}

#[test]
fn a_child_that_was_healthy_and_hung_within_the_start_window_is_a_failed_start() {
    let mut child = healthy(with_health("--restart=unexpected --start-secs=1m"));
    child.due();
    child.take(FAILED);
    child.due();
    assert_eq!(child.take(exited(0)), "report restarting; EndGroup");
    assert_eq!(child.lifecycle.history.failures(), 1);
}

#[test]
fn a_stop_ends_the_checks_and_a_check_under_way_is_cancelled() {
    let child = healthy(with_health("--grace=5s")).play(&[
        (11_000, Event::Tick, CHECK),
        (
            11_001,
            stop(Signal::TERM),
            "CancelCheck; send TERM; send CONT",
        ),
        (11_002, FAILED, ""),
        (11_003, notified(Notification::Trigger), ""),
        (11_004, SUSPENDED, ""),
        (11_005, RESUMED, ""),
    ]);
    assert_eq!(child.lifecycle.deadline(), Some(at_millis(16_001)));
    let child = healthy(with_health("--grace=none")).play(&[(
        1001,
        stop(Signal::TERM),
        "send TERM; send CONT",
    )]);
    assert_eq!(child.lifecycle.deadline(), None);
}

#[test]
fn a_childs_end_is_an_end_like_any_other_even_right_after_the_last_failure() {
    healthy(with_health("--restart=unexpected")).play(&[
        (11_000, Event::Tick, CHECK),
        (11_001, exited(0), "CancelCheck; report ended"),
    ]);
    healthy(with_health("--restart=unexpected")).play(&[
        (11_000, Event::Tick, CHECK),
        (11_000, FAILED, ""),
        (11_050, exited(0), "report ended"),
    ]);
    healthy(with_health("--restart=unexpected")).play(&[
        (11_000, Event::Tick, CHECK),
        (11_001, FOR_NOW, "CancelCheck; report restarting; EndGroup"),
    ]);
}

#[test]
fn a_stop_signal_while_an_unhealthy_child_is_stopped_is_a_cancel_as_ever() {
    let child = unhealthy(with_health("--restart=unexpected --grace=10s"), SENT).play(&[
        (22_000, stop(Signal::INT), "send INT; send CONT"),
        (23_000, exited(0), "report ended"),
    ]);
    let cancel = |status| Outcome::Cancel {
        last: Some(status),
        stop: Signal::INT,
    };
    child.ends_with(cancel(ExitStatus::Exited(0)), 31_100);
    // The grace period does not begin anew, and KILL is reported.
    let child = unhealthy(with_health(""), SENT).play(&[
        (50_000, stop(Signal::INT), "send INT; send CONT"),
        (51_100, Event::Tick, "report killed; KillCgroup; send KILL"),
        (51_101, ended(by(Signal::KILL)), "report ended"),
    ]);
    child.ends_with(cancel(by(Signal::KILL)), 51_101);
    // Nothing is started again, even if KILL was sent before.
    let child = unhealthy(with_health("--restart=true --grace=5s"), SENT).play(&[
        (26_100, Event::Tick, "report killed; KillCgroup; send KILL"),
        (26_101, stop(Signal::INT), ""),
        (26_102, ended(by(Signal::KILL)), "report ended"),
    ]);
    child.ends_with(cancel(by(Signal::KILL)), 26_102);
}

#[test]
fn a_child_that_cannot_be_ended_is_not_started_again_beside_it() {
    let child = unhealthy(with_health("--restart=true --grace=5s"), SENT).play(&[
        (21_100, Event::SignalRefused, ""),
        (26_100, Event::Tick, "report left-behind"),
    ]);
    let (last, was_ready) = (by(Signal::KILL), true);
    child.ends_with(Outcome::Unhealthy { last, was_ready }, 26_100);
}

#[test]
fn extend_timeout_moves_the_grace_period_and_never_shortens_it() {
    let extend = |secs| notified(Notification::Extend(Duration::from_secs(secs)));
    let child = healthy(with_health("--grace=5s"));
    child.play(&[
        (2000, stop(Signal::TERM), "send TERM; send CONT"),
        (3000, extend(1), ""),
        (4000, extend(60), ""),
        (64_000, Event::Tick, "report killed; KillCgroup; send KILL"),
        (65_000, extend(60), ""),
        (69_000, Event::Tick, "report left-behind"),
    ]);
    let child = healthy(with_health("--grace=none")).play(&[
        (2000, stop(Signal::TERM), "send TERM; send CONT"),
        (3000, extend(1), ""),
    ]);
    assert_eq!(child.lifecycle.deadline(), None);
}

#[test]
fn what_is_wrong_is_reported_with_the_last_failure_and_the_signal() {
    let mut child = healthy(with_health("--stop-signal=INT")).play(&[(11_000, Event::Tick, CHECK)]);
    child.now = at_millis(14_000);
    let fact = Fact::Unhealthy {
        pid: Pid::new(7),
        failure: CheckFailure::TimedOut {
            timeout: Duration::from_secs(3),
        },
        failures: 1,
        signal: Signal::INT,
    };
    let said = child.step(Event::Tick);
    assert_eq!(
        said.get(..2),
        Some(&[Action::CancelCheck, Action::Report(fact)][..])
    );
}

// Readiness.

#[test]
fn a_child_has_started_when_it_is_ready_and_not_before() {
    // Up for longer than the start window, and never ready.
    let early = with_ready("--restart=unexpected --start-secs=1s --backoff=8s").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), CHECK_READY),
        (0, UNREADY, ""),
        (1000, Event::Tick, CHECK_READY),
        (2000, exited(1), "CancelCheck; report restarting; EndGroup"),
        (2000, Event::GroupGone, ""),
    ]);
    assert_eq!(early.lifecycle.history.failures(), 1);
    // Ready at once, and ended within the start window: no failed start.
    let ready = with_ready("--restart=unexpected").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), CHECK_READY),
        (5, READY, "report ready"),
        (20, exited(1), "report restarting; EndGroup"),
    ]);
    assert_eq!(ready.lifecycle.history.failures(), 0);
}

#[test]
fn a_child_that_is_not_ready_in_time_is_stopped_and_is_a_failed_start() {
    let until_late = |options| {
        let mut child = with_ready(options);
        child.take(Event::Begin);
        child.take(spawned(7));
        while child.now < at_millis(59_000) {
            child.take(UNREADY);
            child.due();
        }
        child
    };
    let child = until_late("--restart=unexpected --start-retries=0").play(&[
        (59_000, UNREADY, ""),
        (
            60_000,
            Event::Tick,
            "report not-ready; send TERM; send CONT",
        ),
        (60_500, exited(0), "report ended; report gave-up"),
    ]);
    let last = Some(ExitStatus::Exited(0));
    child.ends_with(Outcome::GaveUp { last }, 65_500);
    let child = until_late("").play(&[
        (
            60_000,
            Event::Tick,
            "CancelCheck; report not-ready; send TERM; send CONT",
        ),
        (60_500, exited(0), "report ended"),
    ]);
    let (last, was_ready) = (ExitStatus::Exited(0), false);
    let outcome = Outcome::Unhealthy { last, was_ready };
    child.ends_with(outcome, 90_000);
    assert_eq!(outcome.code(), 1);
}

#[test]
fn each_start_is_checked_anew() {
    let child = with_ready("--restart=true").play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), CHECK_READY),
        (5, READY, "report ready"),
        (20_000, exited(1), "report restarting; EndGroup"),
        (20_000, READY, ""),
        (20_000, Event::GroupGone, "Spawn { restarts: 1 }"),
        (20_000, spawned(8), CHECK_READY),
        (
            20_000,
            exited(1),
            "CancelCheck; report restarting; EndGroup",
        ),
    ]);
    assert_eq!(child.lifecycle.history.failures(), 1);
}

#[test]
fn the_health_of_a_child_is_that_of_its_state() {
    let health = |child: &Child| child.lifecycle.health();
    assert_eq!(health(&Child::running("")), Health::Unchecked);
    assert_eq!(health(&with_ready("")), Health::Unchecked);
    assert_eq!(health(&checked("")), Health::Starting);
    let mut child = healthy(with_health("--restart=true"));
    assert_eq!(health(&child), Health::Healthy);
    child.due();
    child.take(FAILED);
    assert_eq!(health(&child), Health::Failing(1));
    child.due();
    assert_eq!(health(&child), Health::Unhealthy);
    child.take(exited(0));
    assert_eq!(health(&child), Health::Starting);
}

#[test]
fn no_check_is_begun_but_while_the_child_runs() {
    let mut child = checked("--restart=true --backoff-max=10ms");
    for _ in 0..100 {
        let before = child.situation();
        let done = if let "ready" = before {
            child.take(Event::Begin)
        } else {
            child.due()
        };
        assert!(
            !done.contains("StartCheck") || before == "running",
            "{before}"
        );
        match child.situation() {
            "spawning" => child.take(spawned(7)),
            "unhealthy" => child.take(exited(1)),
            "running" => child.take(FAILED),
            "between, ending" => child.take(Event::GroupGone),
            _ => String::new(),
        };
    }
}

#[test]
fn the_state_that_is_shown_is_starting_until_the_child_is_ready() {
    let state = |child: &Child| child.lifecycle.command_state();
    let child = with_ready("--restart=true --stop-delay=5s");
    assert_eq!(state(&child), CommandState::Starting, "not begun");
    let child = child.play(&[
        (0, Event::Begin, "Spawn { restarts: 0 }"),
        (0, spawned(7), CHECK_READY),
    ]);
    assert_eq!(state(&child), CommandState::Starting, "not ready");
    let child = child.play(&[(5, READY, "report ready")]);
    assert_eq!(state(&child), CommandState::Up);
    let child = child.play(&[(20_000, exited(1), "report restarting; EndGroup")]);
    assert_eq!(state(&child), CommandState::Waiting);
    let child = child.play(&[
        (20_000, Event::GroupGone, "Spawn { restarts: 1 }"),
        (20_000, spawned(8), CHECK_READY),
        (20_001, READY, "report ready"),
    ]);
    assert_eq!(state(&child), CommandState::Up);
    let child = child.play(&[(20_002, stop(Signal::TERM), "report stop-delayed")]);
    assert_eq!(state(&child), CommandState::Stopping, "before the delay");
    let child = child.play(&[(20_003, exited(0), "report ended")]);
    assert_eq!(state(&child), CommandState::Ended);
}

#[test]
fn without_a_check_a_child_is_up_from_its_fork_on() {
    let child = Child::new("--grace-close").play(&[(0, Event::Begin, "CloseNamesakes")]);
    assert_eq!(child.lifecycle.command_state(), CommandState::Starting);
    let child = child.play(&[
        (0, Event::NamesakesGone, "Spawn { restarts: 0 }"),
        (0, spawned(7), ""),
    ]);
    assert_eq!(child.lifecycle.command_state(), CommandState::Up);
    let child = child.play(&[(5, stop(Signal::TERM), "send TERM; send CONT")]);
    assert_eq!(child.lifecycle.command_state(), CommandState::Stopping);
}

//! Health and readiness: what is asked, and what follows from the answers.

mod hosting;
mod notify;
mod readiness;
mod targets;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use frigate::{AutoRestart, Error, Event, EventKind, Frigate, Outcome, ProtectTask, Strategy};
use nix::sys::signal::Signal;

use crate::support::{
    DEADLINE, GRACE, Scenario, directory, eventually, kill, next, once, shell, sleeper, text_of,
};

const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "health::a_function_that_hangs_is_stopped_and_started_again",
        function,
    ),
    Scenario::new(
        "health::a_program_that_hangs_is_healthy_again_after_its_restart",
        program,
    ),
    Scenario::new(
        "health::so_many_failures_in_a_row_as_retries_says_make_a_child_unhealthy",
        retries,
    ),
    Scenario::new("health::a_success_sets_the_count_to_zero", reset),
    Scenario::new(
        "health::failures_do_not_count_before_the_start_period_is_over",
        start_period,
    ),
    Scenario::new("health::two_checks_of_one_child_never_overlap", overlap),
    Scenario::new("health::an_unhealthy_child_gets_its_own_signal", signal),
    Scenario::new(
        "health::with_kill_an_unhealthy_child_gets_kill",
        signal_of_kill,
    ),
    Scenario::new(
        "health::a_child_that_was_never_healthy_is_given_up",
        gives_up,
    ),
    Scenario::new("health::a_suspended_child_is_not_checked", suspended),
    Scenario::new(
        "health::without_a_target_the_other_settings_check_nothing",
        unchecked,
    ),
    Scenario::new("health::a_signal_that_is_none_is_refused", wrong_signal),
];

pub fn scenarios() -> Vec<Scenario> {
    [
        SCENARIOS,
        hosting::SCENARIOS,
        notify::SCENARIOS,
        readiness::SCENARIOS,
        targets::SCENARIOS,
    ]
    .concat()
}

/// Registers all tasks, at the top of `main`.
pub fn register() {
    frigate::register_task("beating", beating);
    notify::register();
}

/// Modifies its heartbeat again and again. The first process does so once, and then hangs.
fn beating() {
    let restarts = std::env::var("FRIGATE_RESTARTS").unwrap();
    loop {
        std::fs::write(directory().join("beat"), "").unwrap();
        if restarts == "0" {
            std::thread::park();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Checks as often as possible. The first failure counts, and no check takes too long.
fn checking(target: impl Into<String>) -> Strategy {
    Strategy::new()
        .health(target)
        .health_interval(Duration::ZERO)
        .health_timeout(DEADLINE)
        .health_retries(1)
        .health_start(Duration::ZERO)
}

/// The target that is healthy as long as a file of this trial exists.
fn exists(file: &str) -> String {
    format!("exec:test -e '{}'", directory().join(file).display())
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// Waits for the next start and for an event of it. Returns the pid. A check may succeed before the
/// child has executed its program, and is reported first then.
#[track_caller]
fn next_start_with(events: &Receiver<Event>, expected: &EventKind) -> u32 {
    let (mut pid, mut is_seen) = (None, false);
    next(events, "a start, and an event of it", |kind| {
        if let EventKind::Started { pid: started, .. } = kind {
            pid = Some(*started);
        }
        is_seen |= kind == expected;
        pid.filter(|_| is_seen)
    })
}

fn is(kind: &EventKind, expected: &EventKind) -> Option<()> {
    (kind == expected).then_some(())
}

fn function() {
    let target = format!("file:{}", directory().join("beat").display());
    // Before its first heartbeat no failure counts.
    let strategy = checking(target)
        .health_timeout(Duration::from_secs(3))
        .health_start(Duration::from_secs(100_000));
    let frigate = Frigate::create("beating").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    let first = next_start_with(&events, &EventKind::Healthy);
    next(&events, "it is unhealthy", |kind| {
        is(kind, &EventKind::Unhealthy)
    });
    assert_ne!(next_start_with(&events, &EventKind::Healthy), first);
    let outcome = frigate.stop(GRACE).unwrap();
    assert!(matches!(outcome, Outcome::Cancel { .. }), "{outcome}");
}

/// Each process makes the file that the checks look for, and this test removes it.
fn program() {
    let well = directory().join("well");
    let strategy = checking(exists("well"))
        .health_start(Duration::from_secs(100_000))
        .start_retries(u32::MAX);
    let frigate = shell("server", "touch well; exec sleep 1000").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    for _ in 0..3 {
        next_start_with(&events, &EventKind::Healthy);
        std::fs::remove_file(&well).unwrap();
        next(&events, "it is unhealthy", |kind| {
            is(kind, &EventKind::Unhealthy)
        });
    }
    frigate.stop(GRACE).unwrap();
}

fn retries() {
    let target = "exec:sh -c 'echo x >> checks; exit 3'";
    let frigate = shell("failing", "exec sleep 1000").strategy(
        checking(target)
            .health_retries(3)
            .auto_restart(AutoRestart::False),
    );
    let events = frigate.events();
    frigate.protect().unwrap();
    let Outcome::Unhealthy(status) = frigate.wait().unwrap() else {
        panic!("it was to be unhealthy")
    };
    assert_eq!(status.signal(), Some(15));
    assert_eq!(text_of(&directory().join("checks")), "x\n".repeat(3));
    let events: Vec<_> = events.iter().collect();
    let unhealthy: Vec<String> = events
        .iter()
        .filter(|event| event.kind == EventKind::Unhealthy)
        .map(ToString::to_string)
        .collect();
    assert_eq!(unhealthy.len(), 1, "{unhealthy:#?}");
    for part in [
        "'failing'",
        "echo x >> checks",
        "exited with code 3",
        "3 times in a row",
        "TERM",
    ] {
        assert!(unhealthy[0].contains(part), "{part}: {unhealthy:#?}");
    }
    assert!(
        !events.iter().any(|event| event.kind == EventKind::Healthy),
        "{events:#?}"
    );
}

/// Fails at all checks but each third one.
fn reset() {
    let target = "exec:sh -c 'echo >> checks; test $(($(wc -l < checks) % 3)) = 0'";
    let frigate = shell("moody", "exec sleep 1000").strategy(checking(target).health_retries(3));
    let events = frigate.events();
    frigate.protect().unwrap();
    for _ in 0..4 {
        let healthy = next(&events, "it is healthy again", |kind| match kind {
            EventKind::Healthy => Some(true),
            EventKind::Unhealthy => Some(false),
            _ => None,
        });
        assert!(healthy);
    }
    frigate.stop(GRACE).unwrap();
}

fn start_period() {
    let checks = directory().join("checks");
    let target = "exec:sh -c 'echo >> checks; test -e well'";
    let strategy = checking(target).health_start(Duration::from_secs(100_000));
    let frigate = shell("slow", "exec sleep 1000").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    eventually("several failures", || (lines(&checks) >= 5).then_some(()));
    std::fs::write(directory().join("well"), "").unwrap();
    let healthy = |kind: &EventKind| match kind {
        EventKind::Healthy => Some(true),
        EventKind::Unhealthy => Some(false),
        _ => None,
    };
    assert!(next(&events, "it is healthy", healthy));
    // The first success has ended the period.
    std::fs::remove_file(directory().join("well")).unwrap();
    assert!(!next(&events, "it is unhealthy", healthy));
    frigate.stop(GRACE).unwrap();
}

fn overlap() {
    let target =
        "exec:sh -c 'mkdir lock || echo x > overlap; echo >> checks; sleep 0.05; rmdir lock'";
    let frigate = shell("checked", "exec sleep 1000").strategy(checking(target));
    let events = frigate.events();
    frigate.protect().unwrap();
    eventually("many checks", || {
        (lines(&directory().join("checks")) >= 20).then_some(())
    });
    frigate.stop(GRACE).unwrap();
    assert!(!directory().join("overlap").exists());
    assert!(
        events
            .iter()
            .all(|event| event.kind != EventKind::Unhealthy)
    );
}

fn signal() {
    let script = "trap 'echo dump > dump; exit 0' QUIT; touch well; while :; do sleep 0.05; done";
    let strategy = checking("exec:sh -c '! test -e well'")
        .health_signal(Signal::SIGQUIT as i32)
        .auto_restart(AutoRestart::False);
    let frigate = shell("dumping", script).strategy(strategy);
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert_eq!(text_of(&directory().join("dump")), "dump\n");
    assert!(
        matches!(outcome, Outcome::Unhealthy(status) if status.success()),
        "{outcome:?}"
    );
}

fn signal_of_kill() {
    let strategy = checking("exec:false")
        .health_signal(Signal::SIGQUIT as i32)
        .kill(true)
        .auto_restart(AutoRestart::False);
    let frigate = sleeper("killed").strategy(strategy);
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert!(
        matches!(outcome, Outcome::Unhealthy(status) if status.signal() == Some(9)),
        "{outcome:?}"
    );
}

fn gives_up() {
    let strategy = checking("exec:no-such-program").start_retries(1);
    let frigate = sleeper("hopeless").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert!(matches!(outcome, Outcome::GaveUp { .. }), "{outcome:?}");
    let events: Vec<_> = events.iter().collect();
    let unhealthy = events
        .iter()
        .filter(|event| event.kind == EventKind::Unhealthy);
    assert_eq!(unhealthy.clone().count(), 2, "{events:#?}");
    for event in unhealthy {
        assert!(
            event.to_string().contains("no such file or directory"),
            "{event}"
        );
    }
    assert!(
        events
            .iter()
            .any(|event| event.kind == EventKind::GaveUp { failures: 2 }),
        "{events:#?}"
    );
}

/// A check fails while the child is suspended, and succeeds while it is not.
fn suspended() {
    let checks = directory().join("checks");
    let target = "exec:sh -c 'echo >> checks; test -e well'";
    std::fs::write(directory().join("well"), "").unwrap();
    let frigate = shell("paused", "exec sleep 1000").strategy(checking(target));
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = next_start_with(&events, &EventKind::Healthy);
    kill(pid, Signal::SIGSTOP);
    eventually("it is suspended", || {
        let process = crate::procfs::process(pid.cast_signed())?;
        (process.state == 'T').then_some(())
    });
    std::fs::remove_file(directory().join("well")).unwrap();
    let before = lines(&checks);
    std::thread::sleep(Duration::from_millis(1500));
    let after = lines(&checks);
    assert!(
        after <= before + 1,
        "one check may have been under way: {before}, {after}"
    );
    std::fs::write(directory().join("well"), "").unwrap();
    kill(pid, Signal::SIGCONT);
    eventually("it is checked again", || {
        (lines(&checks) > after + 1).then_some(())
    });
    frigate.stop(GRACE).unwrap();
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert!(!kinds.contains(&EventKind::Unhealthy), "{kinds:#?}");
}

fn unchecked() {
    let strategy = once()
        .health_interval(Duration::ZERO)
        .health_timeout(Duration::ZERO)
        .health_start(Duration::ZERO)
        .health_retries(0)
        .ready_within(Duration::from_millis(1));
    let frigate = shell("unchecked", "sleep 0.5; exit 4").strategy(strategy);
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert!(
        matches!(outcome, Outcome::Complete(status) if status.code() == Some(4)),
        "{outcome:?}"
    );
}

fn wrong_signal() {
    for signal in [0, 17, 19, 65, -3] {
        let strategy = Strategy::new().health("exec:true").health_signal(signal);
        let task = ProtectTask::new("sleep").arg("1000");
        let frigate = Frigate::from(task).strategy(strategy);
        let error = frigate.protect().expect_err("the signal has no meaning");
        assert!(
            matches!(&error, Error::Word { word, .. } if *word == signal.to_string()),
            "{error}"
        );
    }
}

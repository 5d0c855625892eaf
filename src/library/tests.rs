use core::time::Duration;
use std::error::Error as _;
use std::os::unix::process::ExitStatusExt;

use proptest::prelude::*;

use super::control_group::ControlGroup;
use super::error::Error;
use super::event::Event;
use super::frigate::Frigate;
use super::outcome::{Outcome, Step, exit_status};
use super::size::ByteSize;
use super::strategy::{AutoRestart, Strategy as Public};
use crate::core::errno::Errno;
use crate::core::restart::Restart;
use crate::core::rules::{Rules, StopRules};
use crate::core::signal::Signal;
use crate::core::status::{self, SpawnFailure, Stage};

#[test]
fn what_is_handed_around_may_cross_threads() {
    const fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Frigate>();
    crosses::<Event>();
    crosses::<Error>();
    crosses::<Outcome>();
}

#[test]
fn the_defaults_are_those_of_the_original() {
    let spelled_out = Public::new()
        .auto_start(true)
        .auto_restart(AutoRestart::True)
        .start_secs(Duration::from_secs(10))
        .start_retries(3)
        .grace_close(false)
        .grace_close_wait(Duration::from_secs(30))
        .kill(false);
    assert_eq!(Public::default(), spelled_out);
    assert_eq!((spelled_out.user, spelled_out.chroot), (None, None));
}

#[test]
fn each_setting_of_a_strategy_becomes_a_rule_of_the_core() {
    let rules = |strategy: Public| strategy.rules();
    let base = rules(Public::new());
    assert_eq!(
        rules(Public::new().kill(true)),
        Rules {
            stop: StopRules {
                kill: true,
                ..base.stop
            },
            ..base
        }
    );
    let wait = Duration::from_secs(7);
    let closing = Public::new().grace_close(true).grace_close_wait(wait);
    assert_eq!(
        rules(closing),
        Rules {
            grace_close: Some(wait),
            ..base
        }
    );
    assert_eq!(
        rules(Public::new().grace_close_wait(wait)),
        base,
        "nothing is closed unless asked for"
    );
    let words = [
        (AutoRestart::True, Restart::True),
        (AutoRestart::False, Restart::False),
        (AutoRestart::Unexpected, Restart::Unexpected),
    ];
    for (word, restart) in words {
        assert_eq!(
            rules(Public::new().auto_restart(word))
                .restart_policy
                .restart,
            restart
        );
        assert_eq!(word.to_string().parse::<AutoRestart>().ok(), Some(word));
    }
    let other = rules(Public::new().start_secs(wait).start_retries(9)).restart_policy;
    assert_eq!((other.start_secs, other.start_retries), (wait, 9));
    assert!(
        base.restart_policy
            .expected
            .covers(status::ExitStatus::Exited(0))
    );
    assert!(
        !base
            .restart_policy
            .expected
            .covers(status::ExitStatus::Exited(1))
    );
}

#[test]
fn an_exit_status_is_that_of_the_standard_library() {
    let exited = exit_status(status::ExitStatus::Exited(3));
    assert_eq!(
        (exited.code(), exited.signal(), exited.core_dumped()),
        (Some(3), None, false)
    );
    for number in 1..=64 {
        let Some(signal) = Signal::new(number) else {
            unreachable!("1 to 64 are signals")
        };
        for core in [false, true] {
            let ended = exit_status(status::ExitStatus::Signaled { signal, core });
            assert_eq!(
                (ended.code(), ended.signal(), ended.core_dumped()),
                (None, Some(number), core)
            );
        }
    }
}

#[test]
fn an_outcome_prints_its_word() {
    let failure = SpawnFailure {
        stage: Stage::Exec,
        errno: Errno::NOT_FOUND,
    };
    let table = [
        (
            status::Outcome::Complete(status::ExitStatus::Exited(0)),
            "complete",
        ),
        (
            status::Outcome::Cancel {
                last: None,
                stop: Signal::TERM,
            },
            "cancel",
        ),
        (status::Outcome::GaveUp { last: None }, "gave-up"),
        (status::Outcome::NotStarted(failure), "not-started"),
    ];
    for (outcome, word) in table {
        assert_eq!(Outcome::of(outcome, |_| String::new()).to_string(), word);
    }
}

#[test]
fn every_step_that_can_fail_has_its_name() {
    let steps = Stage::ALL.map(|stage| {
        let failure = SpawnFailure {
            stage,
            errno: Errno::ACCESS,
        };
        let outcome = Outcome::of(status::Outcome::NotStarted(failure), |_| "why".to_owned());
        let Outcome::NotStarted(error) = outcome else {
            unreachable!("{outcome}")
        };
        (error.step(), error.to_string())
    });
    let expected = [
        Step::Fork,
        Step::Fork,
        Step::ControlGroup,
        Step::Root,
        Step::User,
        Step::User,
        Step::User,
        Step::Directory,
        Step::User,
        Step::Execute,
    ];
    assert_eq!(steps, expected.map(|step| (step, "why".to_owned())));
}

#[test]
fn limits_are_written_as_the_files_take_them() {
    let all = ControlGroup::new()
        .memory_max(ByteSize::mib(64))
        .memory_high(ByteSize::MAX)
        .memory_swap_max(ByteSize::new(0))
        .cpu_max(1.5)
        .cpu_weight(50)
        .pids_max(32)
        .file("io.max", "8:0 rbps=1048576");
    let limits = all.limits().unwrap_or_default();
    let written: Vec<_> = limits
        .iter()
        .map(|limit| (limit.file.as_str(), limit.value.as_str()))
        .collect();
    let expected = [
        ("memory.max", "67108864"),
        ("memory.high", "max"),
        ("memory.swap.max", "0"),
        ("cpu.max", "150000 100000"),
        ("cpu.weight", "50"),
        ("pids.max", "32"),
        ("io.max", "8:0 rbps=1048576"),
    ];
    assert_eq!(written, expected);
    for file in ["cgroup.procs", "cgroup.kill", "memory/max", "../x.y", ""] {
        assert!(
            ControlGroup::new().file(file, "1").limits().is_err(),
            "{file}"
        );
    }
}

#[test]
fn an_error_of_the_kernels_has_a_source() {
    let error = Error::System {
        attempt: "start a thread",
        source: std::io::Error::from_raw_os_error(11),
    };
    assert!(error.source().is_some() && error.to_string().starts_with("cannot start a thread: "));
    assert!(Error::Unsupported.source().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_size_is_read_as_it_is_printed(
        bytes in prop_oneof![any::<u64>(), 0..5000_u64, (0..5000_u64).prop_map(|n| n << 20)],
    ) {
        let size = ByteSize::new(bytes);
        prop_assert_eq!(size.to_string().parse::<ByteSize>().ok(), Some(size));
    }

    #[test]
    fn no_number_of_processors_makes_the_reader_panic(processors in any::<f64>()) {
        let _ = ControlGroup::new().cpu_max(processors).limits();
    }
}

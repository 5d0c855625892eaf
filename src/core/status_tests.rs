use super::{ExitStatus, Outcome, SpawnFailure, Stage, WaitStatus};
use crate::core::errno::Errno;
use crate::core::signal::Signal;

#[test]
fn every_exit_code_is_decoded() {
    for code in 0..=255_u8 {
        let status = ExitStatus::Exited(code);
        assert_eq!(
            WaitStatus::from_raw(i32::from(code) << 8),
            Some(WaitStatus::Ended(status))
        );
        assert_eq!(status.code(), code);
    }
}

#[test]
fn death_by_every_signal_is_decoded_with_and_without_a_core() {
    for signal in (1..=64).filter_map(Signal::new) {
        for core in [false, true] {
            let status = ExitStatus::Signaled { signal, core };
            let raw = signal.raw() | if core { 0x80 } else { 0 };
            assert_eq!(WaitStatus::from_raw(raw), Some(WaitStatus::Ended(status)));
            assert_eq!(status.code(), 128 + signal.number());
        }
    }
}

#[test]
fn a_stop_and_a_continuation_are_not_ends() {
    assert_eq!(WaitStatus::from_raw(0xffff), Some(WaitStatus::Continued));
    for signal in (1..=64).filter_map(Signal::new) {
        assert_eq!(
            WaitStatus::from_raw((signal.raw() << 8) | 0x7f),
            Some(WaitStatus::Suspended(signal))
        );
    }
}

#[test]
fn no_number_makes_the_decoder_panic() {
    for raw in -70_000..70_000 {
        let _ = WaitStatus::from_raw(raw);
    }
    assert_eq!(WaitStatus::from_raw(65), None);
}

#[test]
fn a_missing_command_is_127_and_any_other_failure_126() {
    let code = |stage, errno| {
        SpawnFailure {
            stage,
            errno: Errno::new(errno),
        }
        .code()
    };
    assert_eq!(code(Stage::Exec, 2), 127);
    assert_eq!(code(Stage::Exec, 20), 127);
    for errno in [1, 5, 7, 8, 11, 12, 13, 26, 40, 9999] {
        assert_eq!(code(Stage::Exec, errno), 126);
    }
    assert_eq!(code(Stage::Fork, 2), 126);
    assert_eq!(code(Stage::Streams, 24), 126);
    for stage in Stage::ALL {
        let is_setup = !matches!(stage, Stage::Streams | Stage::Fork | Stage::Exec);
        assert_eq!(stage.is_setup(), is_setup);
        assert_eq!(code(stage, 2) == 125, is_setup, "{stage:?}");
    }
}

#[test]
fn every_outcome_has_the_code_that_the_table_gives_it() {
    let exited = |code| ExitStatus::Exited(code);
    let killed = ExitStatus::Signaled {
        signal: Signal::KILL,
        core: false,
    };
    let missing = SpawnFailure {
        stage: Stage::Exec,
        errno: Errno::new(2),
    };
    let table = [
        (Outcome::Complete(exited(0)), "complete", 0),
        (Outcome::Complete(exited(7)), "complete", 7),
        (Outcome::Complete(killed), "complete", 137),
        (
            Outcome::Cancel {
                last: Some(exited(0)),
                stop: Signal::TERM,
            },
            "cancel",
            0,
        ),
        (
            Outcome::Cancel {
                last: Some(killed),
                stop: Signal::TERM,
            },
            "cancel",
            137,
        ),
        (
            Outcome::Cancel {
                last: None,
                stop: Signal::TERM,
            },
            "cancel",
            143,
        ),
        (
            Outcome::Cancel {
                last: None,
                stop: Signal::INT,
            },
            "cancel",
            130,
        ),
        (
            Outcome::GaveUp {
                last: Some(exited(3)),
            },
            "gave-up",
            3,
        ),
        (
            Outcome::GaveUp {
                last: Some(exited(0)),
            },
            "gave-up",
            1,
        ),
        (Outcome::GaveUp { last: None }, "gave-up", 126),
        (Outcome::NotStarted(missing), "not-started", 127),
    ];
    for (outcome, word, code) in table {
        assert_eq!(
            (outcome.word(), outcome.code()),
            (word, code),
            "{outcome:?}"
        );
    }
}

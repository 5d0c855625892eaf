#![allow(
    clippy::panic,
    reason = "a test that meets the wrong verdict has failed"
)]

use core::time::Duration;

use proptest::prelude::*;

use super::{ChildEnd, Expected, History, Restart, RestartPolicy, SHORTEST_PAUSE, Verdict};
use crate::core::errno::Errno;
use crate::core::signal::{Signal, SignalSet};
use crate::core::status::{ExitStatus, SpawnFailure, Stage};

/// One end of a child, or of an attempt to start one.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The child ended with that exit code after that time.
    Exit(u8, Duration),
    /// It was ended by that signal after that time.
    By(Signal, Duration),
    /// It could not be started, for that errno.
    Failure(i32),
}

/// An end after exactly the start window, and one a nanosecond before it.
const STARTED: Duration = Duration::from_secs(10);
/// An end before this is quick with every start window.
const TENTH: Duration = Duration::from_millis(100);
const EARLY: Duration = Duration::from_nanos(9_999_999_999);

const AS_EXPECTED: [End; 2] = [End::Exit(0, EARLY), End::Exit(0, STARTED)];
const OTHERWISE_STARTED: [End; 3] = [
    End::Exit(1, STARTED),
    End::By(Signal::TERM, STARTED),
    End::Exit(1, Duration::MAX),
];
const OTHERWISE_EARLY: [End; 3] = [
    End::Exit(1, EARLY),
    End::By(Signal::KILL, EARLY),
    End::Exit(255, Duration::ZERO),
];
/// ENOENT, EACCES, ENOEXEC; EPERM, E2BIG, ENOTDIR, EISDIR, EINVAL, ENAMETOOLONG, ELOOP, ELIBBAD;
/// and an unknown one.
const FOR_GOOD: [i32; 12] = [2, 13, 8, 1, 7, 20, 21, 22, 36, 40, 80, 9999];
/// EAGAIN, ENOMEM, ETXTBSY, EMFILE; ENFILE, ENOSPC.
const FOR_NOW: [i32; 6] = [11, 12, 26, 24, 23, 28];

/// Returns the defaults: `doc/specification.md#options`.
fn rules(restart: Restart) -> RestartPolicy {
    let mut expected = Expected::NONE;
    expected.insert_code(0);
    RestartPolicy {
        restart,
        expected,
        start_secs: STARTED,
        start_retries: 3,
        backoff: Duration::from_millis(100),
        backoff_max: Duration::from_secs(60),
        on_request: false,
    }
}

fn fresh() -> History {
    History::NONE
}

fn after(history: &mut History, rules: &RestartPolicy, end: End, random: u32) -> Verdict {
    let mut decide = |status, uptime| {
        let child_end = ChildEnd {
            uptime,
            has_started: rules.has_started(uptime),
            is_expected: rules.expected.covers(status),
        };
        history.after_end(rules, child_end, random)
    };
    match end {
        End::Exit(code, uptime) => decide(ExitStatus::Exited(code), uptime),
        End::By(signal, uptime) => {
            let core = false;
            decide(ExitStatus::Signaled { signal, core }, uptime)
        }
        End::Failure(errno) => {
            let failure = SpawnFailure {
                stage: Stage::Exec,
                errno: Errno::new(errno),
            };
            history.after_failure(rules, failure, random)
        }
    }
}

fn pause_after(history: &mut History, rules: &RestartPolicy, end: End, random: u32) -> Duration {
    match after(history, rules, end, random) {
        Verdict::Again { pause, .. } => pause,
        verdict @ (Verdict::Finish | Verdict::GiveUp { .. }) => {
            panic!("{end:?} was followed by {verdict:?}")
        }
    }
}

fn assert_finishes(restart: Restart, ends: &[End]) {
    for end in ends {
        assert_eq!(
            after(&mut fresh(), &rules(restart), *end, 7),
            Verdict::Finish,
            "{end:?}"
        );
    }
}

fn assert_restarts_at_once(restart: Restart, ends: &[End]) {
    let at_once = Verdict::Again {
        pause: Duration::ZERO,
        failures: 0,
    };
    for end in ends {
        assert_eq!(
            after(&mut fresh(), &rules(restart), *end, 7),
            at_once,
            "{end:?}"
        );
    }
}

/// Checks that three starts follow, each after a pause, and no fourth.
fn assert_retries_and_gives_up(restart: Restart, ends: &[End]) {
    for end in ends {
        let mut history = fresh();
        for attempt in 1..=3 {
            match after(&mut history, &rules(restart), *end, 7) {
                Verdict::Again { pause, failures } => {
                    assert!(!pause.is_zero(), "{end:?}");
                    assert_eq!(failures, attempt, "{end:?}");
                }
                verdict @ (Verdict::Finish | Verdict::GiveUp { .. }) => {
                    panic!("{end:?}: {verdict:?}")
                }
            }
        }
        assert_eq!(
            after(&mut history, &rules(restart), *end, 7),
            Verdict::GiveUp { failures: 4 },
            "{end:?}"
        );
    }
}

fn failures(errnos: &[i32]) -> Vec<End> {
    errnos.iter().copied().map(End::Failure).collect()
}

/// One test for each cell of the table in `doc/specification.md#restarting`. "Not started" is a
/// finish here; that its outcome is another one is the lifecycle's affair, and its tests'.
macro_rules! cells {
    ($($name:ident: $check:ident($restart:ident, $ends:expr);)*) => {
        $(#[test]
        fn $name() {
            $check(Restart::$restart, &$ends);
        })*
    };
}

cells! {
    as_expected_under_false_is_complete: assert_finishes(False, AS_EXPECTED);
    as_expected_under_unexpected_is_complete: assert_finishes(Unexpected, AS_EXPECTED);
    as_expected_after_start_secs_under_true_is_a_restart: assert_restarts_at_once(True, [End::Exit(0, STARTED)]);
    otherwise_after_start_secs_under_false_is_complete: assert_finishes(False, OTHERWISE_STARTED);
    otherwise_after_start_secs_under_unexpected_is_a_restart: assert_restarts_at_once(Unexpected, OTHERWISE_STARTED);
    otherwise_after_start_secs_under_true_is_a_restart: assert_restarts_at_once(True, OTHERWISE_STARTED);
    a_failed_start_under_false_is_complete: assert_finishes(False, OTHERWISE_EARLY);
    a_failed_start_under_unexpected_is_retried_then_given_up: assert_retries_and_gives_up(Unexpected, OTHERWISE_EARLY);
    a_failed_start_under_true_is_retried_then_given_up: assert_retries_and_gives_up(True, OTHERWISE_EARLY);
    not_executable_for_good_under_false_is_not_started: assert_finishes(False, failures(&FOR_GOOD));
    not_executable_for_good_under_unexpected_is_not_started: assert_finishes(Unexpected, failures(&FOR_GOOD));
    not_executable_for_good_under_true_is_not_started: assert_finishes(True, failures(&FOR_GOOD));
    not_startable_for_now_under_false_is_not_started: assert_finishes(False, failures(&FOR_NOW));
    not_startable_for_now_under_unexpected_is_a_failed_start: assert_retries_and_gives_up(Unexpected, failures(&FOR_NOW));
    not_startable_for_now_under_true_is_a_failed_start: assert_retries_and_gives_up(True, failures(&FOR_NOW));
}

#[test]
fn as_expected_before_start_secs_under_true_is_a_restart_after_a_pause_and_never_a_failed_start() {
    let mut history = fresh();
    for _ in 0..100 {
        match after(&mut history, &rules(Restart::True), End::Exit(0, EARLY), 7) {
            Verdict::Again { pause, failures } => {
                assert!(!pause.is_zero());
                assert_eq!(failures, 0);
            }
            verdict @ (Verdict::Finish | Verdict::GiveUp { .. }) => panic!("{verdict:?}"),
        }
    }
}

#[test]
fn an_expected_code_covers_that_code_and_the_signal_it_stands_for() {
    for code in 0..=255_u8 {
        let mut expected = Expected::NONE;
        expected.insert_code(code);
        for other in 0..=255 {
            assert_eq!(
                expected.covers(ExitStatus::Exited(other)),
                other == code,
                "{code} and {other}"
            );
        }
        for signal in (1..=64).filter_map(Signal::new) {
            for core in [false, true] {
                let covered = expected.covers(ExitStatus::Signaled { signal, core });
                assert_eq!(
                    covered,
                    code == 128 + signal.number(),
                    "{code} and {signal}"
                );
            }
        }
    }
}

#[test]
fn the_code_143_covers_an_end_by_term() {
    let mut expected = Expected::NONE;
    expected.insert_code(143);
    assert!(expected.covers(ExitStatus::Signaled {
        signal: Signal::TERM,
        core: false
    }));
    assert!(expected.covers(ExitStatus::Exited(143)));
    assert!(!expected.covers(ExitStatus::Signaled {
        signal: Signal::INT,
        core: false
    }));
}

#[test]
fn an_expected_signal_covers_the_end_by_that_signal_alone() {
    for signal in (1..=64).filter_map(Signal::new) {
        let expected = Expected {
            codes: [0; 4],
            signals: SignalSet::of([signal]),
        };
        for other in (1..=64).filter_map(Signal::new) {
            let covered = expected.covers(ExitStatus::Signaled {
                signal: other,
                core: false,
            });
            assert_eq!(covered, other == signal, "{signal} and {other}");
        }
        assert!(
            (0..=255).all(|code| !expected.covers(ExitStatus::Exited(code))),
            "{signal}"
        );
    }
}

#[test]
fn the_start_window_ends_exactly_at_start_secs() {
    let nanosecond = Duration::from_nanos(1);
    for start_secs in [
        nanosecond,
        Duration::from_millis(1),
        STARTED,
        Duration::from_secs(3_600_000_000),
    ] {
        let rules = RestartPolicy {
            start_secs,
            ..rules(Restart::Unexpected)
        };
        for (uptime, failed) in [
            (start_secs.saturating_sub(nanosecond), 1),
            (start_secs, 0),
            (start_secs + nanosecond, 0),
        ] {
            let verdict = after(&mut fresh(), &rules, End::Exit(1, uptime), 0);
            assert!(
                matches!(verdict, Verdict::Again { failures, .. } if failures == failed),
                "{uptime:?}: {verdict:?}"
            );
            let pause = pause_after(&mut fresh(), &rules, End::Exit(1, uptime), 0);
            assert_eq!(
                pause.is_zero(),
                uptime >= start_secs.max(TENTH),
                "{uptime:?} of {start_secs:?}"
            );
        }
    }
}

#[test]
fn an_end_within_a_tenth_of_a_second_is_quick_however_short_the_window() {
    let rules = RestartPolicy {
        start_secs: Duration::from_nanos(1),
        start_retries: 0,
        ..rules(Restart::Unexpected)
    };
    let just_before = End::Exit(1, TENTH.saturating_sub(Duration::from_nanos(1)));
    let mut history = fresh();
    for millis in [100, 200, 400] {
        // No failed start, since it lasted as long as was asked for, but no busy loop either.
        let pause = Duration::from_millis(millis);
        assert_eq!(
            after(&mut history, &rules, just_before, 0),
            Verdict::Again { pause, failures: 0 }
        );
    }
    let at_once = Verdict::Again {
        pause: Duration::ZERO,
        failures: 0,
    };
    assert_eq!(after(&mut history, &rules, End::Exit(1, TENTH), 0), at_once);
}

#[test]
fn start_retries_means_one_attempt_more() {
    for start_retries in [0, 1, 3, 50] {
        let rules = RestartPolicy {
            start_retries,
            ..rules(Restart::Unexpected)
        };
        let mut history = fresh();
        for failures in 1..=start_retries {
            let verdict = after(&mut history, &rules, End::Exit(1, EARLY), 0);
            assert!(
                matches!(verdict, Verdict::Again { failures: counted, .. } if counted == failures),
                "{verdict:?}"
            );
        }
        let last = after(&mut history, &rules, End::Exit(1, EARLY), 0);
        assert_eq!(
            last,
            Verdict::GiveUp {
                failures: start_retries + 1
            }
        );
    }
}

#[test]
fn a_start_that_lasts_sets_the_count_to_zero() {
    for restart in [Restart::Unexpected, Restart::True] {
        let rules = rules(restart);
        let mut history = fresh();
        for _ in 0..5 {
            for failures in 1..=3 {
                let verdict = after(&mut history, &rules, End::Exit(1, EARLY), 0);
                assert!(
                    matches!(verdict, Verdict::Again { failures: counted, .. } if counted == failures)
                );
            }
            let verdict = after(&mut history, &rules, End::Exit(1, STARTED), 0);
            assert_eq!(
                verdict,
                Verdict::Again {
                    pause: Duration::ZERO,
                    failures: 0
                }
            );
        }
    }
}

#[test]
fn a_start_that_lasts_sets_the_pause_back_to_the_first() {
    let rules = rules(Restart::True);
    let mut history = fresh();
    for millis in [100, 200, 400] {
        assert_eq!(
            pause_after(&mut history, &rules, End::Exit(0, EARLY), 0),
            Duration::from_millis(millis)
        );
    }
    assert_eq!(
        pause_after(&mut history, &rules, End::Exit(0, STARTED), 0),
        Duration::ZERO
    );
    assert_eq!(
        pause_after(&mut history, &rules, End::Exit(0, EARLY), 0),
        Duration::from_millis(100)
    );
}

#[test]
fn quick_ends_of_every_kind_stand_in_one_row() {
    let rules = rules(Restart::True);
    let mut history = fresh();
    let row = [
        End::Exit(1, EARLY),
        End::Exit(0, EARLY),
        End::Failure(11),
        End::By(Signal::KILL, EARLY),
    ];
    for (end, millis) in row.into_iter().zip([100, 200, 400, 800]) {
        assert_eq!(
            pause_after(&mut history, &rules, end, 0),
            Duration::from_millis(millis),
            "{end:?}"
        );
    }
    // Three of these four were failed starts, and a fourth is one too many.
    assert_eq!(
        after(&mut history, &rules, End::Failure(12), 0),
        Verdict::GiveUp { failures: 4 }
    );
}

#[test]
fn an_expected_quick_end_neither_counts_as_a_failed_start_nor_forgives_one() {
    let rules = rules(Restart::True);
    let mut history = fresh();
    for _ in 0..3 {
        pause_after(&mut history, &rules, End::Exit(1, EARLY), 0);
        pause_after(&mut history, &rules, End::Exit(0, EARLY), 0);
    }
    assert_eq!(
        after(&mut history, &rules, End::Exit(1, EARLY), 0),
        Verdict::GiveUp { failures: 4 }
    );
}

#[test]
fn pauses_double_from_the_first_to_the_longest() {
    let rules = RestartPolicy {
        start_retries: u32::MAX,
        ..rules(Restart::Unexpected)
    };
    let mut history = fresh();
    let pauses: Vec<u128> = (0..13)
        .map(|_| pause_after(&mut history, &rules, End::Exit(1, EARLY), 0).as_millis())
        .collect();
    assert_eq!(
        pauses,
        [
            100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000
        ],
        "in milliseconds"
    );
}

#[test]
fn a_first_pause_above_the_longest_is_the_longest() {
    let rules = RestartPolicy {
        backoff: Duration::from_secs(90),
        ..rules(Restart::Unexpected)
    };
    assert_eq!(
        pause_after(&mut fresh(), &rules, End::Exit(1, EARLY), 0),
        Duration::from_secs(60)
    );
}

#[test]
fn chance_shortens_a_pause_by_nothing_up_to_a_quarter() {
    let rules = RestartPolicy {
        backoff: Duration::from_secs(8),
        ..rules(Restart::Unexpected)
    };
    let pause = |random| pause_after(&mut fresh(), &rules, End::Exit(1, EARLY), random);
    assert_eq!(pause(0), Duration::from_secs(8));
    assert_eq!(pause(1 << 31), Duration::from_secs(7));
    // The whole range is used: the shortest is a quarter less, but for a nanosecond or two of
    // rounding.
    assert!(pause(u32::MAX) >= Duration::from_secs(6));
    assert!(pause(u32::MAX) <= Duration::from_secs(6) + Duration::from_nanos(2));
}

#[test]
fn huge_and_tiny_spans_neither_overflow_nor_vanish() {
    let spans = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_secs(3_600_000_000),
        Duration::MAX,
    ];
    for backoff in spans {
        for backoff_max in spans {
            let rules = RestartPolicy {
                backoff,
                backoff_max,
                start_retries: u32::MAX,
                ..rules(Restart::Unexpected)
            };
            let mut history = fresh();
            let mut former = Duration::ZERO;
            for _ in 0..200 {
                let pause = pause_after(&mut history, &rules, End::Exit(1, EARLY), 0);
                assert!(
                    pause >= former && pause >= SHORTEST_PAUSE,
                    "{backoff:?}, {backoff_max:?}: {pause:?}"
                );
                assert!(
                    pause <= backoff_max.max(SHORTEST_PAUSE),
                    "{backoff:?}, {backoff_max:?}: {pause:?}"
                );
                former = pause;
            }
        }
    }
}

#[test]
fn without_a_start_window_nothing_ever_gives_up_and_every_quick_end_still_pauses() {
    for end in [
        End::Exit(1, Duration::ZERO),
        End::Exit(0, EARLY),
        End::By(Signal::KILL, EARLY),
        End::Failure(11),
    ] {
        let rules = RestartPolicy {
            start_secs: Duration::ZERO,
            start_retries: 0,
            ..rules(Restart::True)
        };
        let mut history = fresh();
        let mut former = Duration::ZERO;
        for attempt in 0..1000 {
            let pause = pause_after(&mut history, &rules, end, 0);
            assert!(
                pause >= former.max(Duration::from_millis(100)),
                "{end:?}, attempt {attempt}: {pause:?}"
            );
            former = pause;
        }
        assert_eq!(former, Duration::from_secs(60), "{end:?}");
    }
}

#[test]
fn without_a_start_window_an_end_is_quick_before_ten_seconds() {
    let rules = RestartPolicy {
        start_secs: Duration::ZERO,
        ..rules(Restart::Unexpected)
    };
    assert!(!pause_after(&mut fresh(), &rules, End::Exit(1, EARLY), 0).is_zero());
    assert!(pause_after(&mut fresh(), &rules, End::Exit(1, STARTED), 0).is_zero());
}

/// Returns short, long and absurd spans, and the boundaries between them.
fn spans() -> impl proptest::strategy::Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(EARLY),
        Just(STARTED),
        Just(Duration::MAX),
        (0..20_000_000_000_u64).prop_map(Duration::from_nanos),
        any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn strategies() -> impl proptest::strategy::Strategy<Value = RestartPolicy> {
    let restart = prop_oneof![
        Just(Restart::Unexpected),
        Just(Restart::True),
        Just(Restart::False)
    ];
    let retries = prop_oneof![0..5_u32, Just(u32::MAX)];
    (restart, spans(), retries, spans(), spans()).prop_map(
        |(restart, start_secs, start_retries, backoff, backoff_max)| RestartPolicy {
            start_secs,
            start_retries,
            backoff,
            backoff_max,
            ..rules(restart)
        },
    )
}

fn ends() -> impl proptest::strategy::Strategy<Value = End> {
    let signal = (1..=64).prop_filter_map("no such signal", Signal::new);
    prop_oneof![
        4 => (prop_oneof![Just(0), Just(1), any::<u8>()], spans()).prop_map(|(code, uptime)| End::Exit(code, uptime)),
        1 => (signal, spans()).prop_map(|(signal, uptime)| End::By(signal, uptime)),
        1 => prop_oneof![Just(11), Just(2), Just(26)].prop_map(End::Failure),
    ]
}

/// Returns whether an end is quick by `doc/specification.md#pauses`, computed here anew.
fn is_quick(rules: &RestartPolicy, end: End) -> bool {
    let window = if rules.start_secs.is_zero() {
        STARTED
    } else {
        rules.start_secs.max(TENTH)
    };
    match end {
        End::Exit(_, uptime) | End::By(_, uptime) => uptime < window,
        End::Failure(_) => true,
    }
}

fn is_failed_start(rules: &RestartPolicy, end: End) -> bool {
    match end {
        End::Exit(0, _) => false,
        End::Exit(_, uptime) | End::By(_, uptime) => uptime < rules.start_secs,
        End::Failure(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_restart_after_a_quick_end_comes_without_a_pause(
        rules in strategies(),
        row in prop::collection::vec((ends(), any::<u32>()), 1..40),
    ) {
        let mut history = fresh();
        for (end, random) in row {
            if let Verdict::Again { pause, .. } = after(&mut history, &rules, end, random) {
                let least = if is_quick(&rules, end) { Duration::from_millis(10) } else { Duration::ZERO };
                prop_assert!(pause >= least, "{end:?} was followed by a pause of {pause:?}");
                prop_assert!(is_quick(&rules, end) || pause.is_zero(), "{end:?} had started, and paused {pause:?}");
            }
        }
    }

    #[test]
    fn every_pause_is_the_doubled_one_shortened_by_at_most_a_quarter(
        backoff in 10..2000_u64,
        backoff_max in 10..100_000_u64,
        numbers in prop::collection::vec(any::<u32>(), 1..30),
    ) {
        let rules = RestartPolicy {
            start_retries: u32::MAX,
            backoff: Duration::from_millis(backoff),
            backoff_max: Duration::from_millis(backoff_max),
            ..rules(Restart::Unexpected)
        };
        let mut history = fresh();
        let mut whole = rules.backoff.min(rules.backoff_max);
        for random in numbers {
            let pause = pause_after(&mut history, &rules, End::Exit(1, EARLY), random);
            prop_assert!(pause <= whole, "{pause:?} is longer than {whole:?}");
            prop_assert!(pause >= (whole * 3 / 4).max(SHORTEST_PAUSE), "{pause:?} is not three quarters of {whole:?}");
            whole = (whole * 2).min(rules.backoff_max);
        }
    }

    #[test]
    fn giving_up_means_that_the_last_ends_were_more_failed_starts_than_retries(
        rules in strategies(),
        row in prop::collection::vec(ends(), 1..40),
    ) {
        let mut history = fresh();
        let mut failed: u32 = 0;
        for end in row {
            let has_started = matches!(end, End::Exit(_, uptime) | End::By(_, uptime) if uptime >= rules.start_secs);
            failed = if has_started { 0 } else { failed + u32::from(is_failed_start(&rules, end)) };
            let too_many = failed > rules.start_retries && !rules.start_secs.is_zero();
            match after(&mut history, &rules, end, 0) {
                Verdict::Finish => break,
                Verdict::GiveUp { failures } => {
                    prop_assert!(too_many, "gave up after {failed} of {}", rules.start_retries);
                    prop_assert_eq!(failures, failed);
                    break;
                }
                Verdict::Again { failures, .. } => {
                    prop_assert!(!too_many || !is_failed_start(&rules, end), "went on after {failed} failed starts");
                    prop_assert_eq!(failures, failed);
                }
            }
        }
    }

    #[test]
    fn under_false_nothing_is_ever_restarted(start_secs in spans(), end in ends()) {
        let rules = RestartPolicy { start_secs, ..rules(Restart::False) };
        prop_assert_eq!(after(&mut fresh(), &rules, end, 0), Verdict::Finish);
    }

    #[test]
    fn under_unexpected_an_expected_end_always_finishes(
        before in prop::collection::vec(ends(), 0..5),
        uptime in spans(),
    ) {
        let mut history = fresh();
        for end in before {
            let _ = after(&mut history, &rules(Restart::Unexpected), end, 0);
        }
        let verdict = after(&mut history, &rules(Restart::Unexpected), End::Exit(0, uptime), 0);
        prop_assert_eq!(verdict, Verdict::Finish);
    }
}

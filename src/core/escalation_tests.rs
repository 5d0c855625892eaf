use core::time::Duration;

use proptest::prelude::*;

use super::{Due, Escalation, KILL_TIMEOUT, LONGEST_PROBE_PAUSE};
use crate::core::moment::Moment;

fn at(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

/// Returns what each tick asks for if every deadline is kept, with its time in milliseconds.
fn play(mut escalation: Escalation, ticks: usize) -> Vec<(u64, Due)> {
    let mut played = Vec::new();
    for _ in 0..ticks {
        let Some(now) = escalation.deadline() else {
            break;
        };
        let due = escalation.tick(now, KILL_TIMEOUT);
        played.push((now.nanos() / 1_000_000, due));
        if due == Due::GiveUp {
            break;
        }
    }
    played
}

#[test]
fn what_is_asked_is_killed_and_then_given_up() {
    let asked = Escalation::asked(Some(at(30_000)));
    let expected = [(30_000, Due::Kill), (35_000, Due::GiveUp)];
    assert_eq!(play(asked, 9), expected);
}

#[test]
fn what_has_any_time_has_no_deadline() {
    let mut asked = Escalation::asked(None);
    assert_eq!(asked.deadline(), None);
    assert_eq!(
        asked.tick(at(u64::MAX / 2_000_000), KILL_TIMEOUT),
        Due::Nothing
    );
}

#[test]
fn probes_grow_rarer_up_to_a_second_and_start_anew_after_kill() {
    let asked = Escalation::asked(Some(at(50))).with_probes(at(0));
    let played = play(asked, 99);
    let probes: Vec<_> = [10, 30, 60, 80, 120, 200, 360, 680, 1320, 2320, 3320, 4320]
        .map(|millis| (millis, Due::Probe))
        .into();
    let mut expected = probes;
    expected.insert(2, (50, Due::Kill));
    expected.push((5050, Due::GiveUp));
    assert_eq!(played, expected);
}

#[test]
fn kill_comes_sooner_never_later() {
    let mut asked = Escalation::asked(None);
    asked.shorten(at(500));
    asked.shorten(at(900));
    assert_eq!(asked.until(), Some(at(500)));
    let mut killed = Escalation::killed(at(0), KILL_TIMEOUT);
    killed.shorten(at(1));
    assert_eq!(killed.until(), Some(at(5000)), "giving up keeps its time");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_ends_after_one_kill_within_its_time_whatever_ticks_come(
        grace in 0..60_000_u64,
        probes: bool,
        ticks in prop::collection::vec(0..9000_u64, 0..80),
    ) {
        let mut escalation = Escalation::asked(Some(at(grace)));
        if probes {
            escalation = escalation.with_probes(at(0));
        }
        let (mut now, mut killed_at) = (0, None);
        for pause in ticks {
            now += pause;
            let deadline = escalation.deadline().map_or(u64::MAX, Moment::nanos);
            match escalation.tick(at(now), KILL_TIMEOUT) {
                Due::Nothing => prop_assert!(at(now).nanos() < deadline, "a deadline was ignored"),
                Due::Probe => prop_assert!(probes),
                Due::Kill => {
                    prop_assert!(killed_at.is_none() && now >= grace);
                    killed_at = Some(now);
                }
                Due::GiveUp => {
                    let killed_at = killed_at.unwrap_or(u64::MAX);
                    prop_assert!(Duration::from_millis(now - killed_at) >= KILL_TIMEOUT);
                    break;
                }
            }
            let next = escalation.deadline().map_or(0, Moment::nanos);
            let longest = at(now).after(LONGEST_PROBE_PAUSE).nanos();
            prop_assert!(!probes || next <= longest.max(at(now).nanos()));
        }
    }
}

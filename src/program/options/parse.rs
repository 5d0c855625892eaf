//! What the text of each kind of value means. Beside each parser stands what it accepts, as
//! messages say it.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::core::number::parse_number;
use crate::core::restart::{Expected, Restart};
use crate::core::signal::{Signal, SignalSet};
use crate::core::watch::{Reaction, WatchRule};
use crate::messages::format::Format;
use crate::messages::termination::WantedLog;

pub(crate) const RESTART: &str =
    "expected unexpected (on-failure), true (always) or false (no, never)";

pub(crate) fn parse_restart(text: &str) -> Option<Restart> {
    match text {
        "unexpected" | "on-failure" => Some(Restart::Unexpected),
        "true" | "always" => Some(Restart::True),
        "false" | "no" | "never" => Some(Restart::False),
        _ => None,
    }
}

/// The longest duration, in nanoseconds: a million hours. More is most likely a typing error, and
/// sums of durations stay far from overflow.
const LONGEST_NANOS: u64 = 1_000_000 * 3600 * 1_000_000_000;

pub(crate) const DURATION: &str =
    "expected a duration of at most 1000000h, such as 500ms, 10s, 2m, 1h, 1.5 (seconds)";

/// Parses `500ms`, `10s`, `2m`, `1h`, `1.5`, without floating point. Digits below a nanosecond are
/// dropped.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text
        .bytes()
        .position(|b| !b.is_ascii_digit() && b != b'.')
        .unwrap_or(text.len());
    let (value, unit) = text.split_at_checked(unit_at)?;
    let unit: u64 = match unit {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = value
        .split_once('.')
        .map_or((value, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut nanos = parse_number::<u64>(whole)?.checked_mul(unit)?;
    if let Some(fraction) = fraction {
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut place = unit;
        for digit in fraction.bytes() {
            place /= 10;
            nanos = nanos.checked_add(place * u64::from(digit - b'0'))?;
        }
    }
    (nanos <= LONGEST_NANOS).then(|| Duration::from_nanos(nanos))
}

pub(crate) const EXPECTED: &str =
    "expected exit codes from 0 to 255 and signal names, such as 0,143,INT";

/// Parses `0,143,INT`: numbers are exit codes, names are signals.
pub(crate) fn parse_expected(text: &str) -> Option<Expected> {
    let mut expected = Expected::NONE;
    for part in text.split(',') {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            expected.insert_code(parse_number(part)?);
        } else {
            expected.signals.insert(Signal::parse(part)?);
        }
    }
    Some(expected)
}

pub(crate) const SIGNAL: &str = "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3";

pub(crate) const STOP_SIGNAL: &str =
    "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, other than CHLD and STOP";

pub(crate) fn parse_stop_signal(text: &str) -> Option<Signal> {
    Signal::parse(text).filter(|signal| *signal != Signal::CHLD && *signal != Signal::STOP)
}

/// Parses a signal that frigate can receive and give a meaning to.
fn parse_receivable_signal(text: &str) -> Option<Signal> {
    Signal::parse(text).filter(|signal| !signal.is_beyond_control() && *signal != Signal::CHLD)
}

pub(crate) const SIGNALS: &str = "expected signals such as TERM,SIGINT,15,RTMIN+3, or none; not KILL, STOP or CHLD, which cannot be used so";

pub(crate) fn parse_signals(text: &str) -> Option<SignalSet> {
    let mut set = SignalSet::default();
    if text == "none" {
        return Some(set);
    }
    for part in text.split(',') {
        set.insert(parse_receivable_signal(part)?);
    }
    Some(set)
}

pub(crate) const REWRITE: &str = "expected FROM:TO, two signals other than CHLD; FROM is not KILL or STOP, TO may be 0 to drop it";

/// Parses `HUP:TERM`, or `HUP:0`, which drops the signal: `None` in the second place.
pub(crate) fn parse_rewrite(text: &str) -> Option<(Signal, Option<Signal>)> {
    let (from, to) = text.split_once(':')?;
    let to = if to == "0" {
        None
    } else {
        Some(Signal::parse(to).filter(|signal| *signal != Signal::CHLD)?)
    };
    Some((parse_receivable_signal(from)?, to))
}

pub(crate) const REMAP_EXIT: &str = "expected FROM or FROM:TO, exit codes from 0 to 255";

pub(crate) fn parse_remap_exit(text: &str) -> Option<(u8, u8)> {
    let (from, to) = text.split_once(':').unwrap_or((text, "0"));
    Some((parse_number(from)?, parse_number(to)?))
}

pub(crate) const WATCH: &str = "expected PATH=SIGNAL or PATH=restart, such as /etc/app.conf=HUP; the signal is not CHLD or STOP";

/// Parses `/etc/app.conf=HUP` or `/etc/app.conf=restart`. The path may have a `=` in it.
pub(crate) fn parse_watch(text: &str) -> Option<WatchRule> {
    // By bytes: 586 bytes less than the search for a character from the end.
    let end = text.bytes().rposition(|byte| byte == b'=')?;
    let (path, reaction) = text.split_at_checked(end)?;
    let reaction = match reaction {
        "=restart" => Reaction::Restart,
        reaction => Reaction::Signal(parse_stop_signal(reaction.get(1..)?)?),
    };
    let path = parse_path(path)?;
    Some(WatchRule { path, reaction })
}

pub(crate) const WHOLE_NUMBER: &str = "expected a whole number from 0 to 4294967295";

pub(crate) const DIRECTORY: &str = "expected a directory, in at most 4095 bytes";

pub(crate) const FILE: &str = "expected a file, in at most 4095 bytes";

/// What the kernel takes for a path, with the null byte behind it (`PATH_MAX`).
const PATH_MAX_BYTES: usize = 4096;

pub(crate) fn parse_path(text: &str) -> Option<String> {
    let fits = (1..PATH_MAX_BYTES).contains(&text.len()) && !text.contains('\0');
    fits.then(|| text.to_owned())
}

pub(crate) const TERMINATION_LOG: &str = "expected a path of at most 4095 bytes, or none";

pub(crate) fn parse_termination_log(text: &str) -> Option<WantedLog> {
    match text {
        "none" => Some(WantedLog::None),
        text => parse_path(text).map(WantedLog::Path),
    }
}

pub(crate) const FORMAT: &str = "expected text or json";

pub(crate) fn parse_format(text: &str) -> Option<Format> {
    match text {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

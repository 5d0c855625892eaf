//! The quantities that limits are given in: how they are typed, and what the kernel's files take.
//!
//! Units and ranges are those of the kernel's `Documentation/admin-guide/cgroup-v2.rst`.

use core::fmt;
use core::ops::RangeInclusive;

use crate::core::number::parse_number;

/// What `cpu.max` counts its quota in unless the period was given too: 100 ms, the kernel's
/// default.
const DEFAULT_PERIOD_MICROS: u64 = 100_000;

/// The periods that the kernel accepts.
const PERIODS_MICROS: RangeInclusive<u64> = 1_000..=1_000_000;

/// The shortest quota that the kernel accepts.
const LEAST_QUOTA_MICROS: u64 = 1_000;

/// The most CPUs that a kernel can be built for (`NR_CPUS`). A greater number is most likely a
/// quota whose period was forgotten.
const MOST_CPUS: u64 = 8192;

/// What a limit is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quantity {
    /// Bytes, or `max`.
    Size,
    /// Processor time: a quota of a period, or `max`.
    Cpus,
    /// A share beside other groups.
    Weight,
    /// A number, or `max`.
    Count,
}

impl Quantity {
    /// Returns the value that the kernel's file takes; `None` if the text has no meaning.
    pub(crate) fn parse(self, text: &str) -> Option<String> {
        match self {
            Self::Size => parse_size(text).map(|size| size.to_string()),
            Self::Cpus => parse_cpus(text),
            Self::Weight => parse_weight(text),
            Self::Count => parse_count(text).map(|count| count.to_string()),
        }
    }

    /// Returns what `parse` accepts, for messages.
    pub(crate) const fn accepted(self) -> &'static str {
        match self {
            Self::Size => "a size such as 512, 64K, 512M, 2G, or max",
            Self::Cpus => {
                "a number of CPUs from 0.01, such as 1.5, or QUOTA PERIOD in microseconds, such as \
                 '50000 100000', or max"
            }
            Self::Weight => "a number from 1 to 10000",
            Self::Count => "a number, or max",
        }
    }

    /// Returns whether `value` allows more than `other`. Both are values as the kernel's files have
    /// them.
    pub(crate) fn exceeds(self, value: &str, other: &str) -> bool {
        match self {
            Self::Cpus => share(value)
                .zip(share(other))
                .is_some_and(|(value, other)| value.0 * other.1 > other.0 * value.1),
            Self::Size | Self::Weight | Self::Count => parse_number::<u64>(value)
                .zip(parse_number(other.trim_ascii()))
                .is_some_and(|(value, other)| value > other),
        }
    }
}

/// A number that may be without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Amount {
    Max,
    Number(u64),
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => out.write_str("max"),
            Self::Number(number) => write!(out, "{number}"),
        }
    }
}

/// Parses `512`, `64K`, `512M`, `2G`, `1T`, powers of 1024 in either case and also as `KiB` or `Ki`,
/// and `max`. Returns bytes.
pub(crate) fn parse_size(text: &str) -> Option<Amount> {
    if text == "max" {
        return Some(Amount::Max);
    }
    let unit_at = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (value, unit) = text.split_at_checked(unit_at)?;
    let shift = match unit.as_bytes() {
        [] => 0,
        [prefix] | [prefix @ b'A'..=b'Z', b'i'] | [prefix @ b'A'..=b'Z', b'i', b'B'] => {
            match prefix | 0x20 {
                b'k' => 10,
                b'm' => 20,
                b'g' => 30,
                b't' => 40,
                _ => return None,
            }
        }
        _ => return None,
    };
    let bytes = parse_number::<u64>(value)?.checked_mul(1 << shift)?;
    // The kernel counts bytes in 63 bits.
    i64::try_from(bytes).ok()?;
    Some(Amount::Number(bytes))
}

/// Parses `1.5` CPUs, to the hundred-thousandth, `QUOTA PERIOD` in microseconds as the file takes
/// them, or `max`.
fn parse_cpus(text: &str) -> Option<String> {
    let accepts =
        |quota: &u64| (LEAST_QUOTA_MICROS..=MOST_CPUS * PERIODS_MICROS.end()).contains(quota);
    if text == "max" {
        return Some(text.to_owned());
    }
    if let Some((quota, period)) = text.split_once(' ') {
        let period = parse_number(period).filter(|period| PERIODS_MICROS.contains(period))?;
        if quota != "max" {
            parse_number(quota).filter(accepts)?;
        }
        return Some(format!("{quota} {period}"));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || whole.len() > 6 {
        return None;
    }
    let mut quota = parse_number::<u64>(whole)? * DEFAULT_PERIOD_MICROS;
    let mut place = DEFAULT_PERIOD_MICROS;
    for digit in fraction.bytes() {
        place /= 10;
        quota += place * char::from(digit).to_digit(10).map(u64::from)?;
    }
    (accepts(&quota) && quota <= MOST_CPUS * DEFAULT_PERIOD_MICROS)
        .then(|| format!("{quota} {DEFAULT_PERIOD_MICROS}"))
}

/// Parses a share of `cpu.weight`, from 1 to 10000.
fn parse_weight(text: &str) -> Option<String> {
    parse_number::<u64>(text)
        .filter(|weight| (1..=10_000).contains(weight))
        .map(|weight| weight.to_string())
}

/// Parses a number of processes, or `max`.
fn parse_count(text: &str) -> Option<Amount> {
    if text == "max" {
        Some(Amount::Max)
    } else {
        parse_number(text).map(Amount::Number)
    }
}

/// Returns quota and period of `cpu.max`; `None` if there is no quota. Both may be any number: with
/// `--cgroup-best-effort` a limit is compared even if the kernel has refused it. The type has room
/// for the product of two.
fn share(text: &str) -> Option<(u128, u128)> {
    let mut words = text.split_ascii_whitespace();
    let quota: u64 = parse_number(words.next()?)?;
    let period = words
        .next()
        .map_or(Some(DEFAULT_PERIOD_MICROS), parse_number)?;
    Some((quota.into(), period.into()))
}

#[cfg(test)]
#[path = "quantity_tests.rs"]
mod tests;

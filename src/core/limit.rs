//! The limits of cgroup v2, from what is typed to what the kernel's files take.
//!
//! Files, units and ranges are those of the kernel's `Documentation/admin-guide/cgroup-v2.rst`.

/// One value for one file of the child's group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    pub(crate) file: String,
    pub(crate) value: String,
    /// As it was typed or set, for messages.
    pub(crate) spelled: String,
}

/// The files that make up the group's life. They are frigate's to write, and a limit in none of
/// them.
const RESERVED: [&str; 6] = [
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cgroup.threads",
    "cgroup.type",
];

/// What `cpu.max` counts its quota in, unless the period was given too: 100 ms, the kernel's
/// default, in microseconds.
const PERIOD: u64 = 100_000;

/// The kernel's bounds for a period, and its shortest quota, in microseconds.
const PERIODS: core::ops::RangeInclusive<u64> = 1_000..=1_000_000;
const LEAST_QUOTA: u64 = 1_000;

/// The most that a kernel can be built for (`NR_CPUS`): what is above is a quota without its
/// period.
const MOST_CPUS: u64 = 8192;

impl Limit {
    /// The controller that has to be enabled for the file; none: every group has it.
    pub(crate) fn controller(&self) -> Option<&str> {
        let (controller, _) = self.file.split_once('.')?;
        (controller != "cgroup").then_some(controller)
    }

    /// Whether the group can never come near the limit, since the same file of a group above it
    /// says less.
    pub(crate) fn exceeds(&self, above: &str) -> bool {
        match self.file.as_str() {
            "memory.max" | "memory.high" | "memory.swap.max" | "pids.max" => number(&self.value)
                .zip(number(above.trim_ascii()))
                .is_some_and(|(own, above)| own > above),
            "cpu.max" => share(&self.value)
                .zip(share(above))
                .is_some_and(|(own, above)| own.0 * above.1 > above.0 * own.1),
            _ => false,
        }
    }
}

/// Returns quota and period of `cpu.max`; `None` if there is no quota. Both may be any number: with
/// `--cgroup-best-effort` a limit is compared even if the kernel has refused it. The type has room
/// for the product of two.
fn share(text: &str) -> Option<(u128, u128)> {
    let mut words = text.split_ascii_whitespace();
    let quota = number(words.next()?)?;
    Some((
        quota.into(),
        words.next().map_or(Some(PERIOD), number)?.into(),
    ))
}

fn number(text: &str) -> Option<u64> {
    crate::core::number::number(text)
}

/// Reads `512`, `64K`, `512M`, `2G`, `1T`, powers of 1024 in either case and also as `KiB` or `Ki`,
/// and `max`; answers in bytes.
pub(crate) fn size(text: &str) -> Option<String> {
    if text == "max" {
        return Some(text.to_owned());
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
    let bytes = number(value)?.checked_mul(1 << shift)?;
    i64::try_from(bytes).ok().map(|bytes| bytes.to_string())
}

/// Reads `1.5` CPUs, to the hundred-thousandth, `QUOTA PERIOD` in microseconds as the file takes
/// them, or `max`.
pub(crate) fn cpus(text: &str) -> Option<String> {
    let quota_is_fit = |quota: &u64| (LEAST_QUOTA..=MOST_CPUS * PERIODS.end()).contains(quota);
    if text == "max" {
        return Some(text.to_owned());
    }
    if let Some((quota, period)) = text.split_once(' ') {
        let period = number(period).filter(|period| PERIODS.contains(period))?;
        if quota != "max" {
            number(quota).filter(quota_is_fit)?;
        }
        return Some(format!("{quota} {period}"));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || whole.len() > 6 {
        return None;
    }
    let mut quota = number(whole)? * PERIOD;
    let mut place = PERIOD;
    for digit in fraction.bytes() {
        place /= 10;
        quota += place * char::from(digit).to_digit(10).map(u64::from)?;
    }
    (quota_is_fit(&quota) && quota <= MOST_CPUS * PERIOD).then(|| format!("{quota} {PERIOD}"))
}

/// Reads a share of `cpu.weight`, from 1 to 10000.
pub(crate) fn weight(text: &str) -> Option<String> {
    number(text)
        .filter(|weight| (1..=10_000).contains(weight))
        .map(|weight| weight.to_string())
}

/// Reads a number of processes, or `max`.
pub(crate) fn count(text: &str) -> Option<String> {
    if text == "max" {
        Some(text.to_owned())
    } else {
        number(text).map(|count| count.to_string())
    }
}

/// Reads `FILE=VALUE`, any file of the child's group but those that frigate itself needs.
pub(crate) fn assignment(text: &str) -> Option<(String, String)> {
    let (file, value) = text.split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let (controller, rest) = file.split_once('.')?;
    let fits =
        !controller.is_empty() && !rest.is_empty() && file.len() < 128 && file.bytes().all(is_name);
    (fits && !RESERVED.contains(&file) && !value.is_empty() && value.len() < 4096)
        .then(|| (file.to_owned(), value.to_owned()))
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;

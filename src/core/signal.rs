//! Signals as numbers from 1 to 64, their names, and sets of them.
//!
//! The numbers are those of x86, Arm, RISC-V, `LoongArch` and s390 (`signal(7)`, "Signal
//! numbering"). Alpha, MIPS, PA-RISC and SPARC have other numbers, and are not supported.

use core::fmt;
use core::num::NonZeroU8;

use crate::core::number::parse_number;

/// One of the kernel's 64 signals. The real-time signals are among them, and the three that C
/// libraries hide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Signal(NonZeroU8);

/// The names of signals 1 to 31, in this order.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names of some signals (`signal(7)`).
const ALIASES: [(&str, u8); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// The first and the last real-time signal. The C libraries keep 32 and 33 for themselves, and musl
/// keeps 34 as well, so that `SIGRTMIN` is 34 or 35. Docker, systemd and the shells take 34.
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

const fn known(number: u8) -> Signal {
    match NonZeroU8::new(number) {
        Some(number) => Signal(number),
        None => Signal(NonZeroU8::MIN),
    }
}

impl Signal {
    pub(crate) const INT: Self = known(2);
    pub(crate) const QUIT: Self = known(3);
    pub(crate) const KILL: Self = known(9);
    pub(crate) const ALRM: Self = known(14);
    pub(crate) const PIPE: Self = known(13);
    pub(crate) const TERM: Self = known(15);
    pub(crate) const CHLD: Self = known(17);
    pub(crate) const CONT: Self = known(18);
    pub(crate) const STOP: Self = known(19);
    pub(crate) const TSTP: Self = known(20);
    pub(crate) const TTIN: Self = known(21);
    pub(crate) const TTOU: Self = known(22);
    pub(crate) const URG: Self = known(23);
    pub(crate) const XFSZ: Self = known(25);
    pub(crate) const WINCH: Self = known(28);
    pub(crate) const SYS: Self = known(31);

    /// Returns the signal of that number; `None` means that it is not one of 1 to 64.
    pub(crate) fn new(number: i32) -> Option<Self> {
        let number = u8::try_from(number).ok().filter(|n| *n <= RTMAX)?;
        NonZeroU8::new(number).map(Self)
    }

    pub(crate) const fn number(self) -> u8 {
        self.0.get()
    }

    pub(crate) const fn raw(self) -> i32 {
        self.0.get() as i32
    }

    /// Reads `TERM`, `SIGTERM`, `15`, `RTMIN+3` or `SIGRTMAX-1`, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(number) = parse_number(text) {
            return Self::new(number);
        }
        let name = strip_prefix_any_case(text, "SIG").unwrap_or(text);
        if let Some(offset) = strip_prefix_any_case(name, "RTMIN") {
            return Self::new(i32::from(RTMIN) + offset_of(offset, '+')?)
                .filter(|s| s.number() >= RTMIN);
        }
        if let Some(offset) = strip_prefix_any_case(name, "RTMAX") {
            return Self::new(i32::from(RTMAX) - offset_of(offset, '-')?)
                .filter(|s| s.number() >= RTMIN);
        }
        let by_name = NAMES
            .iter()
            .zip(1..)
            .find(|(n, _)| is_alike(n, name))
            .map(|(_, number)| number);
        let by_alias = || {
            ALIASES
                .iter()
                .find(|(n, _)| is_alike(n, name))
                .map(|(_, number)| *number)
        };
        by_name.or_else(by_alias).map(known)
    }

    /// Returns whether a process can neither block nor handle nor ignore it: KILL and STOP.
    pub(crate) fn is_beyond_control(self) -> bool {
        self == Self::KILL || self == Self::STOP
    }
}

/// Returns whether two texts are equal but for case. The standard library's function has four times
/// as many bytes, because it is made for long texts.
pub(crate) fn is_alike(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .all(|(a, b)| a.eq_ignore_ascii_case(&b))
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    is_alike(head, prefix)
        .then(|| text.get(prefix.len()..))
        .flatten()
}

/// Reads the `+3` of `RTMIN+3`. Empty text means 0.
fn offset_of(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(sign)?;
    if digits.len() > 2 {
        return None;
    }
    parse_number(digits)
}

/// Writes the name as a user would type it: `TERM`, `RTMIN+3`, or the number if it has no name.
impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        if let Some(name) = NAMES.get(usize::from(number) - 1) {
            return out.write_str(name);
        }
        match number {
            RTMIN => out.write_str("RTMIN"),
            RTMAX => out.write_str("RTMAX"),
            35..RTMAX => write!(out, "RTMIN+{}", number - RTMIN),
            _ => write!(out, "{number}"),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A set of signals. Each has one bit, as in the kernel's sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SignalSet(u64);

impl SignalSet {
    pub(crate) const fn of<const N: usize>(signals: [Signal; N]) -> Self {
        let mut bits = 0;
        let mut rest: &[Signal] = &signals;
        while let [signal, tail @ ..] = rest {
            bits |= 1 << (signal.number() - 1);
            rest = tail;
        }
        Self(bits)
    }

    pub(crate) fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << (signal.number() - 1);
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a signal is in both sets.
    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << (signal.number() - 1)) != 0
    }
}

/// Who sent a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sender {
    /// The kernel, such as its terminal driver.
    Kernel,
    /// frigate, which suspended its own job or wrote to a pipe without a reader.
    Frigate,
    /// Another process. With `queued`, the signal has a value (`sigqueue(3)`).
    Process { queued: bool },
}

#[cfg(test)]
#[path = "signal_tests.rs"]
mod tests;

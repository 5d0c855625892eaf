//! The restart policy: whether an end is followed by another start, and after which pause.

use core::time::Duration;

use crate::core::signal::SignalSet;
use crate::core::status::{ExitStatus, SpawnFailure};

/// When a child that ended is started again (`--restart`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    False,
    Unexpected,
    True,
}

/// The ends that count as expected (`--expect`): exit codes, one bit each, and signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expected {
    pub(crate) codes: [u64; 4],
    pub(crate) signals: SignalSet,
}

impl Expected {
    pub(crate) const NONE: Self = Self {
        codes: [0; 4],
        signals: SignalSet::of([]),
    };

    /// Exit code 0 alone.
    pub(crate) const SUCCESS: Self = Self {
        codes: [1, 0, 0, 0],
        ..Self::NONE
    };

    pub(crate) fn insert_code(&mut self, code: u8) {
        if let Some(word) = self.codes.get_mut(usize::from(code / 64)) {
            *word |= 1 << (code % 64);
        }
    }

    /// Returns whether the end was expected. An end by a signal is covered by the signal and by its
    /// exit code: `143` covers an end by TERM as `TERM` does.
    pub(crate) fn covers(self, status: ExitStatus) -> bool {
        let code = status.code();
        let by_code = self
            .codes
            .get(usize::from(code / 64))
            .is_some_and(|word| word & (1 << (code % 64)) != 0);
        by_code
            || status
                .signal()
                .is_some_and(|signal| self.signals.contains(signal))
    }
}

/// Everything that decides on a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RestartPolicy {
    pub(crate) restart: Restart,
    pub(crate) expected: Expected,
    /// A child that stays up this long has started. Zero means that no start fails.
    pub(crate) start_secs: Duration,
    /// How many consecutive failed starts are tried again.
    pub(crate) start_retries: u32,
    pub(crate) backoff: Duration,
    pub(crate) backoff_max: Duration,
    /// Another start may be asked for (`--restart-on`), whatever `restart` says.
    pub(crate) on_request: bool,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            restart: Restart::False,
            expected: Expected::SUCCESS,
            start_secs: Duration::from_secs(10),
            start_retries: 3,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(60),
            on_request: false,
        }
    }
}

impl RestartPolicy {
    /// Whether any end may be followed by another start.
    pub(crate) fn restarts(&self) -> bool {
        self.on_request || self.restart != Restart::False
    }

    /// Whether a child that has been up this long has started, if nothing else decides that.
    pub(crate) fn has_started(&self, uptime: Duration) -> bool {
        uptime >= self.start_secs
    }

    /// Returns how many consecutive failed starts make frigate give up; `None` if it never does.
    pub(crate) fn limit(&self) -> Option<u32> {
        (!self.start_secs.is_zero()).then(|| self.start_retries.saturating_add(1))
    }
}

/// An end before this is quick if `--start-secs` is 0.
const QUICK: Duration = Duration::from_secs(10);

/// An end before this is quick, even if `--start-secs` is shorter. A start window of a millisecond
/// would make restarts a busy loop.
const ALWAYS_QUICK: Duration = Duration::from_millis(100);

/// The shortest pause after a quick end, even if `--backoff` is shorter. A hundred starts a second
/// are no busy loop.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// What follows an end or a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// No other start: the child has done its work, or the policy allows none.
    Finish,
    /// Another start after `pause`. `failures` counts the consecutive failed starts, with this one.
    Again { pause: Duration, failures: u32 },
    /// No other start: `failures` consecutive starts failed.
    GiveUp { failures: u32 },
}

/// What the policy needs to know of an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChildEnd {
    pub(crate) uptime: Duration,
    /// The child had started, so that this was no failed start.
    pub(crate) has_started: bool,
    pub(crate) is_expected: bool,
}

/// What the policy remembers of the ends so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct History {
    /// How many consecutive starts failed.
    failures: u32,
    /// How many consecutive ends were quick, failed starts among them.
    quick: u32,
}

impl History {
    pub(crate) const NONE: Self = Self {
        failures: 0,
        quick: 0,
    };

    #[cfg(test)]
    pub(crate) const fn failures(self) -> u32 {
        self.failures
    }

    /// Decides after the child has ended. `random` shortens the pause, and may be any number.
    pub(crate) fn after_end(
        &mut self,
        rules: &RestartPolicy,
        end: ChildEnd,
        random: u32,
    ) -> Verdict {
        let ChildEnd {
            uptime,
            has_started,
            is_expected,
        } = end;
        match (rules.restart, is_expected) {
            (Restart::False, _) | (Restart::Unexpected, true) => return Verdict::Finish,
            (Restart::Unexpected, false) | (Restart::True, _) => {}
        }
        if has_started {
            self.failures = 0;
        } else if !is_expected {
            return self.failed_start(rules, random);
        }
        let window = if rules.start_secs.is_zero() {
            QUICK
        } else {
            rules.start_secs.max(ALWAYS_QUICK)
        };
        if uptime >= window {
            self.quick = 0;
            return Verdict::Again {
                pause: Duration::ZERO,
                failures: 0,
            };
        }
        self.pause(rules, random)
    }

    /// Decides after the child could not be started.
    pub(crate) fn after_failure(
        &mut self,
        rules: &RestartPolicy,
        failure: SpawnFailure,
        random: u32,
    ) -> Verdict {
        match rules.restart {
            Restart::Unexpected | Restart::True if failure.is_for_now() => {
                self.failed_start(rules, random)
            }
            Restart::False | Restart::Unexpected | Restart::True => Verdict::Finish,
        }
    }

    fn failed_start(&mut self, rules: &RestartPolicy, random: u32) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        if rules.limit().is_some_and(|limit| self.failures >= limit) {
            return Verdict::GiveUp {
                failures: self.failures,
            };
        }
        self.pause(rules, random)
    }

    /// Returns the next pause: doubled each time up to the longest, then shortened by up to a
    /// quarter, so that many children that failed together do not start again together.
    fn pause(&mut self, rules: &RestartPolicy, random: u32) -> Verdict {
        let doublings = self.quick.min(40);
        self.quick = self.quick.saturating_add(1);
        let first = rules.backoff.max(SHORTEST_PAUSE);
        let longest = rules.backoff_max.max(SHORTEST_PAUSE);
        let whole = nanos(first)
            .checked_shl(doublings)
            .filter(|n| n >> doublings == nanos(first));
        let whole = whole.unwrap_or(u64::MAX).min(nanos(longest));
        let cut = (u128::from(whole) * u128::from(random)) >> 34;
        let pause = whole - u64::try_from(cut).unwrap_or(0);
        Verdict::Again {
            pause: Duration::from_nanos(pause).max(SHORTEST_PAUSE),
            failures: self.failures,
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;

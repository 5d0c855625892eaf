//! The options that govern the checks of one child. What is asked, the targets, lives in the rim.

use core::time::Duration;

use crate::core::signal::Signal;

/// The default of `--health-interval`.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_secs(10);

/// The default of `--health-timeout`.
pub(crate) const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// The default of `--health-retries`.
pub(crate) const HEALTH_RETRIES: u32 = 3;

/// The default of `--health-start`.
pub(crate) const HEALTH_START: Duration = Duration::from_secs(30);

/// The default of `--ready-within`.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a check is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CheckKind {
    Ready,
    Health,
}

/// How frigate learns whether the child is healthy or ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// frigate asks, by one check after another.
    Check,
    /// The child reports it by itself (`sd_notify(3)`).
    Notify,
}

/// What makes a child healthy or unhealthy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HealthRules {
    pub(crate) method: Method,
    /// From the end of one check to the next. With `Method::Notify`, the longest time without
    /// `WATCHDOG=1`.
    pub(crate) interval: Duration,
    /// How many consecutive failures make the child unhealthy.
    pub(crate) retries: u32,
    /// From each start: failures do not count until the first success or the end of this.
    pub(crate) start: Duration,
    /// What an unhealthy child is sent; `None` means the stop signal.
    pub(crate) signal: Option<Signal>,
}

impl HealthRules {
    /// Returns the rules of `--health` alone.
    #[cfg(test)]
    pub(crate) const fn new(method: Method) -> Self {
        Self {
            method,
            interval: HEALTH_INTERVAL,
            retries: HEALTH_RETRIES,
            start: HEALTH_START,
            signal: None,
        }
    }
}

/// When a child is ready, and so has started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReadyRules {
    pub(crate) method: Method,
    /// From each start: a child that is not ready by then is stopped. `None` means no limit.
    pub(crate) within: Option<Duration>,
}

/// The options that govern the checks of one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CheckRules {
    /// `None` means that health is not checked.
    pub(crate) health: Option<HealthRules>,
    /// `None` means that readiness is not checked: `--start-secs` decides when a child has started.
    pub(crate) ready: Option<ReadyRules>,
    /// A check that takes longer has failed.
    pub(crate) timeout: Duration,
    /// Checks run programs, which need the directory and the descriptors that the child was given.
    pub(crate) run_programs: bool,
}

impl CheckRules {
    /// Checks nothing.
    pub(crate) const NONE: Self = Self {
        health: None,
        ready: None,
        timeout: HEALTH_TIMEOUT,
        run_programs: false,
    };

    /// How often the child has to report that it is alive; `None` means never.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        let health = self.health?;
        (health.method == Method::Notify).then_some(health.interval)
    }

    /// Whether the child has to report anything by itself.
    pub(crate) fn expects_notifications(&self) -> bool {
        let ready = self.ready.map(|ready| ready.method);
        self.watchdog().is_some() || ready == Some(Method::Notify)
    }

    /// Returns how long ago a file may have been modified that is checked. Without `health` the
    /// interval is the default.
    pub(crate) fn longest_age(&self) -> Duration {
        let interval = self
            .health
            .map_or(HEALTH_INTERVAL, |health| health.interval);
        longest_age(interval, self.timeout)
    }

    /// Whether anything is checked.
    pub(crate) const fn is_any(&self) -> bool {
        self.health.is_some() || self.ready.is_some()
    }
}

/// Returns how long ago a file may have been modified that is checked: its writer has one interval for
/// the next modification, and may be as late as a check.
pub(crate) const fn longest_age(interval: Duration, timeout: Duration) -> Duration {
    interval.saturating_add(timeout)
}

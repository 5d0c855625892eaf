//! The checks of one child, from a start to its end: when each is due, and what its result means.
//!
//! Readiness comes first. While it is awaited, health is not checked, so that at most one check is
//! under way. The first check of readiness comes at the start, because a child that is ready early
//! should count as started early. The first check of health comes one pause later: right after a
//! start, or after a successful check of readiness, it would tell nothing.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::health::event::CheckEvent;
use crate::core::health::failure::CheckFailure;
use crate::core::health::notification::Notification;
use crate::core::health::rules::{CheckKind, CheckRules, Method};
use crate::core::health::timer::Timer;
use crate::core::moment::Moment;

/// The pause between two checks until the first success.
const PAUSE_UNTIL_SUCCESS: Duration = Duration::from_secs(1);

/// The shortest pause between two checks, whatever `--health-interval` says, so that checks are no
/// busy loop.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// How long after the last of several failures the child becomes unhealthy. A child that ends
/// closes its sockets before the kernel reports its end, and that failure does not count.
pub(super) const LAST_FAILURE_DELAY: Duration = Duration::from_millis(100);

/// If a tick comes later than this, frigate itself did not run: it was frozen, and the child with
/// it.
pub(super) const LONGEST_TICK_DELAY: Duration = Duration::from_secs(1);

/// How the child is, as far as checks tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Health {
    /// Health is not checked.
    Unchecked,
    /// No check has succeeded since the start, and no failure counts yet.
    Starting,
    Healthy,
    /// So many consecutive checks have failed.
    Failing(u32),
    /// The child is being stopped because of it.
    Unhealthy,
}

/// What a step has shown, if that concerns others than the checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finding {
    Ready,
    /// A check of health has succeeded: the first since the start, or the first after a failure.
    Healthy {
        is_first: bool,
    },
    /// The child has to be stopped: it was not ready within this time. `failure` is that of the
    /// last check; `None` means that the child should have reported it by itself.
    NotReady {
        within: Duration,
        failure: Option<CheckFailure>,
    },
    /// The child has to be stopped: so many consecutive checks failed, the last of them like this.
    Unhealthy {
        failure: CheckFailure,
        failures: u32,
    },
}

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Nothing,
    /// Readiness. At `until` the child has to be ready; `None` means no limit.
    Ready {
        until: Option<Moment>,
    },
    Health,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checks {
    phase: Phase,
    timer: Timer,
    /// Failures count from here on, or from the first success.
    start_until: Moment,
    /// The rule's, or what the child has set by `WATCHDOG_USEC=`.
    interval: Duration,
    /// How many consecutive failures count.
    failures: u32,
    last_failure: Option<CheckFailure>,
    has_been_ready: bool,
    has_been_healthy: bool,
    /// When the child was suspended; `None` means that it is not.
    suspended_at: Option<Moment>,
}

impl Checks {
    /// No child is checked.
    pub(crate) const OFF: Self = Self {
        phase: Phase::Nothing,
        timer: Timer::Nothing,
        start_until: Moment::from_nanos(0),
        interval: Duration::ZERO,
        failures: 0,
        last_failure: None,
        has_been_ready: false,
        has_been_healthy: false,
        suspended_at: None,
    };

    /// Whether the child has been ready since its start.
    pub(crate) const fn has_been_ready(&self) -> bool {
        self.has_been_ready
    }

    /// Whether the child has been healthy since its start.
    pub(crate) const fn has_been_healthy(&self) -> bool {
        self.has_been_healthy
    }

    /// Returns how the child is, if its health is checked and it is not being stopped.
    pub(crate) const fn health(&self) -> Health {
        match (self.failures, self.has_been_healthy) {
            (0, false) => Health::Starting,
            (0, true) => Health::Healthy,
            (failures, _) => Health::Failing(failures),
        }
    }

    /// Returns when a tick is due; `None` means never.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let timer = self.timer.at();
        match (self.suspended_at, self.phase) {
            (Some(_), _) | (None, Phase::Nothing) => None,
            (None, Phase::Ready { until: Some(until) }) => {
                Some(timer.map_or(until, |at| at.min(until)))
            }
            (None, Phase::Ready { until: None } | Phase::Health) => timer,
        }
    }

    /// Begins the checks of a child that has just been started.
    // Not inlined: what every run executes has 240 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn start(&mut self, rules: &CheckRules, now: Moment, out: &mut Actions) {
        self.end(out);
        *self = Self::OFF;
        if let Some(health) = rules.health {
            self.start_until = now.after(health.start);
            self.interval = health.interval;
        }
        let Some(ready) = rules.ready else {
            return self.begin_health(rules, now);
        };
        let until = ready.within.map(|within| now.after(within));
        self.phase = Phase::Ready { until };
        if ready.method == Method::Check {
            self.begin_check(CheckKind::Ready, rules, now, out);
        }
    }

    /// Ends the checks: the child has ended, or is being stopped.
    pub(crate) fn end(&mut self, out: &mut Actions) {
        self.cancel_check(out);
        (self.phase, self.suspended_at) = (Phase::Nothing, None);
    }

    /// Takes what is due.
    // Not inlined: what every run executes has 624 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn tick(
        &mut self,
        rules: &CheckRules,
        now: Moment,
        out: &mut Actions,
    ) -> Option<Finding> {
        let due = self.deadline().filter(|at| now >= *at)?;
        let delay = now.since(due);
        if delay >= LONGEST_TICK_DELAY {
            self.cancel_check(out);
            self.resume_after(delay, rules, now);
            return None;
        }
        let is_late = matches!(self.phase, Phase::Ready { until: Some(until) } if now >= until);
        if is_late {
            return Some(self.not_ready(rules, now));
        }
        match self.timer {
            Timer::Nothing => None,
            Timer::Check { .. } => {
                let kind = match self.phase {
                    Phase::Ready { .. } => CheckKind::Ready,
                    Phase::Nothing | Phase::Health => CheckKind::Health,
                };
                self.begin_check(kind, rules, now, out);
                None
            }
            Timer::Timeout { .. } => {
                self.cancel_check(out);
                self.note_failure(timed_out(rules), rules, now)
            }
            Timer::Watchdog { .. } => Some(Finding::Unhealthy {
                failure: CheckFailure::Silent {
                    interval: self.interval,
                },
                failures: 1,
            }),
            Timer::Unhealthy { .. } => self.unhealthy(),
        }
    }

    /// Takes an event.
    // Not inlined: what every run executes has 912 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn step(
        &mut self,
        event: CheckEvent,
        rules: &CheckRules,
        now: Moment,
        out: &mut Actions,
    ) -> Option<Finding> {
        match event {
            CheckEvent::Done { kind, result } => self.note_result(kind, result, rules, now),
            CheckEvent::Notified(notification) => {
                self.note_notification(notification, rules, now, out)
            }
            CheckEvent::Suspended => {
                self.suspend(now, out);
                None
            }
            CheckEvent::Resumed => {
                self.resume(rules, now);
                None
            }
        }
    }

    /// Takes the result of a check. One that was cancelled has none.
    fn note_result(
        &mut self,
        kind: CheckKind,
        result: Result<(), CheckFailure>,
        rules: &CheckRules,
        now: Moment,
    ) -> Option<Finding> {
        let Timer::Timeout { .. } = self.timer else {
            return None;
        };
        match (self.phase, kind, result) {
            (Phase::Ready { .. }, CheckKind::Ready, Ok(())) => Some(self.note_ready(rules, now)),
            (Phase::Health, CheckKind::Health, Ok(())) => {
                let finding = self.note_success();
                self.wait_for_check(self.pause(), now);
                finding
            }
            (Phase::Ready { .. }, CheckKind::Ready, Err(failure))
            | (Phase::Health, CheckKind::Health, Err(failure)) => {
                self.note_failure(failure, rules, now)
            }
            (Phase::Nothing, CheckKind::Ready | CheckKind::Health, _)
            | (Phase::Ready { .. }, CheckKind::Health, _)
            | (Phase::Health, CheckKind::Ready, _) => None,
        }
    }

    /// Takes what the child reports by itself.
    fn note_notification(
        &mut self,
        notification: Notification,
        rules: &CheckRules,
        now: Moment,
        out: &mut Actions,
    ) -> Option<Finding> {
        let is_watched = rules.watchdog().is_some() && self.phase != Phase::Nothing;
        let is_health = is_watched && self.phase == Phase::Health;
        match notification {
            Notification::Ready => {
                let Phase::Ready { .. } = self.phase else {
                    return None;
                };
                let is_meant = rules
                    .ready
                    .is_some_and(|ready| ready.method == Method::Notify);
                is_meant.then(|| self.note_ready(rules, now))
            }
            Notification::Alive if is_health => {
                let finding = self.note_success();
                self.wait_for_watchdog(now);
                finding
            }
            Notification::Trigger if is_watched => Some(Finding::Unhealthy {
                failure: CheckFailure::Triggered,
                failures: 1,
            }),
            Notification::Interval(interval) if is_watched => {
                self.interval = interval;
                if is_health {
                    self.wait_for_watchdog(now);
                }
                None
            }
            Notification::Extend(span) => {
                self.extend(now.after(span));
                None
            }
            // A server that is shutting down closes its port, and is not unhealthy for that.
            Notification::Stopping => {
                self.end(out);
                None
            }
            Notification::Alive | Notification::Trigger | Notification::Interval(_) => None,
        }
    }

    /// Checks nothing while the child is suspended.
    fn suspend(&mut self, now: Moment, out: &mut Actions) {
        if self.phase != Phase::Nothing && self.suspended_at.is_none() {
            self.cancel_check(out);
            self.suspended_at = Some(now);
        }
    }

    /// Goes on after the child was suspended.
    fn resume(&mut self, rules: &CheckRules, now: Moment) {
        if let Some(at) = self.suspended_at.take() {
            self.resume_after(now.since(at), rules, now);
        }
    }

    /// Goes on after the child did not run for that long: time stood still for it, and it gets one
    /// whole interval.
    fn resume_after(&mut self, span: Duration, rules: &CheckRules, now: Moment) {
        self.start_until = self.start_until.after(span);
        match self.phase {
            Phase::Nothing => {}
            Phase::Ready { until } => {
                let until = until.map(|until| until.after(span));
                self.phase = Phase::Ready { until };
                if rules
                    .ready
                    .is_some_and(|ready| ready.method == Method::Check)
                {
                    self.wait_for_check(PAUSE_UNTIL_SUCCESS, now);
                }
            }
            Phase::Health if rules.watchdog().is_some() => self.wait_for_watchdog(now),
            Phase::Health => self.wait_for_check(self.interval, now),
        }
    }

    /// Moves the deadlines of the child's current state to `at`, unless they are later already, as
    /// systemd does.
    fn extend(&mut self, at: Moment) {
        if !self.has_been_healthy {
            self.start_until = self.start_until.max(at);
        }
        if let Phase::Ready { until: Some(until) } = &mut self.phase {
            *until = at.max(*until);
        }
        if let Timer::Watchdog { at: before } = &mut self.timer {
            *before = at.max(*before);
        }
    }

    fn begin_check(&mut self, kind: CheckKind, rules: &CheckRules, now: Moment, out: &mut Actions) {
        self.timer = Timer::Timeout {
            at: now.after(rules.timeout),
        };
        out.push(Action::StartCheck { kind });
    }

    fn cancel_check(&mut self, out: &mut Actions) {
        if let Timer::Timeout { .. } = self.timer {
            out.push(Action::CancelCheck);
        }
        self.timer = Timer::Nothing;
    }

    fn note_ready(&mut self, rules: &CheckRules, now: Moment) -> Finding {
        self.has_been_ready = true;
        self.last_failure = None;
        self.begin_health(rules, now);
        Finding::Ready
    }

    fn begin_health(&mut self, rules: &CheckRules, now: Moment) {
        (self.phase, self.timer) = (Phase::Nothing, Timer::Nothing);
        if rules.health.is_some() {
            self.phase = Phase::Health;
            if rules.watchdog().is_some() {
                self.wait_for_watchdog(now);
            } else {
                self.wait_for_check(self.pause(), now);
            }
        }
    }

    fn note_success(&mut self) -> Option<Finding> {
        let is_first = !self.has_been_healthy;
        let is_news = is_first || self.failures > 0;
        self.has_been_healthy = true;
        self.failures = 0;
        is_news.then_some(Finding::Healthy { is_first })
    }

    fn note_failure(
        &mut self,
        failure: CheckFailure,
        rules: &CheckRules,
        now: Moment,
    ) -> Option<Finding> {
        self.last_failure = Some(failure);
        let health = match (self.phase, rules.health) {
            (Phase::Ready { .. } | Phase::Nothing, _) | (Phase::Health, None) => {
                self.wait_for_check(PAUSE_UNTIL_SUCCESS, now);
                return None;
            }
            (Phase::Health, Some(health)) => health,
        };
        if self.has_been_healthy || now >= self.start_until {
            self.failures = self.failures.saturating_add(1);
        }
        if self.failures < health.retries.max(1) {
            self.wait_for_check(self.pause(), now);
            return None;
        }
        // A child that has ended, or is ending, refuses or closes. It does not keep silent.
        if matches!(failure, CheckFailure::TimedOut { .. }) {
            return self.unhealthy();
        }
        self.timer = Timer::Unhealthy {
            at: now.after(LAST_FAILURE_DELAY),
        };
        None
    }

    fn unhealthy(&self) -> Option<Finding> {
        let failures = self.failures;
        self.last_failure
            .map(|failure| Finding::Unhealthy { failure, failures })
    }

    fn not_ready(&self, rules: &CheckRules, now: Moment) -> Finding {
        let within = rules.ready.and_then(|ready| ready.within);
        let within = within.unwrap_or_default();
        let failure = match self.timer {
            Timer::Timeout { at } if now >= at => Some(timed_out(rules)),
            // The first check is still under way.
            Timer::Timeout { .. } => self
                .last_failure
                .or(Some(CheckFailure::TimedOut { timeout: within })),
            Timer::Nothing
            | Timer::Check { .. }
            | Timer::Watchdog { .. }
            | Timer::Unhealthy { .. } => self.last_failure,
        };
        Finding::NotReady { within, failure }
    }

    /// Returns the pause before the next check of health.
    fn pause(&self) -> Duration {
        if self.has_been_healthy {
            self.interval
        } else {
            self.interval.min(PAUSE_UNTIL_SUCCESS)
        }
    }

    fn wait_for_check(&mut self, pause: Duration, now: Moment) {
        let at = now.after(pause.max(SHORTEST_PAUSE));
        self.timer = Timer::Check { at };
    }

    /// Waits one interval for `WATCHDOG=1`. Until the first one, the interval begins at the end of
    /// `--health-start` at the earliest.
    fn wait_for_watchdog(&mut self, now: Moment) {
        let from = if self.has_been_healthy {
            now
        } else {
            now.max(self.start_until)
        };
        self.timer = if self.interval.is_zero() {
            Timer::Nothing
        } else {
            Timer::Watchdog {
                at: from.after(self.interval),
            }
        };
    }
}

fn timed_out(rules: &CheckRules) -> CheckFailure {
    let timeout = rules.timeout;
    CheckFailure::TimedOut { timeout }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;

//! What a strategy says about the checks of a child, and what follows from it.

use core::time::Duration;

use crate::core::health::rules::{
    CheckRules, HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_START, HEALTH_TIMEOUT, HealthRules, Method,
    READY_WITHIN, ReadyRules,
};
use crate::core::health::target::{Question, Target};
use crate::core::signal::Signal;
use crate::library::error::Error;

/// The settings as the host has given them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CheckSettings {
    /// `None` means that health is not checked.
    pub(crate) health: Option<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) start: Duration,
    /// `None` means the stop signal.
    pub(crate) signal: Option<i32>,
    /// `None` means that readiness is not checked.
    pub(crate) ready: Option<String>,
    /// Zero means no limit.
    pub(crate) within: Duration,
}

impl Default for CheckSettings {
    fn default() -> Self {
        Self {
            health: None,
            interval: HEALTH_INTERVAL,
            timeout: HEALTH_TIMEOUT,
            retries: HEALTH_RETRIES,
            start: HEALTH_START,
            signal: None,
            ready: None,
            within: READY_WITHIN,
        }
    }
}

/// What is asked, and the rules that the core follows. With `Method::Notify` nothing is asked: the
/// child reports by itself.
#[derive(Debug)]
pub(crate) struct WantedChecks {
    pub(crate) health: Option<Question>,
    pub(crate) ready: Option<Question>,
    pub(crate) rules: CheckRules,
}

impl CheckSettings {
    /// Parses the targets.
    ///
    /// # Errors
    ///
    /// [`Error::Target`], or [`Error::Word`] for a signal that has no meaning.
    pub(crate) fn parse(&self) -> Result<WantedChecks, Error> {
        let health = self.health.as_deref().map(parse_target).transpose()?;
        let ready = self.ready.as_deref().map(parse_target).transpose()?;
        let signal = self.signal.map(parse_signal).transpose()?;
        let runs_program = |question: &Question| matches!(question, Question::Exec(_));
        let [health_method, ready_method] =
            [&health, &ready].map(|target| target.as_ref().map(method));
        let [health, ready] = [health, ready].map(|target| target.and_then(question));
        let rules = CheckRules {
            health: health_method.map(|method| HealthRules {
                method,
                interval: self.interval,
                retries: self.retries,
                start: self.start,
                signal,
            }),
            ready: ready_method.map(|method| ReadyRules {
                method,
                within: Some(self.within).filter(|within| !within.is_zero()),
            }),
            timeout: self.timeout,
            run_programs: health.iter().chain(&ready).any(runs_program),
        };
        Ok(WantedChecks {
            health,
            ready,
            rules,
        })
    }
}

fn parse_target(text: &str) -> Result<Target, Error> {
    Target::parse_for_child(text).map_err(|reason| Error::Target {
        target: text.to_owned(),
        reason,
    })
}

const fn method(target: &Target) -> Method {
    match target {
        Target::Asked(_) => Method::Check,
        Target::Notify => Method::Notify,
    }
}

/// Returns what frigate asks; `None` means that the child reports by itself.
fn question(target: Target) -> Option<Question> {
    match target {
        Target::Asked(question) => Some(question),
        Target::Notify => None,
    }
}

/// Parses the number of a signal that may be sent to an unhealthy child.
fn parse_signal(number: i32) -> Result<Signal, Error> {
    Signal::new(number)
        .filter(|signal| *signal != Signal::CHLD && *signal != Signal::STOP)
        .ok_or_else(|| Error::Word {
            word: number.to_string(),
            expected: "the number of a signal, from 1 to 64, other than CHLD and STOP",
        })
}

#[cfg(test)]
#[path = "check_settings_tests.rs"]
mod tests;

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

/// What is asked, and the rules that the core follows.
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
        let method = Method::Check;
        let runs_program = |question: &Question| matches!(question, Question::Exec(_));
        let rules = CheckRules {
            health: health.is_some().then_some(HealthRules {
                method,
                interval: self.interval,
                retries: self.retries,
                start: self.start,
                signal,
            }),
            ready: ready.is_some().then_some(ReadyRules {
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

/// Parses a target that frigate can ask.
fn parse_target(text: &str) -> Result<Question, Error> {
    let reason = match Target::parse_for_child(text) {
        Ok(Target::Asked(question)) => return Ok(question),
        // The library has no receiver for the messages of a child. With one in `Child::notifications`,
        // the method is `Method::Notify`, and `ProtectedChild::handle` calls `poll_notifications`.
        Ok(Target::Notify) => "the library does not read the messages of sd_notify(3) yet",
        Err(reason) => reason,
    };
    Err(Error::Target {
        target: text.to_owned(),
        reason,
    })
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

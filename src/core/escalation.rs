//! An end under way: ask, wait, KILL, wait, give up.

use core::time::Duration;

use crate::core::moment::Moment;

/// How long after KILL a process is left behind. It may sleep in the kernel, and then no signal
/// reaches it.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The first pause between two probes. Each pause is twice as long as the one before it.
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause between two probes.
pub(crate) const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(1);

/// What a tick asks the caller to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    /// Look whether anything is left.
    Probe,
    /// Send KILL: the grace period is over.
    Kill,
    /// Leave it behind: KILL did not end it.
    GiveUp,
}

/// When to probe next, and how long the pause before that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Probe {
    at: Moment,
    pause: Duration,
}

impl Probe {
    fn after(pause: Duration, now: Moment) -> Self {
        Self {
            at: now.after(pause),
            pause,
        }
    }
}

/// The end of processes that were sent a signal for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Escalation {
    is_killed: bool,
    /// When KILL is due or, after KILL, giving up; `None` means never.
    until: Option<Moment>,
    /// `None` if each end is reported, so that no probe is needed.
    probe: Option<Probe>,
}

impl Escalation {
    /// Returns the escalation of what was asked to end, and is killed at `until`.
    pub(crate) const fn asked(until: Option<Moment>) -> Self {
        Self {
            is_killed: false,
            until,
            probe: None,
        }
    }

    /// Returns the escalation of what was sent KILL, and is given up after `kill_timeout`.
    pub(crate) fn killed(now: Moment, kill_timeout: Duration) -> Self {
        Self {
            is_killed: true,
            until: Some(now.after(kill_timeout)),
            probe: None,
        }
    }

    /// Adds probes, because nothing reports the end.
    pub(crate) fn with_probes(self, now: Moment) -> Self {
        Self {
            probe: Some(Probe::after(FIRST_PROBE_PAUSE, now)),
            ..self
        }
    }

    pub(crate) const fn is_killed(self) -> bool {
        self.is_killed
    }

    /// Returns when KILL is due or, after KILL, giving up; `None` means never.
    pub(crate) const fn until(self) -> Option<Moment> {
        self.until
    }

    /// Returns when the next tick is due; `None` means never.
    pub(crate) fn deadline(self) -> Option<Moment> {
        match (self.until, self.probe) {
            (Some(until), Some(probe)) => Some(until.min(probe.at)),
            (until, probe) => until.or(probe.map(|probe| probe.at)),
        }
    }

    /// Makes KILL due at `until`, unless it is due earlier. After KILL, changes nothing.
    pub(crate) fn shorten(&mut self, until: Moment) {
        if !self.is_killed {
            self.until = Some(self.until.map_or(until, |before| before.min(until)));
        }
    }

    /// Makes KILL due at `until` at the earliest. After KILL, or if none will follow, changes
    /// nothing.
    pub(crate) fn extend(&mut self, until: Moment) {
        if !self.is_killed {
            self.until = self.until.map(|before| before.max(until));
        }
    }

    /// Takes the step that is due, and returns what it asks for. `kill_timeout` is the time from
    /// KILL to giving up.
    pub(crate) fn tick(&mut self, now: Moment, kill_timeout: Duration) -> Due {
        if self.until.is_some_and(|until| now >= until) {
            if self.is_killed {
                return Due::GiveUp;
            }
            let killed = Self::killed(now, kill_timeout);
            *self = match self.probe {
                Some(_) => killed.with_probes(now),
                None => killed,
            };
            return Due::Kill;
        }
        match &mut self.probe {
            Some(probe) if now >= probe.at => {
                *probe = Probe::after((probe.pause * 2).min(LONGEST_PROBE_PAUSE), now);
                Due::Probe
            }
            Some(_) | None => Due::Nothing,
        }
    }
}

#[cfg(test)]
#[path = "escalation_tests.rs"]
mod tests;

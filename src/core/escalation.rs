//! An end that is under way: ask for it, wait, kill, wait, give up.

use core::time::Duration;

use crate::core::moment::Moment;

/// How long a process may take to die of KILL before it is left behind: it may sleep where no
/// signal reaches it.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between two probes for processes whose end nothing reports: doubled each time, up to
/// the longest.
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(10);
pub(crate) const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(1);

/// What a tick asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    /// Look whether anything is left.
    Probe,
    /// Time is up: send KILL.
    Kill,
    /// What is left does not die of KILL.
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

/// The end of something that was asked to end, or killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Escalation {
    is_killed: bool,
    /// When KILL is due or, after it, giving up; `None` means that it may take any time.
    until: Option<Moment>,
    /// `None` if each end is reported, so that no probe is needed.
    probe: Option<Probe>,
}

impl Escalation {
    /// It was asked to end, and is killed at `until`.
    pub(crate) const fn asked(until: Option<Moment>) -> Self {
        Self {
            is_killed: false,
            until,
            probe: None,
        }
    }

    /// It was sent KILL, and is given up after `kill_timeout`.
    pub(crate) fn killed(now: Moment, kill_timeout: Duration) -> Self {
        Self {
            is_killed: true,
            until: Some(now.after(kill_timeout)),
            probe: None,
        }
    }

    /// The same, with a probe now and then, because nothing reports the ends.
    pub(crate) fn with_probes(self, now: Moment) -> Self {
        Self {
            probe: Some(Probe::after(FIRST_PROBE_PAUSE, now)),
            ..self
        }
    }

    pub(crate) const fn is_killed(self) -> bool {
        self.is_killed
    }

    /// When KILL is due or, after it, giving up.
    pub(crate) const fn until(self) -> Option<Moment> {
        self.until
    }

    /// When the next tick is due; `None` means never.
    pub(crate) fn deadline(self) -> Option<Moment> {
        match (self.until, self.probe) {
            (Some(until), Some(probe)) => Some(until.min(probe.at)),
            (until, probe) => until.or(probe.map(|probe| probe.at)),
        }
    }

    /// Takes KILL forward to `until` if it is due later or never. After KILL nothing changes.
    pub(crate) fn shorten(&mut self, until: Moment) {
        if !self.is_killed {
            self.until = Some(self.until.map_or(until, |before| before.min(until)));
        }
    }

    /// Takes the step that is due. `kill_timeout` is the time from KILL to giving up.
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

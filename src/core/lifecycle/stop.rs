//! A stop: the end of a child that frigate was asked to end.

use crate::core::action::{Actions, SURVIVES_KILL};
use crate::core::fact::Fact;
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::finish::Finish;
use crate::core::lifecycle::state::{State, Stopping};
use crate::core::moment::Moment;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};

/// Why a child is left behind that a signal could end.
pub(super) const NOT_PERMITTED: &str = "frigate is not allowed to signal it";

impl Lifecycle {
    /// The stop signal, then CONT, since a stopped child could not die of it.
    pub(super) fn send_stop(&self, asked: Signal, queued: bool, out: &mut Actions) {
        if self.rules.kill {
            self.send(Signal::KILL, out);
            return;
        }
        let signal = self.rules.stop_signal.unwrap_or(asked);
        out.send(
            signal,
            self.rules.recipient(queued && signal != Signal::KILL),
        );
        self.send(Signal::CONT, out);
    }

    /// The end by a stop while no child had to be killed for it.
    pub(super) fn cancel(&mut self, stop: Signal, now: Moment) {
        let last = self.last_status;
        let kill_at = now.after(self.rules.after_stop());
        self.end(
            Outcome::Cancel { last, stop },
            Some(kill_at),
            self.rules.kill,
        );
    }

    /// The end of a child that was asked to stop.
    pub(super) fn end_stop(&mut self, stopping: Stopping, now: Moment) {
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop: stopping.asked,
        };
        let kill_at = self.kill_after_stop(stopping, now);
        self.end(outcome, Some(kill_at), stopping.escalation.is_killed());
    }

    /// When what is left after a stop is killed: at the end of the grace period if there is one.
    pub(super) fn kill_after_stop(&self, stopping: Stopping, now: Moment) -> Moment {
        let escalation = stopping.escalation;
        match (escalation.is_killed(), escalation.until(), self.rules.grace) {
            (true, ..) => now,
            (false, Some(until), Some(_)) => until,
            (false, ..) => now.after(self.rules.after_stop()),
        }
    }

    /// The child does not die, or frigate may not signal it: what is left has had as long as it.
    pub(super) fn leave_behind(&mut self, stopping: Stopping, now: Moment, out: &mut Actions) {
        let reason = if stopping.is_signal_refused {
            NOT_PERMITTED
        } else {
            SURVIVES_KILL
        };
        out.report(Fact::LeftBehind {
            pid: self.pid,
            reason,
        });
        let signal = Signal::KILL;
        self.last_status = Some(ExitStatus::Signaled {
            signal,
            core: false,
        });
        let outcome = Outcome::Cancel {
            last: self.last_status,
            stop: stopping.asked,
        };
        self.state = State::Ended(Finish {
            outcome,
            kill_at: Some(now),
            is_kill_expected: true,
            is_left_behind: true,
        });
    }

    pub(super) fn send(&self, signal: Signal, out: &mut Actions) {
        out.send(signal, self.rules.recipient(false));
    }
}

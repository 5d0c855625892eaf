//! What follows the end of a child, or a start that failed.

use core::time::Duration;

use crate::core::action::Actions;
use crate::core::fact::{Fact, Trouble};
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::finish::Finish;
use crate::core::lifecycle::state::{State, StopCause, Stopping};
use crate::core::moment::Moment;
use crate::core::restart::{ChildEnd, History, Verdict};
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};
use crate::core::usage::Usage;

impl Lifecycle {
    /// Keeps what later decisions and messages need to know of an end.
    pub(super) fn note_end(&mut self, status: ExitStatus, usage: Usage) {
        self.last_status = Some(status);
        self.out_of_memory = usage.out_of_memory;
    }

    /// Lets the restart policy decide after the child has ended by itself.
    pub(super) fn after_end(
        &mut self,
        status: ExitStatus,
        since: Moment,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        let uptime = now.since(since);
        let end = ChildEnd {
            uptime,
            has_started: self.has_started(uptime),
            is_expected: self.rules.restart_policy.expected.covers(status),
        };
        let kill_at = self.rules.after_own_end().map(|span| now.after(span));
        let outcome = Outcome::Complete(status);
        self.decide(end, (status, usage), (outcome, kill_at), now, out);
    }

    /// Lets the restart policy decide after frigate has stopped the child because it was unhealthy
    /// or not ready. No such end is expected, whatever the status.
    pub(super) fn after_unhealthy_end(
        &mut self,
        stopping: Stopping,
        status: ExitStatus,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        let uptime = now.since(stopping.since);
        let was_ready = stopping.cause != StopCause::NotReady;
        let end = ChildEnd {
            uptime,
            has_started: self.checks.has_been_healthy() && self.has_started(uptime),
            is_expected: false,
        };
        let kill_at = Some(self.kill_after_stop(stopping, now));
        let last = status;
        let outcome = Outcome::Unhealthy { last, was_ready };
        self.decide(end, (status, usage), (outcome, kill_at), now, out);
    }

    /// Starts the child again at once after it was stopped for that. Earlier failed starts are
    /// forgotten, because a restart on request comes after their cause was fixed.
    pub(super) fn after_restart_end(
        &mut self,
        stopping: Stopping,
        status: ExitStatus,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        self.history = History::NONE;
        let trouble = Trouble::Ended {
            pid: self.pid,
            status,
            uptime: now.since(stopping.since),
            usage,
        };
        let outcome = Outcome::Complete(status);
        let verdict = Verdict::Again {
            pause: Duration::ZERO,
            failures: 0,
        };
        self.apply(verdict, trouble, (outcome, None), now, out);
    }

    /// Whether a child that has been up this long has started.
    fn has_started(&self, uptime: Duration) -> bool {
        match self.rules.checks.ready {
            Some(_) => self.checks.has_been_ready(),
            None => self.rules.restart_policy.has_started(uptime),
        }
    }

    /// Lets the restart policy decide after the child has ended. `last` is what follows if it is not
    /// started again.
    fn decide(
        &mut self,
        end: ChildEnd,
        (status, usage): (ExitStatus, Usage),
        last: (Outcome, Option<Moment>),
        now: Moment,
        out: &mut Actions,
    ) {
        let verdict = self
            .history
            .after_end(&self.rules.restart_policy, end, self.random(now));
        let (pid, uptime) = (self.pid, end.uptime);
        // The message of a restart tells of the end, too.
        if !matches!(verdict, Verdict::Again { .. }) {
            out.report(Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            });
        }
        let trouble = Trouble::Ended {
            pid,
            status,
            uptime,
            usage,
        };
        self.apply(verdict, trouble, last, now, out);
    }

    /// Lets the restart policy decide after the child could not be started.
    pub(super) fn after_failure(&mut self, failure: SpawnFailure, now: Moment, out: &mut Actions) {
        let verdict =
            self.history
                .after_failure(&self.rules.restart_policy, failure, self.random(now));
        let kill_at = self.rules.after_own_end().map(|span| now.after(span));
        let (trouble, outcome) = (Trouble::NotStarted(failure), Outcome::NotStarted(failure));
        self.apply(verdict, trouble, (outcome, kill_at), now, out);
    }

    fn apply(
        &mut self,
        verdict: Verdict,
        trouble: Trouble,
        (outcome, kill_at): (Outcome, Option<Moment>),
        now: Moment,
        out: &mut Actions,
    ) {
        match (verdict, outcome) {
            (Verdict::Finish, Outcome::NotStarted(failure)) => {
                self.end_unstarted(failure, kill_at, self.rules.stop.kill, out);
            }
            (Verdict::Finish, _) => {
                // If the child was killed, KILL went to leftovers too.
                let is_kill_expected = self.rules.stop.kill || kill_at == Some(now);
                self.end(outcome, kill_at, is_kill_expected);
            }
            (Verdict::GiveUp { failures }, _) => {
                let outcome = Outcome::GaveUp {
                    last: self.last_status,
                };
                out.report(Fact::GaveUp {
                    failures,
                    last: self.last_status,
                    code: self.rules.exit_code(outcome),
                });
                let kill_at = self.rules.after_own_end().map(|span| now.after(span));
                self.end(outcome, kill_at, self.rules.stop.kill);
            }
            (Verdict::Again { pause, failures }, _) => {
                let limit = self.rules.restart_policy.limit();
                out.report(Fact::Restarting {
                    trouble,
                    pause,
                    failures,
                    limit,
                });
                self.end_leftovers(now.after(pause), now, out);
            }
        }
    }

    pub(super) fn report_ended(
        &self,
        status: ExitStatus,
        since: Moment,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        let (pid, uptime) = (self.pid, now.since(since));
        out.report(Fact::Ended {
            pid,
            status,
            uptime,
            usage,
        });
    }

    /// Ends the lifecycle of a child that never executed its command.
    pub(super) fn end_unstarted(
        &mut self,
        failure: SpawnFailure,
        kill_at: Option<Moment>,
        is_kill_expected: bool,
        out: &mut Actions,
    ) {
        let outcome = Outcome::NotStarted(failure);
        let code = self.rules.exit_code(outcome);
        out.report(Fact::NotStarted { failure, code });
        self.end(outcome, kill_at, is_kill_expected);
    }

    pub(super) fn end(
        &mut self,
        outcome: Outcome,
        kill_at: Option<Moment>,
        is_kill_expected: bool,
    ) {
        self.state = State::Ended(Finish {
            outcome,
            kill_at,
            is_kill_expected,
            is_left_behind: false,
        });
    }

    /// Returns a number that differs between two frigates: the nanoseconds of the moment, mixed by
    /// the finalizer of `SplitMix64`. It is computed from the moment alone, so that tests in
    /// virtual time can repeat it. The length of a pause needs no better randomness.
    fn random(&self, now: Moment) -> u32 {
        let mut bits = now.nanos() ^ u64::from(self.restarts);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from(bits >> 32).unwrap_or(0)
    }
}

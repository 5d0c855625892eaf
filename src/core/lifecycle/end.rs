//! What follows the end of a child, or a start that failed.

use crate::core::action::Actions;
use crate::core::fact::{Fact, Trouble};
use crate::core::lifecycle::Lifecycle;
use crate::core::lifecycle::finish::Finish;
use crate::core::lifecycle::state::State;
use crate::core::moment::Moment;
use crate::core::restart::Verdict;
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
        let verdict =
            self.history
                .after_end(&self.rules.restart_policy, status, uptime, self.random(now));
        let trouble = Trouble::Ended {
            pid: self.pid,
            status,
            uptime,
            usage,
        };
        // The message of a restart tells of the end, too.
        if !matches!(verdict, Verdict::Again { .. }) {
            self.report_ended(status, since, usage, now, out);
        }
        self.apply(verdict, trouble, Outcome::Complete(status), now, out);
    }

    /// Lets the restart policy decide after the child could not be started.
    pub(super) fn after_failure(&mut self, failure: SpawnFailure, now: Moment, out: &mut Actions) {
        let verdict =
            self.history
                .after_failure(&self.rules.restart_policy, failure, self.random(now));
        let (trouble, outcome) = (Trouble::NotStarted(failure), Outcome::NotStarted(failure));
        self.apply(verdict, trouble, outcome, now, out);
    }

    fn apply(
        &mut self,
        verdict: Verdict,
        trouble: Trouble,
        outcome: Outcome,
        now: Moment,
        out: &mut Actions,
    ) {
        let kill_at = self.rules.after_own_end().map(|span| now.after(span));
        match (verdict, outcome) {
            (Verdict::Finish, Outcome::NotStarted(failure)) => {
                self.end_unstarted(failure, kill_at, self.rules.stop.kill, out);
            }
            (Verdict::Finish, _) => self.end(outcome, kill_at, self.rules.stop.kill),
            (Verdict::GiveUp { failures }, _) => {
                let outcome = Outcome::GaveUp {
                    last: self.last_status,
                };
                out.report(Fact::GaveUp {
                    failures,
                    last: self.last_status,
                    code: self.rules.exit_code(outcome),
                });
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

//! A program that says by its exit code whether a service is well.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use crate::core::health::failure::CheckFailure;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, SpawnFailure, Stage};
use crate::sys::descriptors;
use crate::sys::signals;
use crate::sys::spawn::{self, Cgroup, SpawnPlan, Spawned};

/// A program that runs in a group of its own. If it is dropped before it has ended, its group gets
/// KILL.
pub(crate) struct ExecCheck {
    process: Spawned,
    /// `None` means that it has not been reaped.
    status: Option<ExitStatus>,
}

impl ExecCheck {
    /// Starts the program. Its output is dropped.
    pub(super) fn begin(
        plan: &mut SpawnPlan,
        cgroup: Option<Cgroup<'_>>,
    ) -> Result<Self, SpawnFailure> {
        let null = descriptors::open_null().map_err(|errno| SpawnFailure {
            stage: Stage::Streams,
            errno,
        })?;
        let streams = [Some(null.as_fd()); 2];
        Ok(Self {
            process: spawn::spawn(plan, 0, false, cgroup, streams, ())?,
            status: None,
        })
    }

    /// Takes the program's end, if it was this process that was reaped. Returns whether it was.
    pub(super) fn note_reaped(&mut self, pid: Pid, status: ExitStatus) -> bool {
        // Later the kernel may give the same id to another process.
        let is_own = self.status.is_none() && pid == self.process.pid;
        if is_own {
            self.status = Some(status);
        }
        is_own
    }

    /// Returns the result, if the program has ended. `failure` is why it was never executed.
    pub(super) fn result(&self, failure: Option<SpawnFailure>) -> Option<Result<(), CheckFailure>> {
        Some(match (self.status?, failure) {
            (_, Some(failure)) => Err(CheckFailure::NotStarted(failure)),
            (ExitStatus::Exited(0), None) => Ok(()),
            (status, None) => Err(CheckFailure::Ended(status)),
        })
    }

    /// Sends KILL to the program and its group, unless it has been reaped.
    pub(super) fn kill(&self) {
        if !self.is_reaped() {
            let _ = signals::send_to_group_of(self.process.pid, Signal::KILL);
        }
    }

    pub(super) const fn is_reaped(&self) -> bool {
        self.status.is_some()
    }
}

impl Drop for ExecCheck {
    fn drop(&mut self) {
        self.kill();
    }
}

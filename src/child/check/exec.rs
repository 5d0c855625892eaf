//! A program that says by its exit code whether a service is well.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use crate::child::rim::Streams;
use crate::core::errno::Errno;
use crate::core::health::failure::CheckFailure;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, SpawnFailure, Stage};
use crate::sys::descriptors;
use crate::sys::pidfd::{self, ReapResult};
use crate::sys::signals::{self, Watch};
use crate::sys::spawn::{SpawnPlan, Spawned};

/// Starts the program of a plan, with these streams.
pub(crate) type StartProgram<'a> =
    &'a mut dyn FnMut(&mut SpawnPlan, Streams<'_>) -> Result<Spawned, SpawnFailure>;

/// A program that runs in a group of its own. If it is dropped before it has ended, its group gets
/// KILL.
///
/// It is reaped in one of two ways. The binary reaps every process, and `note_reaped` takes the end
/// of this one. In a host program the process has a pidfd: it is watched and reaped through that
/// alone, because the host may reap it first.
pub(crate) struct ExecCheck {
    /// `None` means that it was given away.
    process: Option<Spawned>,
    /// How it ended; an error, if another part of the host was told. `None` means that it has not
    /// been reaped.
    end: Option<Result<ExitStatus, Errno>>,
    /// It has ended, and a tracer has to detach from it before it can be reaped.
    is_traced: bool,
}

impl ExecCheck {
    /// Starts the program. Its output is dropped.
    pub(super) fn begin(
        plan: &mut SpawnPlan,
        start: StartProgram<'_>,
    ) -> Result<Self, SpawnFailure> {
        let null = descriptors::open_null().map_err(|errno| SpawnFailure {
            stage: Stage::Streams,
            errno,
        })?;
        let streams = [Some(null.as_fd()); 2];
        Ok(Self {
            process: Some(start(plan, streams)?),
            end: None,
            is_traced: false,
        })
    }

    /// Returns what becomes readable when the program has ended. `None` means that `note_reaped`
    /// takes the end, or that a tracer holds the program: its pidfd would be readable all the time.
    pub(super) fn watch(&self) -> Option<Watch<'_>> {
        if self.is_reaped() || self.is_traced {
            return None;
        }
        let pidfd = self.process.as_ref()?.pidfd.as_ref()?;
        Some(Watch::readable(pidfd.as_fd()))
    }

    /// Reaps the program, if it has ended and has a pidfd.
    pub(super) fn reap(&mut self) {
        if self.is_reaped() {
            return;
        }
        let process = self.process.as_ref();
        let Some(pidfd) = process.and_then(|process| process.pidfd.as_ref()) else {
            return;
        };
        // In this order: in the other one, a program that ends between the two would be taken for one
        // that a tracer holds, and not be watched.
        if !pidfd::has_ended(pidfd.as_fd()) {
            return;
        }
        match pidfd::reap(pidfd.as_fd()) {
            ReapResult::Alive => self.is_traced = true,
            ReapResult::Ended(status) => self.end = Some(Ok(status)),
            ReapResult::ReapedElsewhere => self.end = Some(Err(Errno::NO_PROCESS)),
        }
    }

    pub(super) const fn is_traced(&self) -> bool {
        self.is_traced && !self.is_reaped()
    }

    /// Takes the program's end, if it was this process that was reaped. Returns whether it was.
    pub(super) fn note_reaped(&mut self, pid: Pid, status: ExitStatus) -> bool {
        let own = self.process.as_ref().map(|process| process.pid);
        // Later the kernel may give the same id to another process.
        let is_own = !self.is_reaped() && own == Some(pid);
        if is_own {
            self.end = Some(Ok(status));
        }
        is_own
    }

    /// Returns the result, if the program has ended. `failure` is why it was never executed.
    pub(super) fn result(&self, failure: Option<SpawnFailure>) -> Option<Result<(), CheckFailure>> {
        Some(match (self.end?, failure) {
            (_, Some(failure)) => Err(CheckFailure::NotStarted(failure)),
            (Ok(ExitStatus::Exited(0)), None) => Ok(()),
            (Ok(status), None) => Err(CheckFailure::Ended(status)),
            (Err(errno), None) => Err(CheckFailure::Refused {
                verb: "learn how it ended",
                errno,
            }),
        })
    }

    /// Sends KILL to the program and its group, unless it has been reaped or given away.
    pub(super) fn kill(&self) {
        let Some(process) = self.process.as_ref().filter(|_| !self.is_reaped()) else {
            return;
        };
        let _ = match &process.pidfd {
            Some(pidfd) => {
                signals::send_to_group_by_pidfd(pidfd.as_fd(), process.pid, Signal::KILL)
            }
            None => signals::send_to_group_of(process.pid, Signal::KILL),
        };
    }

    /// Gives away a process with a pidfd that has not been reaped: the caller reaps it. Nothing is
    /// left of the check then.
    pub(super) fn take_unreaped(&mut self) -> Option<Spawned> {
        let is_reaped = self.is_reaped();
        self.process
            .take_if(|process| process.pidfd.is_some() && !is_reaped)
    }

    /// Whether nothing is left of the program that this check has to reap.
    pub(super) const fn is_over(&self) -> bool {
        self.is_reaped() || self.process.is_none()
    }

    const fn is_reaped(&self) -> bool {
        self.end.is_some()
    }
}

impl Drop for ExecCheck {
    fn drop(&mut self) {
        self.kill();
    }
}

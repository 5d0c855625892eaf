//! One check: it asks whether a service is well, and never waits for the answer.

pub(crate) mod checker;
mod connection;
mod exchange;
mod exec;
mod file;
mod status_line;
pub(crate) mod wanted_target;

use core::time::Duration;

use connection::Connection;
use exchange::Exchange;
use exec::{ExecCheck, StartProgram};

use crate::core::errno::Errno;
use crate::core::health::failure::CheckFailure;
use crate::core::health::target::Question;
use crate::core::pid::Pid;
use crate::core::status::{ExitStatus, SpawnFailure, Stage};
use crate::sys::signals::Watch;
use crate::sys::spawn::{self, Cgroup, SpawnPlan, Spawned};

/// What all checks of one target need, made once.
pub(crate) struct CheckPlan {
    pub(crate) question: Question,
    /// A file that was modified longer ago is stale.
    pub(crate) longest_age: Duration,
    /// For a program; `None` means that the question needs none. It shares no memory with frigate:
    /// the next check may begin before the last program has been reaped.
    pub(crate) spawn: Option<SpawnPlan>,
}

impl CheckPlan {
    /// Begins a check. A program is started by the binary itself, in `cgroup` if there is one.
    pub(crate) fn begin(&mut self, cgroup: Option<Cgroup<'_>>) -> Check {
        self.begin_by(&mut |plan, streams| spawn::spawn(plan, 0, false, cgroup, streams, ()))
    }

    /// Begins a check. `start` starts its program, if it has one.
    pub(crate) fn begin_by(&mut self, start: StartProgram<'_>) -> Check {
        let begun = match &self.question {
            Question::Http {
                address,
                authority,
                path,
            } => Connection::to_address(*address)
                .map(|connection| Exchange::http(connection, authority, path)),
            Question::Tcp(address) => Connection::to_address(*address).map(Exchange::silent),
            Question::Unix(path) => Connection::to_path(path).map(Exchange::silent),
            Question::File(path) => return Check::Over(file::check(path, self.longest_age)),
            Question::Exec(_) => {
                let failure = match self
                    .spawn
                    .as_mut()
                    .map(|plan| ExecCheck::begin(plan, start))
                {
                    Some(Ok(check)) => return Check::Exec(check),
                    Some(Err(failure)) => failure,
                    None => NO_PLAN,
                };
                return Check::Over(Err(CheckFailure::NotStarted(failure)));
            }
        };
        match begun {
            Ok(exchange) => Check::Exchange(exchange),
            Err(errno) => Check::Over(Err(CheckFailure::Refused {
                verb: "connect",
                errno,
            })),
        }
    }
}

/// The failure of a program without a plan, which no caller begins.
const NO_PLAN: SpawnFailure = SpawnFailure {
    stage: Stage::Fork,
    errno: Errno::INVALID,
};

/// A check that is under way, and what is left of it when its result is known.
///
/// It should be kept until `is_over`, but no longer than until the next check begins.
pub(crate) enum Check {
    Exchange(Exchange),
    Exec(ExecCheck),
    /// The result was there at once.
    Over(Result<(), CheckFailure>),
}

impl Check {
    /// Returns what becomes ready when the check can go on. `None` means that it can go on at once,
    /// that only the end of its program is waited for, which `note_reaped` takes, or that a tracer
    /// holds the program.
    pub(crate) fn watch(&self) -> Option<Watch<'_>> {
        match self {
            Self::Exchange(exchange) => Some(exchange.watch()),
            Self::Exec(check) => check.watch(),
            Self::Over(_) => None,
        }
    }

    /// Whether its program has ended, and a tracer has to detach from it before the check can go on.
    pub(crate) const fn is_traced(&self) -> bool {
        match self {
            Self::Exec(check) => check.is_traced(),
            Self::Exchange(_) | Self::Over(_) => false,
        }
    }

    /// Goes on as far as possible without a wait. Returns the result, if there is one. `plan` is
    /// the one that began the check.
    pub(crate) fn advance(&mut self, plan: &CheckPlan) -> Option<Result<(), CheckFailure>> {
        match self {
            Self::Exchange(exchange) => exchange.advance(),
            Self::Exec(check) => {
                check.reap();
                check.result(plan.spawn.as_ref().and_then(SpawnPlan::failure))
            }
            Self::Over(result) => Some(*result),
        }
    }

    /// Takes the end of a process that was reaped. Returns whether it was the check's program.
    pub(crate) fn note_reaped(&mut self, pid: Pid, status: ExitStatus) -> bool {
        match self {
            Self::Exec(check) => check.note_reaped(pid, status),
            Self::Exchange(_) | Self::Over(_) => false,
        }
    }

    /// Ends a check before its result: it has timed out, or is not needed any more. A connection is
    /// closed. A program is sent KILL, and is over when it is reaped, or given away by
    /// `take_unreaped`.
    pub(crate) fn cancel(&mut self) {
        match self {
            Self::Exchange(_) => *self = Self::Over(Ok(())),
            Self::Exec(check) => check.kill(),
            Self::Over(_) => {}
        }
    }

    /// Gives away a program with a pidfd that has not been reaped: the caller reaps it.
    pub(crate) fn take_unreaped(&mut self) -> Option<Spawned> {
        match self {
            Self::Exec(check) => check.take_unreaped(),
            Self::Exchange(_) | Self::Over(_) => None,
        }
    }

    /// Whether nothing is left of a check that has its result or was canceled. A connection is read
    /// to its end.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Exchange(exchange) => exchange.read_to_end(),
            Self::Exec(check) => check.is_over(),
            Self::Over(_) => true,
        }
    }
}

//! The checks of one child: what they ask, and the one that is under way.

use crate::child::check::exec::StartProgram;
use crate::child::check::{Check, CheckPlan};
use crate::core::health::event::CheckEvent;
use crate::core::health::rules::CheckKind;
use crate::core::pid::Pid;
use crate::core::status::ExitStatus;
use crate::sys::signals::Watch;
use crate::sys::spawn::Spawned;

/// How often a connection whose result is known is read before it is closed. A server that sends
/// without end would otherwise wake frigate until the next check.
const MOST_READS_OF_REST: u32 = 16;

/// What is known of the check that was begun last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its result is awaited.
    Awaited,
    /// It has its result, or was canceled. What is left of it is read so many times more.
    Rest { reads_left: u32 },
}

/// The check that was begun last.
struct Current {
    kind: CheckKind,
    check: Check,
    phase: Phase,
}

/// What each kind of check asks; `None` means that frigate does not ask.
#[derive(Default)]
pub(crate) struct CheckPlans {
    pub(crate) health: Option<CheckPlan>,
    pub(crate) ready: Option<CheckPlan>,
}

impl CheckPlans {
    fn get_mut(&mut self, kind: CheckKind) -> Option<&mut CheckPlan> {
        match kind {
            CheckKind::Health => self.health.as_mut(),
            CheckKind::Ready => self.ready.as_mut(),
        }
    }
}

/// The checks of one child. By default none is begun.
#[derive(Default)]
pub(crate) struct Checker {
    plans: CheckPlans,
    current: Option<Current>,
    /// Programs with a pidfd that were killed before they had ended. `take_unreaped` gives them away.
    unreaped: Vec<Spawned>,
}

impl Checker {
    pub(crate) const fn new(plans: CheckPlans) -> Self {
        Self {
            plans,
            current: None,
            unreaped: Vec::new(),
        }
    }

    /// Begins a check. `start` starts its program, if it has one. Returns its result if it is known
    /// at once. What is left of the check before it ends now.
    pub(crate) fn begin(&mut self, kind: CheckKind, start: StartProgram<'_>) -> Option<CheckEvent> {
        let check = self.plans.get_mut(kind)?.begin_by(start);
        self.current = Some(Current {
            kind,
            check,
            phase: Phase::Awaited,
        });
        self.advance()
    }

    /// Ends the check that is under way, without a result.
    pub(crate) fn cancel(&mut self) {
        if let Some(current) = &mut self.current {
            current.check.cancel();
            self.unreaped.extend(current.check.take_unreaped());
            current.phase = Phase::Rest {
                reads_left: MOST_READS_OF_REST,
            };
        }
        self.read_rest();
    }

    /// Returns the programs that were killed since the last call and are still to be reaped.
    pub(crate) fn take_unreaped(&mut self) -> Vec<Spawned> {
        core::mem::take(&mut self.unreaped)
    }

    /// Whether the program of the check has ended, and a tracer has to detach from it before
    /// `advance` has something to do. Nothing reports that.
    pub(crate) fn is_traced(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.check.is_traced())
    }

    /// Returns what becomes ready when `advance` has something to do.
    pub(crate) fn watch(&self) -> Option<Watch<'_>> {
        self.current.as_ref()?.check.watch()
    }

    /// Goes on as far as possible without a wait. Returns the result of the check, once.
    pub(crate) fn advance(&mut self) -> Option<CheckEvent> {
        let current = self.current.as_mut()?;
        if current.phase == Phase::Awaited {
            let kind = current.kind;
            let result = current.check.advance(self.plans.get_mut(kind)?)?;
            current.phase = Phase::Rest {
                reads_left: MOST_READS_OF_REST,
            };
            self.read_rest();
            return Some(CheckEvent::Done { kind, result });
        }
        self.read_rest();
        None
    }

    /// Reads what a server sends after the result is known, so that no reset is sent. Forgets the
    /// check when nothing is left of it.
    fn read_rest(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        let Phase::Rest { reads_left } = &mut current.phase else {
            return;
        };
        *reads_left = reads_left.saturating_sub(1);
        let is_connection = current.check.watch().is_some();
        if current.check.is_over() || is_connection && *reads_left == 0 {
            self.current = None;
        }
    }

    /// Takes the end of a process that was reaped. Returns whether it was the check's program:
    /// `advance` has the result then.
    pub(crate) fn note_reaped(&mut self, pid: Pid, status: ExitStatus) -> bool {
        self.current
            .as_mut()
            .is_some_and(|current| current.check.note_reaped(pid, status))
    }
}

//! What the core asks the rim to do, and the short list it is handed over in.

use core::time::Duration;

use crate::core::fact::Fact;
use crate::core::signal::Signal;
use crate::core::status::Outcome;

/// Why something is left behind.
pub(crate) const SURVIVES_KILL: &str = "it does not die of KILL";

/// Who a signal is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recipient {
    /// The child and its process group.
    Group,
    Child,
    /// The child, with the value that came with the signal just received (`sigqueue(3)`).
    ChildWithValue,
}

/// One deed that binary and library both perform, on one child.
///
/// Those marked "answers" bring an event about. Such an action is the last of its step: the event is
/// taken after the whole step, and what would follow the action was decided without the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Report(Fact<'static>),
    /// Report it, if a process is left that is alive and that a signal can reach: of a zombie whose
    /// parent does not reap it the fact would not be true.
    ReportIfAnyLeft(Fact<'static>),
    /// Send TERM to every other process of the command's name; answers if there is none.
    CloseNamesakes,
    /// Send KILL to those that are left of them.
    KillNamesakes,
    /// Start the child; answers with its pid or the failure.
    Spawn {
        restarts: u32,
    },
    /// Send a signal to the living child; answers if the kernel does not permit it. The answer
    /// changes only what a later tick does, so that other signals may follow in the step.
    Send {
        signal: Signal,
        to: Recipient,
    },
    /// Send KILL to every process of the child's cgroup, if it has one.
    KillCgroup,
    /// Send TERM and CONT to what is left of the former child's group; answers if nothing is.
    EndGroup,
    /// Look whether anything is left of the former child's group; answers if nothing is.
    ProbeGroup,
    /// Send KILL to what is left of the former child's group.
    KillGroup,
    /// Send TERM and CONT to all that is left at the end; answers if nothing is.
    EndRest,
    /// Look whether anything is left at the end; answers.
    ProbeRest,
    /// Send KILL to all that is left at the end.
    KillRest,
    /// End with that outcome.
    Exit(Outcome),
}

/// The actions of one step, in order. Fixed in size so that no step allocates; eight is more than
/// any step has, which the tests hold against every state and event.
#[derive(Debug)]
pub(crate) struct Actions<A = Action> {
    items: [Option<A>; 8],
    len: usize,
}

impl<A: Copy> Actions<A> {
    pub(crate) const fn new() -> Self {
        Self {
            items: [None; 8],
            len: 0,
        }
    }

    #[inline(never)]
    pub(crate) fn push(&mut self, action: A) {
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = Some(action);
            self.len += 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = A> + '_ {
        self.items.iter().flatten().copied()
    }

    #[cfg(test)]
    pub(crate) fn is_full(&self) -> bool {
        self.len == self.items.len()
    }
}

impl Actions {
    /// Sends a signal. KILL for the group is KILL for the whole cgroup too: what has left the group
    /// is in there.
    pub(crate) fn send(&mut self, signal: Signal, to: Recipient) {
        if signal == Signal::KILL && to == Recipient::Group {
            self.push(Action::KillCgroup);
        }
        self.push(Action::Send { signal, to });
    }

    pub(crate) fn report(&mut self, fact: Fact<'static>) {
        self.push(Action::Report(fact));
    }

    /// Reports that leftovers get KILL, unless they had no time before it: then KILL is what was
    /// asked for.
    pub(crate) fn report_leftovers_killed(&mut self, grace: Duration) {
        if !grace.is_zero() {
            self.push(Action::ReportIfAnyLeft(Fact::LeftoversKilled { grace }));
        }
    }

    /// Reports that leftovers do not die of KILL.
    pub(crate) fn report_leftovers_left(&mut self) {
        let (pid, reason) = (None, SURVIVES_KILL);
        self.push(Action::ReportIfAnyLeft(Fact::LeftBehind { pid, reason }));
    }
}

//! What the core asks the rim to do.

use core::time::Duration;

use crate::core::fact::Fact;
use crate::core::health::rules::CheckKind;
use crate::core::signal::Signal;
use crate::core::status::Outcome;

/// The reason why a process is left behind that was sent KILL.
pub(crate) const SURVIVES_KILL: &str = "it does not die of KILL";

/// Who gets a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recipient {
    /// The child and its process group.
    Group,
    Child,
    /// The child, with the value of the signal that frigate has just received (`sigqueue(3)`).
    ChildWithValue,
}

/// What the binary and the library both do for one child.
///
/// An action marked "answers" brings about an event, which the core takes right after the step. So
/// such an action is the last of its step: any action behind it would be decided without the
/// answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Report(Fact<'static>),
    /// Report the fact if a process is left that is alive and can be signaled. A zombie that its
    /// parent does not reap is not meant.
    ReportIfAnyLeft(Fact<'static>),
    /// Send TERM to every namesake; answers if there is none.
    CloseNamesakes,
    /// Send KILL to the namesakes that are left.
    KillNamesakes,
    /// Start the child; answers. The answer is its pid or the failure.
    Spawn {
        restarts: u32,
    },
    /// Send a signal to the living child; answers if the kernel does not permit it. Other signals
    /// may follow in the step, because the answer changes only what a later tick does.
    Send {
        signal: Signal,
        to: Recipient,
    },
    /// Begin a check of the child, with `CheckEvent::Done` as its result; answers if the result is
    /// known at once. No other check of the child is under way.
    StartCheck {
        kind: CheckKind,
    },
    /// Cancel the check that is under way. No result of it is reported any more, not even one that
    /// waits in a queue.
    CancelCheck,
    /// Send KILL to every process of the child's cgroup, if it has one.
    KillCgroup,
    /// Send TERM and CONT to what is left of the former group; answers if nothing is.
    EndGroup,
    /// Look whether anything is left of the former group; answers if nothing is.
    ProbeGroup,
    /// Send KILL to what is left of the former group.
    KillGroup,
    /// Send TERM and CONT to the rest; answers if nothing is left.
    EndRest,
    /// Look whether anything of the rest is left; answers.
    ProbeRest,
    /// Send KILL to the rest.
    KillRest,
    /// End frigate's work for this child, with this outcome.
    Exit(Outcome),
}

/// The actions of one step, in order.
///
/// The size is fixed, so that no step allocates. No step has as many as eight actions: a test
/// checks this for every state and event.
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
    /// Sends a signal. KILL for the group also goes to the cgroup, which holds the processes that
    /// have left the group.
    pub(crate) fn send(&mut self, signal: Signal, to: Recipient) {
        if signal == Signal::KILL && to == Recipient::Group {
            self.push(Action::KillCgroup);
        }
        self.push(Action::Send { signal, to });
    }

    pub(crate) fn report(&mut self, fact: Fact<'static>) {
        self.push(Action::Report(fact));
    }

    /// Reports that leftovers get KILL, unless they had no time before it. KILL is expected then.
    pub(crate) fn report_leftovers_killed(&mut self, grace: Duration) {
        if !grace.is_zero() {
            self.push(Action::ReportIfAnyLeft(Fact::LeftoversKilled { grace }));
        }
    }

    /// Reports that KILL does not end the leftovers.
    pub(crate) fn report_leftovers_left(&mut self) {
        let (pid, reason) = (None, SURVIVES_KILL);
        self.push(Action::ReportIfAnyLeft(Fact::LeftBehind { pid, reason }));
    }
}

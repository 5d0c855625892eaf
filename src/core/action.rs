//! What the core asks the rim to do, and the short list it is handed over in.

use crate::core::fact::Fact;
use crate::core::signal::Signal;
use crate::core::status::Outcome;

/// One deed for the rim. Those marked "answers" come back as an event at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Say it, if the verbosity has it.
    Say(Fact<'static>),
    /// Send TERM to every other process of the command's name; answers whether there is any.
    CloseOthers,
    /// Send KILL to those that are left of them.
    KillOthers,
    /// Start the child; answers with its pid or the failure.
    Spawn { restarts: u32 },
    /// Nothing will be started again: let go of the directory and the descriptors that only a child
    /// needs.
    Release,
    /// Send a signal to the living child: to its group or to it alone, with the value of the signal
    /// just received or not; answers if frigate is not allowed to.
    Send {
        signal: Signal,
        alone: bool,
        queued: bool,
    },
    /// Send TERM and CONT to what is left of the former child's group; answers if nothing is.
    EndGroup,
    /// Look whether anything is left of the former child's group; answers if nothing is.
    ProbeGroup,
    /// Send KILL to what is left of the former child's group.
    KillGroup,
    /// Reap whatever has ended; answers with each end, and with whether any child is left.
    Sweep,
    /// Send TERM and CONT to every process that is left.
    EndAll,
    /// Send KILL to every process that is left.
    KillAll,
    /// Make the child's group the terminal's foreground group, if frigate's is; then send the child
    /// CONT, if so asked.
    GiveTerminal { and_continue: bool },
    /// Make frigate's group the terminal's foreground group, if the child's is.
    TakeTerminal,
    /// Stop frigate itself, with its job, until somebody sends CONT.
    Suspend,
    /// End with that outcome.
    Exit(Outcome),
}

/// The actions of one step, in order. Fixed in size so that no step allocates; eight is more than
/// any step has, which the tests hold against every state and event.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    items: [Option<Action>; 8],
    len: usize,
}

impl Actions {
    #[inline(never)]
    pub(crate) fn push(&mut self, action: Action) {
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = Some(action);
            self.len += 1;
        }
    }

    pub(crate) fn extend(&mut self, action: Option<Action>) {
        if let Some(action) = action {
            self.push(action);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Action> + '_ {
        self.items.iter().flatten().copied()
    }

    #[cfg(test)]
    pub(crate) fn is_full(&self) -> bool {
        self.len == self.items.len()
    }
}

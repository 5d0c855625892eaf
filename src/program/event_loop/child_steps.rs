//! The steps of one child: what the core decides, and how the binary performs it.

use crate::child::driver::Child;
use crate::core::action::Actions;
use crate::core::dispatch::{Dispatcher, Event, ProgramAction};
use crate::core::step::StepTaker;
use crate::program::process_tree::ProcessTree;
use crate::sys::{clock, descriptors, signals};

/// What a step needs. The queue of events is not part of it, so that no answer can get behind the
/// events that wait.
pub(super) struct ChildSteps<'a> {
    pub(super) child: &'a mut Child,
    pub(super) tree: &'a mut ProcessTree,
    pub(super) dispatcher: &'a mut Dispatcher,
}

impl StepTaker for ChildSteps<'_> {
    type Event = Event;
    type Action = ProgramAction;

    fn decide(&mut self, event: Event, actions: &mut Actions<ProgramAction>) {
        let supervisor = &mut self.child.supervisor;
        self.dispatcher
            .step(supervisor, event, clock::now(), actions);
    }

    fn perform(&mut self, action: ProgramAction) -> Option<Event> {
        match action {
            ProgramAction::Child(action) => {
                let answer = self.child.perform(action, self.tree);
                return answer.map(Event::Supervisor);
            }
            ProgramAction::Reap => self.tree.is_reaping_due = true,
            ProgramAction::ReleaseDescriptors => descriptors::release(),
            ProgramAction::GiveTerminal { and_continue } => {
                let terminal = &mut self.tree.terminal;
                let is_given = self.child.pid().is_some_and(|pid| terminal.give_to(pid));
                // If the child did not get the terminal, CONT would only make it ask for the
                // terminal and be suspended again, without end.
                if is_given && and_continue {
                    self.child.resume(self.tree);
                }
            }
            ProgramAction::TakeTerminal => self.tree.terminal.take_back(),
            ProgramAction::Suspend => signals::suspend_own_job(),
        }
        None
    }
}

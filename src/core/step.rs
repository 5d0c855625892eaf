//! The order of a step: an event, a decision, its actions, and then their answer.

use crate::core::action::Actions;

/// What takes steps for one child: the core, which decides, and the rim, which performs.
pub(crate) trait StepTaker {
    type Event;
    type Action: Copy;

    /// Lets the core decide what follows from the event.
    fn decide(&mut self, event: Self::Event, actions: &mut Actions<Self::Action>);

    /// Performs one action. Returns its answer, if it has one.
    fn perform(&mut self, action: Self::Action) -> Option<Self::Event>;

    /// Takes a step for the event, and then one for each answer. The caller's next event comes
    /// after them all, because the core must know an answer when it takes that event: a stop must
    /// not find a start whose result is unknown.
    fn take_step(&mut self, event: Self::Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let mut actions = Actions::new();
            self.decide(event, &mut actions);
            for action in actions.iter() {
                // A step has one answer. Two signals of a step may have the same.
                next = self.perform(action).or(next);
            }
        }
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;

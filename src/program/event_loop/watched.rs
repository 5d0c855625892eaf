//! The changes of watched paths.

use crate::core::moment::Moment;
use crate::program::event_loop::{EventLoop, MAIN};
use crate::sys::clock;

impl EventLoop {
    /// Returns whether the main child is alive, and no stop has begun. Otherwise changes do not
    /// matter.
    pub(super) fn is_child_running(&self) -> bool {
        let child = self.children.get(MAIN);
        child.is_some_and(|child| child.supervisor.is_running())
    }

    /// Returns the first of `deadline` and the deadlines of changes.
    // Not inlined: what every run executes has 416 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(super) fn first_with_changes(&self, deadline: Option<Moment>) -> Option<Moment> {
        let files = self.tree.watched_files.as_ref();
        let files = files.filter(|_| self.is_child_running());
        let change = files.and_then(|files| files.deadline());
        deadline.into_iter().chain(change).min()
    }

    /// Reads events of the watched paths. What they mean is known when a path is looked at.
    // Not inlined: what every run executes has 144 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(super) fn read_changes(&mut self) {
        let is_running = self.is_child_running();
        let files = self.tree.watched_files.as_mut();
        if let Some(files) = files.filter(|_| is_running) {
            files.read_events(clock::now());
        }
    }

    /// Enqueues the changes that are due.
    // Not inlined: what every run executes has 352 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(super) fn take_changes(&mut self, now: Moment) {
        if !self.is_child_running() {
            return;
        }
        let (files, reporter) = (&mut self.tree.watched_files, &mut self.tree.reporter);
        let Some(files) = files else {
            return;
        };
        while let Some(event) = files.next_change(now, reporter) {
            self.events.push_back((MAIN, event));
        }
    }
}

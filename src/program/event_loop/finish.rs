//! The end of the event loop.

use crate::child::capture;
use crate::core::fact::Fact;
use crate::core::status::Outcome;
use crate::program::event_loop::{EventLoop, MAIN};
use crate::sys::signals::{WakeReason, Watch};

impl EventLoop {
    /// Ends the loop. Not inlined, so that its stack frame, with a message of 2 KiB, is not part of
    /// the sleeping loop's.
    #[inline(never)]
    pub(super) fn finish(&mut self, outcome: Outcome) -> u8 {
        // If the child was left behind, its end was never seen, and so the terminal is still with
        // it.
        self.tree.terminal.take_back();
        self.close_children();
        let code = self.children.get(MAIN).map_or_else(
            || outcome.code(),
            |child| child.supervisor.exit_code(outcome),
        );
        self.tree.reporter.report(&Fact::Finished { outcome, code });
        if code != 0 {
            self.write_termination_message(outcome, code);
        }
        code
    }

    fn close_children(&mut self) {
        let timeout = if self.stop_requests > 1 {
            capture::SHORT_DRAIN_TIMEOUT
        } else {
            capture::DRAIN_TIMEOUT
        };
        let mut wait = |left, watched: &[Watch<'_>]| {
            if let WakeReason::Signal(received) = self.waiter.wait(Some(left), watched) {
                let signal = received.signal();
                let is_stop = signal.is_some_and(|signal| self.dispatcher.is_stop(signal));
                self.stop_requests = self.stop_requests.saturating_add(is_stop.into());
            }
            self.stop_requests > 1
        };
        for child in &mut self.children {
            child.close(timeout, &mut wait, &mut self.tree);
        }
    }

    fn write_termination_message(&mut self, outcome: Outcome, code: u8) {
        let Some(child) = self.children.get(MAIN) else {
            return;
        };
        let supervisor = &child.supervisor;
        let formatter = &self.tree.reporter.formatter;
        let compose = || {
            formatter.termination(
                outcome,
                code,
                supervisor.restarts(),
                supervisor.out_of_memory(),
            )
        };
        if let Err((object, errno, then)) = self.termination_log.write(&compose) {
            self.tree.reporter.report(&Fact::Cannot {
                verb: "write the termination message to",
                object,
                errno,
                then: &then,
            });
        }
    }
}

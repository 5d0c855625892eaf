//! Reaps the processes that have ended.

use crate::child::driver::Child;
use crate::core::dispatch::{Event, Foreground};
use crate::core::fact::Fact;
use crate::core::health::event::CheckEvent;
use crate::core::lifecycle;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, WaitStatus};
use crate::core::supervisor;
use crate::program::event_loop::EventLoop;
use crate::sys::reap::{self, WaitResult};
use crate::sys::signals;

/// How many processes are reaped before other signals are taken, so that a flood of orphans does
/// not delay them for long.
const MOST_REAPED_AT_ONCE: usize = 256;

impl EventLoop {
    /// Reaps what has ended. The core takes the end of a protected child last: what is left then is
    /// alive, and no process that is about to be reaped.
    pub(super) fn reap(&mut self) {
        let mut ended = None;
        let mut has_more = true;
        let mut has_children = true;
        let is_checked = |child: &Child| child.supervisor.rules().checks.is_any();
        let with_stops = self.tree.terminal.is_controlling || self.children.iter().any(is_checked);
        for _ in 0..MOST_REAPED_AT_ONCE {
            match reap::reap_next(with_stops) {
                WaitResult::Changed { pid, status } => {
                    ended = self.handle_status(pid, status).or(ended);
                }
                WaitResult::NothingYet => has_more = false,
                WaitResult::Failed(errno) => {
                    self.record_failure("reap", "children", errno);
                    return;
                }
                WaitResult::NoChild => (has_more, has_children) = (false, false),
            }
            if !has_more {
                break;
            }
        }
        if let Some((index, status)) = ended {
            self.handle_end(index, status);
        }
        if has_more {
            // The rest is reaped after the other pending signals have been taken: this SIGCHLD
            // comes after them.
            let _ = signals::send(self.tree.frigate.pid, Signal::CHLD);
            return;
        }
        for index in 0..self.children.len() {
            let Some(child) = self.children.get_mut(index) else {
                return;
            };
            let is_any = has_children
                || !self.tree.frigate.is_reaper && child.leftovers.probe()
                || self.tree.waits_for_everyone
                    && !child.supervisor.is_serving()
                    && signals::is_anyone_left();
            self.enqueue(index, supervisor::Event::Rest { is_any });
        }
    }

    /// Handles what `wait4(2)` reports of one process. Returns the end of a protected child.
    fn handle_status(&mut self, pid: Pid, status: WaitStatus) -> Option<(usize, ExitStatus)> {
        let index = self
            .children
            .iter()
            .position(|child| child.pid() == Some(pid));
        match (index, status) {
            (Some(index), WaitStatus::Ended(status)) => return Some((index, status)),
            (Some(index), WaitStatus::Suspended(signal)) => {
                let foreground = self.tree.terminal.foreground(Some(pid));
                self.events
                    .push_back((index, Event::Suspended { signal, foreground }));
            }
            (None, WaitStatus::Ended(status)) => self.handle_other_end(pid, status),
            (Some(index), WaitStatus::Continued) => {
                let resumed = lifecycle::Event::Check(CheckEvent::Resumed);
                self.enqueue(index, supervisor::Event::Child(resumed));
            }
            (None, WaitStatus::Continued | WaitStatus::Suspended(_)) => {}
        }
        None
    }

    /// Handles the end of a process that is no protected child: the program of a check, or an orphan.
    fn handle_other_end(&mut self, pid: Pid, status: ExitStatus) {
        for index in 0..self.children.len() {
            let Some(child) = self.children.get_mut(index) else {
                break;
            };
            if child.note_other_reaped(pid, status) {
                if let Some(event) = child.poll_check() {
                    self.enqueue(index, event);
                }
                return;
            }
        }
        // Reported without the core, which has no use for orphans: there may be thousands.
        self.tree.reporter.report(&Fact::Orphan { pid, status });
    }

    fn handle_end(&mut self, index: usize, status: ExitStatus) {
        // The end of the child closes the pipe that reports its exec, too. So the exec may not have
        // been seen yet.
        self.poll_executions();
        // The child may have reported something right before its end.
        self.poll_notifications(index);
        let Some(child) = self.children.get_mut(index) else {
            return;
        };
        let foreground = self.tree.terminal.foreground(child.pid());
        let held_terminal = foreground == Foreground::Child;
        let event = child.note_reaped(status, held_terminal);
        self.enqueue(index, event);
    }
}

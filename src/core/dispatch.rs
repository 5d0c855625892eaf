//! What each signal is for: the binary's own part, around the supervisor of its child. It decides
//! what a received signal does, and who has the terminal.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::fact::Fact;
use crate::core::lifecycle;
use crate::core::moment::Moment;
use crate::core::rewrite::Rewrite;
use crate::core::signal::{Sender, Signal, SignalSet};
use crate::core::supervisor::{self, Supervisor};

/// How long the child may take to stop after a stop signal (`signal(7)`) was forwarded to it. If it
/// stops later, the terminal's user did that.
const LONGEST_SUSPEND_DELAY: Duration = Duration::from_secs(2);

/// Where frigate runs; nothing of it changes meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Surroundings {
    /// Standard input is frigate's controlling terminal.
    pub(crate) has_terminal: bool,
    /// A stopped frigate can be resumed: it is not PID 1, and its parent is of the same session.
    pub(crate) is_resumable: bool,
}

/// Which group the terminal's foreground group is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Foreground {
    Frigate,
    Child,
    Other,
}

/// What the binary's event loop reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Supervisor(supervisor::Event),
    Received {
        signal: Signal,
        sender: Sender,
    },
    /// The child was stopped by a signal.
    Suspended {
        signal: Signal,
        foreground: Foreground,
    },
}

/// One deed of the binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProgramAction {
    Child(Action),
    /// Reap everything that has ended; answers with each end, and with whether any child is left.
    Reap,
    /// Nothing will be started again: close the directory and the descriptors that only a child
    /// needs.
    ReleaseDescriptors,
    /// Make the child's group the terminal's foreground group, if frigate's is; then send the child
    /// CONT, if asked to.
    GiveTerminal {
        and_continue: bool,
    },
    /// Make frigate's group the terminal's foreground group, if frigate gave it to the child's.
    TakeTerminal,
    /// Stop frigate itself, with its job, until it is sent CONT.
    Suspend,
}

#[derive(Debug)]
pub(crate) struct Dispatcher {
    stop_on: SignalSet,
    rewrite: Rewrite,
    surroundings: Surroundings,
    /// When a stop signal was forwarded that has not stopped the child yet.
    suspend_forwarded_at: Option<Moment>,
    has_released: bool,
}

impl Dispatcher {
    pub(crate) const fn new(
        stop_on: SignalSet,
        rewrite: Rewrite,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            stop_on,
            rewrite,
            surroundings,
            suspend_forwarded_at: None,
            has_released: false,
        }
    }

    /// Whether this signal asks frigate to end.
    pub(crate) fn is_stop(&self, signal: Signal) -> bool {
        self.rewrite
            .apply(signal)
            .is_some_and(|signal| self.stop_on.contains(signal))
    }

    pub(crate) fn step(
        &mut self,
        child: &mut Supervisor,
        event: Event,
        now: Moment,
        out: &mut Actions<ProgramAction>,
    ) {
        match event {
            Event::Supervisor(event) => self.step_child(child, event, now, out),
            Event::Received { signal, sender } => {
                self.handle_signal(child, signal, sender, now, out);
            }
            Event::Suspended { signal, foreground } => {
                self.handle_suspended(child, signal, foreground, now, out);
            }
        }
    }

    /// Takes a step of the child, with what it means for the terminal and the descriptors.
    fn step_child(
        &mut self,
        child: &mut Supervisor,
        event: supervisor::Event,
        now: Moment,
        out: &mut Actions<ProgramAction>,
    ) {
        match event {
            supervisor::Event::Child(lifecycle::Event::Spawned { .. }) => {
                self.suspend_forwarded_at = None;
            }
            supervisor::Event::Child(lifecycle::Event::Ended { .. })
                if self.surroundings.has_terminal =>
            {
                out.push(ProgramAction::TakeTerminal);
            }
            supervisor::Event::Child(_)
            | supervisor::Event::Rest { .. }
            | supervisor::Event::Tick => {}
        }
        let mut actions = Actions::new();
        child.step(event, now, &mut actions);
        // Before the actions, of which the last may answer.
        if !self.has_released && child.is_last_start() {
            self.has_released = true;
            out.push(ProgramAction::ReleaseDescriptors);
        }
        append(&actions, out);
    }

    fn handle_signal(
        &mut self,
        child: &mut Supervisor,
        signal: Signal,
        sender: Sender,
        now: Moment,
        out: &mut Actions<ProgramAction>,
    ) {
        if signal == Signal::CHLD {
            out.push(ProgramAction::Reap);
            return;
        }
        // Of its own stop, of a reader that went away, of a log file that may not grow
        // (`RLIMIT_FSIZE`).
        if sender == Sender::Frigate && matches!(signal, Signal::TSTP | Signal::PIPE | Signal::XFSZ)
        {
            return;
        }
        let Some(signal) = self.rewrite.apply(signal) else {
            let by_rule = true;
            return report(Fact::Dropped { signal, by_rule }, out);
        };
        let queued = matches!(sender, Sender::Process { queued: true });
        if self.stop_on.contains(signal) && child.is_serving() {
            report(Fact::StopAsked { signal }, out);
            let stop = lifecycle::Event::Stop { signal, queued };
            self.step_child(child, supervisor::Event::Child(stop), now, out);
            return;
        }
        let Some(pid) = child.alive() else {
            let by_rule = false;
            return report(Fact::Dropped { signal, by_rule }, out);
        };
        if matches!(
            signal,
            Signal::STOP | Signal::TSTP | Signal::TTIN | Signal::TTOU
        ) {
            self.suspend_forwarded_at = (sender != Sender::Kernel).then_some(now);
        }
        if signal == Signal::CONT {
            self.suspend_forwarded_at = None;
            if self.surroundings.has_terminal {
                let and_continue = false;
                out.push(ProgramAction::GiveTerminal { and_continue });
            }
        }
        let mut actions = Actions::new();
        actions.report(Fact::Forwarded { signal, pid });
        actions.send(signal, child.rules().recipient(queued));
        append(&actions, out);
        // Ctrl-Z reached frigate because the terminal is not its standard input, so that the child
        // was never given it: the job stops all the same.
        if signal == Signal::TSTP && sender == Sender::Kernel && self.surroundings.is_resumable {
            out.push(ProgramAction::Suspend);
        }
    }

    #[inline(never)]
    fn handle_suspended(
        &mut self,
        child: &Supervisor,
        signal: Signal,
        foreground: Foreground,
        now: Moment,
        out: &mut Actions<ProgramAction>,
    ) {
        let Some(pid) = child.alive().filter(|_| self.surroundings.has_terminal) else {
            return;
        };
        let wants_terminal = signal == Signal::TTIN || signal == Signal::TTOU;
        let forwarded_at = self.suspend_forwarded_at.take();
        let is_forwarded = forwarded_at.is_some_and(|at| now.since(at) < LONGEST_SUSPEND_DELAY);
        if wants_terminal && foreground == Foreground::Frigate {
            // `fg` without a CONT: the shell gave frigate the terminal while the child ran in the
            // background.
            let and_continue = true;
            out.push(ProgramAction::GiveTerminal { and_continue });
        } else if self.surroundings.is_resumable {
            out.push(ProgramAction::TakeTerminal);
            out.push(ProgramAction::Suspend);
        } else if signal == Signal::TSTP && !is_forwarded {
            let mut actions = Actions::new();
            actions.report(Fact::Continued { pid });
            actions.send(Signal::CONT, child.rules().recipient(false));
            append(&actions, out);
        }
    }
}

fn append(actions: &Actions, out: &mut Actions<ProgramAction>) {
    for action in actions.iter() {
        out.push(ProgramAction::Child(action));
    }
}

fn report(fact: Fact<'static>, out: &mut Actions<ProgramAction>) {
    out.push(ProgramAction::Child(Action::Report(fact)));
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;

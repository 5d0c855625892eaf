//! The part of the core that only the binary has. It decides what a received signal does, and which
//! process group has the terminal.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::fact::Fact;
use crate::core::health::event::CheckEvent;
use crate::core::lifecycle;
use crate::core::moment::Moment;
use crate::core::rewrite::Rewrite;
use crate::core::signal::{Sender, Signal, SignalSet};
use crate::core::supervisor::{self, Supervisor};
use crate::core::watch::Reaction;

/// How long after a forwarded TSTP, STOP, TTIN or TTOU the child counts as suspended by it. If the
/// child is suspended later, the user at the terminal did that.
const LONGEST_SUSPEND_DELAY: Duration = Duration::from_secs(2);

/// Where frigate runs. None of this changes while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Surroundings {
    /// Standard input is frigate's controlling terminal.
    pub(crate) has_terminal: bool,
    /// A process can resume frigate after it has suspended itself: frigate is not PID 1, and its
    /// parent is in the same session.
    pub(crate) is_resumable: bool,
}

/// Which process group is the terminal's foreground group.
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
    /// What a path of `--watch` names has changed.
    Changed {
        path: &'static str,
        reaction: Reaction,
    },
    /// A signal has suspended the child.
    Suspended {
        signal: Signal,
        foreground: Foreground,
    },
}

/// What the binary does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProgramAction {
    Child(Action),
    /// Reap every process that has ended. The end of the child is reported, and then whether any
    /// process is left.
    Reap,
    /// Close the working directory and the descriptors that only a start needs: there will be none.
    ReleaseDescriptors,
    /// Make the child's group the terminal's foreground group, if frigate's is. Then send the child
    /// CONT, if `and_continue` says so.
    GiveTerminal {
        and_continue: bool,
    },
    /// Make frigate's group the terminal's foreground group, if frigate gave the terminal to the
    /// child's.
    TakeTerminal,
    /// Suspend frigate itself, with its job, until it gets CONT.
    Suspend,
}

#[derive(Debug)]
pub(crate) struct Dispatcher {
    stop_on: SignalSet,
    /// Signals that ask for a restart of the child. None of them is in `stop_on`.
    restart_on: SignalSet,
    rewrite: Rewrite,
    surroundings: Surroundings,
    /// When a signal was forwarded that suspends the child, and has not suspended it yet.
    suspend_forwarded_at: Option<Moment>,
    has_released: bool,
}

impl Dispatcher {
    pub(crate) const fn new(
        stop_on: SignalSet,
        restart_on: SignalSet,
        rewrite: Rewrite,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            stop_on,
            restart_on,
            rewrite,
            surroundings,
            suspend_forwarded_at: None,
            has_released: false,
        }
    }

    /// Returns whether this signal asks frigate to end.
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
            Event::Changed { path, reaction } => {
                self.handle_change(child, path, reaction, now, out);
            }
            Event::Suspended { signal, foreground } => {
                let suspended = lifecycle::Event::Check(CheckEvent::Suspended);
                self.step_child(child, supervisor::Event::Child(suspended), now, out);
                self.handle_suspended(child, signal, foreground, now, out);
            }
        }
    }

    /// Takes a step of the supervisor, with what it means for the terminal and the descriptors.
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
        // Before the supervisor's actions: the last of them may answer, and such an action is the
        // last of its step.
        let runs_programs = child.rules().checks.run_programs;
        if !self.has_released && child.is_last_start() && !runs_programs {
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
        // frigate has sent these to itself: to suspend its job, by a write to a pipe without a
        // reader, and by a write beyond the largest size of a file (`RLIMIT_FSIZE`).
        if sender == Sender::Frigate && matches!(signal, Signal::TSTP | Signal::PIPE | Signal::XFSZ)
        {
            return;
        }
        // Ctrl-C: a user waits at the terminal.
        let at_once = signal == Signal::INT && sender == Sender::Kernel;
        let Some(signal) = self.rewrite.apply(signal) else {
            let by_rule = true;
            return report(Fact::Dropped { signal, by_rule }, out);
        };
        let queued = matches!(sender, Sender::Process { queued: true });
        if self.stop_on.contains(signal) && child.is_serving() {
            report(Fact::StopAsked { signal }, out);
            let stop = lifecycle::Event::Stop {
                signal,
                queued,
                at_once,
            };
            self.step_child(child, supervisor::Event::Child(stop), now, out);
            return;
        }
        if self.restart_on.contains(signal) && child.is_serving() {
            report(Fact::RestartAsked { signal }, out);
            let restart = supervisor::Event::Child(lifecycle::Event::Restart);
            self.step_child(child, restart, now, out);
            return;
        }
        let Some(pid) = child.alive() else {
            let by_rule = false;
            return report(Fact::Dropped { signal, by_rule }, out);
        };
        self.note_forwarded(signal, sender, now, out);
        let mut actions = Actions::new();
        actions.report(Fact::Forwarded { signal, pid });
        actions.send(signal, child.rules().recipient(queued));
        append(&actions, out);
        // Ctrl-Z has reached frigate because frigate's group has the terminal: the terminal is not
        // its standard input, and so it never gave it to the child. The job is suspended all the
        // same.
        if signal == Signal::TSTP && sender == Sender::Kernel && self.surroundings.is_resumable {
            out.push(ProgramAction::Suspend);
        }
    }

    /// Does what `--watch` asks for after a change. During a stop and between two starts that is
    /// nothing: the next child finds the path as it is.
    // Not inlined: what every run executes has 320 bytes less (`tools/order.ld`).
    #[inline(never)]
    fn handle_change(
        &mut self,
        child: &mut Supervisor,
        path: &'static str,
        reaction: Reaction,
        now: Moment,
        out: &mut Actions<ProgramAction>,
    ) {
        let Some(pid) = child.alive().filter(|_| child.is_running()) else {
            return;
        };
        match reaction {
            Reaction::Signal(signal) => {
                self.note_forwarded(signal, Sender::Frigate, now, out);
                let mut actions = Actions::new();
                actions.report(Fact::Changed {
                    path,
                    signal: Some(signal),
                    pid,
                });
                actions.send(signal, child.rules().recipient(false));
                append(&actions, out);
            }
            Reaction::Restart => {
                let signal = None;
                report(Fact::Changed { path, signal, pid }, out);
                let restart = supervisor::Event::Child(lifecycle::Event::Restart);
                self.step_child(child, restart, now, out);
            }
        }
    }

    /// Keeps when a signal was forwarded that suspends the child. Before CONT, gives the child the
    /// terminal.
    fn note_forwarded(
        &mut self,
        signal: Signal,
        sender: Sender,
        now: Moment,
        out: &mut Actions<ProgramAction>,
    ) {
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
    }

    // Not inlined: what every run executes has 332 bytes less (`tools/order.ld`).
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
            // The shell gave the terminal to frigate while the child ran in the background (`fg`).
            // No CONT came, since the job was not suspended.
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

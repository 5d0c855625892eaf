//! The loop of the binary: sleeps in one call until a signal or a deadline, asks the core, performs
//! what it decides.
//!
//! Architecture invariant: one thread, no handler, no timer. With nothing to do it sleeps in one
//! call, `rt_sigtimedwait(2)` or, if it captures streams, `poll(2)`, without a timeout.

use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use crate::child::capture;
use crate::child::driver::Child;
use crate::core::action::Actions;
use crate::core::dispatch::{Dispatcher, Event, Foreground, ProgramAction};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::lifecycle;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, WaitStatus};
use crate::core::supervisor;
use crate::messages::mistake::Mistake;
use crate::messages::termination;
use crate::program::process_tree::ProcessTree;
use crate::sys::reap::{self, WaitResult};
use crate::sys::signals::{self, ReceivedSignal, SignalWaiter, WakeReason, Watch};
use crate::sys::{clock, descriptors};

/// How many ends are collected before other signals get their turn: a flood of orphans delays none
/// of them for long.
const MAX_ENDS_PER_SWEEP: usize = 256;

/// The child that decides about frigate's own end.
const MAIN: usize = 0;

pub(crate) struct EventLoop {
    children: Vec<Child>,
    tree: ProcessTree,
    dispatcher: Dispatcher,
    termination_log: termination::Log,
    waiter: SignalWaiter,
    /// What was reported and not yet taken, each with the child that it is about.
    events: VecDeque<(usize, Event)>,
    /// A call was refused that frigate cannot do without.
    failure: Option<Mistake>,
    /// How often frigate was asked to end.
    stops: u32,
}

impl EventLoop {
    pub(crate) fn new(
        child: Child,
        tree: ProcessTree,
        dispatcher: Dispatcher,
        termination_log: termination::Log,
    ) -> Self {
        Self {
            children: vec![child],
            tree,
            dispatcher,
            termination_log,
            waiter: SignalWaiter::default(),
            events: VecDeque::new(),
            failure: None,
            stops: 0,
        }
    }

    pub(crate) const fn termination_log(&self) -> &termination::Log {
        &self.termination_log
    }

    /// Runs until the child has ended for good, and everything with it. Returns the exit code.
    ///
    /// # Errors
    ///
    /// The kernel refuses what frigate cannot do without: to take signals, or to reap.
    pub(crate) fn run(&mut self) -> Result<u8, Mistake> {
        self.begin();
        self.settle();
        loop {
            if let Some(mistake) = self.failure.take() {
                self.abandon();
                return Err(mistake);
            }
            if let Some(outcome) = self.outcome() {
                return Ok(self.finish(outcome));
            }
            let deadline = self.children.iter().filter_map(Child::deadline).min();
            let left = deadline.map(|deadline| deadline.since(clock::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.tick();
                // A deadline must not starve the signals, nor they it.
                self.wait(Some(Duration::ZERO));
            } else {
                self.wait(left);
            }
        }
    }

    fn begin(&mut self) {
        for child in 0..self.children.len() {
            self.note(child, supervisor::Event::Child(lifecycle::Event::Begin));
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        self.children.get(MAIN)?.outcome
    }

    /// Leaves no child running that frigate no longer looks after. As PID 1 the kernel ends the
    /// rest.
    #[inline(never)]
    fn abandon(&mut self) {
        for child in &mut self.children {
            child.kill(&mut self.tree);
        }
    }

    #[inline(never)]
    fn fail(&mut self, verb: &str, object: &str, errno: Errno) {
        self.failure = Some(Mistake::refused_call(verb, object, errno));
    }

    fn note(&mut self, child: usize, event: supervisor::Event) {
        self.events.push_back((child, Event::Supervisor(event)));
    }

    fn tick(&mut self) {
        let now = clock::now();
        for child in 0..self.children.len() {
            let deadline = self.children.get(child).and_then(Child::deadline);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.note(child, supervisor::Event::Tick);
            }
        }
        self.settle();
    }

    /// Takes what was reported, and what the actions of each step answer, in order. A sweep is made
    /// between two steps, never inside one.
    fn settle(&mut self) {
        loop {
            while let Some((child, event)) = self.events.pop_front() {
                self.step(child, event);
            }
            if !core::mem::take(&mut self.tree.is_sweep_due) {
                break;
            }
            self.sweep();
        }
    }

    fn step(&mut self, index: usize, event: Event) {
        let Some(child) = self.children.get_mut(index) else {
            return;
        };
        let mut actions = Actions::new();
        self.dispatcher
            .step(&mut child.supervisor, event, clock::now(), &mut actions);
        for action in actions.iter() {
            self.perform(index, action);
        }
    }

    fn perform(&mut self, index: usize, action: ProgramAction) {
        let Some(child) = self.children.get_mut(index) else {
            return;
        };
        match action {
            ProgramAction::Child(action) => {
                if let Some(answer) = child.perform(action, &mut self.tree) {
                    self.note(index, answer);
                }
            }
            ProgramAction::Sweep => self.tree.is_sweep_due = true,
            ProgramAction::Release => self.release(),
            ProgramAction::GiveTerminal { and_continue } => {
                // Without the terminal the child would stop at once for want of it, again and
                // again.
                if let Some(pid) = child.pid()
                    && self.tree.terminal.give(pid)
                    && and_continue
                {
                    child.resume(&mut self.tree);
                }
            }
            ProgramAction::TakeTerminal => self.tree.terminal.take(),
            ProgramAction::Suspend => signals::suspend_own_job(),
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        if self.outcome().is_some() || self.failure.is_some() {
            return;
        }
        // Streams first, child by child, since their number never changes; then the pipes that wait
        // for an exec, which are asked after every wait.
        let mut watches = Vec::new();
        for child in &self.children {
            watches.extend(child.capture.watches());
        }
        for child in &self.children {
            watches.extend(child.until_exec().map(Watch::readable));
        }
        let others_at = watches.len();
        for child in &self.children {
            watches.extend(child.watches());
        }
        let wake = self.waiter.wait(timeout, &watches);
        let ready = self.waiter.ready;
        self.note_executions();
        match wake {
            WakeReason::Signal(received) => self.take(received),
            WakeReason::Failed(errno) => self.fail("wait for", "signals", errno),
            WakeReason::Ready if ready >> others_at > 0 => self.note_other_ends(),
            WakeReason::Ready | WakeReason::Timeout => {}
        }
        self.settle();
        self.tree.received = None;
        // After the signal, but with every wait: neither delays the other by more than one turn.
        self.move_streams(ready);
    }

    fn note_executions(&mut self) {
        for index in 0..self.children.len() {
            if let Some(event) = self.children.get_mut(index).and_then(Child::has_executed) {
                self.note(index, event);
            }
        }
    }

    fn note_other_ends(&mut self) {
        for index in 0..self.children.len() {
            let tree = &mut self.tree;
            let event = self
                .children
                .get_mut(index)
                .and_then(|child| child.have_others_ended(tree));
            if let Some(event) = event {
                self.note(index, event);
            }
        }
    }

    fn move_streams(&mut self, mut ready: u32) {
        for child in &mut self.children {
            child.move_streams(ready, &mut self.tree);
            ready >>= child.capture.watches().len();
        }
    }

    fn take(&mut self, received: ReceivedSignal) {
        let Some(signal) = received.signal() else {
            return;
        };
        let is_stop = self.dispatcher.is_stop(signal);
        self.stops = self.stops.saturating_add(is_stop.into());
        let sender = received.sender(self.tree.role.own);
        self.tree.received = Some(received);
        self.events
            .push_back((MAIN, Event::Received { signal, sender }));
    }

    /// Reaps what has ended. The end of a protected child is reported after all others, when only
    /// what lives can be left.
    fn sweep(&mut self) {
        let mut ended = None;
        let mut more = true;
        let mut children = true;
        for _ in 0..MAX_ENDS_PER_SWEEP {
            match reap::reap_next(self.tree.terminal.is_controlling) {
                WaitResult::Changed { pid, status } => {
                    ended = self.note_change(pid, status).or(ended);
                }
                WaitResult::NothingYet => more = false,
                WaitResult::Failed(errno) => {
                    self.fail("reap", "children", errno);
                    return;
                }
                WaitResult::NoChild => (more, children) = (false, false),
            }
            if !more {
                break;
            }
        }
        if let Some((index, status)) = ended {
            self.note_end(index, status);
        }
        if more {
            // The rest has its turn after whatever else is pending: this SIGCHLD is queued behind
            // it.
            let _ = signals::send(self.tree.role.own, Signal::CHLD);
            return;
        }
        for index in 0..self.children.len() {
            let Some(child) = self.children.get_mut(index) else {
                return;
            };
            let is_any = children || !self.tree.role.is_reaper && child.leftovers.probe();
            self.note(index, supervisor::Event::Rest { is_any });
        }
    }

    /// Notes what has become of one process. Returns the end of a protected child.
    fn note_change(&mut self, pid: Pid, status: WaitStatus) -> Option<(usize, ExitStatus)> {
        let index = self
            .children
            .iter()
            .position(|child| child.pid() == Some(pid));
        match (index, status) {
            (Some(index), WaitStatus::Ended(status)) => return Some((index, status)),
            (Some(index), WaitStatus::Stopped(signal)) => {
                let foreground = self.tree.terminal.foreground(Some(pid));
                self.events
                    .push_back((index, Event::Stopped { signal, foreground }));
            }
            // There may be thousands; the core would make nothing of them.
            (None, WaitStatus::Ended(status)) => {
                self.tree.reporter.report(&Fact::Orphan { pid, status });
            }
            (_, WaitStatus::Continued) | (None, WaitStatus::Stopped(_)) => {}
        }
        None
    }

    fn note_end(&mut self, index: usize, status: ExitStatus) {
        // Its end closes the pipe that waits for the exec too, and may be seen first.
        self.note_executions();
        let Some(child) = self.children.get_mut(index) else {
            return;
        };
        let foreground = self.tree.terminal.foreground(child.pid());
        let held_terminal = foreground == Foreground::Child;
        let event = child.reaped(status, held_terminal);
        self.note(index, event);
    }

    /// Closes the directory and the descriptors that only a child needs.
    #[inline(never)]
    fn release(&self) {
        let mut keep: Vec<BorrowedFd<'_>> = Vec::new();
        for child in &self.children {
            keep.extend(child.capture.descriptors());
            keep.extend(child.until_exec());
            let pidfd = child
                .process
                .as_ref()
                .and_then(|process| process.pidfd.as_ref());
            keep.extend(pidfd.map(AsFd::as_fd));
            keep.extend(child.leftovers.descriptors().into_iter().flatten());
            keep.extend(child.plan.descriptor());
            keep.extend(child.namesakes.descriptors());
        }
        keep.extend(self.waiter.descriptor());
        keep.extend(self.termination_log.descriptor());
        descriptors::let_go(&keep);
    }

    /// Not inlined, so that its stack frame, with a message of 2 KiB, is not part of the sleeping
    /// loop's.
    #[inline(never)]
    fn finish(&mut self, outcome: Outcome) -> u8 {
        // The end of a child that was left behind was never seen, and so did not bring the terminal
        // back.
        self.tree.terminal.take();
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
        let patience = if self.stops > 1 {
            capture::SHORT_DRAIN_TIMEOUT
        } else {
            capture::DRAIN_TIMEOUT
        };
        let mut wait = |left, watched: &[Watch<'_>]| {
            if let WakeReason::Signal(received) = self.waiter.wait(Some(left), watched) {
                let signal = received.signal();
                let is_stop = signal.is_some_and(|signal| self.dispatcher.is_stop(signal));
                self.stops = self.stops.saturating_add(is_stop.into());
            }
            self.stops > 1
        };
        for child in &mut self.children {
            child.close(patience, &mut wait, &mut self.tree);
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

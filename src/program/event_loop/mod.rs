//! The loop of the binary. It sleeps until a signal or a deadline, asks the core, and performs what
//! the core decides.
//!
//! Architecture invariant: one thread, no handler, no timer. With nothing to do, it sleeps in one
//! call without a timeout: `rt_sigtimedwait(2)` or, if it watches descriptors, `poll(2)`.

mod child_steps;
mod finish;
mod reap;
mod watched;

use core::time::Duration;
use std::collections::VecDeque;

use crate::child::driver::Child;
use crate::core::dispatch::{Dispatcher, Event};
use crate::core::errno::Errno;
use crate::core::lifecycle;
use crate::core::status::Outcome;
use crate::core::step::StepTaker;
use crate::core::supervisor;
use crate::messages::mistake::Mistake;
use crate::messages::termination;
use crate::program::event_loop::child_steps::ChildSteps;
use crate::program::process_tree::ProcessTree;
use crate::program::shown_status::ShownStatus;
use crate::sys::clock;
use crate::sys::signals::{ReceivedSignal, SignalWaiter, WakeReason, Watch};

/// The index of the main child, whose end is frigate's end.
const MAIN: usize = 0;

pub(crate) struct EventLoop {
    children: Vec<Child>,
    tree: ProcessTree,
    dispatcher: Dispatcher,
    termination_log: termination::Log,
    waiter: SignalWaiter,
    /// Events that the core has not taken yet, each with the index of its child.
    events: VecDeque<(usize, Event)>,
    /// The refusal of a system call that frigate cannot do without.
    failure: Option<Mistake>,
    /// How often frigate was asked to end.
    stop_requests: u32,
    /// What `--status` reads; `None` means that nothing is shown.
    pub(crate) shown_status: Option<ShownStatus>,
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
            stop_requests: 0,
            shown_status: None,
        }
    }

    pub(crate) const fn termination_log(&self) -> &termination::Log {
        &self.termination_log
    }

    /// Runs until the main child and the rest have ended for good. Returns the exit code.
    ///
    /// # Errors
    ///
    /// The kernel refuses to let frigate take signals, or reap.
    pub(crate) fn run(&mut self) -> Result<u8, Mistake> {
        // A child may ask for the status as soon as it runs.
        self.show_status();
        self.begin();
        self.process_events();
        self.run_on()
    }

    /// Runs without a command until frigate is asked to stop and the rest has ended. Returns the exit
    /// code.
    ///
    /// # Errors
    ///
    /// As `run`.
    pub(crate) fn run_without_command(&mut self) -> Result<u8, Mistake> {
        self.show_status();
        // Children that frigate has inherited may have ended before it: no CHLD reports that.
        self.tree.is_reaping_due = true;
        self.process_events();
        self.run_on()
    }

    fn run_on(&mut self) -> Result<u8, Mistake> {
        loop {
            if let Some(mistake) = self.failure.take() {
                self.kill_children();
                return Err(mistake);
            }
            if let Some(outcome) = self.outcome() {
                return Ok(self.finish(outcome));
            }
            let mut deadline = self.children.iter().filter_map(Child::wake_time).min();
            if self.tree.watched_files.is_some() {
                deadline = self.first_with_changes(deadline);
            }
            let left = deadline.map(|deadline| deadline.since(clock::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.tick();
                // Signals are taken even if a deadline is always due, and deadlines even if signals
                // never cease.
                self.wait(Some(Duration::ZERO));
            } else {
                self.wait(left);
            }
        }
    }

    fn begin(&mut self) {
        for child in 0..self.children.len() {
            self.enqueue(child, supervisor::Event::Child(lifecycle::Event::Begin));
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        self.children.get(MAIN)?.outcome
    }

    /// Kills the children, since frigate can no longer look after them. If frigate is PID 1, the
    /// kernel ends the rest.
    // Not inlined: what every run executes has 266 bytes less (`tools/order.ld`).
    #[inline(never)]
    fn kill_children(&mut self) {
        for child in &mut self.children {
            child.kill(&mut self.tree);
        }
    }

    fn record_failure(&mut self, verb: &str, object: &str, errno: Errno) {
        self.failure = Some(Mistake::refused_call(verb, object, errno));
    }

    fn enqueue(&mut self, child: usize, event: supervisor::Event) {
        self.events.push_back((child, Event::Supervisor(event)));
    }

    fn tick(&mut self) {
        let now = clock::now();
        for child in 0..self.children.len() {
            let receiver = self.children.get_mut(child);
            if let Some(receiver) = receiver.and_then(|child| child.notifications.as_mut()) {
                receiver.tick(now);
            }
            // Before the tick, which may begin a check, or end one that took too long.
            if let Some(event) = self.children.get_mut(child).and_then(Child::poll_frozen) {
                self.enqueue(child, event);
            }
            let deadline = self.children.get(child).and_then(Child::deadline);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.enqueue(child, supervisor::Event::Tick);
            }
        }
        if self.tree.watched_files.is_some() {
            self.take_changes(now);
        }
        self.process_events();
    }

    /// Lets the core take all events in order. Processes are reaped between two steps, never inside
    /// one.
    fn process_events(&mut self) {
        loop {
            while let Some((child, event)) = self.events.pop_front() {
                self.step(child, event);
            }
            if !core::mem::take(&mut self.tree.is_reaping_due) {
                break;
            }
            self.reap();
        }
    }

    fn step(&mut self, index: usize, event: Event) {
        if let Some(child) = self.children.get_mut(index) {
            let (tree, dispatcher) = (&mut self.tree, &mut self.dispatcher);
            let mut steps = ChildSteps {
                child,
                tree,
                dispatcher,
            };
            steps.take_step(event);
        }
        self.show_status();
    }

    /// Shows the status of the main child, if it has changed.
    fn show_status(&mut self) {
        if let (Some(shown), Some(child)) = (&mut self.shown_status, self.children.get(MAIN)) {
            shown.update(&child.supervisor, &self.tree.name, &child.status_text);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        if self.outcome().is_some() || self.failure.is_some() {
            return;
        }
        // Streams come first, child by child, because their number never changes. Then come the
        // pipes that report an exec: they are polled after every wait.
        let mut watches = Vec::new();
        for child in &self.children {
            watches.extend(child.capture.watches());
        }
        for child in &self.children {
            watches.extend(child.exec_pipe().map(Watch::readable));
        }
        let others_index = watches.len();
        for child in &self.children {
            watches.extend(child.watches());
        }
        if let Some(files) = &self.tree.watched_files {
            // What changes while no child runs is dropped before the next start.
            watches.extend(self.is_child_running().then(|| files.watch()));
        }
        let wake = self.waiter.wait(timeout, &watches);
        let ready = self.waiter.ready;
        self.poll_executions();
        match wake {
            WakeReason::Signal(received) => self.handle_signal(received),
            WakeReason::Failed(errno) => self.record_failure("wait for", "signals", errno),
            WakeReason::Ready if ready >> others_index > 0 => self.poll_others(),
            WakeReason::Ready | WakeReason::Timeout => {}
        }
        self.process_events();
        self.tree.received = None;
        // After the signal, and in every turn: neither delays the other by more than one turn.
        self.move_streams(ready);
    }

    fn poll_executions(&mut self) {
        for index in 0..self.children.len() {
            if let Some(event) = self.children.get_mut(index).and_then(Child::poll_executed) {
                self.enqueue(index, event);
            }
        }
    }

    /// Looks at the checks, at the ends of other processes, and at what children report.
    fn poll_others(&mut self) {
        for index in 0..self.children.len() {
            self.poll_notifications(index);
            let Some(child) = self.children.get_mut(index) else {
                return;
            };
            // Reports of the child and its check come first: the other events may start the next
            // child, to which they do not belong.
            let events = [
                child.poll_frozen(),
                child.poll_check(),
                child.poll_others_ended(&mut self.tree),
            ];
            for event in events.into_iter().flatten() {
                self.enqueue(index, event);
            }
        }
        if self.tree.watched_files.is_some() {
            self.read_changes();
        }
    }

    /// Looks at what a child has reported by itself.
    fn poll_notifications(&mut self, index: usize) {
        let Some(child) = self.children.get_mut(index) else {
            return;
        };
        if child.notifications.is_some() {
            for event in child.poll_notifications(&mut self.tree) {
                self.enqueue(index, event);
            }
            self.show_status();
        }
    }

    fn move_streams(&mut self, mut ready: u32) {
        for child in &mut self.children {
            child.move_streams(ready, &mut self.tree);
            ready >>= child.capture.stream_count();
        }
    }

    fn handle_signal(&mut self, received: ReceivedSignal) {
        let Some(signal) = received.signal() else {
            return;
        };
        let is_stop = self.dispatcher.is_stop(signal);
        self.stop_requests = self.stop_requests.saturating_add(is_stop.into());
        let sender = received.sender(self.tree.frigate.pid);
        self.tree.received = Some(received);
        self.events
            .push_back((MAIN, Event::Received { signal, sender }));
    }
}

//! One protected child of a host program, as frigate's thread drives it.

use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crate::child::capture;
use crate::child::driver::Child;
use crate::child::notify::NotificationReceiver;
use crate::child::rim::Rim;
use crate::core::action::{Action, Actions};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::health::event::CheckEvent;
use crate::core::lifecycle;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::ExitStatus;
use crate::core::step::StepTaker;
use crate::core::supervisor::{Event, Scope};
use crate::library::check_plans::make_checker;
use crate::library::child_setup::ChildSetup;
use crate::library::event::{Event as PublicEvent, EventKind};
use crate::library::host_rim::HostRim;
use crate::library::outcome::Outcome as PublicOutcome;
use crate::library::shared_state::SharedState;
use crate::library::unreaped::TRACED_PAUSE;
use crate::messages::context::MessageContext;
use crate::messages::formatter::MessageFormatter;
use crate::sys::clock;
use crate::sys::host::HostPreExec;
use crate::sys::pidfd::{self, ReapResult};
use crate::sys::signals::{self, Watch};
use crate::sys::spawn::{ChildPlan, Environment, Memory, Pidfd, SpawnPlan, Spawned};

/// The status that is reported if another part of the host was told how the child ended. No status
/// would be false, and 0 would be worse.
const UNKNOWN_STATUS: ExitStatus = ExitStatus::Exited(255);

/// The pause between two looks whether a suspended child goes on. No descriptor reports that, and
/// only the host gets SIGCHLD.
const SUSPENDED_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct ProtectedChild {
    child: Child,
    rim: HostRim,
    /// What was reported and not yet taken.
    events: VecDeque<Event>,
    /// When to try again to reap a child, or the program of a check, that has ended: a tracer has to
    /// detach from it first.
    traced_until: Option<Moment>,
    /// When to look again whether the child goes on. `None` means that it was not found suspended.
    suspended_until: Option<Moment>,
}

impl ProtectedChild {
    /// Takes the setup apart, and starts the child.
    pub(crate) fn new(setup: ChildSetup, host: Pid) -> Self {
        let ChildSetup {
            shared,
            rules,
            checks,
            program,
            capture,
            notifications,
            cgroup: prepared,
        } = setup;
        let checker = make_checker(&checks, &program);
        let name = shared.name.to_string();
        let mut environment = Environment::owned(program.environment);
        if checks.rules.watchdog().is_some() {
            environment.add_watchdog_pid();
        }
        let user = program.confinement.user;
        let ignores_sigchld = false;
        let child_plan = ChildPlan::new(
            program.candidates,
            environment.keep(program.argv),
            environment,
            program.confinement,
            program.mask,
            ignores_sigchld,
        );
        let reports_exec = true;
        let plan = SpawnPlan::new(child_plan, Pidfd::Always, reports_exec, Memory::Copied);
        let command = MessageContext {
            command: name,
            ..program.names.clone()
        };
        let death_signal = if rules.stop.kill {
            Signal::KILL
        } else {
            Signal::TERM
        };
        let mut rim = HostRim {
            shared,
            formatter: MessageFormatter::new(command),
            program_formatter: MessageFormatter::new(program.names),
            pre_exec: HostPreExec {
                death_signal,
                parent: host,
            },
            process_name: program.process_name,
            task_variable: program.task_variable,
            user,
        };
        prepared.report(&mut |fact| rim.report(fact));
        let mut child = Child::new(
            &rules,
            Scope::Group,
            plan,
            prepared.cgroup,
            capture,
            checker,
            false,
        );
        child.notifications = notifications;
        let mut protected = Self {
            child,
            rim,
            events: VecDeque::new(),
            traced_until: None,
            suspended_until: None,
        };
        protected.step(Event::Child(lifecycle::Event::Begin));
        protected
    }

    pub(crate) fn shared(&self) -> &Arc<SharedState> {
        &self.rim.shared
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        let pauses = [self.traced_until, self.suspended_until];
        let deadlines = pauses.into_iter().chain([self.child.wake_time()]);
        deadlines.flatten().min()
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.child.outcome.is_some()
    }

    /// Returns what frigate's thread has to watch for this child. The streams come first.
    pub(crate) fn watches(&self) -> impl Iterator<Item = Watch<'_>> {
        let pidfd = self.pidfd().filter(|_| self.traced_until.is_none());
        let own = [self.child.exec_pipe(), pidfd].into_iter().flatten();
        let streams = self.child.capture.watches().into_iter();
        streams
            .chain(own.map(Watch::readable))
            .chain(self.child.watches())
    }

    fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        let process = self.child.process.as_ref()?;
        process.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Handles what was seen of the descriptors watched for this child: `seen` has one flag for each,
    /// in the order of `watches`.
    pub(crate) fn handle(&mut self, seen: &[bool]) {
        let streams = seen.iter().take(self.child.capture.stream_count());
        let ready = streams
            .enumerate()
            .map(|(bit, is_seen)| u32::from(*is_seen) << bit)
            .sum();
        self.child.move_streams(ready, &mut self.rim);
        self.events.extend(self.child.poll_executed());
        self.poll_notifications();
        self.poll_check();
        if let Some(pidfd) = self.pidfd() {
            match pidfd::reap(pidfd) {
                ReapResult::Alive if pidfd::has_ended(pidfd) => {
                    self.traced_until = Some(clock::now().after(TRACED_PAUSE));
                }
                ReapResult::Alive => {}
                ReapResult::Ended(status) => self.note_end(status),
                ReapResult::ReapedElsewhere => {
                    let name = Arc::clone(&self.rim.shared.name);
                    self.rim.report(&Fact::Cannot {
                        verb: "learn the exit code of",
                        object: &name,
                        errno: Errno::NO_PROCESS,
                        then: "somebody else in this program waits for any child; taking it for 255",
                    });
                    self.note_end(UNKNOWN_STATUS);
                }
            }
        }
        self.events
            .extend(self.child.poll_others_ended(&mut self.rim));
        self.settle();
    }

    pub(crate) fn tick(&mut self) {
        if self.traced_until.is_some_and(|until| clock::now() >= until) {
            self.traced_until = None;
        }
        if let Some(receiver) = &mut self.child.notifications {
            receiver.tick(clock::now());
        }
        if self.child.supervisor.rules().checks.is_any() {
            self.look_whether_suspended();
            self.poll_check();
        }
        self.step(Event::Tick);
    }

    /// Takes what the child has reported by itself.
    fn poll_notifications(&mut self) {
        self.events
            .extend(self.child.poll_notifications(&mut self.rim));
    }

    /// Takes the result of the check that is under way, if there is one. Must be called before the
    /// child is reaped: after its end the next child may be started, to which the result does not
    /// belong.
    fn poll_check(&mut self) {
        if let Some(done) = self.child.poll_check() {
            // The core hears first of a suspended child: what does not run does not answer.
            self.look_whether_suspended();
            self.events.push_back(done);
        }
    }

    fn look_whether_suspended(&mut self) {
        let was_suspended = self.suspended_until.is_some();
        let is_suspended = self.pidfd().is_some_and(pidfd::is_suspended);
        self.suspended_until = is_suspended.then(|| clock::now().after(SUSPENDED_PAUSE));
        let event = match (was_suspended, is_suspended) {
            (false, true) => CheckEvent::Suspended,
            (true, false) => CheckEvent::Resumed,
            (false, false) | (true, true) => return,
        };
        self.events
            .push_back(Event::Child(lifecycle::Event::Check(event)));
    }

    /// Returns the processes of frigate's own that were killed, or have ended, since the last call and
    /// are still to be reaped.
    pub(crate) fn take_unreaped(&mut self) -> Vec<Spawned> {
        self.child.take_unreaped()
    }

    pub(crate) fn stop(&mut self, timeout: Duration) {
        let shared = &self.rim.shared;
        let message = format!("the host asked '{}' to stop", shared.name.escape_debug());
        shared.send(&PublicEvent::new(
            &shared.name,
            EventKind::Stopping { timeout },
            message,
        ));
        self.child.supervisor.limit_grace(timeout, clock::now());
        self.step(Event::Child(lifecycle::Event::Stop {
            signal: Signal::TERM,
            queued: false,
            at_once: true,
        }));
    }

    /// Removes the cgroup and reports the end. Returns the processes that are still to be reaped: the
    /// child if KILL did not end it, and those that close what it has sent.
    pub(crate) fn finish(mut self) -> Vec<Spawned> {
        // First, because the drain below may take longer than those processes may.
        let receiver = self.child.notifications.take();
        let mut unreaped = receiver.map_or_else(Vec::new, NotificationReceiver::close_elsewhere);
        let mut wait = |left, watched: &[Watch<'_>]| {
            signals::poll_watches(watched, Some(left));
            false
        };
        self.child
            .close(capture::DRAIN_TIMEOUT, &mut wait, &mut self.rim);
        let Self { child, rim, .. } = self;
        let (process, outcome) = (child.process, child.outcome);
        // Before the end is reported, so that a listener finds none of these descriptors open.
        drop((child.plan, child.leftovers, child.namesakes, child.capture));
        if let Some(outcome) = outcome {
            let words = |failure| rim.program_formatter.failure_text(failure);
            rim.shared.end(PublicOutcome::of(outcome, words));
        }
        unreaped.extend(process);
        unreaped
    }

    fn note_end(&mut self, status: ExitStatus) {
        // Its end closes the pipe that waits for the exec too, and may be seen first.
        self.events.extend(self.child.poll_executed());
        // The child may have reported something right before its end.
        self.poll_notifications();
        self.events.push_back(self.child.note_reaped(status, false));
        self.rim.shared.set_process(None);
        self.suspended_until = None;
    }

    fn step(&mut self, event: Event) {
        self.events.push_back(event);
        self.settle();
    }

    /// Lets the core take what was reported, in order.
    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            self.take_step(event);
        }
        // Here, because a program may end as soon as its check begins.
        if self.traced_until.is_none() && self.child.is_check_traced() {
            self.traced_until = Some(clock::now().after(TRACED_PAUSE));
        }
    }
}

impl StepTaker for ProtectedChild {
    type Event = Event;
    type Action = Action;

    fn decide(&mut self, event: Event, actions: &mut Actions) {
        self.child.supervisor.step(event, clock::now(), actions);
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        self.child.perform(action, &mut self.rim)
    }
}

//! The rim of one protected child of a host program: performs what `custody` asks for, and tells it
//! what came of it.
//!
//! *Invariant:* a child is signalled and reaped through its pidfd alone. In a host program somebody
//! else may reap it first, and then its number is anybody's.

use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use crate::child::capture;
use crate::child::cgroup::{Prepared, Warning};
use crate::child::driver::Child;
use crate::child::leftovers::Leftovers;
use crate::child::rim::{Rim, Streams};
use crate::core::action::{Actions, Recipient};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::lifecycle;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, SpawnFailure};
use crate::core::supervisor::{Event, Scope};
use crate::library::child_setup::ChildSetup;
use crate::library::event::{Event as PublicEvent, EventKind};
use crate::library::outcome::Outcome as PublicOutcome;
use crate::library::registry;
use crate::library::shared_state::{Process, SharedState};
use crate::messages::message::{Names, Speaker};
use crate::sys::clock;
use crate::sys::host::{self, HostSteps, Look};
use crate::sys::process::Others;
use crate::sys::signals::{self, Watch};
use crate::sys::spawn::{self, Bond, Cgroup, Environment, Pidfd, SpawnPlan, Spawned};

/// What is reported of a child whose end somebody else was told of: no code at all would be a lie,
/// and 0 a worse one.
const UNKNOWN: ExitStatus = ExitStatus::Exited(255);

/// The pause between two looks at a child that has ended in the hands of a tracer: its pidfd would
/// wake the thread at once.
const HELD: core::time::Duration = core::time::Duration::from_millis(50);

/// How the library reaches its child: by a pidfd, since the host may reap the child first.
struct HostRim {
    shared: Arc<SharedState>,
    speaker: Speaker,
    /// For what cannot be started, which is called as it was to be executed.
    program_speaker: Speaker,
    last_steps: HostSteps,
    /// The name that other processes are looked for by, for a task its variable, and the user that
    /// they may have.
    name: Vec<u8>,
    task: Option<Vec<u8>>,
    user: Option<u32>,
}

impl Rim for HostRim {
    fn report(&mut self, fact: &Fact<'_>) {
        for event in PublicEvent::of(
            &self.shared.name,
            fact,
            &self.speaker,
            &self.program_speaker,
        ) {
            self.shared.send(&event);
        }
    }

    fn spawn(
        &mut self,
        plan: &mut SpawnPlan,
        restarts: u32,
        cgroup: Option<Cgroup<'_>>,
        streams: Streams<'_>,
    ) -> Result<Spawned, SpawnFailure> {
        let steps = &self.last_steps;
        let process =
            host::with_all_blocked(|| spawn::spawn(plan, restarts, false, cgroup, streams, steps))?;
        self.shared.set_process(Some(Process {
            pid: process.pid.raw().unsigned_abs(),
            start_time: Instant::now(),
        }));
        Ok(process)
    }

    fn send(&mut self, child: &Spawned, signal: Signal, to: Recipient) -> Result<(), Errno> {
        let Some(pidfd) = &child.pidfd else {
            return Ok(());
        };
        let result = match to {
            Recipient::Group => signals::send_to_group_by_pidfd(pidfd.as_fd(), child.pid, signal),
            Recipient::Child | Recipient::ChildWithValue => {
                signals::send_by_pidfd(pidfd.as_fd(), signal)
            }
        };
        match result {
            // It ends just now.
            Err(Errno::NO_PROCESS) => Ok(()),
            result => result,
        }
    }

    fn find_namesakes(&self) -> Result<Others, Errno> {
        let spared: Vec<Pid> = registry::pids()
            .into_iter()
            .filter_map(|pid| i32::try_from(pid).ok())
            .filter_map(Pid::new)
            .collect();
        let task = self.task.as_deref();
        Others::find_beside(&self.name, task, self.last_steps.parent, self.user, &spared)
    }

    fn end_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event> {
        let is_any = leftovers.end();
        (!is_any).then_some(Event::Rest { is_any })
    }

    fn probe_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event> {
        let is_any = leftovers.look();
        Some(Event::Rest { is_any })
    }

    fn kill_rest(&mut self, leftovers: &mut Leftovers) {
        leftovers.kill_group();
    }

    fn is_any_left(&self, leftovers: &mut Leftovers) -> bool {
        leftovers.look()
    }
}

pub(crate) struct Ward {
    child: Child,
    rim: HostRim,
    /// What was reported and not yet taken.
    events: VecDeque<Event>,
    /// When to look once more at a child that has ended and cannot be reaped yet: a tracer has to
    /// let go of it first.
    held_until: Option<Moment>,
}

impl Ward {
    /// Takes the setup apart, and starts the child.
    pub(crate) fn new(setup: ChildSetup, host: Pid) -> Self {
        let ChildSetup {
            shared,
            rules,
            program,
            capture,
            cgroup: Prepared { group, warnings },
        } = setup;
        let is_adopted = group.as_ref().is_some_and(|group| group.is_adopted);
        let name = shared.name.to_string();
        let mut environment = Environment::owned(program.environment);
        let user = program.confinement.user;
        let plan = SpawnPlan {
            confinement: program.confinement,
            candidates: program.candidates,
            argv: environment.keep(program.argv),
            environment,
            mask: program.mask,
            ignores_sigchld: false,
            pidfd: Pidfd::Always,
            announces_exec: true,
            entrance: None,
            bond: Bond::default(),
        };
        let command = Names {
            command: name,
            ..program.names.clone()
        };
        let death_signal = if rules.kill {
            Signal::KILL
        } else {
            Signal::TERM
        };
        let rim = HostRim {
            shared,
            speaker: Speaker::new(command),
            program_speaker: Speaker::new(program.names),
            last_steps: HostSteps {
                death_signal,
                parent: host,
            },
            name: program.process_name,
            task: program.task_variable,
            user,
        };
        let child = Child::new(rules, Scope::Group, plan, group, capture, false);
        let mut ward = Self {
            child,
            rim,
            events: VecDeque::new(),
            held_until: None,
        };
        for Warning {
            verb,
            object,
            reason,
            then,
        } in &warnings
        {
            ward.rim.report(&Fact::Limit {
                verb,
                object,
                reason,
                then,
            });
        }
        if is_adopted {
            ward.rim.report(&Fact::GroupAdopted);
        }
        ward.take(Event::Child(lifecycle::Event::Begin));
        ward
    }

    pub(crate) fn shared(&self) -> &Arc<SharedState> {
        &self.rim.shared
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        [self.child.deadline(), self.held_until]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.child.outcome.is_some()
    }

    /// What frigate's thread has to watch for it; its streams come first.
    pub(crate) fn watched(&self) -> impl Iterator<Item = Watch<'_>> {
        let pidfd = self.pidfd().filter(|_| self.held_until.is_none());
        let own = [self.child.until_exec(), pidfd].into_iter().flatten();
        let streams = self.child.capture.watches().into_iter();
        streams
            .chain(own.map(Watch::readable))
            .chain(self.child.watches())
    }

    fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        let process = self.child.process.as_ref()?;
        process.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Something of what is watched for it was seen: what, `seen` tells in the order of `watched`.
    pub(crate) fn look(&mut self, seen: &[bool]) {
        let streams = seen.iter().zip(self.child.capture.watches()).enumerate();
        let ready = streams
            .map(|(bit, (is_seen, _))| u32::from(*is_seen) << bit)
            .sum();
        self.child.move_streams(ready, &mut self.rim);
        self.events.extend(self.child.has_executed());
        if let Some(pidfd) = self.pidfd() {
            match host::reap(pidfd) {
                Look::Alive if host::has_ended(pidfd) => {
                    self.held_until = Some(clock::now().after(HELD));
                }
                Look::Alive => {}
                Look::Ended(status) => self.ended(status),
                Look::Taken => {
                    let name = Arc::clone(&self.rim.shared.name);
                    self.rim.report(&Fact::Cannot {
                        verb: "learn the exit code of",
                        object: &name,
                        errno: Errno::NO_PROCESS,
                        then: "somebody else in this program waits for any child; taking it for 255",
                    });
                    self.ended(UNKNOWN);
                }
            }
        }
        self.events
            .extend(self.child.have_others_ended(&mut self.rim));
        self.settle();
    }

    pub(crate) fn tick(&mut self) {
        if self.held_until.is_some_and(|until| clock::now() >= until) {
            self.held_until = None;
        }
        self.take(Event::Tick);
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
        self.take(Event::Child(lifecycle::Event::Stop {
            signal: Signal::TERM,
            queued: false,
        }));
    }

    /// The end: its group is removed, and everybody told. Answers with a child that not even KILL
    /// has ended, which is still to be reaped some day.
    pub(crate) fn finish(mut self) -> Option<Spawned> {
        let mut wait = |left, watched: &[Watch<'_>]| {
            host::wait(watched, Some(left));
            false
        };
        self.child
            .close(capture::DRAIN_TIMEOUT, &mut wait, &mut self.rim);
        let Self { child, rim, .. } = self;
        let (process, outcome) = (child.process, child.outcome);
        // Who hears of the end finds none of its descriptors any more.
        drop((child.plan, child.leftovers, child.namesakes, child.capture));
        if let Some(outcome) = outcome {
            let words = |failure| rim.program_speaker.failure_words(failure);
            rim.shared.end(PublicOutcome::of(outcome, words));
        }
        process
    }

    fn ended(&mut self, status: ExitStatus) {
        // Its end closes the pipe that waits for the exec too, and may be seen first.
        self.events.extend(self.child.has_executed());
        self.events.push_back(self.child.reaped(status, false));
        self.rim.shared.set_process(None);
    }

    fn take(&mut self, event: Event) {
        self.events.push_back(event);
        self.settle();
    }

    /// Takes what was reported, and what the actions of each step answer, in order.
    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let mut actions = Actions::new();
            self.child
                .supervisor
                .step(event, clock::now(), &mut actions);
            for action in actions.iter() {
                self.events
                    .extend(self.child.perform(action, &mut self.rim));
            }
        }
    }
}

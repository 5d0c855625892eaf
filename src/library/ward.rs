//! The rim of one protected child of a host program: performs what `custody` asks for, and tells it
//! what came of it.
//!
//! *Invariant:* a child is signalled and reaped through its pidfd alone. In a host program somebody
//! else may reap it first, and then its number is anybody's.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crate::child::capture::{self, Capture};
use crate::child::cgroup::{Group, Warning};
use crate::child::leftovers::Leftovers;
use crate::core::action::{Action, Actions};
use crate::core::custody::Custody;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::lifecycle::Event;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};
use crate::core::usage::Usage;
use crate::library::event::{Event as PublicEvent, EventKind};
use crate::library::link::{self, Link, Running};
use crate::library::outcome::Outcome as PublicOutcome;
use crate::messages::message::{Names, Speaker};
use crate::sys::clock;
use crate::sys::host::{self, HostSteps, Look};
use crate::sys::process::Others;
use crate::sys::signals::{self, Mask, Watch};
use crate::sys::spawn::{self, Bond, Confinement, Environment, Pidfd, SpawnPlan, Spawned};

/// What is reported of a child whose end somebody else was told of: no code at all would be a lie,
/// and 0 a worse one.
const UNKNOWN: ExitStatus = ExitStatus::Exited(255);

/// The pause between two looks at a child that has ended in the hands of a tracer: its pidfd would
/// wake the thread at once.
const HELD: core::time::Duration = core::time::Duration::from_millis(50);

/// Everything that one child needs, complete before frigate's thread hears of it.
pub(crate) struct Charge {
    pub(crate) link: Arc<Link>,
    pub(crate) rules: Rules,
    pub(crate) candidates: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) confinement: Confinement,
    pub(crate) mask: Mask,
    pub(crate) group: Option<Group>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) capture: Capture,
    pub(crate) names: Names,
    /// The name that other processes are looked for by, and for a task its variable.
    pub(crate) name: Vec<u8>,
    pub(crate) task: Option<Vec<u8>>,
}

pub(crate) struct Ward {
    pub(crate) link: Arc<Link>,
    custody: Custody,
    speaker: Speaker,
    /// For what cannot be started, which is called as it was to be executed.
    program_speaker: Speaker,
    plan: SpawnPlan,
    last_steps: HostSteps,
    leftovers: Leftovers,
    capture: Capture,
    name: Vec<u8>,
    task: Option<Vec<u8>>,
    close_wait: core::time::Duration,
    child: Option<Spawned>,
    others: Others,
    /// When to look once more at a child that has ended and cannot be reaped yet: a tracer has to
    /// let go of it first.
    held_until: Option<Moment>,
    outcome: Option<Outcome>,
}

impl Ward {
    /// Takes the charge over, and starts it.
    pub(crate) fn new(charge: Charge, host: Pid) -> Self {
        let Charge {
            link,
            rules,
            candidates,
            argv,
            environment,
            confinement,
            mask,
            group,
            ..
        } = charge;
        let is_adopted = group.as_ref().is_some_and(|group| group.is_adopted);
        let name = link.name.to_string();
        let mut environment = Environment::owned(environment);
        let mut ward = Self {
            link,
            custody: Custody::new(Rules {
                is_adopted,
                ..rules
            }),
            speaker: Speaker::new(Names {
                command: name,
                ..charge.names.clone()
            }),
            program_speaker: Speaker::new(charge.names),
            plan: SpawnPlan {
                confinement,
                candidates,
                argv: environment.keep(argv),
                environment,
                mask,
                ignores_sigchld: false,
                pidfd: Pidfd::Always,
                announces_exec: true,
                entrance: None,
                bond: Bond::default(),
            },
            last_steps: HostSteps {
                death_signal: if rules.kill {
                    Signal::KILL
                } else {
                    Signal::TERM
                },
                parent: host,
            },
            leftovers: Leftovers::new(group),
            capture: charge.capture,
            name: charge.name,
            task: charge.task,
            close_wait: rules.grace_close.unwrap_or_default(),
            child: None,
            others: Others::default(),
            held_until: None,
            outcome: None,
        };
        for Warning {
            verb,
            object,
            reason,
            then,
        } in &charge.warnings
        {
            ward.say(&Fact::Limit {
                verb,
                object,
                reason,
                then,
            });
        }
        if is_adopted {
            ward.say(&Fact::GroupAdopted);
        }
        ward.tell(Event::Begin);
        ward
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        [self.custody.deadline(), self.held_until]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// What frigate's thread has to watch for it; its streams come first.
    pub(crate) fn watched(&self) -> impl Iterator<Item = Watch<'_>> {
        let child = self.child.iter().filter(|_| self.held_until.is_none());
        let child = child
            .flat_map(|child| [child.until_exec(), child.pidfd.as_ref().map(AsFd::as_fd)])
            .flatten();
        let readable = child.chain(self.others.descriptors()).map(Watch::readable);
        let events = self.leftovers.events().filter(|_| self.child.is_none());
        self.capture
            .watches()
            .into_iter()
            .chain(readable)
            .chain(events.map(Watch::changed))
    }

    /// Something of what is watched for it was seen: what, `seen` tells in the order of `watched`.
    pub(crate) fn look(&mut self, seen: &[bool]) {
        let streams = seen.iter().zip(self.capture.watches()).enumerate();
        let ready = streams
            .map(|(bit, (is_seen, _))| u32::from(*is_seen) << bit)
            .sum();
        self.with_capture(|capture, say| capture.work(ready, say));
        self.look_for_exec();
        if let Some(pidfd) = self.child.as_ref().and_then(|child| child.pidfd.as_ref()) {
            match host::reap(pidfd.as_fd()) {
                Look::Alive if host::has_ended(pidfd.as_fd()) => {
                    self.held_until = Some(clock::now().after(HELD));
                }
                Look::Alive => {}
                Look::Ended(status) => self.ended(status),
                Look::Taken => {
                    self.say(&Fact::Cannot {
                        verb: "learn the exit code of",
                        object: &self.link.name,
                        errno: Errno::NO_PROCESS,
                        then: "somebody else in this program waits for any child; taking it for 255",
                    });
                    self.ended(UNKNOWN);
                }
            }
        }
        if !self.others.is_empty() {
            self.others.forget_ended();
            if self.others.is_empty()
                && let Some(event) = self.others_gone()
            {
                self.tell(event);
            }
        }
        if self.child.is_none() && self.leftovers.is_any && !self.leftovers.look() {
            self.tell(Event::GroupGone);
        }
    }

    pub(crate) fn tick(&mut self) {
        if self.held_until.is_some_and(|until| clock::now() >= until) {
            self.held_until = None;
        }
        self.tell(Event::Tick);
    }

    pub(crate) fn stop(&mut self, timeout: core::time::Duration) {
        let message = format!("the host asked '{}' to stop", self.link.name.escape_debug());
        self.link.tell(&PublicEvent::new(
            &self.link.name,
            EventKind::Stopping { timeout },
            message,
        ));
        let mut actions = Actions::default();
        self.custody.stop(timeout, clock::now(), &mut actions);
        self.perform_all(&actions);
    }

    /// The end: its group is removed, and everybody told. Answers with a child that not even KILL
    /// has ended, which is still to be reaped some day.
    pub(crate) fn finish(mut self) -> Option<Spawned> {
        self.with_capture(|capture, say| {
            let mut wait = |left, watched: &[Watch<'_>]| {
                host::wait(watched, Some(left));
                false
            };
            capture.drain(capture::PATIENCE, &mut wait, say);
        });
        if let Some((path, errno)) = self.leftovers.cgroup.take().and_then(Group::remove) {
            let then = "leaving it behind";
            self.say(&Fact::Cannot {
                verb: "remove",
                object: &path,
                errno,
                then,
            });
        }
        let Self {
            link,
            program_speaker,
            child,
            outcome,
            plan,
            leftovers,
            others,
            capture,
            ..
        } = self;
        // Who hears of the end finds none of its descriptors any more.
        drop((plan, leftovers, others, capture));
        if let Some(outcome) = outcome {
            link.end(PublicOutcome::of(outcome, |failure| {
                program_speaker.failure_words(failure)
            }));
        }
        child
    }

    /// Lets capture do its part, and say what it has to.
    fn with_capture(&mut self, act: impl FnOnce(&mut Capture, &mut dyn FnMut(&Fact<'_>))) {
        let mut capture = core::mem::take(&mut self.capture);
        act(&mut capture, &mut |fact| self.say(fact));
        self.capture = capture;
    }

    fn say(&self, fact: &Fact<'_>) {
        for event in PublicEvent::of(&self.link.name, fact, &self.speaker, &self.program_speaker) {
            self.link.tell(&event);
        }
    }

    /// Takes one event through the core, and what its actions answer right after each.
    fn tell(&mut self, event: Event) {
        let mut actions = Actions::default();
        self.custody.step(event, clock::now(), &mut actions);
        self.perform_all(&actions);
    }

    fn perform_all(&mut self, actions: &Actions) {
        for action in actions.iter() {
            if let Some(answer) = self.perform(action) {
                self.tell(answer);
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Say(fact) => self.say(&fact),
            Action::CloseOthers => return self.close_others(),
            Action::KillOthers => self.signal_others(Signal::KILL),
            Action::Spawn { restarts } => return Some(self.spawn(restarts)),
            Action::Send { signal, alone, .. } => return self.send(signal, alone),
            Action::EndGroup => return (!self.leftovers.end()).then_some(Event::GroupGone),
            Action::ProbeGroup => return (!self.leftovers.look()).then_some(Event::GroupGone),
            Action::KillGroup => {
                if let Some(fact) = self.leftovers.kill() {
                    self.say(&fact);
                }
            }
            Action::Exit(outcome) => self.outcome = Some(outcome),
            // The directory and the descriptors are the host's, and so are the terminal and every
            // other process.
            Action::Release
            | Action::Sweep
            | Action::EndAll
            | Action::KillAll
            | Action::GiveTerminal { .. }
            | Action::TakeTerminal
            | Action::Suspend => {}
        }
        None
    }

    fn spawn(&mut self, restarts: u32) -> Event {
        // One that survived KILL and ends later is of no concern any more.
        self.others = Others::default();
        let (cgroup, streams) = (self.leftovers.make_way(restarts), self.capture.ends());
        let (plan, last_steps) = (&mut self.plan, &self.last_steps);
        match host::with_all_blocked(|| {
            spawn::spawn(plan, restarts, false, cgroup, streams, last_steps)
        }) {
            Ok(child) => {
                let pid = child.pid;
                self.link.set_running(Some(Running {
                    pid: pid.raw().unsigned_abs(),
                    since: Instant::now(),
                }));
                self.child = Some(child);
                Event::Spawned { pid }
            }
            Err(failure) => Event::SpawnFailed(failure),
        }
    }

    fn look_for_exec(&mut self) {
        if self.child.as_mut().is_some_and(Spawned::has_left_frigate)
            && self.plan.failure().is_none()
        {
            self.tell(Event::Executed);
        }
    }

    fn ended(&mut self, status: ExitStatus) {
        // Its end hangs up too, and may be seen first.
        self.look_for_exec();
        let failure = self.plan.failure();
        if let Some(child) = self.child.take() {
            self.leftovers.follow(child);
        }
        self.link.set_running(None);
        let usage = self
            .leftovers
            .cgroup
            .as_mut()
            .map_or(Usage::NONE, |group| group.count(false));
        self.tell(match failure {
            Some(failure) => Event::SpawnFailed(failure),
            None => Event::Ended {
                status,
                held_terminal: false,
                usage,
            },
        });
    }

    fn send(&mut self, signal: Signal, alone: bool) -> Option<Event> {
        if signal == Signal::KILL
            && !alone
            && let Some(fact) = self.leftovers.kill_cgroup()
        {
            self.say(&fact);
        }
        let child = self.child.as_ref()?;
        let pidfd = child.pidfd.as_ref()?;
        let result = if alone {
            signals::send_by_pidfd(pidfd.as_fd(), signal)
        } else {
            signals::send_to_group_by_pidfd(pidfd.as_fd(), child.pid, signal)
        };
        match result {
            // It ends just now.
            Ok(()) | Err(Errno::NO_PROCESS) => return None,
            // It follows the stop signal, whose failure was reported.
            Err(_) if signal == Signal::CONT => {}
            Err(errno) => self.say(&Fact::CannotSignal {
                signal,
                pid: child.pid,
                errno,
            }),
        }
        (result == Err(Errno::NOT_PERMITTED)).then_some(Event::OutOfReach)
    }

    fn close_others(&mut self) -> Option<Event> {
        let spared: Vec<Pid> = link::pids()
            .into_iter()
            .filter_map(|pid| i32::try_from(pid).ok())
            .filter_map(Pid::new)
            .collect();
        let (task, user) = (self.task.as_deref(), self.plan.confinement.user);
        self.others = Others::default();
        match Others::find_beside(&self.name, task, self.last_steps.parent, user, &spared) {
            Ok(others) => self.others = others,
            Err(errno) => {
                let then = "starting all the same; some may go on running";
                self.say(&Fact::Cannot {
                    verb: "look for other processes in",
                    object: "/proc",
                    errno,
                    then,
                });
            }
        }
        self.signal_others(Signal::TERM);
        self.others.is_empty().then_some(Event::OthersGone)
    }

    /// All that were held have ended: there may have been more than could be held at once.
    fn others_gone(&mut self) -> Option<Event> {
        if self.others.is_partial {
            self.close_others()
        } else {
            Some(Event::OthersGone)
        }
    }

    fn signal_others(&self, signal: Signal) {
        let wait = if signal == Signal::TERM {
            self.close_wait
        } else {
            core::time::Duration::ZERO
        };
        self.others.send(signal, |pid, result| match result {
            Ok(()) => self.say(&Fact::OtherSignaled { signal, pid, wait }),
            Err(Errno::NO_PROCESS) => {}
            Err(errno) => self.say(&Fact::CannotSignal { signal, pid, errno }),
        });
    }
}

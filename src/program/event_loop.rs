//! The loop of the binary: sleeps in one call until a signal or a deadline, tells the supervisor,
//! does what it asks.
//!
//! *Invariant:* one thread, no handler, no timer. With nothing to do it sleeps in one call,
//! `rt_sigtimedwait(2)` or, where it captures streams, `poll(2)`, without a timeout.

use std::os::fd::AsFd;

use crate::child::capture::{self, Capture};
use crate::child::cgroup::Group;
use crate::child::leftovers::Leftovers;
use crate::core::action::{Action, Actions};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::fact::Level as Verbosity;
use crate::core::look::Look;
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::signal::Signal;
use crate::core::status::{Outcome, WaitStatus};
use crate::core::supervisor::{Event, Foreground, Supervisor, Surroundings};
use crate::core::usage::Usage;
use crate::messages::mistake::Mistake;
use crate::messages::report::Reporter;
use crate::messages::termination;
use crate::program::config::Config;
use crate::sys::process::{Others, signal_descendants};
use crate::sys::reap::{self, Found};
use crate::sys::signals::{self, Received, Waiter, Wake, Watch};
use crate::sys::spawn::{self, SpawnPlan, Spawned};
use crate::sys::{clock, descriptors, terminal};

/// How many ends are collected before other signals get their turn: a flood of orphans delays none
/// of them for long.
const SWEEP: usize = 256;

/// Where frigate runs.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) own: Pid,
    pub(crate) surroundings: Surroundings,
    /// Orphans come to frigate: it is PID 1, or a subreaper.
    pub(crate) is_reaper: bool,
}

impl Place {
    fn is_init(self) -> bool {
        self.own.raw() == 1
    }
}

pub(crate) struct EventLoop {
    supervisor: Supervisor,
    reporter: Reporter,
    plan: SpawnPlan,
    leftovers: Leftovers,
    capture: Capture,
    /// Whether everything is counted that the group used, because it will be said.
    counts_fully: bool,
    pub(crate) termination_log: termination::Log,
    /// The name that other processes are looked for by.
    name: Vec<u8>,
    place: Place,
    waiter: Waiter,
    child: Option<Spawned>,
    others: Others,
    /// When to look whether anything is left that is not frigate's to reap, once that was asked to
    /// end.
    look: Option<Look>,
    /// A signal did not reach every descendant, and that was said.
    has_missed: bool,
    /// The child's group was made the foreground group, and frigate's not again since.
    gave_terminal: bool,
    /// The signal that is being dealt with.
    received: Option<Received>,
    outcome: Option<Outcome>,
    /// What a filter of system calls refuses that nothing can be done without.
    failure: Option<Mistake>,
    close_wait: core::time::Duration,
    /// How often frigate was asked to stop.
    stops: u32,
}

impl EventLoop {
    pub(crate) fn new(
        config: &Config,
        reporter: Reporter,
        plan: SpawnPlan,
        group: Option<Group>,
        capture: Capture,
        name: Vec<u8>,
        place: Place,
    ) -> Self {
        let is_adopted = group.as_ref().is_some_and(|group| group.is_adopted);
        let rules = Rules {
            is_adopted,
            ..config.rules
        };
        Self {
            supervisor: Supervisor::new(rules, config.stop_on, config.rewrite, place.surroundings),
            reporter,
            plan,
            leftovers: Leftovers::new(group),
            capture,
            counts_fully: config.verbosity >= Verbosity::Info,
            termination_log: termination::Log::Automatic,
            name,
            place,
            waiter: Waiter::default(),
            child: None,
            others: Others::default(),
            look: None,
            has_missed: false,
            gave_terminal: false,
            received: None,
            outcome: None,
            failure: None,
            close_wait: rules.grace_close.unwrap_or_default(),
            stops: 0,
        }
    }

    /// Runs the whole life of the child. Returns the exit code.
    ///
    /// # Errors
    ///
    /// The kernel refuses what frigate cannot do without: to take signals, or to reap.
    pub(crate) fn run(&mut self) -> Result<u8, Mistake> {
        self.tell(Event::Begin);
        let outcome = loop {
            if let Some(mistake) = self.failure.take() {
                // Nothing is left running that nobody looks after; as PID 1 the kernel ends the
                // rest.
                let _ = self.send(Signal::KILL, false, false);
                return Err(mistake);
            }
            if let Some(outcome) = self.outcome {
                break outcome;
            }
            let mut deadline = self.supervisor.deadline();
            if let Some(look) = self.look {
                deadline = Some(deadline.map_or(look.at(), |deadline| deadline.min(look.at())));
            }
            let left = deadline.map(|deadline| deadline.since(clock::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.tell(Event::Tick);
                if self.look.is_some() {
                    self.look_again();
                }
                // A deadline must not starve the signals, nor they it.
                self.wait(Some(core::time::Duration::ZERO));
            } else {
                self.wait(left);
            }
        };
        Ok(self.finish(outcome))
    }

    #[inline(never)]
    fn fail(&mut self, verb: &str, object: &str, errno: Errno) {
        self.failure = Some(Mistake::refused_call(verb, object, errno));
    }

    fn wait(&mut self, timeout: Option<core::time::Duration>) {
        if self.outcome.is_some() {
            return;
        }
        let mut watched = self.capture.watches();
        let streams = (1 << watched.len()) - 1;
        watched.extend(
            self.child
                .iter()
                .filter_map(Spawned::until_exec)
                .map(Watch::readable),
        );
        let told = (1 << watched.len()) - 1;
        for fd in self.others.descriptors() {
            watched.push(Watch::readable(fd));
        }
        let between = self.child.is_none() && self.leftovers.is_any;
        if let Some(events) = self.leftovers.events().filter(|_| between) {
            watched.push(Watch::changed(events));
        }
        let wake = self.waiter.wait(timeout, &watched);
        let ready = self.waiter.ready;
        self.look_for_exec();
        match wake {
            Wake::Signal(received) => self.take(received),
            Wake::Failed(errno) => self.fail("wait for", "signals", errno),
            Wake::Readable if ready & !told == 0 => {}
            Wake::Readable if between => {
                if !self.leftovers.look() {
                    self.tell(Event::GroupGone);
                }
            }
            Wake::Readable => {
                self.others.forget_ended();
                if self.others.is_empty()
                    && let Some(event) = self.others_gone()
                {
                    self.tell(event);
                }
            }
            Wake::Time => {}
        }
        // After the signal, but with every wait: neither delays the other by more than one turn.
        self.capture
            .work(ready & streams, &mut |fact| self.reporter.say(fact));
    }

    fn say(&mut self, fact: Option<Fact<'_>>) {
        if let Some(fact) = fact {
            self.reporter.say(&fact);
        }
    }

    fn look_for_exec(&mut self) {
        if self.child.as_mut().is_some_and(Spawned::has_left_frigate)
            && self.plan.failure().is_none()
        {
            self.tell(Event::Executed);
        }
    }

    fn take(&mut self, received: Received) {
        let Some(signal) = received.signal() else {
            return;
        };
        self.stops = self
            .stops
            .saturating_add(self.supervisor.is_stop(signal).into());
        let sender = received.sender(self.place.own);
        self.received = Some(received);
        self.tell(Event::Received { signal, sender });
        self.received = None;
    }

    /// Takes one event through the supervisor, and what its actions answer right after each.
    fn tell(&mut self, event: Event) {
        let mut actions = Actions::default();
        self.supervisor.step(event, clock::now(), &mut actions);
        for action in actions.iter() {
            if let Some(answer) = self.perform(action) {
                self.tell(answer);
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            // Neither is true of zombies that nobody reaps, or of what no signal has reached.
            Action::Say(Fact::LeftoversKilled { .. } | Fact::LeftBehind { pid: None, .. })
                if !self.is_any_left() => {}
            Action::Say(fact) => self.reporter.say(&fact),
            Action::CloseOthers => return self.close_others(),
            Action::KillOthers => self.signal_others(Signal::KILL),
            Action::Spawn { restarts } => return Some(self.spawn(restarts)),
            Action::Release => {
                let pidfd = self
                    .child
                    .as_ref()
                    .and_then(|child| child.pidfd.as_ref())
                    .map(AsFd::as_fd);
                let [directory, kill, events, former] = self.leftovers.descriptors();
                let (waiter, plan) = (self.waiter.descriptor(), self.plan.descriptor());
                let log = self.termination_log.descriptor();
                let mut keep = self.capture.descriptors();
                let until_exec = self.child.as_ref().and_then(Spawned::until_exec);
                for fd in [
                    pidfd, until_exec, directory, kill, events, former, waiter, plan, log,
                ]
                .into_iter()
                .flatten()
                {
                    keep.push(fd);
                }
                for fd in self.others.descriptors() {
                    keep.push(fd);
                }
                descriptors::let_go(&keep);
            }
            Action::Send {
                signal,
                alone,
                queued,
            } => return self.send(signal, alone, queued),
            Action::EndGroup => return (!self.leftovers.end()).then_some(Event::GroupGone),
            Action::ProbeGroup => return (!self.leftovers.look()).then_some(Event::GroupGone),
            Action::KillGroup => {
                let refused = self.leftovers.kill();
                self.say(refused);
            }
            Action::Sweep => self.sweep(),
            Action::EndAll => self.signal_all(&[Signal::TERM, Signal::CONT]),
            Action::KillAll => {
                let refused = self.leftovers.kill_cgroup();
                self.say(refused);
                if self.place.is_init() {
                    spawn::kill_everyone();
                } else {
                    self.signal_all(&[Signal::KILL]);
                }
            }
            Action::GiveTerminal { and_continue } => self.give_terminal(and_continue),
            Action::TakeTerminal => self.take_terminal(),
            Action::Suspend => signals::stop_own_job(),
            Action::Exit(outcome) => self.outcome = Some(outcome),
        }
        None
    }

    fn spawn(&mut self, restarts: u32) -> Event {
        // One that survived KILL and ends later is of no concern any more.
        self.others = Others::default();
        let foreground =
            self.place.surroundings.terminal && self.foreground() == Foreground::Frigate;
        let cgroup = self.leftovers.make_way(restarts);
        match spawn::spawn(
            &mut self.plan,
            restarts,
            foreground,
            cgroup,
            self.capture.ends(),
            &(),
        ) {
            Ok(child) => {
                let pid = child.pid;
                self.child = Some(child);
                self.gave_terminal = foreground;
                Event::Spawned { pid }
            }
            Err(failure) => Event::SpawnFailed(failure),
        }
    }

    fn send(&mut self, signal: Signal, alone: bool, queued: bool) -> Option<Event> {
        let pid = self.child.as_ref()?.pid;
        if signal == Signal::KILL && !alone {
            let refused = self.leftovers.kill_cgroup();
            self.say(refused);
        }
        let result = match (&self.received, queued, alone) {
            (Some(received), true, _) => signals::requeue(pid, signal, received),
            (_, _, true) => signals::send(pid, signal),
            (_, _, false) => signals::send_to_group_of(pid, signal),
        };
        match result {
            Ok(()) => return None,
            // It follows the stop signal, whose failure was reported.
            Err(_) if signal == Signal::CONT => {}
            Err(errno) => self
                .reporter
                .say(&Fact::CannotSignal { signal, pid, errno }),
        }
        // It is among the descendants that are signalled at the end, and was reported.
        let is_out_of_reach = result == Err(Errno::NOT_PERMITTED);
        self.has_missed |= is_out_of_reach;
        is_out_of_reach.then_some(Event::OutOfReach)
    }

    /// Reaps what has ended. The child's own end is told after the others', when all that can be
    /// left is what lives.
    fn sweep(&mut self) {
        let mut end = None;
        let mut more = true;
        let mut children = true;
        for _ in 0..SWEEP {
            match reap::next(self.place.surroundings.terminal) {
                Found::Changed { pid, status } => {
                    if self.child.as_ref().is_some_and(|child| child.pid == pid) {
                        match status {
                            WaitStatus::Ended(status) => end = Some(status),
                            WaitStatus::Stopped(signal) => {
                                let foreground = self.foreground();
                                self.tell(Event::Stopped { signal, foreground });
                            }
                            WaitStatus::Continued => {}
                        }
                    } else if let WaitStatus::Ended(status) = status {
                        // There may be thousands; the core would make nothing of them.
                        self.reporter.say(&Fact::Orphan { pid, status });
                    }
                }
                Found::NoneYet => more = false,
                Found::Failed(errno) => {
                    self.fail("reap", "children", errno);
                    return;
                }
                Found::NoChild => (more, children) = (false, false),
            }
            if !more {
                break;
            }
        }
        if let Some(status) = end {
            let held_terminal =
                self.place.surroundings.terminal && self.foreground() == Foreground::Child;
            // Its end hangs up too, and may be seen first.
            self.look_for_exec();
            let failure = self.plan.failure();
            if let Some(child) = self.child.take() {
                self.leftovers.follow(child);
            }
            let usage = self
                .leftovers
                .cgroup
                .as_mut()
                .map_or(Usage::NONE, |group| group.count(self.counts_fully));
            self.tell(match failure {
                Some(failure) => Event::SpawnFailed(failure),
                None => Event::Ended {
                    status,
                    held_terminal,
                    usage,
                },
            });
        }
        if more {
            // The rest has its turn after whatever else is pending: this SIGCHLD is queued behind
            // it.
            let _ = signals::send(self.place.own, Signal::CHLD);
        } else {
            let children = children || !self.place.is_reaper && self.leftovers.look();
            self.tell(Event::Swept { children });
        }
    }

    fn signal_all(&mut self, list: &[Signal]) {
        if self.place.is_init() {
            for signal in list {
                let _ = signals::send_to_everyone(*signal);
            }
            return;
        }
        let result = signal_descendants(self.place.own, list);
        if result.is_err() || !self.place.is_reaper {
            self.leftovers.signal(list);
        }
        if let Err(errno) = result
            && !core::mem::replace(&mut self.has_missed, true)
        {
            let then = "only the child's own group is sure to get it";
            self.reporter.say(&Fact::Cannot {
                verb: "signal",
                object: "every descendant",
                errno,
                then,
            });
        }
        if !self.place.is_reaper {
            self.look.get_or_insert(Look::first(clock::now()));
        }
    }

    /// The ends of orphans that do not come to frigate are not told: it looks for them, as between
    /// two starts.
    #[inline(never)]
    fn look_again(&mut self) {
        let now = clock::now();
        if let Some(look) = self.look.filter(|look| now >= look.at()) {
            self.look = Some(look.next(now));
            self.sweep();
        }
    }

    /// Whether a process is left that is alive and that a signal can reach; as PID 1 one is unless
    /// `/proc` shows none.
    fn is_any_left(&mut self) -> bool {
        self.leftovers.look()
            || signal_descendants(self.place.own, &[]).unwrap_or(self.place.is_init())
    }

    #[inline(never)]
    fn close_others(&mut self) -> Option<Event> {
        self.others = Others::default();
        match Others::find(&self.name, self.place.own, self.plan.confinement.user) {
            Ok(others) => self.others = others,
            Err(errno) => {
                let then = "starting all the same; some may go on running";
                self.reporter.say(&Fact::Cannot {
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

    fn signal_others(&mut self, signal: Signal) {
        let wait = if signal == Signal::TERM {
            self.close_wait
        } else {
            core::time::Duration::ZERO
        };
        let reporter = &mut self.reporter;
        self.others.send(signal, |pid, result| match result {
            Ok(()) => reporter.say(&Fact::OtherSignaled { signal, pid, wait }),
            Err(Errno::NO_PROCESS) => {}
            Err(errno) => reporter.say(&Fact::CannotSignal { signal, pid, errno }),
        });
    }

    fn foreground(&self) -> Foreground {
        let group = terminal::foreground().and_then(terminal::Group::visible);
        if group.is_none() {
            Foreground::Other
        } else if group == terminal::own_group() {
            Foreground::Frigate
        } else if group == self.child.as_ref().map(|child| child.pid) {
            Foreground::Child
        } else {
            Foreground::Other
        }
    }

    #[inline(never)]
    fn give_terminal(&mut self, and_continue: bool) {
        let Some(pid) = self.child.as_ref().map(|child| child.pid) else {
            return;
        };
        let given = self.foreground() == Foreground::Frigate && terminal::set_foreground_child(pid);
        self.gave_terminal |= given;
        // Without the terminal the child would stop at once for the want of it, again and again.
        if given && and_continue {
            let _ = self.send(Signal::CONT, false, false);
        }
    }

    /// Where frigate never gave the terminal away, its foreground is the affair of whoever has it.
    fn take_terminal(&mut self) {
        if core::mem::replace(&mut self.gave_terminal, false)
            && let Some(own) = terminal::own_group()
        {
            terminal::set_foreground(own);
        }
    }

    /// On a stack of its own use: while the loop sleeps, none of this takes up memory.
    #[inline(never)]
    fn finish(&mut self, outcome: Outcome) -> u8 {
        // A child that was left behind has never ended, and so the terminal has not come back by
        // that.
        self.take_terminal();
        let patience = if self.stops > 1 {
            capture::HASTE
        } else {
            capture::PATIENCE
        };
        let mut wait = |left, watched: &[Watch<'_>]| {
            if let Wake::Signal(received) = self.waiter.wait(Some(left), watched) {
                let is_stop = received
                    .signal()
                    .is_some_and(|signal| self.supervisor.is_stop(signal));
                self.stops = self.stops.saturating_add(is_stop.into());
            }
            self.stops > 1
        };
        self.capture
            .drain(patience, &mut wait, &mut |fact| self.reporter.say(fact));
        let is_left = self.supervisor.leaves_alone()
            && self
                .leftovers
                .cgroup
                .as_mut()
                .is_some_and(Group::is_populated);
        if !is_left
            && let Some((path, errno)) = self.leftovers.cgroup.take().and_then(Group::remove)
        {
            let then = "leaving it behind";
            self.reporter.say(&Fact::Cannot {
                verb: "remove",
                object: &path,
                errno,
                then,
            });
        }
        let code = self.supervisor.exit_code(outcome);
        self.reporter.say(&Fact::Finished { outcome, code });
        if code != 0 {
            let (speaker, supervisor) = (&self.reporter.speaker, &self.supervisor);
            let compose = || {
                speaker.termination(
                    outcome,
                    code,
                    supervisor.restarts(),
                    supervisor.out_of_memory(),
                )
            };
            if let Err((object, errno, then)) = self.termination_log.write(&compose) {
                let fact = Fact::Cannot {
                    verb: "write the termination message to",
                    object,
                    errno,
                    then: &then,
                };
                self.reporter.say(&fact);
            }
        }
        code
    }
}

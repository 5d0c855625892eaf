//! Performs what the core decides for one protected child, for the binary and the library alike.
//!
//! What differs between the two is behind `Rim`. The binary signals its child by pid, looks after
//! every process around it and writes messages. The library signals its child by pidfd, looks after
//! the child's group and cgroup alone and sends events.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use crate::child::capture::Capture;
use crate::child::cgroup::ChildCgroup;
use crate::child::check::checker::Checker;
use crate::child::leftovers::Leftovers;
use crate::child::namesakes::Namesakes;
use crate::child::notify::{NotificationReceiver, Sender, StatusText};
use crate::child::rim::{Rim, Streams};
use crate::core::action::{Action, Recipient};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::health::event::CheckEvent;
use crate::core::health::notification::Assignment;
use crate::core::health::rules::CheckKind;
use crate::core::lifecycle;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};
use crate::core::supervisor::{Event, Scope, Supervisor};
use crate::core::text::lossy_text;
use crate::core::usage::Usage;
use crate::sys::signals::Watch;
use crate::sys::spawn::{SpawnPlan, Spawned};

/// One protected child, with everything that belongs to it.
pub(crate) struct Child {
    pub(crate) supervisor: Supervisor,
    pub(crate) plan: SpawnPlan,
    pub(crate) leftovers: Leftovers,
    pub(crate) capture: Capture,
    pub(crate) namesakes: Namesakes,
    checker: Checker,
    /// Whether the child's cgroup was frozen when it was last looked at.
    is_frozen: bool,
    /// Takes what the child reports by itself; `None` means that nothing is expected.
    pub(crate) notifications: Option<NotificationReceiver>,
    /// What the child has said last about itself.
    pub(crate) status_text: StatusText,
    pub(crate) process: Option<Spawned>,
    /// Count everything that the cgroup used, because it will be reported.
    counts_full_usage: bool,
    pub(crate) outcome: Option<Outcome>,
}

impl Child {
    pub(crate) fn new(
        rules: &Rules,
        scope: Scope,
        plan: SpawnPlan,
        group: Option<ChildCgroup>,
        capture: Capture,
        checker: Checker,
        counts_full_usage: bool,
    ) -> Self {
        let is_adopted = group.as_ref().is_some_and(|group| group.is_adopted);
        let rules = Rules {
            is_adopted,
            ..*rules
        };
        Self {
            supervisor: Supervisor::new(&rules, scope),
            plan,
            leftovers: Leftovers::new(group),
            capture,
            namesakes: Namesakes::new(rules.grace_close.unwrap_or_default()),
            checker,
            is_frozen: false,
            notifications: None,
            status_text: StatusText::default(),
            process: None,
            counts_full_usage,
            outcome: None,
        }
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// Returns when the supervisor's tick is due; `None` means never.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.supervisor.deadline()
    }

    /// Returns when anything is due; `None` means never.
    pub(crate) fn wake_time(&self) -> Option<Moment> {
        let receiver = self.notifications.as_ref();
        let drop = receiver.and_then(NotificationReceiver::deadline);
        self.deadline().into_iter().chain(drop).min()
    }

    /// Performs one action. Returns its answer, if it has one.
    pub(crate) fn perform(&mut self, action: Action, rim: &mut impl Rim) -> Option<Event> {
        match action {
            Action::Report(fact) => rim.report(&fact),
            Action::ReportIfAnyLeft(fact) => {
                if rim.is_any_left(&mut self.leftovers) {
                    rim.report(&fact);
                }
            }
            Action::CloseNamesakes => {
                let is_none = !self.namesakes.terminate(rim);
                return is_none.then_some(Event::Child(lifecycle::Event::NamesakesGone));
            }
            Action::KillNamesakes => self.namesakes.kill(rim),
            Action::Spawn { restarts } => return Some(Event::Child(self.spawn(restarts, rim))),
            Action::Send { signal, to } => return self.send(signal, to, rim),
            Action::StartCheck { kind } => return self.begin_check(kind, rim),
            Action::CancelCheck => self.checker.cancel(),
            Action::KillCgroup => report_fact(self.leftovers.kill_cgroup(), rim),
            Action::EndGroup => return group_gone(self.leftovers.terminate()),
            Action::ProbeGroup => return group_gone(self.leftovers.probe()),
            Action::KillGroup => report_fact(self.leftovers.kill(), rim),
            Action::EndRest => return rim.end_rest(&mut self.leftovers),
            Action::ProbeRest => return rim.probe_rest(&mut self.leftovers),
            Action::KillRest => {
                report_fact(self.leftovers.kill_cgroup(), rim);
                rim.kill_rest(&mut self.leftovers);
            }
            Action::Exit(outcome) => self.outcome = Some(outcome),
        }
        None
    }

    /// Sends KILL to the child, with its group and its cgroup.
    pub(crate) fn kill(&mut self, rim: &mut impl Rim) {
        report_fact(self.leftovers.kill_cgroup(), rim);
        let _ = self.send(Signal::KILL, Recipient::Group, rim);
    }

    /// Sends CONT to the child and its group.
    pub(crate) fn resume(&self, rim: &mut impl Rim) {
        let _ = self.send(Signal::CONT, Recipient::Group, rim);
    }

    fn spawn(&mut self, restarts: u32, rim: &mut impl Rim) -> lifecycle::Event {
        self.namesakes.forget();
        self.status_text.clear();
        self.is_frozen = false;
        let cgroup = self.leftovers.prepare_for_start(restarts);
        match rim.spawn(
            &mut self.plan,
            restarts,
            cgroup,
            self.capture.child_streams(),
        ) {
            Ok(process) => {
                let pid = process.pid;
                self.process = Some(process);
                lifecycle::Event::Spawned { pid }
            }
            Err(failure) => lifecycle::Event::SpawnFailed(failure),
        }
    }

    fn begin_check(&mut self, kind: CheckKind, rim: &mut impl Rim) -> Option<Event> {
        let cgroup = self.leftovers.cgroup.as_ref().map(ChildCgroup::for_spawn);
        let mut start = |plan: &mut SpawnPlan, streams: Streams<'_>| {
            rim.spawn_check_program(plan, cgroup, streams)
        };
        self.checker.begin(kind, &mut start).map(check_event)
    }

    /// Returns an event if the child's cgroup was frozen, or goes on, since the last call: a child that
    /// does not run is not checked. Must be called before what a check has shown is taken. Without
    /// checks nothing is looked at.
    pub(crate) fn poll_frozen(&mut self) -> Option<Event> {
        let has_checks = self.supervisor.rules().checks.is_any();
        let cgroup = self.leftovers.cgroup.as_mut().filter(|_| has_checks)?;
        let is_alive = self.process.is_some();
        let is_frozen = is_alive && cgroup.is_frozen();
        let was_frozen = core::mem::replace(&mut self.is_frozen, is_frozen);
        match (was_frozen, is_frozen) {
            (false, true) => Some(check_event(CheckEvent::Suspended)),
            (true, false) if is_alive => Some(check_event(CheckEvent::Resumed)),
            (false, false) | (true, _) => None,
        }
    }

    /// Returns the result of the check that is under way, if it has come since the last call.
    pub(crate) fn poll_check(&mut self) -> Option<Event> {
        self.checker.advance().map(check_event)
    }

    /// Takes the end of a process that was reaped and is not the child. Returns whether it was one
    /// of frigate's: if it was the program of a check, `poll_check` has the result then.
    pub(crate) fn note_other_reaped(&mut self, pid: Pid, status: ExitStatus) -> bool {
        let receiver = self.notifications.as_mut();
        receiver.is_some_and(|receiver| receiver.note_reaped(pid))
            || self.checker.note_reaped(pid, status)
    }

    /// Takes what the child has reported by itself. Returns what the core decides on.
    // Not inlined: what every run executes has 3,296 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn poll_notifications(&mut self, rim: &mut impl Rim) -> Vec<Event> {
        let mut events = Vec::new();
        let status_text = &mut self.status_text;
        let Some(receiver) = &mut self.notifications else {
            return events;
        };
        let from = self.process.as_ref().map(|process| Sender {
            child: process.pid,
            cgroup: self.leftovers.cgroup.as_ref(),
            is_last_start: self.supervisor.is_last_start(),
        });
        let failure = receiver.receive(from, &mut |assignment| match assignment {
            Assignment::Notification(notification) => {
                events.push(check_event(CheckEvent::Notified(notification)));
            }
            Assignment::Status(text) => {
                status_text.set(text);
                rim.report(&Fact::ChildStatus {
                    text: &lossy_text(text),
                });
            }
        });
        if let Some(errno) = failure {
            rim.report(&Fact::Cannot {
                verb: "send to",
                object: "NOTIFY_SOCKET",
                errno,
                then: "the manager of frigate does not learn what the child reports",
            });
        }
        events
    }

    /// Returns the processes of frigate's own that were killed, or have ended, since the last call and
    /// are still to be reaped: none in the binary, which reaps every process.
    pub(crate) fn take_unreaped(&mut self) -> Vec<Spawned> {
        let mut unreaped = self.checker.take_unreaped();
        if let Some(receiver) = &mut self.notifications {
            unreaped.extend(receiver.take_unreaped());
        }
        unreaped
    }

    /// Whether the program of a check has ended, and a tracer has to detach from it before
    /// `poll_check` has its result. Nothing reports that.
    pub(crate) fn is_check_traced(&self) -> bool {
        self.checker.is_traced()
    }

    fn send(&self, signal: Signal, to: Recipient, rim: &mut impl Rim) -> Option<Event> {
        let process = self.process.as_ref()?;
        let pid = process.pid;
        let errno = rim.send(process, signal, to).err()?;
        // CONT follows the stop signal, whose failure was reported.
        if signal != Signal::CONT {
            rim.report(&Fact::CannotSignal { signal, pid, errno });
        }
        let is_refused = errno == Errno::NOT_PERMITTED;
        is_refused.then_some(Event::Child(lifecycle::Event::SignalRefused))
    }

    /// Returns the descriptor that becomes readable when the child executes its command or ends.
    pub(crate) fn exec_pipe(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().and_then(Spawned::exec_pipe)
    }

    /// Returns what else has to be watched: namesakes, leftovers of the last child, a frozen child, the
    /// check that is under way, and what the child reports by itself.
    pub(crate) fn watches(&self) -> impl Iterator<Item = Watch<'_>> {
        let is_ending_leftovers = self.process.is_none() && self.supervisor.is_ending_leftovers();
        let leftovers = self.leftovers.events_file().filter(|_| is_ending_leftovers);
        let namesakes = self.namesakes.pidfds().map(Watch::readable);
        let check = self.checker.watch();
        let notifications = self.notifications.as_ref();
        let notifications = notifications.and_then(NotificationReceiver::watch);
        let cgroup = self.leftovers.cgroup.as_ref();
        let cgroup = cgroup.and_then(ChildCgroup::events_file);
        let cgroup = cgroup.filter(|_| self.is_frozen);
        let leftovers = leftovers.or(cgroup).map(Watch::changed);
        let reports = check.into_iter().chain(notifications);
        namesakes.chain(leftovers).chain(reports)
    }

    /// Moves the bytes of the streams that are ready. `ready` has a bit for each, in the order of
    /// `Capture::watches`.
    pub(crate) fn move_streams(&mut self, ready: u32, rim: &mut impl Rim) {
        self.capture.move_ready(ready, &mut |fact| rim.report(fact));
    }

    /// Returns an event if the child has executed its command since the last call.
    pub(crate) fn poll_executed(&mut self) -> Option<Event> {
        let has_left = self.process.as_mut().is_some_and(Spawned::has_left_frigate);
        let is_executed = has_left && self.plan.failure().is_none();
        is_executed.then_some(Event::Child(lifecycle::Event::Executed))
    }

    /// Returns an event if all namesakes, or all leftovers of the last child, have ended.
    pub(crate) fn poll_others_ended(&mut self, rim: &mut impl Rim) -> Option<Event> {
        if self.namesakes.poll_ended(rim) {
            return Some(Event::Child(lifecycle::Event::NamesakesGone));
        }
        if self.process.is_some()
            || !self.supervisor.is_ending_leftovers()
            || !self.leftovers.found_any
        {
            return None;
        }
        if self.supervisor.is_serving() {
            group_gone(self.leftovers.probe())
        } else {
            rim.probe_rest(&mut self.leftovers)
        }
    }

    /// Handles the end of the child, after it was reaped. Returns the event for the core.
    /// `held_terminal` says whether the child's group was the terminal's foreground group.
    pub(crate) fn note_reaped(&mut self, status: ExitStatus, held_terminal: bool) -> Event {
        let failure = self.plan.failure();
        if let Some(process) = self.process.take() {
            self.leftovers.set_former_child(process);
        }
        let cgroup = self.leftovers.cgroup.as_mut();
        let usage = cgroup.map_or(Usage::NONE, |group| {
            group.take_usage(self.counts_full_usage)
        });
        Event::Child(match failure {
            Some(failure) => lifecycle::Event::SpawnFailed(failure),
            None => lifecycle::Event::Ended {
                status,
                held_terminal,
                usage,
            },
        })
    }

    /// Writes out what the streams still hold, within `timeout`, and removes the cgroup.
    /// `Capture::drain` explains `wait`.
    pub(crate) fn close(
        &mut self,
        timeout: Duration,
        wait: &mut dyn FnMut(Duration, &[Watch<'_>]) -> bool,
        rim: &mut impl Rim,
    ) {
        self.capture
            .drain(timeout, wait, &mut |fact| rim.report(fact));
        let cgroup = self.leftovers.cgroup.as_mut();
        if self.supervisor.leaves_leftovers() && cgroup.is_some_and(ChildCgroup::is_populated) {
            return;
        }
        if let Some((path, errno)) = self.leftovers.cgroup.take().and_then(ChildCgroup::remove) {
            rim.report(&Fact::Cannot {
                verb: "remove",
                object: &path,
                errno,
                then: "leaving it behind",
            });
        }
    }
}

fn check_event(event: CheckEvent) -> Event {
    Event::Child(lifecycle::Event::Check(event))
}

fn group_gone(is_any: bool) -> Option<Event> {
    (!is_any).then_some(Event::Child(lifecycle::Event::GroupGone))
}

fn report_fact(fact: Option<Fact<'static>>, rim: &mut impl Rim) {
    if let Some(fact) = fact {
        rim.report(&fact);
    }
}

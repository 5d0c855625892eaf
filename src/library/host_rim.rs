//! How the library reaches one protected child, and reports to the host.
//!
//! Architecture invariant: a child is signaled and reaped through its pidfd alone. The host may reap
//! it first, and then its number may be that of any process.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crate::child::leftovers::Leftovers;
use crate::child::rim::{Rim, Streams};
use crate::core::action::Recipient;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::SpawnFailure;
use crate::core::supervisor::Event;
use crate::library::event::Event as PublicEvent;
use crate::library::registry;
use crate::library::shared_state::{Process, SharedState};
use crate::messages::formatter::MessageFormatter;
use crate::sys::host::{self, HostPreExec};
use crate::sys::process::HeldProcesses;
use crate::sys::signals;
use crate::sys::spawn::{self, Cgroup, SpawnPlan, Spawned};

/// How the library reaches its child: by a pidfd, since the host may reap the child first.
pub(crate) struct HostRim {
    pub(crate) shared: Arc<SharedState>,
    pub(crate) formatter: MessageFormatter,
    /// Names the program instead of the child: for a program that cannot be started.
    pub(crate) program_formatter: MessageFormatter,
    pub(crate) pre_exec: HostPreExec,
    /// The name by which namesakes are found.
    pub(crate) process_name: Vec<u8>,
    /// The variable by which other processes of the same task are found.
    pub(crate) task_variable: Option<Vec<u8>>,
    /// The child's user. Namesakes may be of this user, or of the host's.
    pub(crate) user: Option<u32>,
}

impl Rim for HostRim {
    fn report(&mut self, fact: &Fact<'_>) {
        for event in PublicEvent::of(
            &self.shared.name,
            fact,
            &self.formatter,
            &self.program_formatter,
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
        let steps = self.pre_exec;
        let process = host::with_signals_blocked(|| {
            spawn::spawn(plan, restarts, false, cgroup, streams, steps)
        })?;
        self.shared.set_process(Some(Process {
            pid: process.pid.raw().unsigned_abs(),
            #[expect(clippy::disallowed_methods, reason = "hosts want an `Instant`")]
            start_time: Instant::now(),
        }));
        Ok(process)
    }

    fn spawn_check_program(
        &mut self,
        plan: &mut SpawnPlan,
        cgroup: Option<Cgroup<'_>>,
        streams: Streams<'_>,
    ) -> Result<Spawned, SpawnFailure> {
        // It has no one left to tell when the host ends.
        let steps = HostPreExec {
            death_signal: Signal::KILL,
            ..self.pre_exec
        };
        host::with_signals_blocked(|| spawn::spawn(plan, 0, false, cgroup, streams, steps))
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

    fn find_namesakes(&self) -> Result<HeldProcesses, Errno> {
        let protected: Vec<Pid> = registry::pids()
            .into_iter()
            .filter_map(|pid| i32::try_from(pid).ok())
            .filter_map(Pid::new)
            .collect();
        let task = self.task_variable.as_deref();
        HeldProcesses::find_namesakes_except(
            &self.process_name,
            task,
            self.pre_exec.parent,
            self.user,
            &protected,
        )
    }

    fn end_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event> {
        let is_any = leftovers.terminate();
        (!is_any).then_some(Event::Rest { is_any })
    }

    fn probe_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event> {
        let is_any = leftovers.probe();
        Some(Event::Rest { is_any })
    }

    fn kill_rest(&mut self, leftovers: &mut Leftovers) {
        leftovers.kill_former_group();
    }

    fn is_any_left(&self, leftovers: &mut Leftovers) -> bool {
        leftovers.probe()
    }
}

//! How the binary signals its child, and every process around it: by process id, since only frigate
//! reaps them.

use crate::child::leftovers::Leftovers;
use crate::child::rim::{Rim, Streams};
use crate::core::action::Recipient;
use crate::core::dispatch::Foreground;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::SpawnFailure;
use crate::core::supervisor::{Event, Scope};
use crate::messages::mistake::Mistake;
use crate::messages::report::Reporter;
use crate::program::terminal::Terminal;
use crate::program::watched_files::WatchedFiles;
use crate::sys::clock;
use crate::sys::process::{HeldProcesses, signal_descendants};
use crate::sys::signals::{self, ReceivedSignal};
use crate::sys::spawn::{self, Cgroup, SpawnPlan, Spawned};
use crate::sys::startup;

/// frigate's own process.
#[derive(Clone, Copy)]
pub(crate) struct FrigateProcess {
    pub(crate) pid: Pid,
    /// Whether frigate is PID 1 or a subreaper, so that orphans become its children.
    pub(crate) is_reaper: bool,
}

impl FrigateProcess {
    /// Returns this process, which is not a subreaper yet. Must be called by its first thread.
    pub(crate) fn of_first_thread() -> Result<Self, Mistake> {
        let pid = startup::first_pid()
            .ok_or_else(|| Mistake::new("learn", "the process id").because("it is not positive"))?;
        let is_reaper = pid.raw() == 1;
        Ok(Self { pid, is_reaper })
    }

    /// Becomes a subreaper, unless frigate is PID 1: orphans come to it then.
    pub(crate) fn become_reaper(&mut self, reporter: &mut Reporter) {
        if self.is_reaper {
            return;
        }
        match startup::become_subreaper(self.pid) {
            Ok(()) => self.is_reaper = true,
            Err(errno) => reporter.report(&Fact::Cannot {
                verb: "become",
                object: "subreaper",
                errno,
                then: "orphans of the child will not be reaped here",
            }),
        }
    }

    pub(crate) fn is_init(self) -> bool {
        self.pid.raw() == 1
    }
}

pub(crate) struct ProcessTree {
    pub(crate) frigate: FrigateProcess,
    pub(crate) reporter: Reporter,
    pub(crate) terminal: Terminal,
    /// The name by which namesakes are found.
    pub(crate) name: Vec<u8>,
    /// The child's user. Namesakes may be of this user, or of frigate's.
    pub(crate) user: Option<u32>,
    /// The signal that is being handled, with its value.
    pub(crate) received: Option<ReceivedSignal>,
    /// The paths of `--watch`; `None` means that there are none.
    pub(crate) watched_files: Option<Box<WatchedFiles>>,
    /// Whether processes must be reaped after this step.
    pub(crate) is_reaping_due: bool,
    /// Whether it was reported that a signal did not reach every descendant.
    is_miss_reported: bool,
    /// Whether processes that are no descendants count as left, too: those that entered the PID
    /// namespace from outside (`docker exec`). frigate is PID 1 then.
    pub(crate) waits_for_everyone: bool,
}

impl ProcessTree {
    pub(crate) fn new(
        frigate: FrigateProcess,
        reporter: Reporter,
        has_terminal: bool,
        name: Vec<u8>,
        user: Option<u32>,
    ) -> Self {
        Self {
            frigate,
            reporter,
            terminal: Terminal::new(has_terminal),
            name,
            user,
            received: None,
            watched_files: None,
            is_reaping_due: false,
            is_miss_reported: false,
            waits_for_everyone: false,
        }
    }

    /// Returns what frigate ends when its child has ended for good.
    pub(crate) const fn scope(&self) -> Scope {
        Scope::Everyone {
            reports_ends: self.frigate.is_reaper && !self.waits_for_everyone,
        }
    }

    fn signal_all(&mut self, list: &[Signal], leftovers: &Leftovers) {
        if self.frigate.is_init() {
            for signal in list {
                let _ = signals::send_to_everyone(*signal);
            }
            return;
        }
        let result = signal_descendants(self.frigate.pid, list);
        if result.is_err() || !self.frigate.is_reaper {
            leftovers.signal(list);
        }
        let Err(errno) = result else {
            return;
        };
        if !core::mem::replace(&mut self.is_miss_reported, true) {
            self.reporter.report(&Fact::Cannot {
                verb: "signal",
                object: "every descendant",
                errno,
                then: "only the child's own group is sure to get it",
            });
        }
    }
}

impl Rim for ProcessTree {
    fn report(&mut self, fact: &Fact<'_>) {
        self.reporter.report(fact);
    }

    fn spawn(
        &mut self,
        plan: &mut SpawnPlan,
        restarts: u32,
        cgroup: Option<Cgroup<'_>>,
        streams: Streams<'_>,
    ) -> Result<Spawned, SpawnFailure> {
        // Before the start: what changes from here on, the child may not have seen.
        if let Some(files) = &mut self.watched_files {
            files.begin(clock::now(), &mut self.reporter);
        }
        // The child gets the terminal if frigate has it. Only the kernel knows at this moment: a
        // shell may take it back at any time.
        let foreground = self.terminal.foreground(None) == Foreground::Frigate;
        let process = spawn::spawn(plan, restarts, foreground, cgroup, streams, ())?;
        self.terminal.note_start(foreground);
        Ok(process)
    }

    fn send(&mut self, child: &Spawned, signal: Signal, to: Recipient) -> Result<(), Errno> {
        let pid = child.pid;
        let result = match (to, &self.received) {
            (Recipient::Group, _) => signals::send_to_group_of(pid, signal),
            (Recipient::ChildWithValue, Some(received)) => signals::requeue(pid, signal, received),
            (Recipient::Child | Recipient::ChildWithValue, _) => signals::send(pid, signal),
        };
        // The child is among the descendants that are signaled at the end. The refusal is reported
        // by the caller now, and is not to be reported again.
        self.is_miss_reported |= result == Err(Errno::NOT_PERMITTED);
        result
    }

    fn find_namesakes(&self) -> Result<HeldProcesses, Errno> {
        HeldProcesses::find_namesakes(&self.name, self.frigate.pid, self.user)
    }

    fn end_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event> {
        self.signal_all(&[Signal::TERM, Signal::CONT], leftovers);
        None
    }

    fn probe_rest(&mut self, _: &mut Leftovers) -> Option<Event> {
        self.is_reaping_due = true;
        None
    }

    fn kill_rest(&mut self, leftovers: &mut Leftovers) {
        if self.frigate.is_init() {
            spawn::kill_everyone();
        } else {
            self.signal_all(&[Signal::KILL], leftovers);
        }
    }

    /// Returns whether a process is left. If `/proc` cannot be read, the answer is yes for PID 1,
    /// which ends every process.
    fn is_any_left(&self, leftovers: &mut Leftovers) -> bool {
        leftovers.probe()
            || signal_descendants(self.frigate.pid, &[]).unwrap_or(self.frigate.is_init())
    }
}

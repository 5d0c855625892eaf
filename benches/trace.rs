//! Counts what an init does up to its child's exec, and in a whole run: system calls, and
//! instructions in user mode.
//!
//! It uses ptrace, one step at a time. The processor's own counters would be faster, but most
//! virtual machines have none. These counts are exact: the same on every machine and in every run.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::peer::Arrangement;
use crate::program::Programs;
use crate::trial::{Reports, Trial};

/// The number of instructions after which the count gives up. An interpreter needs hundreds of
/// millions before its own code runs.
const MOST_INSTRUCTIONS: u64 = 1_000_000;
const TOO_MANY: &str = "more than 1,000,000, where counting ends";

/// System calls of one run, including those of the child's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// The init's calls up to its fork, including its own `execve`, and those of the child's side
    /// up to the child's own first call. What the init does beside the child after the fork delays
    /// nothing, and comes in no fixed order.
    pub to_exec: u64,
    /// All calls, until all processes have ended. `None` means that the init does not end.
    pub whole: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Calls,
    Instructions,
}

/// What happens to a task after a stop.
enum Next {
    /// It goes on, and gets the signal.
    GoOn(Option<Signal>),
    Over,
}

#[derive(Debug, Default, Clone, Copy)]
struct Task {
    count: u64,
    /// The address at which the last step ended.
    at: u64,
    /// Whether the task is between the entry of a call and its return.
    inside: bool,
    forked: bool,
    /// How many execs the task has seen. The init's first is that of the init itself. A task that
    /// the init forked begins with none, every other one with as many as its parent.
    executed: u32,
}

struct Tracer {
    init: Pid,
    counted: Counted,
    tasks: BTreeMap<Pid, Task>,
    /// The init's count at the fork of the child.
    before_fork: u64,
    /// The whole count when the child made its first call.
    reached: Option<u64>,
    total: u64,
    /// How many execs below the init instructions still count.
    nested: u32,
    /// The addresses of the instructions that were counted.
    addresses: BTreeSet<u64>,
}

/// Counts system calls. `ends` says whether the init ends with its child.
///
/// # Errors
///
/// This machine does not allow tracing, or the init does not do what it should.
pub fn calls(arrangement: &Arrangement, programs: &Programs, ends: bool) -> Result<Calls, String> {
    let tracer = run(arrangement, programs, Counted::Calls, ends, 0, |_| Ok(()))?;
    let to_exec = tracer.reached.ok_or("its child was not reached")?;
    Ok(Calls {
        to_exec,
        whole: ends.then_some(tracer.total),
    })
}

/// Counts the instructions in user mode from the init's exec to the child's, on both sides of the
/// fork.
///
/// # Errors
///
/// This machine does not allow tracing, the init does not do what it should, or it executes too
/// many instructions.
pub fn instructions(arrangement: &Arrangement, programs: &Programs) -> Result<u64, String> {
    let counted = Counted::Instructions;
    let tracer = run(arrangement, programs, counted, false, 0, |_| Ok(()))?;
    tracer.reached.ok_or_else(|| TOO_MANY.to_owned())
}

/// Returns the addresses of the instructions that the init executes in user mode from its exec to
/// its end, and of those of the child's side up to the child's exec. With `nested`, also returns
/// those of this many inits that run below. Calls `meanwhile` beside the tracing, which may make
/// the inits end.
///
/// # Errors
///
/// This machine does not allow tracing, or the init does not do what it should.
pub fn addresses(
    arrangement: &Arrangement,
    programs: &Programs,
    nested: u32,
    meanwhile: impl FnOnce(&mut Trial) -> Result<(), String> + Send,
) -> Result<BTreeSet<u64>, String> {
    let counted = Counted::Instructions;
    let tracer = run(arrangement, programs, counted, true, nested, meanwhile)?;
    if tracer.total > MOST_INSTRUCTIONS {
        return Err(TOO_MANY.to_owned());
    }
    Ok(tracer.addresses)
}

fn run(
    arrangement: &Arrangement,
    programs: &Programs,
    counted: Counted,
    to_end: bool,
    nested: u32,
    meanwhile: impl FnOnce(&mut Trial) -> Result<(), String> + Send,
) -> Result<Tracer, String> {
    let mut trial = Trial::start(arrangement, programs, Reports::Gated)?;
    let init = Pid::from_raw(trial.init);
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(init, options).map_err(|error| format!("cannot be traced: {error}"))?;
    let mut tracer = Tracer {
        init,
        counted,
        tasks: BTreeMap::new(),
        before_fork: 0,
        reached: None,
        total: 0,
        nested,
        addresses: BTreeSet::new(),
    };
    tracer.tasks.insert(init, Task::default());
    trial.open_gate();
    // Run it beside the tracing, because only the thread that attached can trace.
    let result = std::thread::scope(|scope| {
        let beside = scope.spawn(|| meanwhile(&mut trial));
        let followed = tracer.follow(to_end);
        let done = beside.join().map_err(|_| "a thread panicked".to_owned());
        followed.and(done.and_then(|done| done))
    });
    tracer.kill_all(&trial);
    drop(trial);
    result.map(|()| tracer)
}

impl Tracer {
    fn follow(&mut self, to_end: bool) -> Result<(), String> {
        while !self.tasks.is_empty() {
            let reached = !to_end && self.reached.is_some();
            let too_many = self.counted == Counted::Instructions && self.total > MOST_INSTRUCTIONS;
            if reached || too_many {
                return Ok(());
            }
            let Some((pid, status)) = self.next()? else {
                continue;
            };
            if let Next::GoOn(deliver) = self.take(pid, status) {
                self.resume(pid, deliver);
            }
        }
        Ok(())
    }

    /// Kills all tasks. The starter learns of the init's end only after the tracer has.
    fn kill_all(&mut self, trial: &Trial) {
        if !self.tasks.is_empty() {
            let _gone = trial.signal(Signal::SIGKILL);
        }
        while !self.tasks.is_empty() {
            match self.next() {
                Ok(Some((pid, WaitStatus::Exited(..) | WaitStatus::Signaled(..)))) => {
                    self.tasks.remove(&pid);
                }
                Ok(Some((pid, _))) => drop(ptrace::cont(pid, None)),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    /// Returns the next stop of one of the traced tasks. Asks them one by one, because a wait for
    /// any child would also take the starter's end.
    fn next(&mut self) -> Result<Option<(Pid, WaitStatus)>, String> {
        let until = crate::trial::now() + 20_000_000_000;
        loop {
            for pid in self.tasks.keys().copied().collect::<Vec<_>>() {
                match waitpid(pid, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                    Ok(WaitStatus::StillAlive) => {}
                    Ok(status) => return Ok(Some((pid, status))),
                    Err(Errno::ECHILD) => {
                        self.tasks.remove(&pid);
                        return Ok(None);
                    }
                    Err(error) => return Err(format!("cannot be traced: {error}")),
                }
            }
            if crate::trial::now() > until {
                return Err("it makes no progress under a tracer".into());
            }
            std::thread::yield_now();
        }
    }

    /// Records what a stop means. Returns what happens next.
    fn take(&mut self, pid: Pid, status: WaitStatus) -> Next {
        let counting = self.counting(pid);
        match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                self.tasks.remove(&pid);
                Next::Over
            }
            WaitStatus::PtraceSyscall(_) => {
                let task = self.tasks.entry(pid).or_default();
                task.inside = !task.inside;
                if task.inside && counting && self.counted == Counted::Calls {
                    self.count(pid);
                    // This is the first call that the child itself makes: it has been executed, and
                    // is running.
                    if pid != self.init
                        && self.tasks.get(&pid).is_some_and(|task| task.executed > 0)
                    {
                        self.reach(pid);
                    }
                }
                Next::GoOn(None)
            }
            WaitStatus::PtraceEvent(_, _, event) => {
                self.take_event(pid, event);
                Next::GoOn(None)
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) if self.counted == Counted::Instructions => {
                if counting && let Some(address) = self.moved_to(pid) {
                    self.count(pid);
                    self.addresses.insert(address);
                }
                Next::GoOn(None)
            }
            WaitStatus::Stopped(_, signal) => Next::GoOn(Some(signal)),
            _ => Next::GoOn(None),
        }
    }

    fn take_event(&mut self, pid: Pid, event: i32) {
        match event {
            libc::PTRACE_EVENT_EXEC => {
                let task = self.tasks.entry(pid).or_default();
                task.executed += 1;
                if pid == self.init {
                    // The child's `execve` is its first call. The child entered it before its calls
                    // were traced.
                    if task.executed == 1 && self.counted == Counted::Calls {
                        task.inside = true;
                        self.count(pid);
                    }
                } else if self.counted == Counted::Instructions {
                    self.reach(pid);
                }
            }
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                let new = ptrace::getevent(pid).unwrap_or_default();
                let task = self.tasks.entry(pid).or_default();
                let begun = Task {
                    executed: if pid == self.init { 0 } else { task.executed },
                    ..Task::default()
                };
                if pid == self.init && !task.forked {
                    task.forked = true;
                    self.before_fork = task.count;
                }
                if let Ok(new) = i32::try_from(new) {
                    self.tasks.insert(Pid::from_raw(new), begun);
                }
            }
            _ => {}
        }
    }

    /// Returns whether a task counts. Before the init's exec nothing counts, because it is the
    /// starter's. After it, all calls count, but only instructions of an init's own code.
    fn counting(&self, pid: Pid) -> bool {
        let executed = self.tasks.get(&pid).map_or(0, |task| task.executed);
        match self.counted {
            _ if pid == self.init => executed > 0,
            Counted::Calls => true,
            Counted::Instructions => executed <= self.nested,
        }
    }

    /// Returns the address that the task has moved to. A string instruction stops after each
    /// repetition, but counts as one instruction, as it does for the processor's own counters.
    fn moved_to(&mut self, pid: Pid) -> Option<u64> {
        let at = ptrace::getregs(pid).map_or(0, |registers| registers.rip);
        let task = self.tasks.entry(pid).or_default();
        (core::mem::replace(&mut task.at, at) != at).then_some(at)
    }

    fn count(&mut self, pid: Pid) {
        self.tasks.entry(pid).or_default().count += 1;
        self.total += 1;
    }

    fn reach(&mut self, child: Pid) {
        let own = self.tasks.get(&child).map_or(0, |task| task.count);
        self.reached.get_or_insert(self.before_fork + own);
    }

    fn resume(&self, pid: Pid, deliver: Option<Signal>) {
        // A task that has just been killed cannot go on, and need not.
        let _gone = match self.counted {
            Counted::Calls => ptrace::syscall(pid, deliver),
            Counted::Instructions if self.counting(pid) => ptrace::step(pid, deliver),
            Counted::Instructions => ptrace::cont(pid, deliver),
        };
    }
}

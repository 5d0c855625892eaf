//! Counting what an init does up to its child's exec, and for a whole run: system calls, and
//! instructions in user mode.
//!
//! By ptrace and one step at a time. The processor's own counters would be faster, but a virtual
//! machine mostly has none, and these counts are exact: the same on every machine and in every run.

use std::collections::{BTreeMap, BTreeSet};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::peer::Arrangement;
use crate::program::Programs;
use crate::trial::{Reports, Trial};

/// Steps after which one gives up; an interpreter needs hundreds of millions to get as far as its
/// own code.
const MOST_INSTRUCTIONS: u64 = 1_000_000;
const TOO_MANY: &str = "more than 1,000,000, where counting ends";

/// System calls of one run. Those of the child's side are among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// The init's up to its fork, its own `execve` included, and those of the child's side to the
    /// first that the child itself makes. What the init does beside the child after the fork delays
    /// nothing and comes in no fixed order.
    pub to_exec: u64,
    /// All, until everybody has ended; none where the init does not end.
    pub whole: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Calls,
    Instructions,
}

/// What becomes of a task after a stop.
enum Next {
    /// It goes on, and gets the signal.
    GoOn(Option<Signal>),
    Over,
}

#[derive(Debug, Default, Clone, Copy)]
struct Task {
    count: u64,
    /// Where the last step ended.
    at: u64,
    /// Between the entry of a call and its return.
    inside: bool,
    forked: bool,
    /// Execs so far; the init's first is the init itself. A task that the init forked begins with
    /// none, every other with as many as its parent.
    executed: u32,
}

struct Tracer {
    init: Pid,
    counted: Counted,
    tasks: BTreeMap<Pid, Task>,
    /// The init's count at the fork of the child.
    before_fork: u64,
    /// The whole count when the child was reached.
    reached: Option<u64>,
    total: u64,
    /// Execs below the init after which instructions still count.
    nested: u32,
    /// Where the instructions were that were counted.
    addresses: BTreeSet<u64>,
}

/// Counts system calls; `ends` tells whether the init ends with its child.
///
/// # Errors
///
/// No tracing here, or the init does not behave.
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
/// As above, or there are too many.
pub fn instructions(arrangement: &Arrangement, programs: &Programs) -> Result<u64, String> {
    let counted = Counted::Instructions;
    let tracer = run(arrangement, programs, counted, false, 0, |_| Ok(()))?;
    tracer.reached.ok_or_else(|| TOO_MANY.to_owned())
}

/// Returns the addresses of the instructions that the init executes in user mode from its exec to
/// its end, and those of the child's side up to the child's exec; with `nested`, the same of as many
/// inits that run below. `meanwhile` runs beside them, and may make them end.
///
/// # Errors
///
/// As above.
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
    // Beside the tracing, which only the thread that attached can do.
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

    /// The starter learns of the init's end only after the tracer has.
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

    /// The next stop of one of the traced. They are asked one by one: a wait for any child would
    /// take the starter's end too.
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

    /// Notes what a stop means. Returns what comes next.
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
                    // The first call that the child itself makes: it has been executed, and runs.
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
                    // The `execve` that made it is its first call, entered before it was traced by
                    // calls.
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

    /// Before the init's exec nothing counts; it is the starter's. Calls of all others do; of their
    /// instructions only those of an init's own code.
    fn counting(&self, pid: Pid) -> bool {
        let executed = self.tasks.get(&pid).map_or(0, |task| task.executed);
        match self.counted {
            _ if pid == self.init => executed > 0,
            Counted::Calls => true,
            Counted::Instructions => executed <= self.nested,
        }
    }

    /// A string instruction stops after each of its turns, and is one instruction all the same, as
    /// for the processor's own counters.
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

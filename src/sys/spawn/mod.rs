//! From a plan to a running child: clone, group, terminal, mask, exec.
//!
//! frigate never waits for an exec, which a dead network file system can delay forever. What fails
//! between clone and exec is read when the child is reaped.

mod child_plan;
mod child_side;
mod clone;
mod confinement;
mod environment;
mod failure_word;
mod kill_everyone;
mod new_process;
mod shared_memory;
mod spawned;

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};

pub(crate) use child_plan::ChildPlan;
pub(crate) use child_side::{PreExec, replace_program};
use child_side::{Start, execute, start_in_memory};
use clone::Cloned;
pub(crate) use confinement::Confinement;
use environment::Counted;
pub(crate) use environment::{Environment, Pointers};
pub(crate) use kill_everyone::kill_everyone;
pub(crate) use new_process::{run_in_new_process, run_in_new_process_with_pidfd};
use shared_memory::SharedMemory;
pub(crate) use spawned::Spawned;
use spawned::make_exec_pipe;

use super::errno;
use super::own_descriptor::note_own;
use crate::core::errno::Errno;
use crate::core::status::{SpawnFailure, Stage};

/// Whether a pidfd of the child is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pidfd {
    No,
    /// Without one the pid has to do: an emulator such as QEMU's may not know pidfds.
    IfPossible,
    Always,
}

/// The memory in which a child runs until its exec.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Its own copy, as `fork(2)` makes it.
    Copied,
    /// frigate's, if nothing speaks against it. Only for a program that is frigate and nothing else.
    Shared,
}

/// The cgroup that a child is to be in.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    /// `cgroup.kill` was written to it once. Since Linux 6.14, and stable kernels before it, a
    /// process that is cloned into such a group is killed at once: the kernel compares how often the
    /// group was killed with how often the cloning process's group was, which mends a race of kill
    /// and fork.
    pub(crate) was_killed: bool,
}

/// How to start a child, as often as needed.
pub(crate) struct SpawnPlan {
    child: SharedMemory<ChildPlan>,
    pidfd: Pidfd,
    /// It is of interest when the child executes its program: `Spawned::has_left_frigate` tells.
    reports_exec: bool,
}

impl SpawnPlan {
    pub(crate) fn new(child: ChildPlan, pidfd: Pidfd, reports_exec: bool, memory: Memory) -> Self {
        let is_shared = memory == Memory::Shared && shared_memory::is_supported();
        Self {
            child: SharedMemory::new(child, is_shared),
            pidfd,
            reports_exec,
        }
    }

    /// Returns why the last child never executed its program; `None` means that it did. Must be
    /// called when the child has been reaped, because then it can write no more.
    pub(crate) fn failure(&self) -> Option<SpawnFailure> {
        self.child.failure.get()
    }

    /// Whether the next child may begin in frigate's memory. `shared_memory.rs` has the reasons.
    fn may_share_memory(&self, cgroup: Option<Cgroup<'_>>) -> bool {
        let child = &*self.child;
        self.child.has_stack()
            && cgroup.is_none()
            && child.confinement.is_empty()
            && !child.ignores_sigchld
            && !child.environment.names_child()
    }
}

/// Starts the child in a process group of its own, and inside `cgroup` if there is one. With
/// `foreground`, the group becomes the terminal's foreground group. `streams` become the child's
/// standard output and standard error.
///
/// The child makes its group by itself, as its first step. A signal that is sent to the group before
/// that finds no group, and is sent to the child alone, which has no children yet.
///
/// # Errors
///
/// The kernel makes no process, or has no memory.
pub(crate) fn spawn<P: PreExec>(
    plan: &mut SpawnPlan,
    restarts: u32,
    foreground: bool,
    cgroup: Option<Cgroup<'_>>,
    streams: [Option<BorrowedFd<'_>>; 2],
    pre_exec: P,
) -> Result<Spawned, SpawnFailure> {
    let (exec_pipe, childs_end) = make_exec_pipe(plan.reports_exec);
    let shares_memory = plan.may_share_memory(cgroup);
    let child = plan.child.get_mut().ok_or(cannot_fork(Errno::BUSY))?;
    child.environment.set_count(Counted::Restarts, restarts);
    child.failure.clear();
    let mut cloned = None;
    if shares_memory {
        cloned = clone_in_memory(plan, foreground, streams, pre_exec)?;
    }
    if cloned.is_none() {
        cloned = clone_with_copy(plan, cgroup)?;
    }
    let Some((pid, pidfd)) = cloned else {
        // The child's side of a fork, which has a copy of the plan.
        if let Some(child) = plan.child.get_mut() {
            let own = rustix::process::getpid().as_raw_nonzero().get();
            for variable in [Counted::ListenPid, Counted::WatchdogPid] {
                child.environment.set_count(variable, own.unsigned_abs());
            }
        }
        execute(&Start {
            plan: &plan.child,
            foreground,
            streams,
            pre_exec,
        })
    };
    drop(childs_end);
    Ok(Spawned {
        pid,
        pidfd,
        exec_pipe,
    })
}

fn cannot_fork(errno: Errno) -> SpawnFailure {
    SpawnFailure {
        stage: Stage::Fork,
        errno,
    }
}

/// Starts a child in frigate's memory. Returns `None` if the kernel refuses that kind of clone.
fn clone_in_memory<P: PreExec>(
    plan: &mut SpawnPlan,
    foreground: bool,
    streams: [Option<BorrowedFd<'_>>; 2],
    pre_exec: P,
) -> Result<Cloned, SpawnFailure> {
    let start = Start {
        plan: &plan.child,
        foreground,
        streams,
        pre_exec,
    };
    match start_in_memory(&plan.child, start, plan.pidfd != Pidfd::No) {
        Ok(cloned) => Ok(cloned),
        Err(errno) if errno.is_for_now() => Err(cannot_fork(errno)),
        // A filter of system calls may forbid it. It is not tried again.
        Err(_) => {
            plan.child.remove_stack();
            Ok(None)
        }
    }
}

/// Forks, into the cgroup if there is one. A filter of system calls may not know `clone3`, the
/// kernel may be older than Linux 5.7, or the group may have been killed. The child then enters the
/// group by itself, before anything else that it does.
// Not inlined: what every run executes has 464 bytes less (`tools/order.ld`).
#[inline(never)]
fn clone_with_copy(
    plan: &mut SpawnPlan,
    cgroup: Option<Cgroup<'_>>,
) -> Result<Cloned, SpawnFailure> {
    let child = plan.child.get_mut().ok_or(cannot_fork(Errno::BUSY))?;
    child.failure.share_with_forks().map_err(cannot_fork)?;
    if let Some(cgroup) = cgroup.filter(|_| child.cgroup_procs.is_none()) {
        if !cgroup.was_killed {
            match clone::fork_into(cgroup.directory, plan.pidfd != Pidfd::No) {
                Ok(forked) => return Ok(forked),
                Err(errno) if errno.is_for_now() => return Err(cannot_fork(errno)),
                Err(_) => {}
            }
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(cgroup.directory, c"cgroup.procs", flags, Mode::empty());
        child.cgroup_procs = Some(file.map(note_own).map_err(|error| SpawnFailure {
            stage: Stage::Cgroup,
            errno: errno(error),
        })?);
    }
    let mut forked = clone::fork(plan.pidfd != Pidfd::No);
    // An emulator may not know pidfds, and a filter may refuse them with any error number.
    if plan.pidfd == Pidfd::IfPossible && forked.is_err() {
        plan.pidfd = Pidfd::No;
        forked = clone::fork(false);
    }
    forked.map_err(cannot_fork)
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;

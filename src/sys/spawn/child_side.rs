//! What the child does between clone and exec.
//!
//! *Invariant:* nothing here allocates, formats, takes a lock or can panic. Everything that the
//! child needs was made before the clone.
//!
//! # Safety
//!
//! The child is one thread of a process that may have others. It calls only what
//! `signal-safety(7)` lists, or the kernel directly. If it is in frigate's memory, it takes no step
//! between its streams and its mask, and no call here writes to `errno` (`shared_memory.rs`).
#![expect(unsafe_code, reason = "a child in this memory, _exit and execve")]

use core::convert::Infallible;
use std::os::fd::BorrowedFd;

use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};

use super::child_plan::ChildPlan;
use super::clone::{self, Cloned};
use super::shared_memory::SharedMemory;
use crate::core::errno::Errno;
use crate::core::status::{SpawnFailure, Stage};
use crate::sys::errno;
use crate::sys::signals::{ignore_sigchld, set_mask};

/// What else the child does before it restores its mask. A child in frigate's memory does nothing.
pub(crate) trait PreExec: Copy {
    /// Runs on the child's side. Calls only what `signal-safety(7)` lists.
    fn run(&self);
}

/// The binary has no handlers, threads or parent that matter to the child.
impl PreExec for () {
    fn run(&self) {}
}

/// What one child is told. A child in frigate's memory has it on its own stack.
#[derive(Clone, Copy)]
pub(super) struct Start<'a, P> {
    pub(super) plan: &'a ChildPlan,
    /// Whether the child's group becomes the terminal's foreground group.
    pub(super) foreground: bool,
    /// The child's standard output and standard error, if they are captured.
    pub(super) streams: [Option<BorrowedFd<'a>>; 2],
    pub(super) pre_exec: P,
}

/// Starts a child in frigate's memory. `SpawnPlan::may_share_memory` has allowed it.
pub(super) fn start_in_memory<P: PreExec>(
    memory: &SharedMemory<ChildPlan>,
    start: Start<'_, P>,
    with_pidfd: bool,
) -> Result<Cloned, Errno> {
    // SAFETY: `start.plan` is in that memory, and the streams are numbers of descriptors, of which
    // the child has copies. `execute` writes to its stack and to the plan's failure, which is an
    // atomic. It does not write to `errno`: the steps that would are not in the plan.
    unsafe { memory.start_child(start, execute, with_pidfd) }
}

/// Executes the program. If a step fails, writes which, and ends.
#[expect(clippy::disallowed_methods, reason = "a child without program ends")]
pub(super) extern "C" fn execute<P: PreExec>(start: &Start<'_, P>) -> ! {
    let Err((stage, errno)) = take_steps(start);
    start.plan.failure.set(stage, errno);
    // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
    unsafe { libc::_exit(127) }
}

/// Takes the steps to the child's program. Returns the first that failed.
fn take_steps<P: PreExec>(start: &Start<'_, P>) -> Result<Infallible, (Stage, Errno)> {
    let plan = start.plan;
    let _ = rustix::process::setpgid(None, None);
    if start.foreground {
        // The child's group is in the background now, which may change the foreground group only
        // while SIGTTOU is blocked. So this comes before the mask. If the terminal is gone, the
        // child is started without.
        let _ = rustix::termios::tcsetpgrp(stdin(), rustix::process::getpid());
    }
    let [stdout, stderr] = start.streams;
    let first = stdout.map_or(Ok(()), dup2_stdout);
    let both = first.and_then(|()| stderr.map_or(Ok(()), dup2_stderr));
    both.map_err(|error| (Stage::Streams, errno(error)))?;
    if let Some(file) = &plan.cgroup_procs {
        // 0 stands for the process that writes it (cgroups(7)).
        rustix::io::write(file, b"0").map_err(|error| (Stage::Cgroup, errno(error)))?;
    }
    become_program(plan, start.pre_exec)
}

/// Replaces the program of this process by the plan's, without a fork. Returns why that failed. The
/// process is then no longer what it was: it may have another root or user.
pub(crate) fn replace_program(plan: &ChildPlan) -> SpawnFailure {
    let Err((stage, errno)) = become_program(plan, ());
    SpawnFailure { stage, errno }
}

/// Takes the steps that a child and a replaced program have in common.
#[inline]
fn become_program<P: PreExec>(plan: &ChildPlan, pre_exec: P) -> Result<Infallible, (Stage, Errno)> {
    plan.confinement.apply()?;
    if plan.ignores_sigchld {
        ignore_sigchld();
    }
    pre_exec.run();
    // Last, so that a signal that was sent to the new group takes effect as in any program that has
    // just begun.
    set_mask(plan.mask).map_err(|errno| (Stage::Exec, errno))?;
    Err((Stage::Exec, exec(plan)))
}

/// Tries each candidate, as `execvp(3)` does. Goes on if one does not exist or may not be executed.
/// Returns the error of the last that may not be executed, if there is one.
fn exec(plan: &ChildPlan) -> Errno {
    let mut result = Errno::NOT_FOUND;
    for candidate in &plan.candidates {
        // SAFETY: both arrays end with a null pointer and hold pointers to live C strings.
        let errno =
            unsafe { clone::execve(candidate, plan.argv.as_ptr(), plan.environment.as_ptr()) };
        match errno {
            Errno::NOT_FOUND | Errno::NOT_A_DIRECTORY => {}
            // A directory that may not be searched, or whose file system is gone, does not hide
            // what the others hold.
            Errno::ACCESS | Errno::NO_DEVICE | Errno::TIMED_OUT | Errno::STALE => result = errno,
            _ => return errno,
        }
    }
    result
}

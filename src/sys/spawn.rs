//! From a plan to a running child: clone, group, terminal, mask, exec.
//!
//! *Invariant:* between clone and exec nothing allocates, formats, takes a lock or can panic; all
//! that the child needs is in the plan before. What fails there is put into one word that both
//! sides share, as stage and errno, and is read when the child is reaped: frigate never waits for
//! an exec, which a dead network file system can hold up for ever.
//!
//! # Safety
//!
//! The child's side is one thread of a process that may have others: it calls only what
//! `signal-safety(7)` lists, or the kernel directly. It may be in frigate's own memory, while
//! frigate goes on (`clone.rs`): there it takes no step between its streams and its mask, and what
//! it calls writes neither to `errno` nor to anything else but its stack and that word. The pointer
//! arrays end with a null pointer and point into the plan or into memory that lives as long as the
//! process.
#![expect(
    unsafe_code,
    reason = "raw system calls on the child's side, and execve"
)]

use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::clone::{self, Cloned, Stack, Word};
use super::environment::{Environment, LISTEN_PID, Pointers, RESTARTS};
use super::own_descriptor::note_own;
use super::signals::{Mask, ignore_sigchld, is_readable, set_mask};
use super::{errno, last_errno};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::status::{SpawnFailure, Stage};

/// What the child does to itself before exec, in this order; what is absent stays as frigate has
/// it.
#[derive(Default)]
pub(crate) struct Confinement {
    pub(crate) root: Option<CString>,
    pub(crate) groups: Option<Vec<libc::gid_t>>,
    pub(crate) group: Option<libc::gid_t>,
    pub(crate) user: Option<libc::uid_t>,
    pub(crate) directory: Option<CString>,
    pub(crate) no_new_privileges: bool,
}

impl Confinement {
    const fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                root: None,
                groups: None,
                group: None,
                user: None,
                directory: None,
                no_new_privileges: false
            }
        )
    }
}

/// All that a child needs, made before the fork.
pub(crate) struct SpawnPlan {
    pub(crate) confinement: Confinement,
    /// The files to try in this order, from COMMAND or from COMMAND and `PATH`.
    pub(crate) candidates: Vec<CString>,
    pub(crate) argv: Pointers,
    pub(crate) environment: Environment,
    /// The signal mask to give back.
    pub(crate) mask: Mask,
    /// SIGCHLD was inherited as ignored.
    pub(crate) ignores_sigchld: bool,
    pub(crate) pidfd: Pidfd,
    /// It matters when the child executes its program: `Spawned::has_left_frigate` tells.
    pub(crate) announces_exec: bool,
    /// The group's `cgroup.procs`, open for writing: the child enters by itself, where the kernel
    /// would not put it there.
    pub(crate) entrance: Option<OwnedFd>,
    /// What child and frigate have in common.
    pub(crate) bond: Bond,
}

/// Whether a pidfd of the child is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pidfd {
    No,
    /// Without one the child's number has to do: an emulator such as QEMU's may know none.
    IfPossible,
    Always,
}

/// What a child has in common with frigate until its exec: the word in which it says why that never
/// came to be, and perhaps the whole memory.
#[derive(Default)]
pub(crate) struct Bond {
    /// Where a child may run in this memory: nobody but frigate uses it, and a child in there ends
    /// nobody but itself.
    stack: Option<Stack>,
    word: AtomicU32,
    /// The word of a child that has a memory of its own; made for the first such start.
    common: Option<Word>,
}

impl Bond {
    /// For a program that is frigate and nothing else. A host program's memory is never shared: its
    /// threads, its handlers and its C library are its own business.
    pub(crate) fn close() -> Self {
        Self {
            stack: clone::may_share().then(Stack::new),
            ..Self::default()
        }
    }

    fn word(&self) -> &AtomicU32 {
        self.common.as_deref().unwrap_or(&self.word)
    }
}

impl SpawnPlan {
    /// Why the child that was started last never became its program; none: it did. To be asked once
    /// it has been reaped, after which it can write no more.
    pub(crate) fn failure(&self) -> Option<SpawnFailure> {
        let word = self.bond.word().load(Ordering::Acquire);
        let stage = Stage::ALL
            .get((word >> 16).checked_sub(1)? as usize)
            .copied()?;
        Some(SpawnFailure {
            stage,
            errno: Errno::new(i32::try_from(word & 0xffff).ok()?),
        })
    }

    /// The stack of a child that begins in frigate's memory, where it may: where nothing that it
    /// does to itself there is done to frigate too. A change of user changes who may look into the
    /// memory (`PR_SET_DUMPABLE(2const)`); its own id would have to be written there; and where its
    /// own cgroup is out of memory, the kernel ends all who share it.
    fn shared_stack(&self, cgroup: Option<Cgroup<'_>>) -> Option<Stack> {
        let is_simple = cgroup.is_none()
            && self.confinement.is_empty()
            && !self.ignores_sigchld
            && matches!(self.environment.counters, [_, None]);
        self.bond.stack.filter(|_| is_simple)
    }
}

/// A child that was cloned. Whether it came as far as its program is known when it is reaped.
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) pidfd: Option<OwnedFd>,
    /// A pipe whose other end the child alone holds, and the kernel closes at its exec or its end.
    until_exec: Option<OwnedFd>,
}

impl Spawned {
    /// What hangs up when the child executes its program or ends; `None` if that was told already,
    /// or does not matter.
    pub(crate) fn until_exec(&self) -> Option<BorrowedFd<'_>> {
        self.until_exec.as_ref().map(AsFd::as_fd)
    }

    /// Whether the child has executed its program or ended since this was last asked.
    /// `SpawnPlan::failure` tells the two apart: a child that fails writes its word before it ends.
    pub(crate) fn has_left_frigate(&mut self) -> bool {
        self.until_exec
            .take_if(|pipe| is_readable(pipe.as_fd()))
            .is_some()
    }
}

/// The cgroup that a child is to be in.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    /// `cgroup.kill` was written to it once. Since a race between that and fork was mended (Linux
    /// 6.14, and stable kernels before), whatever is cloned into such a group dies at once: the
    /// kernel compares how often it was killed with how often the group was that the clone came
    /// from.
    pub(crate) was_killed: bool,
}

/// What else the child does before it restores its mask. The binary has nothing to do there, and no
/// code for it.
pub(crate) trait LastSteps {
    /// Takes them, on the child's side: by nothing but what `signal-safety(7)` lists.
    fn take(&self);
}

/// A process without a handler, a thread or a parent that matters leaves nothing to do.
impl LastSteps for () {
    fn take(&self) {}
}

/// What one child is told: on the stack of both sides where it is forked, on its own where it
/// shares the memory.
struct Order<'a, L> {
    plan: &'a SpawnPlan,
    foreground: bool,
    streams: [Option<BorrowedFd<'a>>; 2],
    last_steps: &'a L,
}

/// Starts the planned child in a process group of its own, and inside `cgroup` where there is one.
/// The former becomes the terminal's foreground group if so asked; `streams` become the child's
/// standard output and standard error.
///
/// The child makes its group by itself, and runs nothing before: until then a signal to the group
/// finds nobody, and is sent to the child alone, which is all that there is.
///
/// # Errors
///
/// No process to be had, or no memory.
pub(crate) fn spawn<L: LastSteps>(
    plan: &mut SpawnPlan,
    restarts: u32,
    foreground: bool,
    cgroup: Option<Cgroup<'_>>,
    streams: [Option<BorrowedFd<'_>>; 2],
    last_steps: &L,
) -> Result<Spawned, SpawnFailure> {
    let cannot_fork = |errno| SpawnFailure {
        stage: Stage::Fork,
        errno,
    };
    // Without the pipe, for want of descriptors, a start is reported only when the child ends.
    let (until_exec, others_end) = match plan.announces_exec.then(|| pipe_with(PipeFlags::CLOEXEC))
    {
        Some(Ok((ours, childs))) => (Some(note_own(ours)), Some(childs)),
        Some(Err(_)) | None => (None, None),
    };
    plan.environment.put(RESTARTS, restarts);
    plan.bond.word().store(0, Ordering::Relaxed);
    let mut cloned = None;
    if let Some(stack) = plan.shared_stack(cgroup) {
        let order = Order {
            plan,
            foreground,
            streams,
            last_steps,
        };
        // SAFETY: the child before has been reaped, or no other would be started. The plan stays
        // where it is and as it is until this child has been reaped too, or was sent KILL and is
        // given up; its descriptors are its own, whatever is closed here. `become_child` writes to
        // nothing but the word.
        match unsafe { clone::share(stack, order, become_child, plan.pidfd != Pidfd::No) } {
            Err(errno) if errno.is_for_now() => return Err(cannot_fork(errno)),
            // A filter of system calls may not like it. It is not asked again.
            Err(_) => plan.bond.stack = None,
            Ok(shared) => cloned = shared,
        }
    }
    if cloned.is_none() {
        if plan.bond.common.is_none() {
            // Zero at first, as the one that it takes the place of.
            plan.bond.common = Some(Word::new().map_err(cannot_fork)?);
        }
        cloned = fork_into(plan, cgroup)?;
    }
    let Some((pid, pidfd)) = cloned else {
        if matches!(plan.environment.counters, [_, Some(_)]) {
            plan.environment.put(
                LISTEN_PID,
                rustix::process::getpid()
                    .as_raw_nonzero()
                    .get()
                    .unsigned_abs(),
            );
        }
        become_child(&Order {
            plan,
            foreground,
            streams,
            last_steps,
        })
    };
    drop(others_end);
    Ok(Spawned {
        pid,
        pidfd,
        until_exec,
    })
}

/// Into the cgroup where there is one. A filter of system calls may not know `clone3`, the kernel
/// may be older than Linux 5.7, or the group have been killed: then the child writes itself into
/// it, before anything else that it does.
fn fork_into(plan: &mut SpawnPlan, cgroup: Option<Cgroup<'_>>) -> Result<Cloned, SpawnFailure> {
    if let (
        Some(Cgroup {
            directory,
            was_killed,
        }),
        None,
    ) = (cgroup, &plan.entrance)
    {
        if !was_killed {
            match clone::fork_into(directory, plan.pidfd != Pidfd::No) {
                Ok(forked) => return Ok(forked),
                Err(errno) if errno.is_for_now() => {
                    return Err(SpawnFailure {
                        stage: Stage::Fork,
                        errno,
                    });
                }
                Err(_) => {}
            }
        }
        let entrance = openat(
            directory,
            c"cgroup.procs",
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        plan.entrance = Some(entrance.map(note_own).map_err(|error| SpawnFailure {
            stage: Stage::Cgroup,
            errno: errno(error),
        })?);
    }
    let mut forked = clone::fork(plan.pidfd != Pidfd::No);
    // An emulator may not know pidfds, and a filter may refuse them by any error number.
    if plan.pidfd == Pidfd::IfPossible && forked.is_err() {
        plan.pidfd = Pidfd::No;
        forked = clone::fork(false);
    }
    forked.map_err(|errno| SpawnFailure {
        stage: Stage::Fork,
        errno,
    })
}

/// The child's side, up to its program or its end.
#[expect(clippy::disallowed_methods, reason = "a child without program ends")]
extern "C" fn become_child<L: LastSteps>(order: &Order<'_, L>) -> ! {
    let Err((stage, errno)) = attempt(order);
    // Which stage it is, counted from 1, since 0 is no failure; behind it the number, which is less
    // than 4096.
    let word = (stage as u32 + 1) << 16 | errno.raw().unsigned_abs() & 0xffff;
    order.plan.bond.word().store(word, Ordering::Release);
    // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
    unsafe { libc::_exit(127) }
}

/// Takes the steps to the child's program. Returns the first that failed.
fn attempt<L: LastSteps>(order: &Order<'_, L>) -> Result<Infallible, (Stage, Errno)> {
    let plan = order.plan;
    let _ = rustix::process::setpgid(None, None);
    if order.foreground {
        // From the background, but with SIGTTOU blocked still, which is why this comes before the
        // mask. A terminal that is gone is not the child's fault.
        let _ = rustix::termios::tcsetpgrp(stdin(), rustix::process::getpid());
    }
    let [stdout, stderr] = order.streams;
    let first = stdout.map_or(Ok(()), dup2_stdout);
    let both = first.and_then(|()| stderr.map_or(Ok(()), dup2_stderr));
    both.map_err(|error| (Stage::Streams, errno(error)))?;
    if let Some(entrance) = &plan.entrance {
        // 0 is whoever writes it.
        rustix::io::write(entrance, b"0").map_err(|error| (Stage::Cgroup, errno(error)))?;
    }
    confine(&plan.confinement)?;
    if plan.ignores_sigchld {
        ignore_sigchld();
    }
    order.last_steps.take();
    // Last of all: from here on a signal that was sent to the new group takes effect as on any
    // program that has just begun.
    set_mask(plan.mask).map_err(|errno| (Stage::Exec, errno))?;
    Err((Stage::Exec, exec(plan)))
}

/// `KEYCTL_JOIN_SESSION_KEYRING`.
const JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Takes the steps in the only order in which each is still permitted: the root and the groups
/// while privileged, then the user, then the directory with that user's permissions. The C
/// library's wrappers would signal every thread of the host program; these calls are the kernel's
/// own, and change this process alone.
fn confine(to: &Confinement) -> Result<(), (Stage, Errno)> {
    let check = |stage, result: libc::c_long| {
        if result < 0 {
            Err((stage, last_errno()))
        } else {
            Ok(())
        }
    };
    if let Some(root) = &to.root {
        // SAFETY: the path is a C string.
        check(Stage::Root, unsafe { libc::chroot(root.as_ptr()) }.into())?;
        // Or the directory would be outside, and with it the whole of the root.
        // SAFETY: the path is a C string.
        check(Stage::Root, unsafe { libc::chdir(c"/".as_ptr()) }.into())?;
    }
    if let Some(groups) = &to.groups {
        // SAFETY: the array is live, and as long as said.
        check(Stage::Groups, unsafe {
            libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr())
        })?;
    }
    if let Some(group) = to.group {
        // SAFETY: setresgid(2) touches no memory.
        check(Stage::Group, unsafe {
            libc::syscall(libc::SYS_setresgid, group, group, group)
        })?;
    }
    if let Some(user) = to.user {
        become_user(user).map_err(|errno| (Stage::User, errno))?;
    }
    if let Some(directory) = &to.directory {
        // SAFETY: the path is a C string.
        let result = unsafe { libc::chdir(directory.as_ptr()) };
        check(Stage::Directory, result.into())?;
    }
    if to.no_new_privileges {
        // SAFETY: this prctl(2) operation takes numbers.
        let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        check(Stage::NoNewPrivileges, result.into())?;
    }
    Ok(())
}

/// Not inlined, so that it is not part of what every start executes.
#[inline(never)]
fn become_user(user: libc::uid_t) -> Result<(), Errno> {
    // The keys of frigate's session are not for that user. Before the change: after it, a user that
    // has used up its quota of keys would keep frigate's keyring. No failure matters: Docker's
    // filter of system calls, for one, refuses the call.
    // SAFETY: this keyctl(2) operation takes a name, or null for a keyring without one.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            core::ptr::null::<core::ffi::c_char>(),
        )
    };
    // SAFETY: setresuid(2) touches no memory.
    if unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) } < 0 {
        return Err(last_errno());
    }
    if user != 0 {
        // The kernel drops them by itself only where the user was 0 and no securebits say
        // otherwise, and never the inheritable ones. The ambient set is always a part of the other
        // two, and so goes with them (capabilities(7)). The bounding set stays: it gives nothing.
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        set_capabilities(None, sets).map_err(errno)?;
    }
    Ok(())
}

/// Tries each candidate, as `execvp(3)` does: goes on where one is missing or may not be executed,
/// and remembers the latter.
fn exec(plan: &SpawnPlan) -> Errno {
    let mut result = Errno::NOT_FOUND;
    for candidate in &plan.candidates {
        // SAFETY: both arrays end with a null pointer and hold pointers to C strings that live.
        match unsafe {
            clone::execve(
                candidate,
                plan.argv.0.as_ptr(),
                plan.environment.pointers.as_ptr(),
            )
        } {
            Errno::NOT_FOUND | Errno::NOT_A_DIRECTORY => {}
            // A directory that may not be searched, or whose file system is gone, hides nothing in
            // the others.
            errno @ (Errno::ACCESS | Errno::NO_DEVICE | Errno::TIMED_OUT | Errno::STALE) => {
                result = errno;
            }
            errno => return errno,
        }
    }
    result
}

/// `kill(-1, SIGKILL)` from a process made for it, which itself may hang in the kernel on a process
/// that sleeps without listening, while frigate may not. It is reaped like an orphan.
#[expect(clippy::disallowed_methods, reason = "the sender of KILL ends here")]
pub(crate) fn kill_everyone() {
    use super::signals::send_to_everyone;
    use crate::core::signal::Signal;
    let cloned = clone::fork(false);
    if let Ok(Some(_)) = cloned {
        return;
    }
    let _ = send_to_everyone(Signal::KILL);
    if cloned.is_ok() {
        // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
        unsafe { libc::_exit(0) }
    }
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;

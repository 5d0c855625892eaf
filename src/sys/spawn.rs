//! From a plan to a running child: fork, group, terminal, mask, exec.
//!
//! *Invariant:* between fork and exec nothing allocates, formats, takes a lock or can panic; all that the child needs is in
//! the plan before. What fails there travels over a close-on-exec pipe as stage and errno, and is read when the child is
//! reaped: frigate never waits for an exec, which a dead network file system can hold up for ever.
//!
//! # Safety
//!
//! The child's side is a copy of one thread of a process that may have others: it calls only what `signal-safety(7)` lists,
//! or the kernel directly. The pointer arrays end with a null pointer and point into the plan or into memory that lives as
//! long as the process.
#![expect(unsafe_code, reason = "raw clone and execve")]

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};

use super::signals::{Mask, ignore_sigchld, set_mask};
use super::{errno, last_errno};
use crate::errno::Errno;
use crate::pid::Pid;
use crate::status::{SpawnFailure, Stage};

/// An array of C strings as `execve(2)` takes it: null at its end.
pub(crate) struct Pointers(Vec<*const c_char>);

impl Pointers {
    pub(crate) fn new(strings: impl IntoIterator<Item = &'static CStr>) -> Self {
        let mut pointers: Vec<_> = strings.into_iter().map(CStr::as_ptr).collect();
        pointers.push(core::ptr::null());
        Self(pointers)
    }
}

/// A variable whose value is a number that changes from start to start, kept in place so that writing it allocates nothing.
struct Counter {
    text: [u8; 48],
    name: usize,
}

impl Counter {
    /// `name` includes the equals sign.
    fn new(name: &[u8]) -> Self {
        let mut text = [0; 48];
        for (slot, byte) in text.iter_mut().zip(name) {
            *slot = *byte;
        }
        Self { text, name: name.len() }
    }

    /// Writes the value, and a null byte behind it. Cannot panic: what does not fit is left out.
    fn set(&mut self, value: u32) {
        let digits = value.checked_ilog10().unwrap_or(0) + 1;
        let mut rest = value;
        let mut at = self.name + digits as usize;
        if let Some(end) = self.text.get_mut(at) {
            *end = 0;
        }
        for _ in 0..digits {
            at -= 1;
            if let Some(slot) = self.text.get_mut(at) {
                *slot = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
        }
    }
}

/// The child's environment: frigate's own, less what it sets anew.
pub(crate) struct Environment {
    pointers: Vec<*const c_char>,
    restarts: Counter,
    /// Present where `LISTEN_PID` named frigate: it is to name the child.
    listen_pid: Option<Counter>,
    /// Kept for the pointers to it.
    owned: Vec<CString>,
}

fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

impl Environment {
    /// `replaced` are variables that stand in for inherited ones of the same name, as `NAME=value`, or as `NAME=` to drop it.
    pub(crate) fn new(inherited: impl Iterator<Item = &'static CStr>, own_pid: Pid, replaced: Vec<CString>) -> Self {
        let mut pointers = Vec::new();
        let mut listen_pid = None;
        let own_pid = own_pid.raw().unsigned_abs();
        for entry in inherited {
            let bytes = entry.to_bytes();
            // The latter names frigate by its pidfd's inode; who is told of a child of that process by its id alone believes it.
            if bytes.starts_with(b"FRIGATE_RESTARTS=") || bytes.starts_with(b"LISTEN_PIDFDID=") {
                continue;
            }
            if replaced.iter().any(|entry| name_of(entry.to_bytes()) == name_of(bytes)) {
                continue;
            }
            if let Some(value) = bytes.strip_prefix(b"LISTEN_PID=")
                && core::str::from_utf8(value).ok().and_then(|value| value.parse().ok()) == Some(own_pid)
            {
                listen_pid = Some(Counter::new(b"LISTEN_PID="));
                continue;
            }
            pointers.push(entry.as_ptr());
        }
        pointers.extend(replaced.iter().filter(|entry| !entry.to_bytes().ends_with(b"=")).map(|entry| entry.as_ptr()));
        // Two places for the variables above, and the end; filled in by `complete`.
        pointers.extend([core::ptr::null(); 3]);
        Self { pointers, restarts: Counter::new(b"FRIGATE_RESTARTS="), listen_pid, owned: replaced }
    }

    /// The environment of a child of a host program's, which has chosen every variable but the number of restarts.
    pub(crate) fn owned(entries: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = entries.iter().map(|entry| entry.as_ptr()).collect();
        pointers.extend([core::ptr::null(); 3]);
        Self { pointers, restarts: Counter::new(b"FRIGATE_RESTARTS="), listen_pid: None, owned: entries }
    }

    /// The same with nothing added to it: what is put in stands behind the end.
    pub(crate) fn unchanged(entries: Vec<CString>) -> Self {
        let mut environment = Self::owned(entries);
        environment.pointers.push(core::ptr::null());
        environment
    }

    /// Keeps other strings of the same plan, the words of a command, and answers with the array of them.
    pub(crate) fn keep(&mut self, strings: Vec<CString>) -> Pointers {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(core::ptr::null());
        self.owned.extend(strings);
        Pointers(pointers)
    }

    /// Puts the two variables in, and answers with the array. On the child's side of the fork.
    fn complete(&mut self, restarts: u32, own_pid: u32) -> *const *const c_char {
        self.restarts.set(restarts);
        let at = self.pointers.len().saturating_sub(3);
        if let Some(slot) = self.pointers.get_mut(at) {
            *slot = self.restarts.text.as_ptr().cast();
        }
        if let Some(counter) = &mut self.listen_pid {
            counter.set(own_pid);
            if let Some(slot) = self.pointers.get_mut(at + 1) {
                *slot = counter.text.as_ptr().cast();
            }
        }
        self.pointers.as_ptr()
    }
}

/// What the child does to itself before exec, in this order; what is absent stays as frigate has it.
#[derive(Default)]
pub(crate) struct Confinement {
    pub(crate) root: Option<CString>,
    pub(crate) groups: Option<Vec<libc::gid_t>>,
    pub(crate) group: Option<libc::gid_t>,
    pub(crate) user: Option<libc::uid_t>,
    pub(crate) directory: Option<CString>,
    pub(crate) no_new_privileges: bool,
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
    /// Whether a pidfd is wanted.
    pub(crate) pidfd: bool,
    /// The group's `cgroup.procs`, open for writing: the child enters by itself, where the kernel would not put it there.
    pub(crate) entrance: Option<OwnedFd>,
}

impl SpawnPlan {
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.entrance.as_ref().map(AsFd::as_fd)
    }
}

/// A child that was forked. Whether it came as far as its program is known when it is reaped.
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) pidfd: Option<OwnedFd>,
    failure: OwnedFd,
}

impl Spawned {
    /// Why it never became its program; none: it did. To be asked once it has ended.
    pub(crate) fn failure(&self) -> Option<SpawnFailure> {
        let mut report = [0_u8; 5];
        let read = rustix::io::read(&self.failure, &mut report);
        let [stage, number @ ..] = report;
        let stage = Stage::ALL.get(usize::from(stage)).copied();
        stage
            .filter(|_| read == Ok(5))
            .map(|stage| SpawnFailure { stage, errno: Errno::new(i32::from_ne_bytes(number)) })
    }

    /// What must stay open until then.
    pub(crate) fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [Some(self.failure.as_fd()), self.pidfd.as_ref().map(AsFd::as_fd)]
    }
}

/// The cgroup that a child is to be in.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    /// `cgroup.kill` was written to it once. Since a race between that and fork was mended (Linux 6.14, and stable kernels
    /// before), whatever is cloned into such a group dies at once: the kernel compares how often it was killed with how
    /// often the group was that the clone came from.
    pub(crate) was_killed: bool,
}

/// What else the child does before it restores its mask. The binary has nothing to do there, and no code for it.
pub(crate) trait LastSteps {
    /// Takes them, on the child's side: by nothing but what `signal-safety(7)` lists.
    fn take(&self);
}

/// A process without a handler, a thread or a parent that matters leaves nothing to do.
impl LastSteps for () {
    fn take(&self) {}
}

/// Starts the planned child in a process group of its own, and inside `cgroup` where there is one. The former becomes the
/// terminal's foreground group if so asked; `streams` become the child's standard output and standard error.
///
/// # Errors
///
/// No descriptor for the pipe, no process to be had.
pub(crate) fn spawn(
    plan: &mut SpawnPlan,
    restarts: u32,
    foreground: bool,
    cgroup: Option<Cgroup<'_>>,
    streams: [Option<BorrowedFd<'_>>; 2],
    last_steps: &impl LastSteps,
) -> Result<Spawned, SpawnFailure> {
    let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
    let (failure, report) = pipe.map_err(|error| SpawnFailure { stage: Stage::Pipe, errno: errno(error) })?;
    let forked = fork_into(plan, cgroup)?;
    let Some((pid, pidfd)) = forked else { become_child(plan, restarts, foreground, streams, &report, last_steps) };
    // Both sides make the group: whichever is first, it exists before a signal is sent to it and before the program runs.
    // It fails if the program runs already (EACCES), or if all is over.
    let group = nix::unistd::Pid::from_raw(pid.raw());
    let _ = nix::unistd::setpgid(group, group);
    Ok(Spawned { pid, pidfd, failure })
}

/// `clone(SIGCHLD)`, with `CLONE_PIDFD` if so asked; none on the child's side. Not the C library's `fork`, which runs
/// handlers of the host program's and takes its locks.
fn fork(with_pidfd: bool) -> Result<Option<(Pid, Option<OwnedFd>)>, Errno> {
    let mut pidfd = MaybeUninit::<i32>::new(-1);
    let flags = libc::SIGCHLD | if with_pidfd { libc::CLONE_PIDFD } else { 0 };
    let no_stack = core::ptr::null::<u8>();
    // SAFETY: without CLONE_VM the child has its own copy of everything, the stack included; the third argument is where the
    // kernel puts the pidfd, and is ignored without the flag.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, pidfd.as_mut_ptr(), 0, 0) };
    forked(pid, pidfd, with_pidfd)
}

/// What a clone answered; none on the child's side. `pidfd` was initialized before.
fn forked(
    pid: libc::c_long,
    pidfd: MaybeUninit<i32>,
    with_pidfd: bool,
) -> Result<Option<(Pid, Option<OwnedFd>)>, Errno> {
    if pid < 0 {
        return Err(last_errno());
    }
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::new) else { return Ok(None) };
    // SAFETY: initialized by the callers, and again by the kernel.
    let raw = unsafe { pidfd.assume_init() };
    let pidfd = (with_pidfd && raw >= 0).then(|| {
        // SAFETY: the kernel has just made it for us.
        unsafe { OwnedFd::from_raw_fd(raw) }
    });
    Ok(Some((pid, pidfd)))
}

/// `clone3(2)` with `CLONE_INTO_CGROUP` where there is a cgroup, so that the child is never outside. A filter of system
/// calls may not know `clone3`, the kernel may be older than Linux 5.7, or the group have been killed: then the child writes
/// itself into it, before anything else that it does.
fn fork_into(plan: &mut SpawnPlan, cgroup: Option<Cgroup<'_>>) -> Result<Option<(Pid, Option<OwnedFd>)>, SpawnFailure> {
    if let (Some(Cgroup { directory, was_killed }), None) = (cgroup, &plan.entrance) {
        if !was_killed {
            match clone_into(directory, plan.pidfd) {
                Ok(forked) => return Ok(forked),
                Err(errno) if errno.is_for_now() => return Err(SpawnFailure { stage: Stage::Fork, errno }),
                Err(_) => {}
            }
        }
        let entrance = openat(directory, c"cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        plan.entrance = Some(entrance.map_err(|error| SpawnFailure { stage: Stage::Cgroup, errno: errno(error) })?);
    }
    fork(plan.pidfd).map_err(|errno| SpawnFailure { stage: Stage::Fork, errno })
}

/// `struct clone_args` (`clone(2)`), as far as Linux 5.7 knows it.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn clone_into(cgroup: BorrowedFd<'_>, with_pidfd: bool) -> Result<Option<(Pid, Option<OwnedFd>)>, Errno> {
    let mut pidfd = MaybeUninit::<i32>::new(-1);
    let arguments = CloneArguments {
        flags: CLONE_INTO_CGROUP | if with_pidfd { CLONE_PIDFD } else { 0 },
        pidfd: pidfd.as_mut_ptr().expose_provenance() as u64,
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        cgroup: cgroup.as_raw_fd().unsigned_abs().into(),
        ..CloneArguments::default()
    };
    // SAFETY: the arguments are live and of the size that is said; without CLONE_VM the child has its own copy of everything,
    // the stack included; the kernel puts the pidfd where it is asked to.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>()) };
    forked(pid, pidfd, with_pidfd)
}

/// The child's side, up to its program or its end.
fn become_child(
    plan: &mut SpawnPlan,
    restarts: u32,
    foreground: bool,
    streams: [Option<BorrowedFd<'_>>; 2],
    report: &OwnedFd,
    last_steps: &impl LastSteps,
) -> ! {
    // SAFETY: getpid(2) touches no memory.
    let own = unsafe { libc::getpid() };
    // SAFETY: setpgid(2) touches no memory.
    unsafe { libc::setpgid(0, 0) };
    if foreground {
        // From the background, but with SIGTTOU blocked still, which is why this comes before the mask. A terminal that is
        // gone is not the child's fault.
        // SAFETY: tcsetpgrp(3) is one ioctl that reads an integer.
        unsafe { libc::tcsetpgrp(libc::STDIN_FILENO, own) };
    }
    for (stream, place) in streams.iter().zip([libc::STDOUT_FILENO, libc::STDERR_FILENO]) {
        let Some(stream) = stream else { continue };
        // SAFETY: dup2(2) touches no memory, and what it closes is a standard stream, which nobody here owns.
        if unsafe { libc::dup2(stream.as_raw_fd(), place) } < 0 {
            fail(report, Stage::Pipe, last_errno());
        }
    }
    let environment = plan.environment.complete(restarts, own.unsigned_abs());
    if let Some(entrance) = &plan.entrance {
        // SAFETY: one byte of a live string; 0 is whoever writes it.
        if unsafe { libc::write(entrance.as_raw_fd(), c"0".as_ptr().cast(), 1) } < 0 {
            fail(report, Stage::Cgroup, last_errno());
        }
    }
    if let Err((stage, errno)) = confine(&plan.confinement) {
        fail(report, stage, errno);
    }
    if plan.ignores_sigchld {
        ignore_sigchld();
    }
    last_steps.take();
    // Last of all: from here on a signal that was sent to the new group takes effect as on any program that has just begun.
    set_mask(plan.mask);
    let errno = exec(plan, environment);
    fail(report, Stage::Exec, errno)
}

/// Tells the parent what failed, and ends.
fn fail(report: &OwnedFd, stage: Stage, errno: Errno) -> ! {
    let number = Stage::ALL.iter().zip(0..).find(|(known, _)| **known == stage).map_or(0, |(_, number)| number);
    let [a, b, c, d] = errno.raw().to_ne_bytes();
    let message: [u8; 5] = [number, a, b, c, d];
    // SAFETY: five bytes of a live array, to an empty pipe: they fit, and nothing blocks.
    unsafe { libc::write(report.as_raw_fd(), message.as_ptr().cast(), message.len()) };
    // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
    unsafe { libc::_exit(127) }
}

/// Takes the steps in the one order in which each still may: the root while privileged, the groups before the user, the
/// directory as the user sees it. The C library's wrappers would signal every thread of the host program; these calls are the
/// kernel's own, and change this process alone.
fn confine(to: &Confinement) -> Result<(), (Stage, Errno)> {
    let check = |stage, result: libc::c_long| if result < 0 { Err((stage, last_errno())) } else { Ok(()) };
    if let Some(root) = &to.root {
        // SAFETY: the path is a C string.
        check(Stage::Root, unsafe { libc::chroot(root.as_ptr()) }.into())?;
        // Or the directory would be outside, and with it the whole of the root.
        // SAFETY: the path is a C string.
        check(Stage::Root, unsafe { libc::chdir(c"/".as_ptr()) }.into())?;
    }
    if let Some(groups) = &to.groups {
        // SAFETY: the array is live, and as long as said.
        check(Stage::Groups, unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    }
    if let Some(group) = to.group {
        // SAFETY: setresgid(2) touches no memory.
        check(Stage::Group, unsafe { libc::syscall(libc::SYS_setresgid, group, group, group) })?;
    }
    if let Some(user) = to.user {
        // SAFETY: setresuid(2) touches no memory.
        check(Stage::User, unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) })?;
    }
    if let Some(directory) = &to.directory {
        // SAFETY: the path is a C string.
        check(Stage::Directory, unsafe { libc::chdir(directory.as_ptr()) }.into())?;
    }
    if to.no_new_privileges {
        // SAFETY: this prctl(2) operation takes numbers.
        check(Stage::NoNewPrivileges, unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    }
    Ok(())
}

/// Tries each candidate, as `execvp(3)` does: goes on where one is missing or may not be executed, and remembers the latter.
fn exec(plan: &SpawnPlan, environment: *const *const c_char) -> Errno {
    let mut result = Errno::NOT_FOUND;
    for candidate in &plan.candidates {
        // SAFETY: the path is a C string; both arrays end with a null pointer and hold pointers to C strings that live.
        unsafe { libc::execve(candidate.as_ptr(), plan.argv.0.as_ptr(), environment) };
        match last_errno() {
            Errno::NOT_FOUND | Errno::NOT_A_DIRECTORY => {}
            // A directory that may not be searched, or whose file system is gone, hides nothing in the others.
            errno @ (Errno::ACCESS | Errno::NO_DEVICE | Errno::TIMED_OUT | Errno::STALE) => result = errno,
            errno => return errno,
        }
    }
    result
}

/// `kill(-1, SIGKILL)` from a process made for it, which itself may hang in the kernel on a process that sleeps without
/// listening, while frigate may not. It is reaped like an orphan.
pub(crate) fn kill_everyone() {
    use super::signals::send_to_everyone;
    use crate::signal::Signal;
    match fork(false) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let _ = send_to_everyone(Signal::KILL);
            // SAFETY: _exit(2) ends the process at once, without the handlers of the parent's program.
            unsafe { libc::_exit(0) }
        }
        Err(_) => {
            let _ = send_to_everyone(Signal::KILL);
        }
    }
}

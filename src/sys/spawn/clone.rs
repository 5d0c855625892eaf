//! The system calls that make a process, without the C library.
//!
//! The C library's `fork` runs the host program's handlers and takes its locks, and its wrappers
//! write to `errno`, which a child in frigate's memory shares with frigate.
//!
//! # Safety
//!
//! A forked child has a copy of everything, the stack included, so that both sides go on safely.
//! `shared_memory.rs` argues for the child that has no copy.
#![expect(unsafe_code, reason = "clone and execve")]

use core::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::sys::own_descriptor::note_own;
use crate::sys::system_call::call;

/// What a clone returns: the child, and its pidfd if one was wanted; `None` on the child's side.
pub(super) type Cloned = Option<(Pid, Option<OwnedFd>)>;

/// `clone(SIGCHLD)`, with `CLONE_PIDFD` if `with_pidfd`.
pub(super) fn fork(with_pidfd: bool) -> Result<Cloned, Errno> {
    let mut pidfd = -1;
    let flags = libc::SIGCHLD | if with_pidfd { libc::CLONE_PIDFD } else { 0 };
    let flags = flags.unsigned_abs() as usize;
    // On s390x the stack comes first (clone(2)). With 0 the child keeps the parent's address.
    let [first, second] = if cfg!(target_arch = "s390x") {
        [0, flags]
    } else {
        [flags, 0]
    };
    // SAFETY: without CLONE_VM the child has its own copy of everything. The kernel writes the
    // pidfd to the third argument. It ignores that one and the fourth without their flags.
    let result = unsafe {
        call(
            libc::SYS_clone,
            [first, second, (&raw mut pidfd).expose_provenance(), 0],
        )
    };
    cloned(result, pidfd)
}

/// Interprets what a clone has returned. `pidfd` is -1 if the kernel wrote none.
pub(super) fn cloned(result: libc::c_long, pidfd: i32) -> Result<Cloned, Errno> {
    let result = i32::try_from(result).unwrap_or(i32::MAX);
    if result < 0 {
        return Err(Errno::new(-result));
    }
    let Some(pid) = Pid::new(result) else {
        return Ok(None);
    };
    let pidfd = (pidfd >= 0).then(|| {
        // SAFETY: the kernel has just made it for this process.
        note_own(unsafe { OwnedFd::from_raw_fd(pidfd) })
    });
    Ok(Some((pid, pidfd)))
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

/// `clone3(2)` with `CLONE_INTO_CGROUP`: the child is in the cgroup from its first instruction on.
pub(super) fn fork_into(cgroup: BorrowedFd<'_>, with_pidfd: bool) -> Result<Cloned, Errno> {
    let mut pidfd = -1;
    let arguments = CloneArguments {
        flags: CLONE_INTO_CGROUP | if with_pidfd { CLONE_PIDFD } else { 0 },
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        cgroup: cgroup.as_raw_fd().unsigned_abs().into(),
        ..CloneArguments::default()
    };
    let address = (&raw const arguments).expose_provenance();
    // SAFETY: the arguments are live and have the size given. Without CLONE_VM the child has its
    // own copy of everything. The kernel writes the pidfd to the variable given.
    let result = unsafe {
        call(
            libc::SYS_clone3,
            [address, size_of::<CloneArguments>(), 0, 0],
        )
    };
    cloned(result, pidfd)
}

/// `execve(2)`. Returns only if it fails.
///
/// # Safety
///
/// Both arrays end with a null pointer, and hold pointers to C strings.
pub(super) unsafe fn execve(
    path: &CStr,
    argv: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    let [path, argv, environment] = [
        path.as_ptr().expose_provenance(),
        argv.expose_provenance(),
        environment.expose_provenance(),
    ];
    // SAFETY: the path is a C string. The caller vouches for the arrays. The kernel only reads.
    let result = unsafe { call(libc::SYS_execve, [path, argv, environment, 0]) };
    Errno::new(i32::try_from(-result).unwrap_or(0))
}

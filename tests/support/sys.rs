//! The kernel calls that the helper programs need and no safe crate offers: fork, and signals with
//! all 64 numbers.
//!
//! A C library hides signals 32 to 34 from `sigprocmask` and `sigaction`, and nix knows no
//! real-time ones, so these go to the kernel directly. This is the only file of the tests that may
//! hold unsafe code.
#![expect(
    unsafe_code,
    reason = "fork and the raw signal calls are unsafe by nature; everything else is kept out of here"
)]

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

/// Every signal as a kernel mask: signal N is bit N - 1.
pub const ALL: u64 = u64::MAX;

/// Returns the mask bit of a signal.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// What the kernel reports about one signal that was taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub signal: i32,
    pub code: i32,
    pub sender: i32,
    pub value: i32,
}

/// The two dispositions that survive an exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    Default,
    Ignore,
}

/// The kernel's own `struct sigaction`, which differs from the C library's.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const MASK_BYTES: usize = size_of::<u64>();

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Forks. Returns `None` in the child, and the child's pid in the parent.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: only the helper programs call this, and these never start a thread, so the child may
    // do whatever the parent might have done.
    let pid = unsafe { libc::fork() };
    checked(pid.into())?;
    Ok((pid != 0).then_some(pid))
}

/// Forks a child that is PID 1 of a fresh PID namespace. `unshare` would send every later child
/// there as well.
pub fn fork_into_pid_namespace() -> io::Result<Option<i32>> {
    let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: without a stack and without CLONE_VM this is fork; the duties are those of `fork`
    // above.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    let pid = i32::try_from(checked(pid)?).expect("a pid is small");
    Ok((pid != 0).then_some(pid))
}

/// Exits at once, without flushing or running anything.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(code) }
}

/// Replaces the signal mask, and returns the former one.
pub fn replace_mask(mask: u64) -> u64 {
    let mut old = 0_u64;
    // SAFETY: both pointers are to live words of the size that is passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut old,
            MASK_BYTES,
        )
    };
    assert_eq!(result, 0, "rt_sigprocmask: {}", io::Error::last_os_error());
    old
}

/// Sets a disposition. The kernel refuses KILL and STOP.
pub fn set_disposition(signal: i32, disposition: Disposition) -> io::Result<()> {
    let handler = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    let action = KernelAction {
        handler,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    // SAFETY: the structure has the kernel's layout, and neither SIG_DFL nor SIG_IGN runs any code
    // of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            &raw const action,
            ptr::null_mut::<KernelAction>(),
            MASK_BYTES,
        )
    };
    checked(result).map(drop)
}

/// Returns the signals that are ignored, as a mask.
pub fn ignored() -> u64 {
    (1..=64)
        .filter(|&signal| handler_of(signal) == libc::SIG_IGN)
        .fold(0, |mask, signal| mask | bit(signal))
}

fn handler_of(signal: i32) -> usize {
    let mut action = KernelAction {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    // SAFETY: the structure has the kernel's layout and is only written to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            ptr::null::<KernelAction>(),
            &raw mut action,
            MASK_BYTES,
        )
    };
    assert_eq!(
        result,
        0,
        "rt_sigaction {signal}: {}",
        io::Error::last_os_error()
    );
    action.handler
}

/// Takes one signal of the set, all of which must be blocked. `None` means that the time is over.
pub fn take_signal(set: u64, limit: Option<Duration>) -> Option<Taken> {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: the set and the time-out outlive the call, and the kernel writes one siginfo at
        // most.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const set,
                info.as_mut_ptr(),
                limit,
                MASK_BYTES,
            )
        };
        if let Ok(signal) = checked(result) {
            // SAFETY: zeroed memory is a valid siginfo, and the kernel has filled it in.
            let info = unsafe { info.assume_init() };
            // SAFETY: the union is plain integers; for a signal that no process sent they say
            // nothing, but are initialized.
            let sender = unsafe { info.si_pid() };
            // SAFETY: the same.
            let value = unsafe { info.si_value() };
            let signal = i32::try_from(signal).expect("a signal number is small");
            // An integer shares the union with the pointer. It is the low half on every machine
            // that the tests run on.
            let value = u32::try_from(value.sival_ptr.addr() & 0xffff_ffff).expect("it is masked");
            return Some(Taken {
                signal,
                code: info.si_code,
                sender,
                value: value.cast_signed(),
            });
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN) => return None,
            Some(libc::EINTR) => {}
            other => panic!("rt_sigtimedwait: errno {other:?}"),
        }
    }
}

/// Calls `kill(pid, signal)`, with the kernel's meaning of zero and negative pids.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: sending a signal touches no memory of this process.
    let result = unsafe { libc::kill(pid, signal) };
    checked(result.into()).map(drop)
}

/// Calls `sigqueue(pid, signal, value)`.
pub fn queue(pid: i32, signal: i32, value: i32) -> io::Result<()> {
    let value = libc::sigval {
        sival_ptr: ptr::without_provenance_mut(value.cast_unsigned() as usize),
    };
    // SAFETY: the value is an integer, which is never dereferenced.
    let result = unsafe { libc::sigqueue(pid, signal, value) };
    checked(result.into()).map(drop)
}

/// Which children to wait for, and whether to block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Blocking,
    Polling,
}

/// Reaps one child (-1: any) and returns its pid and raw status. `None` means that there is no
/// child, or that none has ended yet.
pub fn reap(pid: i32, wait: Wait) -> Option<(i32, i32)> {
    let mut status = 0;
    let flags = if wait == Wait::Polling {
        libc::WNOHANG
    } else {
        0
    };
    loop {
        // SAFETY: the status is a live integer.
        let result = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        match result {
            0 => return None,
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            -1 => return None,
            reaped => return Some((reaped, status)),
        }
    }
}

/// Lets any process trace this one (`PR_SET_PTRACER`), even if a security module would allow that
/// to ancestors only.
pub fn allow_tracing() {
    const ANY_PROCESS: libc::c_ulong = libc::c_ulong::MAX;
    // SAFETY: this option takes integers only. It fails if there is no such
    // module, and then nothing restricts tracing.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, ANY_PROCESS, 0, 0, 0) };
}

/// Makes the terminal behind a descriptor the controlling one of this session leader.
pub fn take_terminal(fd: i32) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    let result = unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) };
    checked(result.into()).map(drop)
}

/// Closes a descriptor by number.
pub fn close(fd: i32) {
    // SAFETY: the helper programs close only numbers that they were told to, and own nothing behind
    // these.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor from this one on. A scenario must not inherit the harness's own.
pub fn close_from(first: u32) {
    // SAFETY: the launcher does so before it has opened anything.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Calls `dup2(from, to)`, which leaves `to` open across an exec.
pub fn duplicate(from: i32, to: i32) -> io::Result<()> {
    // SAFETY: as above: what was behind `to` is given up on purpose.
    let result = unsafe { libc::dup2(from, to) };
    checked(result.into()).map(drop)
}

/// Makes every mount of this mount namespace read-only, with all mounts below it.
pub fn make_mounts_read_only() -> io::Result<()> {
    let attributes = MountAttributes {
        set: libc::MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the path is a C string, the structure lives through the call and its size is passed
    // along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    checked(result).map(drop)
}

/// The calling process's session keyring (`keyctl(2)`, `KEY_SPEC_SESSION_KEYRING`).
const SESSION_KEYRING: libc::c_int = -3;

/// Makes a session keyring with a key of this name in it.
pub fn make_key(name: &CStr) -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: this operation takes a name, or null for a keyring without one.
    checked(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            ptr::null::<libc::c_char>(),
        )
    })?;
    let (kind, content) = (c"user", "secret");
    // SAFETY: two C strings, and as many bytes as said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            name.as_ptr(),
            content.as_ptr(),
            content.len(),
            SESSION_KEYRING,
        )
    };
    checked(result).map(drop)
}

/// Succeeds if a key of this name is in the session keyring.
pub fn has_key(name: &CStr) -> io::Result<()> {
    const SEARCH: libc::c_int = 10;
    // SAFETY: two C strings; the last argument is the number of no keyring.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            SEARCH,
            SESSION_KEYRING,
            c"user".as_ptr(),
            name.as_ptr(),
            0,
        )
    };
    checked(result).map(drop)
}

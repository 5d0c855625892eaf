//! What a process does with a signal: the default, or nothing.
//!
//! # Safety
//!
//! Every system call here is given pointers to live values of the size that its man page names;
//! none keeps a pointer.
#![expect(unsafe_code, reason = "rt_sigaction with the kernel's own structure")]

use super::SIGSET_BYTES;

/// The kernel's own `struct sigaction`, which differs from the C library's. frigate never
/// sets a handler with it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Disposition {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Sets the disposition of a signal to `SIG_DFL` or `SIG_IGN` (`rt_sigaction(2)`); `None` leaves
/// it. Returns the former one: `SIG_DFL`, `SIG_IGN` or the address of a handler. May be called on
/// the child's side of a fork.
pub(in crate::sys) fn set_disposition(signal: i32, handler: Option<usize>) -> usize {
    let none = Disposition {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let (new, mut old) = (handler.map(|handler| Disposition { handler, ..none }), none);
    let new: *const Disposition = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: `old` is live, `new` is live or null, and both are laid out as the kernel's
    // structure. Neither SIG_DFL nor SIG_IGN runs any code.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            new,
            &raw mut old,
            SIGSET_BYTES,
        )
    };
    old.handler
}

/// Sets SIGCHLD to its default, and returns whether it was ignored. If it is ignored, the kernel
/// reaps children by itself (`wait(2)`, NOTES).
pub(crate) fn restore_sigchld() -> bool {
    set_disposition(libc::SIGCHLD, Some(libc::SIG_DFL)) == libc::SIG_IGN
}

/// Ignores SIGCHLD again, on the child's side of a fork.
pub(in crate::sys) fn ignore_sigchld() {
    set_disposition(libc::SIGCHLD, Some(libc::SIG_IGN));
}

//! What this process does with a signal: default or ignore.
//!
//! # Safety
//!
//! Every system call here is given pointers to live values of the size that its man page names;
//! none keeps a pointer.
#![expect(unsafe_code, reason = "rt_sigaction with the kernel's own structure")]

use super::SIGSET_BYTES;

/// The kernel's own `struct sigaction`, which differs from the C library's, as far as no handler is
/// involved.
#[repr(C)]
#[derive(Clone, Copy)]
struct Disposition {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// `rt_sigaction(2)`: sets a signal to `SIG_DFL` or `SIG_IGN`, or only looks; answers with what it
/// was before, `SIG_DFL`, `SIG_IGN` or the address of a handler. Fit for the child's side of a
/// fork.
pub(in crate::sys) fn set_disposition(signal: i32, handler: Option<usize>) -> usize {
    let none = Disposition {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let (new, mut old) = (handler.map(|handler| Disposition { handler, ..none }), none);
    let new: *const Disposition = new.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the structures are live and laid out as the kernel's, the former perhaps null;
    // neither SIG_DFL nor SIG_IGN runs any code.
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

/// Sets SIGCHLD back to its default where it was inherited as ignored, since the kernel would then
/// reap behind frigate's back (`wait(2)`, NOTES); answers whether it was.
pub(crate) fn restore_sigchld() -> bool {
    set_disposition(libc::SIGCHLD, Some(libc::SIG_DFL)) == libc::SIG_IGN
}

/// Ignores SIGCHLD, as it was inherited. For the child's side of a fork.
pub(in crate::sys) fn ignore_sigchld() {
    set_disposition(libc::SIGCHLD, Some(libc::SIG_IGN));
}

//! The signal mask of a thread.
//!
//! # Safety
//!
//! Every system call here is given pointers to live values of the size that its man page names;
//! none keeps a pointer.
#![expect(
    unsafe_code,
    reason = "rt_sigprocmask with the kernel's 64-bit signal set"
)]

use super::{ALL_SIGNALS, SIGSET_BYTES};
use crate::core::errno::Errno;
use crate::core::signal::Signal;
use crate::sys::system_call;

/// The signals that a thread has blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(u64);

/// Blocks every signal in the calling thread. Returns the former mask.
///
/// # Errors
///
/// A filter of system calls refuses the call. The kernel itself has no reason to.
pub(crate) fn block_all() -> Result<Mask, Errno> {
    set_mask(Mask(ALL_SIGNALS))
}

/// Sets the mask of the calling thread (`rt_sigprocmask(2)`). Returns the former one.
///
/// May be called on the child's side of a clone, in shared memory too: it does not change the C
/// library's `errno`.
pub(in crate::sys) fn set_mask(mask: Mask) -> Result<Mask, Errno> {
    let mut old = 0_u64;
    let (new, how) = (&raw const mask.0, libc::SIG_SETMASK.unsigned_abs() as usize);
    let arguments = [
        how,
        new.expose_provenance(),
        (&raw mut old).expose_provenance(),
        SIGSET_BYTES,
    ];
    // SAFETY: both pointers are to live 64-bit sets, and the size is theirs.
    let result = unsafe { system_call::call(libc::SYS_rt_sigprocmask, arguments) };
    if result < 0 {
        Err(Errno::new(i32::try_from(-result).unwrap_or(0)))
    } else {
        Ok(Mask(old))
    }
}

/// The signals that the C library keeps for its threads: glibc's 32 and 33, musl's 33 and 34. With
/// the second of the two, it makes every thread of the process change its user or group, and waits
/// until each has.
const LIBC_SIGNALS: u64 = if cfg!(target_env = "musl") {
    0b11 << 32
} else {
    0b11 << 31
};

/// Blocks all signals but the C library's own in the calling thread. If those were blocked, a
/// change of user in another thread would wait for this one forever.
pub(in crate::sys) fn block_all_but_libc_signals() {
    let _ = set_mask(Mask(ALL_SIGNALS & !LIBC_SIGNALS));
}

/// Blocks all signals but one in the calling thread. May be called where `set_mask` may.
pub(in crate::sys) fn block_all_but(signal: Signal) {
    let _ = set_mask(Mask(ALL_SIGNALS & !(1 << (signal.raw() - 1))));
}

/// Returns the mask of the calling thread.
pub(in crate::sys) fn current_mask() -> Mask {
    let mut now = 0_u64;
    let nothing = core::ptr::null::<u64>();
    // SAFETY: a null set changes nothing. The other pointer is to a live 64-bit set, and the size
    // is its.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            nothing,
            &raw mut now,
            SIGSET_BYTES,
        )
    };
    Mask(now)
}

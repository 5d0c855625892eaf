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
use crate::sys::clone;

/// A signal mask as it was, to be given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(u64);

/// `rt_sigprocmask(SIG_SETMASK)` on everything. Returns the mask as it was.
///
/// # Errors
///
/// A filter of system calls refuses it; the kernel itself has no reason to.
pub(crate) fn block_all() -> Result<Mask, Errno> {
    set_mask(Mask(ALL_SIGNALS))
}

/// `rt_sigprocmask(SIG_SETMASK)`. Returns the mask as it was. Fit for the child's side of a clone,
/// in shared memory too: the C library's `errno` is left alone.
pub(in crate::sys) fn set_mask(mask: Mask) -> Result<Mask, Errno> {
    let mut old = 0_u64;
    let (new, how) = (&raw const mask.0, libc::SIG_SETMASK.unsigned_abs() as usize);
    let arguments = [
        how,
        new.expose_provenance(),
        (&raw mut old).expose_provenance(),
        SIGSET_BYTES,
    ];
    // SAFETY: both pointers are to live 64-bit sets, whose size is given.
    let result = unsafe { clone::call(libc::SYS_rt_sigprocmask, arguments) };
    if result < 0 {
        Err(Errno::new(i32::try_from(-result).unwrap_or(0)))
    } else {
        Ok(Mask(old))
    }
}

/// The signals that the C library keeps for its threads: glibc's 32 and 33, musl's 33 and 34. With
/// the latter of each pair it makes every thread of a process change its user or group, and waits
/// for each to have done so.
const LIBC_SIGNALS: u64 = if cfg!(target_env = "musl") {
    0b11 << 32
} else {
    0b11 << 31
};

/// Blocks everything in a thread beside others: a C library that waited for it to answer would wait
/// for ever.
pub(in crate::sys) fn block_all_but_libc_signals() {
    let _ = set_mask(Mask(ALL_SIGNALS & !LIBC_SIGNALS));
}

/// The calling thread's mask.
pub(in crate::sys) fn current_mask() -> Mask {
    let mut now = 0_u64;
    let nothing = core::ptr::null::<u64>();
    // SAFETY: a null set changes nothing; the other pointer is to a live 64-bit set, whose size is
    // given.
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

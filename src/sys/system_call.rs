//! System calls without the C library's wrappers, which write to `errno`.
//!
//! A child in frigate's memory shares `errno` with frigate (`spawn/shared_memory.rs`).
//!
//! # Safety
//!
//! The duties are those of each system call, and the caller's.
#![expect(unsafe_code, reason = "a system call by its number")]

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
pub(super) use other::call;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub(super) use x86_64::call;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
mod x86_64 {
    use core::arch::asm;

    /// Makes a system call of four arguments, or one that ignores the others. Leaves `errno` alone.
    ///
    /// # Safety
    ///
    /// The duties are those of the system call.
    pub(in crate::sys) unsafe fn call(
        number: libc::c_long,
        [first, second, third, fourth]: [usize; 4],
    ) -> libc::c_long {
        let result;
        // SAFETY: the kernel changes no other registers. The caller vouches for what it does to
        // memory.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => result,
                in("rdi") first,
                in("rsi") second,
                in("rdx") third,
                in("r10") fourth,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result
    }
}

/// On other architectures each child is forked, and has an `errno` of its own.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
mod other {
    use crate::sys::last_errno;

    /// Makes the same call through the C library.
    ///
    /// # Safety
    ///
    /// The duties are those of the system call.
    pub(in crate::sys) unsafe fn call(
        number: libc::c_long,
        [first, second, third, fourth]: [usize; 4],
    ) -> libc::c_long {
        // SAFETY: the caller vouches for it.
        let result = unsafe { libc::syscall(number, first, second, third, fourth) };
        if result < 0 {
            -libc::c_long::from(last_errno().raw())
        } else {
            result
        }
    }
}

//! The `frigate` program: argv in, exit code out.
//!
//! A C `main` instead of Rust's: the runtime's start would ignore SIGPIPE, which the child would
//! inherit, and its checks of the standard descriptors come before the signals are blocked.
#![no_main]
#![expect(unsafe_code, reason = "the C main")]

#[path = "sys/heap.rs"]
mod heap;

use core::ffi::{c_char, c_int};

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// Calls the start-up. The C library calls this function as the program's entry.
///
/// # Safety
///
/// It is called once, by the C library's start-up code.
// SAFETY: the name is the one that the C library's start-up code calls, with this signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(
    _argc: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    // SAFETY: the arrays come from the C library as they are, and it has started no thread.
    unsafe { frigate::main(argv, envp) }
}

//! A child that begins in frigate's memory: `CLONE_VM` without `CLONE_VFORK`.
//!
//! No page table is copied, and no page after that, and frigate does not wait for the exec, which
//! may never come. Both processes run at once. `doc/design.md` has the figures beside `fork` and
//! `vfork`. `SharedMemory` holds what makes this safe:
//!
//! | condition | why | held by |
//! |---|---|---|
//! | The child's plan stays where it is and as it is. | The child reads it until its exec. | The plan lives on the heap. While a child is in the memory, `get_mut` returns `None`, and a drop frees nothing. |
//! | frigate knows when a child has left the memory. | Everything above rests on it. | `occupied`: the kernel clears it when the child executes its program or ends (`CLONE_CHILD_CLEARTID`). |
//! | Each child has a stack of its own. | Two processes on one stack overwrite each other. | There is one stack. A second child is refused while it is occupied. |
//! | The child writes only to its stack and to atomics. | frigate does not expect anything else to change. | `execute` gets `&Start`, on the child's stack. Its duty is in `start_child`. |
//! | `errno` is not written. | It is frigate's. | On this path the child makes system calls without the C library: `system_call::call` and `rustix`. |
//! | The child changes nothing about itself but group, terminal, streams and mask. | A change of user changes who may look into the memory (`PR_SET_DUMPABLE(2const)`), and the other changes write to `errno`. | `SpawnPlan::may_share_memory` |
//! | The child has no cgroup of its own. | The kernel ends all processes that share a memory with one that it ends for want of memory. | `SpawnPlan::may_share_memory` |
//! | Its own id need not be written. | The text of `LISTEN_PID` would change under frigate. | `SpawnPlan::may_share_memory` |
//! | The memory belongs to frigate alone. | A host program has threads, handlers and a C library of its own. | `Memory::Copied` in the library |
//! | A core dump ends the child alone. | Before Linux 5.16 it ended all who shared the memory: `signals::a_core_dump_before_exec_is_the_childs_alone`. | `is_supported` |
//! | A hanging exec holds up nothing. | This is why it is not a `vfork`: `signals::a_child_that_does_not_get_through_its_exec_holds_up_nothing`. | no `CLONE_VFORK` |
//! | A refused clone is no obstacle. | A filter of system calls may forbid it: `signals::a_child_is_forked_if_sharing_memory_is_refused`. | `spawn` forks instead, and does not try again. |
//!
//! # Safety
//!
//! The table above. The duties of each block of unsafe code refer to its rows.
#![expect(
    unsafe_code,
    reason = "a raw clone, a stack, and a value that another process reads"
)]

use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::clone::Cloned;
use crate::core::errno::Errno;

/// `AT_RSEQ_FEATURE_SIZE` of the auxiliary vector. Linux 6.3 was the first to pass it.
const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;

/// Whether the code below exists for this architecture.
const IS_WRITTEN: bool = cfg!(all(target_arch = "x86_64", target_pointer_width = "64"));

/// Whether this kernel ends only the child if the child dumps core. The age of the kernel is read
/// from the auxiliary vector, because `uname(2)` would be a system call more for each start.
pub(super) fn is_supported() -> bool {
    // SAFETY: getauxval(3) takes a number, and reads what the kernel passed at the start.
    IS_WRITTEN && unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } > 0
}

/// The size of the child's stack: four times what it uses in the shipped program, whose memory is
/// counted. A compiler that does not optimize, or a dynamic linker that resolves a first call, may
/// need far more.
const STACK_BYTES: usize = if cfg!(debug_assertions) || !cfg!(target_env = "musl") {
    32 * 1024
} else {
    1024
};

/// `u128` for its alignment: a function is called with the stack on a multiple of 16.
type Stack = [u128; STACK_BYTES / 16];

struct Block<T> {
    /// Not 0 while a child may execute an instruction in this memory.
    occupied: AtomicU32,
    value: T,
}

/// A value that a child in frigate's memory reads.
pub(super) struct SharedMemory<T> {
    block: NonNull<Block<T>>,
    /// `None` if no child may be in this memory. Never freed, since a plan lives as long as the
    /// program.
    stack: Option<NonNull<Stack>>,
}

impl<T> SharedMemory<T> {
    /// `has_stack` says whether a child may be in this memory.
    pub(super) fn new(value: T, has_stack: bool) -> Self {
        let occupied = AtomicU32::new(0);
        let block = Box::new(Block { occupied, value });
        let stack = || NonNull::from(Box::leak(Box::<Stack>::new_uninit())).cast();
        Self {
            block: NonNull::from(Box::leak(block)),
            stack: has_stack.then(stack),
        }
    }

    pub(super) const fn has_stack(&self) -> bool {
        self.stack.is_some()
    }

    /// Allows no child in this memory any more.
    pub(super) fn remove_stack(&mut self) {
        self.stack = None;
    }

    fn block(&self) -> &Block<T> {
        // SAFETY: the block is live until `drop`, and a child only reads it, except for atomics.
        unsafe { self.block.as_ref() }
    }

    fn is_occupied(&self) -> bool {
        self.block().occupied.load(Ordering::Acquire) != 0
    }

    /// Returns the value, to be changed; `None` if a child may be reading it.
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        if self.is_occupied() {
            return None;
        }
        // SAFETY: the block is live until `drop`, no child reads it, and only `self` starts one.
        Some(unsafe { &mut self.block.as_mut().value })
    }

    /// Calls `execute` in a new process that shares this memory, with `start` on a stack of its own.
    ///
    /// # Safety
    ///
    /// `execute` reads only `start` and what `start` refers to in this value, and writes only to
    /// its stack and to atomics of this value. It does not write to `errno`.
    ///
    /// # Errors
    ///
    /// The kernel refuses the clone, no child may be in this memory, or one still is.
    pub(super) unsafe fn start_child<S: Copy>(
        &self,
        start: S,
        execute: extern "C" fn(&S) -> !,
        with_pidfd: bool,
    ) -> Result<Cloned, Errno> {
        let Some(stack) = self.stack.filter(|_| !self.is_occupied()) else {
            return Err(Errno::BUSY);
        };
        const {
            assert!(size_of::<S>() <= STACK_BYTES / 4 && align_of::<S>() <= align_of::<Stack>());
        };
        // A stack grows down.
        let top = stack
            .as_ptr()
            .wrapping_add(1)
            .cast::<u8>()
            .wrapping_sub(size_of::<S>().next_multiple_of(16))
            .cast::<S>();
        // SAFETY: there is room between `top` and the end, the address is aligned, and no child is
        // on the stack.
        unsafe { top.write(start) };
        // Before the clone: a child may have left before the clone returns here.
        let occupied = &self.block().occupied;
        occupied.store(1, Ordering::Relaxed);
        // SAFETY: `start` is at the top of a stack that the child alone uses. It stays so, and the
        // value stays as it is, until the kernel clears `occupied`. The caller vouches for the
        // rest.
        let result = unsafe { clone_onto_stack(top, execute, occupied, with_pidfd) };
        if result.is_err() {
            occupied.store(0, Ordering::Relaxed);
        }
        result
    }
}

impl<T> Deref for SharedMemory<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block().value
    }
}

impl<T> Drop for SharedMemory<T> {
    fn drop(&mut self) {
        if !self.is_occupied() {
            // SAFETY: it came from a box, no child reads it, and nothing here refers to it any
            // more.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
    }
}

/// `clone(CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD)`: calls `execute(start)` in a new process,
/// whose stack begins below `start`.
///
/// # Safety
///
/// `start` is live and is at the top of a stack of 16-byte alignment that no other process uses.
/// Nothing that `execute` reads changes until the kernel clears `occupied`, and `execute` writes
/// nothing that this process does not expect to change.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
unsafe fn clone_onto_stack<S>(
    start: *mut S,
    execute: extern "C" fn(&S) -> !,
    occupied: &AtomicU32,
    with_pidfd: bool,
) -> Result<Cloned, Errno> {
    let mut pidfd = -1;
    let flags = libc::CLONE_VM
        | libc::CLONE_CHILD_CLEARTID
        | libc::SIGCHLD
        | if with_pidfd { libc::CLONE_PIDFD } else { 0 };
    let result;
    // SAFETY: the parent continues as after any system call. The child has the same registers
    // except for its stack, at whose top is `start`. It never reaches the end of this block, since
    // `execute` does not return.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, rsp",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone => result,
            in("rdi") libc::c_long::from(flags),
            in("rsi") start,
            in("rdx") &raw mut pidfd,
            in("r10") occupied.as_ptr(),
            in("r12") execute,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    super::clone::cloned(result, pidfd)
}

/// Does not exist for this architecture: every child is forked.
///
/// # Safety
///
/// It does nothing.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
unsafe fn clone_onto_stack<S>(
    _: *mut S,
    _: extern "C" fn(&S) -> !,
    _: &AtomicU32,
    _: bool,
) -> Result<Cloned, Errno> {
    Err(Errno::INVALID)
}

#[cfg(test)]
#[path = "shared_memory_tests.rs"]
mod tests;

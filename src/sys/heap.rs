//! The allocator of the binary, which has one thread and allocates little: a few kilobytes for the
//! options and the plan, and now and then a list of processes.
//!
//! The C library's allocator makes up to seven system calls in each run, and is larger than some of
//! frigate's features. `doc/design.md` has the figures: 8.8 kB, 5 system calls, 7 page faults, 13 %
//! of a run. The library leaves the allocator to its host.
//!
//! Blocks have sizes that are powers of two. They are cut off the program's own zeroed memory, and
//! off larger pieces from the kernel when that is used up. A freed block waits for the next request
//! of its size, so that memory does not grow with time.
//!
//! # Safety
//!
//! The binary has no thread beside the one of `main`, so that nothing is shared. A child of `fork`
//! has a copy of its own, and allocates nothing. Blocks never overlap: each is cut off once, and
//! then is either in one list or in the hands of one caller.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "every block lies on a multiple of its size, 16 at least"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The sizes of blocks are 16 bytes, doubled up to 64 KiB. A larger block is a mapping of its own.
const SMALLEST: usize = 16;
const SIZES: usize = 13;

/// The alignment of a mapping.
const PAGE: usize = 4096;

/// The size of the program's own memory for blocks. A whole run needs less. Pages that are never
/// touched cost nothing.
const OWN_BYTES: usize = 64 * 1024;

/// The size of each piece that the kernel is asked for when that is used up.
const PIECE_BYTES: usize = 256 * 1024;

/// The exit code of a frigate without memory: `core::exit_code::FRIGATE_FAILED`, which this file
/// cannot name in the binary. A unit test compares the two.
const OUT_OF_MEMORY: i32 = 125;

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; OWN_BYTES]>);

struct State {
    /// The lists of freed blocks, by size. Each block holds the address of the next.
    freed: [*mut u8; SIZES],
    next: *mut u8,
    left: usize,
}

/// The allocator. Its state is in the page of the first blocks.
#[repr(C)]
pub(crate) struct Heap {
    state: UnsafeCell<State>,
    arena: Arena,
}

// SAFETY: there is one thread.
unsafe impl Sync for Heap {}

/// Returns the size of the block for this layout, and its index among the sizes. An index beyond the
/// last means that the block is a mapping of its own.
fn size_of_block(layout: Layout) -> (usize, usize) {
    let size = layout
        .size()
        .max(layout.align())
        .max(SMALLEST)
        .next_power_of_two();
    (
        size,
        (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize,
    )
}

fn map(size: usize) -> *mut u8 {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping, wherever the kernel has room.
    let memory = unsafe { libc::mmap(null_mut(), size, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        end_without_memory()
    } else {
        memory.cast()
    }
}

/// Reports that there is no memory, and ends. Rust's `abort` would end without a message. If
/// frigate is PID 1, the kernel ends everything else.
///
/// The write must not block, or frigate would hang if its standard error is full. No check before
/// the write can promise that, and a flag of the write works on pipes only. So the open file
/// description is made non-blocking for this one write, although a process that shares it may
/// notice.
#[expect(clippy::disallowed_methods, reason = "nothing can return here")]
fn end_without_memory() -> ! {
    let stream = rustix::stdio::stderr();
    if let Ok(flags) = fcntl_getfl(stream) {
        if fcntl_setfl(stream, flags | OFlags::NONBLOCK).is_ok() {
            let _ = rustix::io::write(
                stream,
                b"frigate: cannot go on: out of memory; ending with 125\n",
            );
            let _ = fcntl_setfl(stream, flags);
        }
    }
    // SAFETY: _exit(2) ends the process at once.
    unsafe { libc::_exit(OUT_OF_MEMORY) }
}

impl Heap {
    #[expect(
        clippy::large_stack_arrays,
        reason = "a constant: it is never on a stack"
    )]
    pub(crate) const fn new() -> Self {
        // All zeros, so that it takes no room in the file.
        let state = State {
            freed: [null_mut(); SIZES],
            next: null_mut(),
            left: 0,
        };
        Self {
            state: UnsafeCell::new(state),
            arena: Arena(UnsafeCell::new([0; OWN_BYTES])),
        }
    }
}

impl State {
    /// Cuts off a block whose address is a multiple of its size, so that it fits every later request
    /// of that size.
    fn cut(&mut self, own: *mut u8, size: usize) -> *mut u8 {
        if self.next.is_null() {
            (self.next, self.left) = (own, OWN_BYTES);
        }
        if self.next.align_offset(size).saturating_add(size) > self.left {
            // The rest of the former piece is lost.
            (self.next, self.left) = (map(PIECE_BYTES), PIECE_BYTES);
        }
        let gap = self.next.align_offset(size);
        let block = self.next.wrapping_add(gap);
        self.next = block.wrapping_add(size);
        self.left -= gap + size;
        block
    }
}

// SAFETY: a block is at least as large as the layout. Its address is a multiple of its size, or of
// a page if it is mapped; a larger alignment is refused. Nothing else uses it until it is freed.
// Nothing here unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, index) = size_of_block(layout);
        // SAFETY: one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        let Some(list) = state.freed.get_mut(index) else {
            return if layout.align() > PAGE {
                null_mut()
            } else {
                map(size)
            };
        };
        let first = *list;
        if first.is_null() {
            return state.cut(self.arena.0.get().cast(), size);
        }
        // SAFETY: a block in a list is at least 16 bytes long, aligned to that, and begins with the
        // address of the next.
        *list = unsafe { first.cast::<*mut u8>().read() };
        first
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (size, index) = size_of_block(layout);
        // SAFETY: one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        let Some(list) = state.freed.get_mut(index) else {
            // SAFETY: it was mapped with this size, and the caller uses it no more.
            unsafe { libc::munmap(block.cast(), size) };
            return;
        };
        // SAFETY: the caller uses the block no more, and it has room for an address.
        unsafe { block.cast::<*mut u8>().write(*list) };
        *list = block;
    }
}

#[cfg(test)]
#[path = "heap_tests.rs"]
mod tests;

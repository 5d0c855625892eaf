//! The heap of the binary, which has one thread and little to keep: a few kilobytes for the options
//! and the plan, and now and then a list of processes.
//!
//! The C library's allocator makes up to seven system calls at the start and the end of every run,
//! and is larger than some of frigate's features. This one cuts blocks, whose sizes are powers of
//! two, off a piece of the program's own zeroed memory, and asks the kernel for more only where
//! that is used up. A block that is given back waits for the next of its size, so that memory does
//! not grow with time. The library leaves the allocator to its host.
//!
//! # Safety
//!
//! No thread runs beside the one of `main`, so that nothing is shared; a child of `fork` has a copy
//! of its own, and allocates nothing. Blocks never overlap: each is cut off once, and then is
//! either in one list or in one caller's hands.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "every block lies on a multiple of its size, 16 at least"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The sizes of blocks: 16 bytes, doubled up to 64 KiB; what is larger is mapped, and unmapped, by
/// itself.
const SMALLEST: usize = 16;
const SIZES: usize = 13;

/// What a mapping lies on a multiple of, at least.
const PAGE: usize = 4096;

/// What a whole run needs, and more: pages that are never touched cost nothing.
const OWN: usize = 64 * 1024;

/// What is asked for at once when that is used up.
const MORE: usize = 256 * 1024;

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; OWN]>);

struct State {
    /// Blocks that were given back, by size: each holds the address of the next.
    given_back: [*mut u8; SIZES],
    next: *mut u8,
    left: usize,
}

/// The allocator. What it knows lies before the memory, in the page of the first blocks.
#[repr(C)]
pub(crate) struct Heap {
    state: UnsafeCell<State>,
    arena: Arena,
}

// SAFETY: there is one thread.
unsafe impl Sync for Heap {}

/// The place of the size in the list of sizes; one beyond the end is too large for it.
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

/// Says that there is no memory, and ends: the alternative is Rust's `abort`, which says nothing
/// here. As PID 1 the kernel ends everything else with frigate.
///
/// The write must not block, or frigate would hang instead of ending while nobody reads its
/// standard error. No check before a write can promise that, and a flag of the write works on pipes
/// alone. So the description is made non-blocking for this one write, although a process that
/// shares it may notice.
#[cold]
#[inline(never)]
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
    unsafe { libc::_exit(125) }
}

impl Heap {
    #[expect(
        clippy::large_stack_arrays,
        reason = "a constant: it is never on a stack"
    )]
    pub(crate) const fn new() -> Self {
        // All zero, and so no part of the file.
        let state = State {
            given_back: [null_mut(); SIZES],
            next: null_mut(),
            left: 0,
        };
        Self {
            state: UnsafeCell::new(state),
            arena: Arena(UnsafeCell::new([0; OWN])),
        }
    }
}

impl State {
    /// Cuts off a block that lies on a multiple of its size, so that it will do for whoever is next
    /// to ask for that size.
    fn cut(&mut self, own: *mut u8, size: usize) -> *mut u8 {
        if self.next.is_null() {
            (self.next, self.left) = (own, OWN);
        }
        if self.next.align_offset(size).saturating_add(size) > self.left {
            // What is left of the piece is lost.
            (self.next, self.left) = (map(MORE), MORE);
        }
        let gap = self.next.align_offset(size);
        let block = self.next.wrapping_add(gap);
        self.next = block.wrapping_add(size);
        self.left -= gap + size;
        block
    }
}

// SAFETY: a block is at least as large as the layout, lies on a multiple of its size (one that is
// mapped, on a page: more is refused), and is nobody else's until it is given back; nothing here
// unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, place) = size_of_block(layout);
        // SAFETY: one thread, and no reference to the state outlives a call.
        let state = unsafe { &mut *self.state.get() };
        let Some(list) = state.given_back.get_mut(place) else {
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
        let (size, place) = size_of_block(layout);
        // SAFETY: as above.
        let state = unsafe { &mut *self.state.get() };
        let Some(list) = state.given_back.get_mut(place) else {
            // SAFETY: it was mapped with this size, and nobody uses it any more.
            unsafe { libc::munmap(block.cast(), size) };
            return;
        };
        // SAFETY: the block is the caller's no more, and has room for an address.
        unsafe { block.cast::<*mut u8>().write(*list) };
        *list = block;
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller vouches that the new size, rounded up to the alignment, does not
        // overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if size_of_block(new_layout) == size_of_block(layout) {
            return block;
        }
        // SAFETY: the new layout is valid and not empty, by the duty of the caller.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both are as long as what is copied, and two blocks never overlap.
            unsafe {
                core::ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
            };
            // SAFETY: the block was given out with this layout.
            unsafe { self.dealloc(block, layout) };
        }
        new_block
    }
}

#[cfg(test)]
#[path = "heap_tests.rs"]
mod tests;

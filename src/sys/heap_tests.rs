#![expect(unsafe_code, reason = "calls an allocator as the compiler would")]

use core::alloc::{GlobalAlloc, Layout};

use proptest::prelude::*;

use super::{Heap, OUT_OF_MEMORY, OWN_BYTES, PAGE, SMALLEST};
use crate::core::exit_code::FRIGATE_FAILED;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap_or(Layout::new::<u8>())
}

/// Blocks in use, each filled with a number of its own.
#[derive(Default)]
struct Blocks(Vec<(*mut u8, Layout, u8)>);

impl Blocks {
    fn check(&self) {
        for (block, layout, mark) in &self.0 {
            assert_eq!(block.align_offset(layout.align()), 0, "{layout:?}");
            // SAFETY: the block is in use, and as long as its layout says.
            let bytes = unsafe { core::slice::from_raw_parts(*block, layout.size()) };
            // As a whole: byte by byte this takes Miri minutes.
            assert!(
                bytes == vec![*mark; layout.size()],
                "a block was overwritten"
            );
        }
    }
}

fn fill(block: *mut u8, size: usize, mark: u8) {
    // SAFETY: the block is as long as that, and the caller's.
    unsafe { block.write_bytes(mark, size) };
}

proptest! {
    #[test]
    fn blocks_never_overlap_and_lie_where_they_are_asked_to(
        steps in prop::collection::vec((0..3_u8, 1..200_000_usize, 0..8_u32, any::<prop::sample::Index>()), 1..60)
    ) {
        let heap = Heap::new();
        let mut blocks = Blocks::default();
        for (mark, (step, size, align, which)) in (0..=255_u8).cycle().zip(steps) {
            let size = if size % 4 == 0 { size } else { size % 600 + 1 };
            match step {
                0 if !blocks.0.is_empty() => {
                    let (block, layout, _) = blocks.0.swap_remove(which.index(blocks.0.len()));
                    // SAFETY: it was given out with this layout.
                    unsafe { heap.dealloc(block, layout) };
                }
                1 if !blocks.0.is_empty() => {
                    let at = which.index(blocks.0.len());
                    let (block, old, kept) = blocks.0.swap_remove(at);
                    // SAFETY: it was given out with this layout, and the size is not 0.
                    let moved = unsafe { heap.realloc(block, old, size) };
                    // SAFETY: what was in it, as far as it goes, is in it still.
                    let bytes = unsafe { core::slice::from_raw_parts(moved, old.size().min(size)) };
                    assert!(bytes == vec![kept; bytes.len()]);
                    fill(moved, size, mark);
                    blocks.0.push((moved, layout(size, old.align()), mark));
                }
                _ => {
                    let layout = layout(size, 1 << align);
                    // SAFETY: the layout is not empty.
                    let block = unsafe { heap.alloc(layout) };
                    assert!(!block.is_null());
                    fill(block, size, mark);
                    blocks.0.push((block, layout, mark));
                }
            }
            blocks.check();
        }
    }
}

#[test]
fn memory_does_not_grow_with_time() {
    let heap = Heap::new();
    let layout = layout(1000, 8);
    // SAFETY: the layout is not empty.
    let first = unsafe { heap.alloc(layout) };
    // SAFETY: it was given out with this layout.
    unsafe { heap.dealloc(first, layout) };
    let rounds = if cfg!(miri) { 100 } else { 100_000 };
    for _ in 0..rounds {
        // SAFETY: as above.
        let block = unsafe { heap.alloc(layout) };
        assert_eq!(block, first, "the same again, with nothing else in use");
        // SAFETY: as above.
        unsafe { heap.dealloc(block, layout) };
    }
}

#[test]
fn small_blocks_come_from_the_programs_own_memory() {
    let heap = Heap::new();
    let own = heap.arena.0.get() as usize..heap.arena.0.get() as usize + OWN_BYTES;
    for _ in 0..OWN_BYTES / SMALLEST {
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.alloc(layout(1, 1)) };
        assert!(own.contains(&(block as usize)));
    }
    // SAFETY: as above.
    let block = unsafe { heap.alloc(layout(1, 1)) };
    assert!(
        !block.is_null() && !own.contains(&(block as usize)),
        "then from the kernel"
    );
}

#[test]
fn a_large_block_lies_on_a_page_and_none_is_given_out_that_should_lie_on_more() {
    let heap = Heap::new();
    for size in [OWN_BYTES + 1, 1 << 20] {
        let on_a_page = layout(size, PAGE);
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.alloc(on_a_page) };
        assert_eq!(block.align_offset(PAGE), 0);
        for align in [2 * PAGE, 1 << 16, 1 << 20] {
            // SAFETY: as above.
            let block = unsafe { heap.alloc(layout(size, align)) };
            assert!(block.is_null(), "{size} on {align}");
        }
        let on_two = layout(OWN_BYTES, 2 * PAGE);
        // SAFETY: as above.
        let block = unsafe { heap.alloc(on_two) };
        assert_eq!(block.align_offset(2 * PAGE), 0);
        // SAFETY: the block was given out with this layout, and the size is not 0.
        let moved = unsafe { heap.realloc(block, on_two, size) };
        assert!(moved.is_null(), "it grows where it cannot lie");
    }
}

#[test]
fn the_exit_code_without_memory_is_that_of_a_failure() {
    assert_eq!(OUT_OF_MEMORY, i32::from(FRIGATE_FAILED));
}

//! The writer: writes a number of blocks of 64 KiB to standard output, as fast as the reader allows,
//! and ends.
//!
//! `writer BLOCKS`. The blocks are lines of 1,024 bytes, because most loggers work in lines.
#![no_std]
#![no_main]

#[path = "kernel.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod kernel;

use kernel::{WRITE, call};

const BLOCK: usize = 65_536;
const LINE: usize = 1024;

static BYTES: [u8; BLOCK] = {
    let mut bytes = [b'x'; BLOCK];
    let mut end = LINE;
    while end <= BLOCK {
        bytes[end - 1] = b'\n';
        end += LINE;
    }
    bytes
};

pub fn run(words: *const *const u8, _environment: *const *const u8) -> usize {
    // SAFETY: the harness gives the number.
    let mut digit = unsafe { *words.add(1) };
    let mut left = 0;
    // SAFETY: the word ends with a zero byte, which has not been passed.
    while let value @ b'0'..=b'9' = unsafe { *digit } {
        left = left * 10 + usize::from(value - b'0');
        // SAFETY: it is a digit, and so not the word's end.
        digit = unsafe { digit.add(1) };
    }
    left *= BLOCK;
    while left > 0 {
        // If the pipe accepts only a part, the next block begins where that part ended, so that the
        // lines stay whole.
        let at = left.wrapping_neg() % BLOCK;
        let written = call(WRITE, [1, BYTES.as_ptr().addr() + at, BLOCK - at, 0, 0]);
        if written <= 0 {
            return 1;
        }
        left -= written.unsigned_abs();
    }
    0
}

//! A stream of bytes in which no two stretches are alike, and any stretch can be computed again. So
//! a check finds bytes that were lost, doubled or moved on their way.

use std::io::{self, Write};
use std::ops::Range;

/// Returns the bytes of the stream from one position to another.
pub fn noise(range: Range<u64>) -> Vec<u8> {
    range
        .map(|at| mixed(at / 8).to_le_bytes()[usize::try_from(at % 8).expect("it is small")])
        .collect()
}

/// Returns a number mixed by the finalizer of `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Writes a stretch of the stream in pieces of odd lengths, from one byte to more than a pipe
/// holds.
pub fn pour(range: Range<u64>, to: &mut impl Write) -> io::Result<()> {
    let lengths = [1, 4097, 65_537, 13, 9_999, 262_147, 511];
    let mut from = range.start;
    for length in lengths.into_iter().cycle() {
        let end = range.end.min(from + length);
        to.write_all(&noise(from..end))?;
        from = end;
        if from == range.end {
            break;
        }
    }
    to.flush()
}

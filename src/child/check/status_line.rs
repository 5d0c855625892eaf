//! The first line of a server's answer (RFC 9112, section 4).
#![forbid(unsafe_code)]

use crate::core::health::failure::CheckFailure;
use crate::core::number::parse_number;

/// `HTTP/1.1 200`, and a byte behind it.
const HEAD_BYTES: usize = 13;

/// A status line that arrives in pieces of any size. The text behind the status is dropped, so that
/// it may have any length.
#[derive(Default)]
pub(super) struct StatusLine {
    head: [u8; HEAD_BYTES],
    length: usize,
}

impl StatusLine {
    /// Takes bytes. Returns the result of the check; `None` means that the line goes on.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Result<(), CheckFailure>> {
        for byte in bytes {
            if let Some(slot) = self.head.get_mut(self.length) {
                *slot = *byte;
                self.length += 1;
                if !self.is_like_http() {
                    return Some(Err(CheckFailure::NotHttp));
                }
            }
            if *byte == b'\n' {
                return Some(self.judge());
            }
        }
        None
    }

    /// Whether what has arrived can be the beginning of a status line.
    fn is_like_http(&self) -> bool {
        let head = self.head.iter().take(self.length);
        head.zip(b"HTTP/#.# ###\r")
            .all(|(byte, expected)| match expected {
                b'#' => byte.is_ascii_digit(),
                // Behind the status comes a blank and a text, or the end of the line.
                b'\r' => matches!(byte, b' ' | b'\r' | b'\n'),
                expected => byte == expected,
            })
    }

    fn judge(&self) -> Result<(), CheckFailure> {
        match self.head.get(9..12).and_then(parse_number) {
            Some(200..=399) => Ok(()),
            Some(status @ 100..) => Err(CheckFailure::Status(status)),
            Some(_) | None => Err(CheckFailure::NotHttp),
        }
    }
}

#[cfg(test)]
#[path = "status_line_tests.rs"]
mod tests;

//! One line of output, of fixed size.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

/// The longest message, with its line end: half of what one write puts into a pipe undivided
/// (`pipe(7)`, `PIPE_BUF`).
pub(crate) const LIMIT: usize = 2048;

/// A line that is being written. What does not fit is cut off, never inside a character.
pub(crate) struct Line {
    bytes: [u8; LIMIT],
    len: usize,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; LIMIT],
            len: 0,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Appends `tail`, which always fits: what was written last gives way.
    pub(crate) fn end_with(&mut self, tail: &str) {
        self.len = self.len.min(LIMIT - tail.len());
        // Back to the start of a character: its other bytes begin with the bits 10.
        while self
            .bytes
            .get(self.len)
            .is_some_and(|byte| byte & 0xc0 == 0x80)
            && self.len > 0
        {
            self.len -= 1;
        }
        let _ = self.write_str(tail);
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = LIMIT - self.len;
        let cut = (0..=text.len().min(free))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        let (head, _) = text.as_bytes().split_at_checked(cut).unwrap_or_default();
        if let Some(space) = self.bytes.get_mut(self.len..self.len + cut) {
            space.copy_from_slice(head);
            self.len += cut;
        }
        Ok(())
    }
}

/// Writes text as the inside of a JSON string (RFC 8259, section 7).
pub(crate) struct Escaped<'a>(pub(crate) &'a mut Line);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // Room to close the string and the object: without that the line is no JSON.
            if self.0.len + 64 > LIMIT {
                break;
            }
            match c {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                c if c < ' ' => {
                    self.0.write_str("\\u00")?;
                    for nibble in [u32::from(c) >> 4, u32::from(c) & 15] {
                        self.0
                            .write_char(char::from_digit(nibble, 16).unwrap_or_default())?;
                    }
                }
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

//! One line of output: fixed in size, always whole, always printable.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

/// The longest message, line end included: half of what a pipe takes in one piece (`pipe(7)`,
/// `PIPE_BUF`).
pub(crate) const LIMIT: usize = 2048;

/// A line under construction: fixed in size, cut where it would grow beyond, never broken inside a
/// character.
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

    /// Takes `tail` in any case, at the cost of what came last.
    pub(crate) fn end_with(&mut self, tail: &str) {
        self.len = self.len.min(LIMIT - tail.len());
        // Back to the beginning of a character: all its other bytes begin with 10 in binary.
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
            // A string that nothing could close any more would make the whole line worthless.
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

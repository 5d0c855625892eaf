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

/// The first characters of a text, at most so many, with what would break or reorder a line made
/// visible.
pub(crate) struct Printable<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == self.1 {
                return out.write_str("...");
            }
            // The separators of lines and paragraphs, and the marks that turn the direction of
            // text.
            let breaks =
                c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if breaks {
                write!(out, "{}", c.escape_default())?;
            } else {
                out.write_char(c)?;
            }
        }
        Ok(())
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

/// The bytes as text, with U+FFFD in place of each piece that is not UTF-8: what
/// `String::from_utf8_lossy` makes, in half the code.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Err(error) = core::str::from_utf8(rest) {
        let (valid, broken) = rest
            .split_at_checked(error.valid_up_to())
            .unwrap_or_default();
        text.push_str(core::str::from_utf8(valid).unwrap_or_default());
        text.push('\u{fffd}');
        // None: the end came in the middle of a character.
        rest = error
            .error_len()
            .and_then(|length| broken.get(length..))
            .unwrap_or_default();
    }
    text.push_str(core::str::from_utf8(rest).unwrap_or_default());
    text
}

/// Appends at most `limit` characters of `text`, fit to print.
pub(crate) fn push_printable(out: &mut String, text: &str, limit: usize) {
    let _ = write!(out, "{}", Printable(text, limit));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::text_of;

    proptest! {
        #[test]
        fn bytes_become_text_as_the_library_would_have_it(bytes: Vec<u8>, text: String, cut: usize) {
            prop_assert_eq!(text_of(&bytes), String::from_utf8_lossy(&bytes));
            let mut mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
            mixed.truncate(cut % (mixed.len() + 1));
            prop_assert_eq!(text_of(&mixed), String::from_utf8_lossy(&mixed));
        }
    }
}

//! Text that came from outside, made fit to print on one line.

use core::fmt::{self, Write};

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

/// The bytes as text, with U+FFFD in place of each piece that is not UTF-8: what
/// `String::from_utf8_lossy` makes, in half the code.
pub(crate) fn lossy_text(bytes: &[u8]) -> String {
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

    use super::lossy_text;

    proptest! {
        #[test]
        fn bytes_become_text_as_the_library_would_have_it(bytes: Vec<u8>, text: String, cut: usize) {
            prop_assert_eq!(lossy_text(&bytes), String::from_utf8_lossy(&bytes));
            let mut mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
            mixed.truncate(cut % (mixed.len() + 1));
            prop_assert_eq!(lossy_text(&mixed), String::from_utf8_lossy(&mixed));
        }
    }
}

//! Text from outside, made safe to print on one line.

use core::fmt::{self, Write};

/// Prints at most that many characters of a text. What would break or reorder the line is escaped.
pub(crate) struct Printable<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == self.1 {
                return out.write_str("...");
            }
            // Line and paragraph separators, and the marks that change the direction of text.
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

/// Returns the bytes as text, with U+FFFD in place of each piece that is not UTF-8. Same result as
/// `String::from_utf8_lossy`, in half the code.
pub(crate) fn lossy_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Err(error) = core::str::from_utf8(rest) {
        let (valid, broken) = rest
            .split_at_checked(error.valid_up_to())
            .unwrap_or_default();
        text.push_str(core::str::from_utf8(valid).unwrap_or_default());
        text.push('\u{fffd}');
        // `None` means that the text ends inside a character.
        rest = error
            .error_len()
            .and_then(|length| broken.get(length..))
            .unwrap_or_default();
    }
    text.push_str(core::str::from_utf8(rest).unwrap_or_default());
    text
}

/// Appends at most `limit` characters of `text`, safe to print.
pub(crate) fn push_printable(out: &mut String, text: &str, limit: usize) {
    let _ = write!(out, "{}", Printable(text, limit));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::lossy_text;

    proptest! {
        #[test]
        fn bytes_become_the_same_text_as_in_the_standard_library(bytes: Vec<u8>, text: String, cut: usize) {
            prop_assert_eq!(lossy_text(&bytes), String::from_utf8_lossy(&bytes));
            let mut mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
            mixed.truncate(cut % (mixed.len() + 1));
            prop_assert_eq!(lossy_text(&mixed), String::from_utf8_lossy(&mixed));
        }
    }
}

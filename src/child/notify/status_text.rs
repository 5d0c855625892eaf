//! What the child has said last about itself (`STATUS=` in `sd_notify(3)`).

use crate::core::command_status::REPORT_BYTES;

/// The text, which is empty until the child has sent one.
#[derive(Default)]
pub(crate) struct StatusText {
    text: Vec<u8>,
    changes: u32,
}

impl StatusText {
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns how often the text was set, so that a change is known without the text.
    pub(crate) const fn changes(&self) -> u32 {
        self.changes
    }

    /// Keeps the text up to its first null byte, and no more of it than `--status` shows.
    pub(crate) fn set(&mut self, text: &[u8]) {
        let length = text.iter().position(|byte| *byte == 0);
        let length = length.unwrap_or(text.len()).min(REPORT_BYTES + 1);
        self.text.clear();
        self.text
            .extend_from_slice(text.get(..length).unwrap_or_default());
        self.changes = self.changes.wrapping_add(1);
    }

    /// Forgets the text of a former child.
    pub(crate) fn clear(&mut self) {
        if !self.text.is_empty() {
            self.set(b"");
        }
    }
}

//! A mistake: what frigate cannot do, why, and how to fix it.

use crate::core::errno::Errno;
use crate::core::text::push_printable;

const OBJECT_CHARACTERS: usize = 120;
const REASON_CHARACTERS: usize = 300;

/// Why frigate cannot start, or go on: one line that says what is wrong, where, and how to fix it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mistake {
    pub(crate) text: String,
}

impl Mistake {
    /// Makes the text `cannot <verb> '<object>'`. The object is cut short, and safe to print.
    pub(crate) fn new(verb: &str, object: &str) -> Self {
        let mut text = ["cannot ", verb, " '"].concat();
        push_printable(&mut text, object, OBJECT_CHARACTERS);
        text.push('\'');
        Self { text }
    }

    /// Makes the mistake for a call that frigate cannot do without.
    pub(crate) fn refused_call(verb: &str, object: &str, errno: Errno) -> Self {
        Self::new(verb, object).because(&[&errno.to_string(), "; ending"].concat())
    }

    /// Appends the reason.
    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.text.push_str(": ");
        push_printable(&mut self.text, reason, REASON_CHARACTERS);
        self
    }
}

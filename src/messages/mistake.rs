//! A mistake: one line that says what, where, and how to mend it.

use crate::core::errno::Errno;
use crate::core::text::push_printable;

/// A mistake on the command line or in the environment: one line that says what, where, and how to
/// mend it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mistake {
    pub(crate) text: String,
}

impl Mistake {
    /// `cannot <verb> '<object>'`, the object cut short and freed of what would break the line.
    pub(crate) fn new(verb: &str, object: &str) -> Self {
        let mut text = ["cannot ", verb, " '"].concat();
        push_printable(&mut text, object, 120);
        text.push('\'');
        Self { text }
    }

    /// What frigate cannot go on without, and why it has to.
    #[inline(never)]
    pub(crate) fn refused_call(verb: &str, object: &str, errno: Errno) -> Self {
        Self::new(verb, object).because(&[&errno.to_string(), "; ending"].concat())
    }

    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.text.push_str(": ");
        push_printable(&mut self.text, reason, 300);
        self
    }
}

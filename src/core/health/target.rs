//! What a check asks: a target, as an option names it.

/// How frigate learns whether a service is well. It borrows the text that it was parsed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target<'a> {
    /// frigate asks, again and again.
    Asked(&'a str),
    /// The child sends messages by itself (`sd_notify(3)`).
    Notify,
}

const KINDS: [&str; 5] = ["http://", "tcp://", "unix:", "file:", "exec:"];

impl<'a> Target<'a> {
    /// Parses a target.
    ///
    /// # Errors
    ///
    /// Why it is none, and what is accepted.
    pub(crate) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text == "notify" {
            return Ok(Self::Notify);
        }
        if KINDS.iter().any(|kind| text.starts_with(kind)) {
            return Ok(Self::Asked(text));
        }
        Err(
            "expected http://HOST[:PORT][/PATH], tcp://HOST:PORT, unix:PATH, file:PATH, exec:WORDS or notify",
        )
    }
}

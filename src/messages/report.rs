//! Says facts on standard error, one line each, and never waits for anybody to read them.

use crate::core::fact::Fact;
use crate::core::fact::Level as Verbosity;
use crate::messages::format::Format;
use crate::messages::message::Speaker;
use crate::sys::{clock, output};

/// Says what the verbosity has, in the format that was asked for.
pub(crate) struct Reporter {
    pub(crate) speaker: Speaker,
    format: Format,
    verbosity: Verbosity,
    /// Messages that found standard error full since the last one that did not.
    dropped: u64,
}

impl Reporter {
    pub(crate) fn new(speaker: Speaker, format: Format, verbosity: Verbosity) -> Self {
        Self {
            speaker,
            format,
            verbosity,
            dropped: 0,
        }
    }

    pub(crate) fn say(&mut self, fact: &Fact<'_>) {
        if fact.level() > self.verbosity {
            return;
        }
        if self.dropped > 0
            && self.write(&Fact::MessagesDropped {
                count: self.dropped,
            })
        {
            self.dropped = 0;
        }
        if !self.write(fact) {
            self.dropped += 1;
        }
    }

    fn write(&self, fact: &Fact<'_>) -> bool {
        output::write_to_stderr(
            self.speaker
                .line(fact, self.format, clock::wall_time())
                .as_bytes(),
        )
    }
}

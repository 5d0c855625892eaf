//! Reports facts on standard error, one line each, and never waits for a reader.

use crate::core::fact::{Fact, Level};
use crate::messages::format::Format;
use crate::messages::formatter::MessageFormatter;
use crate::sys::{clock, output};

/// Reports facts up to a level, in one format.
pub(crate) struct Reporter {
    pub(crate) formatter: MessageFormatter,
    format: Format,
    verbosity: Level,
    /// How many messages found standard error full since the last one that was written.
    dropped: u64,
}

impl Reporter {
    pub(crate) const fn new(formatter: MessageFormatter, format: Format, verbosity: Level) -> Self {
        Self {
            formatter,
            format,
            verbosity,
            dropped: 0,
        }
    }

    /// Reports the fact, unless the verbosity leaves it out. Reports dropped messages first.
    pub(crate) fn report(&mut self, fact: &Fact<'_>) {
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
        let line = self.formatter.line(fact, self.format, clock::wall_time());
        output::write_to_stderr(line.as_bytes())
    }
}

//! Formats facts: one line of text, or one JSON object, each within one atomic write to a pipe.
//!
//! *Invariant:* a message is one line of at most `LIMIT` bytes, for any name of the command.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::time::Duration;

use crate::core::fact::Fact;
use crate::core::status::{Outcome, SpawnFailure};
use crate::messages::context::MessageContext;
use crate::messages::format::Format;
use crate::messages::json;
use crate::messages::line::Line;
use crate::messages::text::TextWriter;

/// Formats facts about one child.
pub(crate) struct MessageFormatter {
    context: MessageContext,
}

impl MessageFormatter {
    pub(crate) const fn new(context: MessageContext) -> Self {
        Self { context }
    }

    /// Returns the line for a fact. `time` is in seconds and nanoseconds since 1970, and only JSON
    /// has it.
    pub(crate) fn line(&self, fact: &Fact<'_>, format: Format, time: (i64, u32)) -> Line {
        let mut line = Line::new();
        let _ = match format {
            Format::Text => self.write_text(fact, &mut line),
            Format::Json => json::write_fact(&self.context, fact, time, &mut line),
        };
        line.end_with(format.line_end());
        line
    }

    fn write_text(&self, fact: &Fact<'_>, line: &mut Line) -> fmt::Result {
        line.write_str("frigate: ")?;
        self.text_writer(line).write_fact(fact)
    }

    /// Returns the text of a fact, without the program's name before it and without a line end.
    pub(crate) fn text(&self, fact: &Fact<'_>) -> String {
        let mut text = String::new();
        let _ = self.text_writer(&mut text).write_fact(fact);
        text
    }

    /// Returns the text of a start that failed.
    pub(crate) fn failure_text(&self, failure: SpawnFailure) -> String {
        let mut text = String::new();
        let _ = self.text_writer(&mut text).write_failure(failure);
        text
    }

    /// Returns the part of `Fact::Restarting` that says when the child is started again, without
    /// what led to it.
    pub(crate) fn restart_text(
        &self,
        pause: Duration,
        failures: u32,
        limit: Option<u32>,
    ) -> String {
        let mut text = String::new();
        let _ = self
            .text_writer(&mut text)
            .write_restart(pause, failures, limit);
        text
    }

    /// Returns the line for `--termination-log`.
    pub(crate) fn termination(
        &self,
        outcome: Outcome,
        code: u8,
        restarts: u32,
        out_of_memory: bool,
    ) -> Line {
        let mut line = Line::new();
        let _ = json::write_termination(
            &self.context,
            outcome,
            code,
            restarts,
            out_of_memory,
            &mut line,
        );
        line.end_with("}\n");
        line
    }

    fn text_writer<'a>(&'a self, out: &'a mut dyn Write) -> TextWriter<'a> {
        TextWriter {
            context: &self.context,
            out,
        }
    }
}

#[cfg(test)]
#[path = "formatter_tests.rs"]
mod tests;

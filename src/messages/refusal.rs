//! Refuses: writes a mistake to standard error and to the termination log.

use core::fmt::{self, Write};

use crate::core::exit_code::FRIGATE_FAILED;
use crate::core::fact::Level;
use crate::messages::format::Format;
use crate::messages::json;
use crate::messages::line::{Escaped, Line};
use crate::messages::mistake::Mistake;
use crate::messages::termination::Log;
use crate::sys::{clock, output};

/// Writes why frigate cannot start, or go on, to standard error and to the termination log. Returns
/// the exit code.
pub(crate) fn refuse(mistake: &Mistake, format: Format, log: &Log) -> u8 {
    output::write_to_stderr(line(mistake, format, clock::wall_time()).as_bytes());
    let _ = log.write(&|| termination(mistake));
    FRIGATE_FAILED
}

/// Formats the line for standard error. `time` is in seconds and nanoseconds since 1970, and only
/// JSON has it.
fn line(mistake: &Mistake, format: Format, time: (i64, u32)) -> Line {
    let mut line = Line::new();
    let _ = match format {
        Format::Text => write!(line, "frigate: {}", mistake.text),
        Format::Json => write_json(mistake, time, &mut line),
    };
    line.end_with(format.line_end());
    line
}

fn write_json(mistake: &Mistake, time: (i64, u32), out: &mut Line) -> fmt::Result {
    json::write_head(time, Level::Error, "refused", out)?;
    write!(out, ",\"exit_code\":{FRIGATE_FAILED},\"message\":\"")?;
    Escaped(out).write_str(&mistake.text)?;
    out.write_str("\"")
}

/// Formats the termination message.
fn termination(mistake: &Mistake) -> Line {
    let mut line = Line::new();
    let _ = write!(
        line,
        "{{\"outcome\":\"error\",\"exit_code\":{FRIGATE_FAILED},\"signal\":null,\"oom_killed\":false,\
         \"restarts\":0,\"message\":\""
    );
    let _ = Escaped(&mut line).write_str(&mistake.text);
    line.end_with("\"}\n");
    line
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;

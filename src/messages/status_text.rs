//! How `--status` reads.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

use crate::core::command_status::{CommandState, CommandStatus, HealthState};
use crate::core::text::lossy_text;
use crate::messages::context::printable;
use crate::messages::format::Format;
use crate::messages::line::{Escaped, Line};

/// Returns the line for a status.
pub(crate) fn line(status: &CommandStatus<'_>, format: Format) -> Line {
    let mut line = Line::new();
    let name = lossy_text(status.name);
    let _ = match format {
        Format::Text => write_text(status, &name, &mut line),
        Format::Json => write_json(status, &name, &mut line),
    };
    line.end_with(format.line_end());
    line
}

fn write_text(status: &CommandStatus<'_>, name: &str, out: &mut Line) -> fmt::Result {
    out.write_str("frigate: ")?;
    match name {
        "" => out.write_str("the command")?,
        name => write!(out, "'{}'", printable(name))?,
    }
    out.write_str(match status.state {
        CommandState::Starting => " is starting",
        CommandState::Up => " is up",
        CommandState::Waiting => " has ended and will be started again",
        CommandState::Stopping => " is stopping",
        CommandState::Ended => " has ended for good",
    })?;
    if matches!(status.state, CommandState::Up | CommandState::Stopping) {
        out.write_str(match status.health {
            HealthState::Unchecked => "",
            HealthState::Starting => ", health not known yet",
            HealthState::Healthy => ", healthy",
            HealthState::Failing => ", health checks are failing",
            HealthState::Unhealthy => ", unhealthy",
        })?;
    }
    match status.restarts {
        None => {}
        Some(1) => out.write_str(", 1 restart")?,
        Some(restarts) => write!(out, ", {restarts} restarts")?,
    }
    match status.report {
        b"" => Ok(()),
        report => write!(out, ": {}", printable(&lossy_text(report))),
    }
}

fn write_json(status: &CommandStatus<'_>, name: &str, out: &mut Line) -> fmt::Result {
    let (state, health) = (status.state.word(), status.health.word());
    write!(
        out,
        "{{\"state\":\"{state}\",\"health\":\"{health}\",\"restarts\":"
    )?;
    match status.restarts {
        None => out.write_str("null")?,
        Some(restarts) => write!(out, "{restarts}")?,
    }
    out.write_str(",\"name\":\"")?;
    write!(Escaped(out), "{}", printable(name))?;
    if !status.report.is_empty() {
        out.write_str("\",\"report\":\"")?;
        write!(Escaped(out), "{}", printable(&lossy_text(status.report)))?;
    }
    out.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, format: Format) -> Option<String> {
        let status = CommandStatus::parse(line.as_bytes()).ok()?;
        String::from_utf8(super::line(&status, format).as_bytes().to_vec()).ok()
    }

    #[test]
    fn a_status_is_one_sentence() {
        for (line, expected) in [
            (
                "frigate: up healthy 2 nginx",
                "'nginx' is up, healthy, 2 restarts",
            ),
            ("frigate: up - 0 pause", "'pause' is up, 0 restarts"),
            (
                "frigate: starting starting 1 java",
                "'java' is starting, 1 restart",
            ),
            (
                "frigate: up starting 0 java",
                "'java' is up, health not known yet, 0 restarts",
            ),
            (
                "frigate: up failing 0 java",
                "'java' is up, health checks are failing, 0 restarts",
            ),
            (
                "frigate: stopping unhealthy 0 java",
                "'java' is stopping, unhealthy, 0 restarts",
            ),
            (
                "frigate: waiting starting 3 sh",
                "'sh' has ended and will be started again, 3 restarts",
            ),
            (
                "frigate: ended - 3 sh",
                "'sh' has ended for good, 3 restarts",
            ),
            ("frigate: up -", "the command is up"),
            (
                "frigate: up - 0 php-fpm\0idle: 3\n\0\0",
                "'php-fpm' is up, 0 restarts: idle: 3\\n",
            ),
            (
                "frigate: up - 0 a\nb\u{202e}",
                "'a\\nb\\u{202e}' is up, 0 restarts",
            ),
        ] {
            assert_eq!(
                read(line, Format::Text),
                Some(format!("frigate: {expected}\n")),
                "{line}"
            );
        }
    }

    #[test]
    fn a_status_is_one_object() {
        for (line, expected) in [
            (
                "frigate: up healthy 2 nginx",
                r#"{"state":"up","health":"healthy","restarts":2,"name":"nginx"}"#,
            ),
            (
                "frigate: waiting -",
                r#"{"state":"waiting","health":"-","restarts":null,"name":""}"#,
            ),
            (
                "frigate: up - 0 a\0half \"done\"",
                r#"{"state":"up","health":"-","restarts":0,"name":"a","report":"half \"done\""}"#,
            ),
            (
                "frigate: up - 0 a\"\\b",
                r#"{"state":"up","health":"-","restarts":0,"name":"a\"\\b"}"#,
            ),
        ] {
            assert_eq!(
                read(line, Format::Json),
                Some(format!("{expected}\n")),
                "{line}"
            );
        }
    }
}

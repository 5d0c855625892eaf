//! How facts read: one line of text, or one JSON object, each within one atomic write to a pipe.
//!
//! *Invariant:* a message is one line of at most `LIMIT` bytes, whatever the command's name holds.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::fact::{Fact, Level, Trouble};
use crate::core::pid::Pid;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure, Stage};
use crate::core::text::Printable;
use crate::core::usage::Usage;
use crate::messages::format::Format;
use crate::messages::line::{Escaped, Line};
use crate::messages::timestamp;

/// A span as a person says it: `87 ms`, `3.2 s`, `30 s`.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = millis(self.0);
        let (seconds, tenths) = (millis / 1000, millis / 100 % 10);
        match (seconds, tenths) {
            (0, _) => write!(out, "{millis} ms"),
            (60.., _) | (_, 0) => write!(out, "{seconds} s"),
            _ => write!(out, "{seconds}.{tenths} s"),
        }
    }
}

/// Bytes as a person says them: `512 B`, `63.9 MiB`.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = match self.0 {
            0..0x400 => return write!(out, "{} B", self.0),
            0x400..0x10_0000 => ("KiB", 10),
            0x10_0000..0x4000_0000 => ("MiB", 20),
            _ => ("GiB", 30),
        };
        let tenths = ((self.0 & ((1 << shift) - 1)) * 10) >> shift;
        write!(out, "{}.{tenths} {unit}", self.0 >> shift)
    }
}

/// What an end is said to have been, where it was.
const OUT_OF_MEMORY: &str = ", out of memory";

/// The words that messages speak of, as they were typed.
#[derive(Clone, Default)]
pub(crate) struct Names {
    pub(crate) command: String,
    pub(crate) user: String,
    pub(crate) root: String,
    pub(crate) directory: String,
    /// The path of the child's cgroup.
    pub(crate) group: String,
}

/// A name as it stands in messages.
fn shown(name: &str) -> Printable<'_> {
    Printable(name, 120)
}

/// What every message needs besides its fact.
pub(crate) struct Speaker {
    names: Names,
}

impl Speaker {
    pub(crate) fn new(names: Names) -> Self {
        Self { names }
    }

    /// One line for the fact; `time` is in seconds and nanoseconds since 1970 and stands in JSON
    /// only.
    pub(crate) fn line(&self, fact: &Fact<'_>, format: Format, time: (i64, u32)) -> Line {
        let mut line = Line::new();
        let _ = match format {
            Format::Text => self.text(fact, &mut line),
            Format::Json => self.json(fact, time, &mut line),
        };
        line.end_with(format.line_end());
        line
    }

    /// The fact alone, without a name before it or an end behind it.
    pub(crate) fn words(&self, fact: &Fact<'_>) -> String {
        let mut text = String::new();
        let _ = self.message(fact, &mut text);
        text
    }

    /// The same for a start that failed.
    pub(crate) fn failure_words(&self, failure: SpawnFailure) -> String {
        let mut text = String::new();
        let _ = self.failure(failure, &mut text);
        text
    }

    fn text(&self, fact: &Fact<'_>, out: &mut Line) -> fmt::Result {
        out.write_str("frigate: ")?;
        self.message(fact, out)
    }

    fn json(&self, fact: &Fact<'_>, time: (i64, u32), out: &mut Line) -> fmt::Result {
        out.write_str("{\"time\":\"")?;
        timestamp::write(time, out)?;
        let level = match fact.level() {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        write!(
            out,
            "\",\"level\":\"{level}\",\"event\":\"{}\"",
            fact.event()
        )?;
        Self::fields(fact, out)?;
        out.write_str(",\"command\":\"")?;
        write!(Escaped(out), "{}", shown(&self.names.command))?;
        out.write_str("\",\"message\":\"")?;
        self.message(fact, &mut Escaped(out))?;
        out.write_str("\"")
    }

    /// The line of `--termination-log`, without its end.
    #[inline(never)]
    pub(crate) fn termination(
        &self,
        outcome: Outcome,
        code: u8,
        restarts: u32,
        out_of_memory: bool,
    ) -> Line {
        let mut line = Line::new();
        let _ = self.write_termination(outcome, code, restarts, out_of_memory, &mut line);
        line.end_with("}\n");
        line
    }

    fn write_termination(
        &self,
        outcome: Outcome,
        code: u8,
        restarts: u32,
        out_of_memory: bool,
        out: &mut Line,
    ) -> fmt::Result {
        write!(
            out,
            "{{\"outcome\":\"{}\",\"exit_code\":{code},\"signal\":",
            outcome.word()
        )?;
        match outcome.last().and_then(ExitStatus::signal) {
            Some(signal) => write!(out, "\"{signal}\"")?,
            None => out.write_str("null")?,
        }
        write!(
            out,
            ",\"oom_killed\":{out_of_memory},\"restarts\":{restarts},\"message\":\""
        )?;
        self.outcome(outcome, &mut Escaped(out))?;
        if out_of_memory {
            Escaped(out).write_str(OUT_OF_MEMORY)?;
        }
        out.write_str("\"")
    }

    /// What happened in the end, in one clause.
    fn outcome(&self, outcome: Outcome, out: &mut dyn Write) -> fmt::Result {
        let command = shown(&self.names.command);
        match outcome {
            Outcome::Complete(status) => write!(out, "'{command}' {status}"),
            Outcome::Cancel {
                last: Some(status),
                stop,
            } => {
                write!(out, "asked to stop by {stop}; '{command}' {status}")
            }
            Outcome::Cancel { last: None, stop } => {
                write!(out, "asked to stop by {stop} before '{command}' ever ran")
            }
            Outcome::GaveUp { last: Some(status) } => {
                write!(
                    out,
                    "cannot keep '{command}' running: too many failed starts in a row, the last {status}"
                )
            }
            Outcome::GaveUp { last: None } => write!(
                out,
                "cannot start '{command}': too many failed starts in a row"
            ),
            Outcome::NotStarted(failure) => self.failure(failure, out),
        }
    }

    /// What could not be done, to what, and why. The kernel says ENOENT of a missing interpreter
    /// too.
    fn failure(&self, failure: SpawnFailure, out: &mut dyn Write) -> fmt::Result {
        let Names {
            command,
            user,
            root,
            directory,
            group,
        } = &self.names;
        let (verb, object) = match failure.stage {
            Stage::Fork => ("fork to start", command),
            Stage::Streams => ("give its streams to", command),
            Stage::Cgroup => ("enter", group),
            Stage::Root => ("change the root to", root),
            Stage::Groups => ("take the groups of", user),
            Stage::Group => ("take the group of", user),
            Stage::User => ("become", user),
            Stage::Directory => ("enter", directory),
            Stage::NoNewPrivileges => ("forbid new privileges to", command),
            Stage::Exec => ("execute", command),
        };
        write!(out, "cannot {verb} '{}': ", shown(object))?;
        match (failure.stage, failure.errno) {
            (Stage::Exec, Errno::NOT_FOUND) if command.bytes().any(|byte| byte == b'/') => {
                out.write_str("no such file, or the interpreter or loader that it needs is missing")
            }
            (Stage::Exec, Errno::NOT_FOUND) => out.write_str(
                "not found in PATH, or the interpreter or loader that it needs is missing",
            ),
            (_, errno) => write!(out, "{errno}"),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a fact")]
    fn message(&self, fact: &Fact<'_>, out: &mut dyn Write) -> fmt::Result {
        let command = shown(&self.names.command);
        match *fact {
            Fact::Started { pid, restarts: 0 } => write!(out, "started '{command}' (pid {pid})"),
            Fact::Started { pid, restarts } => {
                write!(out, "started '{command}' (pid {pid}), restart {restarts}")
            }
            Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            } => self.end(pid, status, uptime, usage, out),
            Fact::Restarting {
                trouble,
                pause,
                failures,
                limit,
            } => {
                match trouble {
                    Trouble::Ended {
                        pid,
                        status,
                        uptime,
                        usage,
                    } => self.end(pid, status, uptime, usage, out)?,
                    Trouble::NotStarted(failure) => self.failure(failure, out)?,
                }
                out.write_str("; ")?;
                write_restart(pause, failures, limit, out)
            }
            Fact::GaveUp {
                failures,
                last,
                code,
            } => {
                match last {
                    Some(status) => write!(
                        out,
                        "cannot keep '{command}' running: {failures} failed starts in a row, the last {status}"
                    )?,
                    None => write!(
                        out,
                        "cannot start '{command}': {failures} failed starts in a row"
                    )?,
                }
                write!(out, "; giving up with exit code {code}")
            }
            Fact::NotStarted { failure, code } => {
                self.failure(failure, out)?;
                write!(out, "; ending with exit code {code}")
            }
            Fact::StopAsked { signal } => write!(out, "asked to stop by {signal}"),
            Fact::Forwarded { signal, pid } => {
                write!(out, "forwarded {signal} to '{command}' (pid {pid})")
            }
            Fact::Dropped {
                signal,
                by_rule: true,
            } => write!(out, "dropped {signal}, as --rewrite has it"),
            Fact::Dropped {
                signal,
                by_rule: false,
            } => write!(out, "dropped {signal}: '{command}' is not running"),
            Fact::Continued { pid } => {
                write!(
                    out,
                    "continued '{command}' (pid {pid}), which Ctrl-Z had stopped: nobody could resume it here"
                )
            }
            Fact::Killed { pid, grace } => {
                write!(
                    out,
                    "'{command}'{} did not end within {} of the stop signal; sent KILL",
                    At(pid),
                    Span(grace)
                )
            }
            Fact::EndingLeftovers => write!(out, "sent TERM to what '{command}' left running"),
            Fact::LeftoversKilled { grace } => {
                let grace = Span(grace);
                write!(
                    out,
                    "what '{command}' left running did not end within its grace period of {grace}; sent KILL"
                )
            }
            Fact::LeftBehind { pid, reason } => {
                match pid {
                    Some(pid) => write!(out, "cannot end '{command}' (pid {pid})")?,
                    None => write!(out, "cannot end what '{command}' left running")?,
                }
                write!(out, ": {reason}; leaving it behind")
            }
            Fact::OtherSignaled { signal, pid, wait } => {
                write!(
                    out,
                    "sent {signal} to pid {pid}, another '{command}', to end it before the start"
                )?;
                if wait.is_zero() {
                    Ok(())
                } else {
                    write!(out, "; it has {}", Span(wait))
                }
            }
            Fact::OthersLeft => {
                write!(
                    out,
                    "cannot end every other '{command}': not even by KILL; starting all the same"
                )
            }
            Fact::GroupAdopted => {
                write!(
                    out,
                    "'{}' holds processes of an earlier run; ending them before the start",
                    shown(&self.names.group)
                )
            }
            Fact::Limit {
                verb,
                object,
                reason,
                then,
            } => {
                write!(
                    out,
                    "cannot {verb} '{}': {}; {then}",
                    Printable(object, 300),
                    Printable(reason, 600)
                )
            }
            Fact::Orphan { pid, status } => write!(out, "reaped orphan {pid}, which {status}"),
            Fact::CannotSignal { signal, pid, errno } => {
                write!(
                    out,
                    "cannot send {signal} to '{command}' (pid {pid}): {errno}; going on without"
                )
            }
            Fact::Cannot {
                verb,
                object,
                errno,
                then,
            } => {
                write!(
                    out,
                    "cannot {verb} '{}': {errno}; {then}",
                    Printable(object, 300)
                )
            }
            Fact::MessagesDropped { count } => {
                write!(
                    out,
                    "cannot write to 'standard error': it was full; {count} messages were dropped"
                )
            }
            Fact::LogDropped { file, count, errno } => {
                write!(
                    out,
                    "cannot write to '{}': {errno}; dropped {count} bytes",
                    Printable(file, 300)
                )
            }
            Fact::Impossible { state, event } => {
                write!(
                    out,
                    "ignored '{event}' in state '{state}', where it cannot happen; please report this"
                )
            }
            Fact::Finished { outcome, code } => {
                write!(out, "{}, exit code {code}: ", outcome.word())?;
                self.outcome(outcome, out)
            }
        }
    }

    fn end(
        &self,
        pid: Option<Pid>,
        status: ExitStatus,
        uptime: Duration,
        usage: Usage,
        out: &mut dyn Write,
    ) -> fmt::Result {
        write!(
            out,
            "'{}'{} {status} after {}",
            shown(&self.names.command),
            At(pid),
            Span(uptime)
        )?;
        if usage.out_of_memory {
            out.write_str(OUT_OF_MEMORY)?;
        }
        let mut separator = " (";
        let mut item = |name: &str, value: &dyn fmt::Display| {
            write!(out, "{separator}{name} {value}")?;
            separator = ", ";
            Ok(())
        };
        if let Some(peak) = usage.peak {
            item("peak memory", &Size(peak))?;
        }
        if let Some(cpu) = usage.cpu {
            item("CPU time", &Span(cpu))?;
        }
        if let Some(throttled) = usage.throttled {
            item("throttled", &Span(throttled))?;
        }
        if separator == ", " {
            out.write_str(")")
        } else {
            Ok(())
        }
    }

    /// The fact's own members, each with a comma before it.
    fn fields(fact: &Fact<'_>, out: &mut Line) -> fmt::Result {
        let mut field = |name: &str, value: u64| write!(out, ",\"{name}\":{value}");
        match *fact {
            Fact::Started { pid, restarts } => {
                field("pid", number(pid))?;
                field("restarts", restarts.into())
            }
            Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            } => {
                field("uptime_ms", millis(uptime))?;
                write_end(pid, Some(status), out)?;
                write_usage(usage, out)
            }
            Fact::Restarting {
                trouble,
                pause,
                failures,
                limit,
            } => {
                field("delay_ms", millis(pause))?;
                field("failures", failures.into())?;
                if let Some(limit) = limit {
                    field("limit", limit.into())?;
                }
                match trouble {
                    Trouble::Ended {
                        pid,
                        status,
                        uptime,
                        usage,
                    } => {
                        field("uptime_ms", millis(uptime))?;
                        write_end(pid, Some(status), out)?;
                        write_usage(usage, out)
                    }
                    Trouble::NotStarted(failure) => {
                        write!(out, ",\"errno\":{}", failure.errno.raw())
                    }
                }
            }
            Fact::GaveUp {
                failures,
                last,
                code,
            } => {
                field("failures", failures.into())?;
                field("exit_code", code.into())?;
                write_signal(last, out)
            }
            Fact::NotStarted { failure, code } => {
                field("exit_code", code.into())?;
                write!(out, ",\"errno\":{}", failure.errno.raw())
            }
            Fact::Forwarded { signal, pid } | Fact::OtherSignaled { signal, pid, .. } => {
                write!(out, ",\"signal\":\"{signal}\",\"pid\":{pid}")
            }
            Fact::CannotSignal { signal, pid, errno } => {
                write!(
                    out,
                    ",\"signal\":\"{signal}\",\"pid\":{pid},\"errno\":{}",
                    errno.raw()
                )
            }
            Fact::StopAsked { signal } | Fact::Dropped { signal, .. } => {
                write!(out, ",\"signal\":\"{signal}\"")
            }
            Fact::Continued { pid } => field("pid", number(pid)),
            Fact::Killed { pid, grace } => {
                field("grace_ms", millis(grace))?;
                write_end(pid, None, out)
            }
            Fact::LeftoversKilled { grace } => field("grace_ms", millis(grace)),
            Fact::LeftBehind { pid, .. } => write_end(pid, None, out),
            Fact::Orphan { pid, status } => write_end(Some(pid), Some(status), out),
            Fact::Cannot { errno, .. } => write!(out, ",\"errno\":{}", errno.raw()),
            Fact::Finished { outcome, code } => {
                field("exit_code", code.into())?;
                write!(out, ",\"outcome\":\"{}\"", outcome.word())?;
                write_signal(outcome.last(), out)
            }
            Fact::MessagesDropped { count } => field("count", count),
            Fact::LogDropped { count, errno, .. } => {
                write!(out, ",\"count\":{count},\"errno\":{}", errno.raw())
            }
            Fact::EndingLeftovers
            | Fact::OthersLeft
            | Fact::GroupAdopted
            | Fact::Limit { .. }
            | Fact::Impossible { .. } => Ok(()),
        }
    }
}

/// Writes when a child is started again.
fn write_restart(
    pause: Duration,
    failures: u32,
    limit: Option<u32>,
    out: &mut dyn Write,
) -> fmt::Result {
    out.write_str("starting it again ")?;
    if pause.is_zero() {
        out.write_str("at once")?;
    } else {
        write!(out, "in {}", Span(pause))?;
    }
    match (failures, limit) {
        (0, _) => Ok(()),
        (_, Some(limit)) => write!(
            out,
            " (failed start {failures} of at most {limit} in a row)"
        ),
        (_, None) => write!(out, " (failed start {failures} in a row)"),
    }
}

/// Returns the part of `Fact::Restarting` that tells when the child is started again, without what
/// led to it.
pub(crate) fn restart_words(pause: Duration, failures: u32, limit: Option<u32>) -> String {
    let mut text = String::new();
    let _ = write_restart(pause, failures, limit, &mut text);
    text
}

fn number(pid: Pid) -> u64 {
    pid.raw().unsigned_abs().into()
}

/// In 64 bits, whose digits take less code than those of 128.
#[inline(never)]
fn millis(span: Duration) -> u64 {
    span.as_secs()
        .saturating_mul(1000)
        .saturating_add(span.subsec_millis().into())
}

fn write_end(pid: Option<Pid>, status: Option<ExitStatus>, out: &mut Line) -> fmt::Result {
    if let Some(pid) = pid {
        write!(out, ",\"pid\":{pid}")?;
    }
    if let Some(status) = status {
        write!(out, ",\"exit_code\":{}", status.code())?;
    }
    write_signal(status, out)
}

fn write_usage(usage: Usage, out: &mut Line) -> fmt::Result {
    if usage.out_of_memory {
        out.write_str(",\"oom_killed\":true")?;
    }
    let cpu = usage.cpu.map(millis);
    let throttled = usage.throttled.map(millis);
    for (name, value) in [
        ("memory_peak", usage.peak),
        ("cpu_ms", cpu),
        ("throttled_ms", throttled),
    ] {
        if let Some(value) = value {
            write!(out, ",\"{name}\":{value}")?;
        }
    }
    Ok(())
}

fn write_signal(status: Option<ExitStatus>, out: &mut Line) -> fmt::Result {
    match status.and_then(ExitStatus::signal) {
        Some(signal) => write!(out, ",\"signal\":\"{signal}\""),
        None => Ok(()),
    }
}

/// ` (pid 7)`, where there is one.
struct At(Option<Pid>);

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(out, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

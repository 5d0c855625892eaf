//! How facts read as JSON: one object a line (RFC 8259), and the termination message.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::fact::{Fact, Level, Trouble};
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome};
use crate::core::usage::Usage;
use crate::messages::context::{MessageContext, printable};
use crate::messages::line::{Escaped, Line};
use crate::messages::text::TextWriter;
use crate::messages::timestamp;
use crate::messages::units::millis;

/// Writes a fact, without the brace and the line end behind it.
pub(super) fn write_fact(
    context: &MessageContext,
    fact: &Fact<'_>,
    time: (i64, u32),
    out: &mut Line,
) -> fmt::Result {
    write_head(time, fact.level(), fact.event(), out)?;
    Members(out).write_fact(fact)?;
    if matches!(fact, Fact::Healthy { .. } | Fact::Unhealthy { .. }) {
        write_target(&context.health, out)?;
    }
    if matches!(fact, Fact::Ready { .. } | Fact::NotReady { .. }) {
        write_target(&context.ready, out)?;
    }
    out.write_str(",\"command\":\"")?;
    write!(Escaped(out), "{}", context.printable_command())?;
    out.write_str("\",\"message\":\"")?;
    TextWriter {
        context,
        out: &mut Escaped(out),
    }
    .write_fact(fact)?;
    out.write_str("\"")
}

/// Writes what the check asked that the fact is about.
fn write_target(target: &str, out: &mut Line) -> fmt::Result {
    out.write_str(",\"target\":\"")?;
    write!(Escaped(out), "{}", printable(target))?;
    out.write_str("\"")
}

/// Writes the members that every message begins with.
pub(super) fn write_head(
    time: (i64, u32),
    level: Level,
    event: &str,
    out: &mut Line,
) -> fmt::Result {
    out.write_str("{\"time\":\"")?;
    timestamp::write(time, out)?;
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    write!(out, "\",\"level\":\"{level}\",\"event\":\"{event}\"")
}

/// Writes the termination message, without the brace and the line end behind it.
pub(super) fn write_termination(
    context: &MessageContext,
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
    let mut text = TextWriter {
        context,
        out: &mut Escaped(out),
    };
    text.write_outcome(outcome)?;
    text.write_out_of_memory(out_of_memory)?;
    out.write_str("\"")
}

/// The members of an object, each with a comma before it.
struct Members<'a>(&'a mut Line);

impl Members<'_> {
    /// Writes what this fact alone has.
    fn write_fact(&mut self, fact: &Fact<'_>) -> fmt::Result {
        match *fact {
            Fact::Started { pid, restarts } => {
                self.write_pid(Some(pid))?;
                self.write_number("restarts", restarts.into())
            }
            Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            } => self.write_ended(pid, status, uptime, usage),
            Fact::Restarting {
                trouble,
                pause,
                failures,
                limit,
            } => {
                self.write_number("delay_ms", millis(pause))?;
                self.write_number("failures", failures.into())?;
                if let Some(limit) = limit {
                    self.write_number("limit", limit.into())?;
                }
                self.write_trouble(trouble)
            }
            Fact::GaveUp {
                failures,
                last,
                code,
            } => {
                self.write_number("failures", failures.into())?;
                self.write_number("exit_code", code.into())?;
                self.write_signal_of(last)
            }
            Fact::NotStarted { failure, code } => {
                self.write_number("exit_code", code.into())?;
                self.write_errno(failure.errno)
            }
            Fact::Forwarded { signal, pid } | Fact::OtherSignaled { signal, pid, .. } => {
                self.write_signal_to(signal, Some(pid))
            }
            Fact::CannotSignal { signal, pid, errno } => {
                self.write_signal_to(signal, Some(pid))?;
                self.write_errno(errno)
            }
            Fact::StopAsked { signal }
            | Fact::RestartAsked { signal }
            | Fact::Dropped { signal, .. } => self.write_signal(signal),
            Fact::Changed { path, signal, pid } => self.write_changed(path, signal, pid),
            Fact::StopDelayed { pid, delay } => {
                self.write_number("delay_ms", millis(delay))?;
                self.write_pid(pid)
            }
            Fact::Continued { pid } => self.write_pid(Some(pid)),
            Fact::Ready { pid } | Fact::Healthy { pid, .. } | Fact::LeftBehind { pid, .. } => {
                self.write_pid(pid)
            }
            Fact::Killed { pid, grace } => {
                self.write_number("grace_ms", millis(grace))?;
                self.write_pid(pid)
            }
            Fact::NotReady {
                pid,
                within,
                signal,
                ..
            } => {
                self.write_number("within_ms", millis(within))?;
                self.write_signal_to(signal, pid)
            }
            Fact::Unhealthy {
                pid,
                failures,
                signal,
                ..
            } => {
                self.write_number("failures", failures.into())?;
                self.write_signal_to(signal, pid)
            }
            Fact::LeftoversKilled { grace } => self.write_number("grace_ms", millis(grace)),
            Fact::Orphan { pid, status } => self.write_end(Some(pid), status),
            Fact::Cannot { errno, .. } => self.write_errno(errno),
            Fact::Finished { outcome, code } => {
                self.write_number("exit_code", code.into())?;
                write!(self.0, ",\"outcome\":\"{}\"", outcome.word())?;
                self.write_signal_of(outcome.last())
            }
            Fact::MessagesDropped { count } => self.write_number("count", count),
            Fact::LogDropped { count, errno, .. } => {
                self.write_number("count", count)?;
                self.write_errno(errno)
            }
            Fact::ChildStatus { .. }
            | Fact::EndingLeftovers
            | Fact::OthersLeft
            | Fact::NotInit
            | Fact::GroupAdopted
            | Fact::Limit { .. }
            | Fact::Impossible { .. } => Ok(()),
        }
    }

    fn write_trouble(&mut self, trouble: Trouble) -> fmt::Result {
        match trouble {
            Trouble::Ended {
                pid,
                status,
                uptime,
                usage,
            } => self.write_ended(pid, status, uptime, usage),
            Trouble::NotStarted(failure) => self.write_errno(failure.errno),
        }
    }

    fn write_ended(
        &mut self,
        pid: Option<Pid>,
        status: ExitStatus,
        uptime: Duration,
        usage: Usage,
    ) -> fmt::Result {
        self.write_number("uptime_ms", millis(uptime))?;
        self.write_end(pid, status)?;
        if usage.out_of_memory {
            self.0.write_str(",\"oom_killed\":true")?;
        }
        for (name, value) in [
            ("memory_peak", usage.peak),
            ("cpu_ms", usage.cpu.map(millis)),
            ("throttled_ms", usage.throttled.map(millis)),
        ] {
            if let Some(value) = value {
                self.write_number(name, value)?;
            }
        }
        Ok(())
    }

    fn write_end(&mut self, pid: Option<Pid>, status: ExitStatus) -> fmt::Result {
        self.write_pid(pid)?;
        self.write_number("exit_code", status.code().into())?;
        self.write_signal_of(Some(status))
    }

    fn write_changed(&mut self, path: &str, signal: Option<Signal>, pid: Pid) -> fmt::Result {
        self.0.write_str(",\"path\":\"")?;
        write!(Escaped(self.0), "{}", printable(path))?;
        self.0.write_str("\"")?;
        match signal {
            Some(signal) => self.write_signal_to(signal, Some(pid)),
            None => self.write_pid(Some(pid)),
        }
    }

    fn write_number(&mut self, name: &str, value: u64) -> fmt::Result {
        write!(self.0, ",\"{name}\":{value}")
    }

    fn write_pid(&mut self, pid: Option<Pid>) -> fmt::Result {
        match pid {
            Some(pid) => self.write_number("pid", pid.raw().unsigned_abs().into()),
            None => Ok(()),
        }
    }

    /// Writes the signal that ended a process, if one did.
    fn write_signal_of(&mut self, status: Option<ExitStatus>) -> fmt::Result {
        match status.and_then(ExitStatus::signal) {
            Some(signal) => self.write_signal(signal),
            None => Ok(()),
        }
    }

    /// Writes the signal that a process was sent, and its pid.
    fn write_signal_to(&mut self, signal: Signal, pid: Option<Pid>) -> fmt::Result {
        self.write_signal(signal)?;
        self.write_pid(pid)
    }

    fn write_signal(&mut self, signal: Signal) -> fmt::Result {
        write!(self.0, ",\"signal\":\"{signal}\"")
    }

    fn write_errno(&mut self, errno: Errno) -> fmt::Result {
        write!(self.0, ",\"errno\":{}", errno.raw())
    }
}

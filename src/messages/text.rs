//! How facts read as text.
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::fact::{Fact, Trouble};
use crate::core::health::failure::CheckFailure;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure, Stage};
use crate::core::text::Printable;
use crate::core::usage::Usage;
use crate::messages::check_failure::ReadableFailure;
use crate::messages::context::{MessageContext, printable};
use crate::messages::units::{ReadableDuration, ReadableSize};

/// The most characters of a path, or of something else that is not a name.
const OBJECT_CHARACTERS: usize = 300;

/// The most characters of a reason that names paths and remedies.
const REASON_CHARACTERS: usize = 600;

/// Writes facts as text, without the program's name before them and without a line end.
pub(super) struct TextWriter<'a> {
    pub(super) context: &'a MessageContext,
    pub(super) out: &'a mut dyn Write,
}

const NOT_INIT: &str = "this frigate is not PID 1: it reaps its own descendants alone";

impl<'a> TextWriter<'a> {
    pub(super) fn write_fact(&mut self, fact: &Fact<'_>) -> fmt::Result {
        let command = self.context.printable_command();
        let out = &mut *self.out;
        match *fact {
            Fact::Started { pid, restarts } => self.write_started(pid, restarts),
            Fact::Ended {
                pid,
                status,
                uptime,
                usage,
            } => self.write_end(pid, status, uptime, usage),
            Fact::Restarting {
                trouble,
                pause,
                failures,
                limit,
            } => {
                self.write_trouble(trouble)?;
                self.out.write_str("; ")?;
                self.write_restart(pause, failures, limit)
            }
            Fact::GaveUp {
                failures,
                last,
                code,
            } => self.write_gave_up(failures, last, code),
            Fact::NotStarted { failure, code } => {
                self.write_failure(failure)?;
                write!(self.out, "; ending with exit code {code}")
            }
            Fact::StopAsked { signal } => write!(out, "asked to stop by {signal}"),
            Fact::StopDelayed { pid, delay } => self.write_stop_delayed(pid, delay),
            Fact::RestartAsked { signal } => write!(out, "asked to restart by {signal}"),
            Fact::Changed { path, signal, pid } => self.write_changed(path, signal, pid),
            Fact::Forwarded { signal, pid } => {
                write!(out, "forwarded {signal} to '{command}' (pid {pid})")
            }
            Fact::Dropped { signal, by_rule } => self.write_dropped(signal, by_rule),
            Fact::Continued { pid } => write!(
                out,
                "continued '{command}' (pid {pid}), which Ctrl-Z had stopped: nobody could resume it here"
            ),
            Fact::Killed { pid, grace } => self.write_killed(pid, grace),
            Fact::Ready { pid } => self.write_state(pid, "ready"),
            Fact::Healthy { pid, again } => {
                self.write_state(pid, if again { "healthy again" } else { "healthy" })
            }
            Fact::NotReady {
                pid,
                within,
                failure,
                signal,
            } => self.write_not_ready(pid, within, failure, signal),
            Fact::Unhealthy {
                pid,
                failure,
                failures,
                signal,
            } => self.write_unhealthy(pid, failure, failures, signal),
            Fact::ChildStatus { text } => self.write_child_status(text),
            Fact::EndingLeftovers => self.write_ending_leftovers(),
            Fact::LeftoversKilled { grace } => self.write_leftovers_killed(grace),
            Fact::LeftBehind { pid, reason } => self.write_left_behind(pid, reason),
            Fact::OtherSignaled { signal, pid, wait } => {
                self.write_other_signaled(signal, pid, wait)
            }
            Fact::OthersLeft => self.write_others_left(),
            Fact::NotInit => out.write_str(NOT_INIT),
            Fact::GroupAdopted => self.write_group_adopted(),
            Fact::Limit {
                verb,
                object,
                reason,
                then,
            } => self.write_cannot(verb, object, &Printable(reason, REASON_CHARACTERS), then),
            Fact::Orphan { pid, status } => write!(out, "reaped orphan {pid}, which {status}"),
            Fact::CannotSignal { signal, pid, errno } => write!(
                out,
                "cannot send {signal} to '{command}' (pid {pid}): {errno}; going on without"
            ),
            Fact::Cannot {
                verb,
                object,
                errno,
                then,
            } => self.write_cannot(verb, object, &errno, then),
            Fact::MessagesDropped { count } => write!(
                out,
                "cannot write to 'standard error': it was full; {count} messages were dropped"
            ),
            Fact::LogDropped { file, count, errno } => self.write_log_dropped(file, count, errno),
            Fact::Impossible { state, event } => write!(
                out,
                "ignored '{event}' in state '{state}', where it cannot happen; please report this"
            ),
            Fact::Finished { outcome, code } => {
                write!(out, "{}, exit code {code}: ", outcome.word())?;
                self.write_outcome(outcome)
            }
        }
    }

    /// Returns the child as messages name it.
    fn child(&self, pid: Option<Pid>) -> NamedChild<'a> {
        let command = self.context.printable_command();
        NamedChild { command, pid }
    }

    fn write_started(&mut self, pid: Pid, restarts: u32) -> fmt::Result {
        let command = self.context.printable_command();
        write!(self.out, "started '{command}' (pid {pid})")?;
        match restarts {
            0 => Ok(()),
            _ => write!(self.out, ", restart {restarts}"),
        }
    }

    fn write_trouble(&mut self, trouble: Trouble) -> fmt::Result {
        match trouble {
            Trouble::Ended {
                pid,
                status,
                uptime,
                usage,
            } => self.write_end(pid, status, uptime, usage),
            Trouble::NotStarted(failure) => self.write_failure(failure),
        }
    }

    /// Writes when the child is started again.
    pub(super) fn write_restart(
        &mut self,
        pause: Duration,
        failures: u32,
        limit: Option<u32>,
    ) -> fmt::Result {
        let out = &mut *self.out;
        out.write_str("starting it again ")?;
        if pause.is_zero() {
            out.write_str("at once")?;
        } else {
            write!(out, "in {}", ReadableDuration(pause))?;
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

    fn write_gave_up(&mut self, failures: u32, last: Option<ExitStatus>, code: u8) -> fmt::Result {
        let command = self.context.printable_command();
        match last {
            Some(status) => write!(
                self.out,
                "cannot keep '{command}' running: {failures} failed starts in a row, the last {status}"
            )?,
            None => write!(
                self.out,
                "cannot start '{command}': {failures} failed starts in a row"
            )?,
        }
        write!(self.out, "; giving up with exit code {code}")
    }

    fn write_changed(&mut self, path: &str, signal: Option<Signal>, pid: Pid) -> fmt::Result {
        let command = self.context.printable_command();
        let path = Printable(path, OBJECT_CHARACTERS);
        match signal {
            Some(signal) => write!(
                self.out,
                "'{path}' has changed; sent {signal} to '{command}' (pid {pid})"
            ),
            None => write!(
                self.out,
                "'{path}' has changed; restarting '{command}' (pid {pid})"
            ),
        }
    }

    fn write_stop_delayed(&mut self, pid: Option<Pid>, delay: Duration) -> fmt::Result {
        let (child, delay) = (self.child(pid), ReadableDuration(delay));
        write!(self.out, "{child} gets the stop signal in {delay}")
    }

    fn write_dropped(&mut self, signal: Signal, by_rule: bool) -> fmt::Result {
        write!(self.out, "dropped {signal}")?;
        if by_rule {
            return self.out.write_str(", as --rewrite has it");
        }
        match self.context.command.as_str() {
            "" => self.out.write_str(": there is no command"),
            _ => write!(
                self.out,
                ": '{}' is not running",
                self.context.printable_command()
            ),
        }
    }

    fn write_killed(&mut self, pid: Option<Pid>, grace: Duration) -> fmt::Result {
        let (child, grace) = (self.child(pid), ReadableDuration(grace));
        write!(
            self.out,
            "{child} did not end within {grace} of the stop signal; sent KILL"
        )
    }

    fn write_state(&mut self, pid: Option<Pid>, state: &str) -> fmt::Result {
        let child = self.child(pid);
        write!(self.out, "{child} is {state}")
    }

    fn write_child_status(&mut self, text: &str) -> fmt::Result {
        let command = self.context.printable_command();
        let text = Printable(text, OBJECT_CHARACTERS);
        write!(self.out, "'{command}' reports: {text}")
    }

    fn write_not_ready(
        &mut self,
        pid: Option<Pid>,
        within: Duration,
        failure: Option<CheckFailure>,
        signal: Signal,
    ) -> fmt::Result {
        let (child, within) = (self.child(pid), ReadableDuration(within));
        write!(self.out, "{child} was not ready within {within}: ")?;
        let target = &self.context.ready;
        match failure {
            Some(failure) => self.write_failed_check(target, failure)?,
            None => write!(self.out, "'{}': no READY=1", printable(target))?,
        }
        write!(self.out, "; sent {signal}")
    }

    fn write_unhealthy(
        &mut self,
        pid: Option<Pid>,
        failure: CheckFailure,
        failures: u32,
        signal: Signal,
    ) -> fmt::Result {
        let child = self.child(pid);
        write!(self.out, "{child} is unhealthy: ")?;
        self.write_failed_check(&self.context.health, failure)?;
        if failures > 1 {
            write!(self.out, ", {failures} times in a row")?;
        }
        write!(self.out, "; sent {signal}")
    }

    fn write_failed_check(&mut self, target: &str, failure: CheckFailure) -> fmt::Result {
        let (target, failure) = (printable(target), ReadableFailure(failure));
        write!(self.out, "'{target}': {failure}")
    }

    /// Writes what is left when the command has ended. Without a command that is everything.
    fn write_leftovers(&mut self) -> fmt::Result {
        match self.context.command.as_str() {
            "" => self.out.write_str("what is left running"),
            _ => write!(
                self.out,
                "what '{}' left running",
                self.context.printable_command()
            ),
        }
    }

    fn write_ending_leftovers(&mut self) -> fmt::Result {
        self.out.write_str("sent TERM to ")?;
        self.write_leftovers()
    }

    fn write_leftovers_killed(&mut self, grace: Duration) -> fmt::Result {
        self.write_leftovers()?;
        let grace = ReadableDuration(grace);
        write!(
            self.out,
            " did not end within its grace period of {grace}; sent KILL"
        )
    }

    fn write_left_behind(&mut self, pid: Option<Pid>, reason: &str) -> fmt::Result {
        self.out.write_str("cannot end ")?;
        match pid {
            Some(pid) => write!(self.out, "{}", self.child(Some(pid)))?,
            None => self.write_leftovers()?,
        }
        write!(self.out, ": {reason}; leaving it behind")
    }

    fn write_group_adopted(&mut self) -> fmt::Result {
        write!(
            self.out,
            "'{}' holds processes of an earlier run; ending them before the start",
            printable(&self.context.group)
        )
    }

    fn write_others_left(&mut self) -> fmt::Result {
        write!(
            self.out,
            "cannot end every other '{}': not even by KILL; starting all the same",
            self.context.printable_command()
        )
    }

    fn write_log_dropped(&mut self, file: &str, count: u64, errno: Errno) -> fmt::Result {
        let file = Printable(file, OBJECT_CHARACTERS);
        write!(
            self.out,
            "cannot write to '{file}': {errno}; dropped {count} bytes"
        )
    }

    fn write_other_signaled(&mut self, signal: Signal, pid: Pid, wait: Duration) -> fmt::Result {
        write!(
            self.out,
            "sent {signal} to pid {pid}, another '{}', to end it before the start",
            self.context.printable_command()
        )?;
        if wait.is_zero() {
            Ok(())
        } else {
            write!(self.out, "; it has {}", ReadableDuration(wait))
        }
    }

    fn write_cannot(
        &mut self,
        verb: &str,
        object: &str,
        reason: &dyn fmt::Display,
        then: &str,
    ) -> fmt::Result {
        let object = Printable(object, OBJECT_CHARACTERS);
        write!(self.out, "cannot {verb} '{object}': {reason}; {then}")
    }

    /// Writes how the child ended and what it used.
    fn write_end(
        &mut self,
        pid: Option<Pid>,
        status: ExitStatus,
        uptime: Duration,
        usage: Usage,
    ) -> fmt::Result {
        let (child, uptime) = (self.child(pid), ReadableDuration(uptime));
        write!(self.out, "{child} {status} after {uptime}")?;
        self.write_out_of_memory(usage.out_of_memory)?;
        let mut separator = " (";
        let mut item = |name: &str, value: &dyn fmt::Display| {
            write!(self.out, "{separator}{name} {value}")?;
            separator = ", ";
            Ok(())
        };
        if let Some(peak) = usage.peak {
            item("peak memory", &ReadableSize(peak))?;
        }
        if let Some(cpu) = usage.cpu {
            item("CPU time", &ReadableDuration(cpu))?;
        }
        if let Some(throttled) = usage.throttled {
            item("throttled", &ReadableDuration(throttled))?;
        }
        if separator == ", " {
            self.out.write_str(")")
        } else {
            Ok(())
        }
    }

    pub(super) fn write_out_of_memory(&mut self, out_of_memory: bool) -> fmt::Result {
        if out_of_memory {
            self.out.write_str(", out of memory")
        } else {
            Ok(())
        }
    }

    /// Writes how frigate ends, in one clause.
    pub(super) fn write_outcome(&mut self, outcome: Outcome) -> fmt::Result {
        let command = self.context.printable_command();
        let out = &mut *self.out;
        match outcome {
            Outcome::Complete(status) => write!(out, "'{command}' {status}"),
            Outcome::Cancel {
                last: Some(status),
                stop,
            } => write!(out, "asked to stop by {stop}; '{command}' {status}"),
            Outcome::Cancel { last: None, stop } => {
                write!(out, "asked to stop by {stop}")?;
                match self.context.command.as_str() {
                    "" => Ok(()),
                    _ => write!(out, " before '{command}' ever ran"),
                }
            }
            Outcome::Unhealthy { last, was_ready } => {
                let state = if was_ready {
                    "unhealthy"
                } else {
                    "not ready in time"
                };
                write!(out, "'{command}' was {state}; it {last}")
            }
            Outcome::GaveUp { last: Some(status) } => write!(
                out,
                "cannot keep '{command}' running: too many failed starts in a row, the last {status}"
            ),
            Outcome::GaveUp { last: None } => write!(
                out,
                "cannot start '{command}': too many failed starts in a row"
            ),
            Outcome::NotStarted(failure) => self.write_failure(failure),
        }
    }

    /// Writes which step of a start failed, on what, and why.
    pub(super) fn write_failure(&mut self, failure: SpawnFailure) -> fmt::Result {
        let MessageContext {
            command,
            user,
            root,
            directory,
            group,
            ..
        } = self.context;
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
        write!(self.out, "cannot {verb} '{}': ", printable(object))?;
        match (failure.stage, failure.errno) {
            // The kernel returns ENOENT for a missing interpreter too (`execve(2)`).
            (Stage::Exec, Errno::NOT_FOUND) => {
                self.out.write_str(if command.contains('/') {
                    "no such file"
                } else {
                    "not found in PATH"
                })?;
                self.out
                    .write_str(", or the interpreter or loader that it needs is missing")
            }
            (_, errno) => write!(self.out, "{errno}"),
        }
    }
}

/// `'server' (pid 7)`, or the name alone if the process is not known.
struct NamedChild<'a> {
    command: Printable<'a>,
    pid: Option<Pid>,
}

impl fmt::Display for NamedChild<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}'", self.command)?;
        match self.pid {
            Some(pid) => write!(out, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

//! The keeper: the process that starts the program, waits for its end and leaves nothing behind.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::plan::{Place, Plan};
use super::program::become_the_program;
use super::{Gate, announce, say};
use crate::support::sys::{self, Wait};

/// Starts the program, waits for its end, reports what it left behind, and leaves nothing.
pub(super) fn keep(plan: &Plan, socket: &UnixStream, outside: &File) -> io::Result<()> {
    let (opened, open) = io::pipe()?;
    let (mut arrival, reached) = io::pipe()?;
    let gate = Gate { reached, opened };
    let (mut reports, report) = io::pipe()?;
    let child = if plan.middle {
        let Some(middle) = sys::fork()? else {
            drop(open);
            run_as_parent(plan, socket, outside, report, gate);
        };
        drop(report);
        let mut target = [0; 4];
        reports.read_exact(&mut target)?;
        Child {
            pid: i32::from_ne_bytes(target),
            parent: Some((middle, reports)),
        }
    } else {
        drop(report);
        let Some(pid) = fork_the_program(plan)? else {
            drop(open);
            become_the_program(plan, socket, outside, gate);
        };
        Child { pid, parent: None }
    };
    drop(gate);
    arrival.read_to_end(&mut Vec::new())?;
    let tracer = match &plan.strace {
        Some((log, expressions)) => match attach(child.pid, log, expressions, plan.strace_alone) {
            Ok(tracer) => Some(tracer),
            Err(error) => {
                clear_up(None);
                return Err(error);
            }
        },
        None => None,
    };
    // Opens the gate: the process reads the end of the pipe.
    drop(open);
    let ended = child.wait(socket);
    if let Some(status) = ended {
        say(socket, &format!("end {status}"));
        for (pid, state, name) in children() {
            if Some(pid) != tracer {
                say(socket, &format!("left {state} {name}"));
            }
        }
    }
    clear_up(tracer);
    say(socket, "done");
    Ok(())
}

/// The program's process, as its keeper sees it.
struct Child {
    pid: i32,
    /// The parent in the middle, if there is one, and the pipe over which it reports the child's
    /// status.
    parent: Option<(i32, io::PipeReader)>,
}

impl Child {
    /// Waits until the child has ended and returns its raw status. `None` means that the harness
    /// has gone away before that.
    fn wait(self, socket: &UnixStream) -> Option<i32> {
        let pid = Pid::from_raw(self.pid).expect("a child's pid is positive");
        let exit: OwnedFd =
            pidfd_open(pid, PidfdFlags::empty()).expect("a child that is not reaped can be opened");
        loop {
            let mut both = [
                PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(exit.as_fd(), PollFlags::IN),
            ];
            if poll(&mut both, None).is_err() {
                continue;
            }
            if !both[1].revents().is_empty() {
                break;
            }
            if !both[0].revents().is_empty() {
                return None;
            }
        }
        if let Some((middle, mut reports)) = self.parent {
            let mut status = [0; 4];
            let is_reported = reports.read_exact(&mut status).is_ok();
            sys::reap(middle, Wait::Blocking);
            if is_reported {
                return Some(i32::from_ne_bytes(status));
            }
        }
        sys::reap(self.pid, Wait::Blocking).map(|(_, status)| status)
    }
}

fn run_as_parent(
    plan: &Plan,
    socket: &UnixStream,
    outside: &File,
    mut report: io::PipeWriter,
    gate: Gate,
) -> ! {
    announce("middle", socket, outside);
    let Some(pid) = fork_the_program(plan).expect("fork") else {
        drop(report);
        become_the_program(plan, socket, outside, gate);
    };
    drop(gate);
    report
        .write_all(&pid.to_ne_bytes())
        .expect("the keeper reads");
    if let Some((_, status)) = sys::reap(pid, Wait::Blocking) {
        report
            .write_all(&status.to_ne_bytes())
            .expect("the keeper reads");
    }
    sys::exit_now(0);
}

fn fork_the_program(plan: &Plan) -> io::Result<Option<i32>> {
    if plan.place == Place::First {
        sys::fork_into_pid_namespace()
    } else {
        sys::fork()
    }
}

/// Attaches strace to a process that waits at the gate, so that strace sees every call from its
/// exec on.
fn attach(pid: i32, log: &Path, expressions: &[String], alone: bool) -> io::Result<i32> {
    let mut command = Command::new("strace");
    command
        .args((!alone).then_some("-f"))
        .arg("-qq")
        .arg("-o")
        .arg(log);
    for expression in expressions {
        command.arg("-e").arg(expression);
    }
    // strace does not write to frigate's standard error: under load it prints remarks about events
    // that come in an unexpected order.
    let remarks = fs::File::create(log.with_extension("remarks"))?;
    let mut tracer = command
        .arg("-p")
        .arg(pid.to_string())
        .stderr(remarks)
        .spawn()?;
    let until = Instant::now() + Duration::from_secs(20);
    while status_field(pid, "TracerPid:").is_none_or(|tracer| tracer == "0") {
        if tracer.try_wait()?.is_some() || Instant::now() > until {
            return Err(io::Error::other("strace did not attach"));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(tracer.id().cast_signed())
}

fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .map(|value| value.trim().to_owned())
}

/// Returns the keeper's children with their states and names.
fn children() -> Vec<(i32, String, String)> {
    let own = nix::unistd::getpid();
    let list = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let described = list
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .map(|pid: i32| {
            let state = status_field(pid, "State:").unwrap_or_default();
            let name = status_field(pid, "Name:").unwrap_or_default();
            (pid, state.chars().next().unwrap_or('?').to_string(), name)
        });
    described.collect()
}

/// Kills and reaps every descendant. The children of a killed process become the keeper's, because
/// the keeper gets all orphans.
fn clear_up(tracer: Option<i32>) {
    let until = Instant::now() + Duration::from_secs(10);
    // The tracer ends by itself once nothing is left to trace. If it were killed earlier, its
    // tracees would run on.
    while Instant::now() < until {
        while sys::reap(-1, Wait::Polling).is_some() {}
        let left = children();
        if left.is_empty() {
            return;
        }
        for (pid, ..) in left {
            if Some(pid) != tracer {
                let _gone = sys::kill(pid, libc::SIGKILL);
            }
        }
        sleep(Duration::from_millis(1));
    }
    if let Some(pid) = tracer {
        let _gone = sys::kill(pid, libc::SIGKILL);
    }
}

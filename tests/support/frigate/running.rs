//! A frigate that is running.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Ended;
use super::streams::{Streams, fill};
use crate::support::cgroup::Site;
use crate::support::procfs::{self, Process};
use crate::support::terminal::Terminal;
use crate::support::transcript::Transcript;
use crate::support::{deadline, eventually, sys};

/// A frigate that was started. When this is dropped, frigate and all its descendants are killed and
/// reaped.
pub struct Running {
    /// Its pid, as the harness sees it.
    pub pid: i32,
    /// The pid of its parent, if there is one that may be killed.
    pub middle: Option<i32>,
    /// The user's side of its terminal.
    pub terminal: Option<Terminal>,
    pub(super) input: Option<ChildStdin>,
    pub(super) launcher: Child,
    pub(super) connection: UnixStream,
    pub(super) facts: BufReader<UnixStream>,
    pub(super) streams: Streams,
    pub(super) command_line: Vec<OsString>,
    pub(super) started: Instant,
    pub(super) site: Option<Site>,
    pub(super) directory: TempDir,
}

impl Running {
    /// Returns a path in the trial's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the cgroup that it was started in, as the guest sees it.
    #[track_caller]
    pub fn cgroup(&self) -> &Site {
        self.site.as_ref().expect("it was started by `in_cgroup`")
    }

    pub(super) fn next_fact(&mut self, limit: Duration) -> Result<String, String> {
        self.connection
            .set_read_timeout(Some(limit))
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        match self.facts.read_line(&mut line) {
            Ok(0) => Err("the launcher ended without a word".into()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!(
                "nothing from the launcher within {limit:?}: {error}"
            )),
        }
    }

    /// Returns its standard output, or its terminal.
    pub fn out(&self) -> &Transcript {
        self.streams
            .out
            .as_ref()
            .expect("standard output is a pipe or a terminal")
    }

    /// Returns its standard error, or its terminal.
    pub fn err(&self) -> &Transcript {
        let err = if self.terminal.is_some() {
            &self.streams.out
        } else {
            &self.streams.err
        };
        err.as_ref()
            .expect("standard error is a pipe or a terminal")
    }

    /// Waits for a line on standard output that contains this text.
    #[track_caller]
    pub fn wait_line(&self, text: &str) -> String {
        self.out().wait_line(text)
    }

    /// Waits for a line on standard error that contains this text.
    #[track_caller]
    pub fn wait_message(&self, text: &str) -> String {
        self.err().wait_line(text)
    }

    /// Sends frigate a signal.
    #[track_caller]
    pub fn kill(&self, signal: i32) {
        sys::kill(self.pid, signal).expect("frigate can be signaled");
    }

    /// Sends frigate a signal with a value.
    #[track_caller]
    pub fn queue(&self, signal: i32, value: i32) {
        sys::queue(self.pid, signal, value).expect("frigate can be signaled");
    }

    /// Writes to its standard input.
    pub fn write_input(&mut self, text: &str) {
        self.input
            .as_mut()
            .expect("standard input is a pipe")
            .write_all(text.as_bytes())
            .expect("frigate or its child reads it");
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Types keys at its terminal.
    pub fn type_in(&mut self, keys: &str) {
        self.terminal
            .as_mut()
            .expect("there is a terminal")
            .type_in(keys);
    }

    /// Returns its children, including those that have ended.
    pub fn children(&self) -> Vec<Process> {
        procfs::children(self.pid)
    }

    /// Returns its descendants, including those that have ended.
    pub fn descendants(&self) -> Vec<Process> {
        procfs::descendants(self.pid)
    }

    /// Waits until frigate has exactly one child, and returns its pid.
    #[track_caller]
    pub fn only_child(&self) -> i32 {
        eventually("exactly one child", || match self.children().as_slice() {
            [child] => Some(child.pid),
            _ => None,
        })
    }

    /// Fills the standard output, which is not read.
    pub fn fill_unread(&mut self) {
        let held = self.streams.held.get_mut().expect("no trial panics here");
        fill(held.last().expect("there is an unread pipe")).expect("it can be filled");
    }

    /// Starts to read a standard output that was not read so far.
    pub fn drain(&mut self) -> Transcript {
        let reader = self
            .streams
            .held
            .get_mut()
            .expect("no trial panics here")
            .pop();
        Transcript::of(reader.expect("there is an unread pipe"))
    }

    /// Waits for frigate's end.
    #[track_caller]
    pub fn wait(self) -> Ended {
        self.wait_within(deadline())
    }

    /// Waits for frigate's end, for at most this long.
    #[track_caller]
    pub fn wait_within(mut self, limit: Duration) -> Ended {
        let mut status = None;
        let mut left = Vec::new();
        let mut took = None;
        loop {
            let fact = match self.next_fact(limit) {
                Ok(fact) => fact,
                Err(error) => panic!("frigate did not end: {error}\n{}", self.describe()),
            };
            match fact.split_once(' ').unwrap_or((&fact, "")) {
                ("end", raw) => {
                    status = raw.parse().ok();
                    took = Some(self.started.elapsed());
                }
                ("left", process) => left.push(process.to_owned()),
                ("done", _) => break,
                _ => panic!("{fact}\n{}", self.describe()),
            }
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.let_end();
        }
        let said = |stream: &mut Option<Transcript>| {
            stream.as_mut().map(|transcript| {
                transcript.wait_end(deadline());
                transcript.text()
            })
        };
        let out = said(&mut self.streams.out).unwrap_or_default();
        // A terminal carries both streams.
        let err = if self.terminal.is_some() {
            out.clone()
        } else {
            said(&mut self.streams.err).unwrap_or_default()
        };
        let status = status.expect("the end comes before all is done");
        Ended {
            status,
            left,
            out,
            err,
            took: took.unwrap_or_default(),
            site: self.site.take(),
        }
    }

    /// Returns everything that helps to understand a failure.
    fn describe(&self) -> String {
        let mut text = String::from("command line:");
        for word in &self.command_line {
            let _infallible = write!(text, " {}", OsStr::display(word));
        }
        for (name, stream) in [
            ("standard output", &self.streams.out),
            ("standard error", &self.streams.err),
        ] {
            if let Some(stream) = stream {
                let _infallible = write!(text, "\n--- {name}:\n{}", stream.text());
            }
        }
        let _infallible = write!(text, "\n--- processes:");
        for process in procfs::process(self.pid)
            .into_iter()
            .chain(self.descendants())
        {
            let Process {
                pid,
                parent,
                group,
                state,
                name,
            } = process;
            let _infallible = write!(
                text,
                "\n{pid} {name}: parent {parent}, group {group}, state {state}"
            );
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.describe());
        }
        // The launcher kills everything when the connection ends.
        let _gone = self.connection.shutdown(Shutdown::Both);
        let until = Instant::now() + deadline();
        while matches!(self.launcher.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _gone = self.launcher.kill();
                let _gone = self.launcher.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

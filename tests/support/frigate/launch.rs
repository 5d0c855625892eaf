//! The start of a frigate by the launcher.

use std::ffi::OsString;
use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::streams::Streams;
use super::{Ended, Frigate, Input, Output, Running};
use crate::support::capability::PID_NAMESPACE;
use crate::support::terminal::Terminal;
use crate::support::{Mode, deadline, own_program};

impl Frigate {
    fn command_line(&self) -> Vec<OsString> {
        self.program
            .iter()
            .chain(&self.options)
            .chain(&self.command)
            .cloned()
            .collect()
    }

    /// Starts frigate.
    #[track_caller]
    pub fn spawn(self) -> Running {
        self.try_spawn()
            .unwrap_or_else(|error| panic!("cannot launch: {error}"))
    }

    /// Starts frigate and waits for its end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.spawn().wait()
    }

    /// Starts frigate, waits for its end and returns the raw status. Meant for probes, which must
    /// not panic.
    pub fn try_wait(self) -> Result<i32, String> {
        let running = self.try_spawn()?;
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| running.wait().status))
            .map_err(|_| "no end".into())
    }

    fn try_spawn(self) -> Result<Running, String> {
        let socket = self.directory.path().join("launcher");
        let listener = UnixListener::bind(&socket)
            .map_err(|error| format!("bind {}: {error}", socket.display()))?;
        listener
            .set_nonblocking(true)
            .map_err(|error| error.to_string())?;
        let place = match self.mode {
            Mode::Pid1 => "pid1",
            Mode::Subreaper if PID_NAMESPACE.check().is_ok() => "contained",
            Mode::Subreaper => "bare",
        };
        let mut launcher = Command::new(own_program());
        launcher
            .arg("--launch")
            .arg(&socket)
            .arg(place)
            .args(&self.plan);
        launcher.env_clear().envs(self.environment.iter().cloned());

        let mut terminal = None;
        let mut streams = Streams::default();
        if self.terminal {
            let (opened, transcript) = Terminal::open();
            let mut word = OsString::from("terminal=");
            word.push(opened.path());
            launcher
                .arg(word)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            terminal = Some(opened);
            streams.out = Some(transcript);
        } else {
            launcher.stdin(match self.input {
                Input::Null | Input::Closed => Stdio::null(),
                Input::Pipe => Stdio::piped(),
            });
            launcher
                .stdout(streams.open(self.output, true)?)
                .stderr(streams.open(self.error, false)?);
            let closed = [
                (0, self.input == Input::Closed),
                (1, self.output == Output::Closed),
                (2, self.error == Output::Closed),
            ];
            launcher.args(
                closed
                    .iter()
                    .filter(|(_, closed)| *closed)
                    .map(|(fd, _)| format!("close={fd}")),
            );
        }
        let command_line = self.command_line();
        launcher.arg("--").args(&command_line);
        let mut child = launcher.spawn().map_err(|error| error.to_string())?;
        // The harness must not hold the pipes that its children were given. Otherwise their readers
        // would never see an end.
        drop(launcher);

        let connection = accept(&listener, &mut child)?;
        let facts = BufReader::new(connection.try_clone().map_err(|error| error.to_string())?);
        let mut running = Running {
            pid: 0,
            middle: None,
            input: child.stdin.take(),
            launcher: child,
            connection,
            facts,
            streams,
            terminal,
            command_line,
            started: Instant::now(),
            site: self.site,
            directory: self.directory,
        };
        while running.pid == 0 {
            let fact = running.next_fact(deadline())?;
            match fact.split_once(' ') {
                Some(("pid", pid)) => running.pid = pid.parse().expect("a pid"),
                Some(("middle", pid)) => running.middle = Some(pid.parse().expect("a pid")),
                _ => return Err(fact),
            }
        }
        Ok(running)
    }
}

fn accept(listener: &UnixListener, launcher: &mut Child) -> Result<UnixStream, String> {
    let until = Instant::now() + deadline();
    loop {
        // Ask before looking at the socket: a quick launcher may connect, do its work and end
        // between two looks, and its reports are then still in the socket.
        let ended = launcher.try_wait();
        if let Ok((connection, _)) = listener.accept() {
            connection
                .set_nonblocking(false)
                .map_err(|error| error.to_string())?;
            return Ok(connection);
        }
        if let Ok(Some(status)) = ended {
            return Err(format!("the launcher ended early: {status}"));
        }
        if Instant::now() > until {
            return Err("the launcher did not connect".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

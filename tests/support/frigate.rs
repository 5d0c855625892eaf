//! A frigate under test: what it is started with, and what a trial can do with it while it runs.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};
use tempfile::TempDir;

use super::capability::PID_NAMESPACE;
use super::cgroup::Site;
use super::procfs::{self, Process};
use super::terminal::Terminal;
use super::transcript::Transcript;
use super::{Mode, deadline, eventually, own_program, sys};

/// Where standard input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Null,
    Closed,
    /// A pipe into which the trial writes.
    Pipe,
}

/// Where a standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A pipe that the trial reads.
    Pipe,
    Closed,
    /// A pipe that nobody reads until `Running::drain`.
    Unread,
    /// The same, full from the beginning.
    Full,
    /// A pipe whose reader is gone.
    Gone,
    /// A terminal that nobody reads. It is not the controlling one.
    Terminal,
    /// A stream socket, as systemd gives one, that the trial reads.
    Socket,
}

/// A command line and all that surrounds it.
pub struct Frigate {
    mode: Mode,
    program: Vec<OsString>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    plan: Vec<OsString>,
    input: Input,
    output: Output,
    error: Output,
    terminal: bool,
    site: Option<Site>,
    directory: TempDir,
}

/// The binary under test. `FRIGATE_TEST_BINARY` may name another one, with arguments of its own:
/// `tini -s -g`.
pub fn binary() -> Vec<OsString> {
    match std::env::var("FRIGATE_TEST_BINARY") {
        Ok(words) => words.split_whitespace().map(OsString::from).collect(),
        Err(_) => vec![env!("CARGO_BIN_EXE_frigate").into()],
    }
}

impl Frigate {
    /// A frigate without options and without a command.
    pub fn new(mode: Mode) -> Self {
        Self::of_program(mode, binary())
    }

    /// Another program in frigate's place.
    pub fn of_program(mode: Mode, program: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("frigate-")
            .tempdir()
            .expect("a temporary directory");
        // Some trials run as another user.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).expect("it is ours");
        Self {
            mode,
            program: program.into_iter().map(Into::into).collect(),
            options: Vec::new(),
            command: Vec::new(),
            environment: vec![(
                "PATH".into(),
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            )],
            plan: Vec::new(),
            input: Input::Null,
            output: Output::Pipe,
            error: Output::Pipe,
            terminal: false,
            site: None,
            directory,
        }
    }

    /// The test binary itself in frigate's place.
    pub fn launching(mode: Mode, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let mut program = vec![own_program().into_os_string()];
        program.extend(words.into_iter().map(Into::into));
        Self::of_program(mode, program)
    }

    /// A path in the trial's own directory, which is removed after it.
    pub fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_str()
            .expect("temporary directories have plain names")
            .to_owned()
    }

    /// Adds one word before the command.
    pub fn option(mut self, word: impl Into<OsString>) -> Self {
        self.options.push(word.into());
        self
    }

    /// Adds words before the command, cut at white space.
    pub fn options(mut self, words: &str) -> Self {
        self.options
            .extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// Sets the command; it stands behind `--`.
    pub fn command(self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let mut this = self.bare_command(words);
        this.options.push("--".into());
        this
    }

    /// Sets the command, without `--` before it.
    pub fn bare_command(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the puppet with a script as the command.
    pub fn puppet(self, script: impl AsRef<str>) -> Self {
        self.command([
            own_program().into_os_string(),
            "--puppet".into(),
            script.as_ref().into(),
        ])
    }

    /// Sets an environment variable; there are none but these and PATH.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn plan(mut self, word: impl Into<OsString>) -> Self {
        self.plan.push(word.into());
        self
    }

    /// Starts it with these signals blocked.
    pub fn blocked(self, signals: &[i32]) -> Self {
        let mask = signals
            .iter()
            .fold(0, |mask, &signal| mask | sys::bit(signal));
        self.plan(format!("mask={mask}"))
    }

    /// Starts it with these signals ignored.
    pub fn ignored(self, signals: &[i32]) -> Self {
        let mask = signals
            .iter()
            .fold(0, |mask, &signal| mask | sys::bit(signal));
        self.plan(format!("ignored={mask}"))
    }

    /// Starts it in this directory.
    pub fn current_directory(self, path: impl AsRef<Path>) -> Self {
        let mut word = OsString::from("directory=");
        word.push(path.as_ref());
        self.plan(word)
    }

    /// Starts it with this file open, for reading, as this descriptor.
    pub fn descriptor(self, fd: i32, path: &str) -> Self {
        self.plan(format!("open={fd}:{path}"))
    }

    /// Starts it as a user without privileges.
    pub fn uid(self, uid: u32) -> Self {
        self.plan(format!("uid={uid}"))
    }

    /// Starts it as a member of these supplementary groups and no others.
    pub fn groups(self, groups: &[u32]) -> Self {
        let words: Vec<_> = groups.iter().map(u32::to_string).collect();
        self.plan(format!("groups={}", words.join(",")))
    }

    /// Starts it with these capabilities inheritable and ambient; as another user than root it has
    /// no others.
    pub fn capabilities(self, set: CapabilitySet) -> Self {
        self.plan(format!("capabilities={}", set.bits()))
    }

    /// Starts it with these flags of its credentials, which survive an exec.
    pub fn secure_bits(self, bits: CapabilitiesSecureBits) -> Self {
        self.plan(format!("secure-bits={}", bits.bits()))
    }

    /// Starts it with a session keyring that has a key of this name.
    pub fn key(self, name: &str) -> Self {
        self.plan(format!("key={name}"))
    }

    /// Limits the number of processes of its user (`RLIMIT_NPROC`).
    pub fn max_processes(self, limit: u64) -> Self {
        self.plan(format!("max-processes={limit}"))
    }

    /// Limits its memory (`RLIMIT_DATA`), in bytes.
    pub fn max_data(self, limit: u64) -> Self {
        self.plan(format!("max-data={limit}"))
    }

    /// Limits the number of its descriptors (`RLIMIT_NOFILE`).
    pub fn max_files(self, limit: u64) -> Self {
        self.plan(format!("max-files={limit}"))
    }

    /// Mounts one path over another, where only it and its descendants see it.
    pub fn bind(self, from: &str, to: &str) -> Self {
        self.plan(format!("bind={from}:{to}"))
    }

    /// Makes the directory `disk` in the trial's own directory a file system of this size, which
    /// only frigate and its descendants see.
    pub fn disk(self, size: u64) -> Self {
        let at = self.path("disk");
        fs::create_dir(&at).expect("the directory is ours");
        self.plan(format!("disk={size}:{at}"))
    }

    /// Starts it with every mount read-only.
    pub fn read_only(self) -> Self {
        self.plan("read-only")
    }

    /// Puts a parent above it that can be killed: `Running::middle`.
    pub fn with_parent(self) -> Self {
        self.plan("middle")
    }

    /// Sets this environment variable to the pid that it has.
    pub fn own_pid_in(self, name: &str) -> Self {
        self.env(name, "0").plan(format!("own-pid-in={name}"))
    }

    /// Starts it in a cgroup: a `Place`, which is made now, or a `&Site`, which has been made. Only
    /// in the guest.
    #[track_caller]
    pub fn in_cgroup(mut self, place: impl Into<Site>) -> Self {
        let site: Site = place.into();
        let mut group = OsString::from("cgroup=");
        group.push(site.path());
        let view = format!("cgroup-view={}", site.view().word());
        self.site = Some(site);
        self.plan(group).plan(view)
    }

    /// Runs it under strace with these `-e` expressions; the log is the file `strace` in the
    /// trial's directory.
    pub fn strace(self, expressions: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let log = format!("strace-log={}", self.path("strace"));
        expressions.into_iter().fold(self.plan(log), |this, word| {
            this.plan(format!("strace={}", word.as_ref()))
        })
    }

    /// Lets scripts and shells name the binary under test and this program: `$UNDER_TEST` and
    /// `$SELF`.
    pub fn named_programs(self) -> Self {
        let under_test = binary().swap_remove(0);
        self.env("UNDER_TEST", under_test)
            .env("SELF", own_program())
    }

    /// Writes a file into the trial's own directory and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("the directory is ours");
        path
    }

    /// Lets strace see frigate only, and so change nothing about the states of its child.
    pub fn tracing_frigate_alone(self) -> Self {
        self.plan("strace-alone")
    }

    /// Makes an executable file with this text in the trial's own directory.
    pub fn executable(&self, name: &str, text: &str) -> String {
        let text = self.file(&format!("{name}.text"), text);
        self.copy(Path::new(&text), name)
    }

    /// Makes a copy of this program under another name.
    pub fn copy_of_own_program(&self, name: &str) -> String {
        self.copy(&own_program(), name)
    }

    /// Starts a copy of the binary under test, whose path is returned as well.
    pub fn copied(mut self) -> (Self, String) {
        let path = self.copy(Path::new(&self.program[0]), "frigate");
        self.program[0] = path.clone().into();
        (self, path)
    }

    /// Copies by a program of its own. A file that this process had open for writing would be open
    /// for a moment in every process that another thread forks just then, and could not be executed
    /// as long (ETXTBSY).
    fn copy(&self, from: &Path, name: &str) -> String {
        let path = self.path(name);
        let copied = Command::new("cp")
            .arg(from)
            .arg(&path)
            .status()
            .expect("cp");
        assert!(copied.success(), "cannot copy {} to {path}", from.display());
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// Sets where standard input comes from.
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Sets where standard output goes.
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Sets where standard error goes.
    pub fn error(mut self, error: Output) -> Self {
        self.error = error;
        self
    }

    /// Gives it a fresh controlling terminal as all three standard descriptors, as `docker run -it`
    /// does.
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    fn command_line(&self) -> Vec<OsString> {
        self.program
            .iter()
            .chain(&self.options)
            .chain(&self.command)
            .cloned()
            .collect()
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(self) -> Running {
        self.try_spawn()
            .unwrap_or_else(|error| panic!("cannot launch: {error}"))
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.spawn().wait()
    }

    /// Starts it, waits for its end and returns the raw status; for probes, which must not panic.
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
        // The harness must not hold the pipes that its children were given, or their readers would
        // never see an end.
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
        // Asked before the look at the socket: a launcher that is quick has connected, done its
        // work and ended between two looks, and what it said waits there.
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

/// The harness's side of the standard outputs.
#[derive(Default)]
struct Streams {
    out: Option<Transcript>,
    err: Option<Transcript>,
    /// Readers of full pipes, which hold these open and take nothing.
    held: Mutex<Vec<PipeReader>>,
    /// The unread sides of terminals, open for as long as the program runs.
    unread: Vec<OwnedFd>,
}

impl Streams {
    fn open(&mut self, output: Output, is_out: bool) -> Result<Stdio, String> {
        match output {
            Output::Closed => return Ok(Stdio::null()),
            Output::Terminal => {
                let (master, other_side) = Terminal::unread();
                self.unread.push(master);
                return Ok(Stdio::from(other_side));
            }
            Output::Socket => {
                let (reader, writer) = UnixStream::pair().map_err(|error| error.to_string())?;
                let transcript = Some(Transcript::of(reader));
                if is_out {
                    self.out = transcript;
                } else {
                    self.err = transcript;
                }
                return Ok(Stdio::from(OwnedFd::from(writer)));
            }
            _ => {}
        }
        let (reader, writer) = io::pipe().map_err(|error| error.to_string())?;
        match output {
            Output::Full | Output::Unread => {
                if output == Output::Full {
                    fill(&writer).map_err(|error| error.to_string())?;
                }
                self.held.lock().expect("no trial panics here").push(reader);
            }
            Output::Gone => drop(reader),
            _ => {
                let transcript = Some(Transcript::of(reader));
                if is_out {
                    self.out = transcript;
                } else {
                    self.err = transcript;
                }
            }
        }
        Ok(Stdio::from(OwnedFd::from(writer)))
    }
}

/// Fills a pipe to the last byte. It is opened anew for that, because `O_NONBLOCK` belongs to the
/// open file, which the program under test shares and would find changed.
fn fill(either_end: &impl AsRawFd) -> io::Result<()> {
    let again = format!("/proc/self/fd/{}", either_end.as_raw_fd());
    let mut again = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(again)?;
    for size in [4096, 1] {
        while again.write(&vec![b'.'; size]).is_ok() {}
    }
    Ok(())
}

/// A frigate that was started. It and all that it started is killed and reaped when this is
/// dropped.
pub struct Running {
    /// Its pid, as the harness sees it.
    pub pid: i32,
    /// The pid of its parent, if there is one that may be killed.
    pub middle: Option<i32>,
    /// The person's side of its terminal.
    pub terminal: Option<Terminal>,
    input: Option<ChildStdin>,
    launcher: Child,
    connection: UnixStream,
    facts: BufReader<UnixStream>,
    streams: Streams,
    command_line: Vec<OsString>,
    started: Instant,
    site: Option<Site>,
    directory: TempDir,
}

/// How it ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The raw wait status.
    pub status: i32,
    /// States and names of the processes that it left behind, zombies included.
    pub left: Vec<String>,
    pub out: String,
    pub err: String,
    pub took: Duration,
    site: Option<Site>,
}

impl Ended {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.signal().is_none().then_some(self.status >> 8 & 0xff)
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        Some(self.status & 0x7f).filter(|&signal| signal != 0)
    }

    /// Checks the exit code, and shows everything if it is another one.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self:#?}");
        self
    }

    /// Checks that nothing was said on standard error.
    #[track_caller]
    pub fn expect_silence(&self) -> &Self {
        assert_eq!(self.err, "", "{self:#?}");
        self
    }

    /// Checks that it left no process behind.
    #[track_caller]
    pub fn expect_nothing_left(&self) -> &Self {
        assert_eq!(self.left, Vec::<String>::new(), "{self:#?}");
        self
    }

    /// The cgroup that it was started in, which is removed when this is dropped.
    #[track_caller]
    pub fn cgroup(&self) -> &Site {
        self.site.as_ref().expect("it was started by `in_cgroup`")
    }

    /// The lines of standard error.
    pub fn messages(&self) -> Vec<&str> {
        self.err.lines().collect()
    }
}

impl Running {
    /// A path in the trial's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The cgroup that it was started in, as the guest sees it.
    #[track_caller]
    pub fn cgroup(&self) -> &Site {
        self.site.as_ref().expect("it was started by `in_cgroup`")
    }

    fn next_fact(&mut self, limit: Duration) -> Result<String, String> {
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

    /// Its standard output, or its terminal.
    pub fn out(&self) -> &Transcript {
        self.streams
            .out
            .as_ref()
            .expect("standard output is a pipe or a terminal")
    }

    /// Its standard error, or its terminal.
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
        sys::kill(self.pid, signal).expect("frigate is there to be signalled");
    }

    /// Sends frigate a signal with a value.
    #[track_caller]
    pub fn queue(&self, signal: i32, value: i32) {
        sys::queue(self.pid, signal, value).expect("frigate is there to be signalled");
    }

    /// Writes to its standard input.
    pub fn write_input(&mut self, text: &str) {
        self.input
            .as_mut()
            .expect("standard input is a pipe")
            .write_all(text.as_bytes())
            .expect("somebody reads it");
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// The terminal's keyboard.
    pub fn type_in(&mut self, keys: &str) {
        self.terminal
            .as_mut()
            .expect("there is a terminal")
            .type_in(keys);
    }

    /// Its children, ended ones included.
    pub fn children(&self) -> Vec<Process> {
        procfs::children(self.pid)
    }

    /// Its descendants, ended ones included.
    pub fn descendants(&self) -> Vec<Process> {
        procfs::descendants(self.pid)
    }

    /// Waits until it has exactly one child, and returns its pid.
    #[track_caller]
    pub fn only_child(&self) -> i32 {
        eventually("exactly one child", || match self.children().as_slice() {
            [child] => Some(child.pid),
            _ => None,
        })
    }

    /// Fills a standard output that nobody reads.
    pub fn fill_unread(&mut self) {
        let held = self.streams.held.get_mut().expect("no trial panics here");
        fill(held.last().expect("there is an unread pipe")).expect("it can be filled");
    }

    /// Begins to read a standard output that nobody read.
    pub fn drain(&mut self) -> Transcript {
        let reader = self
            .streams
            .held
            .get_mut()
            .expect("no trial panics here")
            .pop();
        Transcript::of(reader.expect("there is an unread pipe"))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Ended {
        self.wait_within(deadline())
    }

    /// Waits for its end, for this long.
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
        // A terminal takes both.
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

    /// Everything that helps to understand a failure.
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
        // The launcher takes the end of the connection as the order to kill everything.
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

//! A frigate under test: how it is started, and what a trial can do with it while it runs.

mod ended;
mod launch;
mod running;
mod streams;

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};
use tempfile::TempDir;

use super::cgroup::Site;
use super::{Mode, own_program, sys};

pub use ended::Ended;
pub use running::Running;

/// Where standard input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Null,
    Closed,
    /// A pipe into which the trial writes.
    Pipe,
}

/// The destination of a standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A pipe that the trial reads.
    Pipe,
    Closed,
    /// A pipe that is read only after `Running::drain`.
    Unread,
    /// A pipe that is read only after `Running::drain`, and is full from the beginning.
    Full,
    /// A pipe that has no reader any more.
    Gone,
    /// A terminal that is never read. It is not the controlling terminal.
    Terminal,
    /// A stream socket that the trial reads, such as systemd provides.
    Socket,
}

/// A command line and the conditions under which it runs.
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

/// Returns the binary under test. `FRIGATE_TEST_BINARY` may name another one, with its own
/// arguments: `tini -s -g`.
pub fn binary() -> Vec<OsString> {
    match std::env::var("FRIGATE_TEST_BINARY") {
        Ok(words) => words.split_whitespace().map(OsString::from).collect(),
        Err(_) => vec![env!("CARGO_BIN_EXE_frigate").into()],
    }
}

impl Frigate {
    /// Returns a frigate without options and without a command.
    pub fn new(mode: Mode) -> Self {
        Self::of_program(mode, binary())
    }

    /// Returns another program to be run in frigate's place.
    pub fn of_program(mode: Mode, program: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("frigate-")
            .tempdir()
            .expect("a temporary directory");
        // Some trials run as another user.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777))
            .expect("the trial owns it");
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

    /// Returns the test binary itself, to be run in frigate's place.
    pub fn launching(mode: Mode, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let mut program = vec![own_program().into_os_string()];
        program.extend(words.into_iter().map(Into::into));
        Self::of_program(mode, program)
    }

    /// Returns a path in the trial's own directory, which is removed after the trial.
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

    /// Adds words before the command. They are split at white space.
    pub fn options(mut self, words: &str) -> Self {
        self.options
            .extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// Sets the command, with `--` before it.
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

    /// Sets an environment variable. There are no others but PATH.
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

    /// Starts it as this user, without privileges.
    pub fn uid(self, uid: u32) -> Self {
        self.plan(format!("uid={uid}"))
    }

    /// Starts it as a member of exactly these supplementary groups.
    pub fn groups(self, groups: &[u32]) -> Self {
        let words: Vec<_> = groups.iter().map(u32::to_string).collect();
        self.plan(format!("groups={}", words.join(",")))
    }

    /// Starts it with these capabilities inheritable and ambient. A user other than root has no
    /// others.
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

    /// Mounts one path over another. Only frigate and its descendants see that mount.
    pub fn bind(self, from: &str, to: &str) -> Self {
        self.plan(format!("bind={from}:{to}"))
    }

    /// Makes the directory `disk` in the trial's own directory a file system of this size. Only
    /// frigate and its descendants see it.
    pub fn disk(self, size: u64) -> Self {
        let at = self.path("disk");
        fs::create_dir(&at).expect("the trial owns the directory");
        self.plan(format!("disk={size}:{at}"))
    }

    /// Starts it with every mount read-only.
    pub fn read_only(self) -> Self {
        self.plan("read-only")
    }

    /// Starts it with a parent that can be killed: `Running::middle`.
    pub fn with_parent(self) -> Self {
        self.plan("middle")
    }

    /// Sets this environment variable to frigate's own pid.
    pub fn own_pid_in(self, name: &str) -> Self {
        self.env(name, "0").plan(format!("own-pid-in={name}"))
    }

    /// Starts it in a cgroup: a `Place`, which is made now, or a `&Site`, which has been made
    /// before. Works only in the guest.
    #[track_caller]
    pub fn in_cgroup(mut self, place: impl Into<Site>) -> Self {
        let site: Site = place.into();
        let mut group = OsString::from("cgroup=");
        group.push(site.path());
        let view = format!("cgroup-view={}", site.view().word());
        self.site = Some(site);
        self.plan(group).plan(view)
    }

    /// Runs it under strace with these `-e` expressions. The log is the file `strace` in the
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
        fs::write(&path, text).expect("the trial owns the directory");
        path
    }

    /// Makes strace trace frigate only, so that it does not change the states of its child.
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

    /// Starts a copy of the binary under test. Returns its path as well.
    pub fn copied(mut self) -> (Self, String) {
        let path = self.copy(Path::new(&self.program[0]), "frigate");
        self.program[0] = path.clone().into();
        (self, path)
    }

    /// Copies a file with `cp`. If this process wrote the copy, the file would be open for writing,
    /// for a moment, in every process that another thread forks meanwhile, and could not be
    /// executed during that time (ETXTBSY).
    fn copy(&self, from: &Path, name: &str) -> String {
        let path = self.path(name);
        let copied = Command::new("cp")
            .arg(from)
            .arg(&path)
            .status()
            .expect("cp");
        assert!(copied.success(), "cannot copy {} to {path}", from.display());
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("the trial owns it");
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
}

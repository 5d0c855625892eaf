//! What the scenarios share: the trial around a host, and functions that wait for a condition.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use frigate::{AutoRestart, Event, EventKind, Frigate, ProtectTask, Strategy};
use libtest_mimic::{Failed, Trial};

/// How long an expected event may take. It is long, because a busy machine is slow, and a run that
/// passes never waits that long.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A grace period that no child here uses up.
pub const GRACE: Duration = Duration::from_secs(60);

/// One claim, with the host program that proves it.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub host: fn(),
    /// What the trial puts before the host's command, such as a program that ignores a signal.
    pub wrapper: &'static [&'static str],
}

impl Scenario {
    pub const fn new(name: &'static str, host: fn()) -> Self {
        Self {
            name,
            host,
            wrapper: &[],
        }
    }

    pub const fn wrapped(self, wrapper: &'static [&'static str]) -> Self {
        Self { wrapper, ..self }
    }

    /// Returns the trial. It fails if the host fails, and shows the host's output.
    pub fn trial(self) -> Trial {
        Trial::test(self.name, move || {
            let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
            let mut words: Vec<String> =
                contained().iter().map(|word| (*word).to_owned()).collect();
            words.extend(self.wrapper.iter().map(|word| (*word).to_owned()));
            words.push(own_program().display().to_string());
            let (program, rest) = words.split_first().expect("a program");
            let output = Command::new(program)
                .args(rest)
                .args(["--host", self.name])
                .env("DIRECTORY", directory.path())
                .stdin(Stdio::null())
                .output()
                .map_err(|error| format!("{program}: {error}"))?;
            if output.status.success() {
                return Ok(());
            }
            let said = [output.stdout, output.stderr].concat();
            Err(Failed::from(format!(
                "{}\n{}",
                output.status,
                String::from_utf8_lossy(&said)
            )))
        })
    }
}

/// Returns the command that puts the host into a PID namespace of its own, which ends every process
/// with it. Returns no words if this machine does not allow that. PID 1 is the host, until
/// `frigate::init` makes that process the init.
pub fn contained() -> &'static [&'static str] {
    static WORDS: OnceLock<&[&str]> = OnceLock::new();
    WORDS.get_or_init(|| {
        const WAYS: [&[&str]; 2] = [
            &["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"],
            &[
                "unshare",
                "--user",
                "--map-root-user",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ],
        ];
        let works = |way: &&&[&str]| {
            Command::new(way[0])
                .args(&way[1..])
                .arg("true")
                .output()
                .is_ok_and(|output| output.status.success())
        };
        WAYS.iter().find(works).copied().unwrap_or(&[])
    })
}

/// Returns whether a child can become another user here. In a user namespace with a single id it
/// cannot.
pub fn has_other_users() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root() && map.split_whitespace().last() != Some("1")
}

/// Returns the directory of this trial.
pub fn directory() -> PathBuf {
    std::env::var_os("DIRECTORY")
        .expect("the trial made one")
        .into()
}

pub fn own_program() -> PathBuf {
    std::env::current_exe().expect("the test binary has a path")
}

/// Polls until the condition returns a value. If the deadline passes, panics and names `what` it
/// waited for.
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < until,
            "waited {DEADLINE:?} for this: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a file exists and ends with a line feed. Returns its content.
#[track_caller]
pub fn text_of(file: &Path) -> String {
    eventually(&format!("{} is written", file.display()), || {
        std::fs::read_to_string(file)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
}

/// Returns whether the process exists and has not ended.
pub fn is_alive(pid: u32) -> bool {
    crate::procfs::process(pid.cast_signed()).is_some_and(|process| process.state != 'Z')
}

#[track_caller]
pub fn wait_gone(pid: u32) {
    eventually(&format!("process {pid} is gone"), || {
        crate::procfs::process(pid.cast_signed())
            .is_none()
            .then_some(())
    });
}

pub fn kill(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), signal)
        .expect("the process exists");
}

/// Returns a child that runs the script in a shell.
pub fn shell(name: &str, script: &str) -> Frigate {
    ProtectTask::new(name)
        .program("/bin/sh")
        .args(["-c", script])
        .current_dir(directory())
        .into()
}

/// Returns a child that sleeps until it is stopped.
pub fn sleeper(name: &str) -> Frigate {
    ProtectTask::new(name).program("sleep").arg("1000").into()
}

pub fn once() -> Strategy {
    Strategy::new().auto_restart(AutoRestart::False)
}

/// Waits for the first event that `pick` accepts, and returns the value that `pick` makes of it.
#[track_caller]
pub fn next<T>(
    events: &Receiver<Event>,
    what: &str,
    mut pick: impl FnMut(&EventKind) -> Option<T>,
) -> T {
    let until = Instant::now() + DEADLINE;
    let mut seen = Vec::new();
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(event) => match pick(&event.kind) {
                Some(picked) => return picked,
                None => seen.push(event.to_string()),
            },
            Err(error) => panic!("no event: {what} ({error}); seen: {seen:#?}"),
        }
    }
}

/// Waits for the next start, and returns the pid.
#[track_caller]
pub fn next_start(events: &Receiver<Event>) -> u32 {
    next(events, "a start", |kind| {
        if let EventKind::Started { pid, .. } = kind {
            Some(*pid)
        } else {
            None
        }
    })
}

/// Returns how many descriptors this process has.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("/proc is mounted")
        .count()
}

pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .expect("/proc is mounted")
        .count()
}

/// Returns the children of this process, including zombies.
pub fn children() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let lists = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let text: Vec<String> = lists.collect();
    text.iter()
        .flat_map(|list| list.split_whitespace())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

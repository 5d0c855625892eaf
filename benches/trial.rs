//! One init at work as PID 1 of a fresh namespace, with its child's reports.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::peer::Arrangement;
use crate::program::Programs;

/// How long an event may take that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The kinds of records that the child and the starter write.
pub const STARTED: u64 = 1;
pub const ENDING: u64 = 2;
pub const SIGNALED: u64 = 3;
pub const DRAINED: u64 = 4;
const INIT_STARTED: u64 = 1;
const INIT_ENDED: u64 = 2;

/// Four words, as the programs write them: the kind, and three values. Times are nanoseconds of the
/// monotonic clock.
pub type Record = [u64; 4];

/// When the starter reports the init's process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reports {
    /// With the init's end, so that no process wakes up while the init starts.
    AtTheEnd,
    /// At once.
    AtOnce,
    /// At once. The init is not executed before the gate is opened.
    Gated,
}

/// An init that was started. When this is dropped, the init and its processes are killed.
pub struct Trial {
    starter: Child,
    gate: Option<ChildStdin>,
    starter_reports: ChildStdout,
    reports: File,
    orders: File,
    /// The init's pid as the harness sees it, and the time of its exec; zero until they are
    /// reported.
    pub init: i32,
    pub executed: u64,
}

/// Reads the monotonic clock, in nanoseconds.
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl Trial {
    /// Starts an init.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start(
        arrangement: &Arrangement,
        programs: &Programs,
        when: Reports,
    ) -> Result<Self, String> {
        let say = |error: std::io::Error| format!("cannot start: {error}");
        let open = |path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .map_err(say)
        };
        let mut reports = open(arrangement.reports())?;
        let orders = open(arrangement.orders())?;
        // A former trial may have been killed while it wrote a report.
        while await_readable(&reports, Duration::ZERO) {
            let _old = reports.read(&mut [0; 4096]).map_err(say)?;
        }
        let mode = match when {
            Reports::AtTheEnd => "end",
            Reports::AtOnce => "once",
            Reports::Gated => "gate",
        };
        let log = File::create(arrangement.log()).map_err(say)?;
        let mut starter = Command::new(&programs.starter)
            .arg(mode)
            .args(&arrangement.words)
            .current_dir(&arrangement.directory)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(say)?;
        let gate = starter.stdin.take();
        let starter_reports = starter.stdout.take().ok_or("no pipe")?;
        let mut trial = Self {
            starter,
            gate,
            starter_reports,
            reports,
            orders,
            init: 0,
            executed: 0,
        };
        if when != Reports::AtTheEnd {
            trial.take_start()?;
        }
        Ok(trial)
    }

    fn take_start(&mut self) -> Result<(), String> {
        let [kind, executed, init, _] = read_record(&mut self.starter_reports, PATIENCE)?;
        if kind != INIT_STARTED {
            return Err(format!("no PID namespace to be had here (errno {init})"));
        }
        self.init = i32::try_from(init).map_err(|error| error.to_string())?;
        self.executed = executed;
        Ok(())
    }

    /// Opens the gate, so that the init is executed.
    pub fn open_gate(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            let _gone = gate.write_all(b"\n");
        }
    }

    /// Returns the child's next record, which must be of the given kind.
    ///
    /// # Errors
    ///
    /// No record came in time, or one of another kind came.
    pub fn expect(&mut self, kind: u64, patience: Duration) -> Result<Record, String> {
        let record = read_record(&mut self.reports, patience)?;
        if record[0] == kind {
            Ok(record)
        } else {
            Err(format!(
                "the child reported {} instead of {kind}",
                record[0]
            ))
        }
    }

    /// Returns whether a record of the child comes within this time.
    pub fn has_record(&self, within: Duration) -> bool {
        await_readable(&self.reports, within)
    }

    /// Tells the child to make orphans.
    ///
    /// # Errors
    ///
    /// The child has ended.
    pub fn order(&mut self, count: u64, at_once: bool) -> Result<(), String> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&count.to_ne_bytes());
        bytes[8..].copy_from_slice(&u64::from(at_once).to_ne_bytes());
        self.orders
            .write_all(&bytes)
            .map_err(|error| error.to_string())
    }

    /// Sends the init a signal.
    ///
    /// # Errors
    ///
    /// The init has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        kill(Pid::from_raw(self.init), signal)
            .map_err(|error| format!("cannot signal the init: {error}"))
    }

    /// Waits for the init's end. Returns its time and its raw wait status.
    ///
    /// # Errors
    ///
    /// The init does not end in time.
    pub fn end(&mut self, patience: Duration) -> Result<(u64, u64), String> {
        if self.init == 0 {
            self.take_start()?;
        }
        let [kind, ended, status, _] = read_record(&mut self.starter_reports, patience)?;
        self.init = 0;
        if kind == INIT_ENDED {
            Ok((ended, status))
        } else {
            Err("it could not be started".into())
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // The starter reports the init's end before it reaps the init, so that no other process has
        // the pid yet. The end of PID 1 ends its whole namespace. If the pid was never reported,
        // the starter's end kills the init.
        if self.init > 0 {
            let _gone = kill(Pid::from_raw(self.init), Signal::SIGKILL);
            let _ended = self.end(PATIENCE);
        }
        let _gone = self.starter.kill();
        let _status = self.starter.wait();
    }
}

/// Returns whether the file becomes readable within this time. A pidfd becomes readable when the
/// process ends.
pub fn await_readable(file: &impl AsFd, within: Duration) -> bool {
    let within = Timespec {
        tv_sec: within.as_secs().cast_signed(),
        tv_nsec: within.subsec_nanos().into(),
    };
    poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&within)).is_ok_and(|ready| ready > 0)
}

/// Reads one record. A pipe returns whole what was written at once.
fn read_record(from: &mut (impl Read + AsFd), patience: Duration) -> Result<Record, String> {
    if !await_readable(from, patience) {
        return Err(format!("nothing happened within {} s", patience.as_secs()));
    }
    let mut bytes = [0; size_of::<Record>()];
    from.read_exact(&mut bytes)
        .map_err(|error| format!("ended unexpectedly: {error}"))?;
    let mut record = [0; 4];
    for (word, bytes) in record.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    }
    Ok(record)
}

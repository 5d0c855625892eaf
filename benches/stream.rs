//! A log stream: a child writes it into a pipe, and a logger from there to files. These are kept in
//! memory, so that no disk is measured.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rustix::fs::statvfs;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::bench::Bench;
use crate::counts::float;
use crate::logger::{BACKUPS, FILE_BYTES, Logger, Rotation};
use crate::sheet::{Ratio, Sheet, figure, quantiles};
use crate::trial::{PATIENCE, await_readable};

/// The directory for the files. Linux keeps a tmpfs there.
const MEMORY: &str = "/dev/shm";

const BLOCK_BYTES: u64 = 65_536;
const BLOCKS: u64 = 8192;
const MIB: f64 = 1_048_576.0;

/// The note below the table of loggers.
pub const NOTE: &str = "medians, lines of 1,024 bytes, files in /dev/shm; in parentheses the ratio of costs to cat, which \
                        rotates nothing\nby itself s6-log begins a new file after 256 MiB at the latest, and multilog after 16";

/// Measures how fast a log is written, and what that costs.
pub fn stream(bench: &Bench, sheet: &mut Sheet) {
    for (rotation, rate_figure, cost_figure) in [
        (
            Rotation::Off,
            figure("stream", "a log of 512 MiB", "MiB/s", Ratio::Inverse),
            figure(
                "stream_cpu",
                "  CPU time of a GiB, the writer's with it",
                "ms",
                Ratio::Plain,
            ),
        ),
        (
            Rotation::On,
            figure(
                "stream_rotated",
                "the same in files of 16 MiB, 3 former ones kept",
                "MiB/s",
                Ratio::Inverse,
            ),
            figure(
                "stream_rotated_cpu",
                "  CPU time of a GiB, the writer's with it",
                "ms",
                Ratio::Plain,
            ),
        ),
    ] {
        let entries = bench
            .loggers
            .iter()
            .map(|logger| logger.tool.binary.clone().map(|_| logger))
            .collect();
        let trial = |_, logger: &&Logger| log(logger, bench, rotation);
        let [rate, cost] = bench.interleave(9, entries, trial);
        sheet.add(rate_figure, quantiles(&rate, 0.5));
        sheet.add(cost_figure, quantiles(&cost, 0.5));
    }
}

/// Measures one log: MiB per second, and milliseconds of processor time per GiB.
fn log(logger: &Logger, bench: &Bench, rotation: Rotation) -> Result<[f64; 2], String> {
    let bytes = BLOCKS * BLOCK_BYTES;
    let directory = tempfile::Builder::new()
        .prefix("frigate-bench.")
        .tempdir_in(MEMORY);
    let directory = directory.map_err(|error| format!("no directory in {MEMORY}: {error}"))?;
    let room = statvfs(directory.path()).map_err(|error| format!("{MEMORY}: {error}"))?;
    if room.f_bavail * room.f_frsize < bytes + bytes / 8 {
        return Err(format!(
            "less than {} MiB free in {MEMORY}",
            (bytes + bytes / 8) >> 20
        ));
    }
    let before = processor_time()?;
    let began = Instant::now();
    run(logger, &bench.programs.writer, directory.path(), rotation)?;
    let seconds = began.elapsed().as_secs_f64();
    let spent = processor_time()? - before;
    let arrived = logged(directory.path()).map_err(|error| error.to_string())?;
    // Rotation drops the oldest files. Some loggers end a file with a line, so that it is shorter
    // by a part of one.
    let expected = match rotation {
        Rotation::On if !logger.only_moves_bytes() => {
            FILE_BYTES * BACKUPS - 65_536..=FILE_BYTES * (BACKUPS + 1) + 65_536
        }
        Rotation::On | Rotation::Off => bytes..=bytes,
    };
    if !expected.contains(&arrived) {
        return Err(format!(
            "{arrived} bytes arrived, where {expected:?} were expected"
        ));
    }
    Ok([
        float(bytes) / MIB / seconds,
        spent * 1024.0 * MIB / float(bytes),
    ])
}

/// Runs the writer and the logger to their ends.
fn run(logger: &Logger, writer: &Path, directory: &Path, rotation: Rotation) -> Result<(), String> {
    let say = |error: io::Error| format!("cannot start: {error}");
    let complaints = directory.join("complaints");
    let mut command = logger.command(directory, rotation).map_err(say)?;
    command
        .stdin(Stdio::null())
        .stderr(File::create(&complaints).map_err(say)?);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let mut children = Vec::new();
    if logger.runs_the_writer() {
        command.arg("--").arg(writer).arg(BLOCKS.to_string());
    } else {
        let mut writer = Command::new(writer);
        let mut writer = writer
            .arg(BLOCKS.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(say)?;
        command.stdin(writer.stdout.take().ok_or("no pipe")?);
        children.push(writer);
    }
    match command.spawn() {
        Ok(child) => children.push(child),
        Err(error) => {
            children.iter_mut().for_each(end);
            return Err(say(error));
        }
    }
    // The command holds the pipe. If the logger is gone, the writer must see the end of the pipe.
    drop(command);
    let result = children.iter_mut().try_for_each(await_success);
    children.iter_mut().for_each(end);
    result.map_err(|reason| {
        let complaints = fs::read_to_string(&complaints).unwrap_or_default();
        complaints.lines().next().map_or(reason, str::to_owned)
    })
}

fn await_success(child: &mut Child) -> Result<(), String> {
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or("no process")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
    if !await_readable(&pidfd, PATIENCE) {
        return Err(format!("not done within {} s", PATIENCE.as_secs()));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

/// Kills a child and waits for it. Does nothing to a child that has been waited for.
fn end(child: &mut Child) {
    let _ended = child.kill();
    let _status = child.wait();
}

/// Returns the processor time of all children so far, and of theirs, in milliseconds.
fn processor_time() -> Result<f64, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    let spent = usage.user_time() + usage.system_time();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a benchmark does not run for three centuries"
    )]
    Ok(spent.num_microseconds() as f64 / 1000.0)
}

/// Returns the bytes of a log's files of any logger: `log`, `log.1`; `current`, `@4000….s`.
fn logged(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if ["log", "current", "@"]
            .iter()
            .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
        {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

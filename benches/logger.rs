//! The loggers that are compared: each puts a stream into files, and frigate is one of them by
//! `--stdout`.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::tool::Tool;

/// The largest file of a log that is rotated: the largest that multilog knows.
pub const FILE_BYTES: u64 = 16_777_215;

/// Former files that are kept of a log that is rotated.
pub const BACKUPS: u64 = 3;

/// What becomes of a file that has grown large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing; or as little as the logger can be brought to, and all files are kept.
    Off,
    /// `FILE_BYTES`, `BACKUPS`.
    On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cat,
    Frigate,
    S6,
    Runit,
    Daemontools,
}

/// One logger.
#[derive(Debug, Clone)]
pub struct Logger {
    pub tool: Tool,
    kind: Kind,
}

/// All of them, cat first: it moves the bytes and does nothing else.
pub fn all(frigate: &Path) -> Vec<Logger> {
    vec![
        Logger {
            tool: Tool::installed("cat", "coreutils", "cat"),
            kind: Kind::Cat,
        },
        Logger {
            tool: Tool::frigate(frigate),
            kind: Kind::Frigate,
        },
        Logger {
            tool: Tool::installed("s6-log", "s6", "s6-log"),
            kind: Kind::S6,
        },
        Logger {
            tool: Tool::installed("svlogd", "runit", "svlogd"),
            kind: Kind::Runit,
        },
        Logger {
            tool: Tool::installed("multilog", "daemontools", "multilog"),
            kind: Kind::Daemontools,
        },
    ]
}

impl Logger {
    /// The command that puts what it reads, or what its child writes, into files of this directory.
    pub fn command(&self, directory: &Path, rotation: Rotation) -> io::Result<Command> {
        let Ok(binary) = &self.tool.binary else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut command = Command::new(binary);
        let log = directory.join("log");
        match (self.kind, rotation) {
            (Kind::Cat, _) => command.stdout(File::create(log)?),
            (Kind::Frigate, Rotation::Off) => command.arg(format!("--stdout={}", log.display())),
            (Kind::Frigate, Rotation::On) => command.args([
                format!("--stdout={}", log.display()),
                format!("--log-max-bytes={FILE_BYTES}"),
                format!("--log-backups={BACKUPS}"),
            ]),
            // The largest file that it knows.
            (Kind::S6, Rotation::Off) => command.args(["n100", "s268435455"]).arg(directory),
            (Kind::S6, Rotation::On) => command
                .args([format!("n{BACKUPS}"), format!("s{FILE_BYTES}")])
                .arg(directory),
            (Kind::Runit, _) => {
                let (size, backups) = if rotation == Rotation::On {
                    (FILE_BYTES, BACKUPS)
                } else {
                    (0, 0)
                };
                fs::write(directory.join("config"), format!("s{size}\nn{backups}\n"))?;
                command.arg(directory)
            }
            // As above; and it counts the current file among those that it keeps.
            (Kind::Daemontools, Rotation::Off) => command
                .args([format!("s{FILE_BYTES}"), "n100".into()])
                .arg(directory),
            (Kind::Daemontools, Rotation::On) => command
                .args([format!("s{FILE_BYTES}"), format!("n{}", BACKUPS + 1)])
                .arg(directory),
        };
        Ok(command)
    }

    /// Whether the writer is its child; all others have a pipe from it, by which they know its end.
    pub fn runs_the_writer(&self) -> bool {
        self.kind == Kind::Frigate
    }

    /// Whether it has one file in any case.
    pub fn only_moves_bytes(&self) -> bool {
        self.kind == Kind::Cat
    }
}

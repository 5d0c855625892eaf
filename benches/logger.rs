//! The loggers that are compared. Each writes a stream to files. frigate is one of them, with
//! `--stdout`.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::tool::Tool;

/// The size at which a log file is rotated: the largest that multilog accepts.
pub const FILE_BYTES: u64 = 16_777_215;

/// How many former files of a rotated log are kept.
pub const BACKUPS: u64 = 3;

/// What happens to a file that has become large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It grows. If a logger must rotate, it does so as rarely as it can, and keeps all files.
    Off,
    /// It is rotated at `FILE_BYTES`, and `BACKUPS` former files are kept.
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

/// Returns all of them, cat first, which moves the bytes and does nothing else.
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
    /// Returns the command that writes its input, or its child's output, to files in this
    /// directory.
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
            // This is the largest file that it accepts.
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
            // The largest size is used here too. The number of files includes the current one.
            (Kind::Daemontools, Rotation::Off) => command
                .args([format!("s{FILE_BYTES}"), "n100".into()])
                .arg(directory),
            (Kind::Daemontools, Rotation::On) => command
                .args([format!("s{FILE_BYTES}"), format!("n{}", BACKUPS + 1)])
                .arg(directory),
        };
        Ok(command)
    }

    /// Returns whether the writer is the logger's child. All others have a pipe from the writer,
    /// which tells them when it ends.
    pub fn runs_the_writer(&self) -> bool {
        self.kind == Kind::Frigate
    }

    /// Returns whether the logger always writes one file.
    pub fn only_moves_bytes(&self) -> bool {
        self.kind == Kind::Cat
    }
}

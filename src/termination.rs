//! The termination message: one line of JSON where Kubernetes looks for the reason of a container's end.

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use crate::config::TerminationLog;
use crate::errno::Errno;
use crate::line::Line;
use crate::sys;

/// The path that Kubernetes mounts by default (`terminationMessagePath`).
const DEFAULT: &str = "/dev/termination-log";

/// Never a terminal to be controlled by, never a FIFO to wait for.
const FLAGS: OFlags = OFlags::WRONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// Writes the line to where the option says.
///
/// # Errors
///
/// The path that was asked for by name cannot be written. Where nobody asked, nobody is told.
pub(crate) fn write<'a>(log: &'a TerminationLog, line: &Line) -> Result<(), (&'a str, Errno)> {
    match log {
        TerminationLog::None => Ok(()),
        TerminationLog::Automatic => {
            if let Ok(file) = open(DEFAULT, FLAGS, Mode::empty())
                && fstat(&file).is_ok_and(|stat| {
                    stat.st_size == 0 && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                })
            {
                let _ = rustix::io::write(&file, line.as_bytes());
            }
            Ok(())
        }
        TerminationLog::Path(path) => {
            let flags = FLAGS.union(OFlags::CREATE).union(OFlags::TRUNC);
            let result = open(path.as_str(), flags, Mode::from_raw_mode(0o644))
                .and_then(|file| rustix::io::write(&file, line.as_bytes()));
            result.map(|_| ()).map_err(|error| (path.as_str(), sys::errno(error)))
        }
    }
}

//! The termination message: one line of JSON where Kubernetes looks for the reason of a container's end.

use crate::config::TerminationLog;
use crate::errno::Errno;
use crate::line::Line;
use crate::sys::output;

/// The path that Kubernetes mounts by default (`terminationMessagePath`).
const DEFAULT: &str = "/dev/termination-log";

/// Writes the line to where the option says.
///
/// # Errors
///
/// The path that was asked for by name cannot be written. Where nobody asked, nobody is told.
pub(crate) fn write<'a>(log: &'a TerminationLog, line: &Line) -> Result<(), (&'a str, Errno)> {
    match log {
        TerminationLog::None => {}
        TerminationLog::Automatic => output::fill_empty(DEFAULT, line.as_bytes()),
        TerminationLog::Path(path) => {
            output::replace(path, line.as_bytes()).map_err(|errno| (path.as_str(), errno))?;
        }
    }
    Ok(())
}

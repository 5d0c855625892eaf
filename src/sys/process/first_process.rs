//! PID 1 of frigate's own PID namespace, as `/proc` shows it to any user.

use super::procfs::{Procfs, READ_ONCE, READ_TO_END};
use crate::core::errno::Errno;
use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::sys::clock;
use crate::sys::kernel_file::read_from;

/// The arguments that PID 1 shows.
pub(crate) const FIRST_ARGUMENTS: &str = "/proc/1/cmdline";

/// How often the arguments are read until two reads agree. A write takes less than a microsecond,
/// unless PID 1 is interrupted or suspended in it.
const MOST_READS: usize = 1000;

/// The time between two reads.
const PAUSE: core::time::Duration = core::time::Duration::from_millis(1);

pub(crate) struct FirstProcess(Procfs);

impl FirstProcess {
    /// # Errors
    ///
    /// `/proc` is missing, or belongs to another PID namespace.
    pub(crate) fn open(own_pid: Pid) -> Result<Self, Errno> {
        Procfs::open(own_pid).map(Self)
    }

    /// Returns the arguments, of at most 4,096 bytes, with a null byte after each. Takes a second at
    /// most.
    ///
    /// A frigate may write a new text meanwhile: its first byte is zero then. A read that began before
    /// has another text than the next read.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn arguments(&self) -> Result<Vec<u8>, Errno> {
        let mut last = Vec::new();
        for _ in 0..MOST_READS {
            let text = read_from(self.0.directory(), "1/cmdline", READ_ONCE)?;
            let is_whole = text.first() != Some(&0) && text == last;
            if is_whole || text.is_empty() {
                break;
            }
            if !last.is_empty() {
                clock::sleep(PAUSE);
            }
            last = text;
        }
        Ok(last)
    }

    /// Returns whether PID 1 has one thread and handles no signal, as every frigate. Most servers
    /// handle signals. `/proc` need not show either (gVisor does not).
    pub(crate) fn is_like_frigate(&self) -> bool {
        let status = read_from(self.0.directory(), "1/status", READ_TO_END);
        let status = status.unwrap_or_default();
        let field = |name: &[u8]| {
            let mut lines = status.split(|byte| *byte == b'\n');
            lines
                .find_map(|line| line.strip_prefix(name))
                .map(<[u8]>::trim_ascii)
        };
        let has_one_thread = field(b"Threads:").is_none_or(|count| parse_number(count) == Some(1));
        let handles_none =
            field(b"SigCgt:").is_none_or(|mask| mask.iter().all(|digit| *digit == b'0'));
        has_one_thread && handles_none
    }
}

//! The line of one process in `/proc`.

use crate::core::number::parse_number;
use crate::core::pid::Pid;

/// One process, as `/proc/pid/stat` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProcessStat {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    /// The process group; 0 if the process has just been reaped.
    pub(super) group: i32,
    /// Clock ticks from boot to start. They tell this process from a later one of the same id.
    pub(super) start_ticks: u64,
    /// The process has ended, with all its threads, and has not been reaped.
    pub(super) is_zombie: bool,
}

/// Reads fields 3, 4, 5, 20 and 22 of `/proc/pid/stat`. They are counted from the last parenthesis
/// on, because the name before it may contain blanks and parentheses.
pub(super) fn parse_stat(pid: Pid, stat: &[u8]) -> Option<ProcessStat> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = stat
        .get(after_name..)?
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty());
    let state = fields.next()?;
    let parent = parse_number(fields.next()?)?;
    let group = parse_number(fields.next()?).unwrap_or(0);
    // If the first thread ends before the others, the state is that of a zombie, too.
    let threads: u32 = parse_number(fields.nth(14)?)?;
    let start_ticks = parse_number(fields.nth(1)?)?;
    Some(ProcessStat {
        pid,
        parent,
        group,
        start_ticks,
        is_zombie: matches!(state, b"Z" | b"X") && threads < 2,
    })
}

#[cfg(test)]
#[path = "stat_tests.rs"]
mod tests;

//! Other processes, as `/proc` shows them (`proc(5)`), and signals to them.
//!
//! A process that was seen in `/proc` may end before a signal is sent, and its id may be given to
//! another process. So frigate first opens a pidfd, and then reads the process's line in `/proc`
//! again. If the start time is the same as before, the pidfd belongs to the process that was seen.

mod descendants;
mod first_process;
mod group;
mod held_processes;
mod procfs;
mod stat;

pub(crate) use descendants::signal_descendants;
pub(crate) use first_process::{FIRST_ARGUMENTS, FirstProcess};
pub(crate) use group::{group_of, is_group_alive};
pub(crate) use held_processes::HeldProcesses;

/// Returns what follows the last slash of a path.
pub(crate) fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;

//! Other processes, as `/proc` shows them (`proc(5)`), and signals to them without a race for their
//! ids.
//!
//! A process seen in `/proc` may be gone, and its id given to another, before a signal is sent. So
//! it is held by a pidfd first, looked at once more, and only then sent anything: if the look shows
//! what was seen before, the pidfd is its.

mod descendants;
mod group;
mod held_processes;
mod procfs;
mod stat;

pub(crate) use descendants::signal_descendants;
pub(crate) use group::is_group_alive;
pub(crate) use held_processes::HeldProcesses;

pub(crate) fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;

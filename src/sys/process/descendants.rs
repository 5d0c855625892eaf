//! The descendants of this process.

use std::os::fd::AsFd;

use super::procfs::Procfs;
use super::stat::ProcessStat;
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::signals;

/// Sends signals to every living descendant of this process, whose id is `own_pid`. Returns whether
/// there is any. A zombie is not alive. Without signals this only looks for descendants.
///
/// # Errors
///
/// `/proc` is missing or belongs to another PID namespace, or a signal may not have reached a
/// descendant.
pub(crate) fn signal_descendants(own_pid: Pid, signals: &[Signal]) -> Result<bool, Errno> {
    let procfs = Procfs::open(own_pid)?;
    let mut is_any = false;
    for process in descendants(procfs.list()?, own_pid) {
        if process.is_zombie {
            continue;
        }
        is_any = true;
        // A child of frigate keeps its id until frigate reaps it, and so needs no pidfd.
        let is_child = process.parent == own_pid.raw();
        let pidfd = if is_child || signals.is_empty() {
            None
        } else {
            procfs.open_pidfd(&process)
        };
        for signal in signals {
            let sent = match &pidfd {
                Some(pidfd) => signals::send_by_pidfd(pidfd.as_fd(), *signal),
                None if is_child => signals::send(process.pid, *signal),
                None => Ok(()),
            };
            procfs.record_failure(sent.err());
        }
    }
    procfs.check_complete()?;
    Ok(is_any)
}

/// Returns the descendants of the process `own_pid`. Sorting by parent makes this take little more
/// time than listing all processes.
fn descendants(mut all: Vec<ProcessStat>, own_pid: Pid) -> Vec<ProcessStat> {
    all.sort_unstable_by_key(|process| process.parent);
    let mut found: Vec<ProcessStat> = Vec::new();
    let mut parent = own_pid.raw();
    // Each process has one parent, and so is found once. The bound is for a /proc that lists one
    // twice.
    for next in 0..=all.len() {
        let first = all.partition_point(|process| process.parent < parent);
        let children = all
            .iter()
            .skip(first)
            .take_while(|process| process.parent == parent);
        found.extend(children.filter(|process| process.pid != own_pid));
        let Some(process) = found.get(next) else {
            break;
        };
        parent = process.pid.raw();
    }
    found
}

#[cfg(test)]
#[path = "descendants_tests.rs"]
mod tests;

//! The living members of a process group.

use super::procfs::Procfs;
use super::stat::ProcessStat;
use crate::core::pid::Pid;
use crate::sys::startup;

/// Whether a process of that group, which the kernel says has members, is alive: false if all are
/// zombies, whose parents do not reap them. If `/proc` does not tell, one may be.
///
/// `seen` is the member that was found last time. It is looked at first, so that as long as it
/// lives no other process is.
pub(crate) fn is_group_alive(group: Pid, seen: &mut Option<Pid>) -> bool {
    let Some(procfs) = startup::own_pid().and_then(|own_pid| Procfs::open(own_pid).ok()) else {
        return true;
    };
    let is_alive = |process: ProcessStat| process.group == group.raw() && !process.is_zombie;
    if seen
        .and_then(|pid| procfs.read_stat(pid))
        .is_some_and(is_alive)
    {
        return true;
    }
    *seen = None;
    let mut has_zombie = false;
    // In the order of ids, so that what a member forks meanwhile comes later in the list.
    let listed = procfs.visit_until(&mut |process| {
        if is_alive(process) {
            *seen = Some(process.pid);
        }
        has_zombie |= process.group == group.raw();
        seen.is_some()
    });
    // Without a single member in sight they are hidden from frigate (`hidepid`), and not zombies.
    seen.is_some() || !has_zombie || listed.is_err() || procfs.check_complete().is_err()
}

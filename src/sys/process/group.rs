//! The living members of a process group.

use super::procfs::Procfs;
use super::stat::ProcessStat;
use crate::core::pid::Pid;
use crate::sys::{rustix_pid, startup};

/// Returns the process group of a process; `None` means that there is no such process.
pub(crate) fn group_of(pid: Pid) -> Option<Pid> {
    let group = rustix::process::getpgid(Some(rustix_pid(pid)?)).ok()?;
    Pid::new(group.as_raw_nonzero().get())
}

/// Returns whether a process of the group is alive, and not a zombie that its parent does not reap.
/// The kernel has said that the group has members. If `/proc` cannot be read, one may be alive.
///
/// `live_member` is the member that was found alive last time. As long as it lives, no other process
/// is looked at.
pub(crate) fn is_group_alive(group: Pid, live_member: &mut Option<Pid>) -> bool {
    let Some(procfs) = startup::own_pid().and_then(|own_pid| Procfs::open(own_pid).ok()) else {
        return true;
    };
    let is_alive = |process: ProcessStat| process.group == group.raw() && !process.is_zombie;
    if live_member
        .and_then(|pid| procfs.read_stat(pid))
        .is_some_and(is_alive)
    {
        return true;
    }
    *live_member = None;
    let mut has_zombie = false;
    // In the order of ids, so that a process which a member forks meanwhile comes later in the
    // list, unless the ids have begun again at the lowest.
    let listed = procfs.visit_until(&mut |process| {
        if is_alive(process) {
            *live_member = Some(process.pid);
        }
        has_zombie |= process.group == group.raw();
        live_member.is_some()
    });
    // If no member is visible at all, they are hidden from frigate (`hidepid`), and may be alive.
    live_member.is_some() || !has_zombie || listed.is_err() || procfs.check_complete().is_err()
}

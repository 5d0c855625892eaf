//! Processes that are held by pidfds.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::procfs::Procfs;
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::signals;

/// Other processes of one name, held by pidfds so that each can be sent a signal and its end be
/// seen.
#[derive(Default)]
pub(crate) struct HeldProcesses {
    held: Vec<(Pid, OwnedFd)>,
    /// There may be more, for which descriptors or memory did not suffice: look again when these
    /// have ended.
    pub(crate) is_incomplete: bool,
}

impl HeldProcesses {
    /// Finds every process of that name but `own_pid`, its ancestors, PID 1 and those outside its PID
    /// namespace. By its first argument it finds processes of frigate's user and of `user` alone,
    /// who is the child's.
    ///
    /// # Errors
    ///
    /// `/proc` is not there, or not that of frigate's PID namespace; or none was found, and there
    /// may be some.
    pub(crate) fn find_namesakes(
        name: &[u8],
        own_pid: Pid,
        user: Option<u32>,
    ) -> Result<Self, Errno> {
        Self::find(own_pid, |procfs, pid| procfs.has_name(pid, name, user))
    }

    /// The same for a host program, which may protect several of that name: none in `excluded` is
    /// found. With `task`, which is the first variable of such a process, only those of the host's
    /// own executable that were started as that task.
    ///
    /// # Errors
    ///
    /// As above.
    pub(crate) fn find_namesakes_except(
        name: &[u8],
        task: Option<&[u8]>,
        own_pid: Pid,
        user: Option<u32>,
        excluded: &[Pid],
    ) -> Result<Self, Errno> {
        Self::find(own_pid, |procfs, pid| {
            !excluded.contains(&pid)
                && match task {
                    None => procfs.has_name(pid, name, user),
                    Some(task) => procfs.runs_task(pid, task, own_pid, user),
                }
        })
    }

    fn find(own_pid: Pid, matches: impl Fn(&Procfs, Pid) -> bool) -> Result<Self, Errno> {
        let procfs = Procfs::open(own_pid)?;
        let all = procfs.list()?;
        let mut excluded = vec![1, own_pid.raw()];
        let mut ancestor = own_pid.raw();
        // Parents begin before their children, so that this ends; the bound is for a /proc that
        // changes under us.
        for _ in 0..all.len() {
            let Some(process) = all.iter().find(|process| process.pid.raw() == ancestor) else {
                break;
            };
            ancestor = process.parent;
            excluded.push(ancestor);
        }
        let mut held = Vec::new();
        for process in all {
            if excluded.contains(&process.pid.raw()) || !matches(&procfs, process.pid) {
                continue;
            }
            if procfs.is_in_own_namespace(process.pid)
                && let Some(pidfd) = procfs.open_pidfd(&process)
            {
                held.push((process.pid, pidfd));
            }
        }
        let complete = procfs.check_complete();
        if held.is_empty() {
            complete?;
        }
        Ok(Self {
            held,
            is_incomplete: complete.is_err(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn pidfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.held.iter().map(|(_, pidfd)| pidfd.as_fd())
    }

    /// Sends a signal to each, and tells of each what came of it.
    pub(crate) fn send(&self, signal: Signal, mut each: impl FnMut(Pid, Result<(), Errno>)) {
        for (pid, pidfd) in &self.held {
            each(*pid, signals::send_by_pidfd(pidfd.as_fd(), signal));
        }
    }

    /// Forgets those that have ended: their pidfds are readable (`pidfd_open(2)`).
    pub(crate) fn drop_ended(&mut self) {
        self.held.retain(|(_, pidfd)| {
            let mut fds = [rustix::event::PollFd::new(
                pidfd,
                rustix::event::PollFlags::IN,
            )];
            let now = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            rustix::event::poll(&mut fds, Some(&now)) == Ok(0)
        });
    }
}

#[cfg(test)]
#[path = "held_processes_tests.rs"]
mod tests;

//! Processes that are held by pidfds.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::procfs::Procfs;
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::signals;

/// Other processes of one name, held by pidfds: each can be sent a signal, and its end can be
/// waited for.
#[derive(Default)]
pub(crate) struct HeldProcesses {
    held: Vec<(Pid, OwnedFd)>,
    /// There may be more, because descriptors or memory were short. Look again when these have
    /// ended.
    pub(crate) is_incomplete: bool,
}

impl HeldProcesses {
    /// Finds the processes of that name in this PID namespace, except the process `own_pid`, its
    /// ancestors and PID 1. By its first argument, a process is found only if its user is frigate's
    /// or `user`, the child's.
    ///
    /// # Errors
    ///
    /// `/proc` is missing or belongs to another PID namespace, or no process was found and there may
    /// be some.
    pub(crate) fn find_namesakes(
        name: &[u8],
        own_pid: Pid,
        user: Option<u32>,
    ) -> Result<Self, Errno> {
        Self::find(own_pid, |procfs, pid| procfs.has_name(pid, name, user))
    }

    /// Finds the same processes for a host, but none of the children that it protects. With `task`,
    /// finds processes of the host's executable that were started as that task instead: `task` is
    /// the first variable of their environment.
    ///
    /// # Errors
    ///
    /// See [`HeldProcesses::find_namesakes`].
    pub(crate) fn find_namesakes_except(
        name: &[u8],
        task: Option<&[u8]>,
        own_pid: Pid,
        user: Option<u32>,
        protected: &[Pid],
    ) -> Result<Self, Errno> {
        Self::find(own_pid, |procfs, pid| {
            !protected.contains(&pid)
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
        // Each parent was started before its child, so that this ends. The bound is for a list
        // whose processes were read at different moments.
        for _ in 0..all.len() {
            let Some(process) = all.iter().find(|process| process.pid.raw() == ancestor) else {
                break;
            };
            ancestor = process.parent;
            excluded.push(ancestor);
        }
        let mut held = Vec::new();
        for process in all {
            if excluded.contains(&process.pid.raw())
                || !matches(&procfs, process.pid)
                || !procfs.is_in_own_namespace(process.pid)
            {
                continue;
            }
            if let Some(pidfd) = procfs.open_pidfd(&process) {
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

    /// Sends a signal to each, and calls `report` with the result for each.
    pub(crate) fn send(&self, signal: Signal, mut report: impl FnMut(Pid, Result<(), Errno>)) {
        for (pid, pidfd) in &self.held {
            report(*pid, signals::send_by_pidfd(pidfd.as_fd(), signal));
        }
    }

    /// Drops the processes that have ended. Their pidfds are readable (`pidfd_open(2)`).
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

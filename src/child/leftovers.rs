//! The processes that a child leaves in its process group and in its cgroup. The binary and the
//! library end them in the same way.

use std::os::fd::BorrowedFd;

use crate::child::cgroup::ChildCgroup;
use crate::core::fact::Fact;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::process::is_group_alive;
use crate::sys::signals::FormerGroup;
use crate::sys::spawn::{Cgroup, Spawned};

/// The places of the last child's leftovers: its former process group and its cgroup.
pub(crate) struct Leftovers {
    /// The cgroup that every child is started in. `None` means that there are no limits.
    pub(crate) cgroup: Option<ChildCgroup>,
    /// The process group of the last child. `None` means that no child has been reaped since the
    /// last start.
    former_group: Option<FormerGroup>,
    /// A member of that group that was alive at the last probe. The next probe looks at it first:
    /// as long as it lives, no other process has to be read from `/proc`.
    live_member: Option<Pid>,
    /// Whether the last probe found any process alive.
    pub(crate) found_any: bool,
}

impl Leftovers {
    /// Returns the state before the first start.
    pub(crate) const fn new(cgroup: Option<ChildCgroup>) -> Self {
        Self {
            cgroup,
            former_group: None,
            live_member: None,
            found_any: false,
        }
    }

    /// Remembers the process group of a child that has just been reaped.
    pub(crate) fn set_former_child(&mut self, child: Spawned) {
        self.former_group = Some(FormerGroup::new(child.pid, child.pidfd));
    }

    /// Forgets the last child and resets the cgroup. Returns the cgroup to start the next child in.
    pub(crate) fn prepare_for_start(&mut self, restarts: u32) -> Option<Cgroup<'_>> {
        self.former_group = None;
        self.found_any = false;
        let cgroup = self.cgroup.as_mut()?;
        if restarts > 0 || cgroup.is_adopted {
            cgroup.reset();
            // Discard what was counted after the last child was reaped, or the next child would be
            // blamed for it. The kernel may have killed another process for lack of memory since,
            // and it counts the processes of an out-of-memory group kill one by one.
            cgroup.take_usage(true);
        }
        Some(cgroup.for_spawn())
    }

    /// Returns whether any process is left alive. Zombies do not count, because their parents may
    /// never reap them.
    pub(crate) fn probe(&mut self) -> bool {
        let former_group = self.former_group.as_ref().filter(|group| group.send(None));
        let has_processes =
            former_group.is_some_and(|group| is_group_alive(group.leader, &mut self.live_member));
        let is_populated = self.cgroup.as_mut().is_some_and(ChildCgroup::is_populated);
        self.found_any = has_processes || is_populated;
        self.found_any
    }

    /// Sends TERM to all leftovers, and CONT so that suspended ones act on it. Returns whether
    /// there were any.
    pub(crate) fn terminate(&mut self) -> bool {
        if self.probe() {
            self.signal(&[Signal::TERM, Signal::CONT]);
        }
        self.found_any
    }

    /// Sends signals to all leftovers.
    pub(crate) fn signal(&self, signals: &[Signal]) {
        self.signal_former_group(signals);
        // The cgroup also holds the processes that have left the process group.
        if let Some(cgroup) = &self.cgroup {
            cgroup.signal(signals);
        }
    }

    /// Sends KILL to all leftovers. Returns the fact to report if `kill_cgroup` returns one.
    pub(crate) fn kill(&mut self) -> Option<Fact<'static>> {
        self.kill_former_group();
        self.kill_cgroup()
    }

    /// Sends KILL to the former group.
    pub(crate) fn kill_former_group(&self) {
        self.signal_former_group(&[Signal::KILL]);
    }

    /// Kills the cgroup as a whole. Returns the fact to report if the kernel refuses.
    pub(crate) fn kill_cgroup(&mut self) -> Option<Fact<'static>> {
        let errno = self.cgroup.as_mut().and_then(ChildCgroup::kill)?;
        let then = "only processes of the child's process group are sure to get KILL";
        Some(Fact::Cannot {
            verb: "write to",
            object: "cgroup.kill",
            errno,
            then,
        })
    }

    fn signal_former_group(&self, signals: &[Signal]) {
        for signal in signals {
            self.former_group
                .as_ref()
                .map(|group| group.send(Some(*signal)));
        }
    }

    /// Returns the file that changes when the last process of the cgroup ends. `None` means that
    /// there is no cgroup, or that the last probe found no process.
    pub(crate) fn events_file(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup
            .as_ref()
            .filter(|_| self.found_any)
            .and_then(ChildCgroup::events_file)
    }
}

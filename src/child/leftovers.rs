//! What a child leaves behind: processes of its process group, and of its cgroup. Binary and
//! library end them alike.

use std::os::fd::BorrowedFd;

use crate::child::cgroup::ChildCgroup;
use crate::core::fact::Fact;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::process::is_group_alive;
use crate::sys::signals::FormerGroup;
use crate::sys::spawn::{Cgroup, Spawned};

pub(crate) struct Leftovers {
    pub(crate) cgroup: Option<ChildCgroup>,
    /// The process group of the last child, once that has been reaped.
    former_group: Option<FormerGroup>,
    /// A process of that group which lived when last looked at.
    live_member: Option<Pid>,
    /// Some were seen when last looked for.
    pub(crate) found_any: bool,
}

impl Leftovers {
    /// `cgroup`: the one that every child is to be in, where there is one.
    pub(crate) const fn new(cgroup: Option<ChildCgroup>) -> Self {
        Self {
            cgroup,
            former_group: None,
            live_member: None,
            found_any: false,
        }
    }

    /// The child has been reaped, and what it led is now what it left.
    pub(crate) fn set_former_child(&mut self, child: Spawned) {
        self.former_group = Some(FormerGroup::new(child.pid, child.pidfd));
    }

    /// Forgets the last child, before another is started in the cgroup.
    pub(crate) fn prepare_for_start(&mut self, restarts: u32) -> Option<Cgroup<'_>> {
        self.former_group = None;
        self.found_any = false;
        let cgroup = self.cgroup.as_mut()?;
        if restarts > 0 || cgroup.is_adopted {
            cgroup.reset();
            // What was counted since the last child was reaped is not the next one's: another
            // process may have been killed for want of memory, or the kernel have counted the end
            // of a whole group bit by bit.
            cgroup.take_usage(true);
        }
        Some(cgroup.for_spawn())
    }

    /// Whether any process is left that is alive: zombies hold nothing up, whose parents may never
    /// reap them.
    pub(crate) fn probe(&mut self) -> bool {
        let former_group = self.former_group.as_ref().filter(|group| group.send(None));
        let has_processes =
            former_group.is_some_and(|group| is_group_alive(group.leader, &mut self.live_member));
        let is_populated = self.cgroup.as_mut().is_some_and(ChildCgroup::is_populated);
        self.found_any = has_processes || is_populated;
        self.found_any
    }

    /// Sends TERM and CONT to all that are left; answers whether any were.
    pub(crate) fn terminate(&mut self) -> bool {
        if self.probe() {
            self.signal(&[Signal::TERM, Signal::CONT]);
        }
        self.found_any
    }

    /// Sends signals to all that are left.
    pub(crate) fn signal(&self, signals: &[Signal]) {
        self.signal_former_group(signals);
        // Those, too, that have left the process group.
        if let Some(cgroup) = &self.cgroup {
            cgroup.signal(signals);
        }
    }

    /// Sends KILL to all that are left; see `kill_cgroup`.
    pub(crate) fn kill(&mut self) -> Option<Fact<'static>> {
        self.kill_former_group();
        self.kill_cgroup()
    }

    /// Sends KILL to the former child's group.
    pub(crate) fn kill_former_group(&self) {
        self.signal_former_group(&[Signal::KILL]);
    }

    /// Kills the cgroup as a whole. Returns what there is to say if the kernel does not.
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

    /// What tells of the end of the last in the cgroup, as long as there are any.
    pub(crate) fn events_file(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup
            .as_ref()
            .filter(|_| self.found_any)
            .and_then(ChildCgroup::events_file)
    }

    /// What must stay open.
    pub(crate) fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 4] {
        let [directory, kill, events] = self
            .cgroup
            .as_ref()
            .map_or([None; 3], ChildCgroup::descriptors);
        [
            directory,
            kill,
            events,
            self.former_group.as_ref().and_then(FormerGroup::descriptor),
        ]
    }
}

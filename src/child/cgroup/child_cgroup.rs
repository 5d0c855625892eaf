//! The cgroup of the child's own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::child::cgroup::claimed_cgroup::ClaimedCgroup;
use crate::child::cgroup::enabled_parent::EnabledParent;
use crate::child::cgroup::limit_warning::LimitWarning;
use crate::child::cgroup::parent::{ParentCgroup, subtree_control_value};
use crate::child::cgroup::path;
use crate::child::cgroup::reason::limit_failure_reason;
use crate::child::cgroup::usage_counters::UsageCounters;
use crate::core::errno::Errno;
use crate::core::limit::{LIMIT_FILES, Limit};
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::usage::{Usage, value_of};
use crate::sys::cgroup::{self, CgroupDirectory};
use crate::sys::kernel_file::{self, WritableFile};
use crate::sys::spawn::Cgroup;

/// How long `remove` waits for processes to die of KILL. frigate has reaped its own children by
/// then, so that only children of other processes can be left.
const REMOVE_TIMEOUT_MS: u32 = 1000;

/// `cgroup.max.depth`: how deep the child may nest cgroups below its own, unless `--cgroup` sets
/// another depth. A container with its own systemd nests about ten.
const MAX_DEPTH: &str = "32";

/// The child's own cgroup, with its limits in force.
pub(crate) struct ChildCgroup {
    parent: EnabledParent,
    path: String,
    directory: CgroupDirectory,
    /// `cgroup.kill`, which is also locked. `None` means that the kernel has no such file (before
    /// Linux 5.14).
    kill_file: Option<WritableFile>,
    /// `cgroup.events`. `None` means that it has not been needed yet.
    events_file: Option<OwnedFd>,
    /// Whether it existed before, with processes in it.
    pub(crate) is_adopted: bool,
    was_killed: bool,
    /// A refused `cgroup.kill` was returned since the last `reset`. Leftovers are killed again at
    /// each probe, and the refusal would be reported each time.
    is_refusal_known: bool,
    counters: UsageCounters,
}

impl ChildCgroup {
    /// Creates the cgroup with the controllers that these limits need.
    ///
    /// # Errors
    ///
    /// What failed, and why. Everything has been put back then.
    pub(super) fn create(
        parent: ParentCgroup,
        limits: &[&Limit],
        command: &[u8],
    ) -> Result<Self, String> {
        let controllers = needed_controllers(limits);
        let has_memory = controllers.contains(&"memory");
        let parent = parent.enable(&controllers)?;
        let claimed = match ClaimedCgroup::claim(&parent.path, command) {
            Ok(claimed) => claimed,
            Err(reason) => {
                parent.undo();
                return Err(reason);
            }
        };
        let cgroup = Self {
            parent,
            path: claimed.path,
            directory: claimed.directory,
            kill_file: claimed.kill_file,
            events_file: None,
            is_adopted: claimed.is_adopted,
            was_killed: claimed.is_adopted,
            is_refusal_known: false,
            counters: UsageCounters::new(has_memory),
        };
        cgroup.write_defaults(has_memory);
        Ok(cgroup)
    }

    /// Writes what applies to every child, before its limits.
    fn write_defaults(&self, has_memory: bool) {
        // Before Linux 4.14 there is no such file, and no bound.
        let _ = self.directory.write("cgroup.max.depth", MAX_DEPTH);
        if has_memory {
            // An out-of-memory kill takes the whole cgroup. Before Linux 4.19 there is no such
            // file, and the kernel chooses one process.
            let _ = self.directory.write("memory.oom.group", "1");
        }
        if self.is_adopted {
            // Remove the limits of the earlier run, since this run may have fewer.
            for file in &LIMIT_FILES {
                let _ = self.directory.write(file.name, file.default);
            }
        }
    }

    /// Writes a limit to its file.
    ///
    /// # Errors
    ///
    /// The kernel has no such file or refuses the value, and why.
    pub(super) fn write_limit(&self, limit: &Limit) -> Result<(), String> {
        let written = self.directory.write(&limit.file, &limit.value);
        written
            .map_err(|errno| limit_failure_reason(&[&self.path, "/", &limit.file].concat(), errno))
    }

    /// Returns a warning if a cgroup above allows less than the limit.
    pub(super) fn exceeded_by(&self, limit: &Limit) -> Option<LimitWarning> {
        self.parent.exceeded_by(limit)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns whether a process is in it or below it. Without a `/proc` the answer is no.
    pub(crate) fn has_member(&self, pid: Pid) -> bool {
        let below_parent = self.path.strip_prefix(&self.parent.path);
        let name_in_proc = [&self.parent.name_in_proc, below_parent.unwrap_or_default()].concat();
        let file = ["/proc/", &pid.raw().to_string(), "/cgroup"].concat();
        kernel_file::read_proc(&file)
            .is_ok_and(|proc_cgroup| path::is_in(&proc_cgroup, &name_in_proc))
    }

    /// Returns what a start in this cgroup needs.
    pub(crate) fn for_spawn(&self) -> Cgroup<'_> {
        Cgroup {
            directory: self.directory.as_fd(),
            was_killed: self.was_killed,
        }
    }

    /// Returns `cgroup.events`. `poll(2)` reports it once it has changed since the last call of
    /// `is_populated` or `is_frozen`. `None` means that there was no such call.
    pub(crate) fn events_file(&self) -> Option<BorrowedFd<'_>> {
        self.events_file.as_ref().map(AsFd::as_fd)
    }

    /// Returns whether a process is alive in it or below it.
    pub(crate) fn is_populated(&mut self) -> bool {
        self.has_event("populated")
    }

    /// Returns whether it is frozen (`cgroups(7)`): none of its processes runs.
    pub(crate) fn is_frozen(&mut self) -> bool {
        self.has_event("frozen")
    }

    /// Returns whether `cgroup.events` says that this is so.
    fn has_event(&mut self, key: &str) -> bool {
        if self.events_file.is_none() {
            self.events_file = self.directory.open_file("cgroup.events").ok();
        }
        let mut buffer = [0; 256];
        let text = self
            .events_file
            .as_ref()
            .and_then(|events| kernel_file::read_from_start(events.as_fd(), &mut buffer));
        text.and_then(|text| value_of(text, key)) == Some(1)
    }

    /// Sends signals to every process in it and below it.
    pub(crate) fn signal(&self, signals: &[Signal]) {
        self.directory.signal_all(signals);
    }

    /// Kills every process in it and below it. `cgroup.kill` (Linux 5.14) also reaches processes
    /// that are forked meanwhile; without it each process gets KILL.
    ///
    /// Returns EOPNOTSUPP if the kernel refused `cgroup.kill` because the child has made its cgroup
    /// a threaded one, the first time since `reset`. No other failure has to be reported.
    pub(crate) fn kill(&mut self) -> Option<Errno> {
        self.was_killed = true;
        let refused = self
            .kill_file
            .as_ref()
            .map_or(Some(Errno::NOT_FOUND), |file| file.write("1").err());
        if refused.is_some() {
            self.signal(&[Signal::KILL]);
        }
        let refused = refused.filter(|errno| *errno == Errno::NOT_SUPPORTED)?;
        let is_known = core::mem::replace(&mut self.is_refusal_known, true);
        (!is_known).then_some(refused)
    }

    /// Removes the cgroups that the last child has made below, which are empty by now, and disables
    /// the controllers that it has enabled for them. Otherwise no child could enter: a cgroup holds
    /// processes or enables controllers, but not both.
    pub(crate) fn reset(&mut self) {
        self.is_refusal_known = false;
        self.directory.remove_descendants();
        let enabled = self
            .directory
            .read("cgroup.subtree_control")
            .unwrap_or_default();
        let enabled = core::str::from_utf8(&enabled).unwrap_or_default();
        if !enabled.trim_ascii().is_empty() {
            let _ = self.directory.write(
                "cgroup.subtree_control",
                &subtree_control_value('-', enabled.split_ascii_whitespace()),
            );
        }
    }

    /// Returns what the child has used that has just ended; see `UsageCounters::take_usage`.
    pub(crate) fn take_usage(&mut self, fully: bool) -> Usage {
        self.counters.take_usage(&self.directory, fully)
    }

    /// Kills what is in it, removes it, and puts the parent cgroup back. Returns its path and the
    /// error if it could not be removed.
    pub(crate) fn remove(mut self) -> Option<(String, Errno)> {
        self.directory.remove_descendants();
        let mut removed = cgroup::remove(&self.path);
        if removed == Err(Errno::BUSY) {
            let _ = self.kill();
            if self.is_populated() {
                if let Some(events) = self.events_file() {
                    kernel_file::wait_for_change(events, REMOVE_TIMEOUT_MS);
                }
            }
            self.directory.remove_descendants();
            removed = cgroup::remove(&self.path);
        }
        self.parent.undo();
        removed.err().map(|errno| (self.path, errno))
    }
}

/// Returns the controllers that the limits need, each once.
fn needed_controllers<'a>(limits: &[&'a Limit]) -> Vec<&'a str> {
    let mut controllers = Vec::new();
    for controller in limits.iter().filter_map(|limit| limit.controller()) {
        if !controllers.contains(&controller) {
            controllers.push(controller);
        }
    }
    controllers
}

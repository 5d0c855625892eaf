//! The child's cgroup, from its creation to its removal (`cgroups(7)`, and `cgroup-v2.rst` in the
//! kernel's `Documentation/admin-guide`).
//!
//! *Invariant:* no controller is enabled in a cgroup that holds processes. The kernel refuses that
//! for most controllers. If only `cpu`, `cpuset` and `pids` are enabled, it makes the cgroup a
//! threaded domain instead, in whose subtree the other controllers cannot be used.

mod limit_warning;
mod parent;
mod path;

use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::child::cgroup::limit_warning::failure_reason;
use crate::child::cgroup::parent::{EnabledParent, ParentCgroup, subtree_control_value};
use crate::core::errno::Errno;
use crate::core::limit::{LIMIT_FILES, Limit};
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::text::lossy_text;
use crate::core::usage::{Usage, parse_counter, value_of};
use crate::messages::mistake::Mistake;
use crate::sys::cgroup::{self, CgroupDirectory};
use crate::sys::kernel_file::{self, WritableFile};
use crate::sys::spawn::Cgroup;

pub(crate) use crate::child::cgroup::limit_warning::LimitWarning;

/// How long `remove` waits for processes to die of KILL. frigate has reaped its own children by
/// then, so that only children of other processes can be left.
const REMOVE_TIMEOUT_MS: u32 = 1000;

/// `cgroup.max.depth`: how deep the child may nest cgroups below its own, unless `--cgroup` sets
/// another depth. A container with its own systemd nests about ten.
const MAX_DEPTH: &str = "32";

/// The child's cgroup, if one was created, and the warnings about its limits.
#[derive(Default)]
pub(crate) struct PreparedCgroup {
    pub(crate) cgroup: Option<ChildCgroup>,
    pub(crate) warnings: Vec<LimitWarning>,
}

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
    /// Whether the memory controller is enabled, which counts out-of-memory kills.
    has_memory: bool,
    /// Whether it existed before, with processes in it.
    pub(crate) is_adopted: bool,
    was_killed: bool,
    /// What the kernel had counted before this start.
    oom_kills: u64,
    cpu_micros: u64,
    throttled_micros: u64,
}

/// Creates the cgroup that the limits need, below frigate's own, and writes the limits.
///
/// Not inlined, since a plain run sets no limit.
///
/// # Errors
///
/// The first limit that cannot be applied, and why, followed by `best_effort_hint`. The cgroup has
/// been removed then. If `is_best_effort`, such a limit is a warning instead.
#[inline(never)]
pub(crate) fn prepare(
    limits: &[Limit],
    is_best_effort: bool,
    best_effort_hint: &str,
    command: &[u8],
    own_pid: Pid,
) -> Result<PreparedCgroup, Mistake> {
    let mut prepared = PreparedCgroup::default();
    let Some(first) = limits.first() else {
        return Ok(prepared);
    };
    let mut refused = |limit: &Limit, reason: String| {
        if !is_best_effort {
            let reason = [&reason, best_effort_hint].concat();
            return Err(Mistake::new("apply", &limit.spelled).because(&reason));
        }
        prepared.warnings.push(LimitWarning {
            verb: "apply",
            object: limit.spelled.clone(),
            reason,
            then: "starting without it",
        });
        Ok(())
    };
    let parent = match ParentCgroup::find(own_pid) {
        Ok(parent) => parent,
        Err(reason) => {
            // One warning is enough, since all limits fail for this reason.
            refused(first, reason)?;
            return Ok(prepared);
        }
    };
    let mut available = Vec::new();
    for limit in limits {
        match limit
            .controller()
            .map_or(Ok(()), |controller| parent.check_controller(controller))
        {
            Ok(()) => available.push(limit),
            Err(reason) => refused(limit, reason)?,
        }
    }
    let created = if available.is_empty() {
        Ok(None)
    } else {
        ChildCgroup::create(parent, &available, command).map(Some)
    };
    let cgroup = match created {
        Ok(Some(cgroup)) => cgroup,
        Ok(None) => return Ok(prepared),
        Err(reason) => {
            refused(first, reason)?;
            return Ok(prepared);
        }
    };
    for limit in &available {
        if let Err(errno) = cgroup.directory.write(&limit.file, &limit.value)
            && let Err(mistake) = refused(
                limit,
                failure_reason(&[&cgroup.path, "/", &limit.file].concat(), errno, true),
            )
        {
            cgroup.remove();
            return Err(mistake);
        }
    }
    for limit in &available {
        prepared.warnings.extend(cgroup.parent.exceeded_by(limit));
    }
    prepared.cgroup = Some(cgroup);
    Ok(prepared)
}

/// Returns a directory name for the cgroup of that command, without `/` and without a leading dot.
fn cgroup_name(command: &[u8]) -> String {
    let name = lossy_text(crate::sys::process::last_component(command));
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '@' | ':' | '.');
    let replace = |c: char| if is_allowed(c) { c } else { '_' };
    let name: String = name.chars().map(replace).take(64).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        "command".to_owned()
    } else {
        name.to_owned()
    }
}

impl ChildCgroup {
    /// Creates the cgroup with the controllers that these limits need.
    ///
    /// # Errors
    ///
    /// What failed, and why. Everything has been put back then.
    fn create(parent: ParentCgroup, limits: &[&Limit], command: &[u8]) -> Result<Self, String> {
        let mut controllers = Vec::new();
        for controller in limits.iter().filter_map(|limit| limit.controller()) {
            if !controllers.contains(&controller) {
                controllers.push(controller);
            }
        }
        let has_memory = controllers.contains(&"memory");
        let parent = parent.enable(&controllers)?;
        let (path, directory, kill_file, is_adopted) =
            match Self::claim(&parent, &cgroup_name(command)) {
                Ok(claimed) => claimed,
                Err(reason) => {
                    parent.undo();
                    return Err(reason);
                }
            };
        let cgroup = Self {
            parent,
            path,
            directory,
            kill_file,
            events_file: None,
            has_memory,
            is_adopted,
            was_killed: is_adopted,
            oom_kills: 0,
            cpu_micros: 0,
            throttled_micros: 0,
        };
        // Before Linux 4.14 there is no such file, and no bound.
        let _ = cgroup.directory.write("cgroup.max.depth", MAX_DEPTH);
        if has_memory {
            // An out-of-memory kill takes the whole cgroup. Before Linux 4.19 there is no such
            // file, and the kernel chooses one process.
            let _ = cgroup.directory.write("memory.oom.group", "1");
        }
        if is_adopted {
            // Remove the limits of the earlier run, since this run may have fewer.
            for file in &LIMIT_FILES {
                let _ = cgroup.directory.write(file.name, file.default);
            }
        }
        Ok(cgroup)
    }

    /// Creates a cgroup of that name, or adopts one that an earlier run has left. If another
    /// frigate uses the name, a number is appended.
    ///
    /// A cgroup's lock tells whether it is in use: the kernel releases it when its holder ends. An
    /// unlocked cgroup with processes is adopted, and they are ended before the first start. An
    /// unlocked cgroup without processes is removed and created anew.
    fn claim(
        parent: &EnabledParent,
        name: &str,
    ) -> Result<(String, CgroupDirectory, Option<WritableFile>, bool), String> {
        let mut suffix = 1;
        // Every attempt claims a name, finds it in use, or removes what is in the way. So this
        // bound is never met in practice.
        for _ in 0..10_000 {
            let path = match suffix {
                1 if name != parent::LEAF_NAME => [&parent.path, "/", name].concat(),
                _ => format!("{}/{name}-{suffix}", parent.path),
            };
            let created = cgroup::create(&path);
            if let Err(errno) = created
                && errno != Errno::EXISTS
            {
                return Err(failure_reason(&path, errno, false));
            }
            let claimed = CgroupDirectory::open(&path)
                .and_then(|directory| Ok((directory.lock(created.is_ok())?, directory)));
            let (kill_file, directory) = match claimed {
                Ok(claimed) => claimed,
                // Its holder has just removed it.
                Err(Errno::NOT_FOUND) => continue,
                // The name is in use: a file of the kernel, another frigate's or another user's
                // cgroup.
                Err(Errno::NOT_A_DIRECTORY | Errno::AGAIN | Errno::ACCESS) => {
                    suffix += 1;
                    continue;
                }
                Err(errno) => return Err(failure_reason(&path, errno, false)),
            };
            if created.is_ok() {
                return Ok((path, directory, kill_file, false));
            }
            // Its holder may have removed it just before the lock became free. Then this read
            // fails.
            match directory
                .read("cgroup.events")
                .map(|events| value_of(&events, "populated"))
            {
                Ok(Some(1)) => return Ok((path, directory, kill_file, true)),
                Ok(_) => {
                    directory.remove_descendants();
                    if cgroup::remove(&path).is_err() {
                        suffix += 1;
                    }
                }
                Err(_) => {}
            }
        }
        Err(failure_reason(
            &[&parent.path, "/", name].concat(),
            Errno::EXISTS,
            false,
        ))
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the descriptors that must stay open when frigate closes inherited ones.
    pub(crate) fn descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        [
            Some(self.directory.as_fd()),
            self.kill_file.as_ref().map(AsFd::as_fd),
            self.events_file(),
        ]
    }

    /// Returns what a start in this cgroup needs.
    pub(crate) fn for_spawn(&self) -> Cgroup<'_> {
        Cgroup {
            directory: self.directory.as_fd(),
            was_killed: self.was_killed,
        }
    }

    /// Returns `cgroup.events`. `poll(2)` reports it once it has changed since the last call of
    /// `is_populated`. `None` means that there was no such call.
    pub(crate) fn events_file(&self) -> Option<BorrowedFd<'_>> {
        self.events_file.as_ref().map(AsFd::as_fd)
    }

    /// Returns whether a process is alive in it or below it.
    pub(crate) fn is_populated(&mut self) -> bool {
        if self.events_file.is_none() {
            self.events_file = self.directory.open_file("cgroup.events").ok();
        }
        let mut buffer = [0; 256];
        let text = self
            .events_file
            .as_ref()
            .and_then(|events| kernel_file::read_from_start(events.as_fd(), &mut buffer));
        text.and_then(|text| value_of(text, "populated")) == Some(1)
    }

    /// Sends signals to every process in it and below it.
    pub(crate) fn signal(&self, signals: &[Signal]) {
        self.directory.signal_all(signals);
    }

    /// Kills every process in it and below it. `cgroup.kill` (Linux 5.14) also reaches processes
    /// that are forked meanwhile; without it each process gets KILL.
    ///
    /// Returns EOPNOTSUPP if the kernel refused `cgroup.kill` because the child has made its cgroup
    /// a threaded one. No other failure has to be reported.
    pub(crate) fn kill(&mut self) -> Option<Errno> {
        self.was_killed = true;
        let refused = self
            .kill_file
            .as_ref()
            .map_or(Some(Errno::NOT_FOUND), |file| file.write("1").err());
        if refused.is_some() {
            self.signal(&[Signal::KILL]);
        }
        refused.filter(|errno| *errno == Errno::NOT_SUPPORTED)
    }

    /// Removes the cgroups that the last child has made below, which are empty by now, and disables
    /// the controllers that it has enabled for them. Otherwise no child could enter: a cgroup holds
    /// processes or enables controllers, but not both.
    pub(crate) fn reset(&self) {
        self.directory.remove_descendants();
        let enabled = self
            .directory
            .read("cgroup.subtree_control")
            .unwrap_or_default();
        if let Ok(enabled) = core::str::from_utf8(&enabled)
            && !enabled.trim_ascii().is_empty()
        {
            let _ = self.directory.write(
                "cgroup.subtree_control",
                &subtree_control_value('-', enabled.split_ascii_whitespace()),
            );
        }
    }

    /// Reads the memory events of this cgroup without those of cgroups below (Linux 5.2). Kills
    /// below are the concern of the child that has set a limit there.
    fn read_memory_events(&self) -> Result<Vec<u8>, Errno> {
        self.directory
            .read("memory.events.local")
            .or_else(|_| self.directory.read("memory.events"))
    }

    /// Returns what the child has used that has just ended. Without `fully`, only whether there was
    /// an out-of-memory kill is read.
    pub(crate) fn take_usage(&mut self, fully: bool) -> Usage {
        let mut usage = Usage::NONE;
        if self.has_memory
            && let Ok(events) = self.read_memory_events()
        {
            // These count the kills in this cgroup, one by one or as a whole, even if the limit
            // that was hit is an ancestor's.
            let counts =
                ["oom_kill", "oom_group_kill"].map(|key| value_of(&events, key).unwrap_or(0));
            let oom_kills: u64 = counts.iter().sum();
            usage.out_of_memory = oom_kills > core::mem::replace(&mut self.oom_kills, oom_kills);
        }
        if !fully {
            return usage;
        }
        if self.has_memory {
            usage.peak = self
                .directory
                .read("memory.peak")
                .ok()
                .and_then(|peak| parse_counter(&peak));
        }
        let stat = self.directory.read("cpu.stat").unwrap_or_default();
        let since = |key, before: &mut u64| {
            let now = value_of(&stat, key)?;
            Some(Duration::from_micros(
                now.saturating_sub(core::mem::replace(before, now)),
            ))
        };
        usage.cpu = since("usage_usec", &mut self.cpu_micros);
        usage.throttled = since("throttled_usec", &mut self.throttled_micros);
        usage
    }

    /// Kills what is in it, removes it, and puts the parent cgroup back. Returns its path and the
    /// error if it could not be removed.
    pub(crate) fn remove(mut self) -> Option<(String, Errno)> {
        self.directory.remove_descendants();
        let mut removed = cgroup::remove(&self.path);
        if removed == Err(Errno::BUSY) {
            let _ = self.kill();
            if self.is_populated()
                && let Some(events) = self.events_file()
            {
                kernel_file::wait_for_change(events, REMOVE_TIMEOUT_MS);
            }
            self.directory.remove_descendants();
            removed = cgroup::remove(&self.path);
        }
        self.parent.undo();
        removed.err().map(|errno| (self.path, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_named_after_the_command() {
        let table: [(&[u8], &str); 8] = [
            (b"redis-server", "redis-server"),
            (b"/usr/sbin/nginx", "nginx"),
            (b"./a b\nc", "a_b_c"),
            (b"..", "command"),
            (b"", "command"),
            (b"dir/", "command"),
            (b"\xff", "_"),
            (b".hidden", "hidden"),
        ];
        for (command, name) in table {
            assert_eq!(cgroup_name(command), name);
        }
        assert_eq!(cgroup_name(&[b'x'; 300]).len(), 64);
    }

    #[test]
    fn a_reason_names_the_file_and_the_remedy() {
        assert_eq!(
            failure_reason("/sys/fs/cgroup/init", Errno::READ_ONLY, false),
            "'/sys/fs/cgroup/init': read-only file system; have it mounted writable (docker run --security-opt \
             writable-cgroups=true, podman run --security-opt unmask=/sys/fs/cgroup)"
        );
        assert_eq!(
            failure_reason("/a/io.max", Errno::INVALID, true),
            "'/a/io.max': the kernel refuses the value"
        );
        assert_eq!(
            failure_reason("/a/io.max", Errno::NOT_FOUND, true),
            "'/a/io.max': this kernel has no such file"
        );
        assert_eq!(
            failure_reason("/a/b", Errno::ACCESS, false),
            "'/a/b': permission denied; have it delegated to this user (systemd: Delegate=yes)"
        );
    }
}

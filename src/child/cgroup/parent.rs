//! The cgroup below which the child's is made: frigate's own, once nobody sits in it any more.

use crate::child::cgroup::limit_warning::{LimitWarning, failure_reason};
use crate::child::cgroup::path;
use crate::core::errno::Errno;
use crate::core::limit::{LIMIT_FILES, Limit};
use crate::core::pid::Pid;
use crate::sys::cgroup::{self, CgroupDirectory, WritableFile};
use crate::sys::clock;

/// Where frigate and its neighbors go, because a cgroup other than the root holds processes or
/// controllers, but not both.
pub(super) const LEAF_NAME: &str = "init";

/// How often frigate tries to empty its cgroup while others enter it (`docker exec`), and the pause
/// after each of the later tries.
const MOVE_ATTEMPTS: u32 = 40;
const MOVE_PAUSE: core::time::Duration = core::time::Duration::from_millis(5);

/// The controllers that may be enabled beside processes, at the price of a threaded domain.
const THREADED_CONTROLLERS: [&str; 3] = ["cpu", "cpuset", "pids"];

/// The cgroup as it is found.
pub(super) struct ParentCgroup {
    directory: CgroupDirectory,
    /// What `/proc/self/cgroup` says, for the reason why a controller is missing.
    proc_cgroup: Vec<u8>,
    /// Processes that are in it, frigate among them, have to be moved.
    is_occupied: bool,
    enabled: EnabledParent,
}

/// The same, with the controllers enabled; and how to put everything back.
pub(super) struct EnabledParent {
    pub(super) path: String,
    /// The leaf was made for this child, and goes with it.
    has_own_leaf: bool,
    /// What disables again what was enabled.
    to_disable: String,
}

/// `+memory +pids`, or with minus signs.
pub(super) fn subtree_control_value<'a>(
    sign: char,
    controllers: impl Iterator<Item = &'a str>,
) -> String {
    let mut text = String::new();
    for controller in controllers {
        text.push(sign);
        text.push_str(controller);
        text.push(' ');
    }
    text.pop();
    text
}

impl ParentCgroup {
    /// # Errors
    ///
    /// There is no cgroup v2, or none of it can be seen.
    pub(super) fn find(own_pid: Pid) -> Result<Self, String> {
        let proc_cgroup = cgroup::read_proc("/proc/self/cgroup")
            .map_err(|errno| failure_reason("/proc/self/cgroup", errno, false))?;
        let located = match path::own_cgroup(&proc_cgroup) {
            Some(cgroup) => Self::locate(cgroup, own_pid)?,
            None => None,
        };
        let Some((path, directory)) = located else {
            return Err(if path::is_controller_in_v1(&proc_cgroup, "memory") {
                "this system uses cgroup v1; boot the host with systemd.unified_cgroup_hierarchy=1"
                    .to_owned()
            } else {
                "no cgroup v2 hierarchy is to be seen here; mount cgroup2 on /sys/fs/cgroup"
                    .to_owned()
            });
        };
        // The root of the hierarchy may hold both processes and controllers. It alone has no type.
        let is_occupied = directory.has_file("cgroup.type");
        let enabled = EnabledParent {
            path,
            has_own_leaf: false,
            to_disable: String::new(),
        };
        let parent = Self {
            directory,
            proc_cgroup,
            is_occupied,
            enabled,
        };
        Ok(parent.step_out_of_leaf().unwrap_or_else(|parent| parent))
    }

    /// The usual place is right if frigate is seen in there, whatever is mounted where. Otherwise
    /// the mounts tell; none: it cannot be seen.
    fn locate(cgroup: &str, own_pid: Pid) -> Result<Option<(String, CgroupDirectory)>, String> {
        let usual = ["/sys/fs/cgroup", cgroup.trim_end_matches('/')].concat();
        if !cgroup.starts_with("/..")
            && let Ok(directory) = CgroupDirectory::open(&usual)
            && let Ok(procs) = directory.read("cgroup.procs")
            && cgroup::parse_pids(&procs).any(|pid| pid == own_pid)
        {
            return Ok(Some((usual, directory)));
        }
        let mounts = cgroup::read_proc("/proc/self/mountinfo")
            .map_err(|errno| failure_reason("/proc/self/mountinfo", errno, false))?;
        let Some(path) = path::find_directory(cgroup, &mounts) else {
            return Ok(None);
        };
        let directory =
            CgroupDirectory::open(&path).map_err(|errno| failure_reason(&path, errno, false))?;
        Ok(Some((path, directory)))
    }

    /// Where frigate sits in a leaf that an earlier run made, or one that runs beside it, the group
    /// above is the place; or leaf would be made within leaf. A leaf of that name with limits is
    /// somebody else's, whom frigate does not escape.
    fn step_out_of_leaf(self) -> Result<Self, Self> {
        let above = self
            .enabled
            .path
            .strip_suffix(LEAF_NAME)
            .and_then(|path| path.strip_suffix('/'));
        let Some(above) = above.map(str::to_owned) else {
            return Err(self);
        };
        let capped = LIMIT_FILES
            .iter()
            .filter(|file| file.is_capped_by_ancestors);
        let mut limits =
            capped
                .map(|file| file.name)
                .chain(["io.max", "cpuset.cpus", "cpuset.mems"]);
        let is_limited = limits.any(|file| {
            self.directory
                .read(file)
                .is_ok_and(|text| !text.starts_with(b"max") && !text.trim_ascii().is_empty())
        });
        match CgroupDirectory::open(&above) {
            Ok(directory)
                if !is_limited
                    && directory
                        .read("cgroup.procs")
                        .is_ok_and(|procs| procs.is_empty()) =>
            {
                let enabled = EnabledParent {
                    path: above,
                    ..self.enabled
                };
                Ok(Self {
                    directory,
                    is_occupied: false,
                    enabled,
                    ..self
                })
            }
            Ok(_) | Err(_) => Err(self),
        }
    }

    /// # Errors
    ///
    /// The controller cannot be enabled here, and why.
    pub(super) fn check_controller(&self, controller: &str) -> Result<(), String> {
        let file = [&self.enabled.path, "/cgroup.controllers"].concat();
        let available = self
            .directory
            .read("cgroup.controllers")
            .map_err(|errno| failure_reason(&file, errno, false))?;
        if available
            .split(u8::is_ascii_whitespace)
            .any(|name| name == controller.as_bytes())
        {
            return Ok(());
        }
        let (which, remedy) = if path::is_controller_in_v1(&self.proc_cgroup, controller) {
            (
                ", which cgroup v1 holds",
                "boot the host with systemd.unified_cgroup_hierarchy=1",
            )
        } else {
            (
                "",
                "enable it in the cgroup.subtree_control above (systemd: Delegate=yes)",
            )
        };
        Err([
            "'",
            &file,
            "' has no '",
            controller,
            "'",
            which,
            "; ",
            remedy,
        ]
        .concat())
    }

    /// Enables the controllers for the groups below, in one write, after everybody has moved to the
    /// leaf.
    ///
    /// # Errors
    ///
    /// What could not be written, and why; everything is as it was then.
    pub(super) fn enable(mut self, controllers: &[&str]) -> Result<EnabledParent, String> {
        if controllers.is_empty() {
            return Ok(self.enabled);
        }
        let enable = subtree_control_value('+', controllers.iter().copied());
        let disable = subtree_control_value('-', controllers.iter().copied());
        let can_become_threaded = self.is_occupied
            && controllers
                .iter()
                .all(|controller| THREADED_CONTROLLERS.contains(controller));
        let file = [&self.enabled.path, "/cgroup.subtree_control"].concat();
        let mut failure = Errno::BUSY;
        // Whoever enters between the move and the write makes it fail, and is moved in the next
        // turn.
        for attempt in 0..MOVE_ATTEMPTS {
            if self.is_occupied
                && let Err((file, errno)) = self.enabled.move_members_to_leaf(&self.directory)
            {
                self.enabled.undo();
                return Err(failure_reason(&file, errno, false));
            }
            failure = match self.directory.write("cgroup.subtree_control", &enable) {
                // But for these: undone before anything settles in the threaded domain.
                Ok(())
                    if can_become_threaded
                        && self
                            .directory
                            .read("cgroup.type")
                            .is_ok_and(|text| text != b"domain\n") =>
                {
                    let _ = self.directory.write("cgroup.subtree_control", &disable);
                    Errno::BUSY
                }
                Ok(()) => {
                    self.enabled.to_disable = disable;
                    return Ok(self.enabled);
                }
                Err(errno) => errno,
            };
            if failure != Errno::BUSY || !self.is_occupied {
                break;
            }
            if attempt > MOVE_ATTEMPTS / 2 {
                clock::pause(MOVE_PAUSE);
            }
        }
        self.enabled.undo();
        Err(failure_reason(&file, failure, false))
    }
}

/// Moves every process of the group to the one whose `cgroup.procs` that is.
///
/// # Errors
///
/// The first that cannot be moved; the others are moved all the same.
fn move_members(from: &CgroupDirectory, to_procs: &WritableFile) -> Result<(), Errno> {
    let mut moved = Ok(());
    from.for_each_member(&mut |pid, _| match to_procs.write(&pid.raw().to_string()) {
        // Gone meanwhile.
        Ok(()) | Err(Errno::NO_PROCESS) => {}
        Err(errno) => moved = moved.and(Err(errno)),
    })?;
    moved
}

impl EnabledParent {
    fn leaf_path(&self) -> String {
        [&self.path, "/", LEAF_NAME].concat()
    }

    /// Moves the processes of this group to the leaf.
    fn move_members_to_leaf(&mut self, directory: &CgroupDirectory) -> Result<(), (String, Errno)> {
        let leaf = self.leaf_path();
        match cgroup::create(&leaf) {
            Ok(()) => self.has_own_leaf = true,
            Err(Errno::EXISTS) => {}
            Err(errno) => return Err((leaf, errno)),
        }
        let file = [&leaf, "/cgroup.procs"].concat();
        let moved =
            WritableFile::open(&file).and_then(|leaf_procs| move_members(directory, &leaf_procs));
        moved.map_err(|errno| (file, errno))
    }

    /// Whether a group above, as far as they are seen, says less than the limit.
    pub(super) fn exceeded_by(&self, limit: &Limit) -> Option<LimitWarning> {
        let mut path = self.path.as_str();
        while limit.is_capped_by_ancestors() {
            let file = [path, "/", &limit.file].concat();
            // The root has no limits, and above it is no group.
            let text = String::from_utf8(cgroup::read_file(&file).ok()?).ok()?;
            if limit.exceeds(&text) {
                let reason = ["'", &file, "' allows only ", text.trim_ascii_end()].concat();
                let object = limit.spelled.clone();
                return Some(LimitWarning {
                    verb: "raise",
                    object,
                    reason,
                    then: "that holds",
                });
            }
            path = path.get(..path.bytes().rposition(|byte| byte == b'/')?)?;
        }
        None
    }

    /// Puts everything back as it was found, unless others have come to need it.
    pub(super) fn undo(&self) {
        if !self.has_own_leaf {
            return;
        }
        let Ok(directory) = CgroupDirectory::open(&self.path) else {
            return;
        };
        if directory.has_subgroup_other_than(LEAF_NAME) {
            return;
        }
        if !self.to_disable.is_empty() {
            let _ = directory.write("cgroup.subtree_control", &self.to_disable);
        }
        let leaf = self.leaf_path();
        let Ok(own_procs) = WritableFile::open(&[&self.path, "/cgroup.procs"].concat()) else {
            return;
        };
        // Until it can be removed: one that forks while it is moved leaves a child behind.
        for _ in 0..MOVE_ATTEMPTS {
            let _ = CgroupDirectory::open(&leaf).and_then(|leaf| move_members(&leaf, &own_procs));
            if cgroup::remove(&leaf).is_ok() {
                return;
            }
        }
    }
}

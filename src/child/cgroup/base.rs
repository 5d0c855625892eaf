//! The cgroup below which the child's is made: frigate's own, once nobody sits in it any more.

use crate::child::cgroup::place;
use crate::child::cgroup::warning::{Warning, reason};
use crate::core::errno::Errno;
use crate::core::limit::{LIMIT_FILES, Limit};
use crate::core::pid::Pid;
use crate::sys::cgroup::{self, CgroupDirectory, WritableFile};
use crate::sys::clock;

/// Where frigate and its neighbors go, because a cgroup other than the root holds processes or
/// controllers, but not both.
pub(super) const LEAF: &str = "init";

/// How often frigate tries to empty its cgroup while others enter it (`docker exec`), and the pause
/// after each of the later tries.
const TRIES: u32 = 40;
const PAUSE: core::time::Duration = core::time::Duration::from_millis(5);

/// The controllers that may be enabled beside processes, at the price of a threaded domain.
const THREADED: [&str; 3] = ["cpu", "cpuset", "pids"];

/// The cgroup as it is found.
pub(super) struct Base {
    directory: CgroupDirectory,
    /// What `/proc/self/cgroup` says, for the reason why a controller is missing.
    own: Vec<u8>,
    /// Processes that are in it, frigate among them, have to be moved.
    is_occupied: bool,
    ground: Ground,
}

/// The same, with the controllers enabled; and how to put everything back.
pub(super) struct Ground {
    pub(super) path: String,
    /// The leaf was made for this child, and goes with it.
    has_own_leaf: bool,
    /// What disables again what was enabled.
    disable: String,
}

/// `+memory +pids`, or with minus signs.
pub(super) fn each_with<'a>(sign: char, controllers: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for controller in controllers {
        text.push(sign);
        text.push_str(controller);
        text.push(' ');
    }
    text.pop();
    text
}

impl Base {
    /// # Errors
    ///
    /// There is no cgroup v2, or none of it can be seen.
    pub(super) fn find(process: Pid) -> Result<Self, String> {
        let own = cgroup::read_proc("/proc/self/cgroup")
            .map_err(|errno| reason("/proc/self/cgroup", errno, false))?;
        let located = match place::own_group(&own) {
            Some(group) => Self::locate(group, process)?,
            None => None,
        };
        let Some((path, directory)) = located else {
            return Err(if place::is_held_by_version_1(&own, "memory") {
                "this system uses cgroup v1; boot the host with systemd.unified_cgroup_hierarchy=1"
                    .to_owned()
            } else {
                "no cgroup v2 hierarchy is to be seen here; mount cgroup2 on /sys/fs/cgroup"
                    .to_owned()
            });
        };
        // The root of the hierarchy may hold both processes and controllers. It alone has no type.
        let is_occupied = directory.has_file("cgroup.type");
        let ground = Ground {
            path,
            has_own_leaf: false,
            disable: String::new(),
        };
        let base = Self {
            directory,
            own,
            is_occupied,
            ground,
        };
        Ok(base.above_a_leaf().unwrap_or_else(|base| base))
    }

    /// The usual place is right if frigate is seen in there, whatever is mounted where. Otherwise
    /// the mounts tell; none: it cannot be seen.
    fn locate(group: &str, process: Pid) -> Result<Option<(String, CgroupDirectory)>, String> {
        let usual = ["/sys/fs/cgroup", group.trim_end_matches('/')].concat();
        if !group.starts_with("/..")
            && let Ok(directory) = CgroupDirectory::open(&usual)
            && let Ok(procs) = directory.read("cgroup.procs")
            && cgroup::parse_pids(&procs).any(|pid| pid == process)
        {
            return Ok(Some((usual, directory)));
        }
        let mounts = cgroup::read_proc("/proc/self/mountinfo")
            .map_err(|errno| reason("/proc/self/mountinfo", errno, false))?;
        let Some(path) = place::directory(group, &mounts) else {
            return Ok(None);
        };
        let directory =
            CgroupDirectory::open(&path).map_err(|errno| reason(&path, errno, false))?;
        Ok(Some((path, directory)))
    }

    /// Where frigate sits in a leaf that an earlier run made, or one that runs beside it, the group
    /// above is the place; or leaf would be made within leaf. A leaf of that name with limits is
    /// somebody else's, whom frigate does not escape.
    fn above_a_leaf(self) -> Result<Self, Self> {
        let above = self
            .ground
            .path
            .strip_suffix(LEAF)
            .and_then(|path| path.strip_suffix('/'));
        let Some(above) = above.map(str::to_owned) else {
            return Err(self);
        };
        let bounded = LIMIT_FILES.iter().filter(|file| file.is_bounded_above);
        let mut limits =
            bounded
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
                let ground = Ground {
                    path: above,
                    ..self.ground
                };
                Ok(Self {
                    directory,
                    is_occupied: false,
                    ground,
                    ..self
                })
            }
            Ok(_) | Err(_) => Err(self),
        }
    }

    /// # Errors
    ///
    /// The controller cannot be enabled here, and why.
    pub(super) fn offers(&self, controller: &str) -> Result<(), String> {
        let file = [&self.ground.path, "/cgroup.controllers"].concat();
        let offered = self
            .directory
            .read("cgroup.controllers")
            .map_err(|errno| reason(&file, errno, false))?;
        if offered
            .split(u8::is_ascii_whitespace)
            .any(|name| name == controller.as_bytes())
        {
            return Ok(());
        }
        let (which, remedy) = if place::is_held_by_version_1(&self.own, controller) {
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
    pub(super) fn enable(mut self, controllers: &[&str]) -> Result<Ground, String> {
        if controllers.is_empty() {
            return Ok(self.ground);
        }
        let enable = each_with('+', controllers.iter().copied());
        let disable = each_with('-', controllers.iter().copied());
        let is_threadable = self.is_occupied
            && controllers
                .iter()
                .all(|controller| THREADED.contains(controller));
        let file = [&self.ground.path, "/cgroup.subtree_control"].concat();
        let mut failure = Errno::BUSY;
        // Whoever enters between the move and the write makes it fail, and is moved in the next
        // turn.
        for turn in 0..TRIES {
            if self.is_occupied
                && let Err((file, errno)) = self.ground.vacate(&self.directory)
            {
                self.ground.restore();
                return Err(reason(&file, errno, false));
            }
            failure = match self.directory.write("cgroup.subtree_control", &enable) {
                // But for these: undone before anything settles in the threaded domain.
                Ok(())
                    if is_threadable
                        && self
                            .directory
                            .read("cgroup.type")
                            .is_ok_and(|text| text != b"domain\n") =>
                {
                    let _ = self.directory.write("cgroup.subtree_control", &disable);
                    Errno::BUSY
                }
                Ok(()) => {
                    self.ground.disable = disable;
                    return Ok(self.ground);
                }
                Err(errno) => errno,
            };
            if failure != Errno::BUSY || !self.is_occupied {
                break;
            }
            if turn > TRIES / 2 {
                clock::pause(PAUSE);
            }
        }
        self.ground.restore();
        Err(reason(&file, failure, false))
    }
}

/// Moves every process of the group to the one whose `cgroup.procs` that is.
///
/// # Errors
///
/// The first that cannot be moved; the others are moved all the same.
fn move_members(group: &CgroupDirectory, target: &WritableFile) -> Result<(), Errno> {
    let mut moved = Ok(());
    group.for_each_member(&mut |pid, _| match target.write(&pid.raw().to_string()) {
        // Gone meanwhile.
        Ok(()) | Err(Errno::NO_PROCESS) => {}
        Err(errno) => moved = moved.and(Err(errno)),
    })?;
    moved
}

impl Ground {
    fn leaf(&self) -> String {
        [&self.path, "/", LEAF].concat()
    }

    /// Moves the processes of this group to the leaf.
    fn vacate(&mut self, group: &CgroupDirectory) -> Result<(), (String, Errno)> {
        let leaf = self.leaf();
        match cgroup::create(&leaf) {
            Ok(()) => self.has_own_leaf = true,
            Err(Errno::EXISTS) => {}
            Err(errno) => return Err((leaf, errno)),
        }
        let file = [&leaf, "/cgroup.procs"].concat();
        let moved = WritableFile::open(&file).and_then(|target| move_members(group, &target));
        moved.map_err(|errno| (file, errno))
    }

    /// Whether a group above, as far as they are seen, says less than the limit.
    pub(super) fn outdoes(&self, limit: &Limit) -> Option<Warning> {
        let mut at = self.path.as_str();
        while limit.is_bounded_above() {
            let file = [at, "/", &limit.file].concat();
            // The root has no limits, and above it is no group.
            let text = String::from_utf8(cgroup::read_file(&file).ok()?).ok()?;
            if limit.exceeds(&text) {
                let reason = ["'", &file, "' allows only ", text.trim_ascii_end()].concat();
                let object = limit.spelled.clone();
                return Some(Warning {
                    verb: "raise",
                    object,
                    reason,
                    then: "that holds",
                });
            }
            at = at.get(..at.bytes().rposition(|byte| byte == b'/')?)?;
        }
        None
    }

    /// Puts everything back as it was found, unless others have come to need it.
    pub(super) fn restore(&self) {
        if !self.has_own_leaf {
            return;
        }
        let Ok(directory) = CgroupDirectory::open(&self.path) else {
            return;
        };
        if directory.has_subgroup_other_than(LEAF) {
            return;
        }
        if !self.disable.is_empty() {
            let _ = directory.write("cgroup.subtree_control", &self.disable);
        }
        let leaf = self.leaf();
        let Ok(back) = WritableFile::open(&[&self.path, "/cgroup.procs"].concat()) else {
            return;
        };
        // Until it can be removed: one that forks while it is moved leaves a child behind.
        for _ in 0..TRIES {
            let _ = CgroupDirectory::open(&leaf).and_then(|leaf| move_members(&leaf, &back));
            if cgroup::remove(&leaf).is_ok() {
                return;
            }
        }
    }
}

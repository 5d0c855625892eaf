//! The cgroup below which the child's is created. It is frigate's own, once its processes have been
//! moved to a leaf.

use crate::child::cgroup::limit_warning::{LimitWarning, failure_reason};
use crate::child::cgroup::path;
use crate::core::errno::Errno;
use crate::core::limit::{LIMIT_FILES, Limit};
use crate::core::pid::Pid;
use crate::sys::cgroup::{self, CgroupDirectory};
use crate::sys::clock;
use crate::sys::kernel_file::{self, WritableFile};

/// The leaf that frigate and its neighbors are moved to, because a cgroup other than the root
/// cannot both hold processes and enable controllers (`cgroups(7)`, "no internal processes").
pub(super) const LEAF_NAME: &str = "init";

/// How often frigate tries to empty a cgroup that other processes enter at the same time (`docker
/// exec`), and its pause after each of the later attempts.
const MOVE_ATTEMPTS: u32 = 40;
const MOVE_PAUSE: core::time::Duration = core::time::Duration::from_millis(5);

/// The controllers that the kernel enables in a cgroup with processes. It makes the cgroup a
/// threaded domain then (`cgroup-v2.rst`, "Threads").
const THREADED_CONTROLLERS: [&str; 3] = ["cpu", "cpuset", "pids"];

/// The parent cgroup as it was found.
pub(super) struct ParentCgroup {
    directory: CgroupDirectory,
    /// The text of `/proc/self/cgroup`, which can tell why a controller is missing.
    proc_cgroup: Vec<u8>,
    /// Whether it holds processes, frigate among them, which have to be moved.
    is_occupied: bool,
    enabled: EnabledParent,
}

/// The parent cgroup with controllers enabled, and how to undo that.
pub(super) struct EnabledParent {
    pub(super) path: String,
    /// Whether the leaf was created for this child. `undo` removes it then.
    has_own_leaf: bool,
    /// What `undo` writes to `cgroup.subtree_control`.
    to_disable: String,
}

/// Returns a value for `cgroup.subtree_control`, such as `+memory +pids`.
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
    /// Finds frigate's own cgroup, or the one above if that is a leaf of frigate's.
    ///
    /// # Errors
    ///
    /// There is no cgroup v2, or frigate cannot see it.
    pub(super) fn find(own_pid: Pid) -> Result<Self, String> {
        let proc_cgroup = kernel_file::read_proc("/proc/self/cgroup")
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
        // Only the root of the hierarchy may both hold processes and enable controllers, and it
        // alone has no such file.
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

    /// Opens the directory of that cgroup. `None` means that no mount shows it.
    ///
    /// The usual path is right if its `cgroup.procs` lists frigate, and reading the mounts, which
    /// may be many, is saved. Otherwise the mounts tell.
    fn locate(cgroup: &str, own_pid: Pid) -> Result<Option<(String, CgroupDirectory)>, String> {
        let usual = ["/sys/fs/cgroup", cgroup.trim_end_matches('/')].concat();
        if !cgroup.starts_with("/..")
            && let Ok(directory) = CgroupDirectory::open(&usual)
            && let Ok(procs) = directory.read("cgroup.procs")
            && cgroup::parse_pids(&procs).any(|pid| pid == own_pid)
        {
            return Ok(Some((usual, directory)));
        }
        let mounts = kernel_file::read_proc("/proc/self/mountinfo")
            .map_err(|errno| failure_reason("/proc/self/mountinfo", errno, false))?;
        let Some(path) = path::find_directory(cgroup, &mounts) else {
            return Ok(None);
        };
        let directory =
            CgroupDirectory::open(&path).map_err(|errno| failure_reason(&path, errno, false))?;
        Ok(Some((path, directory)))
    }

    /// Returns the cgroup above if frigate runs in a leaf that another frigate has made, before it
    /// or beside it. Otherwise each would create a leaf within the other's leaf.
    ///
    /// A cgroup of that name with limits of its own is no such leaf, and leaving it would escape
    /// these limits.
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

    /// Checks that the controller can be enabled here.
    ///
    /// # Errors
    ///
    /// It cannot; the text says why, and what to do.
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

    /// Moves all processes to the leaf, then enables the controllers for the cgroups below in one
    /// write.
    ///
    /// # Errors
    ///
    /// The file that could not be written, and why. Everything has been put back then.
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
        // A process that enters between the move and the write makes the write fail with EBUSY. The
        // next attempt moves it.
        for attempt in 0..MOVE_ATTEMPTS {
            if self.is_occupied
                && let Err((file, errno)) = self.enabled.move_members_to_leaf(&self.directory)
            {
                self.enabled.undo();
                return Err(failure_reason(&file, errno, false));
            }
            failure = match self.directory.write("cgroup.subtree_control", &enable) {
                // For these controllers the write succeeds and leaves a threaded domain. Disable
                // them before another process counts on it.
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

/// Moves every process of a cgroup to the one whose `cgroup.procs` is `to_procs`.
///
/// # Errors
///
/// The first failure. The other processes are moved all the same.
fn move_members(from: &CgroupDirectory, to_procs: &WritableFile) -> Result<(), Errno> {
    let mut moved = Ok(());
    from.for_each_member(&mut |pid, _| match to_procs.write(&pid.raw().to_string()) {
        // A process that has ended needs no move.
        Ok(()) | Err(Errno::NO_PROCESS) => {}
        Err(errno) => moved = moved.and(Err(errno)),
    })?;
    moved
}

impl EnabledParent {
    fn leaf_path(&self) -> String {
        [&self.path, "/", LEAF_NAME].concat()
    }

    /// Moves the processes of this cgroup to the leaf, and creates that if it is missing.
    ///
    /// # Errors
    ///
    /// The file that could not be created or written, and why.
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

    /// Returns a warning if this cgroup or one above it allows less than the limit, as far as
    /// frigate can see them.
    pub(super) fn exceeded_by(&self, limit: &Limit) -> Option<LimitWarning> {
        let mut path = self.path.as_str();
        while limit.is_capped_by_ancestors() {
            let file = [path, "/", &limit.file].concat();
            // The root has no such file, and the walk ends there.
            let text = String::from_utf8(kernel_file::read_cgroup_file(&file).ok()?).ok()?;
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

    /// Disables the controllers and moves all processes back, unless other cgroups need that state
    /// by now.
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
        // A process that forks while it is moved leaves its child behind. So move them until the
        // leaf can be removed.
        for _ in 0..MOVE_ATTEMPTS {
            let _ = CgroupDirectory::open(&leaf).and_then(|leaf| move_members(&leaf, &own_procs));
            if cgroup::remove(&leaf).is_ok() {
                return;
            }
        }
    }
}

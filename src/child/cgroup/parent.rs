//! The cgroup below which the child's is created. It is frigate's own, once its processes have been
//! moved to a leaf.

use core::time::Duration;

use crate::child::cgroup::enabled_parent::{EnabledParent, LEAF_NAME, MOVE_ATTEMPTS};
use crate::child::cgroup::path;
use crate::child::cgroup::reason::failure_reason;
use crate::core::errno::Errno;
use crate::core::limit::LIMIT_FILES;
use crate::core::pid::Pid;
use crate::sys::cgroup::{self, CgroupDirectory};
use crate::sys::clock;
use crate::sys::kernel_file;

/// The pause after each of the later attempts to empty the cgroup, for other processes may enter it
/// at the same time (`docker exec`).
const MOVE_PAUSE: Duration = Duration::from_millis(5);

/// The controllers that the kernel enables in a cgroup with processes. It makes the cgroup a
/// threaded domain then (`cgroup-v2.rst`, "Threads").
const THREADED_CONTROLLERS: [&str; 3] = ["cpu", "cpuset", "pids"];

/// The parent cgroup as it was found.
pub(super) struct ParentCgroup {
    path: String,
    /// The same cgroup as `/proc` names it: relative to the root of the cgroup namespace.
    name_in_proc: String,
    directory: CgroupDirectory,
    /// The text of `/proc/self/cgroup`, which can tell why a controller is missing.
    proc_cgroup: Vec<u8>,
    /// Whether it holds processes, frigate among them, which have to be moved.
    is_occupied: bool,
}

impl ParentCgroup {
    /// Finds frigate's own cgroup, or the one above if that is a leaf of frigate's.
    ///
    /// # Errors
    ///
    /// There is no cgroup v2, or frigate cannot see it.
    pub(super) fn find(own_pid: Pid) -> Result<Self, String> {
        let proc_cgroup = kernel_file::read_proc("/proc/self/cgroup")
            .map_err(|errno| failure_reason("/proc/self/cgroup", errno))?;
        let own = path::own_cgroup(&proc_cgroup).unwrap_or_default();
        let located = match own {
            "" => None,
            cgroup => Self::locate(cgroup, own_pid)?,
        };
        let name_in_proc = own.trim_end_matches('/').to_owned();
        let Some((path, directory)) = located else {
            return Err(no_cgroup_v2_reason(&proc_cgroup).to_owned());
        };
        // Only the root of the hierarchy may both hold processes and enable controllers, and it
        // alone has no such file.
        let is_occupied = directory.has_file("cgroup.type");
        let parent = Self {
            path,
            name_in_proc,
            directory,
            proc_cgroup,
            is_occupied,
        };
        Ok(parent.step_out_of_leaf())
    }

    /// Opens the directory of that cgroup. `None` means that no mount shows it.
    ///
    /// If the `cgroup.procs` of the usual path lists frigate, the path is right, and the mounts,
    /// which may be many, need not be read. Otherwise the mounts show the path.
    fn locate(cgroup: &str, own_pid: Pid) -> Result<Option<(String, CgroupDirectory)>, String> {
        let usual = ["/sys/fs/cgroup", cgroup.trim_end_matches('/')].concat();
        if !cgroup.starts_with("/..") {
            if let Some(directory) = Self::open_if_listed(&usual, own_pid) {
                return Ok(Some((usual, directory)));
            }
        }
        let mounts = kernel_file::read_proc("/proc/self/mountinfo")
            .map_err(|errno| failure_reason("/proc/self/mountinfo", errno))?;
        let Some(path) = path::find_directory(cgroup, &mounts) else {
            return Ok(None);
        };
        let directory =
            CgroupDirectory::open(&path).map_err(|errno| failure_reason(&path, errno))?;
        Ok(Some((path, directory)))
    }

    /// Opens the directory if its `cgroup.procs` lists that process.
    fn open_if_listed(path: &str, pid: Pid) -> Option<CgroupDirectory> {
        let directory = CgroupDirectory::open(path).ok()?;
        let procs = directory.read("cgroup.procs").ok()?;
        let is_listed = cgroup::parse_pids(&procs).any(|listed| listed == pid);
        is_listed.then_some(directory)
    }

    /// Returns the cgroup above if frigate runs in a leaf that another frigate has made, before it
    /// or beside it. Otherwise each would create a leaf within the other's leaf.
    ///
    /// A cgroup of that name with limits of its own is no such leaf, and leaving it would escape
    /// these limits.
    fn step_out_of_leaf(self) -> Self {
        let above = |path: &str| {
            let above = path.strip_suffix(LEAF_NAME)?.strip_suffix('/')?;
            Some(above.to_owned())
        };
        let (Some(path), Some(name_in_proc)) = (above(&self.path), above(&self.name_in_proc))
        else {
            return self;
        };
        if self.has_limits() {
            return self;
        }
        let is_empty = |directory: &CgroupDirectory| {
            directory
                .read("cgroup.procs")
                .is_ok_and(|procs| procs.is_empty())
        };
        match CgroupDirectory::open(&path) {
            Ok(directory) if is_empty(&directory) => Self {
                path,
                name_in_proc,
                directory,
                is_occupied: false,
                ..self
            },
            Ok(_) | Err(_) => self,
        }
    }

    fn has_limits(&self) -> bool {
        let files = LIMIT_FILES
            .iter()
            .filter(|file| file.is_capped_by_ancestors)
            .map(|file| file.name);
        let mut files = files.chain(["io.max", "cpuset.cpus", "cpuset.mems"]);
        files.any(|file| {
            self.directory
                .read(file)
                .is_ok_and(|text| !text.starts_with(b"max") && !text.trim_ascii().is_empty())
        })
    }

    /// Checks that the controller can be enabled here.
    ///
    /// # Errors
    ///
    /// It cannot; the text says why, and what to do.
    pub(super) fn check_controller(&self, controller: &str) -> Result<(), String> {
        let file = [&self.path, "/cgroup.controllers"].concat();
        let available = self
            .directory
            .read("cgroup.controllers")
            .map_err(|errno| failure_reason(&file, errno))?;
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
    pub(super) fn enable(self, controllers: &[&str]) -> Result<EnabledParent, String> {
        let Self {
            path,
            name_in_proc,
            directory,
            is_occupied,
            ..
        } = self;
        let file = [&path, "/cgroup.subtree_control"].concat();
        let mut parent = EnabledParent::new(path, name_in_proc);
        if controllers.is_empty() {
            return Ok(parent);
        }
        let mut failure = Errno::BUSY;
        // A process that enters between the move and the write makes the write fail with EBUSY. The
        // next attempt moves it.
        for attempt in 0..MOVE_ATTEMPTS {
            if is_occupied {
                if let Err((file, errno)) = parent.move_members_to_leaf(&directory) {
                    parent.undo();
                    return Err(failure_reason(&file, errno));
                }
            }
            match enable_below(&directory, controllers, is_occupied) {
                Ok(to_disable) => {
                    parent.to_disable = to_disable;
                    return Ok(parent);
                }
                Err(errno) => failure = errno,
            }
            if failure != Errno::BUSY || !is_occupied {
                break;
            }
            if attempt > MOVE_ATTEMPTS / 2 {
                clock::sleep(MOVE_PAUSE);
            }
        }
        parent.undo();
        Err(failure_reason(&file, failure))
    }
}

/// Enables the controllers for the cgroups below that one. Returns what disables them again.
///
/// # Errors
///
/// `BUSY` means that it holds processes.
fn enable_below(
    directory: &CgroupDirectory,
    controllers: &[&str],
    is_occupied: bool,
) -> Result<String, Errno> {
    let enable = subtree_control_value('+', controllers.iter().copied());
    let disable = subtree_control_value('-', controllers.iter().copied());
    directory.write("cgroup.subtree_control", &enable)?;
    let is_threadable = is_occupied
        && controllers
            .iter()
            .all(|controller| THREADED_CONTROLLERS.contains(controller));
    // For these controllers the write succeeds beside processes, and leaves a threaded domain.
    // Disable them before another process counts on it.
    if is_threadable
        && directory
            .read("cgroup.type")
            .is_ok_and(|text| text != b"domain\n")
    {
        let _ = directory.write("cgroup.subtree_control", &disable);
        return Err(Errno::BUSY);
    }
    Ok(disable)
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

/// Returns why no cgroup of version 2 was found, and what to do.
fn no_cgroup_v2_reason(proc_cgroup: &[u8]) -> &'static str {
    if path::is_controller_in_v1(proc_cgroup, "memory") {
        "this system uses cgroup v1; boot the host with systemd.unified_cgroup_hierarchy=1"
    } else {
        "no cgroup v2 hierarchy is to be seen here; mount cgroup2 on /sys/fs/cgroup"
    }
}

//! The parent cgroup with controllers enabled for the child's, its processes in a leaf.

use crate::child::cgroup::limit_warning::LimitWarning;
use crate::core::errno::Errno;
use crate::core::limit::Limit;
use crate::sys::cgroup::{self, CgroupDirectory};
use crate::sys::kernel_file::{self, WritableFile};

/// The leaf that frigate and its neighbors are moved to, because a cgroup other than the root
/// cannot both hold processes and enable controllers (`cgroups(7)`, "no internal processes").
pub(super) const LEAF_NAME: &str = "init";

/// How often processes are moved that fork or enter meanwhile.
pub(super) const MOVE_ATTEMPTS: u32 = 40;

/// The parent cgroup with controllers enabled, and how to undo that.
pub(super) struct EnabledParent {
    pub(super) path: String,
    /// The same cgroup as `/proc` names it: relative to the root of the cgroup namespace.
    pub(super) name_in_proc: String,
    /// Whether the leaf was created for this child. `undo` removes it then.
    has_own_leaf: bool,
    /// What `undo` writes to `cgroup.subtree_control`.
    pub(super) to_disable: String,
}

impl EnabledParent {
    /// Returns the state before anything has been changed.
    pub(super) const fn new(path: String, name_in_proc: String) -> Self {
        Self {
            path,
            name_in_proc,
            has_own_leaf: false,
            to_disable: String::new(),
        }
    }

    fn leaf_path(&self) -> String {
        [&self.path, "/", LEAF_NAME].concat()
    }

    /// Moves the processes of this cgroup to the leaf, and creates that if it is missing.
    ///
    /// # Errors
    ///
    /// The file that could not be created or written, and why.
    pub(super) fn move_members_to_leaf(
        &mut self,
        directory: &CgroupDirectory,
    ) -> Result<(), (String, Errno)> {
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

/// Moves every process of a cgroup to the one whose `cgroup.procs` is `to_procs`.
///
/// # Errors
///
/// The first failure. The other processes are moved nevertheless.
fn move_members(from: &CgroupDirectory, to_procs: &WritableFile) -> Result<(), Errno> {
    let mut moved = Ok(());
    from.for_each_member(&mut |pid, _| match to_procs.write(&pid.raw().to_string()) {
        // A process that has ended needs no move.
        Ok(()) | Err(Errno::NO_PROCESS) => {}
        Err(errno) => moved = moved.and(Err(errno)),
    })?;
    moved
}

//! The user that may have changed a path before frigate walks it.

use rustix::fs::Stat;

use crate::sys::spawn::Confinement;

/// The user that the child becomes, with its groups.
#[derive(Clone, Copy)]
pub(crate) struct ChildUser<'a> {
    pub(super) uid: u32,
    confinement: &'a Confinement,
}

impl<'a> ChildUser<'a> {
    /// Returns the user of a confinement. `None` means that the child keeps frigate's user or
    /// becomes root: then the walk has no user to guard against.
    pub(crate) fn of(confinement: &'a Confinement) -> Option<Self> {
        let uid = confinement.user.filter(|uid| *uid != 0)?;
        Some(Self { uid, confinement })
    }

    /// Returns whether the user can put a file into the directory. The owner counts always, because
    /// an owner can grant itself the permission at any time.
    pub(super) fn may_write(self, directory: &Stat) -> bool {
        let Confinement { group, groups, .. } = self.confinement;
        // Without a list of its own the child keeps frigate's groups, which may be any.
        let is_member = || {
            *group == Some(directory.st_gid)
                || groups
                    .as_ref()
                    .is_none_or(|all| all.contains(&directory.st_gid))
        };
        directory.st_uid == self.uid
            || directory.st_mode & 0o002 > 0
            || directory.st_mode & 0o020 > 0 && is_member()
    }
}

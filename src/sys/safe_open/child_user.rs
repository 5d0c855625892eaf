//! The user whose rights a walk has to expect.

use rustix::fs::Stat;

use crate::sys::spawn::Confinement;

/// The user that the child becomes, if that is another one than frigate's, and one whose rights
/// have limits.
#[derive(Clone, Copy)]
pub(crate) struct ChildUser<'a> {
    pub(super) uid: u32,
    confinement: &'a Confinement,
}

impl<'a> ChildUser<'a> {
    pub(crate) fn of(confinement: &'a Confinement) -> Option<Self> {
        let uid = confinement.user.filter(|uid| *uid != 0)?;
        Some(Self { uid, confinement })
    }

    /// Whether it can put something into the directory. An owner can take that right at any time.
    pub(super) fn may_write(self, directory: &Stat) -> bool {
        let Confinement { group, groups, .. } = self.confinement;
        // Groups that are frigate's may be any.
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

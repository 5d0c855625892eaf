//! The walk along a path to its last directory.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, OFlags, PROC_SUPER_MAGIC, Stat};
use rustix::io::Errno as RawErrno;
use rustix::process::geteuid;
use rustix::{fs, io};

use super::child_user::ChildUser;
use super::descriptor::{PATH_FLAGS, has_type, open_at, open_directory, stat_of};
use super::error::{FOREIGN_LINK, REPLACEABLE, Rule};
use super::path_walk::{MAX_LINKS, PathWalk};
use crate::core::errno::Errno;
use crate::sys::errno;

/// Only its owner, the directory's owner and root may rename or remove a file (`inode(7)`).
const STICKY_BIT: u32 = 0o1000;

/// What is at the end of a path.
pub(super) enum WalkEnd {
    /// A link of procfs, such as `/proc/self/fd/1`.
    ProcfsLink,
    Entry {
        /// See `DirectoryEntry`.
        writer: Option<u32>,
    },
}

/// Why a walk stopped before the end.
#[derive(Clone, Copy)]
pub(super) enum WalkError {
    Errno(Errno),
    /// The current component violates it.
    Rule(Rule),
}

impl From<RawErrno> for WalkError {
    fn from(error: RawErrno) -> Self {
        Self::Errno(errno(error))
    }
}

/// A component that exists.
struct Component {
    descriptor: OwnedFd,
    stat: Stat,
    /// The child's user, if it can replace this component.
    replacer: Option<u32>,
}

impl PathWalk {
    /// Examines the current component. Returns the child's user if it can write to the directory,
    /// and the component, if it exists.
    fn examine(&self, user: Option<ChildUser<'_>>) -> io::Result<(Option<u32>, Option<Component>)> {
        let directory = stat_of(&self.directory)?;
        let writer = user
            .filter(|user| user.may_write(&directory))
            .map(|user| user.uid);
        let flags = PATH_FLAGS | OFlags::NOFOLLOW;
        let descriptor = match open_at(self.directory.as_fd(), &self.name, flags) {
            Err(RawErrno::NOENT) => return Ok((writer, None)),
            result => result?,
        };
        let stat = stat_of(&descriptor)?;
        let is_sticky = directory.st_mode & STICKY_BIT > 0;
        let replacer =
            writer.filter(|uid| !is_sticky || [stat.st_uid, directory.st_uid].contains(uid));
        let component = Component {
            descriptor,
            stat,
            replacer,
        };
        Ok((writer, Some(component)))
    }

    /// Enters a component that is no link.
    fn enter(&mut self, component: &Component) -> Result<(), WalkError> {
        if component
            .replacer
            .is_some_and(|uid| component.stat.st_uid != uid)
        {
            return Err(WalkError::Rule(REPLACEABLE));
        }
        // Opened through the descriptor that was examined, and not by name again: the name may
        // mean another file by now. Fails with ENOTDIR if it is no directory.
        self.directory = open_directory(component.descriptor.as_fd(), c".")?;
        Ok(())
    }
}

/// Walks to the last component.
///
/// In a directory that the child's user can write to, the walk enters a directory only if this user
/// owns it. Any other directory could have been moved there, but the user's own gives it nothing
/// new. In a sticky directory of another owner, the user can replace only its own files, so every
/// other directory is entered there, too. Everywhere else the walk enters every directory, and
/// follows a link if it belongs to root or frigate. The owner of `/` is trusted too: in a user
/// namespace without root, it stands for root under another number.
pub(super) fn walk(walk: &mut PathWalk, user: Option<ChildUser<'_>>) -> Result<WalkEnd, WalkError> {
    let trusted = [
        0,
        geteuid().as_raw(),
        stat_of(&open_directory(CWD, c"/")?)?.st_uid,
    ];
    let mut links = 0;
    while walk.advance() {
        let is_last = walk.rest.is_empty();
        if matches!(walk.name.as_bytes(), b"." | b"..") {
            // No user can replace these two.
            walk.open_directory()?;
            continue;
        }
        let (writer, component) = walk.examine(user)?;
        let end = WalkEnd::Entry { writer };
        let Some(component) = component else {
            return if is_last {
                Ok(end)
            } else {
                Err(RawErrno::NOENT.into())
            };
        };
        if !has_type(&component.stat, FileType::Symlink) {
            if is_last {
                return Ok(end);
            }
            walk.enter(&component)?;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(RawErrno::LOOP.into());
        }
        // The kernel itself makes the links of procfs, so that their owner does not matter, and
        // their text may be no path (proc_pid_fd(5)).
        if fs::fstatfs(&component.descriptor)?.f_type == PROC_SUPER_MAGIC {
            if is_last {
                return Ok(WalkEnd::ProcfsLink);
            }
            walk.open_directory()?;
            continue;
        }
        if component.replacer.is_some() || !trusted.contains(&component.stat.st_uid) {
            return Err(WalkError::Rule(FOREIGN_LINK));
        }
        walk.follow(&component.descriptor)?;
    }
    Err(RawErrno::ISDIR.into())
}

//! Opens files by a path that other users may be able to change.
//!
//! frigate keeps its identity while the child becomes `--user`. If frigate opened a path as root in
//! one call, each user who can write to a directory on the path could choose the file. So frigate
//! walks the path once, component by component, and holds the last directory open. Every later
//! operation names an entry of that directory, and follows no link.

mod child_user;
mod descriptor;
mod entry;
mod error;
mod path_walk;
mod walk;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::Stat;

pub(crate) use child_user::ChildUser;
pub(super) use descriptor::{APPEND_FLAGS, PATH_FLAGS, is_regular};
use descriptor::{open_at, stat_of};
pub(crate) use entry::DirectoryEntry;
pub(crate) use error::OpenError;
pub(super) use path_walk::{MAX_LINKS, PathWalk};
use walk::{WalkEnd, WalkError, walk};

/// A file that was opened by its path.
pub(crate) struct Opened {
    pub(crate) file: OwnedFd,
    pub(crate) stat: Stat,
    /// `None` means that a link of procfs led to the file, such as `/proc/self/fd/1`: then the file
    /// has no name to reopen.
    pub(crate) entry: Option<DirectoryEntry>,
}

/// Walks a path from `/` or the current directory, and opens the file at its end. Creates the file
/// if there is none.
///
/// # Errors
///
/// The kernel refused a call, or a component violates a rule of `walk` or `DirectoryEntry::open`.
pub(crate) fn open(path: &str, user: Option<ChildUser<'_>>) -> Result<Opened, OpenError> {
    let mut path_walk = PathWalk::begin(path)?;
    match walk(&mut path_walk, user) {
        Ok(WalkEnd::ProcfsLink) => {
            let file = open_at(path_walk.directory.as_fd(), &path_walk.name, APPEND_FLAGS)?;
            Ok(Opened {
                stat: stat_of(&file)?,
                file,
                entry: None,
            })
        }
        Ok(WalkEnd::Entry { writer }) => {
            let entry = DirectoryEntry {
                directory: path_walk.directory,
                name: path_walk.name,
                writer,
            };
            let (file, stat) = entry.open(false)?;
            Ok(Opened {
                file,
                stat,
                entry: Some(entry),
            })
        }
        Err(WalkError::Errno(errno)) => Err(errno.into()),
        Err(WalkError::Rule(rule)) => Err(OpenError::violation(&path_walk.name, rule)),
    }
}

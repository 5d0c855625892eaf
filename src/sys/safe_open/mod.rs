//! Files that frigate opens by name, in directories that others may write to.
//!
//! frigate keeps its identity while the child becomes `--user`. A file that frigate opens as root
//! by its whole path would let whoever can write to a directory on the way choose which file that
//! is. So the path is walked once, component by component, and the last directory is held open.
//! From then on everything is done to a name in that directory, and no link is followed.

mod child_user;
mod descriptor;
mod entry;
mod error;
mod walk;

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Stat};

pub(crate) use child_user::ChildUser;
pub(super) use descriptor::{APPEND_FLAGS, is_regular};
use descriptor::{open_at, open_directory, stat_of};
pub(crate) use entry::DirectoryEntry;
pub(crate) use error::OpenError;
use walk::{Walk, WalkEnd, WalkError, walk};

/// An open file, and where it is; `None`: a link of procfs led to it, such as `/proc/self/fd/1`,
/// and it has no name.
pub(crate) struct Opened {
    pub(crate) file: OwnedFd,
    pub(crate) stat: Stat,
    pub(crate) entry: Option<DirectoryEntry>,
}

/// Walks a path from `/` or the current directory, and opens what it leads to, or makes a file.
///
/// # Errors
///
/// The kernel's, or one of the rules of `walk`.
pub(crate) fn open(path: &str, user: Option<ChildUser<'_>>) -> Result<Opened, OpenError> {
    let mut path_walk = Walk {
        directory: open_directory(CWD, c"/")?,
        rest: path.as_bytes().to_vec(),
        name: CString::default(),
    };
    if !path.starts_with('/') {
        path_walk.directory = open_directory(CWD, c".")?;
    }
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

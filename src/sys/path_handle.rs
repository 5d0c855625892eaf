//! A handle on a path that a check names, opened without a wait.
//!
//! A child may replace any part of such a path by a link. A link of procfs, such as
//! `/proc/PID/root`, could lead into a file system that the child itself serves (`fuse(4)`), and
//! frigate would wait for the child's answer forever. So these links are not followed. What else
//! the path leads through was mounted by a user who can stop frigate anyway.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use rustix::fs::{self, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno as RawErrno;

use super::own_descriptor::note_own;
use super::{c_path, descriptor_link, errno, open_at};
use crate::core::errno::Errno;

/// A file or socket that is held by its path, and is not itself opened (`O_PATH`).
pub(crate) struct PathHandle(OwnedFd);

impl PathHandle {
    pub(crate) fn open(path: &str) -> Result<Self, Errno> {
        let name = c_path(path).map_err(errno)?;
        let (flags, mode) = (OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let links = ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(CWD, name.as_c_str(), flags, mode, links) {
            // Before Linux 5.6, or under a filter that does not know the call.
            Err(RawErrno::NOSYS | RawErrno::PERM) => open_at(CWD, path, flags, mode),
            opened => opened.map(note_own),
        }
        .map(Self)
        .map_err(errno)
    }

    /// Returns the path of the link by which procfs leads to the handle.
    pub(super) fn link(&self) -> Result<CString, Errno> {
        descriptor_link(&self.0).map_err(errno)
    }

    /// Fails if this is no directory.
    pub(super) fn check_directory(&self) -> Result<(), Errno> {
        let stat = fs::fstat(&self.0).map_err(errno)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            Ok(())
        } else {
            Err(Errno::NOT_A_DIRECTORY)
        }
    }

    /// Returns when the file was last modified, in seconds and nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// It is a directory, whose time says nothing of the files in it.
    pub(crate) fn modification_time(&self) -> Result<(i64, u32), Errno> {
        let stat = fs::fstat(&self.0).map_err(errno)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(Errno::IS_A_DIRECTORY);
        }
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Ok((stat.st_mtime, nanos))
    }
}

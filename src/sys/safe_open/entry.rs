//! An entry of a directory that is held open.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags, Stat};
use rustix::io::Errno as RawErrno;
use rustix::process::geteuid;
use rustix::{fs, io};

use super::descriptor::{APPEND_FLAGS, is_regular, open_at, stat_of};
use super::error::{FOREIGN_LINK, FOREIGN_OWNER, HARD_LINKS, NOT_REGULAR, OpenError};
use crate::core::errno::Errno;
use crate::sys::errno;

/// An entry of a directory that is held open. The directory holds a log file and its backups.
pub(crate) struct DirectoryEntry {
    pub(super) directory: OwnedFd,
    pub(super) name: CString,
    /// The child's user, if it can put files into the directory; `None` means that it cannot.
    pub(super) writer: Option<u32>,
}

impl DirectoryEntry {
    fn open_with(&self, flags: OFlags) -> io::Result<OwnedFd> {
        open_at(self.directory.as_fd(), &self.name, flags)
    }

    /// Opens the file of that name, or creates it. Follows no link. With `regular_only`, refuses
    /// every file that is not regular.
    ///
    /// If the child's user can write to the directory, the file must belong to this user, to root
    /// or to frigate, and must have one name only. Otherwise the user could move or link a file
    /// here that it cannot write to itself.
    pub(crate) fn open(&self, regular_only: bool) -> Result<(OwnedFd, Stat), OpenError> {
        let existing = APPEND_FLAGS.union(OFlags::NOFOLLOW);
        let mut result = self.open_with(existing);
        let mut is_new = false;
        if matches!(result, Err(RawErrno::NOENT)) {
            result = self.open_with(existing.union(OFlags::CREATE).union(OFlags::EXCL));
            is_new = result.is_ok();
        }
        if matches!(result, Err(RawErrno::EXIST)) {
            // Another writer of the same log has created it since the first attempt.
            result = self.open_with(existing);
        }
        let violation = |rule| OpenError::violation(&self.name, rule);
        let file = match result {
            Err(RawErrno::LOOP) => return Err(violation(FOREIGN_LINK)),
            result => result?,
        };
        let stat = stat_of(&file)?;
        if !is_regular(&stat) && regular_only {
            return Err(violation(NOT_REGULAR));
        }
        if !is_new && (is_regular(&stat) || self.writer.is_some()) && stat.st_nlink > 1 {
            return Err(violation(HARD_LINKS));
        }
        let is_foreign = |writer| ![0, geteuid().as_raw(), writer].contains(&stat.st_uid);
        if !is_new && self.writer.is_some_and(is_foreign) {
            return Err(violation(FOREIGN_OWNER));
        }
        Ok((file, stat))
    }

    /// Examines the file that has the name of a backup; backup 0 is the log file itself. Follows no
    /// link. `None` means that no file has this name.
    pub(crate) fn stat_backup(&self, backup: u32) -> Result<Option<Stat>, Errno> {
        match fs::statat(
            &self.directory,
            self.backup_name(backup).as_c_str(),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) => Ok(Some(stat)),
            Err(RawErrno::NOENT) => Ok(None),
            Err(error) => Err(errno(error)),
        }
    }

    /// Renames a backup to the next higher number. Replaces the file that has this number already.
    pub(crate) fn shift_backup(&self, backup: u32) -> Result<(), Errno> {
        let (from, to) = (self.backup_name(backup), self.backup_name(backup + 1));
        fs::renameat(
            &self.directory,
            from.as_c_str(),
            &self.directory,
            to.as_c_str(),
        )
        .map_err(errno)
    }

    /// Returns the name of a backup, such as `log.1`; backup 0 is the log file itself.
    fn backup_name(&self, number: u32) -> CString {
        let mut name = self.name.to_bytes().to_vec();
        if number > 0 {
            name.extend_from_slice(format!(".{number}").as_bytes());
        }
        CString::new(name).unwrap_or_default()
    }
}

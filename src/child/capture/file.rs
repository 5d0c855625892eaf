//! A log file: appended to, rotated at its largest size, followed when somebody else renames,
//! removes or empties it.

use std::os::fd::{AsFd, BorrowedFd};

use crate::core::errno::Errno;
use crate::sys::open_file::OpenFile;
use crate::sys::safe_open::{self, ChildUser, DirectoryEntry, OpenError, Opened};

/// What was to be done to the file, and why it could not be.
pub(super) type FileError = (&'static str, OpenError);

pub(super) struct LogFile {
    path: String,
    /// Where it is. A file without a name of its own is never rotated, and never another one.
    entry: Option<DirectoryEntry>,
    file: OpenFile,
    /// Its length when it was last looked at, and what was written since.
    size: u64,
    /// It is rotated before a byte goes there.
    rotate_at: u64,
    max_bytes: u64,
    backups: u32,
}

impl LogFile {
    /// Opens it to append to; 0 as its largest size: it has none.
    pub(super) fn open(
        path: &str,
        max_bytes: u64,
        backups: u32,
        user: Option<ChildUser<'_>>,
    ) -> Result<Self, OpenError> {
        let Opened { file, stat, entry } = safe_open::open(path, user)?;
        let (file, size) = OpenFile::new(file, &stat);
        let max_bytes = if max_bytes == 0 || entry.is_none() {
            u64::MAX
        } else {
            max_bytes
        };
        Ok(Self {
            path: path.to_owned(),
            entry,
            file,
            size,
            rotate_at: max_bytes,
            max_bytes,
            backups,
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Of the directory that it is in.
    pub(super) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.entry.as_ref().map(DirectoryEntry::directory)
    }

    /// Makes sure that it is the file of that name, and has room; answers whether that took a
    /// change. Where it cannot be had, the file at hand still takes all bytes: none is lost by
    /// that.
    pub(super) fn prepare(&mut self) -> Result<bool, FileError> {
        let Some(entry) = &self.entry else {
            return Ok(false);
        };
        let mut is_changed = false;
        // One look serves all: another file, or none (renamed, removed); or a smaller one (emptied,
        // as copytruncate does).
        let found = entry
            .stat_backup(0)
            .map_err(|errno| ("look at", errno.into()))?;
        if let Some(size) = found.and_then(|stat| self.file.size_if_same(&stat)) {
            self.size = size;
        } else {
            self.reopen().map_err(|error| ("open", error))?;
            is_changed = true;
        }
        if self.size < self.max_bytes {
            self.rotate_at = self.max_bytes;
        }
        if self.size >= self.rotate_at && self.file.is_regular {
            // Should that fail, the next attempt comes after as many bytes again.
            self.rotate_at = self.size.saturating_add(self.max_bytes);
            self.rotate().map_err(|error| ("rotate", error))?;
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// Writes to its end, and no byte beyond its largest size. Returns how many bytes it took.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let limit = self
            .rotate_at
            .checked_sub(self.size)
            .filter(|limit| *limit > 0 && self.file.is_regular);
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let written = self.file.write(bytes.get(..limit).unwrap_or(bytes))?;
        self.size += written as u64;
        Ok(written)
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        if let Some(entry) = &self.entry {
            let (file, stat) = entry.open(true)?;
            (self.file, self.size) = OpenFile::new(file, &stat);
            self.rotate_at = self.max_bytes;
        }
        Ok(())
    }

    /// Moves each backup one up, as far as they stand without a gap: what is beyond the gap is
    /// older anyway, and the last one is written over. Only a name that nothing has is a gap: a
    /// backup that cannot be looked at is not to be overwritten.
    fn rotate(&mut self) -> Result<(), OpenError> {
        if self.backups == 0 {
            self.file.truncate()?;
            self.size = 0;
            self.rotate_at = self.max_bytes;
            return Ok(());
        }
        if let Some(entry) = &self.entry {
            let mut gap = 1;
            while gap < self.backups && entry.stat_backup(gap)?.is_some() {
                gap += 1;
            }
            for number in (0..gap).rev() {
                entry.shift_backup(number)?;
            }
        }
        self.reopen()
    }
}

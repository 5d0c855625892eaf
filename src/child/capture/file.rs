//! A log file. frigate appends to it, rotates it at its largest size, and notices if another
//! process renames, removes or empties it.

use std::os::fd::{AsFd, BorrowedFd};

use crate::core::errno::Errno;
use crate::sys::open_file::OpenFile;
use crate::sys::safe_open::{self, ChildUser, DirectoryEntry, OpenError, Opened};

/// The verb of what failed ("cannot VERB"), and why.
pub(super) type FileError = (&'static str, OpenError);

/// A log file that is open, with its rotation.
pub(super) struct LogFile {
    path: String,
    /// The name of the file. `None` means that it has no name: it is never rotated or reopened.
    entry: Option<DirectoryEntry>,
    file: OpenFile,
    /// The size when it was last examined, plus what was written since.
    size: u64,
    /// The offset at which the file is rotated before the next byte.
    rotate_at: u64,
    max_bytes: u64,
    backups: u32,
}

impl LogFile {
    /// Opens the file to append to it. A `max_bytes` of 0 means no largest size.
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

    /// Makes sure that the open file is still the one of that name, and has room. Returns whether
    /// it was reopened or rotated.
    ///
    /// # Errors
    ///
    /// The file cannot be reopened or rotated. No byte is lost: the open file still takes all.
    pub(super) fn prepare(&mut self) -> Result<bool, FileError> {
        let Some(entry) = &self.entry else {
            return Ok(false);
        };
        let mut is_changed = false;
        // One call detects all three: another file or none, if it was renamed or removed, and a
        // smaller size, if it was emptied as by copytruncate (logrotate(8)).
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
            // Set first: if the rotation fails, the next attempt comes after as many bytes again.
            self.rotate_at = self.size.saturating_add(self.max_bytes);
            self.rotate().map_err(|error| ("rotate", error))?;
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// Appends bytes, but none beyond the largest size. Returns how many were written.
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

    /// Opens the file of that name again, or creates it.
    fn reopen(&mut self) -> Result<(), OpenError> {
        if let Some(entry) = &self.entry {
            let (file, stat) = entry.open(true)?;
            (self.file, self.size) = OpenFile::new(file, &stat);
            self.rotate_at = self.max_bytes;
        }
        Ok(())
    }

    /// Renames each backup to the next number, up to the first gap, and begins a new file. Backups
    /// behind the gap are older and keep their numbers. Without a gap the last one is replaced.
    /// Only a name without a file is a gap: a backup that cannot be examined must not be
    /// overwritten.
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

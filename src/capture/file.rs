//! A log file: appended to, rotated at its largest size, followed when somebody else renames, removes or empties it.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use crate::errno::Errno;
use crate::sys::capture::{Place, Target};

/// What was to be done to the file, and why it could not be.
pub(super) type Trouble = (&'static str, Errno);

pub(super) struct LogFile {
    place: Place,
    path: CString,
    target: Target,
    /// Its length when it was last looked at, and what was written since.
    size: u64,
    /// It is rotated before a byte goes there.
    full_at: u64,
    max_bytes: u64,
    backups: u32,
}

impl LogFile {
    /// Opens it to append to; 0 as its largest size: it has none.
    pub(super) fn open(path: CString, max_bytes: u64, backups: u32) -> Result<Self, Errno> {
        let max_bytes = if max_bytes == 0 { u64::MAX } else { max_bytes };
        let place = Place::here();
        let (target, size) = Target::open(&place, &path)?;
        Ok(Self { place, path, target, size, full_at: max_bytes, max_bytes, backups })
    }

    pub(super) fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.target.as_fd()
    }

    /// Of the directory that the path begins in.
    pub(super) fn place(&self) -> BorrowedFd<'_> {
        self.place.directory()
    }

    /// Makes sure that it is the file that the path means, and has room; answers whether that took a change. Where it cannot
    /// be had, the file at hand still takes all bytes: none is lost by that.
    pub(super) fn ready(&mut self) -> Result<bool, Trouble> {
        let mut is_changed = false;
        // One look serves all: another file, or none (renamed, removed); or a smaller one (emptied, as copytruncate does),
        // whose end is where the next byte belongs.
        if let Some(size) = self.target.size_at(&self.place, &self.path) {
            self.size = size;
        } else {
            self.reopen().map_err(|errno| ("open", errno))?;
            is_changed = true;
        }
        if self.size < self.max_bytes {
            self.full_at = self.max_bytes;
        }
        if self.size >= self.full_at && self.target.is_regular {
            // Should that fail, the next attempt comes after as many bytes again.
            self.full_at = self.size.saturating_add(self.max_bytes);
            self.rotate().map_err(|errno| ("rotate", errno))?;
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// Writes to its end, and no byte beyond its largest size. Returns how many bytes it took.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let room = self.full_at.checked_sub(self.size).filter(|room| *room > 0 && self.target.is_regular);
        let room = room.and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX);
        let written = self.target.write(bytes.get(..room).unwrap_or(bytes))?;
        self.size += written as u64;
        Ok(written)
    }

    fn reopen(&mut self) -> Result<(), Errno> {
        let (target, size) = Target::open(&self.place, &self.path)?;
        self.target = target;
        self.size = size;
        self.full_at = self.max_bytes;
        Ok(())
    }

    fn backup(&self, number: u32) -> CString {
        CString::new([self.path.as_bytes(), b".", number.to_string().as_bytes()].concat()).unwrap_or_default()
    }

    /// Moves each backup one up, as far as they stand without a gap: what is beyond the gap is older anyway, and the last one
    /// is written over.
    fn rotate(&mut self) -> Result<(), Errno> {
        if self.backups == 0 {
            self.target.empty()?;
            self.size = 0;
            self.full_at = self.max_bytes;
            return Ok(());
        }
        let mut gap = 1;
        while gap < self.backups && self.place.has(&self.backup(gap)) {
            gap += 1;
        }
        for number in (1..gap).rev() {
            self.place.rename(&self.backup(number), &self.backup(number + 1))?;
        }
        self.place.rename(&self.path, &self.backup(1))?;
        self.reopen()
    }
}

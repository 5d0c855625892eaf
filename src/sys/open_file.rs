//! Open files that captured bytes are moved to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Stat;
use rustix::io::Errno as RawErrno;
use rustix::{fs, io};

use super::{errno, safe_open};
use crate::core::errno::Errno;

/// A file, or what stands in its place: a FIFO, a terminal, `/dev/null`.
pub(crate) struct OpenFile {
    fd: OwnedFd,
    device: u64,
    inode: u64,
    /// It can be rotated, and never asks to try again later.
    pub(crate) is_regular: bool,
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn size_of(stat: &Stat) -> u64 {
    stat.st_size.unsigned_abs()
}

impl OpenFile {
    /// A file that was opened, and its size.
    pub(crate) fn new(fd: OwnedFd, stat: &Stat) -> (Self, u64) {
        (
            Self {
                fd,
                device: stat.st_dev,
                inode: stat.st_ino,
                is_regular: safe_open::is_regular(stat),
            },
            size_of(stat),
        )
    }

    /// The file's size, if it is the one that was looked at.
    pub(crate) fn size_if_same(&self, stat: &Stat) -> Option<u64> {
        (stat.st_dev == self.device && stat.st_ino == self.inode).then(|| size_of(stat))
    }

    /// Throws away what is in it.
    pub(crate) fn truncate(&self) -> Result<(), Errno> {
        fs::ftruncate(&self.fd, 0).map_err(errno)
    }

    /// Writes to its end. Returns how many bytes it took.
    ///
    /// # Errors
    ///
    /// `Errno::AGAIN` means that a FIFO or a terminal takes no more for now; never that of a
    /// regular file, which would be ready for another attempt at once, again and again.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match io::write(&self.fd, bytes) {
            // A file that takes nothing and does not say why would be offered the same bytes for
            // ever.
            Ok(0) => Err(Errno::IO),
            Err(RawErrno::AGAIN) if self.is_regular => Err(Errno::IO),
            result => result.map_err(errno),
        }
    }
}

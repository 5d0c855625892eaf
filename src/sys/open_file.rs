//! An open file to which captured bytes are appended.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Stat;
use rustix::io::Errno as RawErrno;
use rustix::{fs, io};

use super::{errno, safe_open};
use crate::core::errno::Errno;

/// An open regular file, FIFO, terminal or device.
pub(crate) struct OpenFile {
    fd: OwnedFd,
    device: u64,
    inode: u64,
    /// Only a regular file can be rotated. It never makes a write wait (EAGAIN).
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
    /// Takes over an open file. Returns it with its size.
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

    /// Returns the size if `stat` describes this file. `None` means that it describes another one.
    pub(crate) fn size_if_same(&self, stat: &Stat) -> Option<u64> {
        (stat.st_dev == self.device && stat.st_ino == self.inode).then(|| size_of(stat))
    }

    /// Sets the length to 0.
    pub(crate) fn truncate(&self) -> Result<(), Errno> {
        fs::ftruncate(&self.fd, 0).map_err(errno)
    }

    /// Appends bytes. Returns how many were written.
    ///
    /// # Errors
    ///
    /// `Errno::AGAIN` means that a FIFO or a terminal is full for now. For a regular file it
    /// becomes `Errno::IO`: `poll(2)` always calls such a file ready, so the caller would try
    /// forever.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match io::write(&self.fd, bytes) {
            // A file that takes no byte and reports no error would be offered the same bytes
            // forever.
            Ok(0) => Err(Errno::IO),
            Err(RawErrno::AGAIN) if self.is_regular => Err(Errno::IO),
            result => result.map_err(errno),
        }
    }
}

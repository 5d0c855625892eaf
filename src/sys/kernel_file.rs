//! Small files that the kernel generates, in `/proc` and in cgroups.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{pread, write};

use super::{errno, open_at};
use crate::core::errno::Errno;

/// A read of a cgroup's file that returns fewer bytes than this was the last one.
///
/// The kernel returns as many whole records as fit into a page, even if the buffer is larger. No
/// record of such a file is longer than half a page. So if more than half of the page stayed free,
/// no record was left, and a further read that returns 0 bytes is saved.
pub(super) const FULL_READ_BYTES: usize = 2048;

pub(super) fn open(directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_at(directory, path, flags, Mode::empty()).map_err(errno)
}

/// Reads a file of `/proc` to its end.
///
/// # Errors
///
/// The file does not exist, or frigate may not read it.
pub(crate) fn read_proc(path: &str) -> Result<Vec<u8>, Errno> {
    read_from(CWD, path, 1)
}

/// Reads a file of a cgroup to its end.
///
/// # Errors
///
/// The file does not exist, or frigate may not read it.
pub(crate) fn read_cgroup_file(path: &str) -> Result<Vec<u8>, Errno> {
    read_from(CWD, path, FULL_READ_BYTES)
}

/// Reads a file of that directory to its end. A read that returns fewer than `full_read_bytes` is
/// taken for the last one.
pub(super) fn read_from(
    directory: BorrowedFd<'_>,
    path: &str,
    full_read_bytes: usize,
) -> Result<Vec<u8>, Errno> {
    read_all(
        open(directory, path, OFlags::RDONLY)?.as_fd(),
        full_read_bytes,
    )
}

/// Reads a file from its beginning, until a read returns fewer than `full_read_bytes`.
pub(super) fn read_all(file: BorrowedFd<'_>, full_read_bytes: usize) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = pread(file, &mut buffer[..], text.len() as u64).map_err(errno)?;
        text.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if length < full_read_bytes {
            return Ok(text);
        }
    }
}

/// Waits until the file has changed since it was last read, for `timeout_ms` at most. The kernel
/// reports that as `POLLPRI` (`cgroups(7)`, `cgroup.events`).
pub(crate) fn wait_for_change(file: BorrowedFd<'_>, timeout_ms: u32) {
    let timeout = rustix::time::Timespec {
        tv_sec: i64::from(timeout_ms / 1000),
        tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
    };
    let _ = poll(
        &mut [PollFd::from_borrowed_fd(file, PollFlags::PRI)],
        Some(&timeout),
    );
}

/// Reads a short file from its beginning, in one read. `None` means that this failed.
pub(crate) fn read_from_start<'a>(file: BorrowedFd<'_>, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = pread(file, &mut *buffer, 0).ok()?;
    buffer.get(..length)
}

/// A file that the kernel generates, open for writing.
pub(crate) struct WritableFile(OwnedFd);

impl WritableFile {
    pub(crate) fn open(path: &str) -> Result<Self, Errno> {
        Self::open_in(CWD, path)
    }

    pub(super) fn open_in(directory: BorrowedFd<'_>, path: &str) -> Result<Self, Errno> {
        open(directory, path, OFlags::WRONLY).map(Self)
    }

    /// Writes the value in one `write(2)`, as the kernel expects it.
    pub(crate) fn write(&self, value: &str) -> Result<(), Errno> {
        write(&self.0, value.as_bytes()).map(|_| ()).map_err(errno)
    }
}

impl AsFd for WritableFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! Descriptors of files and of directories on the way to them.

use core::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::{fs, io};

pub(super) fn has_type(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

pub(crate) fn is_regular(stat: &Stat) -> bool {
    has_type(stat, FileType::RegularFile)
}

/// Never waits for the reader of a FIFO, never makes a terminal the controlling one.
pub(in crate::sys) const APPEND_FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// A descriptor of a directory, or of a link, that gives no right to what is in it.
pub(super) const PATH_FLAGS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// `openat(2)`, once for all callers; a new file is not readable by everybody, since nobody knows
/// what the child prints.
#[inline(never)]
pub(super) fn open_at(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    fs::openat(directory, name, flags, Mode::from_raw_mode(0o640))
}

#[inline(never)]
pub(super) fn open_directory(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_at(directory, name, PATH_FLAGS | OFlags::DIRECTORY)
}

#[inline(never)]
pub(super) fn stat_of(fd: &OwnedFd) -> io::Result<Stat> {
    fs::fstat(fd)
}

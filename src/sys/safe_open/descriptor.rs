//! How files and directories are opened and examined during a walk.

use core::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::{fs, io};

use crate::sys::own_descriptor::note_own;

pub(super) fn has_type(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

pub(crate) fn is_regular(stat: &Stat) -> bool {
    has_type(stat, FileType::RegularFile)
}

/// For writing: the open does not wait for the reader of a FIFO, and does not make a terminal the
/// controlling one.
pub(in crate::sys) const APPEND_FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// For examining: `O_PATH` needs no permission on the file itself, and gives none.
pub(in crate::sys) const PATH_FLAGS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Opens a name in a directory (`openat(2)`). A new file is not readable by all users, because the
/// child may print secrets.
pub(super) fn open_at(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    fs::openat(directory, name, flags, Mode::from_raw_mode(0o640)).map(note_own)
}

/// Opens a directory for examining, as the start of further opens.
pub(super) fn open_directory(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_at(directory, name, PATH_FLAGS | OFlags::DIRECTORY)
}

pub(super) fn stat_of(fd: &OwnedFd) -> io::Result<Stat> {
    fs::fstat(fd)
}

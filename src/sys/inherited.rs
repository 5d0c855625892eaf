//! Descriptors that the child inherits.
//!
//! # Safety
//!
//! A descriptor that nobody here owns is asked what it is, and neither used nor kept.
#![expect(unsafe_code, reason = "asks about descriptors by their numbers")]

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, FsWord, Uid, fchown, fstat, fstatfs};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::stdio::{stderr, stdin, stdout};

/// How many numbers are looked at for an inherited descriptor. Those of engines, shells and
/// supervisors are small.
const MAX_DESCRIPTORS: i32 = 4096;

/// The first descriptor of a directory that the child inherits: by `fchdir(2)` or `openat(2)` it is
/// a way out of any root. frigate's own are all closed at an exec.
#[inline(never)]
pub(crate) fn find_inherited_directory() -> Option<i32> {
    (0..MAX_DESCRIPTORS).find(|number| {
        // SAFETY: the number is only asked about. If it is no descriptor, both calls say so.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl_getfd(fd).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
            && fstat(fd)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    })
}

/// The file system of anonymous pipes (`PIPEFS_MAGIC`).
const PIPEFS_MAGIC: FsWord = 0x5049_5045;

/// Gives the standard streams to the user, so that it can open `/dev/stdout` by name: anonymous
/// pipes, and terminals if `with_terminals`. All else has a name of its own, whose owner is not
/// frigate's business: files, named FIFOs, devices such as `/dev/null`. What may not be given stays
/// as it is.
#[inline(never)]
pub(crate) fn set_stream_owner(uid: u32, with_terminals: bool) {
    for stream in [stdin(), stdout(), stderr()] {
        let Ok(stat) = fstat(stream) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_changed = kind == FileType::Fifo
            && fstatfs(stream).is_ok_and(|system| system.f_type == PIPEFS_MAGIC)
            || with_terminals
                && kind == FileType::CharacterDevice
                && rustix::termios::isatty(stream);
        if is_changed && stat.st_uid != uid {
            let _ = fchown(stream, Some(Uid::from_raw(uid)), None);
        }
    }
}

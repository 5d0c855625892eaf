//! Descriptors that the child inherits.
//!
//! # Safety
//!
//! Borrows descriptors that frigate may not own, for two calls that only ask what they are.
#![expect(unsafe_code, reason = "asks about descriptors by their numbers")]

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, FsWord, Uid, fchown, fstat, fstatfs};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::stdio::{stderr, stdin, stdout};

/// How many numbers are examined for an inherited descriptor. Engines, shells and supervisors use
/// small ones.
const MAX_DESCRIPTORS: i32 = 4096;

/// Returns the first directory among the descriptors that the child inherits. By `fchdir(2)` or
/// `openat(2)` it leads out of every root. frigate's own descriptors are close-on-exec and do not
/// count. `None` means that the child inherits no directory.
pub(crate) fn find_inherited_directory() -> Option<i32> {
    (0..MAX_DESCRIPTORS).find(|number| {
        // SAFETY: the descriptor must stay open while it is borrowed. Nothing closes one meanwhile,
        // and if the number is no open descriptor, both calls fail with EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl_getfd(fd).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
            && fstat(fd)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    })
}

/// The file system of anonymous pipes (`linux/magic.h`).
const PIPEFS_MAGIC: FsWord = 0x5049_5045;

/// Makes the user the owner of the standard streams, so that it can open `/dev/stdout` by name.
///
/// Changes anonymous pipes, and terminals if `with_terminals`. Files, named FIFOs and devices such
/// as `/dev/null` belong to others and keep their owner. Without the privilege every owner stays.
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

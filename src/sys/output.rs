//! Standard output, standard error, and small files: whole messages, written in one call.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, ftruncate};
use rustix::io::{Errno, IoSlice, ReadWriteFlags, pwritev2, write};
use rustix::net::SendFlags;
use rustix::stdio::{stderr, stdout};
use rustix::time::Timespec;

use super::open_at;
use super::safe_open::is_regular;
use crate::core::errno;

/// Writes what was asked for to standard output, however long its reader takes; false: it cannot be
/// written.
pub(crate) fn write_to_stdout(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match write(stdout(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Writes a line to standard error if that takes it at once. Returns false if it does not, or if
/// nobody reads it.
///
/// The description behind it is shared with the child and others, so that making it non-blocking
/// would change it under them. A look before the write (`poll(2)`) is no promise: another writer
/// may be quicker, and a terminal that has room for one byte waits for its reader before it takes
/// the second. So each kind of stream has a way of its own to refuse: a socket `MSG_DONTWAIT`, a
/// pipe `RWF_NOWAIT` (Linux 6.4), and a terminal, or an older pipe, a description of frigate's own,
/// opened for this line. A regular file is always ready, and is written to as it is. A line is
/// shorter than `PIPE_BUF`: a pipe takes all of it or nothing.
pub(crate) fn write_to_stderr(line: &[u8]) -> bool {
    let fd = stderr();
    let mut polled = [PollFd::new(&fd, PollFlags::OUT)];
    let ready = poll(
        &mut polled,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    ) == Ok(1);
    let flags = polled.first().map_or(PollFlags::NVAL, PollFd::revents);
    // A pipe without a reader is writable by poll's lights, and a write to it would raise SIGPIPE.
    if !ready
        || !flags.contains(PollFlags::OUT)
        || flags.intersects(PollFlags::ERR | PollFlags::NVAL | PollFlags::HUP)
    {
        return false;
    }
    write_without_waiting(line) == Ok(line.len())
}

fn write_without_waiting(line: &[u8]) -> rustix::io::Result<usize> {
    let fd = stderr();
    let mut refused = Errno::NOTSUP;
    match fstat(fd).map_or(FileType::Unknown, |stat| {
        FileType::from_raw_mode(stat.st_mode)
    }) {
        FileType::Socket => {
            return rustix::net::send(fd, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
        // -1: at the current position, as write(2).
        FileType::Fifo => {
            match pwritev2(fd, &[IoSlice::new(line)], u64::MAX, ReadWriteFlags::NOWAIT) {
                Ok(written) => return Ok(written),
                // EAGAIN may also say that the pipe was locked by its reader just then.
                Err(error) => refused = error,
            }
        }
        FileType::CharacterDevice => {}
        FileType::RegularFile
        | FileType::Directory
        | FileType::Symlink
        | FileType::BlockDevice
        | FileType::Unknown => {
            return write(fd, line);
        }
    }
    match open_at(
        CWD,
        "/proc/self/fd/2",
        super::safe_open::APPEND_FLAGS,
        Mode::empty(),
    ) {
        Ok(reopened) => write(reopened, line),
        Err(_) if refused == Errno::AGAIN => Err(refused),
        // No /proc, or somebody else's terminal, which has a reader: there the look has to do.
        Err(_) => write(fd, line),
    }
}

/// Opens a regular file that exists, is empty and has no other name; nothing else, and never
/// through a link.
pub(crate) fn open_empty_file(path: &str) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = open_at(CWD, path, flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    (is_regular(&stat) && stat.st_size == 0 && stat.st_nlink <= 1).then_some(file)
}

/// Makes a file hold that and nothing else; whatever has no length to be set is written to all the
/// same.
pub(crate) fn replace_content(file: BorrowedFd<'_>, content: &[u8]) -> Result<(), errno::Errno> {
    let _ = ftruncate(file, 0);
    write(file, content).map(|_| ()).map_err(super::errno)
}

/// frigate's own, for a child's standard error that goes the same way.
pub(crate) fn standard_output() -> BorrowedFd<'static> {
    stdout()
}

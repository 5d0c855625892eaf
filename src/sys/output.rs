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

/// Writes a text to standard output, and waits for its reader as long as needed. Returns false if
/// the write fails.
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

/// Writes a line to standard error if this needs no wait. Returns false if it would wait, or if no
/// process reads it.
///
/// The child and other processes share the open file description, so frigate must not make it
/// non-blocking. `poll(2)` before the write is no guarantee: another process may write first, and a
/// terminal with room for one byte blocks the writer at the second. So each kind of file needs its
/// own way not to block: `MSG_DONTWAIT` for a socket, `RWF_NOWAIT` for a pipe (Linux 6.4), and for
/// a terminal or an older pipe an open file description of frigate's own, made for this line. A
/// regular file never blocks. A line is shorter than `PIPE_BUF`, so a pipe takes all of it or
/// nothing (`pipe(7)`).
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
    // poll(2) calls a pipe without a reader writable, but a write to it would raise SIGPIPE.
    if !ready
        || !flags.contains(PollFlags::OUT)
        || flags.intersects(PollFlags::ERR | PollFlags::NVAL | PollFlags::HUP)
    {
        return false;
    }
    write_without_waiting(line) == Ok(line.len())
}

/// Writes by the way of the file's kind; see `write_to_stderr`.
fn write_without_waiting(line: &[u8]) -> rustix::io::Result<usize> {
    let fd = stderr();
    let mut refused = Errno::NOTSUP;
    match fstat(fd).map_or(FileType::Unknown, |stat| {
        FileType::from_raw_mode(stat.st_mode)
    }) {
        FileType::Socket => {
            return rustix::net::send(fd, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
        // Offset -1 means the current position, as in write(2).
        FileType::Fifo => {
            match pwritev2(fd, &[IoSlice::new(line)], u64::MAX, ReadWriteFlags::NOWAIT) {
                Ok(written) => return Ok(written),
                // EAGAIN may also mean that the pipe's reader holds its lock just now. So the
                // reopened pipe below is tried, too.
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
        // Without /proc, or on a terminal that another user owns, the poll above has to suffice.
        Err(_) => write(fd, line),
    }
}

/// Opens a regular file that exists, is empty and has one name. Follows no link. `None` means that
/// there is no such file.
pub(crate) fn open_empty_file(path: &str) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = open_at(CWD, path, flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    (is_regular(&stat) && stat.st_size == 0 && stat.st_nlink <= 1).then_some(file)
}

/// Replaces the content of a file. A file without a length, such as a FIFO, is only written to.
pub(crate) fn replace_content(file: BorrowedFd<'_>, content: &[u8]) -> Result<(), errno::Errno> {
    let _ = ftruncate(file, 0);
    write(file, content).map(|_| ()).map_err(super::errno)
}

/// Returns frigate's own standard output, for a child whose standard error is sent there.
pub(crate) fn standard_output() -> BorrowedFd<'static> {
    stdout()
}

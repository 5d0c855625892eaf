//! Standard output, standard error, and small files: whole messages, written in one call.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat};
use rustix::io::{Errno, IoSlice, ReadWriteFlags, pwritev2, write};
use rustix::net::SendFlags;
use rustix::stdio::{stderr, stdout};
use rustix::time::Timespec;

use super::open_at;
use crate::errno;

/// Writes what was asked for to standard output, however long its reader takes; false: it cannot be written.
pub(crate) fn to_stdout(text: &str) -> bool {
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

/// Writes a line to standard error if that takes it at once. Returns false if it does not, or if nobody reads it.
///
/// The description behind it is shared with the child and others, so that making it non-blocking would change it under
/// them. A look before the write (`poll(2)`) is no promise: another writer may be quicker, and a terminal that has room for
/// one byte waits for its reader before it takes the second. So each kind of stream has a way of its own to refuse:
/// a socket `MSG_DONTWAIT`, a pipe `RWF_NOWAIT` (Linux 6.4), and a terminal, or an older pipe, a description of frigate's
/// own, opened for this line. A regular file is always ready, and is written to as it is. A line is shorter than
/// `PIPE_BUF`: a pipe takes all of it or nothing.
pub(crate) fn to_stderr(line: &[u8]) -> bool {
    let fd = stderr();
    let mut look = [PollFd::new(&fd, PollFlags::OUT)];
    let ready = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(1);
    let flags = look.first().map_or(PollFlags::NVAL, PollFd::revents);
    // A pipe without a reader is writable by poll's lights, and a write to it would raise SIGPIPE.
    if !ready || !flags.contains(PollFlags::OUT) || flags.intersects(PollFlags::ERR | PollFlags::NVAL | PollFlags::HUP)
    {
        return false;
    }
    write_at_once(line) == Ok(line.len())
}

fn write_at_once(line: &[u8]) -> rustix::io::Result<usize> {
    let fd = stderr();
    let mut refused = Errno::NOTSUP;
    match fstat(fd).map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)) {
        FileType::Socket => return rustix::net::send(fd, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
        // -1: at the current position, as write(2).
        FileType::Fifo => match pwritev2(fd, &[IoSlice::new(line)], u64::MAX, ReadWriteFlags::NOWAIT) {
            Ok(written) => return Ok(written),
            // EAGAIN may also say that the pipe was locked by its reader just then.
            Err(error) => refused = error,
        },
        FileType::CharacterDevice => {}
        FileType::RegularFile | FileType::Directory | FileType::Symlink | FileType::BlockDevice | FileType::Unknown => {
            return write(fd, line);
        }
    }
    match open_at(CWD, "/proc/self/fd/2", FLAGS, Mode::empty()) {
        Ok(own) => write(own, line),
        Err(_) if refused == Errno::AGAIN => Err(refused),
        // No /proc, or somebody else's terminal, which has a reader: there the look has to do.
        Err(_) => write(fd, line),
    }
}

/// Never a terminal to be controlled by, never a FIFO to wait for.
const FLAGS: OFlags = OFlags::WRONLY.union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// Writes to a regular file that exists and is empty; does nothing to any other.
pub(crate) fn fill_empty(path: &str, content: &[u8]) {
    if let Ok(file) = open_at(CWD, path, FLAGS, Mode::empty())
        && fstat(&file)
            .is_ok_and(|stat| stat.st_size == 0 && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    {
        let _ = write(&file, content);
    }
}

/// Makes a file hold that and nothing else; a new one is readable by all.
pub(crate) fn replace(path: &str, content: &[u8]) -> Result<(), errno::Errno> {
    let flags = FLAGS.union(OFlags::CREATE).union(OFlags::TRUNC);
    let written = open_at(CWD, path, flags, Mode::from_raw_mode(0o644)).and_then(|file| write(&file, content));
    written.map(|_| ()).map_err(super::errno)
}

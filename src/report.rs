//! Says facts on standard error, one line each, and never waits for anybody to read them.

use core::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, IoSlice, ReadWriteFlags, pwritev2, write};
use rustix::stdio::stderr;

use crate::config::Verbosity;
use crate::fact::Fact;
use crate::line::Line;
use crate::message::{Format, Speaker};
use crate::sys::clock;

/// Says what the verbosity has, in the format that was asked for.
pub(crate) struct Reporter {
    pub(crate) speaker: Speaker,
    format: Format,
    verbosity: Verbosity,
    /// Messages that found standard error full since the last one that did not.
    dropped: u64,
}

impl Reporter {
    pub(crate) fn new(speaker: Speaker, format: Format, verbosity: Verbosity) -> Self {
        Self { speaker, format, verbosity, dropped: 0 }
    }

    pub(crate) fn say(&mut self, fact: &Fact<'_>) {
        if fact.level() > self.verbosity {
            return;
        }
        if self.dropped > 0 && self.write(&Fact::MessagesDropped { count: self.dropped }) {
            self.dropped = 0;
        }
        if !self.write(fact) {
            self.dropped += 1;
        }
    }

    fn write(&self, fact: &Fact<'_>) -> bool {
        write_line(&self.speaker.line(fact, self.format, clock::wall()))
    }
}

/// Writes a line to standard error if that takes it at once; false: it does not, or is closed.
///
/// The description behind it is shared with the child and others, so that making it non-blocking would change it under
/// them. A look before the write (`poll(2)`) is no promise, since another writer may be quicker: `RWF_NOWAIT` is, on pipes
/// since Linux 6.4. A regular file is always ready, and is written to as it is. A line is shorter than `PIPE_BUF`: a pipe
/// takes all of it or nothing.
pub(crate) fn write_line(line: &Line) -> bool {
    let fd = stderr();
    let mut look = [PollFd::new(&fd, PollFlags::OUT)];
    let now = rustix::time::Timespec::try_from(Duration::ZERO).unwrap_or_default();
    let ready = poll(&mut look, Some(&now)) == Ok(1);
    let flags = look.first().map_or(PollFlags::NVAL, PollFd::revents);
    // A pipe without a reader is writable by poll's lights, and a write to it would raise SIGPIPE.
    if !ready || !flags.contains(PollFlags::OUT) || flags.intersects(PollFlags::ERR | PollFlags::NVAL | PollFlags::HUP)
    {
        return false;
    }
    let bytes = line.as_bytes();
    if fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo) {
        // -1: at the current position, as write(2).
        match pwritev2(fd, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            result => return result.is_ok(),
        }
    }
    write(fd, bytes).is_ok()
}

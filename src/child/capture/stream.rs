//! One captured stream: a pipe, and the file that it ends in.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use super::file::LogFile;
use crate::child::capture::LogPath;
use crate::child::capture::Logs;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::moment::Moment;
use crate::sys::capture::{Buffer, Pipe, ROOM};
use crate::sys::clock;
use crate::sys::safe_open::{ChildUser, OpenError};
use crate::sys::signals::Watch;

/// The shortest time from one line about dropped bytes to the next: a disk that is full by turns
/// fills no terminal.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) struct Stream {
    pub(super) pipe: Pipe,
    /// Bytes that have left the pipe and are not in the file yet: it was full and is to be rotated
    /// first, or it is not a file but a FIFO or a terminal whose reader is slow.
    buffer: Buffer,
    pub(super) file: LogFile,
    /// Which of the child's streams it is.
    pub(super) place: usize,
    /// The file could not be opened or rotated, which was said.
    is_troubled: bool,
    /// Bytes that could not be written and that nobody was told of yet, and why not.
    dropped: u64,
    reason: Errno,
    said_at: Option<Moment>,
    /// How many bytes may still be read from the pipe at the end.
    left: usize,
}

impl Stream {
    pub(super) fn open(
        log: &LogPath,
        logs: &Logs,
        place: usize,
        user: Option<ChildUser<'_>>,
    ) -> Result<Self, OpenError> {
        let file = LogFile::open(&log.path, logs.max_bytes, logs.backups, user)?;
        Ok(Self {
            pipe: Pipe::holding(ROOM)?,
            buffer: Buffer::new(),
            file,
            place,
            is_troubled: false,
            dropped: 0,
            reason: Errno::AGAIN,
            said_at: None,
            left: 0,
        })
    }

    /// Adds everything that must stay open. Not inlined, since a plain run has no stream.
    #[inline(never)]
    pub(super) fn push_descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.extend([
            self.pipe.reader(),
            self.pipe.writer(),
            self.file.descriptor(),
        ]);
        all.extend(self.file.directory());
    }

    /// Bytes that were read go first. A regular file is always writable: this only lets signals
    /// have their turn.
    pub(super) fn watch(&self) -> Watch<'_> {
        if self.buffer.pending().is_empty() {
            Watch::readable(self.pipe.reader())
        } else {
            Watch::writable(self.file.descriptor())
        }
    }

    /// Reads a chunk, or takes what is left of the one before, and writes as much of it as the file
    /// takes in one call. Returns how many bytes have left the pipe. What cannot be written is
    /// dropped, so that the child never waits for a disk.
    pub(super) fn work(&mut self, say: &mut dyn FnMut(&Fact<'_>)) -> usize {
        let mut read = 0;
        if self.buffer.pending().is_empty() {
            read = self.buffer.fill(&self.pipe);
            if read == 0 {
                return 0;
            }
        }
        match self.file.ready() {
            Ok(is_changed) => self.is_troubled &= !is_changed,
            Err((verb, error)) => {
                if !core::mem::replace(&mut self.is_troubled, true) {
                    let then = error.followed_by("going on in the file at hand");
                    say(&Fact::Cannot {
                        verb,
                        object: self.file.path(),
                        errno: error.errno,
                        then: &then,
                    });
                }
            }
        }
        match self.file.write(self.buffer.pending()) {
            Ok(written) => {
                self.buffer.take(written);
                if self.dropped > 0
                    && self
                        .said_at
                        .is_none_or(|at| clock::now().since(at) >= SILENCE)
                {
                    self.tell(say);
                }
            }
            Err(Errno::AGAIN) => {}
            Err(errno) => self.drop_pending(errno),
        }
        read
    }

    fn drop_pending(&mut self, reason: Errno) {
        let length = self.buffer.pending().len();
        if length > 0 {
            self.buffer.take(length);
            self.dropped += length as u64;
            self.reason = reason;
        }
    }

    /// Says what was dropped since it was last said.
    fn tell(&mut self, say: &mut dyn FnMut(&Fact<'_>)) {
        if self.dropped > 0 {
            say(&Fact::LogDropped {
                file: self.file.path(),
                count: self.dropped,
                errno: self.reason,
            });
            self.dropped = 0;
            self.said_at = Some(clock::now());
        }
    }

    /// From now on reads as much as the pipe can hold, and no more: whoever still holds it may
    /// write for ever.
    pub(super) fn begin_end(&mut self) {
        self.left = self.pipe.capacity();
    }

    /// Works until nothing is left, or the file has to be looked at again before it takes more.
    /// Returns whether nothing is left.
    pub(super) fn drain(&mut self, say: &mut dyn FnMut(&Fact<'_>)) -> bool {
        if !self.buffer.pending().is_empty() {
            self.work(say);
        }
        while self.left > 0 && self.buffer.pending().is_empty() {
            let read = self.work(say);
            self.count(read);
        }
        self.buffer.pending().is_empty()
    }

    fn count(&mut self, read: usize) {
        self.left = if read == 0 {
            0
        } else {
            self.left.saturating_sub(read)
        };
    }

    /// Drops what is left, and says so.
    pub(super) fn give_up(&mut self, say: &mut dyn FnMut(&Fact<'_>)) {
        self.drop_pending(Errno::TIMED_OUT);
        while self.left > 0 {
            let read = self.buffer.fill(&self.pipe);
            self.count(read);
            self.drop_pending(Errno::TIMED_OUT);
        }
        self.tell(say);
    }
}

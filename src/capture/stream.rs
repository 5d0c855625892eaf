//! One captured stream: a pipe, and the file that it ends in.

use core::time::Duration;
use std::ffi::CString;

use super::file::LogFile;
use crate::config::{LogPath, Logs};
use crate::errno::Errno;
use crate::fact::Fact;
use crate::moment::Moment;
use crate::sys::capture::{CHUNK, Pipe, ROOM};
use crate::sys::clock;
use crate::sys::signals::Watch;

/// The shortest time from one line about dropped bytes to the next: a disk that is full by turns fills no terminal.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) struct Stream {
    pub(super) pipe: Pipe,
    /// On the way to the file.
    pub(super) stage: Pipe,
    pub(super) file: LogFile,
    /// Which of the child's streams it is.
    pub(super) place: usize,
    /// Not a file, but a FIFO or a terminal whose reader is slow: bytes stay in the pipe until it takes more.
    is_stuck: bool,
    /// The file could not be opened or rotated, which was said.
    is_troubled: bool,
    /// Bytes that could not be written and that nobody was told of yet, and why not.
    dropped: u64,
    reason: Errno,
    said_at: Option<Moment>,
}

impl Stream {
    pub(super) fn open(log: &LogPath, logs: &Logs, place: usize) -> Result<Self, Errno> {
        let path = CString::new(log.path.clone().into_bytes()).unwrap_or_default();
        let file = LogFile::open(path, logs.max_bytes, logs.backups)?;
        Ok(Self {
            pipe: Pipe::holding(ROOM)?,
            stage: Pipe::holding(CHUNK)?,
            file,
            place,
            is_stuck: false,
            is_troubled: false,
            dropped: 0,
            reason: Errno::AGAIN,
            said_at: None,
        })
    }

    pub(super) fn watch(&self) -> Watch<'_> {
        if self.is_stuck { Watch::writable(self.file.descriptor()) } else { Watch::readable(self.pipe.reader()) }
    }

    /// Moves one chunk at most; answers how many bytes have left the pipe. What cannot be written is dropped, so that the
    /// child never waits for a disk.
    pub(super) fn work(&mut self, most: usize, say: &mut dyn FnMut(&Fact<'_>)) -> usize {
        let most = most.min(CHUNK);
        match self.file.ready() {
            Ok(is_changed) => self.is_troubled &= !is_changed,
            Err((verb, errno)) => {
                if !core::mem::replace(&mut self.is_troubled, true) {
                    let then = "going on in the file at hand";
                    say(&Fact::Cannot { verb, object: self.file.path(), errno, then });
                }
            }
        }
        let moved = self.file.take(&self.pipe, &self.stage, most);
        let mut gone = moved.written + moved.lost;
        match moved.failure {
            Some(Errno::AGAIN) if moved.lost == 0 => self.is_stuck = self.pipe.held() > 0,
            Some(errno) => {
                self.is_stuck = false;
                if moved.lost == 0 {
                    gone += self.pipe.discard(most - gone);
                }
                self.dropped += (gone - moved.written) as u64;
                self.reason = errno;
            }
            None => {
                self.is_stuck = false;
                if self.dropped > 0 && self.said_at.is_none_or(|at| clock::now().since(at) >= SILENCE) {
                    self.tell(say);
                }
            }
        }
        gone
    }

    /// Says what was dropped since it was last said.
    fn tell(&mut self, say: &mut dyn FnMut(&Fact<'_>)) {
        if self.dropped > 0 {
            say(&Fact::LogDropped { file: self.file.path(), count: self.dropped, errno: self.reason });
            self.dropped = 0;
            self.said_at = Some(clock::now());
        }
    }

    /// Moves what is in the pipe now, and no more: whoever still holds it may write for ever.
    pub(super) fn drain(&mut self, say: &mut dyn FnMut(&Fact<'_>)) {
        let mut left = self.pipe.held();
        while left > 0 {
            let gone = self.work(left, say);
            if gone == 0 && !(self.is_stuck && self.watch().briefly()) {
                self.reason = Errno::TIMED_OUT;
                self.dropped += self.pipe.discard(left) as u64;
                break;
            }
            left = left.saturating_sub(gone);
        }
        self.tell(say);
    }
}

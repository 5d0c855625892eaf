//! A captured stream: a pipe, and the log file at its end.

use core::time::Duration;

use super::file::LogFile;
use crate::child::capture::{LogPath, Logs};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::moment::Moment;
use crate::sys::clock;
use crate::sys::safe_open::{ChildUser, OpenError};
use crate::sys::signals::Watch;
use crate::sys::stream_pipe::{Buffer, PIPE_CAPACITY_BYTES, StreamPipe};

/// The shortest time between two reports of dropped bytes. A disk that is full again and again must
/// not flood the messages.
const MIN_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Which of the child's streams is captured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Output,
    Error,
}

/// A captured stream of a child.
pub(super) struct Stream {
    pub(super) pipe: StreamPipe,
    /// Bytes that were read from the pipe and are not in the file yet: the file must be rotated
    /// first, or it is a FIFO or terminal with a slow reader.
    buffer: Buffer,
    pub(super) file: LogFile,
    pub(super) kind: StreamKind,
    /// Whether it was reported that the file cannot be opened or rotated.
    is_failure_reported: bool,
    /// Bytes that could not be written and are not reported yet.
    dropped: u64,
    /// Why the last of them could not be written.
    drop_reason: Errno,
    /// When dropped bytes were last reported.
    reported_at: Option<Moment>,
    /// How many bytes `drain` may still read from the pipe.
    drain_left: usize,
}

impl Stream {
    pub(super) fn open(
        log: &LogPath,
        logs: &Logs,
        kind: StreamKind,
        user: Option<ChildUser<'_>>,
    ) -> Result<Self, OpenError> {
        let file = LogFile::open(&log.path, logs.max_bytes, logs.backups, user)?;
        Ok(Self {
            pipe: StreamPipe::with_capacity(PIPE_CAPACITY_BYTES)?,
            buffer: Buffer::new(),
            file,
            kind,
            is_failure_reported: false,
            dropped: 0,
            drop_reason: Errno::AGAIN,
            reported_at: None,
            drain_left: 0,
        })
    }

    /// Returns what the stream waits for: the file while there are bytes for it, otherwise the
    /// pipe. A regular file is always writable; to poll it still lets signals have their turn.
    pub(super) fn watch(&self) -> Watch<'_> {
        if self.buffer.pending().is_empty() {
            Watch::readable(self.pipe.reader())
        } else {
            Watch::writable(self.file.descriptor())
        }
    }

    /// Reads a chunk, unless bytes of the one before are left, and writes as much as the file takes
    /// in one call. Drops what cannot be written, so that the child never waits for a disk. Returns
    /// how many bytes were read from the pipe.
    pub(super) fn move_chunk(&mut self, report: &mut dyn FnMut(&Fact<'_>)) -> usize {
        let mut read = 0;
        if self.buffer.pending().is_empty() {
            read = self.buffer.read_from(&self.pipe);
            if read == 0 {
                return 0;
            }
        }
        match self.file.prepare() {
            Ok(is_changed) => self.is_failure_reported &= !is_changed,
            Err((verb, error)) => {
                if !core::mem::replace(&mut self.is_failure_reported, true) {
                    let then = error.followed_by("going on in the file at hand");
                    report(&Fact::Cannot {
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
                self.buffer.consume(written);
                if self.dropped > 0
                    && self
                        .reported_at
                        .is_none_or(|at| clock::now().since(at) >= MIN_REPORT_INTERVAL)
                {
                    self.report_dropped(report);
                }
            }
            Err(Errno::AGAIN) => {}
            Err(errno) => self.drop_pending(errno),
        }
        read
    }

    /// Drops the bytes that are not written yet.
    fn drop_pending(&mut self, reason: Errno) {
        let length = self.buffer.pending().len();
        if length > 0 {
            self.buffer.consume(length);
            self.dropped += length as u64;
            self.drop_reason = reason;
        }
    }

    /// Reports the bytes that were dropped since the last report.
    fn report_dropped(&mut self, report: &mut dyn FnMut(&Fact<'_>)) {
        if self.dropped > 0 {
            report(&Fact::LogDropped {
                file: self.file.path(),
                count: self.dropped,
                errno: self.drop_reason,
            });
            self.dropped = 0;
            self.reported_at = Some(clock::now());
        }
    }

    /// Limits what `drain` reads to what the pipe can hold now: a process that still holds the pipe
    /// may write forever.
    pub(super) fn begin_drain(&mut self) {
        self.drain_left = self.pipe.capacity();
    }

    /// Moves chunks until nothing is left, or the file takes no more for now. Returns whether
    /// nothing is left.
    pub(super) fn drain(&mut self, report: &mut dyn FnMut(&Fact<'_>)) -> bool {
        if !self.buffer.pending().is_empty() {
            self.move_chunk(report);
        }
        while self.drain_left > 0 && self.buffer.pending().is_empty() {
            let read = self.move_chunk(report);
            self.count_drained(read);
        }
        self.buffer.pending().is_empty()
    }

    /// Counts bytes that were read at the end. None read means that the pipe is empty.
    fn count_drained(&mut self, read: usize) {
        self.drain_left = if read == 0 {
            0
        } else {
            self.drain_left.saturating_sub(read)
        };
    }

    /// Drops all that is left, and reports it.
    pub(super) fn drop_rest(&mut self, report: &mut dyn FnMut(&Fact<'_>)) {
        self.drop_pending(Errno::TIMED_OUT);
        while self.drain_left > 0 {
            let read = self.buffer.read_from(&self.pipe);
            self.count_drained(read);
            self.drop_pending(Errno::TIMED_OUT);
        }
        self.report_dropped(report);
    }
}

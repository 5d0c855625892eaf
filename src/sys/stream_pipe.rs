//! Pipes that a child's streams are captured by.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, Uid};
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use rustix::{fs, io};

use super::errno;
use crate::core::errno::Errno;

/// What a child's pipe is made to hold: the most that needs no privilege by default
/// (`/proc/sys/fs/pipe-max-size`).
pub(crate) const PIPE_CAPACITY_BYTES: usize = 1 << 20;

/// The most that is read at once. The binary's allocator maps a block of this size by itself, so
/// that only the pages that were ever filled take up memory.
const CHUNK_BYTES: usize = 128 << 10;

/// A pipe of which this process holds both ends, so that it outlives every writer.
pub(crate) struct StreamPipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl StreamPipe {
    pub(crate) fn with_capacity(bytes: usize) -> Result<Self, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        // This flag belongs to the description of this end alone: the child's end blocks, as
        // programs expect of their streams.
        fs::fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(errno)?;
        // Refused where the user has too much in pipes already (pipe(7)); 64 KiB will do then.
        let _ = fcntl_setpipe_size(&writer, bytes);
        Ok(Self { reader, writer })
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// The writer's end for a new child, without the flags that a child before it may have set: all
    /// of them share one description, and a program that finds its output non-blocking loses what
    /// does not fit.
    pub(crate) fn blocking_writer(&self) -> BorrowedFd<'_> {
        let _ = fs::fcntl_setfl(&self.writer, OFlags::empty());
        self.writer.as_fd()
    }

    /// The most that can be in it: the child may have made it larger.
    pub(crate) fn capacity(&self) -> usize {
        fcntl_getpipe_size(&self.reader).unwrap_or(PIPE_CAPACITY_BYTES)
    }

    /// Gives it to the user, so that `/dev/stdout` can be opened by name; where that may not be, it
    /// stays as it is.
    pub(crate) fn set_owner(&self, uid: u32) {
        let _ = fs::fchown(&self.writer, Some(Uid::from_raw(uid)), None);
    }
}

/// Bytes that were read from a pipe and that the target has not taken yet.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    written: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(CHUNK_BYTES),
            written: 0,
        }
    }

    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, length: usize) {
        self.written += length;
    }

    /// Reads one chunk in place of what has been taken. Returns its length; 0 if nothing is there.
    pub(crate) fn read_from(&mut self, pipe: &StreamPipe) -> usize {
        self.bytes.clear();
        self.written = 0;
        io::read(&pipe.reader, spare_capacity(&mut self.bytes)).unwrap_or(0)
    }
}

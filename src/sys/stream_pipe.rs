//! The pipe of a captured stream, and the bytes that were read from it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, Uid};
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use rustix::{fs, io};

use super::errno;
use super::own_descriptor::note_own;
use crate::core::errno::Errno;

/// The capacity of a child's pipe: the most that needs no privilege by default
/// (`/proc/sys/fs/pipe-max-size`).
pub(crate) const PIPE_CAPACITY_BYTES: usize = 1 << 20;

/// The most that is read in one call. The binary's allocator maps a block of this size separately,
/// so only pages that were once filled take up memory.
const CHUNK_BYTES: usize = 128 << 10;

/// A pipe whose two ends frigate holds. So it outlives every child that writes to it.
pub(crate) struct StreamPipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl StreamPipe {
    pub(crate) fn with_capacity(bytes: usize) -> Result<Self, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        // The flag belongs to the open file description of this end only (open(2)). The child's end
        // blocks, as programs expect of their streams.
        fs::fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(errno)?;
        // Refused if the pipes of this user hold too much already (pipe(7)); then 64 KiB suffice.
        let _ = fcntl_setpipe_size(&writer, bytes);
        Ok(Self {
            reader: note_own(reader),
            writer: note_own(writer),
        })
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Returns the writing end for a new child, in blocking mode. All children share one open file
    /// description, and an earlier one may have made it non-blocking: then the next program would
    /// lose what does not fit.
    pub(crate) fn blocking_writer(&self) -> BorrowedFd<'_> {
        let _ = fs::fcntl_setfl(&self.writer, OFlags::empty());
        self.writer.as_fd()
    }

    /// Returns the capacity in bytes. It is asked of the kernel, because the child may have made
    /// the pipe larger.
    pub(crate) fn capacity(&self) -> usize {
        fcntl_getpipe_size(&self.reader).unwrap_or(PIPE_CAPACITY_BYTES)
    }

    /// Makes the user the owner, so that it can open `/dev/stdout` by name. Without the privilege
    /// the owner stays.
    pub(crate) fn set_owner(&self, uid: u32) {
        let _ = fs::fchown(&self.writer, Some(Uid::from_raw(uid)), None);
    }
}

/// Bytes that were read from a pipe and are not written yet.
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

    /// Returns the bytes that are not written yet.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// Marks bytes as written or dropped.
    pub(crate) fn consume(&mut self, length: usize) {
        self.written += length;
    }

    /// Reads one chunk, which replaces the one before. Returns its length; 0 if the pipe is empty.
    pub(crate) fn read_from(&mut self, pipe: &StreamPipe) -> usize {
        self.bytes.clear();
        self.written = 0;
        io::read(&pipe.reader, spare_capacity(&mut self.bytes)).unwrap_or(0)
    }
}

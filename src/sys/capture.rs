//! Pipes that a child's streams are captured by, and the files that their bytes are moved to.

use core::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, Uid};
use rustix::io::Errno as RawErrno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use rustix::{fs, io};

use super::errno;
use crate::errno::Errno;

/// What a child's pipe is made to hold: the most that needs no privilege by default (`/proc/sys/fs/pipe-max-size`).
pub(crate) const ROOM: usize = 1 << 20;

/// The most that is moved at once.
pub(crate) const CHUNK: usize = 256 << 10;

/// What is copied at once where the kernel moves nothing by itself.
const BUFFER: usize = 16 << 10;

/// A pipe of which this process holds both ends, so that it outlives every writer.
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    pub(crate) fn holding(room: usize) -> Result<Self, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        // Of this end's description alone: the child's end is one that blocks, as programs expect of their streams.
        fs::fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(errno)?;
        // Refused where the user has too much in pipes already (pipe(7)); 64 KiB will do then.
        let _ = fcntl_setpipe_size(&writer, room);
        Ok(Self { reader, writer })
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// `FIONREAD`: how many bytes are in it.
    pub(crate) fn held(&self) -> usize {
        io::ioctl_fionread(&self.reader).ok().and_then(|held| usize::try_from(held).ok()).unwrap_or(0)
    }

    /// Gives it to the user, so that `/dev/stdout` can be opened by name; where that may not be, it stays as it is.
    pub(crate) fn give(&self, uid: u32) {
        let _ = fs::fchown(&self.writer, Some(Uid::from_raw(uid)), None);
    }

    /// Reads bytes away, as long as there are any and at most so many; answers how many.
    pub(crate) fn discard(&self, most: usize) -> usize {
        let mut buffer = [0; BUFFER];
        let mut gone = 0;
        while gone < most
            && let Some(space) = buffer.get_mut(..BUFFER.min(most - gone))
            && let Ok(length @ 1..) = io::read(&self.reader, space)
        {
            gone += length;
        }
        gone
    }
}

/// What became of the bytes of one move.
pub(crate) struct Moved {
    pub(crate) written: usize,
    /// Had left the pipe when the write failed.
    pub(crate) lost: usize,
    /// `Errno::AGAIN`: the pipe is empty, or the target takes no more for now.
    pub(crate) failure: Option<Errno>,
}

/// A file, or what stands in its place: a FIFO, a terminal, `/dev/null`.
pub(crate) struct Target {
    fd: OwnedFd,
    device: u64,
    inode: u64,
    /// It has an offset, and can be rotated.
    pub(crate) is_regular: bool,
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn size(stat: &Stat) -> u64 {
    stat.st_size.unsigned_abs()
}

impl Target {
    /// Opens what is there, or makes a file; answers with its size too. Never waits for the reader of a FIFO, never makes a
    /// terminal the controlling one. Without `O_APPEND`, which `splice(2)` refuses.
    pub(crate) fn open(place: &Place, path: &CStr) -> Result<(Self, u64), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let fd = fs::openat(place.directory(), path, flags, Mode::from_raw_mode(0o644)).map_err(errno)?;
        let stat = fs::fstat(&fd).map_err(errno)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok((Self { fd, device: stat.st_dev, inode: stat.st_ino, is_regular }, size(&stat)))
    }

    /// The file's size, if the path still leads to it.
    pub(crate) fn size_at(&self, place: &Place, path: &CStr) -> Option<u64> {
        let stat = place.look(path)?;
        (stat.st_dev == self.device && stat.st_ino == self.inode).then(|| size(&stat))
    }

    /// Throws away what is in it.
    pub(crate) fn empty(&self) -> Result<(), Errno> {
        fs::ftruncate(&self.fd, 0).map_err(errno)
    }

    /// Moves what is in the pipe, at most so many bytes, to this offset of the file.
    ///
    /// By way of `stage`, which is empty before and after: as long as a file is written to, `splice(2)` keeps the pipe that it
    /// reads from locked, and whoever writes to that would wait for the disk. From pipe to pipe only references move.
    pub(crate) fn take(&self, pipe: &Pipe, stage: &Pipe, offset: u64, most: usize) -> Moved {
        if !self.is_regular {
            return self.take_from(pipe, offset, most);
        }
        let staged = match splice(&pipe.reader, None, &stage.writer, None, most, SpliceFlags::NONBLOCK) {
            Ok(staged) => staged,
            Err(failure) => return Moved { written: 0, lost: 0, failure: Some(errno(failure)) },
        };
        let mut all = Moved { written: 0, lost: 0, failure: None };
        while all.failure.is_none() && all.written < staged {
            let moved = self.take_from(stage, offset + all.written as u64, staged - all.written);
            all = Moved { written: all.written + moved.written, ..moved };
        }
        all.lost += stage.discard(staged - all.written - all.lost);
        all
    }

    /// `splice(2)`. Not every file takes that.
    fn take_from(&self, pipe: &Pipe, offset: u64, most: usize) -> Moved {
        let mut at = offset;
        let at = self.is_regular.then_some(&mut at);
        match splice(&pipe.reader, None, &self.fd, at, most, SpliceFlags::NONBLOCK) {
            // A file that takes nothing and does not say why would be offered the same bytes for ever.
            Ok(0) => Moved { written: 0, lost: 0, failure: Some(Errno::IO) },
            Ok(written) => Moved { written, lost: 0, failure: None },
            Err(RawErrno::INVAL) => self.copy(pipe, offset, most),
            Err(failure) => Moved { written: 0, lost: 0, failure: Some(errno(failure)) },
        }
    }

    fn copy(&self, pipe: &Pipe, offset: u64, most: usize) -> Moved {
        let mut buffer = [0; BUFFER];
        let mut written = 0;
        let mut failure = None;
        let length = buffer.get_mut(..BUFFER.min(most)).map_or(Ok(0), |space| io::read(&pipe.reader, space));
        let length = length.unwrap_or_else(|error| {
            failure = Some(errno(error));
            0
        });
        while let Some(rest @ [_, ..]) = buffer.get(written..length) {
            let result = if self.is_regular {
                io::pwrite(&self.fd, rest, offset + written as u64)
            } else {
                io::write(&self.fd, rest)
            };
            match result {
                Ok(length) => written += length,
                Err(error) => {
                    failure = Some(errno(error));
                    break;
                }
            }
        }
        Moved { written, lost: length - written, failure }
    }
}

/// The directory that relative paths mean, which frigate leaves. Where it cannot be had only absolute ones lead anywhere.
pub(crate) struct Place(Option<OwnedFd>);

impl Place {
    pub(crate) fn here() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self(fs::openat(CWD, c".", flags, Mode::empty()).ok())
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.0.as_ref().map_or(CWD, AsFd::as_fd)
    }

    fn look(&self, path: &CStr) -> Option<Stat> {
        fs::statat(self.directory(), path, fs::AtFlags::empty()).ok()
    }

    pub(crate) fn has(&self, path: &CStr) -> bool {
        self.look(path).is_some()
    }

    pub(crate) fn rename(&self, from: &CStr, to: &CStr) -> Result<(), Errno> {
        fs::renameat(self.directory(), from, self.directory(), to).map_err(errno)
    }
}

/// frigate's own, for a child's standard error that goes the same way.
pub(crate) fn standard_output() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

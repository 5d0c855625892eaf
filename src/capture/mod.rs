//! Log capture: a child's streams, by pipes, into files.
//!
//! Each captured stream has one pipe for all starts. frigate holds both ends, so that nothing in it is lost with a child, and
//! no end of file wakes anybody. Whoever drives a child polls `watches`, and calls `work` for those that are ready: each call
//! moves a bounded chunk, and never waits.

mod file;
mod stream;

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use crate::config::{LogPath, Logs};
use crate::errno::Errno;
use crate::fact::Fact;
use crate::sys::capture::{CHUNK, Pipe, Watch, standard_output};
use file::LogFile;
use stream::Stream;

/// The captured streams of one child.
#[derive(Default)]
pub(crate) struct Capture {
    out: Option<Stream>,
    err: Option<Stream>,
    /// Standard error goes where standard output goes.
    is_redirected: bool,
}

impl Capture {
    /// Opens the files and makes the pipes.
    ///
    /// # Errors
    ///
    /// The first file that cannot be had.
    pub(crate) fn open(logs: &Logs) -> Result<Self, (&LogPath, Errno)> {
        let err = logs.stderr.as_ref().filter(|_| !logs.redirect);
        Ok(Self { out: stream(logs.stdout.as_ref(), logs)?, err: stream(err, logs)?, is_redirected: logs.redirect })
    }

    /// Gives the pipes to the user that the child will be.
    pub(crate) fn give(&self, uid: u32) {
        for stream in [&self.out, &self.err].into_iter().flatten() {
            stream.pipe.give(uid);
        }
    }

    /// What the child's standard output and standard error are to be; none: they stay as they are.
    pub(crate) fn ends(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let out = self.out.as_ref().map(|stream| stream.pipe.writer());
        let err = self.err.as_ref().map(|stream| stream.pipe.writer());
        [out, if self.is_redirected { out.or_else(|| Some(standard_output())) } else { err }]
    }

    /// Adds everything that must stay open.
    pub(crate) fn descriptors<'a>(&'a self, to: &mut Vec<BorrowedFd<'a>>) {
        for stream in [&self.out, &self.err].into_iter().flatten() {
            to.extend([stream.pipe.reader(), stream.pipe.writer(), stream.file.descriptor(), stream.file.place()]);
        }
    }

    /// What is to be waited for: standard output's, standard error's.
    pub(crate) fn watches(&self) -> [Option<Watch<'_>>; 2] {
        [&self.out, &self.err].map(|stream| stream.as_ref().map(Stream::watch))
    }

    /// Moves a chunk of each stream that is ready.
    pub(crate) fn work(&mut self, ready: [bool; 2], say: &mut dyn FnMut(&Fact<'_>)) {
        for (stream, is_ready) in [&mut self.out, &mut self.err].into_iter().zip(ready) {
            if let (Some(stream), true) = (stream, is_ready) {
                stream.work(CHUNK, say);
            }
        }
    }

    /// Moves all that is there at the end, and says what could not be moved.
    pub(crate) fn drain(&mut self, say: &mut dyn FnMut(&Fact<'_>)) {
        for stream in [&mut self.out, &mut self.err].into_iter().flatten() {
            stream.drain(say);
        }
    }
}

fn stream<'a>(log: Option<&'a LogPath>, logs: &Logs) -> Result<Option<Stream>, (&'a LogPath, Errno)> {
    let Some(log) = log else { return Ok(None) };
    let path = CString::new(log.path.as_bytes()).unwrap_or_default();
    let file = LogFile::open(path, logs.max_bytes, logs.backups);
    let stream = file.and_then(|file| Ok(Stream::new(Pipe::new()?, file)));
    stream.map(Some).map_err(|errno| (log, errno))
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;

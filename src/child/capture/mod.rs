//! Log capture: a child's streams, by pipes, into files.
//!
//! Each captured stream has one pipe for all starts. frigate holds both ends, so that nothing in it
//! is lost with a child, and no end of file wakes anybody. Whoever drives a child polls `watches`,
//! and calls `move_ready` for those that are ready: each call moves a bounded chunk, and never waits.

mod file;
mod stream;

use core::time::Duration;
use std::os::fd::BorrowedFd;

use crate::core::fact::Fact;
use crate::sys::clock;
use crate::sys::output::standard_output;
use crate::sys::safe_open::{ChildUser, OpenError};
use crate::sys::signals::Watch;
use stream::{Stream, StreamKind};

/// How long the end waits for the readers of FIFOs and terminals, all streams together.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for somebody who asks more than once.
pub(crate) const SHORT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A log file, and how it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogPath {
    pub(crate) path: String,
    pub(crate) spelled: String,
}

/// Where the child's streams go, and how the files are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Logs {
    pub(crate) stdout: Option<LogPath>,
    pub(crate) stderr: Option<LogPath>,
    /// Standard error goes where standard output goes.
    pub(crate) redirect: bool,
    /// A file of that size is rotated; 0: none is.
    pub(crate) max_bytes: u64,
    pub(crate) backups: u32,
}

/// The captured streams of one child.
#[derive(Default)]
pub(crate) struct Capture {
    streams: Vec<Stream>,
    /// Standard error goes where standard output goes, even if that is not captured.
    is_redirected: bool,
}

impl Capture {
    /// Opens the files and makes the pipes, for a child of that user.
    ///
    /// # Errors
    ///
    /// The first file that cannot be had.
    #[inline(never)]
    pub(crate) fn open<'a>(
        logs: &'a Logs,
        user: Option<ChildUser<'_>>,
    ) -> Result<Self, (&'a LogPath, OpenError)> {
        let mut streams = Vec::new();
        for (log, kind) in [
            (&logs.stdout, StreamKind::Output),
            (&logs.stderr, StreamKind::Error),
        ] {
            if let Some(log) = log
                .as_ref()
                .filter(|_| kind == StreamKind::Output || !logs.redirect)
            {
                streams.push(Stream::open(log, logs, kind, user).map_err(|error| (log, error))?);
            }
        }
        Ok(Self {
            streams,
            is_redirected: logs.redirect,
        })
    }

    /// Gives the pipes to the user that the child will be.
    pub(crate) fn set_pipe_owner(&self, uid: u32) {
        for stream in &self.streams {
            stream.pipe.set_owner(uid);
        }
    }

    /// What the child's standard output and standard error are to be; none: they stay as they are.
    pub(crate) fn child_streams(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let (mut output, mut error) = (None, None);
        for stream in &self.streams {
            let writer = Some(stream.pipe.blocking_writer());
            match stream.kind {
                StreamKind::Output => output = writer,
                StreamKind::Error => error = writer,
            }
        }
        if self.is_redirected {
            error = output.or_else(|| Some(standard_output()));
        }
        [output, error]
    }

    /// Everything that must stay open.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let mut all = Vec::new();
        for stream in &self.streams {
            stream.push_descriptors(&mut all);
        }
        all
    }

    /// What is to be waited for, stream by stream.
    pub(crate) fn watches(&self) -> Vec<Watch<'_>> {
        let mut all = Vec::new();
        for stream in &self.streams {
            all.push(stream.watch());
        }
        all
    }

    /// Moves a chunk of each stream that is ready: bit by bit, in the order of `watches`.
    pub(crate) fn move_ready(&mut self, mut ready: u32, report: &mut dyn FnMut(&Fact<'_>)) {
        for stream in &mut self.streams {
            if ready & 1 > 0 {
                stream.move_chunk(report);
            }
            ready >>= 1;
        }
    }

    /// Moves all that is there at the end. What nobody takes within `timeout` is dropped, and
    /// said.
    ///
    /// `wait` sleeps until one of those watched is ready or the time is over; if it returns true,
    /// `SHORT_DRAIN_TIMEOUT` is left at most.
    pub(crate) fn drain(
        &mut self,
        timeout: Duration,
        wait: &mut dyn FnMut(Duration, &[Watch<'_>]) -> bool,
        report: &mut dyn FnMut(&Fact<'_>),
    ) {
        if !self.streams.is_empty() {
            self.drain_streams(timeout, wait, report);
        }
    }

    #[inline(never)]
    fn drain_streams(
        &mut self,
        timeout: Duration,
        wait: &mut dyn FnMut(Duration, &[Watch<'_>]) -> bool,
        report: &mut dyn FnMut(&Fact<'_>),
    ) {
        let mut deadline = clock::now().after(timeout);
        for stream in &mut self.streams {
            stream.begin_drain();
        }
        loop {
            let mut watches = Vec::new();
            for stream in &mut self.streams {
                if !stream.drain(report) {
                    watches.push(stream.watch());
                }
            }
            let now = clock::now();
            let left = deadline.since(now);
            if watches.is_empty() || left.is_zero() {
                break;
            }
            if wait(left, &watches) {
                deadline = deadline.min(now.after(SHORT_DRAIN_TIMEOUT));
            }
        }
        for stream in &mut self.streams {
            stream.drop_rest(report);
        }
    }
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;

//! Captures a child's streams: moves bytes from a pipe into a log file.
//!
//! Each captured stream has one pipe for all starts. frigate holds both ends: so a child that ends
//! takes no byte along, and no end of file wakes frigate. The caller polls `watches` and passes the
//! ready ones to `move_ready`. Each call moves a bounded chunk of each stream, and never waits.

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

/// How long `Capture::drain` waits for slow readers of FIFOs and terminals, for all streams
/// together.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The same timeout after a second stop signal.
pub(crate) const SHORT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The path of a log file, and the option that names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogPath {
    pub(crate) path: String,
    pub(crate) spelled: String,
}

/// The files for the child's streams, and when they are rotated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Logs {
    pub(crate) stdout: Option<LogPath>,
    pub(crate) stderr: Option<LogPath>,
    /// Whether standard error goes where standard output goes.
    pub(crate) redirect: bool,
    /// The size at which a file is rotated; 0 means never.
    pub(crate) max_bytes: u64,
    pub(crate) backups: u32,
}

/// The captured streams of one child.
#[derive(Default)]
pub(crate) struct Capture {
    streams: Vec<Stream>,
    /// Whether standard error goes where standard output goes, captured or not.
    is_redirected: bool,
}

impl Capture {
    /// Opens the files and makes the pipes, for a child of this user.
    ///
    /// # Errors
    ///
    /// The first file that cannot be opened or captured, and why.
    // Not inlined: what every run executes has 1,122 bytes less (`tools/order.ld`).
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

    /// Makes the child's user the owner of the pipes.
    pub(crate) fn set_pipe_owner(&self, uid: u32) {
        for stream in &self.streams {
            stream.pipe.set_owner(uid);
        }
    }

    /// Returns the child's standard output and standard error. `None` means that the child inherits
    /// frigate's.
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

    /// Returns what the caller must wait for, one watch a stream.
    pub(crate) fn watches(&self) -> Vec<Watch<'_>> {
        let mut all = Vec::new();
        for stream in &self.streams {
            all.push(stream.watch());
        }
        all
    }

    /// Returns the number of captured streams, and so of `watches`. It never changes.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Moves a chunk of each stream that is ready. Bit 0 of `ready` stands for the first of
    /// `watches`.
    pub(crate) fn move_ready(&mut self, mut ready: u32, report: &mut dyn FnMut(&Fact<'_>)) {
        for stream in &mut self.streams {
            if ready & 1 > 0 {
                stream.move_chunk(report);
            }
            ready >>= 1;
        }
    }

    /// Moves all that is left at the end. Drops and reports what no reader takes within `timeout`.
    ///
    /// `wait` sleeps until a watch is ready or the time is over. If it returns true, at most
    /// `SHORT_DRAIN_TIMEOUT` remains.
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

    // Not inlined: what every run executes has 726 bytes less (`tools/order.ld`).
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

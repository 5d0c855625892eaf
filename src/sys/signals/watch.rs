//! A descriptor that is watched with `poll(2)`.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};

/// A descriptor, and the events that are waited for.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub(in crate::sys) fd: BorrowedFd<'a>,
    pub(in crate::sys) flags: PollFlags,
}

impl<'a> Watch<'a> {
    pub(crate) const fn readable(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: PollFlags::IN,
        }
    }

    pub(crate) const fn writable(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: PollFlags::OUT,
        }
    }

    /// Waits for `POLLPRI`, by which the files of a cgroup report a change.
    pub(crate) const fn changed(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: PollFlags::PRI,
        }
    }
}

/// Sleeps until one of the descriptors is ready or the time is over (`poll(2)`). Returns one flag
/// for each: whether it is ready.
pub(crate) fn poll_watches(watched: &[Watch<'_>], timeout: Option<Duration>) -> Vec<bool> {
    let mut fds: Vec<PollFd<'_>> = watched
        .iter()
        .map(|watch| PollFd::from_borrowed_fd(watch.fd, watch.flags))
        .collect();
    let timeout = timeout.map(timespec);
    let _ = poll(&mut fds, timeout.as_ref());
    fds.iter().map(|fd| !fd.revents().is_empty()).collect()
}

pub(super) fn timespec(span: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

/// Whether the descriptor is ready now.
pub(in crate::sys) fn is_ready(watch: Watch<'_>) -> bool {
    poll(
        &mut [PollFd::from_borrowed_fd(watch.fd, watch.flags)],
        Some(&timespec(Duration::ZERO)),
    ) == Ok(1)
}

/// Whether there is something to read, or the other side has hung up. A pidfd is readable if its
/// process has ended.
pub(in crate::sys) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    is_ready(Watch::readable(fd))
}

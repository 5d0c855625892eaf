//! Standard descriptors, inherited ones, and the current directory.
#![expect(
    unsafe_code,
    reason = "close_range(2) over descriptors that nobody here owns"
)]

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::stdio::{stderr, stdin, stdout};

/// Opens `/dev/null` for each standard descriptor that is closed, so that no descriptor of
/// frigate's own lands there and is taken for a stream. Without a `/dev`, an unusable descriptor on
/// the root directory holds the place.
pub(crate) fn fill_standard() {
    let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
    let mut fds = [&stdin, &stdout, &stderr].map(|fd| PollFd::new(fd, PollFlags::empty()));
    let _ = poll(
        &mut fds,
        Some(&rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    );
    for fd in &fds {
        if fd.revents().contains(PollFlags::NVAL) {
            // The lowest number that is free, and so each time the one just found closed (open(2)).
            let null = open(c"/dev/null", OFlags::RDWR, Mode::empty());
            let place = null.or_else(|_| open(c"/", OFlags::PATH, Mode::empty()));
            let _ = place.map(IntoRawFd::into_raw_fd);
        }
    }
}

fn close_range(first: u32, last: u32) {
    if first > last {
        return;
    }
    // SAFETY: of the descriptors above 2 frigate owns those that the caller leaves out; all others
    // were inherited and are used by nobody here.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    // Before Linux 5.9, or under a filter that does not know the call: one by one, as far as
    // descriptors can go by default.
    for fd in first..=last.min(4095) {
        if let Ok(fd) = i32::try_from(fd) {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

/// Closes every descriptor above 2 but those in `keep`, and moves to `/`: frigate holds no socket,
/// no file and no mount.
pub(crate) fn let_go(keep: &[BorrowedFd<'_>]) {
    let mut first = 3;
    loop {
        let next = keep
            .iter()
            .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
            .filter(|fd| *fd >= first)
            .min();
        let Some(next) = next else { break };
        close_range(first, next - 1);
        first = next + 1;
    }
    close_range(first, u32::MAX);
    let _ = rustix::process::chdir(c"/");
}

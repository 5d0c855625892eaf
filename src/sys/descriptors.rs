//! Standard descriptors, inherited ones, and the current directory.
//!
//! # Safety
//!
//! Only descriptors that frigate inherited are closed by their number: no `OwnedFd` has them. The
//! two are told apart by their close-on-exec flag, which frigate sets on each of its own.
#![expect(
    unsafe_code,
    reason = "closes descriptors that were inherited, by number"
)]

use core::ffi::CStr;
use core::hint::black_box;
use std::os::fd::{IntoRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::stdio::{stderr, stdin, stdout};

use super::own_descriptor::highest_own;
use super::system_call;
use super::{errno, open_at};
use crate::core::errno::Errno;

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

/// Opens a file that takes every byte and keeps none.
pub(crate) fn open_null() -> Result<OwnedFd, Errno> {
    open_at(CWD, "/dev/null", OFlags::WRONLY, Mode::empty()).map_err(errno)
}

/// Closes every inherited descriptor above 2 and moves to `/`, so that frigate holds no socket, no
/// file and no mount.
///
/// No descriptor that survived the exec of this program is close-on-exec, and all of frigate's own
/// are. Above the highest of these all are inherited, and one call closes them.
pub(crate) fn release() {
    let highest = highest_own().max(2);
    for fd in 3..=highest {
        if is_inherited(fd) {
            close(fd);
        }
    }
    close_above(highest);
    // On the stack. As a constant it would lie among the texts of messages, which a run otherwise does
    // not touch: 64 kB of memory (`tools/layout.ld`, bounded by `benches/bounds.rs`).
    let root = black_box(*b"/\0");
    if let Ok(root) = CStr::from_bytes_with_nul(&root) {
        let _ = rustix::process::chdir(root);
    }
}

/// Calls `fcntl(F_GETFD)`. Returns whether the descriptor is open, and not close-on-exec.
fn is_inherited(fd: i32) -> bool {
    let [fd, operation] = [fd, libc::F_GETFD].map(|word| word.unsigned_abs() as usize);
    // SAFETY: the operation only looks, and fails if no descriptor has that number.
    unsafe { system_call::call(libc::SYS_fcntl, [fd, operation, 0, 0]) == 0 }
}

fn close(fd: i32) {
    // SAFETY: the descriptor was inherited, and nothing here uses it.
    unsafe { libc::close(fd) };
}

fn close_above(last: i32) {
    let first = last + 1;
    // SAFETY: nothing here uses an inherited descriptor, and no other is above `last`.
    if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } == 0 {
        return;
    }
    // Before Linux 5.9, or under a filter that does not know the call: one by one, as far as
    // descriptors can go by default.
    for fd in first..4096 {
        close(fd);
    }
}

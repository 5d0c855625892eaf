//! The only callers of the kernel.
//!
//! These modules know words such as `Signal` and `ExitStatus`, never `Config` or a state; they
//! decide nothing. Each deed has one home among the libraries: descriptors, files, polling,
//! terminals and reaping are `rustix`'s; sessions and ids are `nix`'s; what needs the kernel's own
//! 64-bit signal set, or a raw `clone` and `execve`, is `libc`'s.
//!
//! # Safety
//!
//! `signals`, `spawn`, `clone` and `host` hold nearly all unsafe code, `startup`, `clock`,
//! `descriptors` and `inherited` a call or two each; `heap` is the binary's allocator.

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod clone;
pub(crate) mod credentials;
pub(crate) mod descriptors;
// The binary's own; here it is tested.
#[cfg(test)]
mod heap;
pub(crate) mod host;
pub(crate) mod inherited;
pub(crate) mod kernel_file;
pub(crate) mod open_file;
pub(crate) mod output;
pub(crate) mod pidfd;
pub(crate) mod process;
pub(crate) mod reap;
pub(crate) mod safe_open;
pub(crate) mod signals;
pub(crate) mod spawn;
pub(crate) mod startup;
pub(crate) mod stream_pipe;
pub(crate) mod terminal;
pub(crate) mod user_database;
pub(crate) mod waker;

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::core::errno::Errno;
use crate::core::pid::Pid;

/// The error number of the C library call that failed just now.
fn last_errno() -> Errno {
    Errno::new(nix::errno::Errno::last_raw())
}

pub(crate) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::new(error.raw_os_error())
}

/// A path as the kernel takes it. All are made into one here, since rustix makes one anew for each
/// kind of string, with a place on the stack, and code for both.
fn c_path(path: &str) -> rustix::io::Result<CString> {
    CString::new(path.as_bytes().to_vec()).map_err(|_| rustix::io::Errno::INVAL)
}

/// `openat(2)`, never to be inherited.
fn open_at(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(
        directory,
        c_path(path)?.as_c_str(),
        flags | OFlags::CLOEXEC,
        mode,
    )
}

fn rustix_pid(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.raw())
}

//! The only callers of the kernel.
//!
//! These modules use types such as `Signal` and `ExitStatus`, never `Config` or a state. They
//! decide nothing. Each task has one crate: descriptors, files, polling, terminals and reaping use
//! `rustix`; sessions and ids use `nix`; the kernel's 64-bit signal set and raw calls of `clone`
//! and `execve` use `libc`.
//!
//! # Safety
//!
//! `signals`, `spawn`, `system_call` and `host` contain nearly all unsafe code. `startup`, `clock`,
//! `descriptors` and `inherited` contain a call or two each. `argument_area` writes to the memory of
//! the arguments. `heap` is the binary's allocator.

pub(crate) mod argument_area;
pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod credentials;
pub(crate) mod descriptors;
// The binary includes this file by its path; here it is tested.
#[cfg(test)]
mod heap;
pub(crate) mod host;
pub(crate) mod inherited;
pub(crate) mod inotify;
pub(crate) mod kernel_file;
pub(crate) mod notify_socket;
pub(crate) mod open_file;
pub(crate) mod output;
mod own_descriptor;
pub(crate) mod path_handle;
pub(crate) mod pidfd;
pub(crate) mod process;
pub(crate) mod reap;
pub(crate) mod safe_open;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod startup;
pub(crate) mod stream_pipe;
mod system_call;
pub(crate) mod terminal;
pub(crate) mod user_database;
pub(crate) mod waker;

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::core::errno::Errno;
use crate::core::pid::Pid;

/// Returns the error number of the C library call that has just failed.
fn last_errno() -> Errno {
    Errno::new(nix::errno::Errno::last_raw())
}

pub(crate) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::new(error.raw_os_error())
}

/// Returns a path as the kernel takes it. `rustix` would convert each kind of string by code of its
/// own, with a buffer on the stack.
fn c_path(path: &str) -> rustix::io::Result<CString> {
    CString::new(path.as_bytes().to_vec()).map_err(|_| rustix::io::Errno::INVAL)
}

/// Returns the path of the link by which procfs leads to a descriptor.
fn descriptor_link(fd: &OwnedFd) -> rustix::io::Result<CString> {
    c_path(&["/proc/self/fd/", &fd.as_raw_fd().to_string()].concat())
}

/// Opens a file that no child inherits (`openat(2)`).
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
    .map(own_descriptor::note_own)
}

fn rustix_pid(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.raw())
}

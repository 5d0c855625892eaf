//! Small files that the kernel makes: `/proc`'s and a cgroup's; and a cgroup's directory.

use core::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir, flock, mkdir, openat, unlinkat};
use rustix::io::{Errno as RawErrno, read, write};
use rustix::process::{PidfdFlags, pidfd_open};

use super::{c_path, errno, open_at, rustix_pid, signals};
use crate::errno::Errno;
use crate::number::number;
use crate::pid::Pid;
use crate::signal::Signal;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Reads a file of `/proc` to its end.
///
/// # Errors
///
/// It is not there, or may not be read.
pub(crate) fn read_proc(path: &str) -> Result<Vec<u8>, Errno> {
    read_from(CWD, path, 1)
}

/// Reads a cgroup's file to its end.
///
/// # Errors
///
/// It is not there, or may not be read.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, Errno> {
    read_from(CWD, path, LAST)
}

/// The kernel hands out as many whole records as fit in a page, however much is asked for. None in a cgroup's files is so
/// long that it would not have fitted where half of the page stayed free: such a read was the last.
const LAST: usize = 2048;

fn open(directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_at(directory, path, flags, Mode::empty()).map_err(errno)
}

/// Reads until a read is shorter than `last`.
fn read_from(directory: BorrowedFd<'_>, path: &str, last: usize) -> Result<Vec<u8>, Errno> {
    let file = open(directory, path, OFlags::RDONLY)?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = read(&file, &mut buffer[..]).map_err(errno)?;
        text.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if length < last {
            return Ok(text);
        }
    }
}

/// `mkdir(2)`: makes a cgroup.
pub(crate) fn make(path: &str) -> Result<(), Errno> {
    c_path(path).and_then(|path| mkdir(path.as_c_str(), Mode::from_raw_mode(0o755))).map_err(errno)
}

/// A file of the kernel's, open to be written to again and again.
pub(crate) struct Target(OwnedFd);

impl Target {
    pub(crate) fn open(path: &str) -> Result<Self, Errno> {
        Self::below(CWD, path)
    }

    fn below(directory: BorrowedFd<'_>, path: &str) -> Result<Self, Errno> {
        open(directory, path, OFlags::WRONLY).map(Self)
    }

    pub(crate) fn write(&self, value: &str) -> Result<(), Errno> {
        write(&self.0, value.as_bytes()).map(|_| ()).map_err(errno)
    }
}

/// A cgroup, held open: what is asked of it, is asked of this one, and not of another that got its name later.
pub(crate) struct Directory(OwnedFd);

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Directory {
    pub(crate) fn open(path: &str) -> Result<Self, Errno> {
        open(CWD, path, DIRECTORY).map(Self)
    }

    fn open_below(&self, name: &core::ffi::CStr) -> Result<Self, Errno> {
        openat(&self.0, name, DIRECTORY, Mode::empty()).map(Self).map_err(errno)
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        c_path(file).is_ok_and(|file| {
            rustix::fs::accessat(&self.0, file.as_c_str(), rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
        })
    }

    /// The whole of a file of it.
    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, Errno> {
        read_from(self.as_fd(), file, LAST)
    }

    pub(crate) fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        Target::below(self.as_fd(), file)?.write(value)
    }

    /// A file of it, open to be read again and again.
    pub(crate) fn file(&self, file: &str) -> Result<OwnedFd, Errno> {
        open(self.as_fd(), file, OFlags::RDONLY)
    }

    /// `flock(2)`: marks it as somebody's for as long as that process holds it open; false: it is somebody else's.
    pub(crate) fn claim(&self) -> bool {
        flock(&self.0, FlockOperation::NonBlockingLockExclusive) != Err(RawErrno::WOULDBLOCK)
    }

    fn each_subgroup(&self, each: &mut dyn FnMut(&core::ffi::CStr, &Self)) {
        // Its own position in the listing, which the descriptor at hand shares with every earlier one.
        let Ok(listing) = self.open_below(c".") else { return };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut entries = RawDir::new(&listing, &mut buffer[..]);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name();
            if entry.file_type() == FileType::Directory
                && !matches!(name.to_bytes(), b"." | b"..")
                && let Ok(below) = self.open_below(name)
            {
                each(name, &below);
            }
        }
    }

    /// Whether there are groups in it, other than those of that name.
    pub(crate) fn has_subgroups_but(&self, name: &str) -> bool {
        let mut found = false;
        self.each_subgroup(&mut |other, _| found |= other.to_bytes() != name.as_bytes());
        found
    }

    /// Removes the groups in it, the deepest first, as far as no process is in them.
    pub(crate) fn remove_subgroups(&self) {
        self.each_subgroup(&mut |name, below| {
            below.remove_subgroups();
            let _ = unlinkat(&self.0, name, AtFlags::REMOVEDIR);
        });
    }

    fn members(&self, out: &mut Vec<Pid>) {
        out.extend(pids(&self.read("cgroup.procs").unwrap_or_default()));
        self.each_subgroup(&mut |_, below| below.members(out));
    }

    /// Sends signals to every process in it and in the groups below. Each is held by a pidfd first and sought for once more:
    /// what is then still among them is not another process that got the id meanwhile.
    pub(crate) fn signal_members(&self, list: &[Signal]) {
        let mut members = Vec::new();
        self.members(&mut members);
        let held: Vec<(Pid, OwnedFd)> = members
            .into_iter()
            .filter_map(|pid| Some((pid, pidfd_open(rustix_pid(pid)?, PidfdFlags::empty()).ok()?)))
            .collect();
        let mut still = Vec::new();
        self.members(&mut still);
        for (_, pidfd) in held.iter().filter(|(pid, _)| still.contains(pid)) {
            for signal in list {
                let _ = signals::send_by_pidfd(pidfd.as_fd(), *signal);
            }
        }
    }
}

/// `rmdir(2)`: removes a cgroup that holds no process and no group.
pub(crate) fn remove(path: &str) -> Result<(), Errno> {
    c_path(path).and_then(|path| unlinkat(CWD, path.as_c_str(), AtFlags::REMOVEDIR)).map_err(errno)
}

/// The processes that a `cgroup.procs` lists, but those outside frigate's PID namespace, which stand there as 0.
pub(crate) fn pids(procs: &[u8]) -> impl Iterator<Item = Pid> {
    procs.split(|byte| *byte == b'\n').filter_map(|line| Pid::new(number(line)?))
}

/// Waits until the file has changed since it was last read, but not longer than that.
pub(crate) fn await_change(file: BorrowedFd<'_>, milliseconds: u32) {
    let timeout = rustix::time::Timespec {
        tv_sec: i64::from(milliseconds / 1000),
        tv_nsec: i64::from(milliseconds % 1000) * 1_000_000,
    };
    let _ = poll(&mut [PollFd::from_borrowed_fd(file, PollFlags::PRI)], Some(&timeout));
}

/// Reads a short file anew, from its beginning.
pub(crate) fn reread<'a>(file: BorrowedFd<'_>, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = rustix::io::pread(file, &mut *buffer, 0).ok()?;
    buffer.get(..length)
}

//! Small files that the kernel makes: `/proc`'s and a cgroup's; and a cgroup's directory.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir, SeekFrom, flock, mkdir, openat,
    seek, unlinkat,
};
use rustix::io::{Errno as RawErrno, pread, write};
use rustix::process::{PidfdFlags, pidfd_open};

use super::signals::send_by_pidfd;
use super::{c_path, errno, open_at, rustix_pid};
use crate::core::errno::Errno;
use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

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
    read_from(CWD, path, FULL_READ_BYTES)
}

/// The kernel hands out as many whole records as fit in a page, however much is asked for. None in
/// a cgroup's files is so long that it would not have fitted where half of the page stayed free:
/// such a read was the last.
const FULL_READ_BYTES: usize = 2048;

/// How many groups below another are visited. Of those with a memory controller the kernel has no
/// more in all: their ids are of 16 bits. The tests make do with less.
const MAX_VISITED_CGROUPS: u32 = if cfg!(test) { 6_000 } else { 65_535 };

/// How many processes are held by pidfds at once.
const MAX_HELD_PIDFDS: usize = 64;

fn open(directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_at(directory, path, flags, Mode::empty()).map_err(errno)
}

pub(super) fn read_from(
    directory: BorrowedFd<'_>,
    path: &str,
    full_read_bytes: usize,
) -> Result<Vec<u8>, Errno> {
    read_all(
        open(directory, path, OFlags::RDONLY)?.as_fd(),
        full_read_bytes,
    )
}

/// Reads from the beginning, until a read is shorter than `full_read_bytes`.
fn read_all(file: BorrowedFd<'_>, full_read_bytes: usize) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = pread(file, &mut buffer[..], text.len() as u64).map_err(errno)?;
        text.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if length < full_read_bytes {
            return Ok(text);
        }
    }
}

/// `mkdir(2)`: makes a cgroup.
pub(crate) fn create(path: &str) -> Result<(), Errno> {
    c_path(path)
        .and_then(|path| mkdir(path.as_c_str(), Mode::from_raw_mode(0o755)))
        .map_err(errno)
}

/// A file of the kernel's, open to be written to again and again.
pub(crate) struct WritableFile(OwnedFd);

impl WritableFile {
    pub(crate) fn open(path: &str) -> Result<Self, Errno> {
        Self::open_in(CWD, path)
    }

    fn open_in(directory: BorrowedFd<'_>, path: &str) -> Result<Self, Errno> {
        open(directory, path, OFlags::WRONLY).map(Self)
    }

    pub(crate) fn write(&self, value: &str) -> Result<(), Errno> {
        write(&self.0, value.as_bytes()).map(|_| ()).map_err(errno)
    }
}

impl AsFd for WritableFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A cgroup, held open: what is asked of it, is asked of this one, and not of another that got its
/// name later.
pub(crate) struct CgroupDirectory(OwnedFd);

impl AsFd for CgroupDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl CgroupDirectory {
    pub(crate) fn open(path: &str) -> Result<Self, Errno> {
        open(CWD, path, DIRECTORY_FLAGS).map(Self)
    }

    fn open_relative(&self, name: &CStr) -> Result<Self, Errno> {
        openat(&self.0, name, DIRECTORY_FLAGS, Mode::empty())
            .map(Self)
            .map_err(errno)
    }

    pub(crate) fn has_file(&self, file: &str) -> bool {
        c_path(file).is_ok_and(|file| {
            rustix::fs::accessat(
                &self.0,
                file.as_c_str(),
                rustix::fs::Access::EXISTS,
                AtFlags::empty(),
            )
            .is_ok()
        })
    }

    /// The whole of a file of it.
    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, Errno> {
        read_from(self.as_fd(), file, FULL_READ_BYTES)
    }

    pub(crate) fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        WritableFile::open_in(self.as_fd(), file)?.write(value)
    }

    /// A file of it, open to be read again and again.
    pub(crate) fn open_file(&self, file: &str) -> Result<OwnedFd, Errno> {
        open(self.as_fd(), file, OFlags::RDONLY)
    }

    /// `flock(2)`: marks it as this process's for as long as that holds the lock open. Returns
    /// `cgroup.kill`, which has the lock; `None` if the directory itself has it.
    ///
    /// Anybody may open the directory, and a child could so keep its lock beyond frigate's end.
    /// `cgroup.kill` (Linux 5.14) can be opened by the owner of the group alone.
    ///
    /// # Errors
    ///
    /// AGAIN: another process holds the lock. ACCESS: it is another user's. With `is_new` the group
    /// was made by the caller, and does not depend on that file.
    pub(crate) fn lock(&self, is_new: bool) -> Result<Option<WritableFile>, Errno> {
        let kill = match WritableFile::open_in(self.as_fd(), "cgroup.kill") {
            Err(errno) if !is_new && errno != Errno::NOT_FOUND => return Err(errno),
            kill => kill.ok(),
        };
        match flock(
            kill.as_ref().map_or(&self.0, |kill| &kill.0),
            FlockOperation::NonBlockingLockExclusive,
        ) {
            Err(RawErrno::WOULDBLOCK) => Err(Errno::AGAIN),
            _ => Ok(kill),
        }
    }

    /// Calls `visit` with the name of every group in it.
    fn for_each_subgroup(&self, visit: &mut dyn FnMut(&CStr)) {
        // The descriptor's position, which is shared with every earlier listing.
        let _ = seek(&self.0, SeekFrom::Start(0));
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut entries = RawDir::new(&self.0, &mut buffer[..]);
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name();
            if entry.file_type() == FileType::Directory && !matches!(name.to_bytes(), b"." | b"..")
            {
                visit(name);
            }
        }
    }

    /// Whether there are groups in it, other than those of that name.
    pub(crate) fn has_subgroup_other_than(&self, name: &str) -> bool {
        let mut found = false;
        self.for_each_subgroup(&mut |other| found |= other.to_bytes() != name.as_bytes());
        found
    }

    /// Visits the groups below, but not more than `MAX_VISITED_CGROUPS`: each when it is entered,
    /// and after those in it once more, in the group above and by its name.
    ///
    /// The groups are the child's, which may nest thousands of them, and make new ones as fast as
    /// they are visited. So the walk does not recurse, and it ends. It holds one group open and
    /// goes up by `..`: a path could be longer than the kernel takes, and descriptors may be few. A
    /// group of version 2 never moves, so that `..` is where the walk came from.
    fn visit_descendants(&self, visit: &mut dyn FnMut(&Self, Option<&CStr>)) {
        let Ok(mut current) = self.open_relative(c".") else {
            return;
        };
        let mut depth = 0_u32;
        let mut budget = MAX_VISITED_CGROUPS;
        // By depth and name; the last is the next, and a group that is entered waits below those in
        // it.
        let mut to_visit: Vec<(u32, CString, bool)> = Vec::new();
        loop {
            current.for_each_subgroup(&mut |name| {
                if budget > 0 {
                    budget -= 1;
                    to_visit.push((depth, name.to_owned(), false));
                }
            });
            // Up from those that are done, until there is one to enter.
            loop {
                let Some((level, name, is_finished)) = to_visit.pop() else {
                    return;
                };
                while depth > level {
                    let Ok(above) = current.open_relative(c"..") else {
                        return;
                    };
                    current = above;
                    depth -= 1;
                }
                if is_finished {
                    visit(&current, Some(&name));
                } else if let Ok(below) = current.open_relative(&name) {
                    to_visit.push((level, name, true));
                    visit(&below, None);
                    current = below;
                    depth += 1;
                    break;
                }
            }
        }
    }

    /// Removes the groups below, the deepest first, as far as no process is in them.
    pub(crate) fn remove_descendants(&self) {
        self.visit_descendants(&mut |above, name| {
            if let Some(name) = name {
                let _ = unlinkat(&above.0, name, AtFlags::REMOVEDIR);
            }
        });
    }

    /// Calls `visit` with each process in this very group, and with a pidfd of it where one can be
    /// had.
    ///
    /// A process that was read may have ended since, and its id be another's. So some are held by
    /// pidfds, the list is read once more, and only what is still on it counts: such a pidfd is of
    /// a process in this group, and such an id was one right before.
    ///
    /// # Errors
    ///
    /// The list cannot be read.
    pub(crate) fn for_each_member(
        &self,
        visit: &mut dyn FnMut(Pid, Option<BorrowedFd<'_>>),
    ) -> Result<(), Errno> {
        let mut file = self.open_file("cgroup.procs")?;
        let mut text = read_all(file.as_fd(), FULL_READ_BYTES);
        // The kernel lists no processes of a threaded group. The threads that lead a process have
        // its id.
        if text == Err(Errno::NOT_SUPPORTED) {
            file = self.open_file("cgroup.threads")?;
            text = read_all(file.as_fd(), FULL_READ_BYTES);
        }
        let mut unchecked: Vec<Pid> = parse_pids(&text?).collect();
        while !unchecked.is_empty() {
            let mut held = Vec::new();
            while held.len() < MAX_HELD_PIDFDS
                && let Some(pid) = unchecked.pop()
            {
                let pidfd = rustix_pid(pid).ok_or(RawErrno::INVAL);
                let pidfd = pidfd.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
                // As many as there are descriptors for; the others after them.
                if matches!(pidfd, Err(RawErrno::MFILE | RawErrno::NFILE)) && !held.is_empty() {
                    unchecked.push(pid);
                    break;
                }
                held.push((pid, pidfd.ok()));
            }
            let still_listed = read_all(file.as_fd(), FULL_READ_BYTES)?;
            for pid in parse_pids(&still_listed) {
                if let Some((_, pidfd)) = held.iter().find(|(held, _)| *held == pid) {
                    visit(pid, pidfd.as_ref().map(AsFd::as_fd));
                }
            }
        }
        Ok(())
    }

    /// Sends signals to every process in it and in the groups below.
    pub(crate) fn signal_all(&self, signals: &[Signal]) {
        let signal_members = |cgroup: &Self| {
            let _ = cgroup.for_each_member(&mut |_, pidfd| {
                for signal in signals {
                    pidfd.map(|pidfd| send_by_pidfd(pidfd, *signal));
                }
            });
        };
        signal_members(self);
        self.visit_descendants(&mut |cgroup, name| {
            if name.is_none() {
                signal_members(cgroup);
            }
        });
    }
}

/// `rmdir(2)`: removes a cgroup that holds no process and no group.
pub(crate) fn remove(path: &str) -> Result<(), Errno> {
    c_path(path)
        .and_then(|path| unlinkat(CWD, path.as_c_str(), AtFlags::REMOVEDIR))
        .map_err(errno)
}

/// The processes that a `cgroup.procs` lists, but those outside frigate's PID namespace, which
/// stand there as 0.
pub(crate) fn parse_pids(procs: &[u8]) -> impl Iterator<Item = Pid> {
    procs
        .split(|byte| *byte == b'\n')
        .filter_map(|line| Pid::new(parse_number(line)?))
}

/// Waits until the file has changed since it was last read, but not longer than that.
pub(crate) fn wait_for_change(file: BorrowedFd<'_>, timeout_ms: u32) {
    let timeout = rustix::time::Timespec {
        tv_sec: i64::from(timeout_ms / 1000),
        tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
    };
    let _ = poll(
        &mut [PollFd::from_borrowed_fd(file, PollFlags::PRI)],
        Some(&timeout),
    );
}

/// Reads a short file anew, from its beginning.
pub(crate) fn read_from_start<'a>(file: BorrowedFd<'_>, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = pread(file, &mut *buffer, 0).ok()?;
    buffer.get(..length)
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;

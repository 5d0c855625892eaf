//! Cgroups as directories (`cgroups(7)`).

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir, SeekFrom, flock, mkdir, openat,
    seek, unlinkat,
};
use rustix::io::Errno as RawErrno;
use rustix::process::{PidfdFlags, pidfd_open};

use super::kernel_file::{FULL_READ_BYTES, WritableFile, open, read_all, read_from};
use super::signals::send_by_pidfd;
use super::{c_path, errno, rustix_pid};
use crate::core::errno::Errno;
use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::sys::own_descriptor::note_own;

const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// How many cgroups below another one are visited. The kernel has no more cgroups with a memory
/// controller, since their ids have 16 bits. Tests use fewer, to be quick.
const MAX_VISITED_CGROUPS: u32 = if cfg!(test) { 6_000 } else { 65_535 };

/// How many pidfds are open at the same time.
const MAX_HELD_PIDFDS: usize = 64;

/// Creates a cgroup (`mkdir(2)`).
pub(crate) fn create(path: &str) -> Result<(), Errno> {
    c_path(path)
        .and_then(|path| mkdir(path.as_c_str(), Mode::from_raw_mode(0o755)))
        .map_err(errno)
}

/// The open directory of a cgroup. Every operation reaches this very cgroup, even if its path has
/// been given to another one.
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
            .map(note_own)
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

    /// Reads one of its files to the end.
    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, Errno> {
        read_from(self.as_fd(), file, FULL_READ_BYTES)
    }

    pub(crate) fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        WritableFile::open_in(self.as_fd(), file)?.write(value)
    }

    /// Opens one of its files for reading.
    pub(crate) fn open_file(&self, file: &str) -> Result<OwnedFd, Errno> {
        open(self.as_fd(), file, OFlags::RDONLY)
    }

    /// Locks the cgroup for this process (`flock(2)`), until the locked file is closed. Returns
    /// `cgroup.kill` if the lock is on that file. `None` means that it is on the directory.
    ///
    /// The lock is on `cgroup.kill` (Linux 5.14) if possible, because only the cgroup's owner can
    /// open that file. Any process may open the directory, and could keep a lock there after
    /// frigate's end.
    ///
    /// # Errors
    ///
    /// `AGAIN` means that another process holds the lock; `ACCESS`, that the cgroup belongs to
    /// another user. If `is_new`, the caller has just created the cgroup, and a failure to open
    /// `cgroup.kill` is no error.
    pub(crate) fn lock(&self, is_new: bool) -> Result<Option<WritableFile>, Errno> {
        let kill = match WritableFile::open_in(self.as_fd(), "cgroup.kill") {
            Err(errno) if !is_new && errno != Errno::NOT_FOUND => return Err(errno),
            kill => kill.ok(),
        };
        match flock(
            kill.as_ref().map_or(self.as_fd(), AsFd::as_fd),
            FlockOperation::NonBlockingLockExclusive,
        ) {
            Err(RawErrno::WOULDBLOCK) => Err(Errno::AGAIN),
            _ => Ok(kill),
        }
    }

    /// Calls `visit` with the name of every cgroup directly below.
    fn for_each_subgroup(&self, visit: &mut dyn FnMut(&CStr)) {
        // Rewind: the last listing has left the descriptor's position at its end.
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

    /// Returns whether there is a cgroup directly below with another name.
    pub(crate) fn has_subgroup_other_than(&self, name: &str) -> bool {
        let mut found = false;
        self.for_each_subgroup(&mut |other| found |= other.to_bytes() != name.as_bytes());
        found
    }

    /// Visits the cgroups below, at most `MAX_VISITED_CGROUPS`, and each of them twice. The first
    /// visit passes the cgroup itself, before those below it. The second passes its parent and its
    /// name, after those below it.
    ///
    /// The child owns these cgroups. It may nest thousands of them, and create new ones while they
    /// are visited. So the walk does not recurse, and it is bounded. It keeps one directory open
    /// and goes up by `..`, because a path could be longer than `PATH_MAX`, and descriptors may be
    /// scarce. `..` leads back to where the walk came from, since a cgroup of version 2 cannot be
    /// moved or renamed.
    fn visit_descendants(&self, visit: &mut dyn FnMut(&Self, Option<&CStr>)) {
        let Ok(mut current) = self.open_relative(c".") else {
            return;
        };
        let mut depth = 0_u32;
        let mut budget = MAX_VISITED_CGROUPS;
        // A stack of depth, name, and whether the first visit is over. An entered cgroup is pushed
        // again before those below it, so that its second visit follows theirs.
        let mut to_visit: Vec<(u32, CString, bool)> = Vec::new();
        loop {
            current.for_each_subgroup(&mut |name| {
                if budget > 0 {
                    budget -= 1;
                    to_visit.push((depth, name.to_owned(), false));
                }
            });
            // Finish cgroups and go up, until there is one to enter.
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

    /// Removes the cgroups below, the deepest first. Those that hold processes stay.
    pub(crate) fn remove_descendants(&self) {
        self.visit_descendants(&mut |above, name| {
            if let Some(name) = name {
                let _ = unlinkat(&above.0, name, AtFlags::REMOVEDIR);
            }
        });
    }

    /// Calls `visit` with each process of this cgroup, and with its pidfd if one could be opened.
    /// Processes of the cgroups below are not among them.
    ///
    /// A listed process may end, and its pid may be used again, before its pidfd is opened. So the
    /// list is read once more while the pidfds are open, and only pids that are still on it are
    /// visited. Such a pidfd stands for a member. Without a pidfd, the pid was a member's a moment
    /// ago.
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
        // The kernel refuses to list the processes of a threaded cgroup, but lists their threads
        // (`cgroups(7)`). The first thread of a process has its pid.
        if text == Err(Errno::NOT_SUPPORTED) {
            file = self.open_file("cgroup.threads")?;
            text = read_all(file.as_fd(), FULL_READ_BYTES);
        }
        let mut unchecked: Vec<Pid> = parse_pids(&text?).collect();
        while !unchecked.is_empty() {
            let mut held = Vec::new();
            while held.len() < MAX_HELD_PIDFDS {
                let Some(pid) = unchecked.pop() else {
                    break;
                };
                let pidfd = rustix_pid(pid).ok_or(RawErrno::INVAL);
                let pidfd = pidfd.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
                // No descriptor is left: visit those that are held first.
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

    /// Sends signals to every process in this cgroup and in those below.
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

/// Removes a cgroup that holds no process and no other cgroup (`rmdir(2)`).
pub(crate) fn remove(path: &str) -> Result<(), Errno> {
    c_path(path)
        .and_then(|path| unlinkat(CWD, path.as_c_str(), AtFlags::REMOVEDIR))
        .map_err(errno)
}

/// Returns the pids in the text of a `cgroup.procs`. Processes outside frigate's PID namespace are
/// listed there as 0, and left out.
pub(crate) fn parse_pids(procs: &[u8]) -> impl Iterator<Item = Pid> {
    procs
        .split(|byte| *byte == b'\n')
        .filter_map(|line| Pid::new(parse_number(line)?))
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;

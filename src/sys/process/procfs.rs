//! `/proc`, held open.

use core::cell::Cell;
use core::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, open, readlinkat_raw, statat};
use rustix::process::{PidfdFlags, geteuid, pidfd_open};

use super::last_component;
use super::stat::{ProcessStat, parse_stat};
use crate::core::errno::Errno;
use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::sys::kernel_file::read_from;
use crate::sys::own_descriptor::note_own;
use crate::sys::{c_path, errno, rustix_pid};

/// `/proc` of frigate's own PID namespace, held open.
pub(super) struct Procfs {
    directory: OwnedFd,
    /// Why a process was left out that may exist; `None` means that none was left out.
    omission: Cell<Option<Errno>>,
}

/// Makes `read_from` read a file to its end.
pub(super) const READ_TO_END: usize = 1;

/// Makes `read_from` read a file once, up to 4,096 bytes.
pub(super) const READ_ONCE: usize = usize::MAX;

impl Procfs {
    /// Opens `/proc`.
    ///
    /// # Errors
    ///
    /// `/proc` is missing, or belongs to another PID namespace.
    pub(super) fn open(own_pid: Pid) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY
            .union(OFlags::DIRECTORY)
            .union(OFlags::CLOEXEC);
        let directory = open(c"/proc", flags, Mode::empty()).map_err(errno)?;
        let mut buffer = [MaybeUninit::uninit(); 16];
        let (link, _) = readlinkat_raw(&directory, c"self", &mut buffer[..]).map_err(errno)?;
        // In a /proc of another PID namespace, mounted by mistake, the numbers belong to other
        // processes.
        if parse_number(link) == Some(own_pid.raw()) {
            Ok(Self {
                directory,
                omission: Cell::new(None),
            })
        } else {
            Err(Errno::NOT_FOUND)
        }
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Visits the processes in the order of their ids, up to the first for which `is_last` returns
    /// true. May be called once, because the open directory is read from where it stands.
    pub(super) fn visit_until(
        &self,
        is_last: &mut dyn FnMut(ProcessStat) -> bool,
    ) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut entries = RawDir::new(&self.directory, &mut buffer[..]);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(errno)?;
            let pid = parse_number(entry.file_name().to_bytes()).and_then(Pid::new);
            let process = pid.and_then(|pid| self.read_stat(pid));
            if process.is_some_and(&mut *is_last) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Result<Vec<ProcessStat>, Errno> {
        let mut all = Vec::new();
        self.visit_until(&mut |process| {
            all.push(process);
            false
        })?;
        Ok(all)
    }

    /// Reads a file of the process. `None` means that the process has ended or is hidden
    /// (`hidepid`), or that memory or descriptors are short.
    fn read_file(&self, pid: Pid, file: &str, last: usize) -> Option<Vec<u8>> {
        let content = read_from(self.directory.as_fd(), &format!("{pid}/{file}"), last);
        match content {
            Ok(content) => Some(content),
            Err(errno) => {
                if errno.is_for_now() {
                    self.omission.set(Some(errno));
                }
                None
            }
        }
    }

    pub(super) fn read_stat(&self, pid: Pid) -> Option<ProcessStat> {
        parse_stat(pid, &self.read_file(pid, "stat", READ_ONCE)?)
    }

    /// Opens a pidfd of a process that was seen before; `None` means that it has ended, or that
    /// descriptors are short.
    ///
    /// The line is read after the pidfd was opened. A start time as before proves that the id had
    /// not been given to another process by then, so that the pidfd is of the process that was
    /// seen. Read before, it would prove nothing about the pidfd.
    pub(super) fn open_pidfd(&self, process: &ProcessStat) -> Option<OwnedFd> {
        let pidfd = pidfd_open(rustix_pid(process.pid)?, PidfdFlags::empty())
            .map(note_own)
            .map_err(errno);
        self.record_failure(pidfd.as_ref().err().copied());
        let now = self.read_stat(process.pid)?;
        pidfd
            .ok()
            .filter(|_| now.start_ticks == process.start_ticks)
    }

    /// Keeps a failure, unless it only says that the process has ended.
    pub(super) fn record_failure(&self, errno: Option<Errno>) {
        if errno.is_some_and(|errno| !matches!(errno, Errno::NO_PROCESS | Errno::INVALID)) {
            self.omission.set(errno);
        }
    }

    /// Checks that no process was left out.
    ///
    /// # Errors
    ///
    /// A process was left out that may exist.
    pub(super) fn check_complete(&self) -> Result<(), Errno> {
        self.omission.get().map_or(Ok(()), Err)
    }

    /// Returns the path of the executable; `None` means that frigate may not see it. The kernel
    /// reads it without the lock of the process's memory, so that this cannot block.
    fn executable(&self, pid: Pid) -> Option<Vec<u8>> {
        let mut link = [MaybeUninit::uninit(); 4096];
        let path = c_path(&format!("{pid}/exe")).ok()?;
        let (target, _) = readlinkat_raw(&self.directory, path.as_c_str(), &mut link[..]).ok()?;
        Some(
            target
                .strip_suffix(b" (deleted)")
                .unwrap_or(target)
                .to_vec(),
        )
    }

    /// Returns the first string of a file that the kernel copies from the process's memory.
    ///
    /// The kernel takes the lock of that memory, and waits for its pages. They may come from a file
    /// system that the process itself serves (FUSE). A hostile process could so block the reader
    /// forever, where no signal reaches it. So only processes of frigate's own user and of `user`
    /// are read. The owner of the directory is the effective user, for a process that is not
    /// dumpable too (`proc(5)`).
    fn first_string(&self, pid: Pid, file: &str, user: Option<u32>) -> Option<Vec<u8>> {
        let directory = c_path(&format!("{pid}")).ok()?;
        let owner = statat(&self.directory, directory.as_c_str(), AtFlags::empty())
            .ok()?
            .st_uid;
        if owner != geteuid().as_raw() && Some(owner) != user {
            return None;
        }
        let mut words = self.read_file(pid, file, READ_ONCE)?;
        let length = words
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(words.len());
        words.truncate(length);
        Some(words)
    }

    /// Returns whether `name` is the last component of the executable's path or of the first
    /// argument. A kernel thread has neither.
    pub(super) fn has_name(&self, pid: Pid, name: &[u8], user: Option<u32>) -> bool {
        let has_that_name = |path: Vec<u8>| !path.is_empty() && last_component(&path) == name;
        self.executable(pid).is_some_and(has_that_name)
            || self
                .first_string(pid, "cmdline", user)
                .is_some_and(has_that_name)
    }

    /// Returns whether the process has the executable of the process `own_pid`, and `variable`
    /// first in its environment.
    pub(super) fn runs_task(
        &self,
        pid: Pid,
        variable: &[u8],
        own_pid: Pid,
        user: Option<u32>,
    ) -> bool {
        self.executable(pid)
            .is_some_and(|path| Some(path) == self.executable(own_pid))
            && self
                .first_string(pid, "environ", user)
                .is_some_and(|first| first == variable)
    }

    /// Returns whether the process is in the PID namespace that `/proc` shows, not in one below it.
    /// Such a process has one id only.
    ///
    /// Read to the end: the line comes after that of the groups, of which there may be thousands.
    pub(super) fn is_in_own_namespace(&self, pid: Pid) -> bool {
        let Some(status) = self.read_file(pid, "status", READ_TO_END) else {
            return false;
        };
        let ids = status
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(b"NSpid:"));
        // Linux before 4.1 has no such line.
        ids.is_none_or(|ids| {
            ids.split(u8::is_ascii_whitespace)
                .filter(|id| !id.is_empty())
                .count()
                == 1
        })
    }
}

#[cfg(test)]
#[path = "procfs_tests.rs"]
mod tests;

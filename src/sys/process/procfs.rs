//! `/proc`, as frigate reads it.

use core::cell::Cell;
use core::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, open, readlinkat_raw, statat};
use rustix::process::{PidfdFlags, geteuid, pidfd_open};

use super::last_component;
use super::stat::{ProcessStat, parse_stat};
use crate::core::errno::Errno;
use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::sys::kernel_file::read_from;
use crate::sys::{c_path, errno, rustix_pid};

/// `/proc`, held open; it shows the ids of frigate's own PID namespace, or it is of no use.
pub(super) struct Procfs {
    directory: OwnedFd,
    /// Why a process that may well exist was left out, if one was.
    omission: Cell<Option<Errno>>,
}

/// For `read_from`: read the file to its end, or as much of it as one read returns (up to 4,096
/// bytes).
const READ_TO_END: usize = 1;
const READ_ONCE: usize = usize::MAX;

impl Procfs {
    pub(super) fn open(own_pid: Pid) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY
            .union(OFlags::DIRECTORY)
            .union(OFlags::CLOEXEC);
        let directory = open(c"/proc", flags, Mode::empty()).map_err(errno)?;
        let mut buffer = [MaybeUninit::uninit(); 16];
        let (link, _) = readlinkat_raw(&directory, c"self", &mut buffer[..]).map_err(errno)?;
        // A /proc of another PID namespace, mounted by mistake: its numbers are other processes
        // here.
        if parse_number(link) == Some(own_pid.raw()) {
            Ok(Self {
                directory,
                omission: Cell::new(None),
            })
        } else {
            Err(Errno::NOT_FOUND)
        }
    }

    /// Looks at every process, in the order of their ids, until `is_last` of one. It reads the
    /// directory where it is, and so can be called once.
    pub(super) fn visit_until(
        &self,
        is_last: &mut dyn FnMut(ProcessStat) -> bool,
    ) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut entries = RawDir::new(&self.directory, &mut buffer[..]);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(errno)?;
            let pid = parse_number(entry.file_name().to_bytes()).and_then(Pid::new);
            if let Some(process) = pid.and_then(|pid| self.read_stat(pid))
                && is_last(process)
            {
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

    /// A file of the process's; `None` if the process is gone or hidden (`hidepid`), or for a
    /// shortage.
    fn read_file(&self, pid: Pid, file: &str, last: usize) -> Option<Vec<u8>> {
        let content = read_from(self.directory.as_fd(), &format!("{pid}/{file}"), last);
        if let Err(errno) = content
            && errno.is_for_now()
        {
            self.omission.set(Some(errno));
        }
        content.ok()
    }

    pub(super) fn read_stat(&self, pid: Pid) -> Option<ProcessStat> {
        parse_stat(pid, &self.read_file(pid, "stat", READ_ONCE)?)
    }

    /// A pidfd of that process. If the id still stands for what was seen before once the pidfd is
    /// open, the pidfd does too.
    pub(super) fn open_pidfd(&self, process: &ProcessStat) -> Option<OwnedFd> {
        let pidfd = pidfd_open(rustix_pid(process.pid)?, PidfdFlags::empty()).map_err(errno);
        self.record_failure(pidfd.as_ref().err().copied());
        let now = self.read_stat(process.pid)?;
        pidfd
            .ok()
            .filter(|_| now.start_ticks == process.start_ticks)
    }

    /// Remembers a failure, unless it only says that the process has ended.
    pub(super) fn record_failure(&self, errno: Option<Errno>) {
        if errno.is_some_and(|errno| !matches!(errno, Errno::NO_PROCESS | Errno::INVALID)) {
            self.omission.set(errno);
        }
    }

    /// An error if a process that may well exist was left out.
    pub(super) fn check_complete(&self) -> Result<(), Errno> {
        self.omission.get().map_or(Ok(()), Err)
    }

    /// The path of its executable, as far as that may be seen. The kernel reads it without the lock
    /// of the process's memory.
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

    /// The beginning of a file that the kernel copies from the process's memory, up to the first
    /// null byte.
    ///
    /// That takes the lock of its memory, and waits for pages that may come from a file system of
    /// the process's own (FUSE): a process that means harm makes the reader wait for ever, where no
    /// signal reaches it. So it is read only of frigate's own user and of the child's. The
    /// directory's owner is the effective user, whether the process is dumpable or not (`proc(5)`).
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

    /// Whether its name is `name`: the last component of its executable's path, or of its first
    /// argument. A kernel thread has neither.
    pub(super) fn has_name(&self, pid: Pid, name: &[u8], user: Option<u32>) -> bool {
        let is_it = |path: Vec<u8>| !path.is_empty() && last_component(&path) == name;
        self.executable(pid).is_some_and(is_it)
            || self.first_string(pid, "cmdline", user).is_some_and(is_it)
    }

    /// Whether it is of the same executable as the process `own_pid`, and its environment began with
    /// that variable.
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

    /// Whether it lives in the PID namespace that `/proc` shows, not in one below it: it then has
    /// one id only. The line is behind that of the groups, of which there may be thousands.
    pub(super) fn is_in_own_namespace(&self, pid: Pid) -> bool {
        let Some(status) = self.read_file(pid, "status", READ_TO_END) else {
            return false;
        };
        let ids = status
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(b"NSpid:"));
        // Before Linux 4.1 there is no such line.
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

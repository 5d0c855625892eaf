//! Other processes, as `/proc` shows them (`proc(5)`), and signals to them without a race for their
//! ids.
//!
//! A process seen in `/proc` may be gone, and its id given to another, before a signal is sent. So
//! it is held by a pidfd first, looked at once more, and only then sent anything: if the look shows
//! what was seen before, the pidfd is its.

use core::cell::Cell;
use core::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, open, readlinkat_raw, statat};
use rustix::process::{PidfdFlags, geteuid, pidfd_open};

use super::cgroup::read_from;
use super::{c_path, errno, rustix_pid, signals, startup};
use crate::core::errno::Errno;
use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// One process, as `/proc/pid/stat` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ProcessStat {
    pid: Pid,
    parent: i32,
    /// Its process group; 0 if it has just been reaped.
    group: i32,
    /// Clock ticks since boot, which tell it from a later process of the same id.
    start_ticks: u64,
    /// It has ended, with all its threads, and waits to be reaped.
    is_zombie: bool,
}

/// `/proc`, held open; it shows the ids of frigate's own PID namespace, or it is of no use.
struct Procfs {
    directory: OwnedFd,
    /// Why a process that may well exist was left out, if one was.
    omission: Cell<Option<Errno>>,
}

/// For `read_from`: read the file to its end, or as much of it as one read returns (up to 4,096
/// bytes).
const READ_TO_END: usize = 1;
const READ_ONCE: usize = usize::MAX;

impl Procfs {
    fn open(own_pid: Pid) -> Result<Self, Errno> {
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
    fn visit_until(&self, is_last: &mut dyn FnMut(ProcessStat) -> bool) -> Result<(), Errno> {
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

    fn list(&self) -> Result<Vec<ProcessStat>, Errno> {
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

    fn read_stat(&self, pid: Pid) -> Option<ProcessStat> {
        parse_stat(pid, &self.read_file(pid, "stat", READ_ONCE)?)
    }

    /// A pidfd of that process. If the id still stands for what was seen before once the pidfd is
    /// open, the pidfd does too.
    fn open_pidfd(&self, process: &ProcessStat) -> Option<OwnedFd> {
        let pidfd = pidfd_open(rustix_pid(process.pid)?, PidfdFlags::empty()).map_err(errno);
        self.record_failure(pidfd.as_ref().err().copied());
        let now = self.read_stat(process.pid)?;
        pidfd
            .ok()
            .filter(|_| now.start_ticks == process.start_ticks)
    }

    /// Remembers a failure, unless it only says that the process has ended.
    fn record_failure(&self, errno: Option<Errno>) {
        if errno.is_some_and(|errno| !matches!(errno, Errno::NO_PROCESS | Errno::INVALID)) {
            self.omission.set(errno);
        }
    }

    /// An error if a process that may well exist was left out.
    fn check_complete(&self) -> Result<(), Errno> {
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
    fn has_name(&self, pid: Pid, name: &[u8], user: Option<u32>) -> bool {
        let is_it = |path: Vec<u8>| !path.is_empty() && last_component(&path) == name;
        self.executable(pid).is_some_and(is_it)
            || self.first_string(pid, "cmdline", user).is_some_and(is_it)
    }

    /// Whether it is of the same executable as the process `own_pid`, and its environment began with
    /// that variable.
    fn runs_task(&self, pid: Pid, variable: &[u8], own_pid: Pid, user: Option<u32>) -> bool {
        self.executable(pid)
            .is_some_and(|path| Some(path) == self.executable(own_pid))
            && self
                .first_string(pid, "environ", user)
                .is_some_and(|first| first == variable)
    }

    /// Whether it lives in the PID namespace that `/proc` shows, not in one below it: it then has
    /// one id only. The line is behind that of the groups, of which there may be thousands.
    fn is_in_own_namespace(&self, pid: Pid) -> bool {
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

/// Fields 3, 4, 5, 20 and 22 of `/proc/pid/stat`, counted behind the name, which may itself hold
/// blanks and parentheses.
fn parse_stat(pid: Pid, stat: &[u8]) -> Option<ProcessStat> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = stat
        .get(after_name..)?
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty());
    let state = fields.next()?;
    let parent = parse_number(fields.next()?)?;
    let group = parse_number(fields.next()?).unwrap_or(0);
    // A first thread that has ended before the others shows as a zombie, too, while they live.
    let threads: u32 = parse_number(fields.nth(14)?)?;
    let start_ticks = parse_number(fields.nth(1)?)?;
    Some(ProcessStat {
        pid,
        parent,
        group,
        start_ticks,
        is_zombie: matches!(state, b"Z" | b"X") && threads < 2,
    })
}

/// The descendants of the process `own_pid`, however deep, in little more time than it takes to list
/// all.
fn descendants(mut all: Vec<ProcessStat>, own_pid: Pid) -> Vec<ProcessStat> {
    all.sort_unstable_by_key(|process| process.parent);
    let mut found: Vec<ProcessStat> = Vec::new();
    let mut parent = own_pid.raw();
    // A process has one parent, and so is found once; the bound is for a /proc that shows one
    // twice.
    for next in 0..=all.len() {
        let first = all.partition_point(|process| process.parent < parent);
        let children = all
            .iter()
            .skip(first)
            .take_while(|process| process.parent == parent);
        found.extend(children.filter(|process| process.pid != own_pid));
        let Some(process) = found.get(next) else {
            break;
        };
        parent = process.pid.raw();
    }
    found
}

pub(crate) fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Sends signals to every living descendant of the process `own_pid`, which is this one, however deep;
/// true: there is one. A zombie is not alive. Without signals it only looks.
///
/// # Errors
///
/// `/proc` is not there, or not that of frigate's PID namespace; or a signal may not have reached
/// one of them.
pub(crate) fn signal_descendants(own_pid: Pid, signals: &[Signal]) -> Result<bool, Errno> {
    let procfs = Procfs::open(own_pid)?;
    let mut is_any = false;
    for process in descendants(procfs.list()?, own_pid) {
        if process.is_zombie {
            continue;
        }
        is_any = true;
        // A child of frigate's own keeps its id until frigate reaps it, and so needs no descriptor.
        let is_child = process.parent == own_pid.raw();
        let pidfd = if is_child || signals.is_empty() {
            None
        } else {
            procfs.open_pidfd(&process)
        };
        for signal in signals {
            let sent = match &pidfd {
                Some(pidfd) => signals::send_by_pidfd(pidfd.as_fd(), *signal),
                None if is_child => signals::send(process.pid, *signal),
                None => Ok(()),
            };
            procfs.record_failure(sent.err());
        }
    }
    procfs.check_complete()?;
    Ok(is_any)
}

/// Whether a process of that group, which the kernel says has members, is alive: false if all are
/// zombies, whose parents do not reap them. If `/proc` does not tell, one may be.
///
/// `seen` is the member that was found last time. It is looked at first, so that as long as it
/// lives no other process is.
pub(crate) fn is_group_alive(group: Pid, seen: &mut Option<Pid>) -> bool {
    let Some(procfs) = startup::own_pid().and_then(|own_pid| Procfs::open(own_pid).ok()) else {
        return true;
    };
    let is_alive = |process: ProcessStat| process.group == group.raw() && !process.is_zombie;
    if seen
        .and_then(|pid| procfs.read_stat(pid))
        .is_some_and(is_alive)
    {
        return true;
    }
    *seen = None;
    let mut has_zombie = false;
    // In the order of ids, so that what a member forks meanwhile comes later in the list.
    let listed = procfs.visit_until(&mut |process| {
        if is_alive(process) {
            *seen = Some(process.pid);
        }
        has_zombie |= process.group == group.raw();
        seen.is_some()
    });
    // Without a single member in sight they are hidden from frigate (`hidepid`), and not zombies.
    seen.is_some() || !has_zombie || listed.is_err() || procfs.check_complete().is_err()
}

/// Other processes of one name, held by pidfds so that each can be sent a signal and its end be
/// seen.
#[derive(Default)]
pub(crate) struct HeldProcesses {
    held: Vec<(Pid, OwnedFd)>,
    /// There may be more, for which descriptors or memory did not suffice: look again when these
    /// have ended.
    pub(crate) is_incomplete: bool,
}

impl HeldProcesses {
    /// Finds every process of that name but `own_pid`, its ancestors, PID 1 and those outside its PID
    /// namespace. By its first argument it finds processes of frigate's user and of `user` alone,
    /// who is the child's.
    ///
    /// # Errors
    ///
    /// `/proc` is not there, or not that of frigate's PID namespace; or none was found, and there
    /// may be some.
    pub(crate) fn find_namesakes(
        name: &[u8],
        own_pid: Pid,
        user: Option<u32>,
    ) -> Result<Self, Errno> {
        Self::find(own_pid, |procfs, pid| procfs.has_name(pid, name, user))
    }

    /// The same for a host program, which may protect several of that name: none in `excluded` is
    /// found. With `task`, which is the first variable of such a process, only those of the host's
    /// own executable that were started as that task.
    ///
    /// # Errors
    ///
    /// As above.
    pub(crate) fn find_namesakes_except(
        name: &[u8],
        task: Option<&[u8]>,
        own_pid: Pid,
        user: Option<u32>,
        excluded: &[Pid],
    ) -> Result<Self, Errno> {
        Self::find(own_pid, |procfs, pid| {
            !excluded.contains(&pid)
                && match task {
                    None => procfs.has_name(pid, name, user),
                    Some(task) => procfs.runs_task(pid, task, own_pid, user),
                }
        })
    }

    fn find(own_pid: Pid, matches: impl Fn(&Procfs, Pid) -> bool) -> Result<Self, Errno> {
        let procfs = Procfs::open(own_pid)?;
        let all = procfs.list()?;
        let mut excluded = vec![1, own_pid.raw()];
        let mut ancestor = own_pid.raw();
        // Parents begin before their children, so that this ends; the bound is for a /proc that
        // changes under us.
        for _ in 0..all.len() {
            let Some(process) = all.iter().find(|process| process.pid.raw() == ancestor) else {
                break;
            };
            ancestor = process.parent;
            excluded.push(ancestor);
        }
        let mut held = Vec::new();
        for process in all {
            if excluded.contains(&process.pid.raw()) || !matches(&procfs, process.pid) {
                continue;
            }
            if procfs.is_in_own_namespace(process.pid)
                && let Some(pidfd) = procfs.open_pidfd(&process)
            {
                held.push((process.pid, pidfd));
            }
        }
        let complete = procfs.check_complete();
        if held.is_empty() {
            complete?;
        }
        Ok(Self {
            held,
            is_incomplete: complete.is_err(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn pidfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.held.iter().map(|(_, pidfd)| pidfd.as_fd())
    }

    /// Sends a signal to each, and tells of each what came of it.
    pub(crate) fn send(&self, signal: Signal, mut each: impl FnMut(Pid, Result<(), Errno>)) {
        for (pid, pidfd) in &self.held {
            each(*pid, signals::send_by_pidfd(pidfd.as_fd(), signal));
        }
    }

    /// Forgets those that have ended: their pidfds are readable (`pidfd_open(2)`).
    pub(crate) fn drop_ended(&mut self) {
        self.held.retain(|(_, pidfd)| {
            let mut fds = [rustix::event::PollFd::new(
                pidfd,
                rustix::event::PollFlags::IN,
            )];
            let now = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            rustix::event::poll(&mut fds, Some(&now)) == Ok(0)
        });
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;

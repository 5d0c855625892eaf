//! Other processes, as `/proc` shows them (`proc(5)`), and signals to them without a race for their ids.
//!
//! A process seen in `/proc` may be gone, and its id given to another, before a signal is sent. So it is held by a pidfd
//! first, looked at once more, and only then sent anything: if the look shows what was seen before, the pidfd is its.

use core::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, open, openat, readlinkat_raw};
use rustix::process::{PidfdFlags, pidfd_open};

use super::{c_path, errno, open_at, rustix_pid, signals};
use crate::errno::Errno;
use crate::number::number;
use crate::pid::Pid;
use crate::signal::Signal;

/// One process, by what tells it from a later one of the same id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    parent: i32,
    /// Clock ticks since boot.
    started: u64,
}

/// `/proc`, held open; it shows the ids of frigate's own PID namespace, or it is of no use.
struct Proc(OwnedFd);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Proc {
    fn open(own: Pid) -> Result<Self, Errno> {
        let root = Self(open(c"/proc", DIRECTORY, Mode::empty()).map_err(errno)?);
        let mut buffer = [MaybeUninit::uninit(); 16];
        let (link, _) = readlinkat_raw(&root.0, c"self", &mut buffer[..]).map_err(errno)?;
        // A /proc of another PID namespace, mounted by mistake: its numbers are other processes here.
        if number(link) == Some(own.raw()) { Ok(root) } else { Err(Errno::NOT_FOUND) }
    }

    fn processes(&self, each: &mut dyn FnMut(Process)) -> Result<(), Errno> {
        let listing = openat(&self.0, c".", DIRECTORY, Mode::empty()).map_err(errno)?;
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut entries = RawDir::new(&listing, &mut buffer[..]);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(errno)?;
            let pid = number(entry.file_name().to_bytes()).and_then(Pid::new);
            if let Some(process) = pid.and_then(|pid| self.look(pid)) {
                each(process);
            }
        }
        Ok(())
    }

    /// A small file of the process's, as far as the buffer holds it.
    fn read<'a>(&self, pid: Pid, file: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let file = open_at(self.0.as_fd(), &format!("{pid}/{file}"), OFlags::RDONLY, Mode::empty()).ok()?;
        let length = rustix::io::read(&file, &mut *buffer).ok()?;
        buffer.get(..length)
    }

    fn look(&self, pid: Pid) -> Option<Process> {
        let mut buffer = [0; 512];
        let stat = self.read(pid, "stat", &mut buffer)?;
        let (parent, started) = parse_stat(stat)?;
        Some(Process { pid, parent, started })
    }

    fn hold(&self, process: &Process) -> Option<OwnedFd> {
        let pidfd = pidfd_open(rustix_pid(process.pid)?, PidfdFlags::empty()).ok()?;
        let now = self.look(process.pid)?;
        (now.started == process.started).then_some(pidfd)
    }

    /// The path of its executable, as far as that may be seen.
    fn executable(&self, pid: Pid) -> Option<Vec<u8>> {
        let mut link = [MaybeUninit::uninit(); 4096];
        let path = c_path(&format!("{pid}/exe")).ok()?;
        let (target, _) = readlinkat_raw(&self.0, path.as_c_str(), &mut link[..]).ok()?;
        Some(target.strip_suffix(b" (deleted)").unwrap_or(target).to_vec())
    }

    /// Whether its name is `name`: the last component of its executable's path, or of its first argument. A kernel thread
    /// has neither.
    fn is_named(&self, pid: Pid, name: &[u8]) -> bool {
        let by_executable = self.executable(pid).is_some_and(|path| last_component(&path) == name);
        let mut buffer = [0; 4096];
        by_executable
            || self.read(pid, "cmdline", &mut buffer).is_some_and(|words| {
                let first = words.split(|byte| *byte == 0).next().unwrap_or_default();
                !first.is_empty() && last_component(first) == name
            })
    }

    /// Whether it is of the same executable as the process `own`, and its environment began with that variable.
    fn is_task(&self, pid: Pid, variable: &[u8], own: Pid) -> bool {
        let mut buffer = [0; 4096];
        let first = self.read(pid, "environ", &mut buffer).and_then(|entries| entries.split(|byte| *byte == 0).next());
        first == Some(variable) && self.executable(pid).is_some_and(|path| Some(path) == self.executable(own))
    }

    /// Whether it lives in the PID namespace that `/proc` shows, not in one below it: it then has one id only.
    fn is_of_this_namespace(&self, pid: Pid) -> bool {
        let mut buffer = [0; 4096];
        let status = self.read(pid, "status", &mut buffer).unwrap_or_default();
        let ids = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"));
        // Before Linux 4.1 there is no such line.
        ids.is_none_or(|ids| ids.split(u8::is_ascii_whitespace).filter(|id| !id.is_empty()).count() == 1)
    }
}

/// The parent's id and the start time: fields 4 and 22 of `/proc/pid/stat`, counted behind the name, which may itself hold
/// blanks and parentheses.
fn parse_stat(stat: &[u8]) -> Option<(i32, u64)> {
    let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = stat.get(behind_name..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let parent = number(fields.nth(1)?)?;
    let started = number(fields.nth(17)?)?;
    Some((parent, started))
}

pub(crate) fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Sends signals to every descendant of the process `own`, however deep.
///
/// # Errors
///
/// `/proc` is not there, or not that of frigate's PID namespace.
pub(crate) fn signal_descendants(own: Pid, signals: &[Signal]) -> Result<(), Errno> {
    let root = Proc::open(own)?;
    let mut all = Vec::new();
    root.processes(&mut |process| all.push(process))?;
    let mut known = vec![own.raw()];
    let mut descendants: Vec<Process> = Vec::new();
    // Each round finds the children of those known before; it ends when a round finds none.
    loop {
        let before = descendants.len();
        all.retain(|process| {
            let is_descendant = known.contains(&process.parent) && process.pid != own;
            if is_descendant {
                known.push(process.pid.raw());
                descendants.push(*process);
            }
            !is_descendant
        });
        if descendants.len() == before {
            break;
        }
    }
    for process in &descendants {
        if let Some(pidfd) = root.hold(process) {
            for signal in signals {
                let _ = signals::send_by_pidfd(pidfd.as_fd(), *signal);
            }
        }
    }
    Ok(())
}

/// Other processes of one name, held by pidfds so that each can be sent a signal and its end be seen.
#[derive(Default)]
pub(crate) struct Others(Vec<(Pid, OwnedFd)>);

impl Others {
    /// Finds every process of that name but `own`, its ancestors, PID 1 and those outside its PID namespace.
    ///
    /// # Errors
    ///
    /// `/proc` is not there, or not that of frigate's PID namespace.
    pub(crate) fn find(name: &[u8], own: Pid) -> Result<Self, Errno> {
        Self::find_where(own, |root, pid| root.is_named(pid, name))
    }

    /// The same for a host program, which may protect several of that name: none in `spared` is found. With `task`, which
    /// is the first variable of such a process, only those of the host's own executable that were started as that task.
    ///
    /// # Errors
    ///
    /// As above.
    pub(crate) fn find_beside(name: &[u8], task: Option<&[u8]>, own: Pid, spared: &[Pid]) -> Result<Self, Errno> {
        Self::find_where(own, |root, pid| {
            !spared.contains(&pid)
                && match task {
                    None => root.is_named(pid, name),
                    Some(task) => root.is_task(pid, task, own),
                }
        })
    }

    fn find_where(own: Pid, is_wanted: impl Fn(&Proc, Pid) -> bool) -> Result<Self, Errno> {
        let root = Proc::open(own)?;
        let mut all = Vec::new();
        root.processes(&mut |process| all.push(process))?;
        let mut spared = vec![1, own.raw()];
        let mut at = own.raw();
        // Parents begin before their children, so that this ends; the bound is for a /proc that changes under us.
        for _ in 0..all.len() {
            let Some(process) = all.iter().find(|process| process.pid.raw() == at) else { break };
            at = process.parent;
            spared.push(at);
        }
        let mut found = Vec::new();
        for process in all {
            if spared.contains(&process.pid.raw()) || !is_wanted(&root, process.pid) {
                continue;
            }
            if root.is_of_this_namespace(process.pid)
                && let Some(pidfd) = root.hold(&process)
            {
                found.push((process.pid, pidfd));
            }
        }
        Ok(Self(found))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(_, pidfd)| pidfd.as_fd())
    }

    /// Sends a signal to each, and tells of each what came of it.
    pub(crate) fn send(&self, signal: Signal, mut each: impl FnMut(Pid, Result<(), Errno>)) {
        for (pid, pidfd) in &self.0 {
            each(*pid, signals::send_by_pidfd(pidfd.as_fd(), signal));
        }
    }

    /// Forgets those that have ended: their pidfds are readable (`pidfd_open(2)`).
    pub(crate) fn forget_ended(&mut self) {
        self.0.retain(|(_, pidfd)| {
            let mut fds = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
            let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut fds, Some(&now)) == Ok(0)
        });
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;

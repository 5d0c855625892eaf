//! The words of a plan: what the scenario asked for.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::unistd::Gid;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};

use crate::support::cgroup::View;

/// The place of the program in the process tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// PID 1 of a fresh PID namespace.
    First,
    /// A child of PID 1 of a fresh PID namespace, so that a stray `kill(-1)` reaches nothing
    /// outside.
    Contained,
    /// A process in the harness's own namespace.
    Bare,
}

/// What the scenario asked for, word by word.
pub(super) struct Plan {
    pub(super) place: Place,
    pub(super) mask: u64,
    pub(super) ignored: u64,
    pub(super) close: Vec<i32>,
    pub(super) open: Vec<(i32, PathBuf)>,
    pub(super) terminal: Option<PathBuf>,
    pub(super) groups: Option<Vec<Gid>>,
    pub(super) uid: Option<u32>,
    pub(super) capabilities: CapabilitySet,
    pub(super) secure_bits: CapabilitiesSecureBits,
    pub(super) key: Option<CString>,
    pub(super) max_processes: Option<u64>,
    pub(super) max_files: Option<u64>,
    pub(super) max_data: Option<u64>,
    pub(super) directory: Option<PathBuf>,
    pub(super) binds: Vec<(PathBuf, PathBuf)>,
    /// The size and the mount point of a file system of its own, if the scenario asks for one.
    pub(super) disk: Option<(String, PathBuf)>,
    pub(super) read_only: bool,
    pub(super) cgroup: Option<PathBuf>,
    pub(super) view: View,
    pub(super) middle: bool,
    pub(super) own_pid_in: Option<String>,
    pub(super) strace: Option<(PathBuf, Vec<String>)>,
    pub(super) strace_alone: bool,
    pub(super) program: Vec<OsString>,
}

impl Plan {
    pub(super) fn parse(mut words: impl Iterator<Item = OsString>) -> Self {
        let place = match words.next().as_deref().and_then(OsStr::to_str) {
            Some("pid1") => Place::First,
            Some("contained") => Place::Contained,
            Some("bare") => Place::Bare,
            other => panic!("no such place: {other:?}"),
        };
        let mut plan = Self {
            place,
            mask: 0,
            ignored: 0,
            close: Vec::new(),
            open: Vec::new(),
            terminal: None,
            groups: None,
            uid: None,
            capabilities: CapabilitySet::empty(),
            secure_bits: CapabilitiesSecureBits::empty(),
            key: None,
            max_processes: None,
            max_files: None,
            max_data: None,
            directory: None,
            binds: Vec::new(),
            disk: None,
            read_only: false,
            cgroup: None,
            view: View::Host,
            middle: false,
            own_pid_in: None,
            strace: None,
            strace_alone: false,
            program: Vec::new(),
        };
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            plan.take(&word);
        }
        plan.program = words.collect();
        assert!(!plan.program.is_empty(), "no program to launch");
        plan
    }

    fn take(&mut self, word: &OsStr) {
        let bytes = word.as_bytes();
        let at = bytes
            .iter()
            .position(|&byte| byte == b'=')
            .unwrap_or(bytes.len());
        let (name, value) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
        let path = || PathBuf::from(OsStr::from_bytes(value));
        let text = || str::from_utf8(value).expect("a word of the plan is text");
        let number = || text().parse::<u64>().expect("a number");
        match name {
            b"mask" => self.mask = number(),
            b"ignored" => self.ignored = number(),
            b"close" => self.close.push(text().parse().expect("a descriptor")),
            b"open" => {
                let (fd, path) = text().split_once(':').expect("FD:PATH");
                self.open
                    .push((fd.parse().expect("a descriptor"), path.into()));
            }
            b"terminal" => self.terminal = Some(path()),
            b"groups" => {
                let number = |word: &str| Gid::from_raw(word.parse().expect("a gid"));
                self.groups = Some(text().split(',').map(number).collect());
            }
            b"uid" => self.uid = Some(text().parse().expect("a uid")),
            b"capabilities" => self.capabilities = CapabilitySet::from_bits_retain(number()),
            b"secure-bits" => {
                let bits = number().try_into().expect("a small number");
                self.secure_bits = CapabilitiesSecureBits::from_bits_retain(bits);
            }
            b"key" => self.key = Some(CString::new(value).expect("no null byte")),
            b"max-processes" => self.max_processes = Some(number()),
            b"max-data" => self.max_data = Some(number()),
            b"max-files" => self.max_files = Some(number()),
            b"directory" => self.directory = Some(path()),
            b"bind" => {
                let (from, to) = text().split_once(':').expect("FROM:TO");
                self.binds.push((from.into(), to.into()));
            }
            b"disk" => {
                let (size, at) = text().split_once(':').expect("SIZE:DIRECTORY");
                self.disk = Some((size.into(), at.into()));
            }
            b"read-only" => self.read_only = true,
            b"cgroup" => self.cgroup = Some(path()),
            b"cgroup-view" => self.view = View::named(text()),
            b"middle" => self.middle = true,
            b"own-pid-in" => self.own_pid_in = Some(text().into()),
            b"strace-alone" => self.strace_alone = true,
            b"strace-log" => self.strace = Some((path(), Vec::new())),
            b"strace" => self
                .strace
                .as_mut()
                .expect("strace-log comes first")
                .1
                .push(text().into()),
            _ => panic!("no such word in a plan: {}", word.display()),
        }
    }
}

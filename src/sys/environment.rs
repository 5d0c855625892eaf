//! The arrays of strings that `execve(2)` takes: the words of a command, and its environment. All
//! strings are made before the fork.

use core::ffi::{CStr, c_char};
use std::ffi::CString;

use super::startup::CStrings;
use crate::core::number::parse_number;
use crate::core::pid::Pid;

/// An array of C strings as `execve(2)` takes it: null at its end.
pub(crate) struct Pointers(pub(super) Vec<*const c_char>);

impl Pointers {
    pub(crate) fn new(strings: impl IntoIterator<Item = &'static CStr>) -> Self {
        let mut pointers: Vec<_> = strings.into_iter().map(CStr::as_ptr).collect();
        pointers.push(core::ptr::null());
        Self(pointers)
    }
}

/// A variable whose value is a number that changes from start to start, kept in place so that
/// writing it allocates nothing.
pub(super) struct Counter {
    text: [u8; 48],
    name: usize,
}

impl Counter {
    /// `name` includes the equals sign.
    fn new(name: &[u8]) -> Self {
        let mut text = [0; 48];
        for (slot, byte) in text.iter_mut().zip(name) {
            *slot = *byte;
        }
        Self {
            text,
            name: name.len(),
        }
    }

    /// Writes the value, and a null byte behind it. Cannot panic: what does not fit is left out.
    fn set(&mut self, value: u32) {
        let digits = value.checked_ilog10().unwrap_or(0) + 1;
        let mut rest = value;
        let mut at = self.name + digits as usize;
        if let Some(end) = self.text.get_mut(at) {
            *end = 0;
        }
        for _ in 0..digits {
            at -= 1;
            if let Some(slot) = self.text.get_mut(at) {
                *slot = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
        }
    }
}

/// The places of such variables.
pub(super) const RESTARTS: usize = 0;
pub(super) const LISTEN_PID: usize = 1;

fn counter_of_restarts() -> Counter {
    Counter::new(b"FRIGATE_RESTARTS=")
}

/// The child's environment: frigate's own, less what it sets anew.
pub(crate) struct Environment {
    pub(super) pointers: Vec<*const c_char>,
    /// What changes from start to start, by `RESTARTS` and `LISTEN_PID`. The latter is there where
    /// it named frigate: it is to name the child.
    pub(super) counters: [Option<Counter>; 2],
    /// Kept for the pointers to it.
    owned: Vec<CString>,
}

fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

impl Environment {
    /// `replaced` are variables that stand in for inherited ones of the same name, as `NAME=value`,
    /// or as `NAME=` to drop it.
    pub(crate) fn new(inherited: CStrings, own_pid: Pid, replaced: Vec<CString>) -> Self {
        // Three for what is added below.
        let mut pointers = Vec::with_capacity(inherited.iter().count() + replaced.len() + 3);
        let mut listen_pid = None;
        for entry in inherited.iter() {
            // Nearly all are passed on after a look at one letter.
            if matches!(entry.first(), b'F' | b'L') {
                let bytes = entry.whole().to_bytes();
                // The latter names frigate by its pidfd's inode; who is told of a child of that
                // process by its id alone believes it.
                if bytes.starts_with(b"FRIGATE_RESTARTS=") || bytes.starts_with(b"LISTEN_PIDFDID=")
                {
                    continue;
                }
                if bytes.strip_prefix(b"LISTEN_PID=").and_then(parse_number) == Some(own_pid.raw())
                {
                    listen_pid = Some(Counter::new(b"LISTEN_PID="));
                    continue;
                }
            }
            let is_replaced =
                |other: &CString| name_of(other.to_bytes()) == name_of(entry.whole().to_bytes());
            if replaced.iter().any(is_replaced) {
                continue;
            }
            pointers.push(entry.as_ptr());
        }
        pointers.extend(
            replaced
                .iter()
                .filter(|entry| !entry.to_bytes().ends_with(b"="))
                .map(|entry| entry.as_ptr()),
        );
        // Two places for the variables above, and the end.
        pointers.extend([core::ptr::null(); 3]);
        Self {
            pointers,
            counters: [Some(counter_of_restarts()), listen_pid],
            owned: replaced,
        }
    }

    /// The environment of a child of a host program's, which has chosen every variable but the
    /// number of restarts.
    pub(crate) fn owned(entries: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = entries.iter().map(|entry| entry.as_ptr()).collect();
        pointers.extend([core::ptr::null(); 3]);
        Self {
            pointers,
            counters: [Some(counter_of_restarts()), None],
            owned: entries,
        }
    }

    /// The same with nothing added to it: what is put in stands behind the end.
    pub(crate) fn unchanged(entries: Vec<CString>) -> Self {
        let mut environment = Self::owned(entries);
        environment.pointers.push(core::ptr::null());
        environment
    }

    /// Keeps other strings of the same plan, the words of a command. Returns the array of them.
    pub(crate) fn keep(&mut self, strings: Vec<CString>) -> Pointers {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(core::ptr::null());
        self.owned.extend(strings);
        Pointers(pointers)
    }

    /// Puts the value of a variable in, where there is one.
    pub(super) fn put(&mut self, variable: usize, value: u32) {
        let at = self
            .pointers
            .len()
            .saturating_sub(3)
            .saturating_add(variable);
        if let (Some(Some(counter)), Some(slot)) =
            (self.counters.get_mut(variable), self.pointers.get_mut(at))
        {
            counter.set(value);
            *slot = counter.text.as_ptr().cast();
        }
    }
}

//! The arrays of strings that `execve(2)` takes: the words of a command, and its environment. All
//! strings are made before the fork.

use core::ffi::{CStr, c_char};
use std::ffi::CString;

use crate::core::number::parse_number;
use crate::core::pid::Pid;
use crate::core::variable::{LISTEN_PID, LISTEN_PIDFDID, RESTARTS, Variable, WATCHDOG_PID};
use crate::sys::startup::CStrings;

/// An array of C strings as `execve(2)` takes it: it ends with a null pointer.
pub(crate) struct Pointers(Vec<*const c_char>);

impl Pointers {
    pub(crate) fn new(strings: impl IntoIterator<Item = &'static CStr>) -> Self {
        let mut pointers: Vec<_> = strings.into_iter().map(CStr::as_ptr).collect();
        pointers.push(core::ptr::null());
        Self(pointers)
    }

    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.0.as_ptr()
    }
}

/// The variables whose value is a number that changes from start to start.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    Restarts,
    ListenPid,
    WatchdogPid,
}

/// The text of such a variable, with room for the longest value, so that writing it allocates
/// nothing.
struct CountedText {
    bytes: [u8; 48],
    /// The length of `NAME=`.
    prefix: usize,
}

impl CountedText {
    fn new(name: &str) -> Self {
        let mut bytes = [0; 48];
        let prefix = name.bytes().chain([b'=']);
        for (slot, byte) in bytes.iter_mut().zip(prefix) {
            *slot = byte;
        }
        Self {
            bytes,
            prefix: name.len() + 1,
        }
    }

    /// Writes the value, and a null byte after it. Cannot panic: what does not fit is left out.
    fn set(&mut self, value: u32) {
        let digits = value.checked_ilog10().unwrap_or(0) + 1;
        let mut rest = value;
        let mut at = self.prefix + digits as usize;
        if let Some(end) = self.bytes.get_mut(at) {
            *end = 0;
        }
        for _ in 0..digits {
            at -= 1;
            if let Some(slot) = self.bytes.get_mut(at) {
                *slot = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
        }
    }
}

/// The names that every run reads. As constants they would lie among the texts of messages, which no
/// other run touches: 64 kB of memory (`tools/layout.ld`).
struct ReadNames {
    restarts: [u8; RESTARTS.len()],
    listen_pid: [u8; LISTEN_PID.len()],
    listen_pidfdid: [u8; LISTEN_PIDFDID.len()],
}

static READ_NAMES: ReadNames = ReadNames {
    restarts: to_array(RESTARTS),
    listen_pid: to_array(LISTEN_PID),
    listen_pidfdid: to_array(LISTEN_PIDFDID),
};

/// Returns the bytes of a text of this length. Is evaluated by the compiler.
const fn to_array<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; LENGTH],
    }
}

/// The environment of a child.
pub(crate) struct Environment {
    /// Ends with room for the counted variables, and then the null pointer.
    pointers: Vec<*const c_char>,
    restarts: CountedText,
    /// Present if `LISTEN_PID` named frigate: it is to name the child.
    listen_pid: Option<CountedText>,
    /// Present if the child has to report that it is alive.
    watchdog_pid: Option<CountedText>,
    /// Kept for the pointers to it.
    owned: Vec<CString>,
}

/// How many null pointers are at the end: one for each counted variable, and the end itself.
const TAIL: usize = 4;

impl Environment {
    /// Returns the environment that frigate inherited, with these changes.
    pub(crate) fn new(inherited: CStrings, own_pid: Pid, changes: &[Variable]) -> Self {
        let count = inherited.iter().count() + changes.len() + TAIL;
        let mut pointers = Vec::with_capacity(count);
        let mut listen_pid = None;
        for entry in inherited.iter() {
            let bytes = entry.to_bytes();
            let end = bytes.iter().position(|byte| *byte == b'=');
            let (name, value) = bytes.split_at(end.unwrap_or(bytes.len()));
            if name == READ_NAMES.listen_pid
                && value.get(1..).and_then(parse_number) == Some(own_pid.raw())
            {
                listen_pid = Some(CountedText::new(LISTEN_PID));
                continue;
            }
            let is_replaced = name == READ_NAMES.restarts
                || name == READ_NAMES.listen_pidfdid
                || changes.iter().any(|change| change.name.as_bytes() == name);
            if !is_replaced {
                pointers.push(entry.as_ptr());
            }
        }
        let owned: Vec<CString> = changes.iter().filter_map(entry_of).collect();
        pointers.extend(owned.iter().map(|entry| entry.as_ptr()));
        pointers.extend([core::ptr::null(); TAIL]);
        Self {
            pointers,
            restarts: CountedText::new(RESTARTS),
            listen_pid,
            watchdog_pid: None,
            owned,
        }
    }

    /// Returns the environment for the child of a host program, which has chosen every variable but
    /// the number of restarts.
    pub(crate) fn owned(entries: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = entries.iter().map(|entry| entry.as_ptr()).collect();
        pointers.extend([core::ptr::null(); TAIL]);
        Self {
            pointers,
            restarts: CountedText::new(RESTARTS),
            listen_pid: None,
            watchdog_pid: None,
            owned: entries,
        }
    }

    /// Returns the same environment, but without the number of restarts: the child is to see it as
    /// frigate does. The number is written after the null pointer that ends the array.
    pub(crate) fn unchanged(entries: Vec<CString>) -> Self {
        let mut environment = Self::owned(entries);
        environment.pointers.push(core::ptr::null());
        environment
    }

    /// Returns the environment for a program that replaces frigate in this process: what frigate
    /// inherited, with these changes. `LISTEN_PID` stays right, and nothing is restarted.
    pub(crate) fn of_same_process(inherited: CStrings, changes: &[Variable]) -> Self {
        let is_changed = |entry: &CStr| {
            changes.iter().any(|change| {
                let value = entry.to_bytes().strip_prefix(change.name.as_bytes());
                value.is_some_and(|value| value.first() == Some(&b'='))
            })
        };
        let kept = inherited.iter().filter(|entry| !is_changed(entry));
        let kept = kept.map(CStr::to_owned);
        Self::owned(kept.chain(changes.iter().filter_map(entry_of)).collect())
    }

    /// Keeps the words of a command. Returns the array of them.
    pub(crate) fn keep(&mut self, strings: Vec<CString>) -> Pointers {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(core::ptr::null());
        self.owned.extend(strings);
        Pointers(pointers)
    }

    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }

    /// Adds `WATCHDOG_PID`, which names the child.
    pub(crate) fn add_watchdog_pid(&mut self) {
        self.watchdog_pid = Some(CountedText::new(WATCHDOG_PID));
    }

    /// Returns whether a variable names the child's pid, which is known after the fork.
    pub(super) const fn names_child(&self) -> bool {
        self.listen_pid.is_some() || self.watchdog_pid.is_some()
    }

    /// Sets the value of a counted variable, if the child gets that variable. Allocates nothing.
    pub(super) fn set_count(&mut self, variable: Counted, value: u32) {
        let (text, from_end) = match variable {
            Counted::Restarts => (Some(&mut self.restarts), TAIL),
            Counted::ListenPid => (self.listen_pid.as_mut(), TAIL - 1),
            // Right after the last one that is there: a null pointer would end the array.
            Counted::WatchdogPid => {
                let others = 1 + usize::from(self.listen_pid.is_some());
                (self.watchdog_pid.as_mut(), TAIL - others)
            }
        };
        let at = self.pointers.len().saturating_sub(from_end);
        if let (Some(text), Some(slot)) = (text, self.pointers.get_mut(at)) {
            text.set(value);
            *slot = text.bytes.as_ptr().cast();
        }
    }
}

/// Returns `NAME=value`; `None` if the variable is removed.
fn entry_of(change: &Variable) -> Option<CString> {
    let value = change.value.as_deref()?;
    CString::new([change.name.as_bytes(), b"=", value].concat()).ok()
}

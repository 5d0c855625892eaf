//! What the kernel hands to a program at its start: words and variables, as bytes.
//!
//! # Safety
//!
//! The arrays that `main` is given end with a null pointer, and they and their strings live as long
//! as the process (`execve(2)`, `environ(7)`); nothing here writes to them.
#![expect(unsafe_code, reason = "reads the C arrays that main is given")]

use core::ffi::{CStr, c_char};

use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// An array of C strings with a null pointer at its end, as `main` gets it.
#[derive(Clone, Copy)]
pub(crate) struct CStrings(*const *const c_char);

/// One of them. How long it is takes a look at every byte, and so is not found out before somebody
/// wants to know.
#[derive(Clone, Copy)]
pub(crate) struct Entry(*const c_char);

impl Entry {
    /// Its first byte; 0 where it is empty.
    pub(crate) fn first(self) -> u8 {
        // SAFETY: a C string has one byte at least, its null byte, and lives as long as the
        // process.
        unsafe { *self.0.cast() }
    }

    pub(crate) fn whole(self) -> &'static CStr {
        // SAFETY: a C string that lives as long as the process.
        unsafe { CStr::from_ptr(self.0) }
    }

    pub(crate) fn as_ptr(self) -> *const c_char {
        self.0
    }
}

impl CStrings {
    /// # Safety
    ///
    /// `array` is null, or an array as `main` gets it, alive and unchanged for as long as the
    /// process is.
    pub(crate) const unsafe fn new(array: *const *const c_char) -> Self {
        Self(array)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Entry> + Clone {
        let mut next = self.0;
        core::iter::from_fn(move || {
            if next.is_null() {
                return None;
            }
            // SAFETY: `next` points into the array, at or before its null pointer, by the duty of
            // `new`.
            let string = unsafe { *next };
            if string.is_null() {
                return None;
            }
            // SAFETY: the null pointer was not reached, so that there is another element behind
            // this one.
            next = unsafe { next.add(1) };
            Some(Entry(string))
        })
    }

    /// Those that begin with that byte: most variables are told from the few that matter by their
    /// first letter.
    pub(crate) fn beginning_with(self, first: u8) -> impl Iterator<Item = &'static [u8]> + Clone {
        self.iter()
            .filter(move |entry| entry.first() == first)
            .map(|entry| entry.whole().to_bytes())
    }

    /// The value of a variable in an environment; of two of one name the first counts, as with
    /// `getenv(3)`.
    pub(crate) fn value_of(self, name: &str) -> Option<&'static [u8]> {
        let name = name.as_bytes();
        self.beginning_with(*name.first()?)
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// Whether the kernel marks this program's start as one across a boundary of privilege (`AT_SECURE`
/// in `getauxval(3)`).
pub(crate) fn is_secure() -> bool {
    // SAFETY: getauxval(3) takes a number, and reads what the kernel handed over at the start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// `prctl(PR_SET_PDEATHSIG)`: the kernel sends frigate that signal when its parent ends. A parent
/// that ended just before the call has sent nothing, which only its id betrays; frigate then sends
/// the signal itself.
pub(crate) fn set_parent_death_signal(signal: Signal) -> Result<(), Errno> {
    let parent = nix::unistd::getppid();
    // SAFETY: this prctl(2) operation takes a number.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_long::from(signal.raw())) } != 0 {
        return Err(super::last_errno());
    }
    if nix::unistd::getppid() != parent {
        // SAFETY: kill(2) touches no memory.
        unsafe { libc::kill(nix::unistd::getpid().as_raw(), signal.raw()) };
    }
    Ok(())
}

/// `prctl(PR_SET_CHILD_SUBREAPER)`: orphans below come to frigate as they come to PID 1.
///
/// `own`: the switch is any number but 0.
pub(crate) fn become_subreaper(own: Pid) -> Result<(), Errno> {
    rustix::process::set_child_subreaper(super::rustix_pid(own)).map_err(super::errno)
}

/// The id of this process, asked for by its first thread. musl remembers what the kernel told it at
/// the start, so that no system call is spent on it.
pub(crate) fn first_pid() -> Option<Pid> {
    #[cfg(target_env = "musl")]
    // SAFETY: gettid(2) touches no memory; the first thread's id is that of its process.
    return Pid::new(unsafe { libc::gettid() });
    #[cfg(not(target_env = "musl"))]
    own_pid()
}

pub(crate) fn own_pid() -> Option<Pid> {
    Pid::new(nix::unistd::getpid().as_raw())
}

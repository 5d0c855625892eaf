//! What the kernel passes to a program at its start, and two settings that frigate makes there.
//!
//! # Safety
//!
//! The arrays that `main` is given end with a null pointer, and they and their strings live as long
//! as the process (`execve(2)`, `environ(7)`). Only `argument_area` writes to strings, when nothing
//! reads them any more.
#![expect(unsafe_code, reason = "reads the C arrays that main is given")]

use core::ffi::{CStr, c_char};

use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// An array of C strings with a null pointer at its end, as `main` gets it.
#[derive(Clone, Copy)]
pub(crate) struct CStrings(*const *const c_char);

impl CStrings {
    /// # Safety
    ///
    /// `array` is null, or an array as `main` gets it, alive for as long as the process is. Its
    /// strings are unchanged while they are read.
    pub(crate) const unsafe fn new(array: *const *const c_char) -> Self {
        Self(array)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'static CStr> + Clone {
        // SAFETY: C strings that live as long as the process, by the duty of `new`.
        self.pointers()
            .map(|string| unsafe { CStr::from_ptr(string) })
    }

    /// Returns the addresses of the strings.
    pub(super) fn pointers(self) -> impl Iterator<Item = *const c_char> + Clone {
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
            // SAFETY: the null pointer was not reached, so that there is another element after this
            // one.
            next = unsafe { next.add(1) };
            Some(string)
        })
    }

    /// Returns the value of a variable in an environment. If it is there twice, the first counts, as
    /// with `getenv(3)`.
    pub(crate) fn value_of(self, name: &str) -> Option<&'static [u8]> {
        self.iter().find_map(|entry| {
            let rest = entry.to_bytes().strip_prefix(name.as_bytes())?;
            let (equals_sign, value) = rest.split_first()?;
            (*equals_sign == b'=').then_some(value)
        })
    }
}

/// Whether this program's file gave it privileges, or a security module asks for the same caution
/// (`AT_SECURE` in `getauxval(3)`).
pub(crate) fn is_secure() -> bool {
    // SAFETY: getauxval(3) takes a number, and reads what the kernel handed over at the start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// `prctl(PR_SET_PDEATHSIG)`: the kernel sends frigate that signal when its parent ends. If the
/// parent ended just before the call, no signal comes. frigate then has another parent, and sends
/// the signal to itself.
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
/// `own` serves as the argument, which is any number but 0.
pub(crate) fn become_subreaper(own: Pid) -> Result<(), Errno> {
    rustix::process::set_child_subreaper(super::rustix_pid(own)).map_err(super::errno)
}

/// Returns the id of this process. Must be called by its first thread. musl keeps the number that
/// the kernel gave it at the start, which saves a system call.
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

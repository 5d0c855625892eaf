//! What the kernel hands to a program at its start: words and variables, as bytes.
//!
//! # Safety
//!
//! The arrays that `main` is given end with a null pointer, and they and their strings live as long as the process
//! (`execve(2)`, `environ(7)`); nothing here writes to them.
#![expect(unsafe_code, reason = "reads the C arrays that main is given")]

use core::ffi::{CStr, c_char};

use crate::errno::Errno;
use crate::pid::Pid;
use crate::signal::Signal;

/// The strings of an array as `main` gets it: each is measured once, here.
///
/// # Safety
///
/// `array` is null, or an array as `main` gets it, alive and unchanged for as long as the process is.
pub(crate) unsafe fn strings(array: *const *const c_char) -> Vec<&'static CStr> {
    let at = |index: usize| {
        let element = array.wrapping_add(index);
        // SAFETY: `index` is that of the null pointer at most, since it grows by one and only where that was not reached.
        if array.is_null() { core::ptr::null() } else { unsafe { *element } }
    };
    let mut count = 0;
    while !at(count).is_null() {
        count += 1;
    }
    let mut strings = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: every element before the null pointer is a C string that lives as long as the process.
        strings.push(unsafe { CStr::from_ptr(at(index)) });
    }
    strings
}

/// The value of a variable in an environment; of two of one name the first counts, as with `getenv(3)`.
pub(crate) fn value_of(environment: &[&'static CStr], name: &str) -> Option<&'static [u8]> {
    let name = name.as_bytes();
    // Nearly all are told from it by one letter.
    let mut alike = environment.iter().map(|entry| entry.to_bytes()).filter(|entry| entry.first() == name.first());
    alike.find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

/// `prctl(PR_SET_PDEATHSIG)`: the kernel sends frigate that signal when its parent ends. A parent that ended just before
/// the call has sent nothing, which only its id betrays; frigate then sends the signal itself.
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

/// The current directory's path; EINVAL where it is not valid UTF-8, as nothing is that can be said in an option.
pub(crate) fn directory() -> Result<String, Errno> {
    let path = rustix::process::getcwd(Vec::new()).map_err(super::errno)?;
    path.into_string().map_err(|_| Errno::INVALID)
}

/// The id of this process, asked for by its first thread. musl remembers what the kernel told it at the start, so that
/// no system call is spent on it.
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

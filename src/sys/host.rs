//! What the library needs of the kernel inside a host program that has threads, handlers and
//! children of its own.
//!
//! *Invariant:* nothing here changes the host's dispositions, or the mask of a thread that is not
//! frigate's, or waits for a child that is not. Children are told apart by their pidfds, and never
//! by "any child".
#![expect(
    unsafe_code,
    reason = "raw signal calls on the child's side, getenv's array, ids of the parent, and a page of its own"
)]

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use super::signals::{self, Mask};
use super::spawn::LastSteps;
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// The pid of the host, on a page that the kernel empties in every process that is forked from it;
/// null: no process is the host yet.
///
/// The pid alone would not do: in a PID namespace of its own a forked process may have the same
/// one. The page alone would not do either: emulators of another processor (QEMU's) take the
/// request to empty it, and do nothing.
static HOST_PID: AtomicPtr<AtomicI32> = AtomicPtr::new(null_mut());

fn host_pid() -> Option<&'static AtomicI32> {
    // SAFETY: it is null or points to the page that `become_host` made, aligned, initialized and
    // mapped for good.
    unsafe { HOST_PID.load(Ordering::Acquire).as_ref() }
}

/// Makes this process the host, unless one is: this process, or the one that it was forked from.
pub(crate) fn become_host() -> Result<(), Errno> {
    let Some(own) = super::startup::own_pid().filter(|_| host_pid().is_none()) else {
        return Ok(());
    };
    let size = size_of::<AtomicI32>();
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory that is in use.
    let page = unsafe { libc::mmap(null_mut(), size, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(super::last_errno());
    }
    // SAFETY: the page is this function's own, and the request concerns processes forked later
    // alone.
    unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) };
    let word = page.cast::<AtomicI32>();
    // SAFETY: a new page is zeroed, aligned for everything and larger than the number; no other
    // thread knows it.
    unsafe { word.write(AtomicI32::new(own.raw())) };
    if HOST_PID
        .compare_exchange(null_mut(), word, Ordering::AcqRel, Ordering::Acquire)
        .is_err()
    {
        // SAFETY: another thread was faster, and nothing points to this page.
        unsafe { libc::munmap(page, size) };
    }
    Ok(())
}

/// Whether this process was forked from the host. It takes no lock: a lock of frigate's that
/// another thread held at the fork is never released in the forked process.
pub(crate) fn is_forked() -> bool {
    host_pid().is_some_and(|pid| Pid::new(pid.load(Ordering::Relaxed)) != super::startup::own_pid())
}

/// Whether the kernel started this program with privileges of its file: set-user-ID, set-group-ID
/// or file capabilities. Whoever started it does not have them, and has chosen its arguments and
/// variables (`getauxval(3)`).
pub(crate) fn is_privileged() -> bool {
    // SAFETY: getauxval(3) takes a number, and reads what the kernel handed over at the start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether the kernel reaps the host's children by itself, so that nobody learns how they ended
/// (`wait(2)`, NOTES).
pub(crate) fn discards_children() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer changes nothing; the other is to a live structure of the C library's
    // own layout.
    unsafe { libc::sigaction(libc::SIGCHLD, core::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid sigaction, and the C library has filled it in.
    let action = unsafe { action.assume_init() };
    action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0
}

/// What a child of a host program does before its own program begins.
pub(crate) struct HostSteps {
    /// The signal that the kernel sends it when frigate's thread, and so the host, is no more.
    pub(crate) death_signal: Signal,
    /// The host.
    pub(crate) parent: Pid,
}

/// Sets every disposition that is a handler of the host's back to its default, and SIGPIPE, which
/// Rust's runtime ignores. The exec would do the former, but too late: with the mask restored, a
/// signal that waits would run the host's handler in here, where it may write to a pipe that the
/// host reads.
fn reset_handlers() {
    for signal in 1..=64_i32 {
        let handler = signals::set_disposition(signal, None);
        if handler != libc::SIG_DFL && (handler != libc::SIG_IGN || signal == libc::SIGPIPE) {
            signals::set_disposition(signal, Some(libc::SIG_DFL));
        }
    }
}

impl LastSteps for HostSteps {
    fn take(&self) {
        reset_handlers();
        // After the change of user, which clears it (PR_SET_PDEATHSIG(2const)).
        // SAFETY: this prctl(2) operation takes a number.
        unsafe {
            libc::prctl(
                libc::PR_SET_PDEATHSIG,
                libc::c_long::from(self.death_signal.raw()),
            )
        };
        // SAFETY: getppid(2) touches no memory.
        if unsafe { libc::getppid() } != self.parent.raw() {
            // The host ended before it was asked to be told of.
            // SAFETY: getpid(2) touches no memory.
            let own = unsafe { libc::getpid() };
            // SAFETY: kill(2) touches no memory.
            unsafe { libc::kill(own, self.death_signal.raw()) };
        }
    }
}

/// Whether this thread is the process's only one. Where nobody can tell it is not.
pub(crate) fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Takes a variable out of the process's environment; does nothing where another thread might be
/// reading it.
pub(crate) fn remove_variable(name: &str) {
    if is_single_threaded() {
        // SAFETY: no other thread exists that could read or write the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// `prctl(PR_SET_NAME)`: what `ps` and `top` call this process, cut to 15 bytes.
pub(crate) fn set_name(name: &CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

/// The mask of the calling thread.
pub(crate) fn current_mask() -> Mask {
    signals::current_mask()
}

/// Makes the calling thread one that no signal of the host's is ever delivered to.
pub(crate) fn block_signals() {
    signals::block_all_but_libc_signals();
}

/// Acts with every signal blocked, so that what is forked or started meanwhile has them blocked
/// from its first moment on.
pub(crate) fn with_signals_blocked<T>(act: impl FnOnce() -> T) -> T {
    let before = signals::block_all();
    let result = act();
    let _ = before.and_then(signals::set_mask);
    result
}

/// SIGPIPE back to its default in this very process: for the init that frigate makes of a host,
/// where Rust's runtime has ignored it, and everything that is started from here would inherit
/// that.
pub(crate) fn restore_sigpipe() {
    // SAFETY: SIG_DFL is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

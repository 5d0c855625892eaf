//! The process of a host program, which has threads, handlers and children of its own.
//!
//! Architecture invariant: nothing here changes the host's dispositions, or the mask of a thread
//! that is not frigate's. `restore_sigpipe` alone does, for an init that frigate has made of the
//! host.
//!
//! # Safety
//!
//! System calls are given numbers, or pointers to live values of the size that their man pages
//! name. `HOST_PID` points to a page that is never unmapped.
#![expect(
    unsafe_code,
    reason = "raw signal calls on the child's side, getenv's array, ids of the parent, and a page of its own"
)]

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use core::time::Duration;

use super::signals::{self, Mask};
use super::spawn::{PreExec, Spawned, run_in_new_process_with_pidfd};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// The pid of the host, on a page that the kernel zeroes in every process forked from it. Null
/// means that no process is the host yet.
///
/// The pid alone does not suffice: in a PID namespace of its own, a forked process may have the
/// same one. The page alone does not suffice either: QEMU's emulation of another processor accepts
/// the request to zero it, and does not obey.
static HOST_PID: AtomicPtr<AtomicI32> = AtomicPtr::new(null_mut());

fn host_pid() -> Option<&'static AtomicI32> {
    // SAFETY: it is null, or points to the page that `become_host` made: aligned, initialized and
    // never unmapped.
    unsafe { HOST_PID.load(Ordering::Acquire).as_ref() }
}

/// Makes this process the host, unless this process, or one that it was forked from, is it already.
///
/// # Errors
///
/// The page could not be mapped.
pub(crate) fn become_host() -> Result<(), Errno> {
    let Some(own) = super::startup::own_pid().filter(|_| host_pid().is_none()) else {
        return Ok(());
    };
    let size = size_of::<AtomicI32>();
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: the kernel chooses the address, so that the mapping replaces no memory in use.
    let page = unsafe { libc::mmap(null_mut(), size, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(super::last_errno());
    }
    // SAFETY: the page belongs to this function, and the request changes only processes forked
    // later.
    unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) };
    let word = page.cast::<AtomicI32>();
    // SAFETY: a new page is aligned forevery type and larger than the number. No other thread has
    // its address yet.
    unsafe { word.write(AtomicI32::new(own.raw())) };
    if HOST_PID
        .compare_exchange(null_mut(), word, Ordering::AcqRel, Ordering::Acquire)
        .is_err()
    {
        // SAFETY: another thread was faster, so that nothing points to this page.
        unsafe { libc::munmap(page, size) };
    }
    Ok(())
}

/// Whether this process was forked from the host. Takes no lock: if another thread held a lock at
/// the fork, it is never released in the forked process.
pub(crate) fn is_forked() -> bool {
    host_pid().is_some_and(|pid| Pid::new(pid.load(Ordering::Relaxed)) != super::startup::own_pid())
}

/// Whether this program got privileges from its file: set-user-ID, set-group-ID or file
/// capabilities (`AT_SECURE` in `getauxval(3)`). Its caller lacks them, and has chosen its
/// arguments and variables.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: getauxval(3) takes a number, and reads what the kernel has put into this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether the kernel reaps the host's children by itself and discards their exit statuses
/// (`wait(2)`, NOTES).
pub(crate) fn discards_children() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer changes nothing. The other pointer is to a live structure of the C
    // library's own layout.
    unsafe { libc::sigaction(libc::SIGCHLD, core::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid sigaction, and the C library has filled it in.
    let action = unsafe { action.assume_init() };
    action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0
}

/// What a child of a host does before it executes its command.
#[derive(Clone, Copy)]
pub(crate) struct HostPreExec {
    /// The signal that the child gets when frigate's thread ends, and so the host.
    pub(crate) death_signal: Signal,
    /// The host.
    pub(crate) parent: Pid,
}

/// Sets every disposition with a handler to its default, and SIGPIPE, which Rust's runtime ignores.
///
/// The exec would reset the handlers too, but too late: the mask is restored before it. A pending
/// signal would then run the host's handler in the child, where it may write to a pipe that the
/// host reads.
fn reset_handlers() {
    for signal in 1..=64_i32 {
        let handler = signals::set_disposition(signal, None);
        if handler != libc::SIG_DFL && (handler != libc::SIG_IGN || signal == libc::SIGPIPE) {
            signals::set_disposition(signal, Some(libc::SIG_DFL));
        }
    }
}

impl PreExec for HostPreExec {
    fn run(&self) {
        reset_handlers();
        // After the change of user, which clears this setting (PR_SET_PDEATHSIG(2const)).
        self.end_with_host();
    }
}

impl HostPreExec {
    /// Lets the kernel send this process the signal when the host ends.
    fn end_with_host(self) {
        // SAFETY: this prctl(2) operation takes a number.
        unsafe {
            libc::prctl(
                libc::PR_SET_PDEATHSIG,
                libc::c_long::from(self.death_signal.raw()),
            )
        };
        // SAFETY: getppid(2) touches no memory.
        if unsafe { libc::getppid() } != self.parent.raw() {
            // The host ended before the setting was made, and so no signal will come.
            // SAFETY: getpid(2) touches no memory.
            let own = unsafe { libc::getpid() };
            // SAFETY: kill(2) touches no memory.
            unsafe { libc::kill(own, self.death_signal.raw()) };
        }
    }
}

/// Runs `work` in a new process, which ends after it, at the latest after `limit`, or by KILL when the
/// host ends. It is reaped by its pidfd.
///
/// Every signal is blocked there, from its first instruction on: no handler of the host's can run.
/// With a limit, ALRM ends it, because frigate's thread may be late to send KILL: it waits for the
/// readers of another child's streams. The host has other threads, so `work` may call only what
/// `signal-safety(7)` lists.
///
/// # Errors
///
/// The kernel makes no process. `work` has not run then.
pub(crate) fn run_in_new_process(
    work: &dyn Fn(),
    limit: Option<Duration>,
) -> Result<Spawned, Errno> {
    let steps = HostPreExec {
        death_signal: Signal::KILL,
        parent: super::startup::own_pid().ok_or(Errno::NO_PROCESS)?,
    };
    with_signals_blocked(|| {
        run_in_new_process_with_pidfd(|| {
            steps.end_with_host();
            if let Some(limit) = limit {
                end_after(limit);
            }
            work();
        })
    })
}

/// Lets ALRM end this process after that time, less than a second.
fn end_after(limit: Duration) {
    signals::set_disposition(libc::SIGALRM, Some(libc::SIG_DFL));
    // SAFETY: zeroed memory is a valid itimerval, which some C libraries pad.
    let mut timer: libc::itimerval = unsafe { MaybeUninit::zeroed().assume_init() };
    timer.it_value.tv_usec = limit.subsec_micros().into();
    // SAFETY: the pointer is to a live structure of the C library's own layout.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, null_mut()) };
    signals::block_all_but(Signal::ALRM);
}

/// Whether this is the only thread of the process. If `/proc` cannot be read, it is not.
pub(crate) fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Removes a variable from the environment, unless another thread might read it.
pub(crate) fn remove_variable(name: &str) {
    if is_single_threaded() {
        // SAFETY: no other thread exists that could read or change the environment.
        unsafe { std::env::remove_var(name) };
    }
}

/// Sets the name that `ps` and `top` show for this process, cut to 15 bytes
/// (`PR_SET_NAME(2const)`).
pub(crate) fn set_name(name: &CStr) {
    let _ = nix::sys::prctl::set_name(name);
}

/// Returns the mask of the calling thread.
pub(crate) fn current_mask() -> Mask {
    signals::current_mask()
}

/// Blocks signals in the calling thread, so that none for the host is ever delivered to it.
pub(crate) fn block_signals() {
    signals::block_all_but_libc_signals();
}

/// Calls `act` with every signal blocked. A process or thread that it starts has them blocked from
/// its first instruction on.
pub(crate) fn with_signals_blocked<T>(act: impl FnOnce() -> T) -> T {
    let before = signals::block_all();
    let result = act();
    let _ = before.and_then(signals::set_mask);
    result
}

/// Sets SIGPIPE to its default in this process, for an init that frigate has made of a host. Rust's
/// runtime has ignored it, and every process started from here would inherit that.
pub(crate) fn restore_sigpipe() {
    // SAFETY: SIG_DFL is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

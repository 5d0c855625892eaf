//! The ways to make the child's process, and what it has in common with frigate until its exec.
//!
//! - *By sharing*: `CLONE_VM` without `CLONE_VFORK`, on a stack of its own. No page table is
//!   copied, nor any page after that; and frigate does not wait for the exec, which may never come:
//!   both run at once, in one memory.
//! - *By forking*: the child has a copy of everything.
//! - *Into a cgroup*: the same by `clone3(2)`.
//!
//! # Safety
//!
//! A child that shares frigate's memory reads its order, which lies on its own stack, and the plan;
//! it writes to that stack and to the one word in which it says what failed. frigate changes
//! neither plan nor stack before the child is reaped or was sent KILL, after which no instruction
//! of it is executed. The C library's data are those of frigate's thread, `errno` among them:
//! nothing is called in there that could write to it.
#![expect(
    unsafe_code,
    reason = "raw clones, a stack, and a page that two processes share"
)]

use core::ffi::{CStr, c_char};
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::last_errno;
use super::own_descriptor::note_own;
use crate::core::errno::Errno;
use crate::core::pid::Pid;

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
use other::CAN_SHARE;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
use x86_64::CAN_SHARE;

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
pub(super) use other::{call, share};
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub(super) use x86_64::{call, share};

/// What a clone answers: the child, and its pidfd if that was wanted; none on the child's side.
pub(super) type Cloned = Option<(Pid, Option<OwnedFd>)>;

/// `AT_RSEQ_FEATURE_SIZE` of the auxiliary vector, which Linux 6.3 was the first to hand over.
const OF_LINUX_6_3: libc::c_ulong = 27;

/// Whether a child in frigate's memory would end nobody but itself. Before Linux 5.16 the kernel
/// ended everybody in the memory of a process that dumps core, and between its mask and its exec a
/// signal such as QUIT makes the child do so. No system call is spent on the kernel's age: a number
/// in the auxiliary vector shows that it is young enough.
pub(crate) fn may_share() -> bool {
    // SAFETY: getauxval(3) takes a number, and reads what the kernel handed over at the start.
    CAN_SHARE && unsafe { libc::getauxval(OF_LINUX_6_3) } > 0
}

/// `clone(SIGCHLD)`, with `CLONE_PIDFD` if so asked; none on the child's side. Not the C library's
/// `fork`, which runs handlers of the host program's and takes its locks.
pub(super) fn fork(with_pidfd: bool) -> Result<Cloned, Errno> {
    let mut pidfd = -1;
    let flags = libc::SIGCHLD | if with_pidfd { libc::CLONE_PIDFD } else { 0 };
    let flags = flags.unsigned_abs() as usize;
    // On s390x the stack comes first (clone(2)); 0 leaves the child at the parent's address.
    let [first, second] = if cfg!(target_arch = "s390x") {
        [0, flags]
    } else {
        [flags, 0]
    };
    // SAFETY: without CLONE_VM the child has its own copy of everything, the stack included; the
    // third argument is where the kernel puts the pidfd; it and those behind it are ignored without
    // the flags for them.
    let answer = unsafe {
        call(
            libc::SYS_clone,
            [first, second, (&raw mut pidfd).expose_provenance(), 0],
        )
    };
    cloned(answer, pidfd)
}

/// What a clone answered, and the pidfd, if it is one.
fn cloned(answer: libc::c_long, pidfd: i32) -> Result<Cloned, Errno> {
    let answer = i32::try_from(answer).unwrap_or(i32::MAX);
    if answer < 0 {
        return Err(Errno::new(-answer));
    }
    let Some(pid) = Pid::new(answer) else {
        return Ok(None);
    };
    let pidfd = (pidfd >= 0).then(|| {
        // SAFETY: the kernel has just made it for us.
        note_own(unsafe { OwnedFd::from_raw_fd(pidfd) })
    });
    Ok(Some((pid, pidfd)))
}

/// `struct clone_args` (`clone(2)`), as far as Linux 5.7 knows it.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `clone3(2)` with `CLONE_INTO_CGROUP`, so that the child is never outside.
pub(super) fn fork_into(cgroup: BorrowedFd<'_>, with_pidfd: bool) -> Result<Cloned, Errno> {
    let mut pidfd = -1;
    let arguments = CloneArguments {
        flags: CLONE_INTO_CGROUP | if with_pidfd { CLONE_PIDFD } else { 0 },
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        cgroup: cgroup.as_raw_fd().unsigned_abs().into(),
        ..CloneArguments::default()
    };
    let place = (&raw const arguments).expose_provenance();
    // SAFETY: the arguments are live and of the size that is said; without CLONE_VM the child has
    // its own copy of everything, the stack included; the kernel puts the pidfd where it is asked
    // to.
    let answer = unsafe { call(libc::SYS_clone3, [place, size_of::<CloneArguments>(), 0, 0]) };
    cloned(answer, pidfd)
}

/// `execve(2)`, which returns only if it fails. Leaves `errno` alone where memory is shared.
///
/// # Safety
///
/// Both arrays end with a null pointer, and hold pointers to C strings.
pub(super) unsafe fn execve(
    path: &CStr,
    words: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    let [path, words, environment] = [
        path.as_ptr().expose_provenance(),
        words.expose_provenance(),
        environment.expose_provenance(),
    ];
    // SAFETY: the path is a C string, the arrays are by the duty of the caller; the kernel only
    // reads.
    let answer = unsafe { call(libc::SYS_execve, [path, words, environment, 0]) };
    Errno::new(i32::try_from(-answer).unwrap_or(0))
}

/// The size of the child's stack: four times what it uses in the program that is shipped, whose
/// memory is counted. A compiler that does not optimize, or a dynamic linker in the middle of the
/// first call, may need far more.
const STACK: usize = if cfg!(debug_assertions) || !cfg!(target_env = "musl") {
    32 * 1024
} else {
    1024
};

/// The stack of a child that shares frigate's memory. There is one such child at a time, and the
/// stack is never given back: a plan lives as long as the program.
#[derive(Clone, Copy)]
pub(super) struct Stack(NonNull<Room>);

type Room = [u128; STACK / 16];

impl Stack {
    pub(super) fn new() -> Self {
        Self(NonNull::from(Box::leak(Box::<Room>::new_uninit())).cast())
    }
}

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
mod x86_64 {
    use core::arch::asm;

    use super::{Cloned, Room, Stack, cloned};
    use crate::core::errno::Errno;

    pub(in super::super) const CAN_SHARE: bool = true;

    /// A system call of four arguments, or whose others are ignored. Leaves `errno` alone.
    ///
    /// # Safety
    ///
    /// The duties are those of the call.
    pub(in super::super) unsafe fn call(
        number: libc::c_long,
        [first, second, third, fourth]: [usize; 4],
    ) -> libc::c_long {
        let answer;
        // SAFETY: the kernel changes no other registers; what it does to memory is the caller's
        // duty.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => answer,
                in("rdi") first,
                in("rsi") second,
                in("rdx") third,
                in("r10") fourth,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        answer
    }

    /// `clone(CLONE_VM | SIGCHLD)`: runs `act` over the order in a process of its own, on that
    /// stack, which holds the order too.
    ///
    /// # Safety
    ///
    /// No child runs on that stack. What `act` reads stays as it is for as long as the child
    /// executes anything, and what it writes is nobody else's: `errno` is not.
    pub(in super::super) unsafe fn share<T>(
        stack: Stack,
        order: T,
        act: extern "C" fn(&T) -> !,
        with_pidfd: bool,
    ) -> Result<Cloned, Errno> {
        const {
            assert!(
                size_of::<T>() <= size_of::<Room>() / 4 && align_of::<T>() <= align_of::<Room>()
            );
        };
        let mut pidfd = -1;
        let flags = libc::CLONE_VM | libc::SIGCHLD | if with_pidfd { libc::CLONE_PIDFD } else { 0 };
        let end = stack.0.as_ptr().wrapping_add(1);
        // A stack grows down, and is to lie on a multiple of 16 where a function is called.
        let top = end
            .cast::<u8>()
            .wrapping_sub(size_of::<T>().next_multiple_of(16))
            .cast::<T>();
        // SAFETY: there is room for it between there and the end, the place is aligned, and no
        // child runs on the stack.
        unsafe { top.write(order) };
        let answer;
        // SAFETY: the parent comes out as after any system call. The child has the same registers
        // but for its stack, at whose top lies its order; it never comes out, since `act` does not
        // return.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "mov rdi, rsp",
                "call r12",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone => answer,
                in("rdi") libc::c_long::from(flags),
                in("rsi") top,
                in("rdx") &raw mut pidfd,
                in("r12") act,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        cloned(answer, pidfd)
    }
}

/// Where nobody has written down how to share: every child is forked, and has an `errno` of its
/// own.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
mod other {
    use super::{Cloned, Stack, last_errno};
    use crate::core::errno::Errno;

    pub(in super::super) const CAN_SHARE: bool = false;

    /// The same by the C library.
    ///
    /// # Safety
    ///
    /// The duties are those of the call.
    pub(in super::super) unsafe fn call(
        number: libc::c_long,
        [first, second, third, fourth]: [usize; 4],
    ) -> libc::c_long {
        // SAFETY: by the duty of the caller.
        let answer = unsafe { libc::syscall(number, first, second, third, fourth) };
        if answer < 0 {
            -libc::c_long::from(last_errno().raw())
        } else {
            answer
        }
    }

    /// Not to be had here.
    ///
    /// # Safety
    ///
    /// It does nothing.
    pub(in super::super) unsafe fn share<T>(
        _: Stack,
        _: T,
        _: extern "C" fn(&T) -> !,
        _: bool,
    ) -> Result<Cloned, Errno> {
        Err(Errno::INVALID)
    }
}

/// One word that this process and all that it forks have in common.
pub(crate) struct Word(NonNull<AtomicU32>);

impl Word {
    /// `mmap(MAP_SHARED | MAP_ANONYMOUS)`, one page.
    pub(super) fn new() -> Result<Self, Errno> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping, wherever the kernel has room.
        let page = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                size_of::<AtomicU32>(),
                protection,
                flags,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(last_errno());
        }
        NonNull::new(page.cast()).map(Self).ok_or(Errno::INVALID)
    }
}

impl Deref for Word {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped as long as this is, aligned, zero at first, and used as an
        // atomic by both sides.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nobody here uses it any more; a child has a
        // mapping of its own.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU32>()) };
    }
}

// The kernel's calls, and a program's first instruction, for programs that have no C library.
//
// Each of them includes this file (`#[path]`). A C library would execute thousands of instructions
// before `main`, but the benchmark measures the init, not its child.

use core::arch::{asm, global_asm};

pub const SIGUSR1: usize = 10;
pub const SIGKILL: usize = 9;
pub const SIGCHLD: usize = 17;

pub const CLONE_VM: usize = 0x100;
pub const CLONE_VFORK: usize = 0x4000;
pub const CLONE_NEWUSER: usize = 0x1000_0000;
pub const CLONE_NEWPID: usize = 0x2000_0000;

pub const READ: usize = 0;
pub const WRITE: usize = 1;
pub const OPEN: usize = 2;
pub const RT_SIGPROCMASK: usize = 14;
pub const PAUSE: usize = 34;
pub const NANOSLEEP: usize = 35;
pub const CLONE: usize = 56;
pub const EXECVE: usize = 59;
pub const EXIT: usize = 60;
pub const WAIT4: usize = 61;
pub const KILL: usize = 62;
pub const RT_SIGTIMEDWAIT: usize = 128;
pub const PRCTL: usize = 157;
pub const CLOCK_GETTIME: usize = 228;
pub const DUP3: usize = 292;
pub const CLOSE_RANGE: usize = 436;

// At the entry, the stack holds the number of words, the words, a null pointer, the environment,
// and a null pointer.
global_asm!(
    ".globl _start",
    "_start:",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {begin}",
    "ud2",
    begin = sym begin,
);

unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the count there.
    let count = unsafe { *stack };
    // SAFETY: the words follow it.
    let words = unsafe { stack.add(1) };
    // SAFETY: the environment follows the words and their null pointer.
    let environment = unsafe { words.add(count + 1) };
    let code = crate::run(words.cast(), environment.cast());
    exit(code)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(255)
}

/// Calls the kernel. The caller decides what the words mean.
#[inline(always)]
pub fn call(number: usize, words: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the programs hand over pointers to live memory only; the kernel changes no register
    // but those named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") words[0],
            in("rsi") words[1],
            in("rdx") words[2],
            in("r10") words[3],
            in("r8") words[4],
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The stack of a new process, with this many bytes.
#[repr(C, align(16))]
pub struct Stack<const BYTES: usize>(pub [u8; BYTES]);

/// Clones a process onto a stack of its own, where it runs `act` and never returns. Returns its id.
pub fn start<T, const BYTES: usize>(
    flags: usize,
    stack: &mut Stack<BYTES>,
    act: extern "C" fn(*mut T) -> !,
    on: &mut T,
) -> isize {
    let top = (&raw mut *stack).addr() + BYTES;
    let pid: isize;
    // SAFETY: the new process leaves this frame alone, having a stack of its own, and `act` does
    // not return.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") CLONE as isize => pid,
            in("rdi") flags,
            in("rsi") top,
            in("rdx") 0_usize,
            in("r10") 0_usize,
            in("r8") 0_usize,
            in("r12") &raw mut *on,
            in("r13") act,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    pid
}

pub fn exit(code: usize) -> ! {
    loop {
        call(EXIT, [code, 0, 0, 0, 0]);
    }
}

/// Reads the monotonic clock, in nanoseconds. Makes the system call, because the kernel's page for
/// it is found through the auxiliary vector, which costs more than it saves here.
pub fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_u64; 2];
    call(CLOCK_GETTIME, [CLOCK_MONOTONIC, (&raw mut time).addr(), 0, 0, 0]);
    time[0] * 1_000_000_000 + time[1]
}

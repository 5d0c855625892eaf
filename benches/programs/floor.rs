//! The floor: the least that an init can do, without a C library. It starts its child, waits, and
//! exits with its code.
//!
//! `floor PROGRAM [ARG...]`. Built with `--cfg forwards` it also passes signals on, and with `--cfg
//! restarts` it starts the child again forever. These are floors for what the plain one does not do.
#![no_std]
#![no_main]

#[path = "kernel.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod kernel;

use core::arch::asm;

use kernel::{CLONE_VFORK, CLONE_VM, EXECVE, SIGCHLD, WAIT4, call};

#[cfg(forwards)]
static ALL: u64 = u64::MAX;

pub fn run(words: *const *const u8, environment: *const *const u8) -> usize {
    // SAFETY: the words end with a null pointer, so that there is one behind the first.
    let program = unsafe { words.add(1) };
    #[cfg(forwards)]
    call(kernel::RT_SIGPROCMASK, [0, (&raw const ALL).addr(), 0, 8, 0]);
    loop {
        let child = start(program, environment);
        let code = wait_for(child);
        if !cfg!(restarts) {
            return code;
        }
    }
}

/// Expands to code that restores the mask, for the child's side. A floor that takes signals blocks
/// them before it starts the child, as any init must.
#[cfg(forwards)]
macro_rules! give_mask_back {
    () => {
        "push 0; mov edi, 2; mov rsi, rsp; xor edx, edx; mov r10d, 8; mov eax, 14; syscall; pop rsi"
    };
}
#[cfg(not(forwards))]
macro_rules! give_mask_back {
    () => {
        ""
    };
}

/// Starts the child as `vfork` does. Both sides share the stack until the exec, and the child's
/// side writes nothing that is in use on it.
fn start(program: *const *const u8, environment: *const *const u8) -> usize {
    let child: usize;
    // SAFETY: the first word of a program that was told what to run is a C string, and both arrays
    // end with a null pointer.
    unsafe {
        asm!(
            "syscall",
            "test eax, eax",
            "jnz 2f",
            give_mask_back!(),
            "mov rdi, [r12]",
            "mov rsi, r12",
            "mov rdx, r13",
            "mov eax, {execve}",
            "syscall",
            "mov edi, 127",
            "mov eax, 60",
            "syscall",
            "2:",
            execve = const EXECVE,
            inlateout("rax") kernel::CLONE => child,
            inlateout("rdi") CLONE_VM | CLONE_VFORK | SIGCHLD => _,
            inlateout("rsi") 0_usize => _,
            inlateout("rdx") 0_usize => _,
            inlateout("r10") 0_usize => _,
            in("r8") 0_usize,
            in("r12") program,
            in("r13") environment,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    child
}

/// Waits for a child, and reaps all processes that end meanwhile. Returns the exit code of the
/// child.
#[cfg(not(forwards))]
fn wait_for(child: usize) -> usize {
    loop {
        if let Some(code) = reap(child, 0) {
            return code;
        }
    }
}

/// Does the same, and passes signals on.
#[cfg(forwards)]
fn wait_for(child: usize) -> usize {
    const WNOHANG: usize = 1;
    loop {
        let signal = call(kernel::RT_SIGTIMEDWAIT, [(&raw const ALL).addr(), 0, 0, 8, 0]).unsigned_abs();
        if signal != SIGCHLD {
            call(kernel::KILL, [child, signal, 0, 0, 0]);
        } else if let Some(code) = reap(child, WNOHANG) {
            return code;
        }
    }
}

fn reap(child: usize, flags: usize) -> Option<usize> {
    loop {
        let mut status = 0_u32;
        let ended = call(WAIT4, [usize::MAX, (&raw mut status).addr(), flags, 0, 0]);
        if ended <= 0 {
            return None;
        }
        if ended.unsigned_abs() == child {
            let signal = status & 0x7f;
            return Some(if signal == 0 { status >> 8 & 0xff } else { 128 + signal } as usize);
        }
    }
}

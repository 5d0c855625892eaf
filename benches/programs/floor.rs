//! The floor: the least that an init can do, without a C library. It starts its child, waits, and exits with its code.
//!
//! `floor PROGRAM [ARG...]`. Built with `--cfg forwards` it also passes signals on, and with `--cfg restarts` it starts the
//! child again for ever: a floor for what the plain one does not do.
#![no_std]
#![no_main]

#[path = "kernel.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod kernel;

use core::arch::asm;

use kernel::{CLONE_VFORK, CLONE_VM, EXECVE, SIGCHLD, WAIT4, call};

pub fn run(words: *const *const u8, environment: *const *const u8) -> usize {
    // SAFETY: the words end with a null pointer, so that there is one behind the first.
    let program = unsafe { words.add(1) };
    loop {
        let child = start(program, environment);
        let code = attend(child);
        if !cfg!(restarts) {
            return code;
        }
    }
}

/// Starts the child as `vfork` does. From the fork to the exec nothing but registers is used, since the stack is shared.
fn start(program: *const *const u8, environment: *const *const u8) -> usize {
    let child: usize;
    // SAFETY: the first word of a program that was told what to run is a C string, and both arrays end with a null pointer.
    unsafe {
        asm!(
            "syscall",
            "test eax, eax",
            "jnz 2f",
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
            in("r10") 0_usize,
            in("r8") 0_usize,
            in("r12") program,
            in("r13") environment,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    child
}

/// Waits for a child, reaping whatever else ends; answers with its exit code once it has ended.
#[cfg(not(forwards))]
fn attend(child: usize) -> usize {
    loop {
        if let Some(code) = reap(child, 0) {
            return code;
        }
    }
}

/// The same, passing signals on. They are blocked only now: before, none is sent, and the child has been given a clean mask.
#[cfg(forwards)]
fn attend(child: usize) -> usize {
    const WNOHANG: usize = 1;
    let all = u64::MAX;
    let all = (&raw const all).addr();
    call(kernel::RT_SIGPROCMASK, [0, all, 0, 8, 0]);
    loop {
        let signal = call(kernel::RT_SIGTIMEDWAIT, [all, 0, 0, 8, 0]).unsigned_abs();
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

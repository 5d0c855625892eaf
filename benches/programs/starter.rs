//! The starter: runs one init as PID 1 of a fresh PID namespace, and reports when it was executed
//! and when it ended.
//!
//! `starter end|once|gate PROGRAM [ARG...]`, with a gate at standard input and the reports at
//! standard output. It is as small as it can be, because the kernel unmaps the caller's memory
//! within the `execve` that is measured.
//!
//! `end` reports both at the end, so that no process wakes up while the init starts. `once` reports
//! the first at once. With `gate` the init waits for a byte before it is executed, so that a tracer
//! has time to attach.
#![no_std]
#![no_main]

#[path = "kernel.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod kernel;

use kernel::{
    CLONE_NEWPID, CLONE_NEWUSER, CLONE_VFORK, CLONE_VM, CLOSE_RANGE, DUP3, EXECVE, EXIT, OPEN, PRCTL, READ,
    SIGCHLD, SIGKILL, Stack, WAIT4, WRITE, call, exit, now, start,
};

const GATE: usize = 10;
const REPORT: usize = 11;

/// What the init's side needs, and where it writes the time of its exec. Until then it shares this
/// memory.
#[repr(C)]
struct Plan {
    program: *const *const u8,
    environment: *const *const u8,
    gated: bool,
    executed: u64,
}

pub fn run(words: *const *const u8, environment: *const *const u8) -> usize {
    // SAFETY: the harness gives the mode, as a word of at least one letter.
    let mode = unsafe { **words.add(1) };
    // SAFETY: the program's name is the word behind it.
    let program = unsafe { words.add(2) };
    die_with_parent();
    arrange_descriptors();
    let mut plan = Plan { program, environment, gated: mode == b'g', executed: 0 };
    let mut stack = Stack([0; 4096]);
    let mut flags = CLONE_NEWPID | CLONE_VM | SIGCHLD;
    if !plan.gated {
        flags |= CLONE_VFORK;
    }
    let mut pid = start(flags, &mut stack, become_init, &mut plan);
    if pid < 0 {
        // A user without the right to make a PID namespace has it in a user namespace of their own.
        pid = start(flags | CLONE_NEWUSER, &mut stack, become_init, &mut plan);
    }
    if pid < 0 {
        report(3, pid.unsigned_abs(), 0);
        return 1;
    }
    // The init's side may still be at the gate, and has then written no time.
    // SAFETY: a live value, written by the other process before its exec.
    let executed = |plan: &Plan| unsafe { (&raw const plan.executed).read_volatile() };
    if mode != b'e' {
        report(1, pid.unsigned_abs(), executed(&plan));
    }
    let mut status = 0_u32;
    call(WAIT4, [pid.unsigned_abs(), (&raw mut status).addr(), 0, 0, 0]);
    let ended = now();
    if mode == b'e' {
        report(1, pid.unsigned_abs(), executed(&plan));
    }
    report(2, status as usize, ended);
    0
}

/// Leaves the init the standard descriptors alone. Its exec closes the gate and the reports, and
/// the harness's own descriptors are closed here.
fn arrange_descriptors() {
    const O_RDWR: usize = 2;
    const O_CLOEXEC: usize = 0o2_000_000;
    call(CLOSE_RANGE, [3, u32::MAX as usize, 0, 0, 0]);
    call(DUP3, [0, GATE, O_CLOEXEC, 0, 0]);
    call(DUP3, [1, REPORT, O_CLOEXEC, 0, 0]);
    let null = call(OPEN, [c"/dev/null".as_ptr().addr(), O_RDWR | O_CLOEXEC, 0, 0, 0]).unsigned_abs();
    call(DUP3, [null, 0, 0, 0, 0]);
    call(DUP3, [null, 1, 0, 0, 0]);
}

fn die_with_parent() {
    const PR_SET_PDEATHSIG: usize = 1;
    call(PRCTL, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0]);
}

extern "C" fn become_init(plan: *mut Plan) -> ! {
    die_with_parent();
    // SAFETY: the parent keeps it alive and does not write to it.
    let plan = unsafe { &mut *plan };
    if plan.gated {
        let mut byte = 0_u8;
        call(READ, [GATE, (&raw mut byte).addr(), 1, 0, 0]);
    }
    // SAFETY: the array holds the program's name at least.
    let program = unsafe { *plan.program };
    let words = [program.addr(), plan.program.addr(), plan.environment.addr(), 0, 0];
    // SAFETY: a live value that the parent reads when this process has ended.
    unsafe { (&raw mut plan.executed).write_volatile(now()) };
    call(EXECVE, words);
    loop {
        call(EXIT, [127, 0, 0, 0, 0]);
    }
}

fn report(kind: usize, number: usize, time: u64) {
    let record = [kind as u64, time, number as u64, 0];
    if call(WRITE, [REPORT, (&raw const record).addr(), size_of_val(&record), 0, 0]) < 0 {
        exit(1);
    }
}

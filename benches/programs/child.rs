//! The child: a program without a C library that an init starts. It reads the clock in its first
//! moment.
//!
//! `child MODE=FIFO [WORD...]`. Mode and FIFO are one word, because the `run` file of a service
//! directory names this program as its interpreter, and has room for one word. The next word is
//! that file's name, and is ignored. Each record is four 64-bit words: its kind and three values,
//! of which the first is a time of the monotonic clock.
#![no_std]
#![no_main]

#[path = "kernel.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod kernel;

use core::arch::asm;

use kernel::{
    CLONE, CLONE_VFORK, CLONE_VM, KILL, NANOSLEEP, OPEN, PAUSE, READ, RT_SIGPROCMASK, RT_SIGTIMEDWAIT, SIGCHLD,
    SIGUSR1, Stack, WAIT4, WRITE, call, exit, now, start,
};

const STARTED: u64 = 1;
const ENDING: u64 = 2;
const SIGNALED: u64 = 3;
const DRAINED: u64 = 4;

/// Longer than a second, after which every peer takes a child for healthy.
const HEALTHY: [u64; 2] = [1, 200_000_000];

/// The most orphans that are made at once.
const MOST: usize = 32_768;
static mut PIDS: [i32; MOST] = [0; MOST];

pub fn run(words: *const *const u8, _environment: *const *const u8) -> usize {
    let started = now();
    // SAFETY: the harness gives the mode.
    let word = unsafe { *words.add(1) };
    let mut path = word;
    // SAFETY: the word has an equals sign.
    while unsafe { *path } != b'=' {
        // SAFETY: it has not been reached.
        path = unsafe { path.add(1) };
    }
    // SAFETY: what is behind it is the path, or the word's end.
    path = unsafe { path.add(1) };
    // SAFETY: a mode has a first letter.
    let mode = unsafe { *word };
    // `nothing` is counted, not timed.
    if mode == b'n' {
        return 0;
    }
    let fifo = call(OPEN, [path.addr(), 2, 0, 0, 0]).unsigned_abs();
    if mode == b'i' || mode == b'e' {
        // `ignore` and `echo` block the signals; TERM must end an echo.
        let blocked = if mode == b'i' { u64::MAX } else { 1 << (SIGUSR1 - 1) };
        call(RT_SIGPROCMASK, [0, (&raw const blocked).addr(), 0, 8, 0]);
    }
    report(fifo, STARTED, [started, 0, 0]);
    match mode {
        b'o' => report(fifo, ENDING, [now(), 0, 0]),
        b'l' => {
            let healthy = HEALTHY;
            call(NANOSLEEP, [(&raw const healthy).addr(), 0, 0, 0, 0]);
            report(fifo, ENDING, [now(), 0, 0]);
        }
        b'e' => echo(fifo),
        b'b' => make_orphans(path, fifo),
        // `sleep`, `ignore`
        _ => loop {
            call(PAUSE, [0; 5]);
        },
    }
    0
}

fn echo(fifo: usize) -> ! {
    let set = 1_u64 << (SIGUSR1 - 1);
    loop {
        let signal = call(RT_SIGTIMEDWAIT, [(&raw const set).addr(), 0, 0, 8, 0]);
        let received = now();
        report(fifo, SIGNALED, [received, signal.unsigned_abs() as u64, 0]);
    }
}

/// Makes orphans in batches. Each order gives their number, and whether they all wait to be reaped
/// at once or come one by one.
fn make_orphans(path: *const u8, fifo: usize) -> ! {
    let orders = open_orders(path);
    loop {
        let mut order = [0_u64; 2];
        if call(READ, [orders, (&raw mut order).addr(), size_of_val(&order), 0, 0]) <= 0 {
            exit(1);
        }
        let wanted = (order[0] as usize).min(MOST);
        let mut batch = Batch { first: 0, wanted, made: 0, released: 0 };
        if order[1] == 0 {
            let began = now();
            for first in 0..wanted {
                let mut one = Batch { first, wanted: 1, made: 0, released: 0 };
                one.make();
                batch.made += one.made;
            }
            batch.released = began;
        } else {
            batch.make();
        }
        await_reaped(batch.made);
        report(fifo, DRAINED, [batch.released, now(), batch.made as u64]);
    }
}

/// Opens the FIFO for orders. It is beside that for reports, and its name differs only in the last
/// letter.
fn open_orders(path: *const u8) -> usize {
    let mut name = [0_u8; 256];
    let mut length = 0;
    // SAFETY: the path is a C string, and the harness keeps it shorter than this.
    while length + 1 < name.len() && unsafe { *path.add(length) } != 0 {
        // SAFETY: as above.
        name[length] = unsafe { *path.add(length) };
        length += 1;
    }
    name[length.saturating_sub(1)] = b'o';
    call(OPEN, [name.as_ptr().addr(), 2, 0, 0, 0]).unsigned_abs()
}

/// Some zombies and their parent. When the parent ends, they become the init's children.
#[derive(Clone, Copy)]
struct Batch {
    first: usize,
    wanted: usize,
    made: usize,
    /// When the parent ended.
    released: u64,
}

impl Batch {
    /// Runs the parent, which shares this memory, to its end.
    fn make(&mut self) {
        let mut stack = Stack([0; 8192]);
        let parent = start(CLONE_VM | CLONE_VFORK | SIGCHLD, &mut stack, run_parent, self);
        if parent > 0 {
            call(WAIT4, [parent.unsigned_abs(), 0, 0, 0, 0]);
        }
    }
}

extern "C" fn run_parent(batch: *mut Batch) -> ! {
    // SAFETY: the other process waits for this one to end, and touches nothing meanwhile.
    let batch = unsafe { &mut *batch };
    while batch.made < batch.wanted {
        let pid = start_zombie();
        if pid <= 0 {
            break;
        }
        let slot = (&raw mut PIDS).cast::<i32>().wrapping_add(batch.first + batch.made);
        // SAFETY: there are never more than the array holds.
        unsafe { *slot = pid as i32 };
        batch.made += 1;
    }
    batch.released = now();
    exit(0)
}

/// Starts a child that ends in its first instruction.
fn start_zombie() -> isize {
    let pid: isize;
    // SAFETY: the new process shares the stack and uses nothing but registers.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor edi, edi",
            "mov eax, 60",
            "syscall",
            "2:",
            inlateout("rax") CLONE as isize => pid,
            inlateout("rdi") CLONE_VM | CLONE_VFORK | SIGCHLD => _,
            in("rsi") 0_usize,
            in("rdx") 0_usize,
            in("r10") 0_usize,
            in("r8") 0_usize,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    pid
}

/// Waits until the last of them has been reaped. An init mostly reaps them in the order in which it
/// got them, so this keeps pace with it. A shorter sleep would compete with the init for the
/// processor.
fn await_reaped(count: usize) {
    let between_looks: [u64; 2] = [0, 50_000];
    for index in 0..count {
        let slot = (&raw const PIDS).cast::<i32>().wrapping_add(index);
        // SAFETY: within the array.
        let pid = unsafe { *slot };
        while call(KILL, [pid as usize, 0, 0, 0, 0]) == 0 {
            call(NANOSLEEP, [(&raw const between_looks).addr(), 0, 0, 0, 0]);
        }
    }
}

fn report(fifo: usize, kind: u64, [a, b, c]: [u64; 3]) {
    let record = [kind, a, b, c];
    call(WRITE, [fifo, (&raw const record).addr(), size_of_val(&record), 0, 0]);
}

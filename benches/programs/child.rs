//! The child: a program without a C library that an init is given to look after. It reads the clock
//! in its first moment.
//!
//! `child MODE=FIFO [WORD...]`: one word, since a service directory's `run` file, whose first line
//! names this program as its interpreter, has room for one. What comes behind is ignored: it is
//! that file's name. Each record is four 64-bit words: its kind, and three values, the first of
//! them a time of the monotonic clock.
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

/// Longer than the second from which on every peer takes a child for healthy.
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
    // `nothing`: for what is counted, not timed.
    if mode == b'n' {
        return 0;
    }
    let fifo = call(OPEN, [path.addr(), 2, 0, 0, 0]).unsigned_abs();
    if mode == b'd' || mode == b'e' {
        // `deaf` and `echo` take no signal by surprise; TERM must end an echo.
        let blocked = if mode == b'd' { u64::MAX } else { 1 << (SIGUSR1 - 1) };
        call(RT_SIGPROCMASK, [0, (&raw const blocked).addr(), 0, 8, 0]);
    }
    tell(fifo, STARTED, [started, 0, 0]);
    match mode {
        b'o' => tell(fifo, ENDING, [now(), 0, 0]),
        b'l' => {
            let healthy = HEALTHY;
            call(NANOSLEEP, [(&raw const healthy).addr(), 0, 0, 0, 0]);
            tell(fifo, ENDING, [now(), 0, 0]);
        }
        b'e' => echo(fifo),
        b'b' => breed(path, fifo),
        // `sleep`, `deaf`
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
        tell(fifo, SIGNALED, [received, signal.unsigned_abs() as u64, 0]);
    }
}

/// Makes orphans as it is told: how many, and whether they all wait to be reaped at once or come
/// one by one.
fn breed(path: *const u8, fifo: usize) -> ! {
    let orders = open_orders(path);
    loop {
        let mut order = [0_u64; 2];
        if call(READ, [orders, (&raw mut order).addr(), size_of_val(&order), 0, 0]) <= 0 {
            exit(1);
        }
        let wanted = (order[0] as usize).min(MOST);
        let mut brood = Brood { first: 0, wanted, made: 0, released: 0 };
        if order[1] == 0 {
            let began = now();
            for first in 0..wanted {
                let mut one = Brood { first, wanted: 1, made: 0, released: 0 };
                one.bear();
                brood.made += one.made;
            }
            brood.released = began;
        } else {
            brood.bear();
        }
        await_reaped(brood.made);
        tell(fifo, DRAINED, [brood.released, now(), brood.made as u64]);
    }
}

/// Orders come over a FIFO beside that of the reports, which has the same name but for the last
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

/// Some zombies and their mother, whose end hands them to the init.
#[derive(Clone, Copy)]
struct Brood {
    first: usize,
    wanted: usize,
    made: usize,
    /// When the mother ended.
    released: u64,
}

impl Brood {
    /// Runs the mother, who shares this memory, to her end.
    fn bear(&mut self) {
        let mut stack = Stack([0; 8192]);
        let mother = start(CLONE_VM | CLONE_VFORK | SIGCHLD, &mut stack, be_mother, self);
        if mother > 0 {
            call(WAIT4, [mother.unsigned_abs(), 0, 0, 0, 0]);
        }
    }
}

extern "C" fn be_mother(brood: *mut Brood) -> ! {
    // SAFETY: the other process waits for this one to end, and touches nothing meanwhile.
    let brood = unsafe { &mut *brood };
    while brood.made < brood.wanted {
        let pid = bear_zombie();
        if pid <= 0 {
            break;
        }
        let slot = (&raw mut PIDS).cast::<i32>().wrapping_add(brood.first + brood.made);
        // SAFETY: there are never more than the array holds.
        unsafe { *slot = pid as i32 };
        brood.made += 1;
    }
    brood.released = now();
    exit(0)
}

/// A child that ends in its first instruction.
fn bear_zombie() -> isize {
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

/// Waits until the last of them has been reaped. An init takes them mostly in the order in which it
/// got them, so that this keeps pace with it; a shorter sleep would compete with the init for the
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

fn tell(fifo: usize, kind: u64, [a, b, c]: [u64; 3]) {
    let record = [kind, a, b, c];
    call(WRITE, [fifo, (&raw const record).addr(), size_of_val(&record), 0, 0]);
}

#![expect(
    unsafe_code,
    reason = "starts a child in this memory, which ends by _exit"
)]
#![expect(
    clippy::expect_used,
    reason = "a test says that it failed by panicking"
)]

use core::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{WaitOptions, waitpid};

use super::{SharedMemory, is_supported};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::sys::rustix_pid;

/// What the child and the test tell each other.
#[derive(Default)]
struct Signs {
    has_begun: AtomicU32,
    may_end: AtomicU32,
}

/// The child: waits until it may end. It only reads and writes atomics.
extern "C" fn wait(signs: &&Signs) -> ! {
    signs.has_begun.store(1, Ordering::Release);
    while signs.may_end.load(Ordering::Acquire) == 0 {
        core::hint::spin_loop();
    }
    // SAFETY: exit(2) ends the process at once.
    unsafe { crate::sys::system_call::call(libc::SYS_exit, [7, 0, 0, 0]) };
    loop {
        core::hint::spin_loop();
    }
}

fn start(memory: &SharedMemory<Signs>) -> Result<Pid, Errno> {
    // SAFETY: `wait` reads and writes atomics of the value alone.
    let cloned = unsafe { memory.start_child(&**memory, wait, false) }?;
    while memory.has_begun.load(Ordering::Acquire) == 0 {
        core::hint::spin_loop();
    }
    Ok(cloned.expect("the parent's side").0)
}

fn end(pid: Pid) -> Option<i32> {
    let (_, status) = waitpid(rustix_pid(pid), WaitOptions::empty())
        .expect("a child of ours")
        .expect("it waits");
    status.exit_status()
}

#[test]
fn nothing_changes_while_a_child_is_in_the_memory() {
    if !is_supported() {
        return;
    }
    let mut memory = SharedMemory::new(Signs::default(), true);
    assert!(memory.get_mut().is_some());
    for _ in 0..3 {
        let pid = start(&memory).expect("a process");
        assert!(memory.get_mut().is_none());
        assert_eq!(start(&memory), Err(Errno::BUSY));
        memory.may_end.store(1, Ordering::Release);
        assert_eq!(end(pid), Some(7));
        *memory.get_mut().expect("the child has ended") = Signs::default();
    }
}

#[test]
fn what_a_child_reads_is_not_freed() {
    if !is_supported() {
        return;
    }
    let memory = SharedMemory::new(Signs::default(), true);
    let pid = start(&memory).expect("a process");
    let block = memory.block;
    drop(memory);
    // SAFETY: a child is in the memory, so that the drop has freed nothing.
    let signs = unsafe { &block.as_ref().value };
    signs.may_end.store(1, Ordering::Release);
    assert_eq!(end(pid), Some(7));
    // SAFETY: the block came from a box, and the child has ended.
    drop(unsafe { Box::from_raw(block.as_ptr()) });
}

#[test]
fn without_a_stack_no_child_is_started() {
    let mut memory = SharedMemory::new(Signs::default(), is_supported());
    memory.remove_stack();
    assert_eq!(start(&memory), Err(Errno::BUSY));
    assert!(memory.get_mut().is_some());
}

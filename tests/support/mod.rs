//! What the claims are checked with.
//!
//! - `scenario("topic::claim")` registers one claim: in both modes, or `.only(mode)`, or `.once()`
//!   where modes mean nothing; `.needs(&[capability::STRACE])` and `.alone()` say what it needs of
//!   the machine.
//! - `Frigate::new(mode)` builds a command line and the conditions it runs under; `.spawn()` gives
//!   a `Running`, which waits for lines, sends signals, looks into `/proc`, and kills everything of
//!   its own when it is dropped.
//! - `.in_guest()` runs a scenario in a virtual machine with cgroups of version 2, where
//!   `Frigate::in_cgroup(Place::new()..)` puts frigate into a group of the trial's own, and
//!   `bundle::Bundle` into a container; `vm::Boot` makes it PID 1 of a kernel.
//! - `--launch`, `--puppet` and `--tether` are helper programs inside the test binary itself.
//! - `note(...)` prints a measured figure after the run; figures are printed, not asserted.

pub mod bundle;
pub mod capability;
pub mod cgroup;
pub mod frigate;
pub mod launcher;
pub mod names;
pub mod noise;
pub mod procfs;
pub mod puppet;
pub mod scenario;
pub mod sys;
pub mod terminal;
pub mod transcript;
pub mod vm;

pub use frigate::{Ended, Frigate, Input, Output, Running};
pub use scenario::{Mode, note, scenario};

use std::time::{Duration, Instant};

/// How long anything that must happen may take; long, because a loaded machine is slow and a
/// passing run never waits for it. The guest's processor is an emulated one.
pub fn deadline() -> Duration {
    Duration::from_secs(if vm::guest::inside() { 60 } else { 20 })
}

/// Polls until the condition holds; panics with what was awaited when the deadline is over.
#[track_caller]
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(deadline(), Duration::from_millis(2), what, condition)
}

/// The same with a deadline and a pause between two looks of the caller's own.
#[track_caller]
pub fn eventually_within<T>(
    deadline: Duration,
    pause: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let until = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < until,
            "waited {deadline:?} in vain: {what}"
        );
        std::thread::sleep(pause);
    }
}

/// Waits until a process is in this state (`T`: stopped, `t`: held by a tracer, `Z`: zombie, `S`:
/// asleep).
#[track_caller]
pub fn wait_state(pid: i32, state: char) {
    eventually(&format!("process {pid} in state {state}"), || {
        procfs::process(pid).filter(|process| process.state == state)
    });
}

/// This test binary, which is also the launcher and the puppet.
pub fn own_program() -> std::path::PathBuf {
    std::env::current_exe().expect("the test binary has a path")
}

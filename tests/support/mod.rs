//! The tools of the claims.
//!
//! - `scenario("topic::claim")` registers one claim, which runs in both modes. `.only(mode)` runs
//!   it in one mode; `.once()` is for a claim that has nothing to do with modes.
//!   `.needs(&[capability::STRACE])` and `.alone()` say what it needs of the machine.
//! - `Frigate::new(mode)` builds a command line and the conditions it runs under. `.spawn()`
//!   returns a `Running`, which waits for lines, sends signals and reads `/proc`. When it is
//!   dropped, it kills every process that it started.
//! - `.in_guest()` runs a scenario in a virtual machine with cgroups of version 2. There
//!   `Frigate::in_cgroup(Place::new()..)` puts frigate into a group of the trial's own, and
//!   `bundle::Bundle` puts it into a container. `vm::Boot` makes it PID 1 of a kernel.
//! - `--launch`, `--puppet` and `--tether` are helper programs inside the test binary.
//! - `note(...)` prints a measured figure after the run. Figures are printed, not asserted.

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
pub mod servers;
pub mod sys;
pub mod terminal;
pub mod transcript;
pub mod vm;

pub use frigate::{Ended, Frigate, Input, Output, Running};
pub use scenario::{Mode, note, scenario};

use std::time::{Duration, Instant};

/// Returns how long to wait for an expected event. It is long, because a loaded machine is slow and
/// a run that passes never waits that long. The guest's processor is emulated.
pub fn deadline() -> Duration {
    Duration::from_secs(if vm::guest::inside() { 60 } else { 20 })
}

/// Polls until the condition returns a value, and returns that. Panics with `what` at the deadline.
#[track_caller]
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(deadline(), Duration::from_millis(2), what, condition)
}

/// Polls in the same way, with the caller's own deadline and its own pause between two polls.
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

/// Returns the path of this test binary, which is also the launcher and the puppet.
pub fn own_program() -> std::path::PathBuf {
    std::env::current_exe().expect("the test binary has a path")
}

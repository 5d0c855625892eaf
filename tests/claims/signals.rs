//! Signals: `doc/specification.md#signals`.

mod dispositions;
mod forwarding;
mod meanings;
mod refusals;
mod starts;

use std::fs;

use libtest_mimic::Trial;

use crate::support::{Running, eventually, procfs};

/// The first real-time signal, as kill(1) and Docker count. The C library keeps 32 and 33 for
/// itself.
const RTMIN: i32 = 34;

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    forwarding::trials(out);
    dispositions::trials(out);
    meanings::trials(out);
    starts::trials(out);
    refusals::trials(out);
}

/// Returns the name of the next signal that the puppet reports.
#[track_caller]
fn got(frigate: &Running) -> String {
    let line = frigate.wait_line("got ");
    line.split_whitespace().nth(1).expect("a name").to_owned()
}

fn signal_name(signal: i32) -> String {
    crate::support::names::name(signal)
}

/// Returns the system call that a process is in, if it is in one.
fn call_of(pid: i32) -> Option<i64> {
    fs::read_to_string(format!("/proc/{pid}/syscall"))
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Waits until strace holds a process at the entry of a system call.
pub fn wait_held(what: &str, find: impl Fn() -> Option<i32>, wanted: impl Fn(i64) -> bool) {
    eventually(what, || {
        let pid = find()?;
        let held = procfs::process(pid)?.state == 't';
        (held && wanted(call_of(pid)?)).then_some(())
    });
}

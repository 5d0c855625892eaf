//! The claims: what frigate promises, checked on the real binary, as PID 1 of a fresh PID namespace
//! and as a subreaper.
//!
//! This binary also contains its helper programs: the first argument selects one. It has a C
//! `main`, because the Rust runtime would ignore SIGPIPE before the puppet could read its
//! dispositions.
#![no_main]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::incompatible_msrv,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::print_stderr,
    clippy::return_self_not_must_use,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a trial fails by panicking, a list of scenarios is long, and no other crate uses this code"
)]

mod claims;
mod support;

use std::ffi::{OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;

use libtest_mimic::Arguments;
use support::vm::guest;

/// Runs the claims, or the helper program that the first argument selects. The C library calls it.
#[expect(unsafe_code, reason = "the name `main` must be exported as it is")]
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    let line = std::fs::read("/proc/self/cmdline").expect("/proc is mounted");
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let mut words = line
        .split(|&byte| byte == 0)
        .map(|word| OsString::from_vec(word.to_vec()));
    let own_name = words.next().unwrap_or_default();
    let mut words = words.peekable();
    let helper = match words.peek().and_then(|word| word.to_str()) {
        Some("--launch") => support::launcher::run,
        Some("--puppet") => support::puppet::run,
        Some("--tether") => support::vm::tether,
        _ => std::process::exit(run_trials(std::iter::once(own_name).chain(words))),
    };
    words.next();
    helper(words)
}

fn run_trials(words: impl Iterator<Item = OsString>) -> c_int {
    let mut arguments = Arguments::from_iter(words);
    // Trials mostly wait for processes, so more of them run at once than there are processors.
    arguments.test_threads.get_or_insert(8);
    guest::prepare(&arguments);
    let mut trials = Vec::new();
    claims::register(&mut trials);
    let conclusion = libtest_mimic::run(&arguments, trials);
    guest::finish();
    for line in support::scenario::notes()
        .into_iter()
        .chain(support::capability::summary())
    {
        if guest::inside() {
            guest::send(&["note", &format!("in the guest: {line}")]);
        } else {
            eprintln!("{line}");
        }
    }
    if conclusion.has_failed() { 101 } else { 0 }
}

//! The claims of the library, each checked in a host program of its own.
//!
//! This binary is the harness, every host, and every task: a trial runs it anew as `--host
//! SCENARIO`, so that each scenario has a process to itself, with its own thread, children,
//! descriptors and signals, and `frigate::done` speaks of nobody else's. Whatever a host leaves is
//! killed when its trial is over: it is started in a PID namespace where that can be had.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a trial says that it failed by panicking, and nothing here is anybody's library"
)]

#[path = "../support/procfs.rs"]
#[allow(dead_code, reason = "the claims use all of it")]
mod procfs;

mod embedding;
mod examples;
mod forking;
mod host_end;
mod logs;
mod racing;
mod restarting;
mod starting;
mod stopping;
mod support;
mod tasks;

use std::process::ExitCode;

use support::Scenario;

fn scenarios() -> Vec<Scenario> {
    [
        embedding::SCENARIOS,
        forking::SCENARIOS,
        host_end::SCENARIOS,
        logs::SCENARIOS,
        racing::SCENARIOS,
        restarting::SCENARIOS,
        starting::SCENARIOS,
        stopping::SCENARIOS,
        tasks::SCENARIOS,
    ]
    .concat()
}

fn main() -> ExitCode {
    // Before frigate makes itself the init: the host that it was then runs this anew.
    frigate::init();
    tasks::register();
    let mut words = std::env::args();
    if words.nth(1).as_deref() == Some("--host") {
        let name = words.next().expect("the name of a scenario");
        let scenario = scenarios()
            .into_iter()
            .find(|scenario| scenario.name == name)
            .expect("a known scenario");
        (scenario.host)();
        return ExitCode::SUCCESS;
    }
    let mut arguments = libtest_mimic::Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    let mut trials: Vec<_> = scenarios().into_iter().map(Scenario::trial).collect();
    examples::trials(&mut trials);
    libtest_mimic::run(&arguments, trials).exit_code()
}

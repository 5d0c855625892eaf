//! The claims of the library, each checked in a host program of its own.
//!
//! This binary is the harness, every host, and every task. A trial runs it again as `--host
//! SCENARIO`. So each scenario has a process of its own, with its own thread, children, descriptors
//! and signals, and `frigate::done` reports only its children. If the machine allows it, the host is
//! in a PID namespace of its own, so that all its leftovers are killed after the trial.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::incompatible_msrv,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a trial fails by panicking, and no other crate uses this one"
)]

#[path = "../support/procfs.rs"]
#[allow(dead_code, reason = "the claims use all of it")]
mod procfs;

#[path = "../support/servers.rs"]
#[allow(dead_code, reason = "the claims use all of it")]
mod servers;

mod embedding;
mod examples;
mod forking;
mod health;
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
        &health::scenarios(),
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
    // If this is PID 1, it remains as the init, and the host is a new process that runs `main`
    // again.
    frigate::init();
    tasks::register();
    health::register();
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

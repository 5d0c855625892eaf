//! Protects a function of this very program: it panics twice, comes back each time, and at last has
//! done its work.
//!
//! `cargo run --example protect_function`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::process::ExitCode;
use std::time::Duration;

use frigate::{AutoRestart, Frigate, Strategy};

/// Runs in a process of its own, whose arguments and environment are those of this program. frigate
/// tells it how often it was started before.
fn count() -> ExitCode {
    let before: u32 = std::env::var("FRIGATE_RESTARTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    println!("counted to {}", before + 1);
    assert!(before >= 2, "not there yet");
    ExitCode::SUCCESS
}

fn main() -> Result<(), frigate::Error> {
    // First of all: in the process that is to be the task, this does not return.
    frigate::register_task("count", count);

    let strategy = Strategy::new()
        .auto_restart(AutoRestart::Unexpected)
        .start_secs(Duration::from_secs(1));
    let frigate = Frigate::create("count").strategy(strategy);
    frigate.protect()?;
    println!("outcome: {}", frigate.wait()?);
    Ok(())
}

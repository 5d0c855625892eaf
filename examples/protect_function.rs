//! Protects a function of this program. It panics twice, is restarted each time, and completes on
//! the third run.
//!
//! `cargo run --example protect_function`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::process::ExitCode;
use std::time::Duration;

use frigate::{AutoRestart, Frigate, Strategy};

/// Runs in a process of its own, with the arguments and the environment of this program. frigate
/// sets `FRIGATE_RESTARTS` to the number of restarts.
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
    // Must come first: in the process of the task, this call does not return.
    frigate::register_task("count", count);

    let strategy = Strategy::new()
        .auto_restart(AutoRestart::Unexpected)
        .start_secs(Duration::from_secs(1));
    let frigate = Frigate::create("count").strategy(strategy);
    frigate.protect()?;
    println!("outcome: {}", frigate.wait()?);
    Ok(())
}

//! Protects a program, limits what it can use as far as this machine allows, and writes its output
//! to a file.
//!
//! `cargo run --example protect_program [PROGRAM [ARG...]]`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use frigate::{ByteSize, ControlGroup, EventKind, Frigate, Logger, ProtectTask};

fn main() -> Result<(), frigate::Error> {
    // Without another init, this process is PID 1 of its container. This call makes it a proper
    // one.
    frigate::init();

    let mut words = std::env::args().skip(1);
    let task = match words.next() {
        Some(program) => ProtectTask::new(program).args(words),
        None => ProtectTask::new("sleep").arg("1000"),
    };
    let limits = ControlGroup::new()
        .memory_max(ByteSize::mib(64))
        .cpu_max(0.5)
        .pids_max(32)
        .best_effort(true);
    // The file holds up to 1 MiB. The three files before it are kept.
    let file = std::env::temp_dir().join(format!("protect_program-{}.log", std::process::id()));
    let logger = Logger::new()
        .stdout(&file)
        .redirect(true)
        .max_bytes(ByteSize::mib(1))
        .backups(3);
    let frigate = Frigate::from(task).control_group(limits).logger(logger);
    let events = frigate.events();
    frigate.protect()?;

    // A limit that cannot be applied is reported as a warning. Then the program starts.
    for event in &events {
        println!("{event}");
        if matches!(
            event.kind,
            EventKind::Started { .. } | EventKind::Finished(_)
        ) {
            break;
        }
    }
    // Sends TERM, and KILL after five seconds.
    println!("outcome: {}", frigate.stop(Duration::from_secs(5))?);
    let output = std::fs::read_to_string(&file).unwrap_or_default();
    println!("output: {} lines", output.lines().count());
    let _ = std::fs::remove_file(file);
    Ok(())
}

//! Protects a program, holds it inside limits, as far as this machine lets it have them, and keeps
//! what it says in a file.
//!
//! `cargo run --example protect_program [PROGRAM [ARG...]]`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use frigate::{ByteSize, ControlGroup, EventKind, Frigate, Logger, ProtectTask};

fn main() -> Result<(), frigate::Error> {
    // In a container without an init, this process is PID 1; here it becomes a good one.
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
    // 1 MiB, and the three files before it.
    let file = std::env::temp_dir().join(format!("protect_program-{}.log", std::process::id()));
    let logger = Logger::new()
        .stdout(&file)
        .redirect(true)
        .max_bytes(ByteSize::mib(1))
        .backups(3);
    let frigate = Frigate::from(task).control_group(limits).logger(logger);
    let events = frigate.events();
    frigate.protect()?;

    // What a limit lacks comes as a warning; then the program is started.
    for event in &events {
        println!("{event}");
        if matches!(
            event.kind,
            EventKind::Started { .. } | EventKind::Finished(_)
        ) {
            break;
        }
    }
    // TERM, and after five seconds KILL.
    println!("outcome: {}", frigate.stop(Duration::from_secs(5))?);
    let said = std::fs::read_to_string(&file).unwrap_or_default();
    println!("it said {} lines", said.lines().count());
    let _ = std::fs::remove_file(file);
    Ok(())
}

//! A small supervisor: it protects three programs, each with its own strategy, and prints what
//! happens to them.
//!
//! `cargo run --example small_supervisor`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::sync::mpsc::channel;
use std::time::Duration;

use frigate::{AutoRestart, EventKind, Frigate, ProtectTask, Strategy};

fn main() -> Result<(), frigate::Error> {
    let (sender, events) = channel();
    let shell =
        |name: &str, script: &str| ProtectTask::new(name).program("sh").args(["-c", script]);

    // `clock` runs until it is stopped, `flaky` fails each time, and `greeter` runs once.
    let clock = Frigate::from(shell("clock", "exec sleep 1000")).event_channel(sender.clone());
    let flaky = Frigate::from(shell("flaky", "exit 1"))
        .strategy(
            Strategy::new()
                .auto_restart(AutoRestart::Unexpected)
                .start_retries(2),
        )
        .event_channel(sender.clone());
    let greeter = Frigate::from(shell("greeter", "echo hello"))
        .strategy(Strategy::new().auto_restart(AutoRestart::False))
        .event_channel(sender);
    for frigate in [&clock, &flaky, &greeter] {
        frigate.protect()?;
    }

    // The channel closes when all three have ended for good.
    let mut ended = 0;
    for event in events {
        println!("{:8} {event}", event.name);
        if matches!(event.kind, EventKind::Finished(_)) {
            ended += 1;
        }
        if ended == 2 && clock.task().pid().is_some() {
            clock.stop(Duration::from_secs(5))?;
        }
    }
    for (name, outcome) in frigate::done() {
        println!("{name:8} {outcome}");
    }
    Ok(())
}

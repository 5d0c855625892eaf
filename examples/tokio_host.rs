//! A tokio program that protects a child, and also runs a child by tokio. The two do not interfere.
//!
//! `cargo run --example tokio_host`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use frigate::{EventKind, Frigate, ProtectTask};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let frigate = Frigate::from(ProtectTask::new("sleep").arg("1000"));
    let events = frigate.events();
    frigate.protect()?;

    // frigate sends events to a channel of the standard library. A thread for blocking work
    // forwards them to one of tokio.
    let (sender, mut receiver) = mpsc::unbounded_channel();
    spawn_blocking(move || events.into_iter().try_for_each(|event| sender.send(event)));
    while let Some(event) = receiver.recv().await {
        println!("{event}");
        if matches!(event.kind, EventKind::Started { .. }) {
            break;
        }
    }

    let status = Command::new("true").status().await?;
    println!("the host's own child: {status}");

    // A stop blocks until the child has ended.
    let outcome = spawn_blocking(move || frigate.stop(Duration::from_secs(5))).await??;
    println!("outcome: {outcome}");
    Ok(())
}

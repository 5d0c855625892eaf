//! A tokio program that protects a child beside children and signals of its own: neither knows of
//! the other.
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

    // frigate's channel is one of the standard library; a thread for blocking work hands it over to
    // tokio's.
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

    // A stop takes as long as the child does.
    let outcome = spawn_blocking(move || frigate.stop(Duration::from_secs(5))).await??;
    println!("outcome: {outcome}");
    Ok(())
}

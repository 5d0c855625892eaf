//! Protects a server of this program that hangs on request. frigate asks it for its health, stops
//! it when it does not answer, and starts it again.
//!
//! `cargo run --example health`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example talks to its reader, and its server sleeps"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use frigate::{AutoRestart, EventKind, Frigate, ProtectTask, Strategy};

/// Answers one client after the other, and hangs when it is asked for `/hang`: a client that waits
/// forever makes all others wait.
fn serve() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("ADDRESS")?;
    for client in TcpListener::bind(address)?.incoming() {
        let mut client = client?;
        let mut request = String::new();
        BufReader::new(&client).read_line(&mut request)?;
        while request.starts_with("GET /hang ") {
            std::thread::sleep(Duration::from_secs(1000));
        }
        client.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\n")?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    // Must come first: in the process of the server, this call does not return.
    frigate::register_task("server", serve);

    let address = free_address()?;
    let strategy = Strategy::new()
        .auto_restart(AutoRestart::Unexpected)
        .ready(format!("http://{address}/"))
        .health(format!("http://{address}/healthz"))
        .health_interval(Duration::from_millis(200))
        .health_timeout(Duration::from_secs(1))
        .health_retries(2);
    let task = ProtectTask::new("server").env("ADDRESS", address.to_string());
    let server = Frigate::from(task).strategy(strategy);
    let events = server.events();
    server.protect()?;

    let mut has_hung = false;
    for event in events {
        println!("{event}");
        if event.kind != EventKind::Healthy {
            continue;
        }
        if has_hung {
            break;
        }
        has_hung = true;
        // After this request the server answers no other.
        TcpStream::connect(address)?.write_all(b"GET /hang HTTP/1.0\r\n\r\n")?;
    }
    println!("outcome: {}", server.stop(Duration::from_secs(5))?);
    Ok(())
}

/// Returns an address of the loopback network at which nothing listens. Each process takes another
/// one, so that no two have the same port.
fn free_address() -> std::io::Result<SocketAddr> {
    let [a, b, c, d] = std::process::id().to_be_bytes();
    let ip = [127, 1 + (a ^ b), c, d.max(1)];
    TcpListener::bind(SocketAddr::from((ip, 0)))?.local_addr()
}

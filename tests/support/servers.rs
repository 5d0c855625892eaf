//! Servers, good and bad, as threads of the test. Each listens at a free port until the test ends.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

use crate::support::eventually;

/// How many clients each server of this process has had, by its port.
static CLIENTS: Mutex<BTreeMap<u16, usize>> = Mutex::new(BTreeMap::new());

/// Waits for the next client of a server.
pub fn wait_for_client(port: u16) {
    eventually("a client", || {
        let mut clients = CLIENTS.lock().expect("no server panics here");
        clients.remove(&port)
    });
}

/// Serves each client of a listener by a thread of its own. Returns the port.
fn serve(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let port = listener.local_addr().expect("it is bound").port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut clients = CLIENTS.lock().expect("no server panics here");
            *clients.entry(port).or_default() += 1;
            drop(clients);
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(client));
        }
    });
    port
}

/// Returns listeners at one port of `::1` and of 127.0.0.1.
fn listen_on_both() -> (TcpListener, TcpListener) {
    eventually("a port that is free on both", || {
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a free port");
        let port = six.local_addr().expect("it is bound").port();
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some((six, four))
    })
}

/// Answers every request to `::1`. Nothing listens at the same port of 127.0.0.1.
pub fn answering_on_ipv6(answer: &'static [u8]) -> u16 {
    let (six, _) = listen_on_both();
    serve(six, move |client| reply(client, answer))
}

/// Answers every request to `::1` and to 127.0.0.1, at one port.
pub fn answering_on_both(on_six: &'static [u8], on_four: &'static [u8]) -> u16 {
    let (six, four) = listen_on_both();
    serve(six, move |client| reply(client, on_six));
    serve(four, move |client| reply(client, on_four))
}

fn reply(mut client: TcpStream, answer: &[u8]) {
    read_request(&mut client);
    let _ = client.write_all(answer);
}

/// Serves each client of 127.0.0.1.
pub fn local(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    serve(listener, handle)
}

/// Reads the request of a client, up to the empty line.
pub fn read_request(client: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && matches!(client.read(&mut byte), Ok(1)) {
        request.push(byte[0]);
    }
    String::from_utf8(request).expect("a request is text")
}

/// Answers every request with these bytes, and closes.
pub fn answering(answer: impl Into<Vec<u8>>) -> u16 {
    let answer = answer.into();
    local(move |client| reply(client, &answer))
}

/// Accepts, and says nothing.
pub fn silent() -> u16 {
    local(hold)
}

/// Holds a connection open, whatever the other side does.
pub fn hold(client: TcpStream) {
    let _client = client;
    loop {
        thread::park();
    }
}

/// Listens, and accepts nobody: its queue is full. Returns the port, and the sockets that fill the
/// queue.
pub fn full() -> (u16, Vec<OwnedFd>) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        || socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
    let listener = socket();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    bind(&listener, &any).expect("a free port");
    listen(&listener, 0).expect("it is bound");
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().expect("it is bound");
    let mut held = vec![OwnedFd::from(listener)];
    for _ in 0..8 {
        let client = socket();
        let _ = connect(&client, &address);
        held.push(client);
    }
    (address.port(), held)
}

/// A port at which nothing listens.
pub fn closed() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A port at which nothing listens, neither on `::1` nor on 127.0.0.1.
pub fn closed_on_both() -> u16 {
    let (six, _) = listen_on_both();
    six.local_addr().expect("it is bound").port()
}

/// Accepts, and resets the connection at once.
pub fn resetting() -> u16 {
    local(|client| {
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&client, linger).expect("a socket");
    })
}

/// Greets as a database does, waits for the end of the other side, and closes. Each connection's
/// end is pushed: how many bytes came, or the error that the server saw.
pub fn greeting(greeting: Vec<u8>, ends: Arc<Mutex<Vec<Result<usize, String>>>>) -> u16 {
    local(move |mut client| {
        thread::sleep(Duration::from_millis(20));
        let sent = client.write_all(&greeting);
        let mut rest = Vec::new();
        let read = sent.and_then(|()| client.read_to_end(&mut rest));
        let _ = client.shutdown(Shutdown::Both);
        let end = read.map_err(|error| error.to_string());
        ends.lock().expect("no server panics here").push(end);
    })
}

/// Serves each client of a socket at a path.
pub fn unix(path: &str, serve: impl Fn(UnixStream) + Send + 'static) {
    let listener = UnixListener::bind(path).expect("the directory is ours");
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
}

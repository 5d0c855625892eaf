//! Deeds that report something as `sd_notify(3)` does, to the socket that `NOTIFY_SOCKET` names.
//! `|` ends a line of the message.
//!
//! ```text
//! notify MESSAGE             sends it
//! notify-barrier MESSAGE     sends it with a pipe, and waits until the receiver has closed that
//! notify-lingering MESSAGE   sends it with a TCP socket whose last close takes a minute, because
//!                            the other side, a process of its own, reads nothing
//! notify-flood COUNT MESSAGE sends it so often
//! ```

use std::env;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with, sockopt,
};

use super::Verbs;
use crate::support::sys;

pub(super) const VERBS: Verbs = &[
    ("notify", |_, message| send(message, &[])),
    ("notify-barrier", |_, message| {
        let (mut mine, sent) = std::io::pipe().expect("a pipe");
        send(message, &[sent.as_fd()]);
        drop(sent);
        assert_eq!(mine.read(&mut [0]).expect("the pipe"), 0, "it is closed");
    }),
    ("notify-lingering", |_, message| {
        let (socket, other) = lingering_socket();
        if sys::fork().expect("fork").is_none() {
            drop(socket);
            loop {
                nix::unistd::pause();
            }
        }
        drop(other);
        send(message, &[socket.as_fd()]);
    }),
    ("notify-flood", |_, words| {
        let (count, message) = words.split_once(' ').expect("a count and a message");
        for _ in 0..count.parse().expect("a count") {
            send(message, &[]);
        }
    }),
];

/// Sends a message, with these descriptors.
fn send(message: &str, passed: &[BorrowedFd<'_>]) {
    let address = env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET");
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(&address),
    }
    .expect("an address");
    let socket = datagram_socket();
    connect(&socket, &address).expect("somebody listens");
    let text = message.replace('|', "\n");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !passed.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(passed)));
    }
    let flags = SendFlags::NOSIGNAL;
    sendmsg(
        &socket,
        &[IoSlice::new(text.as_bytes())],
        &mut control,
        flags,
    )
    .expect("it is taken");
}

fn datagram_socket() -> OwnedFd {
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket")
}

/// Returns a socket whose last close takes a minute: it has sent more than the other side takes.
fn lingering_socket() -> (TcpStream, (TcpListener, TcpStream)) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut socket = TcpStream::connect(address).expect("it listens");
    let (other, _) = listener.accept().expect("it was connected to");
    socket.set_nonblocking(true).expect("a socket");
    loop {
        match socket.write(&[0; 1 << 13]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    let minute = Duration::from_secs(60);
    sockopt::set_socket_linger(&socket, Some(minute)).expect("SO_LINGER");
    (socket, (listener, other))
}

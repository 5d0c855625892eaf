//! Tests of the socket with messages of this process.
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::io::{IoSlice, Read};
use std::os::fd::BorrowedFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use rustix::process::{WaitOptions, waitpid};

use super::*;
use crate::sys::startup::own_pid;

fn send_with(socket: &NotifySocket, message: &[u8], passed: &[BorrowedFd<'_>]) {
    let address = socket.address().expect("it has one");
    let name = address.strip_prefix(b"@").expect("an abstract address");
    let address = SocketAddrUnix::new_abstract_name(name).expect("a name");
    let sender = datagram_socket().expect("a socket");
    connect(&sender, &address).expect("it listens");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !passed.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(passed)));
    }
    sendmsg(
        &sender,
        &[IoSlice::new(message)],
        &mut control,
        SendFlags::empty(),
    )
    .expect("there is room");
}

fn open() -> NotifySocket {
    NotifySocket::open().expect("a socket")
}

/// Reaps the process that drops a message.
fn reap_dropper(socket: &mut NotifySocket) {
    let Drop::UnderWay { by: pid, .. } = socket.drop else {
        unreachable!("a process drops the message");
    };
    let _ = waitpid(super::super::rustix_pid(pid), WaitOptions::empty());
    assert!(socket.note_reaped(pid));
}

#[test]
fn a_message_comes_with_its_sender_and_once() {
    let mut socket = open();
    let mut buffer = [0; 16];
    assert_eq!(socket.receive(&mut buffer), None);
    for message in [b"READY=1".as_slice(), b"", b"0123456789abcdef"] {
        send_with(&socket, message, &[]);
        let expected = Received {
            sender: own_pid(),
            length: message.len(),
            is_truncated: false,
        };
        assert_eq!(socket.receive(&mut buffer), Some(expected));
        assert_eq!(buffer.get(..message.len()), Some(message));
    }
    assert_eq!(socket.receive(&mut buffer), None);
}

#[test]
fn a_message_that_is_too_long_is_known_as_such() {
    let mut socket = open();
    send_with(&socket, b"0123456789abcdefg", &[]);
    send_with(&socket, b"next", &[]);
    let mut buffer = [0; 16];
    let received = socket.receive(&mut buffer).expect("a message");
    assert!(received.is_truncated);
    let received = socket.receive(&mut buffer).expect("a message");
    assert_eq!((received.length, received.is_truncated), (4, false));
}

#[test]
fn passed_descriptors_are_closed_and_the_next_message_waits_for_it() {
    let mut socket = open();
    let (mut mine, passed) = std::io::pipe().expect("a pipe");
    send_with(&socket, b"BARRIER=1", &[passed.as_fd(), passed.as_fd()]);
    send_with(&socket, b"next", &[]);
    drop(passed);
    let mut buffer = [0; 16];
    let received = socket.receive(&mut buffer).expect("a message");
    assert_eq!(received.length, 9);
    assert!(socket.watch().is_none());
    assert_eq!(socket.receive(&mut buffer), None);
    assert_eq!(mine.read(&mut [0]).expect("a pipe"), 0, "it is closed");
    reap_dropper(&mut socket);
    assert!(socket.watch().is_some());
    assert_eq!(socket.receive(&mut buffer).map(|next| next.length), Some(4));
}

#[test]
fn another_process_that_ends_is_none_of_its_own() {
    let mut socket = open();
    let pid = own_pid().expect("a pid");
    assert!(!socket.note_reaped(pid));
    socket.drop = Drop::Refused;
    assert!(socket.watch().is_none());
    assert_eq!(socket.receive(&mut [0; 16]), None);
    assert!(!socket.note_reaped(pid));
    assert!(socket.watch().is_some(), "it is tried again");
}

#[test]
fn a_manager_gets_messages_at_a_path_and_at_an_abstract_address() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("manager");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    let mut buffer = [0; 16];
    let address = path.to_str().expect("text").as_bytes();
    let socket = ManagerSocket::connect(address).expect("it listens");
    assert_eq!(socket.send(b"READY=1"), Ok(()));
    assert_eq!(manager.recv(&mut buffer).ok(), Some(7));
    drop(manager);
    assert_eq!(socket.send(b"READY=1"), Err(Errno::CONNECTION_REFUSED));

    let mut manager = open();
    let address = manager.address().expect("it has one");
    let socket = ManagerSocket::connect(&address).expect("it listens");
    assert_eq!(socket.send(b"STOPPING=1"), Ok(()));
    assert_eq!(
        manager.receive(&mut buffer).map(|message| message.length),
        Some(10)
    );
}

#[test]
fn an_address_of_another_kind_is_refused() {
    for address in [b"".as_slice(), b"relative", b"vsock:2:1", b"@", b"/nowhere"] {
        let connected = ManagerSocket::connect(address).map(|_| ());
        assert!(connected.is_err(), "{address:?}");
    }
}

#[test]
fn a_process_that_takes_too_long_to_drop_a_message_is_killed_once() {
    let mut socket = open();
    let mut process = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("a process");
    let by = Pid::new(i32::try_from(process.id()).expect("a pid")).expect("a pid");
    let until = Moment::from_nanos(7);
    socket.drop = Drop::UnderWay {
        by,
        until: Some(until),
    };
    assert_eq!(socket.deadline(), Some(until));
    socket.tick(Moment::from_nanos(6));
    assert_eq!(process.try_wait().expect("it is ours"), None);
    assert_eq!(socket.deadline(), Some(until));
    socket.tick(until);
    assert_eq!(socket.deadline(), None, "KILL is sent once");
    assert!(!process.wait().expect("it is ours").success());
    assert!(socket.note_reaped(by));
}

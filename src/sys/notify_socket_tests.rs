//! Tests of the socket with messages of this process.
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::io::{IoSlice, Read};
use std::os::fd::BorrowedFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use rustix::process::{WaitOptions, waitpid};

use super::super::host;
use super::*;
use crate::sys::spawn::run_in_new_process;
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
    NotifySocket::open(|work, _| run_in_new_process(work), None).expect("a socket")
}

fn open_in_host() -> NotifySocket {
    let pause = Some(Duration::from_secs(1));
    NotifySocket::open(host::run_in_new_process, pause).expect("a socket")
}

/// Reaps the process that drops a message.
fn reap_dropper(socket: &mut NotifySocket) {
    let Drop::UnderWay { by, .. } = &socket.drop else {
        unreachable!("a process drops the message");
    };
    let pid = by.pid;
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
    socket.drop = Drop::Refused { until: None };
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
        by: Spawned::without_exec(by, None),
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

/// Sends a pipe's end in a message. Returns the other end.
fn send_pipe(socket: &NotifySocket) -> std::io::PipeReader {
    let (mine, passed) = std::io::pipe().expect("a pipe");
    send_with(socket, b"BARRIER=1", &[passed.as_fd()]);
    mine
}

fn reap_all(processes: Vec<Spawned>) {
    for process in processes {
        let pidfd = process.pidfd.expect("it has one");
        signals::poll_watches(&[Watch::readable(pidfd.as_fd())], None);
        assert!(matches!(pidfd::reap(pidfd.as_fd()), ReapResult::Ended(_)));
    }
}

#[test]
fn in_a_host_the_process_that_drops_a_message_is_watched_and_reaped_by_its_pidfd() {
    let mut socket = open_in_host();
    let mut buffer = [0; 16];
    let mut mine = send_pipe(&socket);
    send_with(&socket, b"next", &[]);
    assert_eq!(socket.receive(&mut buffer).map(|one| one.length), Some(9));
    assert!(socket.deadline().is_some());
    let end = socket.watch().expect("its pidfd");
    assert_eq!(signals::poll_watches(&[end], None), [true]);
    assert_eq!(mine.read(&mut [0]).expect("a pipe"), 0, "it is closed");
    assert_eq!(socket.receive(&mut buffer).map(|one| one.length), Some(4));
    assert_eq!(socket.deadline(), None);
    assert!(socket.take_unreaped().is_empty());
}

#[test]
fn in_a_host_it_is_tried_again_after_a_pause_if_the_kernel_makes_no_process() {
    let pause = Some(Duration::from_secs(1));
    let mut socket = NotifySocket::open(|_, _| Err(Errno::BUSY), pause).expect("a socket");
    let mut mine = send_pipe(&socket);
    assert_eq!(socket.receive(&mut [0; 16]), None);
    assert!(socket.watch().is_none());
    let until = socket.deadline().expect("a pause");
    socket.tick(until);
    assert!(socket.watch().is_some());
    assert_eq!(socket.deadline(), None);
    socket.start_process = host::run_in_new_process;
    assert!(socket.receive(&mut [0; 16]).is_some());
    assert_eq!(mine.read(&mut [0]).expect("a pipe"), 0, "it is closed");
    reap_all(socket.close_elsewhere());
}

#[test]
fn a_socket_without_descriptors_in_its_messages_is_closed_by_its_owner() {
    let socket = open_in_host();
    for _ in 0..5 {
        send_with(&socket, b"READY=1", &[]);
    }
    assert!(socket.close_elsewhere().is_empty());
}

#[test]
fn a_socket_with_descriptors_in_its_messages_is_closed_by_another_process() {
    for takes_one in [false, true] {
        let mut socket = open_in_host();
        send_with(&socket, b"READY=1", &[]);
        let mut pipes = [send_pipe(&socket), send_pipe(&socket)];
        if takes_one {
            for _ in 0..2 {
                assert!(socket.receive(&mut [0; 16]).is_some());
            }
        }
        let unreaped = socket.close_elsewhere();
        assert_eq!(unreaped.len(), 1 + usize::from(takes_one));
        reap_all(unreaped);
        for mine in &mut pipes {
            assert_eq!(mine.read(&mut [0]).expect("a pipe"), 0, "it is closed");
        }
    }
}

/// Returns a socket whose last close takes a day: it has sent more than the other side takes.
fn lingering_socket() -> (std::net::TcpStream, std::net::TcpListener) {
    use std::io::Write;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut socket = std::net::TcpStream::connect(address).expect("it listens");
    socket.set_nonblocking(true).expect("a socket");
    while socket.write(&[0; 1 << 13]).is_ok() {}
    let day = Duration::from_secs(86_400);
    sockopt::set_socket_linger(&socket, Some(day)).expect("SO_LINGER");
    (socket, listener)
}

#[test]
fn to_close_a_socket_takes_no_time_even_if_its_messages_do() {
    let socket = open_in_host();
    let (lingering, listener) = lingering_socket();
    send_with(&socket, b"READY=1", &[lingering.as_fd()]);
    drop(lingering);
    let (closed, is_closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || closed.send(socket.close_elsewhere()));
    let unreaped = is_closed.recv_timeout(Duration::from_secs(60));
    let unreaped = unreaped.expect("it does not wait");
    assert_eq!(unreaped.len(), 1);
    reap_all(unreaped);
    drop(listener);
}

#[test]
fn in_a_process_of_a_host_every_signal_is_blocked() {
    let pause = || nix::unistd::pause();
    let process = host::run_in_new_process(&pause, None).expect("a process");
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid.raw()));
    let status = status.expect("it exists");
    let line = status.lines().find(|line| line.starts_with("SigBlk"));
    let blocked = line.and_then(|line| line.split_whitespace().last());
    // KILL and STOP cannot be blocked.
    assert_eq!(blocked, Some("fffffffffffbfeff"), "{status}");
    kill(&process);
    reap_all(vec![process]);
}

#[test]
fn a_process_of_a_host_ends_by_itself_when_its_time_is_over() {
    let pause = || nix::unistd::pause();
    let limit = Some(Duration::from_millis(10));
    let process = host::run_in_new_process(&pause, limit).expect("a process");
    reap_all(vec![process]);
}

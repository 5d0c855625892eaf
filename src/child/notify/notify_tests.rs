//! Tests of what is taken from a message, with messages of this process and of its children.
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::*;
use crate::sys::startup::own_pid;

fn receiver_for(manager: Option<&[u8]>) -> (NotificationReceiver, UnixDatagram) {
    use std::os::linux::net::SocketAddrExt;
    let receiver = NotificationReceiver::open(manager).expect("a socket");
    let address = receiver.address().expect("it has one");
    let name = address.strip_prefix(b"@").expect("an abstract address");
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).expect("a name");
    let sender = UnixDatagram::unbound().expect("a socket");
    sender.connect_addr(&address).expect("it listens");
    (receiver, sender)
}

fn own(is_last_start: bool) -> Sender<'static> {
    Sender {
        child: own_pid().expect("a pid"),
        cgroup: None,
        is_last_start,
    }
}

fn take(receiver: &mut NotificationReceiver, from: Option<Sender<'_>>) -> Vec<String> {
    let mut taken = Vec::new();
    let failure = receiver.receive(from, &mut |assignment| {
        taken.push(format!("{assignment:?}"));
    });
    assert_eq!(failure, None);
    taken
}

#[test]
fn the_childs_assignments_are_taken_in_order() {
    let (mut receiver, sender) = receiver_for(None);
    sender
        .send(b"STATUS=a\nREADY=1\nX=1")
        .expect("there is room");
    sender.send(b"WATCHDOG=1").expect("there is room");
    let taken = take(&mut receiver, Some(own(false)));
    assert_eq!(
        taken,
        ["Status([97])", "Notification(Ready)", "Notification(Alive)"]
    );
}

#[test]
fn without_a_child_messages_are_dropped() {
    let (mut receiver, sender) = receiver_for(None);
    sender.send(b"READY=1").expect("there is room");
    assert!(take(&mut receiver, None).is_empty());
    assert!(take(&mut receiver, Some(own(false))).is_empty());
}

#[test]
fn a_message_has_a_bounded_number_of_assignments() {
    let (mut receiver, sender) = receiver_for(None);
    sender
        .send("READY=1\n".repeat(100).as_bytes())
        .expect("there is room");
    let taken = take(&mut receiver, Some(own(false)));
    assert_eq!(taken.len(), MOST_ASSIGNMENTS);
}

#[test]
fn a_message_of_another_process_counts_if_it_is_of_the_childs_group() {
    let mut child = Command::new("sleep")
        .arg("1000")
        .process_group(0)
        .spawn()
        .expect("a process");
    let leader = Pid::new(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    let mut member = Command::new("sleep")
        .arg("1000")
        .process_group(leader.raw())
        .spawn()
        .expect("a process");
    let id = |process: &std::process::Child| Pid::new(i32::try_from(process.id()).expect("a pid"));
    let from = Sender {
        child: leader,
        cgroup: None,
        is_last_start: false,
    };
    assert!(from.is_own(leader));
    assert!(from.is_own(id(&member).expect("a pid")));
    assert!(!from.is_own(own_pid().expect("a pid")));
    assert!(!own(false).is_own(leader));
    for process in [&mut member, &mut child] {
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");
    }
}

#[test]
fn the_manager_learns_what_is_new_and_true_of_the_service() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let address = path.to_str().expect("text").as_bytes();
    let (mut receiver, sender) = receiver_for(Some(address));
    let mut tell = |message: &str, is_last_start| {
        sender.send(message.as_bytes()).expect("there is room");
        take(&mut receiver, Some(own(is_last_start)));
    };
    tell("READY=1\nSTATUS=x\nWATCHDOG=1", false);
    tell("STOPPING=1", false);
    tell("READY=1", false);
    tell("STOPPING=1", true);
    tell("READY=1", true);
    let mut told = Vec::new();
    manager.set_nonblocking(true).expect("a socket");
    let mut buffer = [0; 32];
    while let Ok(length) = manager.recv(&mut buffer) {
        told.push(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned());
    }
    assert_eq!(told, ["READY=1", "STOPPING=1", "READY=1"]);
}

#[test]
fn a_manager_that_is_gone_is_returned_as_a_failure_once() {
    let (mut receiver, sender) = receiver_for(Some(b"/nowhere/at/all"));
    for expected in [Some(Errno::NOT_FOUND), None] {
        sender.send(b"READY=1").expect("there is room");
        let failure = receiver.receive(Some(own(false)), &mut |_| {});
        assert_eq!(failure, expected);
    }
}

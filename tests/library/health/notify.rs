//! What a child reports by itself (`sd_notify(3)`), a function or a program.
//!
//! Each child performs the deeds that its variable `DEEDS` lists.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use frigate::{AutoRestart, Error, EventKind, Frigate, Outcome, ProtectTask, Strategy};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with, sockopt,
};

use super::{is, next_start_with};
use crate::support::{
    DEADLINE, GRACE, Scenario, children, descriptors, directory, eventually, next, next_start,
    own_program, sleeper, text_of,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "notify::a_child_is_ready_when_it_says_so_and_the_hosts_manager_hears_nothing",
        ready,
    )
    .wrapped(WITH_MANAGER),
    Scenario::new("notify::a_report_right_before_the_end_counts", last_words),
    Scenario::new(
        "notify::a_child_that_stops_reporting_is_started_again",
        watchdog,
    ),
    Scenario::new(
        "notify::a_child_that_says_that_it_is_unhealthy_is_stopped",
        trigger,
    ),
    Scenario::new(
        "notify::the_variables_of_reports_are_the_childs_own",
        variables,
    )
    .wrapped(WITH_MANAGER),
    Scenario::new("notify::the_host_itself_is_not_heard", stranger),
    Scenario::new(
        "notify::without_a_descriptor_for_the_socket_nothing_is_started",
        no_socket,
    ),
    Scenario::new(
        "notify::messages_with_descriptors_leave_no_zombie_and_no_descriptor",
        barriers,
    ),
    Scenario::new(
        "notify::messages_with_descriptors_in_a_host_that_waits_for_any_child",
        barriers_and_thief,
    ),
    Scenario::new(
        "notify::sockets_that_close_slowly_delay_no_other_child",
        lingering,
    ),
    Scenario::new(
        "notify::sockets_that_close_slowly_delay_no_end",
        lingering_at_end,
    ),
];

/// Sets the host's own variables, as systemd would.
const WITH_MANAGER: &[&str] = &[
    "sh",
    "-c",
    "NOTIFY_SOCKET=$DIRECTORY/manager WATCHDOG_USEC=7 WATCHDOG_PID=7 exec \"$@\"",
    "sh",
];

/// The only argument of a program that performs deeds.
const PERFORM: &str = "--perform";

/// Registers the task, and performs the deeds if this process is a program that does so.
pub fn register() {
    frigate::register_task("performing", perform);
    if std::env::args().nth(1).as_deref() == Some(PERFORM) {
        perform();
        std::process::exit(0);
    }
}

fn perform() {
    for deed in std::env::var("DEEDS").unwrap().split("; ") {
        let (verb, object) = deed.split_once(' ').unwrap_or((deed, ""));
        match verb {
            "first" if std::env::var("FRIGATE_RESTARTS").unwrap() != "0" => {}
            "first" | "send" => send(object, &[]),
            "barrier" => barrier(object),
            "linger" => linger(object.parse().unwrap()),
            "await" => eventually(object, || directory().join(object).exists().then_some(())),
            "write" => write(object),
            "beat" => loop {
                send("WATCHDOG=1", &[]);
                std::thread::sleep(Duration::from_millis(20));
            },
            "park" => loop {
                std::thread::park();
            },
            _ => panic!("no deed: {deed}"),
        }
    }
}

/// Sends a message, with these descriptors. A blank ends a line of it.
fn send(message: &str, passed: &[BorrowedFd<'_>]) {
    send_to(&std::env::var("NOTIFY_SOCKET").unwrap(), message, passed);
}

fn send_to(address: &str, message: &str, passed: &[BorrowedFd<'_>]) {
    let name = address.strip_prefix('@').expect("an abstract address");
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    let socket: OwnedFd = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &address).expect("frigate listens");
    let text = message.replace(' ', "\n");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !passed.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(passed)));
    }
    let text = [IoSlice::new(text.as_bytes())];
    sendmsg(&socket, &text, &mut control, SendFlags::NOSIGNAL).expect("frigate takes it");
}

/// Waits until the receiver of the message has closed what it was passed.
fn barrier(message: &str) {
    let (mut mine, passed) = std::io::pipe().unwrap();
    send(message, &[passed.as_fd()]);
    drop(passed);
    assert_eq!(mine.read(&mut [0]).unwrap(), 0, "it is closed");
}

/// Sends so many sockets whose last close takes a day. Processes send them that end at once: the
/// kernel does not let those wait.
fn linger(count: u32) {
    if count > 1 {
        for _ in 0..count {
            let mut sender = Command::new(own_program());
            sender.arg(PERFORM).env("DEEDS", "linger 1");
            assert!(sender.status().unwrap().success());
        }
        return;
    }
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_nonblocking(true).unwrap();
    loop {
        match socket.write(&[0; 1 << 13]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    let day = Duration::from_secs(86_400);
    sockopt::set_socket_linger(&socket, Some(day)).unwrap();
    send("X=1", &[socket.as_fd()]);
    std::process::exit(0);
}

/// Writes this process's variables into a file of the trial.
fn write(file: &str) {
    let of = |name| std::env::var(name).unwrap_or_else(|_| "none".to_owned());
    let text = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].map(of);
    let text = format!("{} {}\n", text.join(" "), std::process::id());
    let new = directory().join(format!("{file}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, directory().join(file)).unwrap();
}

/// What the deed `write` has written: the three variables, and the pid.
fn written(file: &str) -> [String; 4] {
    let text = text_of(&directory().join(file));
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    words.try_into().unwrap()
}

fn touch(file: &str) {
    std::fs::write(directory().join(file), "").unwrap();
}

fn function(deeds: &str) -> ProtectTask {
    ProtectTask::new("performing").env("DEEDS", deeds)
}

fn program(deeds: &str) -> ProtectTask {
    let task = ProtectTask::new("a-program").program(own_program());
    task.arg(PERFORM).env("DEEDS", deeds)
}

/// What is expected of a child that reports that it is alive. It has time until its first report.
fn watched() -> Strategy {
    Strategy::new()
        .health("notify")
        .health_interval(Duration::from_secs(100_000))
        .health_start(Duration::from_secs(100_000))
}

fn ready() {
    let manager = UnixDatagram::bind(std::env::var("NOTIFY_SOCKET").unwrap()).unwrap();
    for (number, child) in [function, program].into_iter().enumerate() {
        let go = format!("go-{number}");
        let deeds = format!("write vars-{number}; await {go}; send STATUS=up READY=1; park");
        let strategy = Strategy::new().ready("notify").ready_within(Duration::ZERO);
        let frigate = Frigate::from(child(&deeds)).strategy(strategy);
        let events = frigate.events();
        frigate.protect().unwrap();
        written(&format!("vars-{number}"));
        let early: Vec<_> = events.try_iter().map(|event| event.kind).collect();
        assert!(!early.contains(&EventKind::Ready), "{early:#?}");
        touch(&go);
        next(&events, "it is ready", |kind| is(kind, &EventKind::Ready));
        frigate.stop(GRACE).unwrap();
    }
    manager.set_nonblocking(true).unwrap();
    let told = manager.recv(&mut [0; 16]).map_err(|error| error.kind());
    assert_eq!(told, Err(ErrorKind::WouldBlock));
    assert!(children().is_empty());
}

/// A child that was ready has started, so that its end is no failed start.
fn last_words() {
    for child in [function, program] {
        let strategy = Strategy::new()
            .ready("notify")
            .start_secs(Duration::from_secs(100_000))
            .auto_restart(AutoRestart::False);
        let frigate = Frigate::from(child("send READY=1")).strategy(strategy);
        let events = frigate.events();
        frigate.protect().unwrap();
        let outcome = frigate.wait().unwrap();
        assert!(matches!(outcome, Outcome::Complete(_)), "{outcome:?}");
        assert!(events.iter().any(|event| event.kind == EventKind::Ready));
    }
}

/// The first process reports once, and then it is silent.
fn watchdog() {
    for child in [function, program] {
        let strategy = watched()
            .health_interval(Duration::from_secs(1))
            .start_retries(u32::MAX);
        let deeds = "first WATCHDOG=1; await restarted; beat";
        std::fs::remove_file(directory().join("restarted")).ok();
        let frigate = Frigate::from(child(deeds)).strategy(strategy);
        let events = frigate.events();
        frigate.protect().unwrap();
        let first = next_start_with(&events, &EventKind::Healthy);
        next(&events, "it is unhealthy", |kind| {
            is(kind, &EventKind::Unhealthy)
        });
        touch("restarted");
        assert_ne!(next_start_with(&events, &EventKind::Healthy), first);
        frigate.stop(GRACE).unwrap();
    }
}

fn trigger() {
    for child in [function, program] {
        let strategy = watched().auto_restart(AutoRestart::False);
        let deeds = "send WATCHDOG=1; send WATCHDOG=trigger; park";
        let frigate = Frigate::from(child(deeds)).strategy(strategy);
        let events = frigate.events();
        frigate.protect().unwrap();
        let outcome = frigate.wait().unwrap();
        assert!(matches!(outcome, Outcome::Unhealthy(_)), "{outcome:?}");
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        let at = |wanted: &EventKind| kinds.iter().position(|kind| kind == wanted).unwrap();
        assert!(at(&EventKind::Healthy) < at(&EventKind::Unhealthy));
    }
}

/// They replace the host's, and what the host has set for the child. Each start names its own pid.
fn variables() {
    for (number, child) in [function, program].into_iter().enumerate() {
        let child = |file: &str| {
            let child = child(&format!("write {file}; park"));
            let child = child.env("NOTIFY_SOCKET", "/nowhere");
            Frigate::from(child.env("WATCHDOG_PID", "8"))
        };
        let file = format!("watched-{number}");
        let frigate = child(&file).strategy(watched());
        let events = frigate.events();
        frigate.protect().unwrap();
        for _ in 0..2 {
            let pid = next_start(&events).to_string();
            let [socket, interval, watched, own] = written(&file);
            assert!(socket.starts_with('@'), "{socket}");
            assert_eq!(interval, "100000000000");
            assert_eq!([&watched, &own], [&pid; 2]);
            std::fs::remove_file(directory().join(&file)).unwrap();
            crate::support::kill(own.parse().unwrap(), nix::sys::signal::Signal::SIGKILL);
        }
        frigate.stop(GRACE).unwrap();

        let file = format!("ready-{number}");
        let frigate = child(&file).strategy(Strategy::new().ready("notify"));
        frigate.protect().unwrap();
        let [socket, interval, watched, _] = written(&file);
        assert!(socket.starts_with('@'), "{socket}");
        assert_eq!([interval.as_str(), &watched], ["none"; 2]);
        frigate.stop(GRACE).unwrap();

        // Nothing is expected, and so nothing is changed.
        let file = format!("unchecked-{number}");
        let frigate = child(&file);
        frigate.protect().unwrap();
        let [socket, interval, watched, _] = written(&file);
        assert_eq!(
            [socket.as_str(), &interval, &watched],
            ["/nowhere", "7", "8"]
        );
        frigate.stop(GRACE).unwrap();
    }
}

/// The host's message comes before the child's.
fn stranger() {
    for (number, child) in [function, program].into_iter().enumerate() {
        let deeds = format!("write vars-{number}; await go-{number}; send WATCHDOG=1; park");
        let frigate = Frigate::from(child(&deeds)).strategy(watched());
        let events = frigate.events();
        frigate.protect().unwrap();
        let [address, ..] = written(&format!("vars-{number}"));
        send_to(&address, "WATCHDOG=trigger", &[]);
        touch(&format!("go-{number}"));
        let healthy = next(&events, "it is healthy", |kind| match kind {
            EventKind::Healthy => Some(true),
            EventKind::Unhealthy => Some(false),
            _ => None,
        });
        assert!(healthy, "the host was heard");
        frigate.stop(GRACE).unwrap();
    }
}

fn no_socket() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // The first child starts frigate's thread, which needs descriptors too.
    let first = sleeper("first");
    first.protect().unwrap();
    first.stop(GRACE).unwrap();
    let frigate = Frigate::from(function("park")).strategy(watched());
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, most).unwrap();
    let error = frigate.protect().expect_err("there is no descriptor");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    assert!(matches!(error, Error::System { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("open the socket for notifications"), "{text}");
    assert!(children().is_empty());
    frigate.protect().unwrap();
    frigate.stop(GRACE).unwrap();
}

/// A hundred messages with a descriptor, each of which is closed before the next is sent.
fn barriers_of(child: fn(&str) -> ProtectTask) -> Frigate {
    let deeds = format!("{}send WATCHDOG=1; park", "barrier X=1; ".repeat(100));
    Frigate::from(child(&deeds)).strategy(watched())
}

fn barriers() {
    // The first child starts frigate's thread, which stays.
    let first = sleeper("first");
    first.protect().unwrap();
    first.stop(GRACE).unwrap();
    for child in [function, program] {
        let before = descriptors();
        let frigate = barriers_of(child);
        let events = frigate.events();
        frigate.protect().unwrap();
        let pid = next_start_with(&events, &EventKind::Healthy);
        eventually("only the child is left", || {
            (children() == [pid.cast_signed()]).then_some(())
        });
        // Its pidfd and its socket.
        assert_eq!(descriptors(), before + 2);
        frigate.stop(GRACE).unwrap();
        eventually("every descriptor is closed", || {
            (children().is_empty() && descriptors() == before).then_some(())
        });
    }
}

/// Another thread of the host takes the ends of the processes that drop messages.
fn barriers_and_thief() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let thief = std::thread::spawn(|| {
        while !STOP.load(Ordering::Relaxed) {
            let _ = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
    });
    for child in [function, program] {
        let frigate = barriers_of(child);
        let events = frigate.events();
        frigate.protect().unwrap();
        next_start_with(&events, &EventKind::Healthy);
        frigate.stop(GRACE).unwrap();
    }
    STOP.store(true, Ordering::Relaxed);
    thief.join().unwrap();
}

/// Returns a listener that takes nothing, and a child that performs the deeds and knows its port.
fn with_listener(deeds: &str) -> (TcpListener, ProtectTask) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, function(deeds).env("PORT", port))
}

/// Each of these messages takes 100 ms. Then the barrier's turn comes, and READY's.
fn lingering() {
    let (_listener, task) = with_listener("linger 5; barrier X=1; send READY=1; park");
    let strategy = Strategy::new().ready("notify").ready_within(Duration::ZERO);
    let frigate = Frigate::from(task).strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    // Meanwhile frigate's thread serves others.
    let other = sleeper("other");
    other.protect().unwrap();
    other.stop(GRACE).unwrap();
    let pid = next_start_with(&events, &EventKind::Ready);
    eventually("only the child is left", || {
        (children() == [pid.cast_signed()]).then_some(())
    });
    frigate.stop(GRACE).unwrap();
}

/// The child ends while such messages wait. They are as many as the queue holds at least.
fn lingering_at_end() {
    let (_listener, task) = with_listener("linger 8");
    let strategy = watched().auto_restart(AutoRestart::False);
    let frigate = Frigate::from(task).strategy(strategy);
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        frigate.protect().unwrap();
        let outcome = frigate.wait().unwrap();
        let other = sleeper("other");
        other.protect().unwrap();
        other.stop(GRACE).unwrap();
        sender.send(outcome).unwrap();
    });
    let outcome = ended.recv_timeout(DEADLINE).expect("nothing is delayed");
    assert!(matches!(outcome, Outcome::Complete(_)), "{outcome:?}");
    eventually("every process is reaped", || {
        children().is_empty().then_some(())
    });
}

//! What the child reports by itself (`sd_notify(3)`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::support::{Frigate, Mode, Running, eventually, scenario, sys, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    ready(out);
    watchdog(out);
    senders(out);
    hostile(out);
    manager(out);
}

fn expecting(mode: Mode, option: &str) -> Frigate {
    Frigate::new(mode).option(option).options("-v")
}

fn ready(out: &mut Vec<Trial>) {
    scenario("notify::a_child_is_ready_when_it_says_so").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let starts = frigate.path("starts");
        let frigate = frigate
            .option("--ready=notify")
            .options("--restart=unexpected --start-secs=1h --start-retries=0 --backoff=1ms -v")
            .puppet(format!(
                "attempt {starts}; on 1 {{say first; wait USR1; notify STATUS=up|READY=1; \
                 wait USR1; exit 1}}; say second; wait TERM; exit 5"
            ))
            .spawn();
        frigate.wait_line("first");
        assert!(!frigate.err().text().contains("is ready"));
        frigate.kill(libc::SIGUSR1);
        frigate.wait_message("reports: up");
        frigate.wait_message("is ready");
        // It has started, so that its end is no failed start.
        frigate.kill(libc::SIGUSR1);
        frigate.wait_line("second");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5).expect_nothing_left();
    });

    scenario("notify::a_child_that_never_says_that_it_is_ready_is_a_failed_start").run(
        out,
        |mode| {
            let ended = Frigate::new(mode)
                .option("--ready=notify")
                .options("--ready-within=200ms")
                .puppet("notify STATUS=nearly; wait TERM; exit 0")
                .run();
            ended.expect_code(1).expect_nothing_left();
            let line = "was not ready within 200 ms";
            assert!(ended.err.contains(line), "{ended:#?}");
        },
    );

    scenario("notify::a_report_right_before_the_end_counts").run(out, |mode| {
        let ended = expecting(mode, "--ready=notify")
            .puppet("notify READY=1; exit 5")
            .run();
        ended.expect_code(5);
        assert!(ended.err.contains("is ready"), "{ended:#?}");
    });

    scenario("notify::a_deadline_is_extended").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .options("--ready-within=2s")
            .puppet(
                "notify EXTEND_TIMEOUT_USEC=3600000000; nap 3000; notify READY=1; say up; \
                 wait TERM; exit 5",
            )
            .spawn();
        frigate.wait_line("up");
        frigate.wait_message("is ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
    });

    scenario("notify::the_grace_period_is_extended").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .options("--grace=2s")
            .puppet(
                "notify READY=1; say up; wait TERM; notify EXTEND_TIMEOUT_USEC=3600000000; \
                 nap 3000; exit 5",
            )
            .spawn();
        frigate.wait_line("up");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
    });
}

fn watchdog(out: &mut Vec<Trial>) {
    scenario("notify::a_child_that_falls_silent_is_unhealthy").run(out, |mode| {
        let ended = expecting(mode, "--health=notify")
            .options("--health-interval=500ms --health-start=0 --health-signal=USR2")
            .puppet(
                "repeat 5 {notify WATCHDOG=1; nap 100}; say silent; wait USR2; say dump; exit 5",
            )
            .run();
        ended.expect_code(5).expect_nothing_left();
        for text in ["is healthy", "is unhealthy", "no WATCHDOG=1 within 500 ms"] {
            assert!(ended.err.contains(text), "{text}: {ended:#?}");
        }
        assert!(ended.out.contains("dump"), "{ended:#?}");
    });

    scenario("notify::a_program_of_libsystemd_that_hangs_is_restarted").run(out, |mode| {
        let frigate = expecting(mode, "--health=notify")
            .options("--ready=notify --health-interval=2s --restart=unexpected --backoff=1ms")
            .command(["/usr/bin/python3", "-c", LIBSYSTEMD])
            .spawn();
        frigate.wait_line("hangs");
        frigate.wait_line("serves");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(143).expect_nothing_left();
        assert_eq!(ended.err.matches("reports: serving").count(), 2);
        assert_eq!(ended.err.matches("is unhealthy").count(), 1, "{ended:#?}");
    });

    scenario("notify::a_trigger_is_unhealthy_at_once").run(out, |mode| {
        let ended = expecting(mode, "--health=notify")
            .puppet("notify WATCHDOG=1; notify WATCHDOG=trigger; wait TERM; exit 0")
            .run();
        ended.expect_code(1).expect_nothing_left();
        assert!(ended.err.contains("WATCHDOG=trigger"), "{ended:#?}");
    });

    scenario("notify::a_child_sets_its_own_interval").run(out, |mode| {
        let ended = expecting(mode, "--health=notify")
            .puppet("notify WATCHDOG=1|WATCHDOG_USEC=200000; wait TERM; exit 0")
            .run();
        ended.expect_code(1);
        let line = "no WATCHDOG=1 within 200 ms";
        assert!(ended.err.contains(line), "{ended:#?}");
    });

    scenario("notify::a_child_that_is_stopping_is_not_unhealthy").run(out, |mode| {
        let ended = expecting(mode, "--health=notify")
            .options("--health-interval=2s --health-start=0")
            .puppet("notify WATCHDOG=1; notify STOPPING=1; nap 3000; exit 5")
            .run();
        ended.expect_code(5);
        assert!(!ended.err.contains("unhealthy"), "{ended:#?}");
    });

    scenario("notify::the_variables_are_the_childs").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .option("--health=notify")
            .options("--health-interval=1500ms --restart=unexpected --backoff=1ms")
            .env("NOTIFY_SOCKET", "/nowhere")
            .env("WATCHDOG_USEC", "7")
            .env("WATCHDOG_PID", "7")
            .own_pid_in("LISTEN_PID")
            .puppet(
                "environment NOTIFY_SOCKET; environment WATCHDOG_USEC; environment WATCHDOG_PID; \
                 environment LISTEN_PID; say pid $pid; wait TERM; exit 0",
            )
            .spawn();
        let line = frigate.wait_line("pid ");
        let pid = line.strip_prefix("pid ").expect("a pid");
        let text = frigate.out().text();
        let socket = "environment NOTIFY_SOCKET @";
        let name = text.strip_prefix(socket).and_then(|rest| rest.get(..5));
        let name = name.expect("an abstract address");
        let expected = format!(
            "{socket}{name}\nenvironment WATCHDOG_USEC 1500000\nenvironment WATCHDOG_PID {pid}\n\
             environment LISTEN_PID {pid}\n{line}\n"
        );
        assert_eq!(text, expected);
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(0);
    });

    scenario("notify::without_a_watchdog_its_variables_are_removed").run(out, |mode| {
        let ended = Frigate::new(mode)
            .option("--ready=notify")
            .env("NOTIFY_SOCKET", "/nowhere")
            .env("WATCHDOG_USEC", "7")
            .env("WATCHDOG_PID", "7")
            .puppet("environment WATCHDOG_USEC; environment WATCHDOG_PID; exit 5")
            .run();
        ended.expect_code(5);
        let expected = "environment WATCHDOG_USEC unset\nenvironment WATCHDOG_PID unset\n";
        assert_eq!(ended.out, expected);
    });

    scenario("notify::without_the_target_the_variables_reach_the_child").run(out, |mode| {
        let ended = Frigate::new(mode)
            .options("--health=exec:true")
            .env("NOTIFY_SOCKET", "/nowhere")
            .env("WATCHDOG_USEC", "7")
            .puppet("environment NOTIFY_SOCKET; environment WATCHDOG_USEC; exit 5")
            .run();
        ended.expect_code(5).expect_silence();
        let expected = "environment NOTIFY_SOCKET /nowhere\nenvironment WATCHDOG_USEC 7\n";
        assert_eq!(ended.out, expected);
    });
}

/// Returns the abstract address that the child has printed.
fn address_of(frigate: &Running) -> SocketAddr {
    let line = frigate.wait_line("environment NOTIFY_SOCKET @");
    let (_, name) = line.split_once('@').expect("an abstract address");
    SocketAddr::from_abstract_name(name).expect("a name")
}

/// Reports by libsystemd, hangs at its first start, and serves at the second.
const LIBSYSTEMD: &str = r#"
import ctypes, os, time
library = ctypes.CDLL("libsystemd.so.0")
interval = ctypes.c_uint64()
assert library.sd_watchdog_enabled(0, ctypes.byref(interval)) == 1
assert library.sd_notify(0, b"READY=1\nSTATUS=serving") > 0
assert library.sd_notify_barrier(0, ctypes.c_uint64(2**64 - 1)) > 0
while True:
    assert library.sd_notify(0, b"WATCHDOG=1") > 0
    time.sleep(interval.value / 4e6)
    if os.environ["FRIGATE_RESTARTS"] == "0":
        print("hangs", flush=True)
        time.sleep(1000)
    print("serves", flush=True)
"#;

fn senders(out: &mut Vec<Trial>) {
    // As PID 1, frigate is in a PID namespace of its own, and this test is outside: like another
    // container of a pod, which has the same network namespace.
    scenario("notify::a_stranger_is_not_listened_to").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .puppet("environment NOTIFY_SOCKET; wait USR1; notify STATUS=mine; wait TERM; exit 5")
            .spawn();
        let address = address_of(&frigate);
        let stranger = UnixDatagram::unbound().expect("a socket");
        for _ in 0..100 {
            stranger
                .send_to_addr(b"READY=1\nSTATUS=strange\nWATCHDOG=trigger", &address)
                .expect("frigate takes and drops it");
        }
        frigate.kill(libc::SIGUSR1);
        frigate.wait_message("reports: mine");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(5);
        for text in ["is ready", "strange", "trigger"] {
            assert!(!ended.err.contains(text), "{ended:#?}");
        }
    });

    scenario("notify::a_worker_of_the_childs_group_is_listened_to").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .puppet("fork {notify READY=1; pause}; wait TERM; exit 5")
            .spawn();
        frigate.wait_message("is ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
    });

    scenario("notify::a_process_that_has_left_the_group_is_not_listened_to").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .puppet(
                "fork {session; notify READY=1|STATUS=lost; say sent; pause}; wait USR1; \
                 notify STATUS=mine; wait TERM; exit 5",
            )
            .spawn();
        frigate.wait_line("sent");
        frigate.kill(libc::SIGUSR1);
        frigate.wait_message("reports: mine");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(5);
        assert!(!ended.err.contains("is ready"), "{ended:#?}");
        assert!(!ended.err.contains("lost"), "{ended:#?}");
    });

    scenario("notify::a_process_of_the_childs_cgroup_is_listened_to")
        .in_guest()
        .run(out, |mode| {
            let frigate = expecting(mode, "--ready=notify")
                .in_cgroup(crate::support::cgroup::Place::new())
                .options("--pids-max=100")
                .puppet("fork {session; notify READY=1; pause}; wait TERM; exit 5")
                .spawn();
            frigate.wait_message("is ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(5);
        });
}

fn hostile(out: &mut Vec<Trial>) {
    scenario("notify::a_flood_delays_no_signal_and_costs_no_memory").run(out, |mode| {
        let frigate = expecting(mode, "--health=notify")
            .options("--restart=unexpected --grace=1s")
            .puppet("fork {notify-flood 10000000 WATCHDOG=1|READY=1}; say up; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("up");
        frigate.wait_message("is healthy");
        let before = crate::support::procfs::anonymous_kib(frigate.pid);
        thread::sleep(Duration::from_secs(1));
        let growth = crate::support::procfs::anonymous_kib(frigate.pid).saturating_sub(before);
        assert!(growth <= 16, "{growth} kB");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
    });

    scenario("notify::a_barrier_is_passed").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .puppet("repeat 20 {notify-barrier READY=1}; say passed; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("passed");
        frigate.wait_message("is ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5).expect_nothing_left();
    });

    scenario("notify::a_socket_that_closes_slowly_delays_nothing").run(out, |mode| {
        let frigate = expecting(mode, "--ready=notify")
            .puppet("say up; wait USR1; notify-lingering READY=1; say sent; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("up");
        let child = frigate.only_child();
        // The message waits until the child has closed its own descriptor of the socket.
        frigate.kill(libc::SIGSTOP);
        wait_state(frigate.pid, 'T');
        sys::kill(child, libc::SIGUSR1).expect("it is ours");
        frigate.wait_line("sent");
        frigate.kill(libc::SIGCONT);
        frigate.wait_message("is ready");
        frigate.kill(libc::SIGTERM);
        // Far less than the minute that the close would take.
        frigate.wait().expect_code(5).expect_nothing_left();
    });

    scenario("notify::what_is_no_message_is_ignored").run(out, |mode| {
        let long = format!("STATUS={}|READY=1", "x".repeat(5000));
        let frigate = expecting(mode, "--ready=notify")
            .puppet(format!(
                "notify {long}; notify READY=2; notify =; notify STATUS=\u{1b}[31mred; wait TERM; \
                 exit 5"
            ))
            .spawn();
        let line = frigate.wait_message("reports:");
        assert!(line.contains("red") && !line.contains('\u{1b}'), "{line}");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(5);
        assert!(!ended.err.contains("is ready"), "{ended:#?}");
    });
}

/// Returns the messages that have come so far, each only once it has been sent.
fn next_message(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    manager
        .set_read_timeout(Some(crate::support::deadline()))
        .expect("a socket");
    let length = manager.recv(&mut buffer).expect("a message");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn manager(out: &mut Vec<Trial>) {
    scenario("notify::frigates_manager_learns_that_the_child_is_ready_and_stops").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            let (path, starts) = (frigate.path("manager"), frigate.path("starts"));
            let manager = UnixDatagram::bind(&path).expect("the trial's directory");
            let frigate = frigate
                .option("--ready=notify")
                .options("--restart=unexpected --backoff=1ms")
                .env("NOTIFY_SOCKET", path)
                .puppet(format!(
                    "attempt {starts}; on 1 {{notify READY=1; notify STOPPING=1; exit 1}}; \
                     notify READY=1|STATUS=x; say up; wait TERM; notify STOPPING=1; exit 5"
                ))
                .spawn();
            frigate.wait_line("up");
            assert_eq!(next_message(&manager), "READY=1");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(5);
            assert_eq!(next_message(&manager), "STOPPING=1");
            manager.set_nonblocking(true).expect("a socket");
            let more = manager.recv(&mut [0; 16]).map_err(|error| error.kind());
            assert_eq!(more, Err(std::io::ErrorKind::WouldBlock));
        },
    );

    scenario("notify::an_abstract_address_of_the_manager_is_known").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let name = frigate.path("manager");
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("the name is new");
        let frigate = frigate
            .option("--ready=notify")
            .env("NOTIFY_SOCKET", format!("@{name}"))
            .puppet("notify READY=1; wait TERM; exit 5")
            .spawn();
        assert_eq!(next_message(&manager), "READY=1");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5).expect_silence();
    });

    scenario("notify::a_manager_that_cannot_be_reached_is_reported_once").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .option("--ready=notify")
            .env("NOTIFY_SOCKET", "/nowhere")
            .puppet("notify READY=1; notify READY=1; say up; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("up");
        eventually("the line", || {
            frigate.err().text().contains("NOTIFY_SOCKET").then_some(())
        });
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(5);
        assert_eq!(ended.messages().len(), 1, "{ended:#?}");
    });
}

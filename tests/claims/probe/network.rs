//! Servers of HTTP, TCP and Unix sockets.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{expect_healthy, expect_timeout, expect_unhealthy, probe};
use crate::support::capability::{Capability, IPV6, STRACE};
use crate::support::frigate::binary;
use crate::support::servers;
use crate::support::{Frigate, eventually, scenario};

/// Long enough for a good answer on a slow machine, short enough to wait for a bad one.
const TIMEOUT: Duration = Duration::from_millis(700);
const SHORT: &str = "--health-timeout=700ms";

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    http(out);
    bad_http(out);
    localhost(out);
    connections(out);
    unix(out);
}

fn http(out: &mut Vec<Trial>) {
    scenario("probe::a_status_from_200_to_399_is_healthy").run(out, |mode| {
        for status in ["200 OK", "204", "301 Moved Permanently", "399 x"] {
            let port = servers::answering(format!("HTTP/1.1 {status}\r\n\r\nhello"));
            expect_healthy(&probe(mode, &format!("http://127.0.0.1:{port}/"), ""));
        }
    });

    scenario("probe::another_status_is_unhealthy").run(out, |mode| {
        for status in [100, 199, 400, 404, 500, 503] {
            let port = servers::answering(format!("HTTP/1.0 {status} x\r\n\r\n"));
            let target = format!("http://127.0.0.1:{port}/");
            let ended = probe(mode, &target, "");
            expect_unhealthy(&ended, &target, &format!("status {status}"));
        }
    });

    scenario("probe::a_request_names_its_path_and_its_host")
        .once()
        .run(out, |mode| {
            let requests = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&requests);
            let port = servers::local(move |mut client| {
                let request = servers::read_request(&mut client);
                kept.lock().expect("no server panics here").push(request);
                let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
            });
            for (path, asked) in [
                ("", "/"),
                ("/", "/"),
                ("/healthz?full=1&x=[y]", "/healthz?full=1&x=[y]"),
                ("?ready", "/?ready"),
            ] {
                expect_healthy(&probe(mode, &format!("http://127.0.0.1:{port}{path}"), ""));
                let request = requests.lock().expect("no server panics here").pop();
                let head = format!("GET {asked} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n");
                let request = request.expect("it was asked");
                assert!(
                    request.starts_with(&head) && request.ends_with("\r\n\r\n"),
                    "{request}"
                );
            }
        });

    scenario("probe::a_status_line_of_a_megabyte_is_read")
        .once()
        .run(out, |mode| {
            let line = [
                b"HTTP/1.1 200 ".to_vec(),
                vec![b'x'; 1 << 20],
                b"\r\n".to_vec(),
            ]
            .concat();
            let port = servers::answering(line);
            let target = format!("http://127.0.0.1:{port}/");
            expect_healthy(&probe(mode, &target, "--health-timeout=20s"));
        });

    scenario("probe::an_answer_in_pieces_is_read")
        .once()
        .run(out, |mode| {
            let port = servers::local(|mut client| {
                servers::read_request(&mut client);
                for piece in [
                    &b"HT"[..],
                    b"TP/1.1 2",
                    b"0",
                    b"0 OK\r",
                    b"\nServer: x\r\n\r\n",
                ] {
                    let _ = client.write_all(piece);
                    thread::sleep(Duration::from_millis(10));
                }
            });
            let target = format!("http://127.0.0.1:{port}/");
            expect_healthy(&probe(mode, &target, "--health-timeout=20s"));
        });
}

fn bad_http(out: &mut Vec<Trial>) {
    scenario("probe::a_server_that_accepts_and_is_silent_times_out").run(out, |mode| {
        let target = format!("http://127.0.0.1:{}/", servers::silent());
        expect_timeout(&probe(mode, &target, SHORT), &target, TIMEOUT);
    });

    scenario("probe::a_server_that_never_accepts_times_out")
        .once()
        .run(out, |mode| {
            let (port, _held) = servers::full();
            for target in [
                format!("http://127.0.0.1:{port}/"),
                format!("tcp://127.0.0.1:{port}"),
            ] {
                expect_timeout(&probe(mode, &target, SHORT), &target, TIMEOUT);
            }
        });

    scenario("probe::a_server_that_sends_a_byte_at_a_time_times_out")
        .once()
        .run(out, |mode| {
            let port = servers::local(|mut client| {
                for byte in b"HTTP/1.1 200 OK\r\n".iter().cycle() {
                    if client.write_all(&[*byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_secs(1));
                }
            });
            let target = format!("http://127.0.0.1:{port}/");
            expect_timeout(&probe(mode, &target, SHORT), &target, TIMEOUT);
        });

    scenario("probe::a_line_without_end_times_out")
        .once()
        .run(out, |mode| {
            let port = servers::local(|mut client| {
                let _ = client.write_all(b"HTTP/1.1 200 ");
                while client.write_all(&[b'x'; 8192]).is_ok() {}
            });
            let target = format!("http://127.0.0.1:{port}/");
            expect_timeout(&probe(mode, &target, SHORT), &target, TIMEOUT);
        });

    scenario("probe::a_server_that_closes_amid_its_status_line_is_unhealthy").run(out, |mode| {
        for answer in [
            "",
            "H",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK\r",
        ] {
            let target = format!("http://127.0.0.1:{}/", servers::answering(answer));
            let ended = probe(mode, &target, "");
            expect_unhealthy(
                &ended,
                &target,
                "closed before the status line was complete",
            );
        }
    });

    scenario("probe::an_answer_that_is_not_http_is_unhealthy").run(out, |mode| {
        for answer in [
            &b"+PONG\r\n"[..],
            b"SSH-2.0-x\r\n",
            b"\0\xff\xfe",
            b"\n",
            b"HTTP/1.1 OK\r\n",
        ] {
            let target = format!("http://127.0.0.1:{}/", servers::answering(answer));
            let ended = probe(mode, &target, "");
            expect_unhealthy(&ended, &target, "the answer is not HTTP");
        }
    });

    scenario("probe::a_server_that_resets_the_connection_is_unhealthy").run(out, |mode| {
        let target = format!("http://127.0.0.1:{}/", servers::resetting());
        let ended = probe(mode, &target, "");
        ended.expect_code(1);
        // Whether the reset overtakes the read is a race.
        let reasons = [
            "cannot read: connection reset",
            "closed before the status line was complete",
        ];
        let lines = reasons.map(|reason| format!("frigate: '{target}' is unhealthy: {reason}\n"));
        assert!(lines.contains(&ended.err), "{ended:#?}");
    });

    scenario("probe::a_port_without_a_listener_is_unhealthy").run(out, |mode| {
        let port = servers::closed();
        for target in [
            format!("http://127.0.0.1:{port}/"),
            format!("tcp://127.0.0.1:{port}"),
        ] {
            let ended = probe(mode, &target, "");
            expect_unhealthy(&ended, &target, "cannot connect: connection refused");
        }
    });
}

const OK: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// A network namespace of its own, and the means to use its loopback interface.
static NETWORK_NAMESPACE: Capability = Capability::new("network-namespace", || {
    let status = Command::new("/usr/bin/unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("unshare and ip: {status}")),
        Err(error) => Err(format!("unshare: {error}")),
    }
});

fn localhost(out: &mut Vec<Trial>) {
    scenario("probe::a_connection_that_meets_itself_is_no_server")
        .needs(&[&NETWORK_NAMESPACE])
        .run(out, |mode| {
            // Every client gets the port that is asked, and nothing listens there.
            let script = "ip link set lo up && \
                          echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"";
            for target in [
                "tcp://127.0.0.1:40000",
                "tcp://localhost:40000",
                "http://127.0.0.1:40000/",
            ] {
                let words =
                    ["/usr/bin/unshare", "--net", "sh", "-c", script, "sh"].map(OsString::from);
                let ended = Frigate::of_program(mode, words.into_iter().chain(binary()))
                    .option(format!("--probe={target}"))
                    .run();
                expect_unhealthy(&ended, target, "cannot connect: connection refused");
            }
        });

    scenario("probe::localhost_is_127_0_0_1").run(out, |mode| {
        let port = servers::answering(OK);
        expect_healthy(&probe(mode, &format!("http://localhost:{port}"), ""));
        expect_healthy(&probe(mode, &format!("tcp://localhost:{port}"), ""));
    });

    scenario("probe::localhost_is_1_if_127_0_0_1_refuses")
        .needs(&[&IPV6])
        .run(out, |mode| {
            let port = servers::answering_on_ipv6(OK);
            for target in [
                format!("http://localhost:{port}"),
                format!("tcp://localhost:{port}"),
                format!("http://[::1]:{port}/x"),
                format!("tcp://[0:0::1]:{port}"),
            ] {
                expect_healthy(&probe(mode, &target, ""));
            }
            let target = format!("tcp://127.0.0.1:{port}");
            let ended = probe(mode, &target, "");
            expect_unhealthy(&ended, &target, "cannot connect: connection refused");
        });

    scenario("probe::the_answer_of_127_0_0_1_counts_even_if_it_is_bad")
        .once()
        .needs(&[&IPV6])
        .run(out, |mode| {
            let port = servers::answering_on_both(OK, b"HTTP/1.0 500 no\r\n\r\n");
            let target = format!("http://localhost:{port}/");
            let ended = probe(mode, &target, "");
            expect_unhealthy(&ended, &target, "status 500");
        });

    scenario("probe::localhost_without_a_listener_is_refused")
        .needs(&[&IPV6])
        .run(out, |mode| {
            let target = format!("tcp://localhost:{}", servers::closed_on_both());
            let ended = probe(mode, &target, "");
            expect_unhealthy(&ended, &target, "cannot connect: connection refused");
        });
}

fn connections(out: &mut Vec<Trial>) {
    scenario("probe::a_tcp_server_that_never_closes_is_healthy_and_soon").run(out, |mode| {
        let target = format!("tcp://127.0.0.1:{}", servers::silent());
        let ended = probe(mode, &target, "--health-timeout=1h");
        expect_healthy(&ended);
    });

    scenario("probe::a_tcp_server_that_resets_is_healthy").run(out, |mode| {
        let target = format!("tcp://127.0.0.1:{}", servers::resetting());
        expect_healthy(&probe(mode, &target, ""));
    });

    // Alone, because a probe waits half a second for a server that has to be woken twice.
    scenario("probe::no_server_sees_a_reset")
        .once()
        .alone()
        .run(out, |mode| {
            for (kind, greeting) in [
                ("tcp", b"5.5.5-MariaDB greets\0".to_vec()),
                ("tcp", Vec::new()),
                ("http", [OK.to_vec(), vec![b'x'; 40_000]].concat()),
            ] {
                let ends = Arc::new(Mutex::new(Vec::new()));
                let port = servers::greeting(greeting, Arc::clone(&ends));
                for _ in 0..10 {
                    expect_healthy(&probe(mode, &format!("{kind}://127.0.0.1:{port}"), ""));
                }
                eventually("ten ends", || {
                    let ends = ends.lock().expect("no server panics here");
                    (ends.len() == 10).then_some(())
                });
                let ends = ends.lock().expect("no server panics here");
                assert!(ends.iter().all(Result::is_ok), "{kind}: {ends:?}");
                let is_silent = ends.iter().all(|end| *end == Ok(0));
                assert_eq!(is_silent, kind == "tcp", "{ends:?}");
            }
        });

    scenario("probe::a_connection_is_ended_before_it_is_closed")
        .once()
        .needs(&[&STRACE])
        .run(out, |mode| {
            let port = servers::local(|mut client| {
                let _ = client.read_to_end(&mut Vec::new());
            });
            let frigate = Frigate::new(mode)
                .option(format!("--probe=tcp://127.0.0.1:{port}"))
                .strace(["trace=network,close"]);
            // Opened before the start: the directory is gone when the probe has ended.
            let log = frigate.file("strace", "");
            let mut log = fs::File::open(log).expect("it is ours");
            frigate.run().expect_code(0);
            let log = io::read_to_string(&mut log).expect("text");
            let lines: Vec<_> = log.lines().collect();
            let calls = |name: &str| lines.iter().filter(|line| line.contains(name)).count();
            let counts = ["connect(", "shutdown(", "SO_LINGER", "SO_ERROR"].map(calls);
            assert_eq!(counts, [1, 1, 0, 1], "{log}");
            let at = |name: &str| lines.iter().position(|line| line.contains(name));
            // The end of the other side was read before the close.
            let end = lines
                .iter()
                .position(|line| line.contains("recvfrom(") && line.ends_with("= 0"));
            assert!(at("shutdown(") < end && end.is_some(), "{log}");
        });
}

fn unix(out: &mut Vec<Trial>) {
    scenario("probe::a_unix_socket_that_can_be_connected_to_is_healthy").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let path = frigate.path("socket");
        servers::unix(&path, drop);
        let ended = frigate.option(format!("--probe=unix:{path}")).run();
        expect_healthy(&ended);
    });

    scenario("probe::a_unix_server_that_never_closes_is_healthy")
        .once()
        .run(out, |mode| {
            let frigate = Frigate::new(mode);
            let path = frigate.path("socket");
            let held = Mutex::new(Vec::new());
            servers::unix(&path, move |client| {
                held.lock().expect("no panic").push(client);
            });
            let ended = frigate.option(format!("--probe=unix:{path}")).run();
            expect_healthy(&ended);
        });

    scenario("probe::a_unix_socket_without_a_server_is_unhealthy").run(out, |mode| {
        for (kind, reason) in [
            ("missing", "no such file or directory"),
            ("file", "connection refused"),
            ("left", "connection refused"),
            ("full", "connection refused"),
            ("datagram", "a socket of another type"),
        ] {
            let frigate = Frigate::new(mode);
            let path = frigate.path("socket");
            let mut held: Vec<OwnedFd> = Vec::new();
            match kind {
                "file" => drop(frigate.file("socket", "")),
                "left" => drop(UnixListener::bind(&path).expect("ours")),
                "datagram" => held.push(UnixDatagram::bind(&path).expect("ours").into()),
                "full" => {
                    let listener = UnixListener::bind(&path).expect("ours");
                    rustix::net::listen(&listener, 0).expect("it is bound");
                    held.push(UnixStream::connect(&path).map(OwnedFd::from).expect("room"));
                    held.push(listener.into());
                }
                _ => {}
            }
            let target = format!("unix:{path}");
            let ended = frigate.option(format!("--probe={target}")).run();
            expect_unhealthy(&ended, &target, &format!("cannot connect: {reason}"));
        }
    });
}

//! Servers that hang, and servers that answer badly.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::checking;
use crate::support::{Frigate, eventually, note, scenario, servers};

const OK: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// Starts a server that answers until `hangs` is set. Returns its port.
fn hanging(hangs: &Arc<AtomicBool>) -> u16 {
    let hangs = Arc::clone(hangs);
    servers::local(move |mut client| {
        servers::read_request(&mut client);
        if hangs.load(Ordering::SeqCst) {
            servers::hold(client);
        } else {
            let _ = client.write_all(OK);
        }
    })
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    hangs(out);
    bad(out);
}

fn hangs(out: &mut Vec<Trial>) {
    scenario("health::a_server_that_hangs_is_stopped_and_started_again").run(out, |mode| {
        let hangs = Arc::new(AtomicBool::new(false));
        let port = hanging(&hangs);
        let target = format!("http://127.0.0.1:{port}/healthz");
        let frigate = checking(mode, &target)
            .options("-v --restart=unexpected --backoff=1ms --health-signal=QUIT --start-secs=0");
        let starts = frigate.path("starts");
        let frigate = frigate
            .puppet(format!(
                "attempt {starts}; on 1 {{say first; wait QUIT; say dump; exit 0}}; \
                 say second; wait TERM; exit 0"
            ))
            .spawn();
        frigate.wait_line("first");
        frigate.err().wait_text("is healthy");
        let begun = Instant::now();
        hangs.store(true, Ordering::SeqCst);
        frigate.wait_line("dump");
        hangs.store(false, Ordering::SeqCst);
        frigate.wait_line("second");
        note(format!(
            "from the hang to the next start: {:?}",
            begun.elapsed()
        ));
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(0).expect_nothing_left();
        let line = format!(
            "is unhealthy: '{target}': no answer within 300 ms, 2 times in a row; sent QUIT"
        );
        assert!(ended.err.contains(&line), "{ended:#?}");
        assert!(
            ended.err.contains("starting it again"),
            "an end after that is unexpected, whatever its code: {ended:#?}"
        );
    });

    scenario("health::without_restarts_the_outcome_is_unhealthy_and_the_code_not_0").run(
        out,
        |mode| {
            for (own, code) in [(0, 1), (3, 3)] {
                let target = format!("tcp://127.0.0.1:{}", servers::closed());
                let ended = checking(mode, &target)
                    .options("-v")
                    .puppet(format!("wait TERM; exit {own}"))
                    .run();
                ended.expect_code(code).expect_nothing_left();
                assert!(
                    ended
                        .err
                        .contains("connection refused, 2 times in a row; sent TERM")
                        && ended.err.contains(&format!("unhealthy, exit code {code}")),
                    "{ended:#?}"
                );
            }
        },
    );

    scenario("health::failures_before_the_end_of_health_start_do_not_count").run(out, |mode| {
        let target = format!("tcp://127.0.0.1:{}", servers::closed());
        let ended = Frigate::new(mode)
            .option(format!("--health={target}"))
            .options("--health-interval=50ms --health-retries=1 --health-start=1h")
            .puppet("nap 1500; exit 7")
            .run();
        ended.expect_code(7).expect_silence();
    });

    scenario("health::one_success_between_failures_keeps_the_child").run(out, |mode| {
        // Every second check fails.
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let port = servers::local(move |mut client| {
            servers::read_request(&mut client);
            if counted.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                let _ = client.write_all(OK);
            }
        });
        let frigate = checking(mode, &format!("http://127.0.0.1:{port}"))
            .puppet("say ready; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("ready");
        eventually("ten checks", || {
            (count.load(Ordering::SeqCst) >= 10).then_some(())
        });
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5).expect_silence();
    });
}

fn bad(out: &mut Vec<Trial>) {
    scenario("health::a_term_amid_any_check_takes_effect_at_once").run(out, |mode| {
        let (full, _queue) = servers::full();
        let dripping = servers::local(|mut client| {
            for byte in b"HTTP/1.0 200 OK\r\n".iter().cycle() {
                if client.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        for target in [
            format!("http://127.0.0.1:{}/", servers::silent()),
            format!("tcp://127.0.0.1:{full}"),
            format!("http://127.0.0.1:{dripping}/"),
            String::from("exec:sleep 1000"),
            String::from("exec:sh -c \"trap '' TERM; sleep 1000 & sleep 1000\""),
            String::from("exec:yes"),
        ] {
            let frigate = Frigate::new(mode)
                .option(format!("--health={target}"))
                .options("--health-interval=50ms --health-timeout=1h")
                .puppet("say ready; wait TERM; exit 5")
                .spawn();
            frigate.wait_line("ready");
            // The first check is due one interval after the start.
            std::thread::sleep(Duration::from_millis(150));
            let begun = Instant::now();
            frigate.kill(libc::SIGTERM);
            let ended = frigate.wait();
            ended.expect_code(5).expect_silence().expect_nothing_left();
            // A check is never waited for. Leftovers would have five seconds.
            assert!(
                begun.elapsed() < Duration::from_secs(4),
                "{target}: {ended:#?}"
            );
        }
    });

    scenario("health::each_bad_answer_is_said_as_it_is").run(out, |mode| {
        let reset = servers::resetting();
        for (port, reason) in [
            (servers::closed(), "connection refused"),
            (servers::answering("HTTP/1.0 500 No\r\n\r\n"), "status 500"),
            (servers::answering("HTTP/1.0 4"), "closed"),
            (
                servers::answering("SSH-2.0-x\r\n\r\n"),
                "the answer is not HTTP",
            ),
            (servers::silent(), "no answer within 300 ms"),
            (reset, "connection reset"),
        ] {
            let ended = checking(mode, &format!("http://127.0.0.1:{port}/"))
                .puppet("wait TERM; exit 0")
                .run();
            ended.expect_code(1);
            assert!(
                ended.err.contains("is unhealthy: ") && ended.err.contains(reason),
                "{reason}: {ended:#?}"
            );
        }
    });
}

//! frigate does not wait for a reader of its log files, nor for a writer after the child's end.

use std::fs::{self, OpenOptions};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::{Logs, expect_noise, logging};
use crate::support::{eventually, note, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    slow_readers(out);
    the_end(out);
    signals(out);
}

/// A FIFO with a slow reader: to read everything would take more than half a minute.
struct SlowReader {
    is_over: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl SlowReader {
    fn of(logs: &Logs, name: &str) -> Self {
        use std::sync::atomic::{AtomicBool, Ordering};
        nix::unistd::mkfifo(logs.path(name).as_str(), nix::sys::stat::Mode::S_IRWXU)
            .expect("the trial owns the directory");
        let mut fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .open(logs.path(name))
            .expect("the trial owns it");
        let is_over = std::sync::Arc::new(AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&is_over);
        // The thread ends with the first bytes after the stop, or with the whole program.
        std::thread::spawn(move || {
            let mut buffer = vec![0; 4096];
            while !seen.load(Ordering::Relaxed) {
                std::io::Read::read(&mut fifo, &mut buffer).expect("the read succeeds");
                // This makes the reader slow.
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        Self { is_over }
    }
}

impl Drop for SlowReader {
    fn drop(&mut self) {
        self.is_over
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

fn slow_readers(out: &mut Vec<Trial>) {
    scenario("capture::a_slow_reader_delays_the_end_by_five_seconds_at_most").run(out, |mode| {
        let logs = Logs::new();
        // Two slow readers share the time.
        let (_out, _err) = (SlowReader::of(&logs, "log"), SlowReader::of(&logs, "err"));
        let frigate = logs
            .frigate(mode)
            .option(format!("--stderr={}", logs.path("err")));
        let script = "head -c 700000 /dev/zero; head -c 700000 /dev/zero >&2; exit 3";
        let started = Instant::now();
        let ended = frigate.command(["sh", "-c", script]).run();
        ended.expect_code(3);
        assert_eq!(ended.messages().len(), 2, "{ended:#?}");
        assert!(
            ended
                .err
                .lines()
                .all(|line| line.contains("timed out; dropped ")),
            "{ended:#?}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(9),
            "{:?}",
            started.elapsed()
        );
    });

    scenario(
        "capture::after_a_second_stop_signal_a_slow_reader_delays_the_end_by_a_second_at_most",
    )
    .run(out, |mode| {
        let logs = Logs::new();
        let _out = SlowReader::of(&logs, "log");
        let frigate = logs
            .frigate(mode)
            .puppet("pour 0 700000; error poured; wait TERM; exit 3")
            .spawn();
        frigate.wait_message("poured");
        frigate.kill(libc::SIGTERM);
        eventually("the child's end", || {
            frigate.children().is_empty().then_some(())
        });
        let asked = Instant::now();
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(3);
        assert!(ended.err.contains("timed out; dropped "), "{ended:#?}");
        assert!(
            asked.elapsed() < Duration::from_millis(3500),
            "{:?}",
            asked.elapsed()
        );
    });
}

fn the_end(out: &mut Vec<Trial>) {
    scenario("capture::one_who_holds_the_pipe_for_ever_does_not_hang_the_end").run(out, |mode| {
        let frigate = logging(mode);
        let go = frigate.path("go");
        let frigate = frigate
            .puppet(format!("pour 0 100001; error poured; await {go}; exit 5"))
            .spawn();
        frigate.wait_message("poured");
        let child = frigate.only_child();
        // This process is no descendant of frigate, like one that has entered the container from
        // outside.
        let held = OpenOptions::new()
            .write(true)
            .open(format!("/proc/{child}/fd/1"));
        let held = held.expect("it may be opened by name");
        let log = fs::File::open(frigate.path("log")).expect("the file exists");
        fs::write(frigate.path("go"), "").expect("the trial owns the directory");
        frigate.wait().expect_code(5).expect_nothing_left();
        drop(held);
        let mut got = Vec::new();
        std::io::Read::read_to_end(&mut &log, &mut got).expect("the read succeeds");
        expect_noise(&got, 100_001);
    });

    scenario("capture::a_grandchild_that_floods_to_the_last_is_captured_and_ended").run(
        out,
        |mode| {
            let logs = Logs::new();
            let frigate = logs
                .frigate(mode)
                .options("--grace=300ms --leftovers=300ms --log-max-bytes=1M --log-backups=1");
            let file = logs.path("there");
            let script = format!(
                "orphan {{session; touch {file}; pour 0 999999999999}}; await {file}; exit 5"
            );
            let ended = frigate.puppet(script).run();
            ended.expect_code(5).expect_nothing_left();
            assert!(
                ended.err.contains("sent KILL") && !ended.err.contains("dropped"),
                "{ended:#?}"
            );
        },
    );

    scenario("capture::what_is_written_in_the_grace_period_is_captured").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs
            .frigate(mode)
            .puppet("error ready; wait TERM; pour 0 2000000; exit 9")
            .spawn();
        frigate.wait_message("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(9);
        let log = logs.bytes("log");
        let line = log.iter().position(|byte| *byte == b'\n').expect("a line");
        expect_noise(&log[line + 1..], 2_000_000);
    });
}

fn signals(out: &mut Vec<Trial>) {
    scenario("capture::signals_are_forwarded_while_the_child_floods")
        .alone()
        .run(out, |mode| {
            let frigate = logging(mode).options("--log-max-bytes=16M --log-backups=1");
            let script = "fork {pour 0 999999999999}; to /dev/stderr; say ready; report";
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_message("ready");
            eventually("a flood", || frigate.path("log.1").exists().then_some(()));
            let mut slowest = Duration::ZERO;
            for _ in 0..30 {
                let sent = Instant::now();
                frigate.kill(libc::SIGHUP);
                frigate.wait_message("got HUP");
                slowest = slowest.max(sent.elapsed());
            }
            note(format!(
                "the slowest of 30 signals through a flood of log bytes took {slowest:?}"
            ));
        });

    scenario("capture::term_ends_a_flooding_child").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs
            .frigate(mode)
            .options("--log-max-bytes=1M --log-backups=1")
            .command(["yes"])
            .spawn();
        eventually("a flood", || fs::metadata(logs.path("log.1")).ok());
        frigate.kill(libc::SIGTERM);
        frigate
            .wait()
            .expect_code(128 + libc::SIGTERM)
            .expect_nothing_left()
            .expect_silence();
    });
}

//! Checks that run a program, and heartbeat files.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;

use super::checking;
use crate::support::{Frigate, eventually, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("health::a_program_runs_as_the_child_does").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let report = frigate.path("report");
        let script = format!("'echo $PWD $NAME >{report}'");
        let frigate = frigate
            .option(format!("--health=exec:/bin/sh -c {script}"))
            .options("--health-interval=50ms --workdir=/usr")
            .env("NAME", "value")
            .puppet("say ready; wait TERM; exit 0")
            .spawn();
        frigate.wait_line("ready");
        let text = eventually("a report", || {
            fs::read_to_string(&report)
                .ok()
                .filter(|text| text.ends_with('\n'))
        });
        assert_eq!(text, "/usr value\n");
        frigate.kill(libc::SIGTERM);
        frigate
            .wait()
            .expect_code(0)
            .expect_silence()
            .expect_nothing_left();
    });

    scenario("health::a_program_that_hangs_is_killed_with_all_that_it_started").run(out, |mode| {
        let frigate = checking(
            mode,
            "exec:/bin/sh -c \"trap '' TERM; sleep 1000 & sleep 1000\"",
        );
        let ended = frigate.puppet("wait TERM; exit 0").run();
        ended.expect_code(1).expect_nothing_left();
        assert!(
            ended
                .err
                .contains("no answer within 300 ms, 2 times in a row"),
            "{ended:#?}"
        );
        assert!(
            !ended.err.contains("left running"),
            "a check's program is no leftover: {ended:#?}"
        );
    });

    scenario("health::a_program_that_is_not_there_is_a_failed_check").run(out, |mode| {
        let ended = checking(mode, "exec:no-such-program -q")
            .puppet("wait TERM; exit 0")
            .run();
        ended.expect_code(1).expect_nothing_left();
        assert!(
            ended.err.contains("is unhealthy") && ended.err.contains("no such file or directory"),
            "{ended:#?}"
        );
    });

    scenario("health::what_a_program_writes_is_dropped").run(out, |mode| {
        let frigate = checking(mode, "exec:/bin/sh -c 'seq 100000; seq 100000 >&2'")
            .puppet("say ready; nap 500; exit 5")
            .run();
        frigate.expect_code(5).expect_silence();
        assert_eq!(frigate.out, "ready\n");
    });

    scenario("health::a_heartbeat_that_stops_is_found").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let beat = frigate.file("beat", "");
        let frigate = frigate
            .option(format!("--health=file:{beat}"))
            .options("--health-interval=100ms --health-timeout=400ms --health-retries=1 -v")
            .puppet("say ready; wait TERM; exit 0")
            .spawn();
        frigate.wait_line("ready");
        for _ in 0..10 {
            fs::write(&beat, "").expect("it is the test's");
            std::thread::sleep(Duration::from_millis(100));
        }
        let ended = frigate.wait();
        ended.expect_code(1).expect_nothing_left();
        assert!(
            ended.err.contains("is healthy") && ended.err.contains("last modified"),
            "{ended:#?}"
        );
    });
}

//! A stop after a delay, and restarts on request: `doc/specification.md#delay-before-a-stop` and
//! `doc/specification.md#restart-on-request`.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::{Frigate, note, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    delays(out);
    restarts(out);
}

fn delays(out: &mut Vec<Trial>) {
    scenario("requests::the_stop_signal_comes_after_the_delay").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--stop-delay=400ms --stop-signal=USR1 -v")
            .puppet("say ready; wait USR1; exit 4")
            .spawn();
        frigate.wait_line("ready");
        let asked = Instant::now();
        frigate.kill(libc::SIGTERM);
        frigate.wait_message("gets the stop signal in 400 ms");
        frigate.wait().expect_code(4);
        let took = asked.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
        note(format!("--stop-delay=400ms: ended after {took:?}"));
    });

    scenario("requests::a_second_stop_signal_ends_the_delay").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--stop-delay=1h -v")
            .puppet("say ready; wait INT; exit 4")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_message("gets the stop signal in 3600 s");
        frigate.kill(libc::SIGINT);
        frigate.wait().expect_code(4).expect_nothing_left();
    });

    scenario("requests::a_child_that_ends_during_the_delay_is_not_started_again").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .options("--stop-delay=1h --restart=true -v")
                .puppet("say ready; wait USR1; exit 4")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait_message("gets the stop signal in 3600 s");
            frigate.kill(libc::SIGUSR1);
            let ended = frigate.wait();
            ended.expect_code(4).expect_nothing_left();
            assert_eq!(ended.out.matches("ready").count(), 1, "{ended:#?}");
        },
    );
}

fn restarts(out: &mut Vec<Trial>) {
    scenario("requests::a_signal_of_restart_on_stops_the_child_and_starts_it_again").run(
        out,
        |mode| {
            for restart in ["false", "unexpected"] {
                let frigate = Frigate::new(mode)
                    .options(&format!("--restart-on=HUP --restart={restart}"))
                    .puppet("environment FRIGATE_RESTARTS; directory; wait TERM; exit 0")
                    .spawn();
                for count in ["0", "1", "2"] {
                    frigate.wait_line(&format!("environment FRIGATE_RESTARTS {count}"));
                    if count != "2" {
                        frigate.kill(libc::SIGHUP);
                    }
                }
                frigate.kill(libc::SIGTERM);
                let ended = frigate.wait();
                ended.expect_code(0).expect_nothing_left();
                // A restart finds the directory that frigate was started in.
                let directories: Vec<&str> = ended
                    .out
                    .lines()
                    .filter(|line| line.starts_with("directory"))
                    .collect();
                assert!(
                    directories.len() >= 2 && directories.windows(2).all(|two| two[0] == two[1]),
                    "{directories:?}"
                );
                let restarts = ended.err.matches("starting it again at once").count();
                assert_eq!(restarts, 2, "{ended:#?}");
            }
        },
    );

    scenario("requests::a_child_that_ignores_a_restart_is_killed_and_started_again").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .options("--restart-on=HUP --grace=200ms")
                .puppet("environment FRIGATE_RESTARTS; say ready; pause")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGHUP);
            frigate.wait_line("environment FRIGATE_RESTARTS 1");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(137).expect_nothing_left();
        },
    );
}

//! Restarts, stops and pauses.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{Watching, count, write};
use crate::support::{Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("watch::a_change_may_restart_the_command_whatever_the_strategy").run(out, |mode| {
        for restart in ["false", "unexpected"] {
            let frigate = Frigate::new(mode);
            let conf = frigate.file("server.conf", "a");
            let frigate = frigate
                .option(format!("--watch={conf}=restart"))
                .option(format!("--restart={restart}"))
                .puppet("environment FRIGATE_RESTARTS; wait TERM; exit 3")
                .spawn();
            for count in 0..3 {
                frigate.wait_line(&format!("environment FRIGATE_RESTARTS {count}"));
                if count < 2 {
                    write(&conf, &"b".repeat(count + 2));
                }
            }
            frigate.kill(libc::SIGTERM);
            let ended = frigate.wait();
            ended.expect_code(3).expect_nothing_left();
            // Said without -v: this is why the command ended.
            let lines = format!("'{conf}' has changed; restarting '");
            assert_eq!(ended.err.matches(&lines).count(), 2, "{ended:#?}");
        }
    });

    scenario("watch::messages_name_the_path_and_are_json_if_asked_for").run(out, |mode| {
        for (options, expected) in [
            ("-v", "' has changed; sent HUP to '"),
            ("-v --log-format=json", "\"event\":\"changed\",\"path\":\"/"),
        ] {
            let mut watching = Watching::new(mode, "server.conf");
            watching.frigate = watching.frigate.options(options);
            let watched = watching.spawn();
            write(watched.at("server.conf"), "a");
            let line = watched.running.wait_message(expected);
            assert!(line.contains("watched/server.conf"), "{line}");
            watched.running.kill(libc::SIGTERM);
            watched.running.wait().expect_code(5);
        }
    });

    scenario("watch::a_change_between_two_starts_is_left_to_the_next_start").run(out, |mode| {
        let mut watching = Watching::new(mode, "server.conf");
        let starts = watching.frigate.path("starts");
        watching.frigate = watching
            .frigate
            .options("--restart=unexpected --backoff=2s -v");
        let directory = watching.at("conf.d");
        fs::create_dir(&directory).expect("ours");
        watching.frigate = watching
            .frigate
            .option(format!("--watch={}=HUP", directory.display()));
        // The first child does not end before the trial has seen it ready.
        let script =
            format!("attempt {starts}; say ready; on 1 {{wait USR2; exit 1}}; wait TERM; exit 5");
        let mut watched = watching.spawn_script(&script);
        watched.running.kill(libc::SIGUSR2);
        watched.running.wait_message("starting it again in");
        write(watched.at("server.conf"), "a");
        write(directory.join("a"), "a");
        watched.running.wait_message("restart 1");
        watched.expect(0, |_| ());
        watched.expect(1, |watched| write(watched.at("server.conf"), "bc"));
        watched.expect(2, |_| write(directory.join("a"), "b"));
        watched.running.kill(libc::SIGTERM);
        watched.running.wait().expect_code(5);
    });

    scenario("watch::a_change_that_was_not_acted_on_before_a_restart_is_left_to_the_next_start")
        .run(out, |mode| {
            let mut watching = Watching::new(mode, "server.conf");
            watching.frigate = watching.frigate.options("--restart-on=USR2 -v");
            let mut watched = watching.spawn();
            // Stopped, frigate takes both in one turn, and the signal first.
            let pid = watched.running.pid;
            watched.running.kill(libc::SIGSTOP);
            crate::support::wait_state(pid, 'T');
            write(watched.at("server.conf"), "a");
            watched.running.kill(libc::SIGUSR2);
            watched.running.kill(libc::SIGCONT);
            watched.running.wait_message("restart 1");
            watched.expect(0, |_| ());
            watched.running.kill(libc::SIGTERM);
            watched.running.wait().expect_code(5);
        });

    scenario("watch::nothing_is_sent_during_a_stop").run(out, |mode| {
        let script = "say ready; wait TERM; say stopping; wait USR2; exit 5";
        let watched = Watching::new(mode, "server.conf").spawn_script(script);
        watched.running.kill(libc::SIGTERM);
        watched.running.wait_line("stopping");
        write(watched.at("server.conf"), "a");
        // Only time can show that nothing is sent.
        sleep(Duration::from_millis(1500));
        watched.running.kill(libc::SIGUSR2);
        watched.running.wait_line("got USR2");
        assert_eq!(count(&watched.running, "HUP"), 0);
        watched.running.wait().expect_code(5).expect_silence();
    });
}

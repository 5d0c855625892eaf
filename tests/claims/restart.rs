//! Restarting: `doc/specification.md#restarting`.

use std::fs;
use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::Value;

use super::exit_code::unable_to_start;
use crate::support::capability::{ROOT, STRACE};
use crate::support::{Ended, Frigate, Mode, note, procfs, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    table(out);
    expectations(out);
    counting(out);
    pauses(out);
    not_for_now(out);
    after_a_stop(out);
}

/// Returns how many times the child printed that it started.
fn starts(ended: &Ended) -> usize {
    ended
        .out
        .lines()
        .filter(|line| line.starts_with("start "))
        .count()
}

/// Runs a child that counts its starts before it runs this script.
fn counted(mode: Mode, options: &str, script: &str) -> Ended {
    let frigate = Frigate::new(mode).options(options);
    let file = frigate.path("starts");
    frigate
        .puppet(format!("attempt {file}; say start $attempt; {script}"))
        .run()
}

/// Options for short pauses, with which a child that lives half a second has started.
const QUICKLY: &str = "--backoff=5ms --start-secs=500ms";

fn table(out: &mut Vec<Trial>) {
    scenario("restart::as_expected_false_completes").run(out, |mode| {
        let ended = counted(mode, QUICKLY, "exit 0");
        assert_eq!(starts(ended.expect_code(0)), 1);
    });
    scenario("restart::as_expected_unexpected_completes").run(out, |mode| {
        let ended = counted(mode, &format!("{QUICKLY} --restart=unexpected"), "exit 0");
        assert_eq!(starts(ended.expect_code(0)), 1);
    });
    scenario("restart::as_expected_true_restarts").run(out, |mode| {
        // The third child asks frigate to stop. Otherwise the restarts would never end.
        let script = "after 2 {send parent TERM; wait TERM; exit 0}; exit 0";
        let ended = counted(
            mode,
            &format!("{QUICKLY} --restart=true --start-retries=0"),
            script,
        );
        assert_eq!(starts(ended.expect_code(0)), 3);
    });

    scenario("restart::otherwise_after_start_secs_false_completes").run(out, |mode| {
        let ended = counted(mode, QUICKLY, "nap 700; exit 3");
        assert_eq!(starts(ended.expect_code(3)), 1);
    });
    for (name, options) in [
        (
            "restart::otherwise_after_start_secs_unexpected_restarts",
            "--restart=unexpected --start-retries=0",
        ),
        (
            "restart::otherwise_after_start_secs_true_restarts",
            "--restart=true --start-retries=0",
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let script = "on 1 {nap 700; exit 3}; send parent TERM; wait TERM; exit 4";
            let ended = counted(mode, &format!("{QUICKLY} {options}"), script);
            assert_eq!(starts(ended.expect_code(4)), 2);
        });
    }

    scenario("restart::otherwise_before_start_secs_false_completes").run(out, |mode| {
        let ended = counted(mode, QUICKLY, "exit 3");
        assert_eq!(starts(ended.expect_code(3)), 1);
        ended.expect_silence();
    });
    for (name, options) in [
        (
            "restart::otherwise_before_start_secs_unexpected_retries_and_gives_up",
            "--restart=unexpected",
        ),
        (
            "restart::otherwise_before_start_secs_true_retries_and_gives_up",
            "--restart=true",
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let ended = counted(mode, &format!("--backoff=5ms {options}"), "exit 3");
            assert_eq!(starts(ended.expect_code(3)), 4);
        });
    }

    for strategy in ["false", "unexpected", "true"] {
        let name: &'static str = match strategy {
            "false" => "restart::not_executable_for_good_false_is_not_started",
            "unexpected" => "restart::not_executable_for_good_unexpected_is_not_started",
            _ => "restart::not_executable_for_good_true_is_not_started",
        };
        scenario(name).run(out, move |mode| {
            for (command, code) in [("/no/such/command", 127), ("/", 126)] {
                let frigate = Frigate::new(mode)
                    .option(format!("--restart={strategy}"))
                    .command([command]);
                let ended = frigate.run();
                ended.expect_code(code);
                assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            }
        });
    }

    scenario("restart::not_executable_for_now_false_is_not_started").run(out, |mode| {
        let (frigate, _busy) = unable_to_start(mode, "--backoff=5ms");
        let ended = frigate.run();
        ended.expect_code(126);
        assert_eq!(ended.messages().len(), 1, "{ended:#?}");
    });
    for (name, options) in [
        (
            "restart::not_executable_for_now_unexpected_is_a_failed_start",
            "--restart=unexpected",
        ),
        (
            "restart::not_executable_for_now_true_is_a_failed_start",
            "--restart=true",
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let (frigate, _busy) = unable_to_start(mode, &format!("{options} --backoff=5ms"));
            let ended = frigate.run();
            ended.expect_code(126);
            // There are three more tries, and the line that reports that there will be no other.
            assert_eq!(ended.messages().len(), 4, "{ended:#?}");
        });
    }

    scenario("restart::what_could_not_be_started_for_now_is_started_when_it_can_be").run(
        out,
        |mode| {
            let (frigate, busy) = unable_to_start(
                mode,
                "--restart=unexpected --start-retries=1000000 --backoff=20ms",
            );
            let frigate = frigate.spawn();
            frigate.wait_message("cannot execute");
            drop(busy);
            frigate.wait_line("ready");
            frigate.wait().expect_code(0);
        },
    );

    scenario("restart::the_words_of_docker_and_kubernetes_are_accepted").run(out, |mode| {
        for (word, expected) in [
            ("on-failure", 2),
            ("always", 2),
            ("no", 1),
            ("never", 1),
            ("false", 1),
            ("true", 2),
        ] {
            let script = "on 1 {exit 7}; send parent TERM; wait TERM; exit 0";
            let ended = counted(mode, &format!("--backoff=5ms --restart {word}"), script);
            assert_eq!(starts(&ended), expected, "{word}: {ended:#?}");
        }
        // An end with code 0 distinguishes on-failure from always.
        assert_eq!(starts(&counted(mode, "--restart on-failure", "exit 0")), 1);
    });

    scenario("restart::false_is_the_default").run(out, |mode| {
        let ended = counted(mode, "", "die SEGV");
        assert_eq!(starts(ended.expect_code(139)), 1);
    });
}

fn expectations(out: &mut Vec<Trial>) {
    scenario("restart::expect_names_codes_and_signals").run(out, |mode| {
        let options = "--restart=unexpected --expect=0,3,SIGHUP,rtmin+1 --backoff=5ms";
        for (script, code) in [
            ("exit 0", 0),
            ("exit 3", 3),
            ("die HUP", 129),
            ("die 35", 163),
        ] {
            assert_eq!(starts(counted(mode, options, script).expect_code(code)), 1);
        }
        for script in ["exit 4", "die USR1"] {
            assert_eq!(starts(&counted(mode, options, script)), 4);
        }
    });

    scenario("restart::expect_replaces_the_default_of_0").run(out, |mode| {
        let ended = counted(
            mode,
            "--restart=unexpected --expect=3 --backoff=5ms",
            "on 1 {exit 0}; exit 3",
        );
        assert_eq!(starts(ended.expect_code(3)), 2);
    });
}

fn counting(out: &mut Vec<Trial>) {
    scenario("restart::three_retries_mean_at_most_four_starts_in_a_row").run(out, |mode| {
        for (retries, expected) in [("3", 4), ("0", 1), ("1", 2)] {
            let options = format!("--restart=unexpected --backoff=5ms --start-retries={retries}");
            assert_eq!(starts(&counted(mode, &options, "exit 1")), expected);
        }
    });

    scenario("restart::a_start_that_lasts_sets_the_count_to_zero").run(out, |mode| {
        let options = "--restart=unexpected --backoff=5ms --start-secs=1s --start-retries=2";
        let ended = counted(mode, options, "on 3 {nap 1300}; exit 1");
        assert_eq!(starts(ended.expect_code(1)), 6, "{ended:#?}");
    });

    scenario("restart::with_start_secs_0_nothing_ever_gives_up").run(out, |mode| {
        let options =
            "--restart=unexpected --backoff=1ms --backoff-max=2ms --start-secs=0 --start-retries=1";
        let ended = counted(mode, options, "on 20 {exit 0}; exit 1");
        assert_eq!(starts(ended.expect_code(0)), 20);
    });

    scenario("restart::the_child_sees_how_often_it_was_restarted").run(out, |mode| {
        let frigate =
            Frigate::new(mode).options("--restart=unexpected --backoff=5ms --start-retries=4");
        let file = frigate.path("starts");
        let frigate = frigate.env("FRIGATE_RESTARTS", "17");
        let ended = frigate
            .puppet(format!(
                "attempt {file}; environment FRIGATE_RESTARTS; on 4 {{exit 0}}; exit 1"
            ))
            .run();
        ended.expect_code(0);
        let lines: Vec<_> = ended.out.lines().collect();
        let expected =
            ["0", "1", "2", "3"].map(|count| format!("environment FRIGATE_RESTARTS {count}"));
        assert_eq!(lines, expected);
    });

    scenario("restart::every_start_has_a_process_of_its_own").run(out, |mode| {
        let ended = counted(
            mode,
            "--restart=unexpected --backoff=5ms",
            "say pid $pid; on 3 {exit 0}; exit 1",
        );
        let mut pids: Vec<_> = ended
            .out
            .lines()
            .filter(|line| line.starts_with("pid "))
            .collect();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 3, "{ended:#?}");
    });
}

/// Returns the pauses that frigate announced, in milliseconds.
fn delays(ended: &Ended) -> Vec<u64> {
    let objects = ended
        .err
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect(line));
    objects
        .filter_map(|object| {
            object
                .get("delay_ms")
                .map(|delay| delay.as_u64().expect("a number"))
        })
        .collect()
}

/// Returns the times at which the child printed `clock`, in milliseconds.
fn clocks(ended: &Ended) -> Vec<u64> {
    let lines = ended
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("clock "));
    lines
        .map(|clock| clock.parse().expect("a number"))
        .collect()
}

#[track_caller]
fn expect_shortened_by_at_most_a_quarter(delays: &[u64], full: &[u64]) {
    assert_eq!(delays.len(), full.len(), "{delays:?}");
    for (delay, full) in delays.iter().zip(full) {
        assert!(
            (full * 3 / 4..=*full).contains(delay),
            "{delays:?} for {full}"
        );
    }
}

fn pauses(out: &mut Vec<Trial>) {
    scenario("restart::the_pause_doubles_up_to_the_longest_and_is_shortened_by_up_to_a_quarter").run(out, |mode| {
        let options = "--restart=unexpected --log-format=json --start-retries=5 --backoff=40ms --backoff-max=200ms";
        let ended = counted(mode, options, "say clock $clock; exit 1");
        let delays = delays(&ended);
        expect_shortened_by_at_most_a_quarter(&delays, &[40, 80, 160, 200, 200]);
        let clocks = clocks(&ended);
        assert_eq!(clocks.len(), 6);
        for (pair, delay) in clocks.windows(2).zip(&delays) {
            assert!(pair[1] - pair[0] >= *delay, "started again before its time: {clocks:?} {delays:?}");
        }
        note(format!("pauses announced {delays:?} ms, starts at {clocks:?} ms"));
    });

    scenario("restart::pauses_are_scattered_so_that_a_fleet_does_not_restart_in_step").run(out, |mode| {
        let options = "--restart=unexpected --log-format=json --start-retries=12 --backoff=80ms --backoff-max=80ms";
        let mut delays = delays(&counted(mode, options, "exit 1"));
        expect_shortened_by_at_most_a_quarter(&delays, &[80; 12]);
        delays.sort_unstable();
        delays.dedup();
        assert!(delays.len() > 1, "twelve pauses of {delays:?} ms");
    });

    for (name, options) in [
        (
            "restart::the_first_restart_after_a_child_that_had_started_is_immediate",
            "--restart=unexpected",
        ),
        (
            "restart::an_expected_end_of_a_child_that_had_started_is_followed_at_once_too",
            "--restart=true --expect=0,1",
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let frigate = Frigate::new(mode)
                .options("--backoff=60s --start-secs=500ms")
                .options(options);
            let file = frigate.path("starts");
            let frigate = frigate.puppet(format!(
                "attempt {file}; say start $attempt; on 1 {{nap 700; exit 1}}; report"
            ));
            let frigate = frigate.spawn();
            frigate.wait_line("start 1");
            let before = Instant::now();
            frigate.wait_line("start 2");
            note(format!(
                "restarted {:?} after its start, of which the child lived 700 ms",
                before.elapsed()
            ));
        });
    }

    scenario("restart::a_quick_end_as_expected_is_followed_by_a_pause_as_well").run(out, |mode| {
        let script = "say clock $clock; after 3 {send parent TERM; wait TERM}; exit 0";
        let ended = counted(
            mode,
            "--restart=true --log-format=json --backoff=50ms",
            script,
        );
        expect_shortened_by_at_most_a_quarter(&delays(&ended), &[50, 100, 200]);
    });

    scenario("restart::with_start_secs_0_the_same_pauses_hold").run(out, |mode| {
        let options =
            "--restart=true --start-secs=0 --start-retries=0 --log-format=json --backoff=50ms";
        let ended = counted(
            mode,
            options,
            "after 4 {send parent TERM; wait TERM}; exit 1",
        );
        expect_shortened_by_at_most_a_quarter(&delays(&ended), &[50, 100, 200, 400]);
    });

    scenario("restart::there_is_no_busy_loop_whatever_the_options").run(out, |mode| {
        let options = "--restart=true --start-secs=0 --backoff=0 --backoff-max=0 --log-format=json";
        let ended = counted(
            mode,
            options,
            "say clock $clock; after 20 {send parent TERM; wait TERM}; exit 0",
        );
        let delays = delays(&ended);
        assert_eq!(delays.len(), 20);
        assert!(delays.iter().all(|&delay| delay > 0), "{delays:?}");
        let clocks = clocks(&ended);
        note(format!(
            "with every pause set to 0: 20 restarts within {} ms",
            clocks[20] - clocks[0]
        ));
    });

    scenario("restart::hundreds_of_restarts_cost_no_memory")
        .once()
        .run(out, |mode| {
            let start = |more| {
                Frigate::new(mode)
                    .options("-q --restart=true --start-secs=0 --backoff=0 --backoff-max=0")
                    .options(more)
                    .command(["sh", "-c", "echo start $FRIGATE_RESTARTS."])
                    .spawn()
            };
            // Usually the child starts in frigate's memory. With this option it does not. Both run
            // at once, because the shortest pause is 10 ms.
            let both = [start(""), start("--no-new-privs")];
            let both = both.map(|frigate| {
                frigate.wait_line("start 20.");
                let before = procfs::anonymous_kib(frigate.pid);
                (frigate, before)
            });
            for (frigate, before) in both {
                for hundred in 1..=8 {
                    frigate.wait_line(&format!("start {hundred}20."));
                }
                let after = procfs::anonymous_kib(frigate.pid);
                frigate.kill(libc::SIGTERM);
                frigate.wait();
                note(format!(
                    "800 more starts: {before} KiB of its own before, {after} KiB after"
                ));
                // If each start lost 16 bytes, the smallest block of its heap, the growth would be
                // 12.
                assert!(after <= before + 8, "grew from {before} to {after} KiB");
            }
        });

    scenario("restart::a_stop_during_a_pause_ends_frigate_at_once").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--restart=unexpected --backoff=1h")
            .puppet("exit 8")
            .spawn();
        frigate.wait_message("starting it again");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(8).expect_nothing_left();
    });
}

fn not_for_now(out: &mut Vec<Trial>) {
    let failing = |mode, call: &str, when: &str| {
        let expression = format!("inject={call}:{when}");
        Frigate::new(mode).strace(["trace=clone,clone3,fork,vfork", expression.as_str()])
    };

    scenario("restart::fork_that_fails_with_eagain_at_a_restart_is_tried_again")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = failing(mode, "clone,clone3,fork,vfork", "error=EAGAIN:when=2");
            let frigate = frigate.options("--restart=unexpected --backoff=5ms");
            let file = frigate.path("starts");
            let ended = frigate
                .puppet(format!(
                    "attempt {file}; say start $attempt; on 1 {{exit 1}}; exit 0"
                ))
                .run();
            ended.expect_code(0);
            assert_eq!(starts(&ended), 2, "{ended:#?}");
            assert_eq!(ended.messages().len(), 2, "{ended:#?}");
        });

    scenario("restart::a_user_who_may_start_no_more_processes_is_waited_for")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // There are at most six: frigate, its child, and four that outlive the child. One of
            // these makes another in the pause.
            let uid = if mode == Mode::Pid1 { 30_001 } else { 30_002 };
            let frigate = Frigate::new(mode)
                .uid(uid)
                .max_processes(6)
                .options("--restart=unexpected --backoff=1s");
            let (starts, go) = (frigate.path("starts"), frigate.path("go"));
            let script = format!(
                "attempt {starts}; after 1 {{say second; exit 0}}; \
             repeat 3 {{fork {{session; await {go}; exit 0}}}}; \
             fork {{session; nap 100; fork {{await {go}; exit 0}}; await {go}; exit 0}}; exit 1"
            );
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_message("cannot fork");
            fs::write(frigate.path("go"), "").expect("the trial owns the directory");
            frigate.wait_line("second");
            frigate.wait().expect_code(0).expect_nothing_left();
        });

    scenario("restart::fork_that_fails_for_ever_is_given_up")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = failing(mode, "clone,clone3,fork,vfork", "error=EAGAIN");
            let ended = frigate
                .options("--restart=true --backoff=5ms")
                .puppet("say start; exit 0")
                .run();
            ended.expect_code(126);
            assert_eq!(starts(&ended), 0);
            assert_eq!(ended.messages().len(), 4, "{ended:#?}");
        });

    scenario("restart::fork_that_fails_without_a_strategy_is_not_started")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let ended = failing(mode, "clone,clone3,fork,vfork", "error=ENOMEM")
                .puppet("say start; exit 0")
                .run();
            ended.expect_code(126);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(ended.err.starts_with("frigate: cannot "), "{ended:#?}");
        });

    scenario("restart::a_filter_that_forbids_to_share_memory_is_no_obstacle")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate =
                failing(mode, "clone", "error=EPERM:when=1").puppet("say started; exit 3");
            let ended = frigate.run();
            ended.expect_code(3).expect_silence();
            assert_eq!(ended.out, "started\n");
        });

    // QEMU's emulation of another processor has neither shared memory nor pidfds.
    scenario("restart::a_kernel_that_knows_no_pidfd_is_no_obstacle")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = failing(mode, "clone", "error=EINVAL:when=1..2")
                .options("--restart=unexpected --backoff=5ms");
            let starts = frigate.path("starts");
            let ended = frigate
                .puppet(format!(
                    "attempt {starts}; on 1 {{exit 1}}; say again; exit 0"
                ))
                .run();
            ended.expect_code(0);
            assert_eq!(ended.out, "again\n");
        });

    scenario("restart::too_few_descriptors_at_a_start_are_a_failed_start")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = failing(mode, "clone,clone3,fork,vfork", "error=EMFILE:when=1")
                .options("--restart=unexpected --backoff=5ms");
            frigate.puppet("exit 0").run().expect_code(0);
        });
}

fn after_a_stop(out: &mut Vec<Trial>) {
    for (name, strategy) in [
        (
            "restart::after_a_stop_nothing_is_started_again_with_true",
            "true",
        ),
        (
            "restart::after_a_stop_nothing_is_started_again_with_unexpected",
            "unexpected",
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let options = format!("--restart={strategy} --start-secs=0 --backoff=1ms");
            let script = "after 1 {exit 0}; send parent TERM; wait TERM; exit 5";
            let ended = counted(mode, &options, script);
            assert_eq!(starts(ended.expect_code(5)), 1);
            ended.expect_silence();
        });
    }
}

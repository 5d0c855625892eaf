//! What frigate writes: `doc/specification.md#messages`.

use std::fs;
use std::io::Read;

use libtest_mimic::Trial;
use serde_json::Value;

use super::exit_code::{run_with_log, with_log};
use super::signals::wait_held;
use crate::support::capability::{Capability, ROOT, STRACE};
use crate::support::{Ended, Frigate, Mode, Output, eventually, scenario};

/// Writes to a pipe that do not wait (`RWF_NOWAIT`, Linux 6.4).
static NOWAIT_PIPES: Capability = Capability::new("nowait-pipes", || {
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| error.to_string())?;
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 4) {
        Ok(())
    } else {
        Err(format!("this is Linux {}", release.trim()))
    }
});

/// The older of the two calls, which newer architectures lack.
#[cfg(target_arch = "x86_64")]
const POLL: Option<i64> = Some(libc::SYS_poll);
#[cfg(not(target_arch = "x86_64"))]
const POLL: Option<i64> = None;

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    one_line_each(out);
    verbosity(out);
    json(out);
    never_stalls(out);
    termination(out);
    automatic_termination_log(out);
    replaced_termination_log(out);
}

/// Runs a child with restarts, a leftover that must be killed, and a last failed start.
fn eventful(mode: Mode, options: &str) -> Ended {
    let frigate = Frigate::new(mode)
        .options("--restart=unexpected --start-retries=2 --backoff=5ms --leftovers=200ms");
    let frigate = frigate.options(options);
    let file = frigate.path("left");
    frigate
        .puppet(format!(
            "orphan {{exit 1}}; fork {{touch {file}; pause}}; await {file}; exit 9"
        ))
        .run()
}

#[track_caller]
fn expect_grammar(ended: &Ended) {
    for line in ended.messages() {
        assert!(line.starts_with("frigate: "), "{line:?} in {ended:#?}");
        assert!(!line.ends_with('.'), "a full stop: {line:?}");
        let first = line
            .trim_start_matches("frigate: ")
            .chars()
            .next()
            .expect("it says something");
        assert!(!first.is_uppercase(), "not in lower case: {line:?}");
    }
}

fn one_line_each(out: &mut Vec<Trial>) {
    scenario("messages::nothing_is_said_on_a_good_run").run(out, |mode| {
        Frigate::new(mode)
            .options("--restart=unexpected")
            .puppet("orphans 3; exit 0")
            .run()
            .expect_silence();
        let frigate = Frigate::new(mode)
            .puppet("plain; say ready; nap 60000")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(143).expect_silence();
    });

    scenario("messages::one_line_for_each_restart_and_one_for_giving_up").run(out, |mode| {
        let ended = Frigate::new(mode)
            .options("--restart=true --backoff=5ms")
            .puppet("exit 9")
            .run();
        assert_eq!(ended.messages().len(), 4, "{ended:#?}");
        expect_grammar(&ended);
        for line in &ended.messages()[..3] {
            assert!(line.contains("code 9") && line.contains("again"), "{line}");
        }
        assert!(
            ended.messages()[3].starts_with("frigate: cannot ")
                && ended.messages()[3].contains("giving up"),
            "{ended:#?}"
        );
    });

    scenario("messages::a_restart_names_the_signal_that_ended_the_child").run(out, |mode| {
        let options = "--restart=unexpected --start-retries=1 --backoff=5ms";
        let ended = Frigate::new(mode).options(options).puppet("die SEGV").run();
        assert!(ended.messages()[0].contains("SEGV"), "{ended:#?}");
    });

    scenario("messages::all_follow_one_grammar").run(out, |mode| {
        for options in ["", "-v", "-vv"] {
            let ended = eventful(mode, options);
            ended.expect_code(9);
            assert!(ended.messages().len() >= 6, "{ended:#?}");
            expect_grammar(&ended);
        }
    });

    scenario("messages::a_command_of_any_name_makes_one_line").run(out, |mode| {
        for name in [
            "/no/such\ncommand",
            "/no/such\u{1b}[31m\r\ttool",
            "/no/\"such\"\\command",
            "/no/such/\u{85}\u{2028}",
        ] {
            let ended = Frigate::new(mode).command([name]).run();
            ended.expect_code(127);
            assert_eq!(ended.err.matches('\n').count(), 1, "{ended:#?}");
            assert!(ended.err.ends_with('\n'), "{ended:#?}");
            assert!(
                !ended.err.trim_end().contains(char::is_control),
                "{ended:#?}"
            );
            expect_grammar(&ended);
            let ended = Frigate::new(mode)
                .options("--log-format=json")
                .command([name])
                .run();
            assert_eq!(objects(&ended).len(), 1, "{ended:#?}");
        }
    });

    scenario("messages::a_huge_command_name_makes_one_line").run(out, |mode| {
        let name = format!("/{}", "x".repeat(100_000));
        for options in ["--log-format=text", "--log-format=json"] {
            let ended = Frigate::new(mode)
                .options(options)
                .command([name.as_str()])
                .run();
            assert!(
                matches!(ended.code(), Some(126 | 127)),
                "{:?}",
                ended.code()
            );
            assert_eq!(ended.err.matches('\n').count(), 1);
            // A line up to this length is written to a pipe in one piece.
            assert!(ended.err.len() <= 4096, "{} bytes", ended.err.len());
        }
    });
}

fn verbosity(out: &mut Vec<Trial>) {
    scenario("messages::v_says_starts_ends_and_forwarded_signals").run(out, |mode| {
        for option in ["-v", "--verbose"] {
            let frigate = Frigate::new(mode)
                .option(option)
                .puppet("orphan {exit 0}; say ready; wait TERM; exit 3")
                .spawn();
            frigate.wait_message("started");
            frigate.wait_line("ready");
            frigate.kill(libc::SIGUSR1);
            frigate.wait_message("USR1");
            frigate.kill(libc::SIGTERM);
            frigate.wait_message("TERM");
            let ended = frigate.wait();
            assert!(ended.err.contains("exited with code 3"), "{ended:#?}");
            assert!(!ended.err.contains("orphan"), "{ended:#?}");
        }
    });

    scenario("messages::vv_says_reaped_orphans_as_well").run(out, |mode| {
        for options in ["-vv", "-v -v", "--verbose --verbose", "-v --verbose"] {
            let ended = Frigate::new(mode)
                .options(options)
                .puppet("orphan {exit 0}; orphan {exit 0}; nap 50; exit 0")
                .run();
            assert_eq!(
                ended
                    .messages()
                    .iter()
                    .filter(|line| line.contains("orphan"))
                    .count(),
                2,
                "{ended:#?}"
            );
        }
    });

    scenario("messages::q_leaves_errors_giving_up_and_refusals_alone").run(out, |mode| {
        for option in ["-q", "--quiet"] {
            let options = "--restart=unexpected --start-retries=2 --backoff=5ms";
            let ended = Frigate::new(mode)
                .options(options)
                .option(option)
                .puppet("exit 9")
                .run();
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(ended.err.contains("giving up"), "{ended:#?}");
            let ended = Frigate::new(mode)
                .option(option)
                .command(["/no/such/command"])
                .run();
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            let ended = Frigate::new(mode)
                .option(option)
                .options("--grace=x")
                .command(["true"])
                .run();
            ended.expect_code(125);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
        }
    });

    scenario("messages::q_leaves_out_restarts_and_warnings").run(out, |mode| {
        let frigate =
            Frigate::new(mode).options("-q --restart=unexpected --backoff=5ms --leftovers=100ms");
        let (starts, left) = (frigate.path("starts"), frigate.path("left"));
        let script = format!(
            "attempt {starts}; on 1 {{exit 1}}; fork {{touch {left}; pause}}; await {left}; exit 0"
        );
        frigate
            .option("--termination-log=/no/such/directory/log")
            .puppet(script)
            .run()
            .expect_code(0)
            .expect_silence();
    });
}

/// Returns every line of standard error as an object.
#[track_caller]
fn objects(ended: &Ended) -> Vec<Value> {
    let parse = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    };
    ended.err.lines().map(parse).collect()
}

/// Checks `2026-03-01T12:00:00.250Z`: RFC 3339 in UTC.
#[track_caller]
fn expect_time(time: &str) {
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let fraction = shape
        .strip_prefix("0000-00-00T00:00:00")
        .and_then(|rest| rest.strip_suffix('Z'));
    let fraction = fraction.unwrap_or_else(|| panic!("not RFC 3339 in UTC: {time}"));
    assert!(
        fraction.is_empty() || (fraction.len() > 1 && fraction.starts_with(".0")),
        "{time}"
    );
    let now = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%d"])
        .output()
        .expect("date");
    let today = String::from_utf8(now.stdout).expect("text");
    // The day may have changed meanwhile, but hardly the month.
    assert_eq!(time[..7], today[..7], "another month");
}

fn json(out: &mut Vec<Trial>) {
    scenario("messages::json_is_one_object_a_line_with_time_level_event_and_message").run(
        out,
        |mode| {
            let ended = eventful(mode, "-vv --log-format json");
            let objects = objects(&ended);
            assert!(objects.len() >= 10, "{ended:#?}");
            for object in &objects {
                expect_time(object["time"].as_str().expect("a time"));
                for key in ["level", "event", "message"] {
                    assert!(
                        object[key].as_str().is_some_and(|text| !text.is_empty()),
                        "no {key} in {object}"
                    );
                }
            }
            let levels: Vec<_> = objects
                .iter()
                .filter_map(|object| object["level"].as_str())
                .collect();
            assert!(levels.contains(&"error"), "{levels:?}");
        },
    );

    scenario("messages::json_has_the_facts_as_fields").run(out, |mode| {
        let options = "-v --log-format json --restart=unexpected --start-retries=1 --backoff=40ms";
        let ended = Frigate::new(mode)
            .options(options)
            .puppet("say $pid; exit 9")
            .run();
        let objects = objects(&ended);
        let pids: Vec<i64> = ended
            .out
            .lines()
            .map(|pid| pid.parse().expect("a pid"))
            .collect();
        let with = |key: &str| {
            objects
                .iter()
                .filter(|object| object.get(key).is_some())
                .collect::<Vec<_>>()
        };
        for pid in pids {
            assert!(
                with("pid").iter().any(|object| object["pid"] == pid),
                "{ended:#?}"
            );
        }
        assert!(
            with("exit_code")
                .iter()
                .any(|object| object["exit_code"] == 9),
            "{ended:#?}"
        );
        assert!(
            with("restarts")
                .iter()
                .any(|object| object["restarts"] == 1),
            "{ended:#?}"
        );
        assert_eq!(with("delay_ms").len(), 1, "{ended:#?}");
        let killed = Frigate::new(mode).options(options).puppet("die SEGV").run();
        let signals = serde_json::to_string(&self::objects(&killed)).expect("text");
        assert!(signals.contains("\"signal\":"), "{killed:#?}");
    });

    scenario("messages::json_says_mistakes_in_json_too").run(out, |mode| {
        for options in [
            "--log-format=json --grace=x",
            "--log-format=json --no-such-option",
        ] {
            let ended = Frigate::new(mode).options(options).command(["true"]).run();
            ended.expect_code(125);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
        }
    });
}

fn never_stalls(out: &mut Vec<Trial>) {
    scenario("messages::a_full_pipe_behind_standard_error_stalls_nothing").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("-vv --restart=unexpected --backoff=1ms --backoff-max=2ms --start-retries=20");
        let script = format!(
            "attempt {}; orphans 20; say start $attempt; after 15 {{report}}; exit 1",
            frigate.path("starts")
        );
        let frigate = frigate.error(Output::Full).puppet(script).spawn();
        frigate.wait_line("start 16");
        frigate.kill(libc::SIGUSR1);
        frigate.wait_line("got USR1");
    });

    scenario("messages::a_pipe_that_fills_up_right_after_the_look_stalls_nothing")
        .needs(&[&STRACE, &NOWAIT_PIPES])
        .run(out, |mode| {
            // The first three are the wait for the exec, the check whether it happened, and the
            // check before the line that reports it. The fourth is for the message of the first
            // signal. The pipe is filled before frigate can write it.
            let delay = "inject=poll,ppoll:delay_exit=1500000:when=4";
            let frigate = Frigate::new(mode)
                .strace(["trace=poll,ppoll", delay])
                .tracing_frigate_alone();
            let mut frigate = frigate
                .options("-v")
                .error(Output::Unread)
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGUSR1);
            let is_look = |call| call == libc::SYS_ppoll || Some(call) == POLL;
            wait_held("frigate after its look", || Some(frigate.pid), is_look);
            frigate.fill_unread();
            frigate.wait_line("got USR1");
            frigate.kill(libc::SIGUSR2);
            frigate.wait_line("got USR2");
        });

    scenario("messages::a_terminal_that_nobody_reads_stalls_nothing").run(out, |mode| {
        // These are far more lines than the terminal takes. If there is room for a part of the next
        // line, a write would wait for a reader.
        let frigate = Frigate::new(mode).options("-vv").error(Output::Terminal);
        let script = "say ready; wait USR1; orphans 2000; say still here; report";
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGUSR1);
        frigate.wait_line("still here");
        // frigate still reaps, forwards signals and stops.
        frigate.only_child();
        frigate.kill(libc::SIGUSR2);
        frigate.wait_line("got USR2");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
    });

    scenario("messages::writing_to_a_terminal_leaves_it_blocking_for_the_child").run(out, |mode| {
        let frigate =
            Frigate::new(mode).options("-v --restart=unexpected --backoff=1ms --start-retries=1");
        let ended = frigate
            .error(Output::Terminal)
            .puppet("flags; exit 1")
            .run();
        assert_eq!(ended.out, "flags 2 blocking\nflags 2 blocking\n");
    });

    scenario("messages::a_socket_gets_every_line").run(out, |mode| {
        let ended = Frigate::new(mode)
            .options("-v")
            .error(Output::Socket)
            .puppet("exit 3")
            .run();
        let [started, ended_line, finished] = ended.messages()[..] else {
            panic!("three lines: {ended:#?}")
        };
        assert!(
            started.contains("started") && ended_line.contains("exited with code 3"),
            "{ended:#?}"
        );
        assert!(finished.contains("exit code 3"), "{ended:#?}");
    });

    scenario("messages::a_command_that_is_never_executed_is_never_said_to_be_started").run(
        out,
        |mode| {
            for format in ["text", "json"] {
                let frigate = Frigate::new(mode)
                    .options("-vv --log-format")
                    .option(format)
                    .command(["/no/such/program"]);
                let ended = frigate.run();
                ended.expect_code(127);
                assert!(
                    !ended.err.contains("started '")
                        && !ended.err.contains("\"event\":\"started\""),
                    "{ended:#?}"
                );
            }
            // Do the same with a write that must be tried again.
            let frigate = Frigate::new(mode);
            let busy = frigate.copy_of_own_program("busy");
            let _writer = fs::OpenOptions::new()
                .append(true)
                .open(&busy)
                .expect("the trial owns it");
            let options = "-v --restart=unexpected --start-retries=1 --backoff=1ms";
            let ended = frigate
                .options(options)
                .command([busy.as_str(), "--puppet", "exit 0"])
                .run();
            assert!(
                ended.err.contains("starting it again") && !ended.err.contains("started '"),
                "{ended:#?}"
            );
        },
    );

    scenario("messages::a_start_is_said_at_once_and_before_the_end").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("-v")
            .puppet("say ready; report")
            .spawn();
        frigate.wait_message("started");
        let ended = Frigate::new(mode).options("-v").command(["true"]).run();
        let messages = ended.messages();
        assert!(
            messages.len() == 3 && messages[0].contains("started 'true'"),
            "{ended:#?}"
        );
        assert!(messages[1].contains("exited with code 0"), "{ended:#?}");
    });

    scenario("messages::what_a_full_pipe_did_not_take_is_counted").run(out, |mode| {
        let frigate = Frigate::new(mode).options("-v").error(Output::Full);
        let mut frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        for _ in 0..10 {
            frigate.kill(libc::SIGUSR1);
            frigate.wait_line("got USR1");
        }
        let said = frigate.drain();
        // The pipe is empty when everything that filled it has been read.
        eventually("an empty pipe", || {
            (said.text().len() >= 65536).then_some(())
        });
        frigate.kill(libc::SIGUSR2);
        frigate.wait_line("got USR2");
        let counted = said.wait_line("dropped");
        let count = counted
            .split_whitespace()
            .find_map(|word| word.parse::<u32>().ok())
            .expect("a count");
        // There are ten forwarded signals and the start.
        assert_eq!(count, 11, "{counted}");
        said.wait_line("USR2");
    });

    scenario("messages::a_standard_error_without_a_reader_ends_nothing").run(out, |mode| {
        let frigate =
            Frigate::new(mode).options("-vv --restart=unexpected --backoff=1ms --start-retries=4");
        let script = format!(
            "attempt {}; on 4 {{exit 0}}; exit 1",
            frigate.path("starts")
        );
        frigate
            .error(Output::Gone)
            .puppet(script)
            .run()
            .expect_code(0);
    });

    scenario("messages::frigates_writing_leaves_standard_error_blocking_for_the_child").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .options("-v --restart=unexpected --backoff=1ms --start-retries=1");
            let ended = frigate.puppet("flags; exit 1").run();
            // The flags belong to the open file, which frigate and its child share.
            assert_eq!(ended.out, "flags 2 blocking\nflags 2 blocking\n");
        },
    );
}

fn termination(out: &mut Vec<Trial>) {
    scenario("messages::the_termination_message_is_one_line_of_json_with_all_keys").run(
        out,
        |mode| {
            let options = "--restart=unexpected --start-retries=1 --backoff=5ms";
            let (_, record) = run_with_log(
                with_log(Frigate::new(mode))
                    .options(options)
                    .puppet("die SEGV"),
                |_| (),
            );
            let object = record.as_object().expect("an object");
            let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(
                keys,
                [
                    "exit_code",
                    "message",
                    "oom_killed",
                    "outcome",
                    "restarts",
                    "signal"
                ]
            );
            assert_eq!(record["outcome"], "gave-up");
            assert_eq!(record["exit_code"], 139);
            assert_eq!(record["oom_killed"], false);
            assert_eq!(record["restarts"], 1);
            assert!(
                record["signal"].to_string().contains("SEGV") || record["signal"] == 11,
                "{record}"
            );
            assert!(
                record["message"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{record}"
            );
        },
    );

    scenario("messages::the_termination_message_has_at_most_4096_bytes").run(out, |mode| {
        for name in [
            format!("/{}", "x".repeat(120_000)),
            format!("/{}", "\"\\\n".repeat(40_000)),
        ] {
            let (_, record) = run_with_log(with_log(Frigate::new(mode)).command([name]), |_| ());
            assert!(record.to_string().len() <= 4096);
            assert_eq!(record["outcome"], "not-started");
        }
    });

    scenario("messages::the_termination_message_replaces_what_the_file_held").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let log = frigate.file("old", &"old text\n".repeat(1000));
        let mut kept = fs::File::open(&log).expect("the file exists");
        frigate
            .option("--termination-log")
            .option(log)
            .puppet("exit 3")
            .run()
            .expect_code(3)
            .expect_silence();
        let mut text = String::new();
        kept.read_to_string(&mut text).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(
            serde_json::from_str::<Value>(&text).expect("JSON")["exit_code"],
            3
        );
    });

    scenario("messages::a_relative_termination_log_is_of_the_original_directory").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            let mut kept = fs::File::open(frigate.file("log", "")).expect("the file exists");
            let directory = frigate.path("");
            let frigate = frigate
                .current_directory(directory)
                .options("--termination-log=log");
            frigate
                .puppet("exit 3")
                .run()
                .expect_code(3)
                .expect_silence();
            let mut text = String::new();
            kept.read_to_string(&mut text).expect("text");
            assert!(text.contains("\"exit_code\":3"), "{text:?}");
        },
    );

    scenario("messages::without_a_failure_there_is_no_termination_message").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let mut kept = fs::File::open(frigate.file("log", "")).expect("the file exists");
        with_log(frigate).puppet("exit 0").run().expect_code(0);
        let mut text = String::new();
        kept.read_to_string(&mut text).expect("text");
        assert_eq!(text, "");
    });

    scenario("messages::the_exit_code_after_remapping_decides_and_is_told").run(out, |mode| {
        let (ended, record) = run_with_log(
            with_log(Frigate::new(mode))
                .options("--remap-exit=0:6")
                .puppet("exit 0"),
            |_| (),
        );
        ended.expect_code(6);
        assert_eq!(record["exit_code"], 6);
        let frigate = Frigate::new(mode);
        let mut kept = fs::File::open(frigate.file("log", "")).expect("the file exists");
        with_log(frigate)
            .options("--remap-exit=5")
            .puppet("exit 5")
            .run()
            .expect_code(0);
        let mut text = String::new();
        kept.read_to_string(&mut text).expect("text");
        assert_eq!(text, "");
    });

    scenario(
        "messages::a_termination_log_that_cannot_be_written_is_a_warning_and_changes_nothing_else",
    )
    .run(out, |mode| {
        for path in ["/no/such/directory/log", "/", "/proc/version"] {
            let ended = Frigate::new(mode)
                .option(format!("--termination-log={path}"))
                .puppet("exit 3")
                .run();
            ended.expect_code(3);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(
                ended.err.starts_with("frigate: cannot ")
                    && ended.err.contains(&format!("'{path}'")),
                "{ended:#?}"
            );
        }
    });

    scenario("messages::a_termination_log_that_nobody_reads_stalls_nothing").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let fifo = frigate.path("fifo");
        nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU)
            .expect("the trial owns the directory");
        frigate
            .option(format!("--termination-log={fifo}"))
            .puppet("exit 3")
            .run()
            .expect_code(3);
    });
}

/// Lists the scenarios with a termination log of the child's user, in a directory of this user,
/// beside a file of root's.
fn replaced_termination_log(out: &mut Vec<Trial>) {
    scenario("messages::what_is_put_in_the_place_of_the_termination_log_is_not_written_to")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for is_planted_before in [true, false] {
                let frigate = Frigate::new(mode);
                let (own, victim) = (frigate.path("own"), frigate.file("victim", "root's"));
                let mut kept = fs::File::open(&victim).expect("the file exists");
                fs::create_dir(&own).expect("the trial owns the directory");
                std::os::unix::fs::chown(&own, Some(4711), Some(3333))
                    .expect("root may change the owner");
                let log = format!("{own}/log");
                let replace = format!("rm -f {log}; ln -s {victim} {log}");
                if is_planted_before {
                    std::os::unix::fs::symlink(&victim, &log)
                        .expect("the trial owns the directory");
                    std::os::unix::fs::lchown(&log, Some(4711), Some(3333))
                        .expect("root may change the owner");
                }
                let frigate = frigate
                    .option(format!("--termination-log={log}"))
                    .options("--user=4711:3333");
                let ended = frigate
                    .command(["sh", "-c", &format!("{replace}; exit 3")])
                    .run();
                ended.expect_code(3);
                let mut text = String::new();
                kept.read_to_string(&mut text).expect("text");
                assert_eq!(text, "root's");
                assert_eq!(
                    ended.messages().len(),
                    usize::from(is_planted_before),
                    "{ended:#?}"
                );
            }
        });

    scenario("messages::the_default_termination_log_is_never_a_link")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = Frigate::new(mode);
            let mut kept = fs::File::open(frigate.file("victim", "")).expect("the file exists");
            let victim = frigate.path("victim");
            let (frigate, _log) = with_device(frigate, None);
            std::os::unix::fs::symlink(&victim, frigate.path("dev/termination-log"))
                .expect("no file has this name");
            frigate
                .puppet("exit 3")
                .run()
                .expect_code(3)
                .expect_silence();
            let mut text = String::new();
            kept.read_to_string(&mut text).expect("text");
            assert_eq!(text, "");
        });
}

/// Gives frigate its own /dev, with a termination log that holds this text.
fn with_device(frigate: Frigate, text: Option<&str>) -> (Frigate, fs::File) {
    let device = frigate.path("dev");
    fs::create_dir(&device).expect("the trial owns the directory");
    let null = frigate.file("dev/null", "");
    let log = frigate.file("dev/termination-log", text.unwrap_or_default());
    let kept = fs::File::open(&log).expect("the file exists");
    if text.is_none() {
        fs::remove_file(log).expect("the trial owns it");
    }
    (frigate.bind("/dev/null", &null).bind(&device, "/dev"), kept)
}

fn automatic_termination_log(out: &mut Vec<Trial>) {
    for (name, before, after) in [
        (
            "messages::by_default_an_empty_dev_termination_log_is_written",
            Some(""),
            "\"exit_code\":3",
        ),
        (
            "messages::by_default_a_dev_termination_log_that_the_application_wrote_is_left_alone",
            Some("mine"),
            "mine",
        ),
        (
            "messages::by_default_a_dev_termination_log_that_is_missing_is_not_made",
            None,
            "",
        ),
    ] {
        scenario(name).needs(&[&ROOT]).run(out, move |mode| {
            let (frigate, mut kept) = with_device(Frigate::new(mode), before);
            let ended = frigate
                .puppet("await /dev/null; missing /dev/termination-log; exit 3")
                .run();
            ended.expect_code(3).expect_silence();
            let mut text = String::new();
            kept.read_to_string(&mut text).expect("text");
            assert!(
                text.contains(after) && (before != Some("mine") || text == "mine"),
                "{text:?}"
            );
            assert_eq!(
                ended.out.contains("missing"),
                before.is_none(),
                "{ended:#?}"
            );
        });
    }

    scenario("messages::a_refusal_is_a_termination_message_too")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let (frigate, mut kept) = with_device(Frigate::new(mode), Some(""));
            frigate
                .options("--grace=x")
                .puppet("exit 3")
                .run()
                .expect_code(125);
            let mut text = String::new();
            kept.read_to_string(&mut text).expect("text");
            let record: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
            assert_eq!(record["exit_code"], 125);
            assert!(
                record["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("grace")),
                "{record}"
            );
        });

    scenario("messages::termination_log_none_leaves_dev_termination_log_alone")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let (frigate, mut kept) = with_device(Frigate::new(mode), Some(""));
            frigate
                .options("--termination-log=none")
                .puppet("exit 3")
                .run()
                .expect_code(3)
                .expect_silence();
            let mut text = String::new();
            kept.read_to_string(&mut text).expect("text");
            assert_eq!(text, "");
        });
}

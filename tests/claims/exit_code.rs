//! Outcome and exit code: `doc/specification.md#outcomes-and-exit-codes`.

use std::fs;
use std::io::Read;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{Ended, Frigate, Mode, Output, Running, scenario};

/// Signals whose default action is not to end a process.
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    complete(out);
    not_started(out);
    cancel(out);
    gave_up(out);
    remap(out);
    words(out);
}

fn complete(out: &mut Vec<Trial>) {
    scenario("exit_code::complete_is_the_childs_code").run(out, |mode| {
        for code in [
            0, 1, 2, 42, 124, 125, 126, 127, 128, 129, 137, 143, 254, 255,
        ] {
            Frigate::new(mode)
                .puppet(format!("exit {code}"))
                .run()
                .expect_code(code)
                .expect_silence();
        }
    });

    scenario("exit_code::complete_is_128_plus_n_for_every_signal_that_can_kill").run(out, |mode| {
        for signal in (1..=64).filter(|signal| !HARMLESS.contains(signal)) {
            let ended = Frigate::new(mode).puppet(format!("die {signal}")).run();
            ended.expect_code(128 + signal).expect_silence();
        }
    });

    scenario("exit_code::a_signal_that_dumps_core_counts_like_any_other").run(out, |mode| {
        Frigate::new(mode).puppet("die SEGV").run().expect_code(139);
        Frigate::new(mode).puppet("die ABRT").run().expect_code(134);
    });
}

/// Checks that frigate printed one line that names what could not be executed, and nothing else.
#[track_caller]
fn expect_refusal(ended: &Ended, code: i32, object: &str) {
    ended.expect_code(code);
    let messages = ended.messages();
    assert_eq!(messages.len(), 1, "{ended:#?}");
    assert!(messages[0].starts_with("frigate: cannot "), "{ended:#?}");
    assert!(messages[0].contains(&format!("'{object}'")), "{ended:#?}");
}

fn not_started(out: &mut Vec<Trial>) {
    scenario("exit_code::a_command_that_is_not_found_is_127").run(out, |mode| {
        for command in [
            "no-such-command-anywhere",
            "/no/such/command",
            "./no-such-command",
        ] {
            // If PATH holds a directory that may not be searched, execvp(3) reports "permission
            // denied".
            let frigate = Frigate::new(mode).env("PATH", "/usr/bin:/bin");
            expect_refusal(&frigate.command([command]).run(), 127, command);
        }
    });

    scenario("exit_code::an_empty_command_is_not_found").run(out, |mode| {
        let ended = Frigate::new(mode).command([""]).run();
        ended.expect_code(127);
        assert_eq!(ended.messages().len(), 1, "{ended:#?}");
    });

    scenario("exit_code::a_script_whose_interpreter_is_missing_is_127").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let script = frigate.executable("script", "#!/no/such/interpreter\n");
        expect_refusal(&frigate.command([script.clone()]).run(), 127, &script);
    });

    scenario("exit_code::a_file_that_is_not_executable_is_126").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.file("data", "#!/bin/sh\nexit 0\n");
        expect_refusal(&frigate.command([file.clone()]).run(), 126, &file);
    });

    scenario("exit_code::a_directory_is_126").run(out, |mode| {
        expect_refusal(&Frigate::new(mode).command(["/"]).run(), 126, "/");
    });

    scenario("exit_code::a_file_of_no_known_format_is_126").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.executable("data", "exit 0\n");
        expect_refusal(&frigate.command([file.clone()]).run(), 126, &file);
    });

    scenario("exit_code::the_command_is_looked_up_in_path").run(out, |mode| {
        let frigate = Frigate::new(mode);
        fs::create_dir(frigate.path("bin")).expect("the trial owns the directory");
        // The first file is not executable, so the search goes on.
        frigate.file("tool", "#!/bin/sh\nexit 8\n");
        frigate.executable("bin/tool", "#!/bin/sh\nexit 9\n");
        let path = format!(
            "/no/such/directory:{}:{}",
            frigate.path(""),
            frigate.path("bin")
        );
        frigate
            .env("PATH", path)
            .command(["tool"])
            .run()
            .expect_code(9);
    });

    scenario("exit_code::a_command_that_is_only_there_without_permission_is_126").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            frigate.file("tool", "#!/bin/sh\nexit 8\n");
            let path = format!("/no/such/directory:{}", frigate.path(""));
            expect_refusal(
                &frigate.env("PATH", path).command(["tool"]).run(),
                126,
                "tool",
            );
        },
    );

    scenario("exit_code::a_name_that_no_file_can_have_is_126").run(out, |mode| {
        // If the name were appended to each of these directories, the paths would take 6 GB.
        let path = ":".repeat(100_000);
        for (length, code, reason) in [
            (255, 127, "not found"),
            (256, 126, "file name too long"),
            (60_000, 126, "file name too long"),
        ] {
            let frigate = Frigate::new(mode).env("PATH", &path).max_data(64 << 20);
            let ended = frigate.command(["n".repeat(length)]).run();
            ended.expect_code(code);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(ended.err.contains(reason), "{ended:#?}");
        }
    });

    scenario("exit_code::without_memory_one_line_says_so_and_the_code_is_125").run(out, |mode| {
        // The paths to be tried are 25 MB.
        let without = || {
            let frigate = Frigate::new(mode)
                .env("PATH", ":".repeat(100_000))
                .max_data(16 << 20);
            frigate.command(["n".repeat(250)])
        };
        let ended = without().run();
        ended.expect_code(125);
        let line = "frigate: cannot go on: out of memory; ending with 125";
        assert_eq!(ended.messages(), [line], "{ended:#?}");
        // frigate ends even if its messages have no reader.
        without().error(Output::Full).run().expect_code(125);
    });

    scenario("exit_code::a_child_that_exits_127_or_126_was_started_all_the_same").run(
        out,
        |mode| {
            for code in [126, 127] {
                let (ended, record) = run_with_log(
                    with_log(Frigate::new(mode)).puppet(format!("exit {code}")),
                    |_| (),
                );
                ended.expect_code(code).expect_silence();
                assert_eq!(record["outcome"], "complete");
            }
        },
    );
}

fn cancel(out: &mut Vec<Trial>) {
    scenario("exit_code::cancel_is_the_childs_code_as_it_ended").run(out, |mode| {
        for code in [0, 3, 255] {
            let frigate = Frigate::new(mode)
                .puppet(format!("say ready; wait TERM; exit {code}"))
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(code).expect_silence();
        }
    });

    scenario("exit_code::cancel_is_128_plus_the_signal_of_which_the_child_died").run(out, |mode| {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
            let frigate = Frigate::new(mode)
                .puppet("plain; say ready; nap 60000")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(signal);
            frigate.wait().expect_code(128 + signal).expect_silence();
        }
    });

    scenario("exit_code::cancel_is_137_where_the_child_had_to_be_killed").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--grace=200ms")
            .puppet("say ready; pause")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(137);
    });

    scenario("exit_code::cancel_is_the_last_childs_code_where_none_was_alive").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--restart=true --backoff=60s")
            .puppet("exit 42")
            .spawn();
        frigate.wait_message("starting it again");
        frigate.kill(libc::SIGINT);
        frigate.wait().expect_code(42);
    });

    scenario("exit_code::cancel_is_128_plus_the_stop_signal_where_none_ever_ran").run(
        out,
        |mode| {
            for signal in [libc::SIGTERM, libc::SIGINT] {
                let (frigate, _busy) = unable_to_start(mode, "--restart=unexpected --backoff=60s");
                let frigate = frigate.spawn();
                frigate.wait_message("cannot execute");
                frigate.kill(signal);
                frigate.wait().expect_code(128 + signal);
            }
        },
    );
}

/// Returns a frigate whose command cannot be started for now: its file is open for writing
/// (ETXTBSY) as long as the second value lives.
pub fn unable_to_start(mode: Mode, options: &str) -> (Frigate, fs::File) {
    let frigate = Frigate::new(mode).options(options);
    let busy = frigate.copy_of_own_program("busy");
    let writer = fs::OpenOptions::new()
        .append(true)
        .open(&busy)
        .expect("the trial owns it");
    (
        frigate.command([busy.as_str(), "--puppet", "say ready; exit 0"]),
        writer,
    )
}

fn gave_up(out: &mut Vec<Trial>) {
    let hopeless = "--restart=unexpected --start-retries=1 --backoff=5ms";

    scenario("exit_code::gave_up_is_the_last_childs_code").run(out, move |mode| {
        let frigate = Frigate::new(mode).options(hopeless);
        let starts = frigate.path("starts");
        frigate
            .puppet(format!("attempt {starts}; on 1 {{exit 5}}; exit 6"))
            .run()
            .expect_code(6);
    });

    scenario("exit_code::gave_up_is_128_plus_the_signal_of_the_last_child").run(out, move |mode| {
        Frigate::new(mode)
            .options(hopeless)
            .puppet("die SEGV")
            .run()
            .expect_code(139);
    });

    scenario("exit_code::gave_up_is_1_where_the_last_code_is_0").run(out, move |mode| {
        Frigate::new(mode)
            .options(hopeless)
            .options("--expect=5")
            .puppet("exit 0")
            .run()
            .expect_code(1);
    });

    scenario("exit_code::gave_up_is_126_where_none_could_ever_be_started").run(out, move |mode| {
        let (frigate, _busy) = unable_to_start(mode, hopeless);
        let ended = frigate.run();
        ended.expect_code(126);
        assert_eq!(ended.out, "", "a command was started");
    });
}

fn remap(out: &mut Vec<Trial>) {
    scenario("exit_code::remap_exit_alone_means_0").run(out, |mode| {
        Frigate::new(mode)
            .options("--remap-exit 143")
            .puppet("exit 143")
            .run()
            .expect_code(0);
        Frigate::new(mode)
            .options("--remap-exit 143")
            .puppet("exit 3")
            .run()
            .expect_code(3);
    });

    scenario("exit_code::remap_exit_gives_another_code_once").run(out, |mode| {
        let options = "--remap-exit 3:4 --remap-exit=4:5 --remap-exit 0:7";
        for (from, to) in [(3, 4), (4, 5), (0, 7), (5, 5)] {
            Frigate::new(mode)
                .options(options)
                .puppet(format!("exit {from}"))
                .run()
                .expect_code(to);
        }
    });

    scenario("exit_code::remap_exit_holds_for_signals_and_after_a_stop").run(out, |mode| {
        Frigate::new(mode)
            .options("--remap-exit 139:1")
            .puppet("die SEGV")
            .run()
            .expect_code(1);
        let frigate = Frigate::new(mode)
            .options("--remap-exit 143")
            .puppet("plain; say ready; nap 60000")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(0);
    });

    scenario("exit_code::remap_exit_holds_for_a_command_that_was_not_started").run(out, |mode| {
        Frigate::new(mode)
            .options("--remap-exit 127:3")
            .command(["/no/such/command"])
            .run()
            .expect_code(3);
    });

    scenario("exit_code::the_strategy_sees_the_childs_code_and_not_what_it_is_remapped_to").run(
        out,
        |mode| {
            let frigate =
                Frigate::new(mode).options("--restart=unexpected --remap-exit 3:0 --backoff=5ms");
            let starts = frigate.path("starts");
            let ended = frigate
                .puppet(format!(
                    "attempt {starts}; say start $attempt; on 1 {{exit 3}}"
                ))
                .run();
            ended.expect_code(0);
            assert_eq!(ended.out, "start 1\nstart 2\n");
        },
    );
}

/// Runs frigate to its end and reads the termination log.
pub fn run_with_log(frigate: Frigate, during: impl FnOnce(&mut Running)) -> (Ended, Value) {
    // Open it before the end, because the trial's directory goes when frigate has ended.
    let path = frigate.path("log");
    fs::File::create(&path).expect("the trial owns the directory");
    let mut log = fs::File::open(&path).expect("it was just made");
    let mut running = frigate.spawn();
    during(&mut running);
    let ended = running.wait();
    let mut text = String::new();
    log.read_to_string(&mut text).expect("the log is text");
    let value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?} {ended:#?}"));
    (ended, value)
}

/// Makes frigate write the termination log into the trial's own directory.
pub fn with_log(frigate: Frigate) -> Frigate {
    let log = format!("--termination-log={}", frigate.path("log"));
    frigate.option(log)
}

fn words(out: &mut Vec<Trial>) {
    scenario("exit_code::the_outcome_of_a_child_that_ended_by_itself_is_complete").run(
        out,
        |mode| {
            let (ended, record) =
                run_with_log(with_log(Frigate::new(mode)).puppet("exit 3"), |_| ());
            ended.expect_code(3);
            assert_eq!(record["outcome"], "complete");
            assert_eq!(record["exit_code"], 3);
        },
    );

    scenario("exit_code::the_outcome_of_a_stop_is_cancel").run(out, |mode| {
        let frigate = with_log(Frigate::new(mode)).puppet("say ready; wait TERM; exit 3");
        let (ended, record) = run_with_log(frigate, |frigate| {
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
        });
        ended.expect_code(3);
        assert_eq!(record["outcome"], "cancel");
    });

    scenario("exit_code::the_outcome_of_too_many_failed_starts_is_gave_up").run(out, |mode| {
        let options = "--restart=unexpected --start-retries=2 --backoff=5ms";
        let (ended, record) = run_with_log(
            with_log(Frigate::new(mode))
                .options(options)
                .puppet("exit 9"),
            |_| (),
        );
        ended.expect_code(9);
        assert_eq!(record["outcome"], "gave-up");
        assert_eq!(record["restarts"], 2);
    });

    scenario("exit_code::the_outcome_of_a_command_that_is_not_found_is_not_started").run(
        out,
        |mode| {
            let (ended, record) = run_with_log(
                with_log(Frigate::new(mode)).command(["/no/such/command"]),
                |_| (),
            );
            ended.expect_code(127);
            assert_eq!(record["outcome"], "not-started");
            assert_eq!(record["exit_code"], 127);
        },
    );
}

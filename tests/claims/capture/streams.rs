//! What gets into the files: every byte of the captured streams.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use libtest_mimic::Trial;

use super::{Logs, expect_noise, logging, talk, talking};
use crate::support::capability::{ROOT, STRACE};
use crate::support::frigate::binary;
use crate::support::noise::noise;
use crate::support::{Frigate, Mode, eventually, note, procfs, scenario, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    streams(out);
    bytes(out);
    writers(out);
    costs(out);
}

fn streams(out: &mut Vec<Trial>) {
    scenario("capture::each_stream_goes_to_its_file").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs
            .frigate(mode)
            .option("--stderr")
            .option(logs.path("err"));
        let ended = frigate
            .puppet("say one; error two; say three; exit 4")
            .run();
        ended.expect_code(4).expect_silence();
        assert_eq!(
            (ended.out.as_str(), logs.text("log"), logs.text("err")),
            ("", "one\nthree\n".into(), "two\n".into())
        );
    });

    scenario("capture::one_stream_alone_leaves_the_other_as_it_is").run(out, |mode| {
        let logs = Logs::new();
        let ended = logs
            .frigate(mode)
            .puppet("say one; error two; exit 0")
            .run();
        assert_eq!(
            (logs.text("log").as_str(), ended.err.as_str()),
            ("one\n", "two\n")
        );
        let ended = Frigate::new(mode)
            .option(format!("--stderr={}", logs.path("err")))
            .puppet("say one; error two")
            .run();
        assert_eq!(
            (logs.text("err").as_str(), ended.out.as_str()),
            ("two\n", "one\n")
        );
    });

    scenario("capture::redirected_streams_keep_their_order_in_one_file").run(out, |mode| {
        let script = "say one; error two; say three; error four; exit 0";
        let both = |logs: &Logs| format!("--stderr={}", logs.path("log"));
        for option in [|_: &Logs| "--redirect-stderr".to_owned(), both] {
            let logs = Logs::new();
            let option = option(&logs);
            let ended = logs.frigate(mode).option(&option).puppet(script).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(logs.text("log"), "one\ntwo\nthree\nfour\n", "{option}");
        }
    });

    scenario("capture::standard_error_follows_standard_output_where_that_is_no_file").run(
        out,
        |mode| {
            let ended = Frigate::new(mode)
                .options("--redirect-stderr")
                .puppet("say one; error two; say three")
                .run();
            ended.expect_silence();
            assert_eq!(ended.out, "one\ntwo\nthree\n");
        },
    );

    scenario("capture::frigates_own_messages_stay_on_standard_error").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs.frigate(mode).options("-v --redirect-stderr");
        let ended = frigate.puppet("error mine; exit 3").run();
        assert!(
            ended.err.contains("started") && ended.err.contains("exited with code 3"),
            "{ended:#?}"
        );
        assert_eq!(logs.text("log"), "mine\n");
    });

    scenario("capture::a_variable_is_an_option_here_too").run(out, |mode| {
        let logs = Logs::new();
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_STDOUT", logs.path("log"))
            .env("FRIGATE_INIT_REDIRECT_STDERR", "yes");
        frigate.puppet("say one; error two").run().expect_silence();
        assert_eq!(logs.text("log"), "one\ntwo\n");
    });

    scenario("capture::standard_output_can_be_opened_by_name").run(out, |mode| {
        let logs = Logs::new();
        logs.frigate(mode)
            .puppet("say one; to /dev/stdout; say two; exit 0")
            .run()
            .expect_code(0);
        assert_eq!(logs.text("log"), "one\ntwo\n");
    });

    scenario("capture::the_user_can_open_standard_output_by_name")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let logs = Logs::new();
            let frigate = logs
                .frigate(mode)
                .option(format!("--stderr={}", logs.path("err")))
                .options("--user=4711:3333");
            let ended = frigate
                .puppet("to /dev/stdout; say out; to /dev/stderr; say err; exit 0")
                .run();
            ended.expect_code(0);
            assert_eq!(
                (logs.text("log").as_str(), logs.text("err").as_str()),
                ("out\n", "err\n")
            );
        });

    scenario("capture::the_child_gets_its_two_streams_and_no_other_descriptor").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs
            .frigate(mode)
            .option(format!("--stderr={}", logs.path("err")));
        frigate
            .puppet(format!("listed {}; exit 0", logs.path("list")))
            .run()
            .expect_code(0);
        let list = logs.text("list");
        let lines: Vec<_> = list.lines().collect();
        assert_eq!(lines.len(), 4, "{list}");
        assert!(
            lines[1].starts_with("descriptor 1 pipe:")
                && lines[2].starts_with("descriptor 2 pipe:"),
            "{list}"
        );
        assert_ne!(lines[1][13..], lines[2][13..], "{list}");
    });
}

fn bytes(out: &mut Vec<Trial>) {
    scenario("capture::no_byte_is_lost_or_moved_over_many_rotations").run(out, |mode| {
        const LENGTH: u64 = 5_000_011;
        let logs = Logs::new();
        let frigate = logs
            .frigate(mode)
            .options("--log-max-bytes=65537 --log-backups=100");
        frigate
            .puppet(format!("pour 0 {LENGTH}; exit 0"))
            .run()
            .expect_code(0)
            .expect_silence();
        for number in 1..=76 {
            assert_eq!(
                logs.bytes(&format!("log.{number}")).len(),
                65537,
                "log.{number}"
            );
        }
        expect_noise(&logs.all(100), LENGTH);
    });

    scenario("capture::only_the_newest_backups_are_kept").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs
            .frigate(mode)
            .options("--log-max-bytes=64K --log-backups=2");
        frigate
            .puppet("pour 0 1000000; exit 0")
            .run()
            .expect_code(0)
            .expect_silence();
        let mut names: Vec<_> = fs::read_dir(&logs.0)
            .expect("the trial owns it")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["log", "log.1", "log.2"]);
        let all = logs.all(2);
        assert!(
            noise(0..1_000_000).ends_with(&all) && all.len() > 128 << 10,
            "{} bytes",
            all.len()
        );
    });

    scenario("capture::without_backups_a_full_file_starts_empty_again").run(out, |mode| {
        let logs = Logs::new();
        logs.frigate(mode)
            .options("--log-max-bytes=64K")
            .puppet("pour 0 1000000; exit 0")
            .run()
            .expect_silence();
        let kept = logs.bytes("log");
        assert!(
            noise(0..1_000_000).ends_with(&kept) && kept.len() == 1_000_000 % 65536,
            "{} bytes",
            kept.len()
        );
        assert!(fs::metadata(logs.path("log.1")).is_err());
    });

    scenario("capture::no_byte_is_lost_on_restart").run(out, |mode| {
        let logs = Logs::new();
        let frigate = logs.frigate(mode).options("-q --restart=unexpected --backoff=10ms --log-max-bytes=300K --log-backups=9");
        let script = format!(
            "attempt {}; on 1 {{pour 0 700001; die KILL}}; on 2 {{pour 700001 1500000; exit 3}}; pour 1500000 2000003; exit 0",
            logs.path("starts")
        );
        frigate.puppet(script).run().expect_code(0);
        expect_noise(&logs.all(9), 2_000_003);
    });

    scenario("capture::a_file_that_exists_is_appended_to").run(out, |mode| {
        let logs = Logs::new();
        fs::write(logs.path("log"), "before\n").expect("the trial owns the directory");
        logs.frigate(mode)
            .puppet("say after")
            .run()
            .expect_silence();
        assert_eq!(logs.text("log"), "before\nafter\n");
    });

    scenario("capture::a_relative_path_means_the_directory_frigate_was_started_in").run(
        out,
        |mode| {
            for options in ["", "--restart=unexpected"] {
                let logs = Logs::new();
                let frigate = Frigate::new(mode)
                    .options(options)
                    .options("--stdout log --log-max-bytes 4 --log-backups 1");
                let ended = frigate
                    .current_directory(logs.path(""))
                    .puppet("say one; say two; exit 0")
                    .run();
                ended.expect_code(0).expect_silence();
                assert_eq!(
                    (logs.text("log.1").as_str(), logs.text("log").as_str()),
                    ("one\n", "two\n")
                );
            }
        },
    );

    scenario("capture::a_fifo_that_is_read_slowly_loses_nothing").run(out, |mode| {
        let logs = Logs::new();
        let made = std::process::Command::new("mkfifo")
            .arg(logs.path("log"))
            .status()
            .expect("mkfifo");
        assert!(made.success());
        // Open it for reading and writing, so that the open does not wait for a writer.
        let reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(logs.path("log"))
            .expect("the trial owns it");
        let frigate = logs
            .frigate(mode)
            .puppet("pour 0 3000000; error poured; wait TERM; exit 0")
            .spawn();
        let mut got = vec![0; 3_000_000];
        std::io::Read::read_exact(&mut &reader, &mut got).expect("it is written");
        expect_noise(&got, 3_000_000);
        frigate.wait_message("poured");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(0);
    });
}

fn writers(out: &mut Vec<Trial>) {
    scenario("capture::two_frigates_that_write_to_one_file_lose_nothing").run(out, |mode| {
        const LINES: usize = 3000;
        let logs = Logs::new();
        let script = format!("i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i + 1)); done");
        let both = [(); 2].map(|()| logs.frigate(mode).command(["sh", "-c", &script]).spawn());
        for frigate in both {
            frigate.wait().expect_code(0).expect_silence();
        }
        let expected: usize = (0..LINES)
            .map(|number| format!("line {number}\n").len())
            .sum();
        assert_eq!(logs.bytes("log").len(), 2 * expected);
    });

    scenario("capture::a_child_that_appends_to_its_log_by_itself_loses_nothing").run(out, |mode| {
        const LINES: usize = 3000;
        let logs = Logs::new();
        let log = logs.path("log");
        let line = |word: &str| {
            format!("i=0; while [ $i -lt {LINES} ]; do echo {word}; i=$((i + 1)); done")
        };
        let script = format!(
            "({}) & {}; wait",
            line(&format!("own >>{log}")),
            line("out")
        );
        logs.frigate(mode)
            .command(["sh", "-c", &script])
            .run()
            .expect_code(0)
            .expect_silence();
        let text = logs.text("log");
        let count = |word| text.lines().filter(|line| *line == word).count();
        assert_eq!(
            (count("out"), count("own"), text.lines().count()),
            (LINES, LINES, 2 * LINES)
        );
    });

    // `dd` sets the flag on the open file description, which all holders of the stream share.
    scenario("capture::a_stream_that_one_child_made_non_blocking_blocks_for_the_next").run(out, |mode| {
        let logs = Logs::new();
        let script = "test $FRIGATE_RESTARTS = 1 || dd if=/dev/null oflag=nonblock status=none; \
                      grep flags: /proc/self/fdinfo/1; test $FRIGATE_RESTARTS = 1";
        let frigate = logs.frigate(mode).options("-q --restart=unexpected --backoff=1ms");
        frigate.command(["sh", "-c", script]).run().expect_code(0);
        let text = logs.text("log");
        let flags = text.lines().map(|line| {
            let digits = line.split_whitespace().nth(1).expect("a number");
            i32::from_str_radix(digits, 8).expect("in octal digits")
        });
        let is_blocking: Vec<_> = flags.map(|flags| flags & libc::O_NONBLOCK == 0).collect();
        assert_eq!(is_blocking, [false, true], "{text}");
    });
}

/// Returns the names of frigate's own calls, as strace saw them.
fn calls(frigate: Frigate) -> Vec<String> {
    let frigate = frigate
        .strace(["trace=all"])
        .tracing_frigate_alone()
        .puppet("say one; error two; exit 0")
        .spawn();
    // The directory goes when frigate has ended, but the open log stays.
    let mut log = eventually("a log", || fs::File::open(frigate.path("strace")).ok());
    frigate.wait().expect_code(0);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut log, &mut text).expect("text");
    let exec = text.find("execve(").expect("its exec");
    text[exec..]
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once('(')?.0.to_owned()))
        .collect()
}

fn costs(out: &mut Vec<Trial>) {
    scenario("capture::with_nothing_to_do_a_frigate_that_captures_is_never_woken")
        .alone()
        .run(out, |mode| {
            let frigate = talking(mode);
            talk(&frigate);
            wait_state(frigate.pid, 'S');
            let before = procfs::context_switches(frigate.pid);
            // Only time can show that nothing happens.
            std::thread::sleep(Duration::from_millis(2500));
            assert_eq!(
                procfs::context_switches(frigate.pid) - before,
                0,
                "woken while idle"
            );
        });

    scenario("capture::without_it_no_call_is_made_for_it")
        .once()
        .needs(&[&STRACE])
        .run(out, |_| {
            let without = calls(Frigate::new(Mode::Subreaper));
            for (name, most) in [
                ("pipe2", 1),
                ("splice", 0),
                ("ppoll", 1),
                ("poll", 1),
                ("signalfd4", 0),
            ] {
                let count = without.iter().filter(|call| *call == name).count();
                assert!(count <= most, "{count} times {name}: {without:?}");
            }
            let with = calls(logging(Mode::Subreaper));
            note(format!(
                "system calls of frigate for a command of one line: {}, with --stdout {}",
                without.len(),
                with.len()
            ));
        });

    scenario("capture::bytes_move_about_as_fast_as_by_cat").only(Mode::Subreaper).needs(&[&ROOT]).alone().run(
        out,
        |mode| {
            let memory = fs::read_to_string("/proc/meminfo").expect("/proc");
            let free = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
            let free: u64 = free.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("a number of kB");
            // If there is not enough memory for a disk of 2 GiB, use a smaller one.
            let blocks: u64 = if free > 5 << 20 { 32768 } else { 2048 };
            let size = blocks * 65536;
            let limit = Duration::from_secs(180);
            let source = format!("dd if=/dev/zero bs=64k count={blocks} status=none");
            let speeds = ["--stdout=disk/log", ""].map(|options| {
                let then = "\"$@\"; code=$?; stat -c 'size %s' disk/log; exit $code";
                let words = ["/bin/sh", "-c", then, "sh"].map(std::ffi::OsString::from);
                let frigate = Frigate::of_program(mode, words.into_iter().chain(binary()));
                let directory = frigate.path("");
                let frigate = frigate.disk(size + (1 << 20)).current_directory(directory).options(options);
                let command = if options.is_empty() { format!("{source} | cat >disk/log") } else { source.clone() };
                let ended = frigate.command(["sh", "-c", &command]).spawn().wait_within(limit);
                ended.expect_code(0).expect_silence();
                assert_eq!(ended.out, format!("size {size}\n"));
                #[expect(clippy::cast_precision_loss, reason = "two digits of it are printed")]
                let speed = size as f64 / f64::from(1 << 30) / ended.took.as_secs_f64();
                speed
            });
            let [ours, cats] = speeds;
            note(format!(
                "{} MiB in blocks of 64 KiB: {ours:.2} GiB/s by --stdout, {cats:.2} GiB/s by cat >file",
                size >> 20
            ));
        },
    );
}

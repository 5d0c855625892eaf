//! Log files: `doc/specification.md#log-files`.

use std::fs::{self, OpenOptions};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::capability::{ROOT, STRACE};
use crate::support::frigate::binary;
use crate::support::noise::noise;
use crate::support::{
    Ended, Frigate, Mode, Running, eventually, note, procfs, scenario, wait_state,
};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    streams(out);
    bytes(out);
    rotation_by_others(out);
    full_disk(out);
    writers(out);
    refused_calls(out);
    planted(out);
    places(out);
    the_end(out);
    slow_readers(out);
    signals(out);
    refusals(out);
    costs(out);
}

/// A frigate whose standard output goes to the file `log`.
fn logging(mode: Mode) -> Frigate {
    let frigate = Frigate::new(mode);
    let option = format!("--stdout={}", frigate.path("log"));
    frigate.option(option)
}

/// A directory for log files that outlives the frigate that writes them.
struct Logs(tempfile::TempDir);

impl Logs {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))
            .expect("it is ours");
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0
            .path()
            .join(name)
            .to_str()
            .expect("temporary directories have plain names")
            .to_owned()
    }

    fn frigate(&self, mode: Mode) -> Frigate {
        Frigate::new(mode).option(format!("--stdout={}", self.path("log")))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.bytes(name)).into_owned()
    }

    /// All that was ever written, the oldest file first.
    fn all(&self, backups: u32) -> Vec<u8> {
        let mut all = Vec::new();
        for number in (1..=backups).rev() {
            all.extend(fs::read(self.path(&format!("log.{number}"))).unwrap_or_default());
        }
        all.extend(self.bytes("log"));
        all
    }
}

/// The text of a file as soon as it contains this.
#[track_caller]
fn wait_text(path: impl AsRef<std::path::Path>, text: &str) -> String {
    let path = path.as_ref();
    eventually(&format!("{text:?} in {}", path.display()), || {
        fs::read_to_string(path)
            .ok()
            .filter(|content| content.contains(text))
    })
}

#[track_caller]
fn expect_noise(got: &[u8], to: u64) {
    let expected = noise(0..to);
    let differs = got
        .iter()
        .zip(&expected)
        .position(|(got, expected)| got != expected);
    assert!(
        differs.is_none() && got.len() == expected.len(),
        "{} bytes of {to}, wrong from {differs:?} on",
        got.len()
    );
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
            .expect("it is ours")
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
        fs::write(logs.path("log"), "before\n").expect("the directory is ours");
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
        // Read and written, so that opening it waits for nobody.
        let reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(logs.path("log"))
            .expect("it is ours");
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

/// A child that says a line for each USR1.
fn talking(mode: Mode) -> Running {
    let frigate = logging(mode).puppet("error ready; report").spawn();
    frigate.wait_message("ready");
    frigate
}

#[track_caller]
fn talk(frigate: &Running) {
    frigate.kill(libc::SIGUSR1);
    wait_text(frigate.path("log"), "got USR1");
}

fn rotation_by_others(out: &mut Vec<Trial>) {
    scenario("capture::a_file_that_was_renamed_is_left_and_another_begun").run(out, |mode| {
        let frigate = talking(mode);
        for name in ["log.a", "log.b"] {
            talk(&frigate);
            fs::rename(frigate.path("log"), frigate.path(name)).expect("the directory is ours");
        }
        talk(&frigate);
        for name in ["log.a", "log.b", "log"] {
            assert_eq!(
                wait_text(frigate.path(name), "got").lines().count(),
                1,
                "{name}"
            );
        }
    });

    scenario("capture::a_file_that_was_removed_is_made_again").run(out, |mode| {
        let frigate = talking(mode);
        talk(&frigate);
        fs::remove_file(frigate.path("log")).expect("the directory is ours");
        talk(&frigate);
        assert_eq!(wait_text(frigate.path("log"), "got").lines().count(), 1);
    });

    scenario("capture::a_file_that_was_emptied_goes_on_at_its_beginning").run(out, |mode| {
        let frigate = talking(mode);
        talk(&frigate);
        fs::copy(frigate.path("log"), frigate.path("log.copy")).expect("the directory is ours");
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(frigate.path("log"))
            .expect("it is there");
        talk(&frigate);
        let log = wait_text(frigate.path("log"), "got");
        assert!(
            log.starts_with("got USR1") && log.lines().count() == 1,
            "{log:?}"
        );
    });

    scenario("capture::hup_reaches_the_child_and_reopens_nothing").run(out, |mode| {
        let frigate = talking(mode);
        // The child can be ready before frigate has come to its loop, and opened what it waits
        // with; whoever forwards a signal has.
        talk(&frigate);
        let before: Vec<_> = procfs::descriptors(frigate.pid);
        frigate.kill(libc::SIGHUP);
        wait_text(frigate.path("log"), "got HUP");
        assert_eq!(procfs::descriptors(frigate.pid), before);
    });
}

/// How many bytes were said to be dropped, in the only message there is.
#[track_caller]
fn dropped(ended: &Ended, reason: &str) -> u64 {
    let messages: Vec<_> = ended
        .err
        .lines()
        .filter(|line| line.starts_with("frigate: "))
        .collect();
    let [message] = messages.as_slice() else {
        panic!("{ended:#?}")
    };
    let count = message
        .strip_suffix(" bytes")
        .and_then(|rest| rest.rsplit_once(&format!(": {reason}; dropped ")));
    let (head, count) = count.unwrap_or_else(|| panic!("{ended:#?}"));
    assert!(head.starts_with("frigate: cannot write to '"), "{ended:#?}");
    count.parse().expect("a number")
}

fn full_disk(out: &mut Vec<Trial>) {
    scenario("capture::a_full_disk_does_not_block_the_child_and_is_said_once")
        .needs(&[&ROOT])
        .run(out, |mode| {
            const LENGTH: u64 = 8_000_000;
            let frigate = Frigate::new(mode).disk(1 << 20);
            let (log, go) = (frigate.path("disk/log"), frigate.path("go"));
            let frigate = frigate.option("--stdout").option(&log);
            let frigate = frigate
                .puppet(format!("pour 0 {LENGTH}; error poured; await {go}; exit 6"))
                .spawn();
            frigate.wait_message("poured");
            let kept = fs::read(format!("/proc/{}/root{log}", frigate.pid))
                .expect("frigate sees its disk");
            expect_noise(&kept, 1 << 20);
            fs::write(frigate.path("go"), "").expect("the directory is ours");
            let ended = frigate.wait();
            ended.expect_code(6);
            assert_eq!(
                dropped(&ended, "no space left on the device"),
                LENGTH - (1 << 20)
            );
        });

    scenario("capture::a_disk_that_has_room_again_is_written_to_again").needs(&[&ROOT]).run(out, |mode| {
        let frigate = Frigate::new(mode).disk(4 << 20);
        let log = frigate.path("disk/log");
        let ballast = frigate.path("disk/ballast");
        let frigate = frigate.option("--stdout").option(&log);
        // It makes more room than what is still in the pipe can fill.
        let script = format!(
            "head -c 3000000 /dev/zero >{ballast}; head -c 6000000 /dev/zero; rm {ballast}; echo after; \
             until grep -q after {log}; do sleep 0.01; done; stat -c 'size %s' {log} >&2"
        );
        let ended = frigate.command(["sh", "-c", &script]).run();
        ended.expect_code(0);
        let size = ended.err.lines().find_map(|line| line.strip_prefix("size ")?.parse::<u64>().ok());
        assert_eq!(dropped(&ended, "no space left on the device") + size.expect("its size"), 6_000_006, "{ended:#?}");
    });

    scenario("capture::a_limit_on_file_size_ends_neither_frigate_nor_the_child").run(out, |mode| {
        let limited = ["/bin/sh", "-c", "ulimit -f 8; exec \"$@\"", "sh"].map(Into::into);
        let frigate = Frigate::of_program(mode, limited.into_iter().chain(binary()));
        let option = format!("--stdout={}", frigate.path("log"));
        let script = "trap 'exit 7' TERM; head -c 100000 /dev/zero; echo ready >&2; while :; do sleep 0.02; done";
        let frigate = frigate.option(option).command(["sh", "-c", script]).spawn();
        frigate.wait_message("ready");
        let size = eventually("a file", || {
            fs::metadata(frigate.path("log")).ok().map(|log| log.len()).filter(|size| *size > 0)
        });
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(7);
        assert_eq!(dropped(&ended, "file too large") + size, 100_000);
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

    // `dd` sets the flag on the description that it shares with whoever has the same stream.
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

fn refused_calls(out: &mut Vec<Trial>) {
    scenario("capture::a_call_that_is_refused_loses_no_byte")
        .once()
        .needs(&[&STRACE])
        .run(out, |_| {
            for (call, errno) in [
                ("splice", "EPERM"),
                ("splice", "ENOSYS"),
                ("ioctl", "EPERM"),
            ] {
                let logs = Logs::new();
                let inject = format!("inject={call}:error={errno}");
                let frigate = logs
                    .frigate(Mode::Subreaper)
                    .strace([format!("trace={call}"), inject]);
                let frigate = frigate
                    .tracing_frigate_alone()
                    .puppet("pour 0 300000; exit 0");
                frigate.run().expect_code(0).expect_silence();
                expect_noise(&logs.bytes("log"), 300_000);
            }
        });
}

/// The user that the child becomes, and one that it has nothing to do with.
const USER: u32 = 4711;
const ANOTHER: u32 = 4712;

fn give(path: &str, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).expect("root may give it away");
}

/// A directory of root's with a file that is none of the child's business, and in it a directory of
/// the child's user.
struct Estate(Logs);

impl Estate {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let logs = Logs::new();
        fs::set_permissions(&logs.0, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::write(logs.path("victim"), "root's").expect("it is ours");
        fs::create_dir(logs.path("own")).expect("it is ours");
        give(&logs.path("own"), USER);
        Self(logs)
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }

    fn text(&self, name: &str) -> String {
        self.0.text(name)
    }

    /// A frigate whose child is the user, and whose log is that file.
    fn frigate(&self, mode: Mode, name: &str) -> Frigate {
        Frigate::new(mode)
            .option(format!("--stdout={}", self.path(name)))
            .options("--user=4711:3333")
    }

    /// Puts something in the place of the log that leads elsewhere, or belongs to somebody else.
    fn plant(&self, what: &str, name: &str) {
        let at = self.path(name);
        match what {
            "a link" => {
                std::os::unix::fs::symlink(self.path("victim"), &at).expect("nothing is there");
                give(&at, USER);
            }
            "a hard link" => fs::hard_link(self.path("victim"), &at).expect("nothing is there"),
            "another's file" => {
                fs::write(&at, "another's").expect("nothing is there");
                give(&at, ANOTHER);
            }
            _ => {
                nix::unistd::mkfifo(at.as_str(), nix::sys::stat::Mode::S_IRWXU)
                    .expect("nothing is there");
                give(&at, ANOTHER);
            }
        }
    }

    #[track_caller]
    fn expect_untouched(&self, what: &str, name: &str) {
        assert_eq!(self.text("victim"), "root's", "{what}");
        if what == "another's file" {
            assert_eq!(self.text(name), "another's");
        }
    }
}

fn planted(out: &mut Vec<Trial>) {
    scenario("capture::what_is_put_in_the_place_of_a_log_later_is_not_written_to")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for what in ["a link", "a hard link", "another's file"] {
                for options in ["", "--log-max-bytes=4", "--log-max-bytes=4 --log-backups=2"] {
                    let estate = Estate::new();
                    let script = format!(
                        "say one; await {}; say two; say three; exit 0",
                        estate.path("go")
                    );
                    let frigate = estate
                        .frigate(mode, "own/log")
                        .options(options)
                        .puppet(script)
                        .spawn();
                    wait_text(estate.path("own/log"), "one\n");
                    fs::rename(estate.path("own/log"), estate.path("own/old"))
                        .expect("it is there");
                    estate.plant(what, "own/log");
                    fs::write(estate.path("go"), "").expect("the directory is ours");
                    let ended = frigate.wait();
                    ended.expect_code(0);
                    estate.expect_untouched(what, "own/log");
                    assert_eq!(
                        estate.text("own/old"),
                        "one\ntwo\nthree\n",
                        "{what}, {options}"
                    );
                    let messages = ended.messages();
                    assert_eq!(messages.len(), 1, "{what}, {options}: {ended:#?}");
                    assert!(
                        messages[0].ends_with("going on in the file at hand"),
                        "{what}: {ended:#?}"
                    );
                }
            }
        });

    scenario("capture::what_was_put_in_the_place_of_a_log_before_the_start_is_a_refusal")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let words = [
                (
                    "a link",
                    "' is a link that neither root nor frigate controls; ",
                ),
                ("a hard link", "' has more than one hard link; "),
                ("another's file", "' belongs to another user; "),
                ("another's fifo", "' belongs to another user; "),
            ];
            for (what, words) in words {
                let estate = Estate::new();
                estate.plant(what, "own/log");
                // So that a FIFO can be opened at all.
                let _reader = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(estate.path("own/log"));
                let ended = estate
                    .frigate(mode, "own/log")
                    .puppet("say started; error started")
                    .run();
                ended.expect_code(125);
                estate.expect_untouched(what, "own/log");
                assert!(
                    ended.messages().len() == 1 && ended.err.contains(words),
                    "{what}: {ended:#?}"
                );
                assert!(!ended.err.contains("started"), "{what}: {ended:#?}");
            }
        });

    scenario("capture::a_directory_that_the_user_can_replace_is_a_refusal")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for what in ["a directory of root's", "a link", "a link of root's"] {
                let estate = Estate::new();
                fs::create_dir(estate.path("secret")).expect("it is ours");
                let on_the_way = estate.path("own/logs");
                match what {
                    "a directory of root's" => fs::create_dir(&on_the_way).expect("it is ours"),
                    _ => std::os::unix::fs::symlink(estate.path("secret"), &on_the_way)
                        .expect("it is ours"),
                }
                if what == "a link" {
                    give(&on_the_way, USER);
                }
                let ended = estate
                    .frigate(mode, "own/logs/log")
                    .puppet("error started")
                    .run();
                ended.expect_code(125);
                assert!(
                    ended.messages().len() == 1 && ended.err.contains(": 'logs' "),
                    "{ended:#?}"
                );
                assert!(!ended.err.contains("started"), "{ended:#?}");
                assert!(fs::metadata(estate.path("secret/log")).is_err(), "{what}");
            }
        });

    scenario("capture::a_directory_that_is_replaced_later_is_still_the_one_that_was_opened")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for options in ["", "--log-max-bytes=4", "--log-max-bytes=4 --log-backups=2"] {
                let estate = Estate::new();
                fs::create_dir(estate.path("secret")).expect("it is ours");
                fs::write(estate.path("secret/log"), "root's").expect("it is ours");
                let script = format!("say one; await {}; say two; exit 0", estate.path("go"));
                let frigate = estate
                    .frigate(mode, "own/log")
                    .options(options)
                    .puppet(script)
                    .spawn();
                wait_text(estate.path("own/log"), "one\n");
                fs::rename(estate.path("own"), estate.path("moved")).expect("it is there");
                std::os::unix::fs::symlink(estate.path("secret"), estate.path("own"))
                    .expect("nothing is there");
                fs::write(estate.path("go"), "").expect("the directory is ours");
                frigate.wait().expect_code(0).expect_silence();
                assert_eq!(estate.text("secret/log"), "root's");
                assert_eq!(
                    fs::read_dir(estate.path("secret"))
                        .expect("it is there")
                        .count(),
                    1
                );
                assert!(estate.text("moved/log").ends_with("two\n"), "{options}");
            }
        });

    scenario("capture::a_link_of_a_strangers_is_not_followed_at_the_start")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let estate = Estate::new();
            let link = estate.path("log");
            std::os::unix::fs::symlink(estate.path("victim"), &link).expect("nothing is there");
            give(&link, ANOTHER);
            let ended = Frigate::new(mode)
                .option(format!("--stdout={link}"))
                .puppet("error started")
                .run();
            ended.expect_code(125);
            assert_eq!(
                (estate.text("victim").as_str(), ended.messages().len()),
                ("root's", 1),
                "{ended:#?}"
            );
            assert!(
                ended.err.contains("name the file that it leads to"),
                "{ended:#?}"
            );
        });
}

fn places(out: &mut Vec<Trial>) {
    scenario("capture::a_log_in_a_directory_of_the_users_is_made_and_made_again")
        .needs(&[&ROOT])
        .run(out, |mode| {
            use std::os::unix::fs::MetadataExt;
            let estate = Estate::new();
            fs::create_dir(estate.path("own/logs")).expect("it is ours");
            give(&estate.path("own/logs"), USER);
            let log = estate.path("own/logs/log");
            let frigate = estate
                .frigate(mode, "own/logs/log")
                .puppet("error ready; report")
                .spawn();
            frigate.wait_message("ready");
            let look = || {
                fs::metadata(&log)
                    .map(|log| (log.uid(), log.mode() & 0o777))
                    .expect("it is there")
            };
            frigate.kill(libc::SIGUSR1);
            wait_text(&log, "USR1");
            assert_eq!(look(), (0, 0o640));
            // As logrotate does it: `create` with the user as its owner, and without `create`.
            fs::rename(&log, estate.path("own/logs/log.a")).expect("it is there");
            fs::write(&log, "").expect("nothing is there");
            give(&log, USER);
            frigate.kill(libc::SIGUSR2);
            wait_text(&log, "USR2");
            fs::rename(&log, estate.path("own/logs/log.b")).expect("it is there");
            frigate.kill(libc::SIGHUP);
            wait_text(&log, "HUP");
            assert_eq!(look(), (0, 0o640));
            assert_eq!(
                frigate
                    .err()
                    .text()
                    .lines()
                    .filter(|line| line.starts_with("frigate: "))
                    .count(),
                0
            );
        });

    scenario("capture::a_link_of_roots_is_followed_and_its_file_rotated_where_it_is")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let estate = Estate::new();
            fs::create_dir(estate.path("data")).expect("it is ours");
            std::os::unix::fs::symlink("data/file", estate.path("log")).expect("nothing is there");
            let frigate = estate
                .frigate(mode, "log")
                .options("--log-max-bytes=4 --log-backups=1");
            frigate
                .puppet("say one; say two; exit 0")
                .run()
                .expect_code(0)
                .expect_silence();
            assert_eq!(
                (
                    estate.text("data/file.1").as_str(),
                    estate.text("data/file").as_str()
                ),
                ("one\n", "two\n")
            );
            assert!(
                fs::symlink_metadata(estate.path("log"))
                    .expect("it is there")
                    .is_symlink()
            );
        });

    scenario("capture::dev_stdout_is_a_log_file_too").run(out, |mode| {
        for options in ["", "--log-max-bytes=4 --log-backups=1"] {
            let frigate = Frigate::new(mode)
                .options("--stdout=/dev/stdout --redirect-stderr")
                .options(options);
            let ended = frigate
                .puppet("say one; error two; say three; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "one\ntwo\nthree\n");
        }
    });

    scenario("capture::a_terminal_is_a_log_file_too").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .terminal()
            .options("--stdout=/dev/stdout --log-max-bytes=4");
        let ended = frigate.puppet("say one; say two; exit 0").run();
        ended.expect_code(0);
        assert!(ended.out.contains("one\r\ntwo\r\n"), "{ended:#?}");
    });

    scenario("capture::a_backup_that_cannot_be_looked_at_is_not_overwritten")
        .once()
        .needs(&[&STRACE])
        .run(out, |_| {
            let run = |inject: Option<usize>| {
                let logs = Logs::new();
                fs::write(logs.path("log.1"), "kept").expect("the directory is ours");
                let inject =
                    inject.map(|which| format!("inject=newfstatat:error=EIO:when={which}"));
                let frigate = logs
                    .frigate(Mode::Subreaper)
                    .options("--log-max-bytes=4 --log-backups=2");
                let words = std::iter::once("trace=newfstatat".to_owned()).chain(inject);
                let frigate = frigate
                    .strace(words)
                    .tracing_frigate_alone()
                    .puppet("say one; say two; exit 0")
                    .spawn();
                let mut log = eventually("a log", || fs::File::open(frigate.path("strace")).ok());
                let ended = frigate.wait();
                ended.expect_code(0);
                let mut text = String::new();
                std::io::Read::read_to_string(&mut log, &mut text).expect("text");
                let calls = text.lines().filter(|line| line.contains("newfstatat("));
                let which = calls
                    .into_iter()
                    .position(|line| line.contains("log.1\""))
                    .expect("a look at the backup");
                (which + 1, ended, logs)
            };
            let (which, ..) = run(None);
            let (_, ended, logs) = run(Some(which));
            assert_eq!(
                (logs.text("log.1").as_str(), logs.text("log").as_str()),
                ("kept", "one\ntwo\n")
            );
            assert!(fs::metadata(logs.path("log.2")).is_err());
            let messages = ended.messages();
            assert!(
                messages.len() == 1 && messages[0].contains("cannot rotate"),
                "{ended:#?}"
            );
            assert!(
                messages[0].ends_with("input/output error; going on in the file at hand"),
                "{ended:#?}"
            );
        });
}

/// A FIFO that is read, but slowly: it would take half a minute and more to read everything.
struct SlowReader {
    is_over: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl SlowReader {
    fn of(logs: &Logs, name: &str) -> Self {
        use std::sync::atomic::{AtomicBool, Ordering};
        nix::unistd::mkfifo(logs.path(name).as_str(), nix::sys::stat::Mode::S_IRWXU)
            .expect("the directory is ours");
        let mut fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .open(logs.path(name))
            .expect("it is ours");
        let is_over = std::sync::Arc::new(AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&is_over);
        // Ends with the first bytes after that, or with the whole program.
        std::thread::spawn(move || {
            let mut buffer = vec![0; 4096];
            while !seen.load(Ordering::Relaxed) {
                std::io::Read::read(&mut fifo, &mut buffer).expect("it is read");
                // What makes it slow.
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
        // Two of them share that time.
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
        // Somebody of no concern to frigate, as a process that entered the container from outside
        // would be.
        let held = OpenOptions::new()
            .write(true)
            .open(format!("/proc/{child}/fd/1"));
        let held = held.expect("it may be opened by name");
        let log = fs::File::open(frigate.path("log")).expect("it is there");
        fs::write(frigate.path("go"), "").expect("the directory is ours");
        frigate.wait().expect_code(5).expect_nothing_left();
        drop(held);
        let mut got = Vec::new();
        std::io::Read::read_to_end(&mut &log, &mut got).expect("it is read");
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

fn refusals(out: &mut Vec<Trial>) {
    scenario("capture::a_file_that_cannot_be_opened_is_a_refusal").run(out, |mode| {
        for (option, path, reason) in [
            ("--stdout", "/nowhere/log", "no such file or directory"),
            ("--stderr", "/nowhere/log", "no such file or directory"),
            ("--stdout", "/", "is a directory"),
            ("--stderr", "/dev/null/log", "not a directory"),
        ] {
            let frigate = Frigate::new(mode);
            let there = frigate.path("there");
            let option = format!("{option}={path}");
            let ended = frigate
                .option(&option)
                .puppet(format!("say started; touch {there}"))
                .run();
            ended.expect_code(125);
            assert_eq!(
                (ended.out.as_str(), ended.err),
                ("", format!("frigate: cannot open '{option}': {reason}\n"))
            );
        }
        let ended = Frigate::new(mode)
            .env("FRIGATE_INIT_STDERR", "/nowhere/log")
            .puppet("say started")
            .run();
        ended.expect_code(125);
        assert_eq!(
            ended.err,
            "frigate: cannot open 'FRIGATE_INIT_STDERR=/nowhere/log': no such file or directory\n"
        );
    });
}

/// The calls of frigate alone that strace saw, by name.
fn calls(frigate: Frigate) -> Vec<String> {
    let frigate = frigate
        .strace(["trace=all"])
        .tracing_frigate_alone()
        .puppet("say one; error two; exit 0")
        .spawn();
    // Its directory goes with it; the log is a file that stays open.
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
            // Nothing tells that nothing happens but time.
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
            // Where there is not enough memory for a disk of 2 GiB beside everything else, a
            // smaller one has to do.
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

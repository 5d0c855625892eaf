//! Command line and environment: `doc/specification.md#command-line`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rustix::fs::{XattrFlags, setxattr};
use rustix::thread::CapabilitySet;

use crate::support::capability::ROOT;
use crate::support::{Ended, Frigate, own_program, scenario};

/// An option that takes a value.
pub struct Taker {
    pub name: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
}

const BAD_DURATIONS: &[&str] = &[
    "",
    " ",
    "x",
    "-1",
    "-1s",
    "+1",
    "1d",
    "1 s",
    " 1s",
    "1s ",
    "s",
    ".",
    ".5",
    "1.",
    "1..5",
    "1.5.5",
    "1e3",
    "0x10",
    "1s1s",
    "1m30s",
    "1,5",
    "inf",
    "nan",
    "NaN",
    "999999999999999999999",
    "99999999999999999999h",
    "18446744073709551616",
];
const BAD_SIGNALS: &[&str] = &[
    "",
    " ",
    "x",
    "-1",
    "0",
    "65",
    "99999999999999999999",
    "SIG",
    "SIGSIG",
    "TERM ",
    " TERM",
    "SIGNAL",
    "RTMIN+",
    "RTMIN-1",
    "RTMIN+31",
    "RTMAX+1",
    "RTMAX-31",
    "RTMIN+99999999999999",
    "+15",
    "15.0",
    "TERM,INT",
];

/// Every option that takes a value (`doc/specification.md#options`), except those of user, limits
/// and log files.
pub const OPTIONS: [Taker; 16] = [
    Taker {
        name: "restart",
        good: &[
            "unexpected",
            "false",
            "true",
            "on-failure",
            "always",
            "no",
            "never",
        ],
        bad: &[
            "",
            " ",
            "yes",
            "maybe",
            "-1",
            "0",
            "truetrue",
            "unexpected,true",
            "on_failure",
            "unless-stopped",
        ],
    },
    Taker {
        name: "expect",
        good: &["0", "255", "0,1,2", "0,SIGTERM", "INT,0", "RTMIN+2"],
        bad: &[
            "",
            "-1",
            "256",
            "99999999999999999999",
            "x",
            "0,",
            ",0",
            "0,,1",
            "0;1",
            "SIGX",
            "1.5",
            "0x1",
            "+1",
        ],
    },
    Taker {
        name: "start-secs",
        good: &["0", "500ms", "10s", "2m", "1h", "1.5", "0.25s"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "start-retries",
        good: &["0", "3", "1000000"],
        bad: &[
            "",
            " ",
            "x",
            "-1",
            "+1",
            "1.5",
            "99999999999999999999",
            "3s",
            "0x3",
            "three",
        ],
    },
    Taker {
        name: "backoff",
        good: &["0", "100ms", "1h"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "backoff-max",
        good: &["0", "60s", "0.5m"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "stop-signal",
        good: &[
            "TERM",
            "SIGTERM",
            "15",
            "RTMIN+3",
            "SIGRTMAX-1",
            "quit",
            "KILL",
        ],
        bad: BAD_SIGNALS,
    },
    Taker {
        name: "stop-on",
        good: &["TERM", "TERM,INT,QUIT", "15,usr1", "RTMIN"],
        bad: &[
            "",
            ",",
            "TERM,",
            ",TERM",
            "TERM INT",
            "TERM;INT",
            "65",
            "0",
            "-15",
            "x",
            "KILL",
            "STOP",
            "TERM,KILL",
            "CHLD",
        ],
    },
    Taker {
        name: "grace",
        good: &["0", "30s", "1.5h", "250ms"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "rewrite",
        good: &["TERM:QUIT", "USR1:0", "10:12", "sigrtmin+1:TERM"],
        bad: &[
            "",
            ":",
            "TERM",
            "TERM:",
            ":TERM",
            "0:TERM",
            "TERM:INT:QUIT",
            "65:1",
            "1:65",
            "x:TERM",
            "TERM:x",
            "KILL:TERM",
            "-1:1",
        ],
    },
    Taker {
        name: "pdeathsig",
        good: &["TERM", "9", "RTMIN"],
        bad: BAD_SIGNALS,
    },
    Taker {
        name: "remap-exit",
        good: &["143", "143:0", "1:255", "255:1"],
        bad: &[
            "",
            ":",
            "256",
            "1:256",
            "-1",
            "1:-1",
            "x",
            "1:x",
            ":1",
            "1:",
            "1:2:3",
            "99999999999999999999",
            "TERM",
            "1.0",
        ],
    },
    Taker {
        name: "leftovers",
        good: &["0", "30s", "leave"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "grace-close-wait",
        good: &["0", "30s"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "termination-log",
        good: &["none", "/dev/null"],
        bad: &[""],
    },
    Taker {
        name: "log-format",
        good: &["text", "json"],
        bad: &["", " ", "xml", "-1", "jsonjson", "text,json", "0"],
    },
];

/// Every option that takes none, with the same exceptions, and except `--verbose`.
pub const FLAGS: [&str; 4] = ["kill", "single-child", "grace-close", "quiet"];

/// The environment variable of an option.
fn variable(name: &str) -> String {
    format!("FRIGATE_INIT_{}", name.to_uppercase().replace('-', "_"))
}

/// Those that may be given more than once.
fn is_repeatable(name: &str) -> bool {
    ["rewrite", "remap-exit"].contains(&name)
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    words(out);
    bytes(out);
    environment(out);
    help(out);
    mistakes(out);
    privileges(out);
    anything(out);
}

/// Checks that a mistake was refused: one clear line, exit 125, nothing started.
#[track_caller]
fn expect_mistake(ended: &Ended, what: &str) {
    assert_eq!(ended.code(), Some(125), "{what}: {ended:#?}");
    assert_eq!(ended.out, "", "{what}: something was started: {ended:#?}");
    assert_eq!(
        ended.err.matches('\n').count(),
        1,
        "{what}: not one line: {ended:#?}"
    );
    assert!(
        ended.err.starts_with("frigate: cannot ") && ended.err.ends_with('\n'),
        "{what}: {ended:#?}"
    );
    assert!(ended.err.len() < 1000, "{what}: {} bytes", ended.err.len());
    assert!(
        !ended.err.trim_end().contains(char::is_control),
        "{what}: {ended:#?}"
    );
}

/// What would say that something was started.
const STARTED: &str = "say started; exit 0";

/// A script that ends of itself whatever the option says: a stop puts an end to those that would
/// restart.
fn once(option: &str) -> &'static str {
    if option == "restart" {
        "say started; send parent TERM; wait TERM; exit 0"
    } else {
        STARTED
    }
}

fn words(out: &mut Vec<Trial>) {
    scenario("cli::name_value_and_name_equals_value_mean_the_same_for_every_option")
        .once()
        .run(out, |mode| {
            for option in OPTIONS {
                for value in option.good {
                    let apart = Frigate::new(mode)
                        .option(format!("--{}", option.name))
                        .option(*value);
                    let joined = Frigate::new(mode).option(format!("--{}={value}", option.name));
                    for frigate in [apart, joined] {
                        let ended = frigate.puppet(once(option.name)).run();
                        assert_eq!(
                            ended.code(),
                            Some(0),
                            "--{} {value}: {ended:#?}",
                            option.name
                        );
                        assert!(
                            ended.out.starts_with("started\n"),
                            "--{} {value}: {ended:#?}",
                            option.name
                        );
                    }
                }
            }
        });

    scenario("cli::a_value_may_hold_an_equals_sign").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let log = frigate.path("a=b");
        let kept = std::fs::File::create(&log).expect("the directory is ours");
        frigate
            .option(format!("--termination-log={log}"))
            .puppet("exit 3")
            .run()
            .expect_code(3)
            .expect_silence();
        assert!(
            kept.metadata().expect("it is open").len() > 0,
            "nothing was written to {log}"
        );
    });

    scenario("cli::options_end_at_two_dashes").run(out, |mode| {
        let frigate = Frigate::new(mode);
        symlink(own_program(), frigate.path("--grace=5")).expect("the directory is ours");
        let path = frigate.path("");
        let ended = frigate
            .env("PATH", path)
            .command(["--grace=5", "--puppet", "say started; exit 4"])
            .run();
        ended.expect_code(4);
        assert_eq!(ended.out, "started\n");
    });

    scenario("cli::options_end_at_the_first_word_that_does_not_begin_with_a_dash").run(
        out,
        |mode| {
            let puppet = own_program().into_os_string();
            let words = [
                puppet,
                "--puppet".into(),
                "args; exit 4".into(),
                "--grace".into(),
                "-v".into(),
                "--".into(),
                "-x".into(),
            ];
            let ended = Frigate::new(mode)
                .options("--grace 5s")
                .bare_command(words)
                .run();
            ended.expect_code(4).expect_silence();
            assert_eq!(
                ended.out,
                "argument --grace\nargument -v\nargument --\nargument -x\n"
            );
        },
    );

    scenario("cli::with_and_without_two_dashes_it_is_the_same_command").run(out, |mode| {
        let words = || {
            [
                own_program().into_os_string(),
                "--puppet".into(),
                "args; exit 4".into(),
                "a".into(),
                "b c".into(),
            ]
        };
        let with = Frigate::new(mode)
            .options("--restart no")
            .command(words())
            .run();
        let without = Frigate::new(mode)
            .options("--restart no")
            .bare_command(words())
            .run();
        assert_eq!(with.code(), Some(4));
        assert_eq!(with.out, "argument a\nargument b c\n");
        assert_eq!(
            (with.status, with.out, with.err),
            (without.status, without.out, without.err)
        );
    });

    scenario("cli::only_the_first_two_dashes_are_frigates").run(out, |mode| {
        let words = [
            own_program().into_os_string(),
            "--puppet".into(),
            "args; exit 0".into(),
            "--".into(),
            "--".into(),
        ];
        assert_eq!(
            Frigate::new(mode).command(words).run().out,
            "argument --\nargument --\n"
        );
    });

    scenario("cli::short_flags_may_stand_together").run(out, |mode| {
        let ended = Frigate::new(mode)
            .option("-vv")
            .puppet("orphan {exit 0}; nap 50; exit 0")
            .run();
        assert!(ended.err.contains("orphan"), "{ended:#?}");
    });
}

fn bytes(out: &mut Vec<Trial>) {
    scenario("cli::arguments_that_are_not_utf_8_are_passed_on_unchanged").run(out, |mode| {
        let odd: Vec<OsString> = [
            &b"\xff\xfe"[..],
            b"--\xc3\x28",
            b"",
            b"a\nb",
            b" ",
            b"\x01\x7f",
        ]
        .iter()
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
        for with_dashes in [true, false] {
            let mut words = vec![
                own_program().into_os_string(),
                "--puppet".into(),
                "args; exit 0".into(),
            ];
            words.extend(odd.iter().cloned());
            let frigate = Frigate::new(mode);
            let ended = if with_dashes {
                frigate.command(words)
            } else {
                frigate.bare_command(words)
            }
            .run();
            ended.expect_code(0).expect_silence();
            let expected = ["\\xff\\xfe", "--\\xc3(", "", "a\\nb", " ", "\\x01\\x7f"];
            assert_eq!(
                ended.out,
                expected.map(|word| format!("argument {word}\n")).concat()
            );
        }
    });

    scenario("cli::a_command_whose_name_is_not_utf_8_is_executed").run(out, |mode| {
        for with_dashes in [true, false] {
            let frigate = Frigate::new(mode);
            let mut name = OsString::from(frigate.path(""));
            name.push(OsString::from_vec(b"od\xffd".to_vec()));
            symlink(own_program(), &name).expect("the directory is ours");
            let words = [
                name.as_os_str(),
                OsStr::new("--puppet"),
                OsStr::new("exit 5"),
            ];
            let frigate = if with_dashes {
                frigate.command(words)
            } else {
                frigate.bare_command(words)
            };
            frigate.run().expect_code(5).expect_silence();
        }
    });

    scenario("cli::a_message_about_a_name_that_is_not_utf_8_is_a_line_of_text").run(out, |mode| {
        let name = OsString::from_vec(b"/no/such/\xff\xfe".to_vec());
        for options in ["--log-format=text", "--log-format=json"] {
            let ended = Frigate::new(mode)
                .options(options)
                .command([name.clone()])
                .run();
            ended.expect_code(127);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
        }
    });
}

fn environment(out: &mut Vec<Trial>) {
    scenario("cli::every_option_can_be_given_as_an_environment_variable")
        .once()
        .run(out, |mode| {
            for option in OPTIONS {
                for value in option.good {
                    let ended = Frigate::new(mode)
                        .env(variable(option.name), *value)
                        .puppet(once(option.name))
                        .run();
                    assert_eq!(
                        ended.code(),
                        Some(0),
                        "{}={value}: {ended:#?}",
                        variable(option.name)
                    );
                }
                for value in option.bad.iter().filter(|value| !value.is_empty()) {
                    let ended = Frigate::new(mode)
                        .env(variable(option.name), *value)
                        .puppet(STARTED)
                        .run();
                    expect_mistake(&ended, &format!("{}={value}", variable(option.name)));
                    assert!(ended.err.contains(&variable(option.name)), "{ended:#?}");
                }
            }
        });

    scenario("cli::variables_of_other_programs_mean_nothing").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .env("FRIGATE_USER", "nobody-here")
            .env("FRIGATE_GRACE", "banana");
        let ended = frigate.puppet("environment FRIGATE_USER; exit 0").run();
        ended.expect_code(0).expect_silence();
        assert_eq!(ended.out, "environment FRIGATE_USER nobody-here\n");
    });

    scenario("cli::a_variable_has_the_effect_of_its_option").run(out, |mode| {
        Frigate::new(mode)
            .env("FRIGATE_INIT_REMAP_EXIT", "3:4")
            .puppet("exit 3")
            .run()
            .expect_code(4);
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_STOP_SIGNAL", "USR1")
            .puppet("say ready; wait USR1; exit 6")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(6);
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_RESTART", "on-failure")
            .env("FRIGATE_INIT_BACKOFF", "5ms");
        let starts = frigate.path("starts");
        let ended = frigate
            .puppet(format!(
                "attempt {starts}; say start; on 1 {{exit 1}}; exit 0"
            ))
            .run();
        assert_eq!(ended.out, "start\nstart\n");
    });

    scenario("cli::the_command_line_wins").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_STOP_SIGNAL", "USR1")
            .options("--stop-signal=USR2");
        let frigate = frigate.puppet("say ready; wait USR2; exit 6").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got USR2");
        let ended = frigate.wait();
        ended.expect_code(6);
        assert!(!ended.out.contains("USR1"), "{ended:#?}");
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_RESTART", "always")
            .options("--restart no");
        assert_eq!(
            frigate.puppet("say start; exit 1").run().expect_code(1).out,
            "start\n"
        );
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_LOG_FORMAT", "json")
            .options("--log-format text -v");
        let ended = frigate.puppet("exit 0").run();
        assert!(ended.err.starts_with("frigate: "), "{ended:#?}");
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_QUIET", "yes")
            .options("-v");
        assert!(frigate.puppet("exit 0").run().err.contains("started"));
        let frigate = Frigate::new(mode)
            .env("FRIGATE_INIT_VERBOSE", "2")
            .options("-q");
        frigate.puppet("exit 0").run().expect_silence();
    });

    scenario("cli::flags_are_set_by_1_true_yes_on_and_unset_by_0_false_no_off").run(out, |mode| {
        for (word, killed) in [
            ("1", true),
            ("true", true),
            ("yes", true),
            ("on", true),
            ("0", false),
            ("false", false),
            ("no", false),
            ("off", false),
        ] {
            let frigate = Frigate::new(mode)
                .env("FRIGATE_INIT_KILL", word)
                .puppet("say ready; wait TERM; exit 6")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(if killed { 137 } else { 6 });
        }
    });

    scenario("cli::a_flag_of_any_other_word_is_a_mistake")
        .once()
        .run(out, |mode| {
            for flag in FLAGS {
                for word in [
                    "2",
                    "-1",
                    "maybe",
                    "y",
                    "enabled",
                    " 1",
                    "1,1",
                    "99999999999999999999",
                ] {
                    let ended = Frigate::new(mode)
                        .env(variable(flag), word)
                        .puppet(STARTED)
                        .run();
                    expect_mistake(&ended, &format!("{}={word}", variable(flag)));
                    assert!(ended.err.contains(&variable(flag)), "{ended:#?}");
                }
            }
        });

    scenario("cli::every_flag_can_be_given_as_an_environment_variable")
        .once()
        .run(out, |mode| {
            for flag in FLAGS {
                for word in ["1", "no"] {
                    let ended = Frigate::new(mode)
                        .env(variable(flag), word)
                        .puppet(STARTED)
                        .run();
                    assert_eq!(
                        (ended.code(), ended.out.as_str()),
                        (Some(0), "started\n"),
                        "{flag}={word}: {ended:#?}"
                    );
                }
            }
        });

    scenario("cli::frigate_verbose_is_a_number").run(out, |mode| {
        let said = |value: &str| {
            let frigate = Frigate::new(mode).env("FRIGATE_INIT_VERBOSE", value);
            frigate.puppet("orphan {exit 0}; nap 50; exit 0").run().err
        };
        assert_eq!(said("0"), "");
        assert!(said("1").contains("started") && !said("1").contains("orphan"));
        assert!(said("2").contains("orphan"));
        for value in ["x", "-1", "yes", "1.5", "99999999999999999999"] {
            let ended = Frigate::new(mode)
                .env("FRIGATE_INIT_VERBOSE", value)
                .puppet(STARTED)
                .run();
            expect_mistake(&ended, value);
            assert!(ended.err.contains("FRIGATE_INIT_VERBOSE"), "{ended:#?}");
        }
    });

    scenario("cli::repeatable_options_are_separated_by_commas_in_a_variable").run(out, |mode| {
        for (code, expected) in [(3, 4), (5, 6), (7, 0), (8, 8)] {
            let frigate = Frigate::new(mode).env("FRIGATE_INIT_REMAP_EXIT", "3:4,5:6,7");
            frigate
                .puppet(format!("exit {code}"))
                .run()
                .expect_code(expected);
        }
        let frigate = Frigate::new(mode).env("FRIGATE_INIT_REWRITE", "HUP:USR1,USR2:0");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGUSR2);
        frigate.kill(libc::SIGHUP);
        assert!(frigate.wait_line("got ").starts_with("got USR1"));
    });

    scenario("cli::an_empty_variable_counts_as_not_set")
        .once()
        .run(out, |mode| {
            let names = OPTIONS
                .iter()
                .map(|option| option.name)
                .chain(FLAGS)
                .chain(["verbose"]);
            let frigate = names.fold(Frigate::new(mode), |frigate, name| {
                frigate.env(variable(name), "")
            });
            let ended = frigate.puppet(STARTED).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "started\n");
        });
}

fn help(out: &mut Vec<Trial>) {
    scenario("cli::help_goes_to_standard_output_and_exits_0").run(out, |mode| {
        let ended = Frigate::new(mode).option("--help").run();
        ended.expect_code(0).expect_silence();
        for option in OPTIONS
            .iter()
            .map(|option| option.name)
            .chain(FLAGS)
            .chain(["verbose", "help", "version"])
        {
            assert!(
                ended.out.contains(&format!("--{option}")),
                "nothing of --{option} in:\n{}",
                ended.out
            );
        }
    });

    scenario("cli::version_goes_to_standard_output_and_exits_0").run(out, |mode| {
        let ended = Frigate::new(mode).option("--version").run();
        ended.expect_code(0).expect_silence();
        assert!(
            ended.out.contains(env!("CARGO_PKG_VERSION")) && ended.out.lines().count() == 1,
            "{ended:#?}"
        );
    });

    scenario("cli::the_version_is_one_that_container_engines_can_parse")
        .once()
        .run(out, |mode| {
            let ended = Frigate::new(mode).option("--version").run();
            let words: Vec<_> = ended.out.trim_end().split(' ').collect();
            let [name, version, dash, commit] = words[..] else {
                panic!("four words: {ended:#?}")
            };
            assert_eq!(
                (name, version, dash),
                ("frigate", env!("CARGO_PKG_VERSION"), "-"),
                "{ended:#?}"
            );
            // Engines split the last word at its dots, and want two parts.
            let commit = commit.strip_prefix("git.").unwrap_or_default();
            assert!(
                !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{ended:#?}"
            );
        });

    scenario("cli::help_and_version_start_nothing").run(out, |mode| {
        for option in ["--help", "--version"] {
            let ended = Frigate::new(mode).option(option).puppet(STARTED).run();
            ended.expect_code(0);
            assert!(!ended.out.contains("started\n"), "{ended:#?}");
        }
    });
}

fn mistakes(out: &mut Vec<Trial>) {
    scenario("cli::a_wrong_value_of_any_option_is_one_line_exit_125_and_nothing_started")
        .once()
        .run(out, |mode| {
            for option in OPTIONS {
                for value in option.bad {
                    let apart = Frigate::new(mode)
                        .option(format!("--{}", option.name))
                        .option(*value);
                    let joined = Frigate::new(mode).option(format!("--{}={value}", option.name));
                    for frigate in [apart, joined] {
                        let ended = frigate.puppet(STARTED).run();
                        expect_mistake(&ended, &format!("--{} {value:?}", option.name));
                        assert!(
                            ended.err.contains(&format!("--{}", option.name)),
                            "{ended:#?}"
                        );
                    }
                }
            }
        });

    scenario("cli::a_mistake_names_its_source_the_value_and_what_is_accepted").run(out, |mode| {
        let typed = Frigate::new(mode)
            .options("--grace banana")
            .puppet(STARTED)
            .run();
        expect_mistake(&typed, "--grace banana");
        assert!(
            typed.err.contains("--grace") && !typed.err.contains("FRIGATE_INIT_"),
            "{typed:#?}"
        );
        let set = Frigate::new(mode)
            .env("FRIGATE_INIT_GRACE", "banana")
            .puppet(STARTED)
            .run();
        expect_mistake(&set, "FRIGATE_INIT_GRACE=banana");
        assert!(
            set.err.contains("FRIGATE_INIT_GRACE") && !set.err.contains("--grace"),
            "{set:#?}"
        );
        for ended in [typed, set] {
            assert!(
                ended.err.contains("banana") && ended.err.contains("10s"),
                "{ended:#?}"
            );
        }
        let ended = Frigate::new(mode)
            .options("--restart sometimes")
            .puppet(STARTED)
            .run();
        for word in ["sometimes", "unexpected", "true", "false"] {
            assert!(ended.err.contains(word), "{ended:#?}");
        }
    });

    scenario("cli::a_huge_value_is_one_short_line")
        .once()
        .run(out, |mode| {
            for option in OPTIONS
                .iter()
                .filter(|option| option.name != "termination-log")
            {
                for character in ["9", "x", "é", ","] {
                    let value = character.repeat(100_000 / character.len());
                    let ended = Frigate::new(mode)
                        .option(format!("--{}={value}", option.name))
                        .puppet(STARTED)
                        .run();
                    expect_mistake(&ended, option.name);
                }
            }
        });

    scenario("cli::a_value_of_odd_characters_is_one_line")
        .once()
        .run(out, |mode| {
            for option in OPTIONS
                .iter()
                .filter(|option| option.name != "termination-log")
            {
                for value in [
                    "a\nb",
                    "\u{1b}[2J",
                    "'",
                    "\"",
                    "\\",
                    "\r",
                    "\u{7f}",
                    "\u{9b}1m",
                ] {
                    let ended = Frigate::new(mode)
                        .option(format!("--{}={value}", option.name))
                        .puppet(STARTED)
                        .run();
                    expect_mistake(&ended, option.name);
                }
            }
        });

    scenario("cli::a_value_that_is_not_utf_8_is_a_mistake")
        .once()
        .run(out, |mode| {
            for option in OPTIONS
                .iter()
                .filter(|option| option.name != "termination-log")
            {
                let mut joined = OsString::from(format!("--{}=", option.name));
                joined.push(OsString::from_vec(vec![0xff]));
                expect_mistake(
                    &Frigate::new(mode).option(joined).puppet(STARTED).run(),
                    option.name,
                );
                let value = OsString::from_vec(vec![b'1', 0xff]);
                let apart = Frigate::new(mode)
                    .option(format!("--{}", option.name))
                    .option(value.clone());
                expect_mistake(&apart.puppet(STARTED).run(), option.name);
                expect_mistake(
                    &Frigate::new(mode)
                        .env(variable(option.name), value)
                        .puppet(STARTED)
                        .run(),
                    option.name,
                );
            }
        });

    scenario("cli::an_option_given_twice_is_a_mistake_unless_it_is_repeatable")
        .once()
        .run(out, |mode| {
            for option in OPTIONS {
                let word = format!("--{}={}", option.name, option.good[0]);
                let ended = Frigate::new(mode)
                    .option(word.clone())
                    .option(word)
                    .puppet(STARTED)
                    .run();
                if is_repeatable(option.name) {
                    ended.expect_code(0);
                } else {
                    expect_mistake(&ended, option.name);
                }
            }
            for flag in FLAGS {
                let word = format!("--{flag}");
                expect_mistake(
                    &Frigate::new(mode)
                        .option(word.clone())
                        .option(word)
                        .puppet(STARTED)
                        .run(),
                    flag,
                );
            }
            Frigate::new(mode)
                .options("-v -v --verbose")
                .puppet("exit 0")
                .run()
                .expect_code(0);
        });

    scenario("cli::an_option_without_its_value_is_a_mistake")
        .once()
        .run(out, |mode| {
            for option in OPTIONS {
                let ended = Frigate::new(mode)
                    .option(format!("--{}", option.name))
                    .run();
                expect_mistake(&ended, option.name);
                assert!(
                    ended.err.contains(&format!("--{}", option.name)),
                    "{ended:#?}"
                );
            }
        });

    scenario("cli::a_flag_with_a_value_that_is_no_switch_is_a_mistake")
        .once()
        .run(out, |mode| {
            for flag in FLAGS.into_iter().chain(["verbose"]) {
                for value in ["", " ", "2", "-1", "maybe"] {
                    let ended = Frigate::new(mode)
                        .option(format!("--{flag}={value}"))
                        .puppet(STARTED)
                        .run();
                    expect_mistake(&ended, &format!("--{flag}={value}"));
                }
            }
        });

    scenario("cli::an_option_that_does_not_exist_is_a_mistake")
        .once()
        .run(out, |mode| {
            for word in [
                "--no-such-option",
                "--no-such-option=1",
                "-x",
                "-vx",
                "-",
                "--=",
                "--=1",
                "---",
                "--restar=true",
                "--Grace=1",
                "--no-kill",
                "-grace=5",
            ] {
                let ended = Frigate::new(mode).option(word).puppet(STARTED).run();
                expect_mistake(&ended, word);
            }
            let odd = OsString::from_vec(b"--\xff\xfe=1".to_vec());
            expect_mistake(
                &Frigate::new(mode).option(odd).puppet(STARTED).run(),
                "not UTF-8",
            );
            let long = format!("--{}", "x".repeat(100_000));
            expect_mistake(
                &Frigate::new(mode).option(long).puppet(STARTED).run(),
                "a long one",
            );
        });

    scenario("cli::no_command_is_a_mistake").run(out, |mode| {
        for options in ["", "--", "-v", "--grace 5s", "--grace=5s --", "--kill --"] {
            expect_mistake(&Frigate::new(mode).options(options).run(), options);
        }
    });
}

/// How the capabilities of a file are written down (`capabilities(7)`), for a program that knows
/// nothing of them.
fn give_capabilities(path: &str, permitted: CapabilitySet) {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    let low = u32::try_from(permitted.bits()).expect("one of the first 32");
    let value = [REVISION_2_EFFECTIVE, low, 0, 0, 0]
        .map(u32::to_le_bytes)
        .concat();
    setxattr(path, "security.capability", &value, XattrFlags::empty()).expect("root may do that");
}

/// What gives a file a privilege.
type Give<'a> = &'a dyn Fn(&str);

fn privileges(out: &mut Vec<Trial>) {
    scenario("cli::a_file_with_privileges_of_its_own_is_refused")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let owned = |permissions| {
                move |path: &str| {
                    fs::set_permissions(path, Permissions::from_mode(permissions))
                        .expect("it is ours");
                }
            };
            let gives: [(&str, Give<'_>); 4] = [
                ("set-user-ID", &owned(0o4755)),
                ("set-group-ID", &owned(0o2755)),
                ("a capability", &|path| {
                    give_capabilities(path, CapabilitySet::CHOWN);
                }),
                ("capabilities", &|path| {
                    give_capabilities(path, CapabilitySet::SETUID | CapabilitySet::SETGID);
                }),
            ];
            for (name, give) in gives {
                for ask in ["--version", "--help", "--no-such-option", "-v"] {
                    let (frigate, path) = Frigate::new(mode).copied();
                    give(&path);
                    let log = frigate.file("log", "kept");
                    let ended = frigate
                        .uid(4711)
                        .env("FRIGATE_INIT_TERMINATION_LOG", &log)
                        .env("FRIGATE_INIT_LOG_FORMAT", "json")
                        .option(ask)
                        .puppet("say started; wait TERM")
                        .spawn();
                    let kept = || fs::read_to_string(&log).expect("it is there");
                    ended.wait_message("frigate: cannot run: its file has privileges");
                    assert_eq!(kept(), "kept", "{name}");
                    expect_mistake(&ended.wait(), name);
                }
            }
        });

    scenario("cli::a_start_that_gains_nothing_is_no_matter_of_privileges")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // The kernel calls this start a secure one too, as a security module may call any.
            let (frigate, path) = Frigate::new(mode).copied();
            give_capabilities(&path, CapabilitySet::empty());
            let ended = frigate.uid(4711).puppet(STARTED).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "started\n");
            // To root such a file gives nothing; and whoever has capabilities without any file has
            // them still.
            let (frigate, path) = Frigate::new(mode).copied();
            fs::set_permissions(&path, Permissions::from_mode(0o4755)).expect("it is ours");
            frigate
                .puppet(STARTED)
                .run()
                .expect_code(0)
                .expect_silence();
            let frigate = Frigate::new(mode)
                .uid(4711)
                .capabilities(CapabilitySet::CHOWN);
            frigate
                .puppet(STARTED)
                .run()
                .expect_code(0)
                .expect_silence();
        });
}

/// Words that look like options, or nearly, or not at all.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<&str> = OPTIONS
        .iter()
        .map(|option| option.name)
        .chain(FLAGS)
        .chain(["verbose", "help", "version", "nonsense", ""])
        .collect();
    let values: Vec<&str> = OPTIONS
        .iter()
        // One that restarts would never end, and these are the only options that make it.
        .filter(|option| !["restart", "termination-log"].contains(&option.name))
        .flat_map(|option| option.good.iter().chain(option.bad).copied())
        .collect();
    let value = prop_oneof![
        prop::sample::select(values).prop_map(|value| value.as_bytes().to_vec()),
        prop::collection::vec(1_u8.., 0..8),
    ];
    let name = prop::sample::select(names);
    prop_oneof![
        4 => (name.clone(), value.clone()).prop_map(|(name, value)| [b"--", name.as_bytes(), b"=", &value].concat()),
        2 => name.prop_map(|name| [b"--", name.as_bytes()].concat()),
        2 => value,
        1 => prop::collection::vec(1_u8.., 0..12).prop_map(|bytes| [b"-", bytes.as_slice()].concat()),
    ]
}

/// Chance that is the same in each run: a failure can be seen again.
fn runner() -> TestRunner {
    let config = Config {
        cases: 250,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Whatever was asked for, frigate ends as frigate does: a mistake in one line, or the command's
/// end.
#[track_caller]
fn expect_sense(ended: &Ended) {
    assert!(
        ended.signal().is_none() && !ended.err.contains("panicked"),
        "{ended:#?}"
    );
    let started = ended.out.contains("started\n");
    if ended.code() == Some(125) && !started {
        expect_mistake(ended, "random words");
    } else {
        let not_found = matches!(ended.code(), Some(126 | 127));
        let told = ended.code() == Some(0) && !ended.out.is_empty();
        assert!(started || not_found || told, "{ended:#?}");
    }
}

fn anything(out: &mut Vec<Trial>) {
    scenario("cli::no_words_whatever_make_it_panic")
        .once()
        .run(out, move |mode| {
            let words = prop::collection::vec(word(), 0..6);
            let result = runner().run(&words, |words| {
                let frigate = words.into_iter().fold(Frigate::new(mode), |frigate, word| {
                    frigate.option(OsString::from_vec(word))
                });
                let directory = frigate.path("");
                expect_sense(&frigate.current_directory(directory).puppet(STARTED).run());
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{error}"));
        });

    scenario("cli::no_environment_whatever_makes_it_panic")
        .once()
        .run(out, move |mode| {
            let names: Vec<_> = OPTIONS
                .iter()
                .map(|option| option.name)
                .filter(|name| !["restart", "termination-log"].contains(name))
                .chain(FLAGS)
                .chain(["verbose", "help", "version", "restarts", "nonsense"])
                .map(variable)
                .collect();
            let variables = prop::collection::vec((prop::sample::select(names), word()), 0..5);
            let result = runner().run(&variables, |variables| {
                let frigate = variables
                    .into_iter()
                    .fold(Frigate::new(mode), |frigate, (name, value)| {
                        frigate.env(name, OsString::from_vec(value))
                    });
                expect_sense(&frigate.puppet(STARTED).run());
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{error}"));
        });
}

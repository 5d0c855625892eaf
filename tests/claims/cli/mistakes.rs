//! `--help`, `--version`, and mistakes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libtest_mimic::Trial;

use super::{FLAGS, OPTIONS, STARTED, expect_mistake, variable};
use crate::support::{Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    help(out);
    mistakes(out);
}

/// Returns whether the option may be given more than once.
fn is_repeatable(name: &str) -> bool {
    ["watch", "rewrite", "remap-exit"].contains(&name)
}

fn help(out: &mut Vec<Trial>) {
    scenario("cli::help_goes_to_standard_output_and_exits_0").run(out, |mode| {
        let ended = Frigate::new(mode).option("--help").run();
        ended.expect_code(0).expect_silence();
        for option in OPTIONS
            .iter()
            .map(|option| option.name)
            .chain(FLAGS)
            .chain([
                "verbose",
                "probe",
                "signal",
                "exec",
                "health-timeout",
                "help",
                "version",
            ])
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
            // Engines split the last word at its dots, and expect two parts.
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

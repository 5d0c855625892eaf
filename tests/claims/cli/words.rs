//! Options and commands as words, and words as bytes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use libtest_mimic::Trial;

use super::{OPTIONS, once};
use crate::support::{Frigate, own_program, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    words(out);
    bytes(out);
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
        let kept = std::fs::File::create(&log).expect("the trial owns the directory");
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
        symlink(own_program(), frigate.path("--grace=5")).expect("the trial owns the directory");
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
            symlink(own_program(), &name).expect("the trial owns the directory");
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

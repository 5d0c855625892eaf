//! Options that come from the environment.

use libtest_mimic::Trial;

use super::{FLAGS, OPTIONS, STARTED, expect_mistake, once, variable};
use crate::support::{Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    environment(out);
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

//! Random command lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{FLAGS, OPTIONS, STARTED, expect_mistake, variable};
use crate::support::{Ended, Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    anything(out);
}

/// Returns a strategy for words that look like options, nearly like options, or not at all.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<&str> = OPTIONS
        .iter()
        .map(|option| option.name)
        .chain(FLAGS)
        .chain(["verbose", "help", "version", "nonsense", ""])
        .collect();
    let values: Vec<&str> = OPTIONS
        .iter()
        // An option that restarts would never end. No other options restart.
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

/// Returns a runner with the same random numbers in each run, so that a failure can be repeated.
fn runner() -> TestRunner {
    let config = Config {
        cases: 250,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Checks that frigate ended in one of two ways: with a mistake in one line, or as the command did.
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
        let printed = ended.code() == Some(0) && !ended.out.is_empty();
        assert!(started || not_found || printed, "{ended:#?}");
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

#![allow(
    clippy::panic,
    reason = "a test that meets the wrong answer has failed"
)]

use core::time::Duration;

use proptest::prelude::*;

use super::{Config, Level, Logs, Mistake, WantedLog};
use crate::core::exit_code::ExitCodeMap;
use crate::core::limit::LIMIT_FILES;
use crate::core::number::parse_number;
use crate::core::restart::Restart;
use crate::core::rewrite::Rewrite;
use crate::core::signal::{Signal, SignalSet};
use crate::core::status::ExitStatus;
use crate::core::watch::Reaction;
use crate::messages::format::Format;
use crate::messages::termination::DEFAULT_PATH;
use crate::program::command_line::{self, Request};
use crate::program::options::parse::{
    parse_duration, parse_expected, parse_remap_exit, parse_rewrite, parse_signals,
};
use crate::program::options::table;

const HOUR: u64 = 3600;

fn read(words: &[&str], variables: &[(&str, &str)]) -> Result<Config, Mistake> {
    let words: Vec<&[u8]> = words
        .iter()
        .chain(&["command"])
        .map(|word| word.as_bytes())
        .collect();
    let entries: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match command_line::read(&words, entries.iter().map(String::as_bytes))? {
        Request::Run(config, _) => Ok(*config),
        Request::Probe(_)
        | Request::Status(_)
        | Request::Signal(_)
        | Request::Pause(_)
        | Request::Exec(..)
        | Request::Help
        | Request::Version => {
            panic!("{words:?}: help or version")
        }
    }
}

#[track_caller]
fn config(options: &str) -> Config {
    let words: Vec<&str> = options.split_whitespace().collect();
    match read(&words, &[]) {
        Ok(config) => config,
        Err(Mistake { text, .. }) => panic!("{options}: {text}"),
    }
}

fn signal(name: &str) -> Signal {
    Signal::parse(name).unwrap_or_else(|| panic!("no such signal: {name}"))
}

#[test]
fn without_options_everything_is_as_the_table_says() {
    let config = config("");
    let strategy = config.rules.restart_policy;
    assert_eq!(strategy.restart, Restart::False);
    assert_eq!(strategy.start_secs, Duration::from_secs(10));
    assert_eq!(strategy.start_retries, 3);
    assert_eq!(strategy.backoff, Duration::from_millis(100));
    assert_eq!(strategy.backoff_max, Duration::from_secs(60));
    assert_eq!(Some(strategy.expected), parse_expected("0"));
    assert_eq!(config.rules.stop.signal, None);
    assert_eq!(
        (config.rules.stop.grace, config.rules.leftovers),
        (None, Some(Duration::from_secs(5)))
    );
    assert!(!config.rules.stop.kill && !config.rules.single_child);
    assert_eq!(config.rules.grace_close, None);
    assert_eq!(
        config.stop_on,
        SignalSet::of([Signal::TERM, Signal::INT, Signal::QUIT])
    );
    assert_eq!(config.restart_on, SignalSet::default());
    assert!(!strategy.on_request && config.rules.stop.delay.is_zero());
    assert_eq!(
        (config.rewrite, config.rules.exit_codes),
        (Rewrite::identity(), ExitCodeMap::IDENTITY)
    );
    assert_eq!(config.pdeathsig, None);
    let logs = Logs {
        stdout: None,
        stderr: None,
        redirect: false,
        max_bytes: 0,
        backups: 0,
    };
    assert_eq!(config.logs, logs);
    assert_eq!(config.termination_log, WantedLog::Automatic);
    assert_eq!(
        (config.format, config.verbosity),
        (Format::Text, Level::Warning)
    );
}

/// Returns the default that the help states for an option, in one word.
fn told_default(description: &str) -> Option<&str> {
    let (_, told) = description.split_once("default: ")?;
    Some(told.split(' ').next()?.trim_end_matches(','))
}

#[test]
fn the_help_tells_the_defaults() {
    let mut compared = 0;
    for flag in table::flags() {
        let Some(told) = told_default(flag.description) else {
            continue;
        };
        compared += 1;
        let (beside, told) = match flag.long {
            "--stop-signal" => {
                assert_eq!((told, config("").rules.stop.signal), ("as", None));
                continue;
            }
            "--health-signal" => {
                let health = config("--health=file:/beat").rules.checks.health;
                assert_eq!((told, health.and_then(|rules| rules.signal)), ("the", None));
                continue;
            }
            "--termination-log" => {
                let log = config("").termination_log;
                assert_eq!((told, log), (DEFAULT_PATH, WantedLog::Automatic));
                continue;
            }
            "--grace" => {
                assert!(flag.description.ends_with("with --restart, else none"));
                assert_eq!(config("").rules.stop.grace, None);
                ("--restart=true", told)
            }
            "--grace-close-wait" => ("--grace-close", told),
            "--health-interval" | "--health-retries" | "--health-start" => {
                ("--health=file:/beat", told)
            }
            "--ready-within" => ("--ready=file:/ready", told),
            _ => ("", told),
        };
        let given = format!("{beside} {}={told}", flag.long);
        assert_eq!(
            format!("{:?}", config(beside)),
            format!("{:?}", config(&given)),
            "{given}"
        );
    }
    assert_eq!(compared, 23);
}

#[test]
fn a_file_may_be_as_old_as_the_interval_and_the_timeout_that_were_given() {
    let interval = "--health-interval=1h";
    let timeout = "--health-timeout=1s";
    for target in ["--health=file:/beat", "--ready=file:/ready"] {
        for (given, seconds) in [
            (target.to_owned(), 13),
            (format!("{target} {timeout}"), 11),
            (format!("{interval} {target}"), 3603),
            (format!("{target} {timeout} {interval}"), 3601),
        ] {
            let config = config(&given);
            let wanted = config.health.or(config.ready);
            let longest_age = wanted.map(|wanted| wanted.longest_age);
            assert_eq!(longest_age, Some(Duration::from_secs(seconds)), "{given}");
        }
    }
    let config = config("--health=notify --ready=file:/ready --health-interval=2s");
    let longest_age = config.ready.map(|ready| ready.longest_age);
    assert_eq!(longest_age, Some(Duration::from_secs(5)));
}

#[test]
fn every_limit_file_has_an_option() {
    for file in &LIMIT_FILES {
        let long = format!("--{}", file.option);
        assert!(
            table::flags().iter().any(|flag| flag.long == long),
            "{long}"
        );
    }
}

#[test]
fn the_words_of_docker_and_kubernetes_name_the_same_strategies() {
    let table = [
        ("unexpected", Restart::Unexpected),
        ("on-failure", Restart::Unexpected),
        ("true", Restart::True),
        ("always", Restart::True),
        ("false", Restart::False),
        ("no", Restart::False),
        ("never", Restart::False),
    ];
    for (word, restart) in table {
        assert_eq!(
            config(&format!("--restart={word}"))
                .rules
                .restart_policy
                .restart,
            restart,
            "{word}"
        );
    }
}

#[test]
fn grace_close_waits_thirty_seconds_unless_told_otherwise() {
    assert_eq!(
        config("--grace-close").rules.grace_close,
        Some(Duration::from_secs(30))
    );
    assert_eq!(
        config("--grace-close --grace-close-wait=2s")
            .rules
            .grace_close,
        Some(Duration::from_secs(2))
    );
    assert_eq!(config("--grace-close-wait=2s").rules.grace_close, None);
}

#[test]
fn what_was_typed_wins_over_what_is_set() {
    let typed = ["--grace=1s", "--remap-exit=3", "-q"];
    let set = [
        ("FRIGATE_INIT_GRACE", "2s"),
        ("FRIGATE_INIT_REMAP_EXIT", "4"),
        ("FRIGATE_INIT_VERBOSE", "2"),
    ];
    let meaning = |words: &[&str], variables: &[(&str, &str)]| match read(words, variables) {
        Ok(config) => (
            config.rules.stop.grace.map(|grace| grace.as_secs()),
            config.rules.exit_codes.apply(3),
            config.rules.exit_codes.apply(4),
            config.verbosity,
        ),
        Err(Mistake { text, .. }) => panic!("{text}"),
    };
    assert_eq!(meaning(&typed, &set), (Some(1), 0, 4, Level::Error));
    assert_eq!(meaning(&[], &set), (Some(2), 3, 0, Level::Debug));
    assert_eq!(meaning(&typed, &[]), (Some(1), 0, 4, Level::Error));
}

// Durations.

#[test]
fn durations_are_read_exactly() {
    let table = [
        ("0", Duration::ZERO),
        ("0s", Duration::ZERO),
        ("0ms", Duration::ZERO),
        ("1", Duration::from_secs(1)),
        ("10s", Duration::from_secs(10)),
        ("500ms", Duration::from_millis(500)),
        ("2m", Duration::from_secs(120)),
        ("1h", Duration::from_secs(HOUR)),
        ("1.5", Duration::from_millis(1500)),
        ("0.5s", Duration::from_millis(500)),
        ("1.5m", Duration::from_secs(90)),
        ("0.25h", Duration::from_secs(900)),
        ("2.5ms", Duration::from_micros(2500)),
        ("0.1", Duration::from_millis(100)),
        ("0.000000001", Duration::from_nanos(1)),
        ("0.123456789", Duration::from_nanos(123_456_789)),
        ("1.999999999s", Duration::from_nanos(1_999_999_999)),
        ("0.000001ms", Duration::from_nanos(1)),
        ("007", Duration::from_secs(7)),
        ("1000000h", Duration::from_secs(1_000_000 * HOUR)),
        ("1000000.000h", Duration::from_secs(1_000_000 * HOUR)),
        ("3600000000", Duration::from_secs(1_000_000 * HOUR)),
    ];
    for (text, expected) in table {
        assert_eq!(parse_duration(text), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in [
        "",
        " ",
        "s",
        "ms",
        ".",
        ".5",
        "5.",
        "5.s",
        "1..5",
        "1.5.5",
        "-1",
        "+1",
        "-0",
        "1 s",
        " 1",
        "1 ",
        "1S",
        "1MS",
        "1sec",
        "1d",
        "1us",
        "1h30m",
        "1e3",
        "0x10",
        "1,5",
        "inf",
        "NaN",
        "max",
        "١",
        "1\u{a0}s",
        "1s\n",
        "1sé",
        "é1s",
        // Beyond a million hours, by a little and by so much that it no longer fits.
        "1000000.1h",
        "1000001h",
        "60000001m",
        "3600000001",
        "3600000000.000000001",
        "3600000000001ms",
        "99999999999999999999",
        "18446744073709551616",
        "18446744073709551615h",
    ] {
        assert_eq!(parse_duration(text), None, "{text:?}");
    }
    assert_eq!(parse_duration(&"9".repeat(100_000)), None);
    assert_eq!(
        parse_duration(&format!("1.{}", "3".repeat(100_000))),
        Some(Duration::from_nanos(1_333_333_333))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fraction_is_exact_to_the_nanosecond(
        whole in 0..1000_u64,
        fraction in "[0-9]{1,9}",
        (unit, nanos) in prop::sample::select(vec![
            ("", 1_000_000_000_u128),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ]),
    ) {
        let digits = fraction.parse::<u128>().unwrap_or(0);
        let places = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        let expected = u128::from(whole) * nanos + digits * nanos / places;
        let read = parse_duration(&format!("{whole}.{fraction}{unit}")).map(|span| span.as_nanos());
        prop_assert_eq!(read, Some(expected));
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in any::<String>(), near in "[0-9.:,+-]{0,30}[a-zA-Z]{0,3}") {
        for text in [text, near] {
            let _ = (parse_duration(&text), parse_expected(&text), parse_number::<u32>(&text), parse_number::<u8>(&text));
            let _ = (parse_signals(&text), parse_rewrite(&text), parse_remap_exit(&text));
            prop_assert!(parse_duration(&text).is_none_or(|span| span <= Duration::from_secs(1_000_000 * HOUR)));
        }
    }
}

// Numbers, codes and signals.

#[test]
fn numbers_are_digits_alone_and_have_bounds() {
    let retries = |text: &str| {
        read(&["--start-retries", text], &[])
            .ok()
            .map(|c| c.rules.restart_policy.start_retries)
    };
    assert_eq!(retries("0"), Some(0));
    assert_eq!(retries("0003"), Some(3));
    assert_eq!(retries("4294967295"), Some(u32::MAX));
    for text in [
        "4294967296",
        "99999999999999999999",
        "-1",
        "+1",
        "",
        " ",
        "1 ",
        " 1",
        "1.0",
        "0x1",
        "1e3",
        "ten",
        "٣",
    ] {
        assert_eq!(retries(text), None, "{text:?}");
    }
}

#[test]
fn expectations_are_codes_by_number_and_signals_by_name() {
    let covers = |text: &str, status: ExitStatus| {
        parse_expected(text).is_some_and(|expected| expected.covers(status))
    };
    let by = |signal| ExitStatus::Signaled {
        signal,
        core: false,
    };
    assert!(covers("0,3", ExitStatus::Exited(3)) && covers("0,3", ExitStatus::Exited(0)));
    assert!(!covers("0,3", ExitStatus::Exited(1)));
    assert!(covers("255", ExitStatus::Exited(255)));
    // What is given replaces the default.
    assert!(!covers("3", ExitStatus::Exited(0)));
    // 15 is an exit code, TERM and SIGTERM are a signal, 143 is both.
    for (text, by_signal, by_code) in [
        ("15", false, false),
        ("TERM", true, false),
        ("sigterm", true, false),
        ("143", true, true),
        ("TERM,143", true, true),
    ] {
        assert_eq!(covers(text, by(Signal::TERM)), by_signal, "{text}");
        assert_eq!(covers(text, ExitStatus::Exited(143)), by_code, "{text}");
    }
    assert!(covers("RTMIN+3", by(signal("37"))));
    for text in [
        "", ",", "0,", ",0", "0,,1", "256", "-1", "0 1", "0, 1", "NOSUCH", "TERM;INT", "0x1", "1-3",
    ] {
        assert_eq!(parse_expected(text), None, "{text:?}");
    }
}

#[test]
fn a_restart_may_be_asked_for_by_signals_that_stop_nothing() {
    let both = |options| {
        let config = config(options);
        (config.restart_on, config.rules.restart_policy.on_request)
    };
    assert_eq!(both("--restart-on=none"), (SignalSet::default(), false));
    let hup = SignalSet::of([signal("HUP")]);
    assert_eq!(both("--restart-on=HUP"), (hup, true));
    let term = SignalSet::of([Signal::TERM]);
    assert_eq!(both("--restart-on=TERM --stop-on=INT"), (term, true));
    for value in ["TERM", "HUP,QUIT"] {
        let refused = text_of(read(&["--restart-on", value], &[]));
        assert_eq!(
            refused,
            format!(
                "cannot use '--restart-on={value}': expected signals that are none of --stop-on"
            )
        );
    }
}

#[test]
fn each_watched_path_has_a_signal_or_asks_for_a_restart() {
    let of = |config: Config| {
        let rules: Vec<_> = config
            .watches
            .iter()
            .map(|rule| (rule.path.clone(), rule.reaction))
            .collect();
        (rules, config.rules.restart_policy.on_request)
    };
    let hup = Reaction::Signal(signal("HUP"));
    assert_eq!(of(config("")), (vec![], false));
    // The last `=` counts, and paths may have commas.
    let expected = vec![("/a=b,c".to_owned(), hup)];
    assert_eq!(of(config("--watch=/a=b,c=SIGHUP")), (expected, false));
    let two = vec![
        ("/a b".to_owned(), hup),
        ("conf.d".to_owned(), Reaction::Restart),
    ];
    let lines = "\n/a b=HUP\nconf.d=restart\n";
    let read = read(&[], &[("FRIGATE_INIT_WATCH", lines)]).map(of);
    assert_eq!(read.ok(), Some((two, true)));
}

#[test]
fn stop_signals_are_a_list_of_what_a_process_can_receive() {
    let stop_on = |text: &str| {
        read(&["--stop-on", text], &[])
            .ok()
            .map(|config| config.stop_on)
    };
    assert_eq!(stop_on("HUP"), Some(SignalSet::of([signal("HUP")])));
    assert_eq!(
        stop_on("15,SIGINT,rtmax-1"),
        Some(SignalSet::of([Signal::TERM, Signal::INT, signal("63")]))
    );
    assert_eq!(stop_on("TERM,TERM"), Some(SignalSet::of([Signal::TERM])));
    for text in [
        "", ",", "TERM,", "KILL", "STOP", "9", "CHLD", "TERM,CLD", "TERM INT", "0", "65", "NOSUCH",
    ] {
        assert_eq!(stop_on(text), None, "{text:?}");
    }
}

#[test]
fn one_signal_is_one_signal() {
    for option in ["--stop-signal", "--pdeathsig"] {
        for text in ["TERM", "sigterm", "15"] {
            let config = config(&format!("{option} {text}"));
            let read = if option == "--pdeathsig" {
                config.pdeathsig
            } else {
                config.rules.stop.signal
            };
            assert_eq!(read, Some(Signal::TERM), "{option} {text}");
        }
        for text in [
            "", "0", "65", "TERM,INT", "TERM ", "NOSUCH", "-15", "RTMIN+31",
        ] {
            assert!(read(&[option, text], &[]).is_err(), "{option} {text:?}");
        }
    }
    assert_eq!(
        config("--stop-signal=KILL").rules.stop.signal,
        Some(Signal::KILL)
    );
}

#[test]
fn rewriting_rules_name_two_signals_or_drop_one() {
    let rewrite = |text: &str| {
        read(&["--rewrite", text], &[])
            .ok()
            .map(|config| config.rewrite)
    };
    let rule = |from: &str, to: Option<&str>| {
        let mut rewrite = Rewrite::identity();
        rewrite.set(signal(from), to.map(signal));
        Some(rewrite)
    };
    assert_eq!(rewrite("TERM:QUIT"), rule("TERM", Some("QUIT")));
    assert_eq!(rewrite("15:sigquit"), rule("TERM", Some("QUIT")));
    assert_eq!(rewrite("HUP:0"), rule("HUP", None));
    assert_eq!(rewrite("TERM:KILL"), rule("TERM", Some("KILL")));
    assert_eq!(rewrite("TERM:TERM"), Some(Rewrite::identity()));
    for text in [
        "",
        ":",
        "TERM",
        "TERM:",
        ":TERM",
        "TERM:INT:HUP",
        "0:TERM",
        "KILL:TERM",
        "STOP:TERM",
        "CHLD:TERM",
        "TERM:CHLD",
        "TERM:NOSUCH",
        "TERM:65",
        "TERM=INT",
        "TERM: INT",
        "TERM:-1",
    ] {
        assert_eq!(rewrite(text), None, "{text:?}");
    }
}

#[test]
fn every_signal_is_itself_until_a_rule_says_otherwise() {
    let mut rewrite = Rewrite::identity();
    for signal in (1..=64).filter_map(Signal::new) {
        assert_eq!(rewrite.apply(signal), Some(signal));
    }
    for signal in (1..=64).filter_map(Signal::new) {
        rewrite.set(signal, None);
        assert_eq!(rewrite.apply(signal), None);
        rewrite.set(signal, Some(Signal::TERM));
        assert_eq!(rewrite.apply(signal), Some(Signal::TERM));
    }
}

#[test]
fn exit_codes_are_remapped_one_by_one_and_the_last_rule_counts() {
    let remap = |options: &str| config(options).rules.exit_codes;
    let changed = |options: &str| -> Vec<(u8, u8)> {
        (0..=255)
            .map(|code| (code, remap(options).apply(code)))
            .filter(|(from, to)| from != to)
            .collect()
    };
    assert_eq!(changed(""), []);
    assert_eq!(changed("--remap-exit 143"), [(143, 0)]);
    assert_eq!(
        changed("--remap-exit 143:0 --remap-exit 3:7"),
        [(3, 7), (143, 0)]
    );
    assert_eq!(
        changed("--remap-exit 0:255 --remap-exit 255:1"),
        [(0, 255), (255, 1)]
    );
    assert_eq!(changed("--remap-exit 3:7 --remap-exit 3:9"), [(3, 9)]);
    for text in [
        "", ":", "3:", ":3", "256", "3:256", "-1", "3:-1", "3:4:5", "TERM", "3,4", "3 ", "+3",
    ] {
        assert!(read(&["--remap-exit", text], &[]).is_err(), "{text:?}");
    }
}

#[test]
fn the_termination_log_is_a_path_or_none() {
    let log = |text: &str| {
        read(&["--termination-log", text], &[])
            .ok()
            .map(|config| config.termination_log)
    };
    assert_eq!(log("none"), Some(WantedLog::None));
    for path in [
        "/dev/termination-log",
        "./none",
        "None",
        "relative",
        "-",
        " ",
    ] {
        assert_eq!(
            log(path),
            Some(WantedLog::Path(path.to_owned())),
            "{path:?}"
        );
    }
    assert_eq!(log(""), None);
    assert_eq!(log("a\0b"), None);
}

// Refusals.

/// Returns the files of the two streams, and by how many pipes they get there.
#[track_caller]
fn ways(options: &str, variables: &[(&str, &str)]) -> (Option<String>, Option<String>, bool) {
    let words: Vec<&str> = options.split_whitespace().collect();
    match read(&words, variables) {
        Ok(Config { logs, .. }) => (
            logs.stdout.map(|log| log.path),
            logs.stderr.map(|log| log.path),
            logs.redirect,
        ),
        Err(Mistake { text, .. }) => panic!("{options}: {text}"),
    }
}

#[test]
fn standard_error_goes_its_own_way_or_that_of_standard_output() {
    let (a, b) = (Some(String::from("/a")), Some(String::from("/b")));
    assert_eq!(
        ways("--stdout=/a --stderr=/b", &[]),
        (a.clone(), b.clone(), false)
    );
    assert_eq!(
        ways("--stdout=/a --redirect-stderr", &[]),
        (a.clone(), None, true)
    );
    assert_eq!(ways("--redirect-stderr", &[]), (None, None, true));
    // One name, one pipe: the order of what is written to both is kept.
    assert_eq!(
        ways("--stdout=/a --stderr=/a", &[]),
        (a.clone(), a.clone(), true)
    );
    assert_eq!(
        ways("--stderr=/a", &[("FRIGATE_INIT_STDOUT", "/a")]),
        (a.clone(), a.clone(), true)
    );
    // Both go to the first file, for every value of the second option.
    assert_eq!(
        ways("--stdout=/a --stderr=/b --redirect-stderr", &[]),
        (a.clone(), b.clone(), true)
    );
    assert_eq!(
        ways(
            "--stdout=/a --stderr=/b",
            &[("FRIGATE_INIT_REDIRECT_STDERR", "1")]
        ),
        (a.clone(), b.clone(), true)
    );
    assert_eq!(
        ways(
            "--stderr=/b --redirect-stderr=no",
            &[("FRIGATE_INIT_REDIRECT_STDERR", "1")]
        ),
        (None, b, false)
    );
}

#[test]
fn log_files_have_sizes_in_units_and_max_is_none() {
    for (text, bytes) in [
        ("0", 0),
        ("1", 1),
        ("64K", 65536),
        ("10MiB", 10 << 20),
        ("max", 0),
    ] {
        assert_eq!(
            config(&format!("--log-max-bytes={text}")).logs.max_bytes,
            bytes,
            "{text}"
        );
    }
}

/// Each option, a wrong value, and the words of its refusal that say what is accepted.
const WRONG: [(&str, &[&str], &str); 40] = [
    (
        "restart",
        &["maybe", "TRUE", "1", "unexpected,true"],
        "expected unexpected (on-failure), true (always) or false",
    ),
    (
        "expect",
        &["256", "-1", "0,,1", "NOSUCH"],
        "expected exit codes from 0 to 255 and signal names",
    ),
    (
        "start-secs",
        &["ten", "-1", "1d", "1000001h"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "start-retries",
        &["-1", "1.5", "many", "4294967296"],
        "expected a whole number from 0 to 4294967295",
    ),
    (
        "backoff",
        &["fast", "-1s", "1..5"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "backoff-max",
        &["slow", "-1s", "99999999999999999999"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "stop-signal",
        &["NOSUCH", "0", "65", "TERM,INT", "CHLD", "STOP"],
        "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, other than CHLD and STOP",
    ),
    (
        "health",
        &["nginx", "ftp://127.0.0.1/", "127.0.0.1:80", "execute:true"],
        "expected http://HOST[:PORT][/PATH], tcp://HOST:PORT, unix:PATH, file:PATH, exec:WORDS or notify",
    ),
    (
        "health-interval",
        &["often", "-1s", "none"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "health-retries",
        &["-1", "1.5", "many"],
        "expected a whole number from 0 to 4294967295",
    ),
    (
        "health-start",
        &["late", "-1s", "none"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "health-signal",
        &["NOSUCH", "0", "CHLD", "STOP"],
        "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, other than CHLD and STOP",
    ),
    (
        "ready",
        &["yes", "https", "file", "notify:"],
        "expected http://HOST[:PORT][/PATH], tcp://HOST:PORT, unix:PATH, file:PATH, exec:WORDS or notify",
    ),
    (
        "ready-within",
        &["soon", "-1s", "none"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "stop-on",
        &["NOSUCH", "KILL", "CHLD", "TERM,,INT"],
        "expected signals such as TERM,SIGINT,15,RTMIN+3, or none; not KILL",
    ),
    (
        "stop-delay",
        &["long", "-5s", "none"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "restart-on",
        &["NOSUCH", "KILL", "CHLD", "HUP,,USR1"],
        "expected signals such as TERM,SIGINT,15,RTMIN+3, or none; not KILL",
    ),
    (
        "watch",
        &[
            "/x",
            "/x=",
            "=HUP",
            "/x=NOSUCH",
            "/x=CHLD",
            "/x=RESTART",
            "/x=HUP,restart",
            "a\0b=HUP",
        ],
        "expected PATH=SIGNAL or PATH=restart, such as /etc/app.conf=HUP; the signal is not CHLD or STOP",
    ),
    (
        "grace",
        &["long", "-5s", "1h30m"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "leftovers",
        &["long", "none", "Leave"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "rewrite",
        &["TERM", "TERM:", "KILL:TERM"],
        "expected FROM:TO, two signals other than CHLD",
    ),
    (
        "pdeathsig",
        &["NOSUCH", "0", "RTMAX+1"],
        "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3",
    ),
    (
        "remap-exit",
        &["256", "1:", "TERM:0"],
        "expected FROM or FROM:TO, exit codes from 0 to 255",
    ),
    (
        "grace-close-wait",
        &["long", "-5s"],
        "expected a duration of at most 1000000h, such as 500ms",
    ),
    (
        "user",
        &["a:b:c", "4294967295", "1:4294967295", ":"],
        "expected USER, USER:GROUP or :GROUP",
    ),
    ("chroot", &["a\0b"], "expected a directory"),
    ("workdir", &["a\0b"], "expected a directory"),
    (
        "memory-max",
        &["much", "-1", "1.5G", "64KB", "MAX"],
        "expected a size such as 512, 64K, 512M, 2G, or max",
    ),
    (
        "memory-high",
        &["1 G"],
        "expected a size such as 512, 64K, 512M, 2G, or max",
    ),
    (
        "memory-swap-max",
        &["none"],
        "expected a size such as 512, 64K, 512M, 2G, or max",
    ),
    (
        "cpu-max",
        &["0", "0.001", "50000", "1 2", "half"],
        "expected a number of CPUs from 0.01, such as 1.5",
    ),
    (
        "cpu-weight",
        &["0", "10001", "max"],
        "expected a number from 1 to 10000",
    ),
    ("pids-max", &["-1", "few"], "expected a number, or max"),
    (
        "cgroup",
        &[
            "memory.max",
            "x=1",
            "../a.b=1",
            "cgroup.procs=0",
            "cgroup.kill=1",
        ],
        "expected FILE=VALUE, a file of",
    ),
    (
        "stdout",
        &["a\0b"],
        "expected a file, in at most 4095 bytes",
    ),
    (
        "stderr",
        &["a\0b"],
        "expected a file, in at most 4095 bytes",
    ),
    (
        "log-max-bytes",
        &["big", "-1", "1.5G", "64KB"],
        "expected a size such as 512, 64K, 512M, 2G, or max",
    ),
    (
        "log-backups",
        &["-1", "few", "max"],
        "expected a whole number from 0 to 4294967295",
    ),
    (
        "termination-log",
        &["a\0b"],
        "expected a path of at most 4095 bytes, or none",
    ),
    (
        "log-format",
        &["xml", "JSON", "text,json"],
        "expected text or json",
    ),
];

fn variable(name: &str) -> String {
    format!(
        "FRIGATE_INIT_{}",
        name.to_ascii_uppercase().replace('-', "_")
    )
}

fn text_of(read: Result<Config, Mistake>) -> String {
    match read {
        Ok(_) => String::from("accepted"),
        Err(Mistake { text, .. }) => text,
    }
}

#[test]
fn a_wrong_value_is_refused_by_its_source_with_what_is_accepted() {
    for (name, values, accepted) in WRONG {
        for value in values {
            let typed = text_of(read(&[&format!("--{name}"), value], &[]));
            let set = text_of(read(&[], &[(&variable(name), value)]));
            let value = value.replace('\0', "\\u{0}");
            assert!(
                typed.starts_with(&format!("cannot use '--{name}={value}': {accepted}")),
                "{name}={value}: {typed}"
            );
            assert!(
                set.starts_with(&format!(
                    "cannot use '{}={value}': {accepted}",
                    variable(name)
                )),
                "{name}={value}: {set}"
            );
        }
        let empty = text_of(read(&[&format!("--{name}="), "-v"], &[]));
        assert!(
            empty.starts_with(&format!("cannot use '--{name}=': {accepted}")),
            "{empty}"
        );
    }
}

#[test]
fn a_relative_path_of_a_target_is_refused() {
    for (name, value) in [("health", "file:beat"), ("ready", "unix:run/socket")] {
        let text = text_of(read(&[&format!("--{name}={value}")], &[]));
        let line = format!("cannot use '--{name}={value}': its path does not begin with '/'");
        assert_eq!(text, line);
    }
}

#[test]
fn one_wrong_value_among_several_is_the_one_that_is_named() {
    let text = text_of(read(&["--rewrite=HUP:INT", "--rewrite=bad"], &[]));
    assert!(
        text.starts_with("cannot use '--rewrite=bad': expected FROM:TO"),
        "{text}"
    );
    let text = text_of(read(&[], &[("FRIGATE_INIT_REMAP_EXIT", "3:4,x")]));
    assert!(
        text.starts_with("cannot use 'FRIGATE_INIT_REMAP_EXIT=x': expected FROM"),
        "{text}"
    );
    for value in ["HUP:INT,", ",HUP:INT", "HUP:INT,,USR1:0"] {
        let text = text_of(read(&[], &[("FRIGATE_INIT_REWRITE", value)]));
        assert!(
            text.starts_with("cannot use 'FRIGATE_INIT_REWRITE=': expected FROM:TO"),
            "{text}"
        );
    }
}

#[test]
fn a_mistake_is_one_printable_line_however_hostile_the_value() {
    for value in [
        "a\nb",
        "a\r\nb",
        "\u{1b}[2Jred",
        "tab\tbell\u{7}",
        "\u{85}\u{9b}31m",
        "'quoted' \"twice\" \\n",
    ] {
        let text = text_of(read(&["--grace", value], &[]));
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(
            text.starts_with("cannot use '--grace=") && text.contains("': expected a duration"),
            "{text:?}"
        );
    }
    let text = text_of(read(&["--grace", "a\nb\u{1b}c"], &[]));
    assert!(
        text.starts_with("cannot use '--grace=a\\nb\\u{1b}c': expected"),
        "{text}"
    );
}

#[test]
fn a_long_value_is_cut_short_and_said_to_be() {
    let text = text_of(read(&["--grace", &"9".repeat(5000)], &[]));
    assert_eq!(text.matches('9').count(), 120 - "--grace=".len());
    assert!(text.contains("9...': expected a duration"), "{text}");
}

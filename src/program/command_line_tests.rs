#![allow(
    clippy::panic,
    reason = "a test that meets the wrong answer has failed"
)]

use core::time::Duration;
use std::collections::BTreeSet;

use argh::ArgsInfo;
use proptest::prelude::*;

use super::{Request, read};
use crate::core::fact::Level;
use crate::core::health::target::Question;
use crate::core::signal::{Signal, SignalSet};
use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::program::config::Config;
use crate::program::options::table::{Options, help};
use crate::program::options::values::{Source, Value};
use crate::program::probe::Probe;

/// Every option with a value: its name, and two values that mean something else than the default
/// and than each other.
const VALUED: [(&str, &str, &str); 41] = [
    ("restart", "unexpected", "always"),
    ("expect", "0,7", "TERM"),
    ("start-secs", "3s", "0"),
    ("start-retries", "9", "0"),
    ("backoff", "2s", "1.5"),
    ("backoff-max", "3m", "1h"),
    ("stop-signal", "USR1", "RTMIN+3"),
    ("stop-on", "HUP", "none"),
    ("stop-delay", "7s", "0"),
    ("restart-on", "HUP", "none"),
    ("watch", "/etc/a,b=c.conf=HUP", "conf.d=restart"),
    ("grace", "7s", "none"),
    ("leftovers", "7s", "leave"),
    ("rewrite", "HUP:USR1", "USR2:0"),
    ("pdeathsig", "TERM", "9"),
    ("remap-exit", "3:4", "143"),
    ("grace-close-wait", "9s", "0"),
    ("user", "app:staff", ":0"),
    ("chroot", "/srv", "relative"),
    ("workdir", "/data", "."),
    ("memory-max", "64M", "max"),
    ("memory-high", "48MiB", "1G"),
    ("memory-swap-max", "0", "64K"),
    ("cpu-max", "1.5", "max 50000"),
    ("cpu-weight", "200", "1"),
    ("pids-max", "64", "max"),
    (
        "cgroup",
        "io.max=8:0 rbps=1048576,wbps=1",
        "cpuset.cpus=0-1,3",
    ),
    ("stdout", "/a log", "out"),
    ("stderr", "/a log", "err"),
    ("log-max-bytes", "10M", "1"),
    ("log-backups", "7", "1000"),
    (
        "health",
        "http://127.0.0.1:8080/healthz",
        "exec:pg_isready -q",
    ),
    ("health-interval", "2s", "7"),
    ("health-retries", "9", "1"),
    ("health-start", "3s", "0"),
    ("health-signal", "QUIT", "ABRT"),
    ("health-timeout", "500ms", "7"),
    ("ready", "tcp://localhost:5432", "file:/run/ready"),
    ("ready-within", "9s", "0"),
    ("termination-log", "/a path", "none"),
    ("log-format", "json", "json"),
];
const SWITCHES: [&str; 7] = [
    "kill",
    "single-child",
    "grace-close",
    "no-new-privs",
    "cgroup-best-effort",
    "redirect-stderr",
    "quiet",
];
const REPEATABLE: [&str; 4] = ["watch", "rewrite", "remap-exit", "cgroup"];

fn variable(name: &str) -> String {
    let mut known = VALUED
        .iter()
        .map(|(name, ..)| *name)
        .chain(SWITCHES)
        .chain(["verbose"]);
    let name = known
        .find(|known| *known == name)
        .unwrap_or_else(|| panic!("no such option: {name}"));
    Value {
        name,
        text: "",
        source: Source::Environment,
    }
    .spelled_name()
}

/// What is read is leaked, as the words of a process are there until it ends.
fn read_all(words: &[&[u8]], variables: &[(String, Vec<u8>)]) -> Result<Request<'static>, Mistake> {
    let words: Vec<&'static [u8]> = words.iter().map(|word| &*word.to_vec().leak()).collect();
    let entries = variables
        .iter()
        .map(|(name, value)| &*[name.as_bytes(), b"=", value.as_slice()].concat().leak());
    read(&words, entries)
}

fn ask(words: &[&str], variables: &[(&str, &str)]) -> Result<Request<'static>, Mistake> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    read_all(&words, &variables)
}

/// Returns the options, and the index of the command.
#[track_caller]
fn run(words: &[&str], variables: &[(&str, &str)]) -> (Config, usize) {
    match ask(words, variables) {
        Ok(Request::Run(config, first)) => (*config, first),
        Ok(
            Request::Probe(_)
            | Request::Status(_)
            | Request::Signal(_)
            | Request::Pause(_)
            | Request::Exec(..)
            | Request::Help
            | Request::Version,
        ) => {
            panic!("{words:?}: no command")
        }
        Err(Mistake { text, .. }) => panic!("{words:?}, {variables:?}: {text}"),
    }
}

/// Returns everything that the options mean, for comparisons. `--grace-close` is there so that its
/// wait means something.
#[track_caller]
fn meaning(options: &[&str], variables: &[(&str, &str)]) -> String {
    let words: Vec<&str> = ["--grace-close"]
        .iter()
        .chain(options)
        .chain(&["command"])
        .copied()
        .collect();
    // Other options of checks mean something only beside these two.
    let targets = [("health", "file:/beat"), ("ready", "file:/started")];
    let targets = targets.map(|(name, target)| (variable(name), target));
    let is_set = |(name, value): &(&str, &str), wanted: &str| *name == wanted && !value.is_empty();
    let given = |name: &str| variables.iter().any(|variable| is_set(variable, name));
    let others = targets.iter().filter(|(name, _)| !given(name));
    let others = others.map(|(name, target)| (name.as_str(), *target));
    let variables: Vec<_> = others.chain(variables.iter().copied()).collect();
    let mut meaning = format!("{:?}", run(&words, &variables).0);
    // A user and a limit are kept with the way they were asked for, which is all that may differ.
    for (name, ..) in VALUED {
        meaning = meaning.replace(&format!("{}=", variable(name)), &format!("--{name}="));
    }
    meaning
}

/// Returns the one line that refuses.
#[track_caller]
fn refusal(words: &[&str], variables: &[(&str, &str)]) -> String {
    match ask(words, variables) {
        Ok(_) => panic!("{words:?}, {variables:?}: accepted"),
        Err(Mistake { text, .. }) => {
            assert!(is_one_short_line(&text), "{text:?}");
            text
        }
    }
}

fn is_one_short_line(text: &str) -> bool {
    text.starts_with("cannot ") && !text.chars().any(char::is_control) && text.len() < 1024
}

#[test]
fn these_tests_know_every_option() {
    let known: BTreeSet<String> = VALUED
        .iter()
        .map(|(name, ..)| *name)
        .chain(SWITCHES)
        .chain(["verbose"])
        .map(|name| format!("--{name}"))
        .collect();
    let offered = Options::get_args_info()
        .flags
        .iter()
        .map(|flag| flag.long.to_owned());
    let runs_a_command = |name: &String| {
        let others = [
            "--help", "--probe", "--status", "--signal", "--pause", "--exec",
        ];
        !others.contains(&name.as_str())
    };
    assert_eq!(known, offered.filter(runs_a_command).collect());
}

// What runs no command.

#[track_caller]
fn probe(words: &[&str], variables: &[(&str, &str)]) -> Probe<'static> {
    match ask(words, variables) {
        Ok(Request::Probe(probe)) => probe,
        Ok(_) => panic!("{words:?}: no probe"),
        Err(Mistake { text, .. }) => panic!("{words:?}: {text}"),
    }
}

#[test]
fn a_probe_is_a_target_and_perhaps_a_timeout() {
    let seconds = |words: &[&str], variables: &[(&str, &str)]| {
        let probe = probe(words, variables);
        assert_eq!(probe.target, "tcp://[::1]:80");
        assert!(matches!(probe.question, Question::Tcp(_)));
        probe.timeout.as_secs()
    };
    let set = [("FRIGATE_INIT_HEALTH_TIMEOUT", "7s")];
    let target = "--probe=tcp://[::1]:80";
    assert_eq!(seconds(&[target], &[]), 3);
    assert_eq!(seconds(&["--probe", "tcp://[::1]:80", "--"], &[]), 3);
    assert_eq!(seconds(&["--health-timeout=2m", target], &[]), 120);
    assert_eq!(seconds(&[target, "--health-timeout", "5"], &set), 5);
    assert_eq!(seconds(&[target], &set), 7);
}

#[test]
fn a_probe_heeds_no_other_variable() {
    let set = [
        ("FRIGATE_INIT_RESTART", "sometimes"),
        ("FRIGATE_INIT_KILL", "maybe"),
        ("FRIGATE_INIT_PROBE", "nonsense"),
        ("FRIGATE_INIT_GRACE", "banana"),
    ];
    assert_eq!(
        probe(&["--probe=file:/run/beat"], &set).timeout.as_secs(),
        3
    );
    let set = [("FRIGATE_INIT_HEALTH_TIMEOUT", "banana")];
    let text = refusal(&["--probe=file:/run/beat"], &set);
    assert!(
        text.contains("'FRIGATE_INIT_HEALTH_TIMEOUT=banana'"),
        "{text}"
    );
}

#[test]
fn no_variable_makes_a_probe() {
    let set = [("FRIGATE_INIT_PROBE", "tcp://127.0.0.1:1")];
    assert_eq!(run(&["command"], &set).1, 0);
}

#[test]
fn nothing_else_stands_beside_a_probe() {
    for (words, expected) in [
        (
            ["--probe=file:/a", "--grace=5s"],
            "cannot use '--grace': it does not belong to --probe",
        ),
        (
            ["-v", "--probe=file:/a"],
            "cannot use '--verbose': it does not belong to --probe",
        ),
        (
            ["--probe=file:/a", "/bin/true"],
            "cannot start '/bin/true': --probe runs no command",
        ),
        (
            ["--probe=notify", "--"],
            "cannot use '--probe=notify': a probe cannot hear the child's messages",
        ),
        (
            ["--probe=http://db/", "--"],
            "cannot use '--probe=http://db/': its host is no address and not localhost, and frigate \
             looks up no names; expected one such as 127.0.0.1, [::1] or localhost",
        ),
        (
            ["--probe=file:/a", "--health-timeout=x"],
            "cannot use '--health-timeout=x': expected a duration of at most 1000000h, such as \
             500ms, 10s, 2m, 1h, 1.5 (seconds)",
        ),
    ] {
        assert_eq!(refusal(&words, &[]), expected);
    }
}

#[test]
fn a_signal_for_pid_1_is_one_that_can_stop_a_child() {
    for (typed, expected) in [("HUP", 1), ("sigusr1", 10), ("RTMIN+3", 37), ("9", 9)] {
        let set = [
            ("FRIGATE_INIT_GRACE", "banana"),
            ("FRIGATE_INIT_SIGNAL", "TERM"),
        ];
        match ask(&["--signal", typed], &set) {
            Ok(Request::Signal(sender)) => {
                assert_eq!((sender.signal.raw(), sender.typed), (expected, typed));
            }
            Ok(_) => panic!("{typed}: no signal"),
            Err(Mistake { text, .. }) => panic!("{typed}: {text}"),
        }
    }
    let set = [("FRIGATE_INIT_SIGNAL", "TERM")];
    assert_eq!(run(&["command"], &set).1, 0);
}

#[test]
fn a_status_has_a_format_and_heeds_no_other_variable() {
    let set = [
        ("FRIGATE_INIT_GRACE", "banana"),
        ("FRIGATE_INIT_LOG_FORMAT", "json"),
    ];
    let format = |words: &[&str], set: &[(&str, &str)]| match ask(words, set) {
        Ok(Request::Status(reader)) => reader.format,
        Ok(_) => panic!("{words:?}: no status"),
        Err(Mistake { text, .. }) => panic!("{words:?}: {text}"),
    };
    assert_eq!(format(&["--status"], &[]), Format::Text);
    assert_eq!(format(&["--status", "--"], &set), Format::Json);
    assert_eq!(
        format(&["--log-format=text", "--status"], &set),
        Format::Text
    );
    assert_eq!(run(&["--status=false", "command"], &[]).1, 1);
    assert_eq!(run(&["command"], &[("FRIGATE_INIT_STATUS", "1")]).1, 0);
    assert_eq!(
        refusal(&["--status", "--quiet"], &[]),
        "cannot use '--quiet': it does not belong to --status"
    );
    assert_eq!(
        refusal(&["--status", "command"], &[]),
        "cannot start 'command': --status runs no command"
    );
}

#[test]
fn a_pause_has_no_command_and_an_end_for_what_is_left() {
    let set = [
        ("FRIGATE_INIT_GRACE", "banana"),
        ("FRIGATE_INIT_LEFTOVERS", "7s"),
    ];
    match ask(&["--pause", "-v", "--stop-on=QUIT"], &set) {
        Ok(Request::Pause(config)) => {
            let leftovers = config.rules.leftovers;
            assert_eq!(leftovers, Some(Duration::from_secs(7)));
            assert_eq!(config.stop_on, SignalSet::of([Signal::QUIT]));
        }
        Ok(_) => panic!("no pause"),
        Err(Mistake { text, .. }) => panic!("{text}"),
    }
    assert_eq!(run(&["command"], &[("FRIGATE_INIT_PAUSE", "1")]).1, 0);
    for (words, expected) in [
        (
            ["--pause", "--grace=5s"],
            "cannot use '--grace': it does not belong to --pause",
        ),
        (
            ["--pause", "command"],
            "cannot start 'command': --pause runs no command",
        ),
        (
            ["--pause", "--status"],
            "cannot use '--pause': it does not belong to --status",
        ),
        (
            ["--pause", "--leftovers=leave"],
            "cannot use '--leftovers=leave': --pause ends what is left; expected a duration",
        ),
    ] {
        assert_eq!(refusal(&words, &[]), expected);
    }
}

#[test]
fn an_exec_has_a_command_and_only_what_confines_it() {
    let set = [
        ("FRIGATE_INIT_USER", "app"),
        ("FRIGATE_INIT_GRACE", "banana"),
    ];
    match ask(&["--exec", "--workdir=/srv", "--", "command"], &set) {
        Ok(Request::Exec(config, first)) => {
            assert_eq!(
                config.user.map(|user| user.value).as_deref(),
                Some("app"),
                "its variable counts"
            );
            assert_eq!((config.workdir.as_deref(), first), (Some("/srv"), 3));
        }
        Ok(_) => panic!("no exec"),
        Err(Mistake { text, .. }) => panic!("{text}"),
    }
    assert_eq!(run(&["--exec=false", "--grace=5s", "command"], &[]).1, 2);
    assert_eq!(run(&["command"], &[("FRIGATE_INIT_EXEC", "1")]).1, 0);
    assert_eq!(
        refusal(&["--exec", "--grace=5s", "command"], &[]),
        "cannot use '--grace': it does not belong to --exec"
    );
    assert_eq!(
        refusal(&["--exec"], &[]),
        "cannot start 'COMMAND': none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]"
    );
}

#[test]
fn nothing_else_stands_beside_a_signal() {
    for (words, expected) in [
        (
            ["--signal=HUP", "-q"],
            "cannot use '--quiet': it does not belong to --signal",
        ),
        (
            ["--signal=HUP", "--health-timeout=1s"],
            "cannot use '--health-timeout': it does not belong to --signal",
        ),
        (
            ["--signal=HUP", "--probe=file:/a"],
            "cannot use '--signal': it does not belong to --probe",
        ),
        (
            ["--signal=HUP", "/bin/true"],
            "cannot start '/bin/true': --signal runs no command",
        ),
        (
            ["--signal=CHLD", "--"],
            "cannot use '--signal=CHLD': expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, \
             other than CHLD and STOP",
        ),
    ] {
        assert_eq!(refusal(&words, &[]), expected);
    }
}

#[test]
fn a_mistake_beside_a_probe_is_one_of_a_mode() {
    let is_mode = |words: &[&str]| {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        !super::report_of_mistake(&words, core::iter::empty()).is_end
    };
    assert!(is_mode(&["--probe=nonsense"]));
    assert!(is_mode(&["--grace=5s", "--probe", "nonsense", "--bogus"]));
    assert!(is_mode(&["--signal=nonsense"]));
    assert!(!is_mode(&["--grace=5s", "command", "--probe=nonsense"]));
    assert!(!is_mode(&["--", "--probe=nonsense"]));
}

// Spellings.

#[test]
fn both_spellings_and_the_variable_mean_the_same() {
    for (name, value, _) in VALUED {
        let one = meaning(&[&format!("--{name}={value}")], &[]);
        let two = meaning(&[&format!("--{name}"), value], &[]);
        let set = meaning(&[], &[(&variable(name), value)]);
        assert_eq!(one, two, "--{name}");
        assert_eq!(one, set, "--{name}");
        assert_ne!(one, meaning(&[], &[]), "--{name}={value} changes nothing");
    }
}

#[test]
fn a_variable_is_named_after_its_option() {
    assert_eq!(variable("grace"), "FRIGATE_INIT_GRACE");
    assert_eq!(
        variable("grace-close-wait"),
        "FRIGATE_INIT_GRACE_CLOSE_WAIT"
    );
    let spelled = |source| {
        Value {
            name: "stop-on",
            text: "HUP",
            source,
        }
        .spelled()
    };
    assert_eq!(spelled(Source::CommandLine), "--stop-on=HUP");
    assert_eq!(spelled(Source::Environment), "FRIGATE_INIT_STOP_ON=HUP");
}

#[test]
fn a_value_is_all_that_follows_the_first_equals_sign() {
    let with_equals = meaning(&["--termination-log", "/a=b=c"], &[]);
    assert_eq!(meaning(&["--termination-log=/a=b=c"], &[]), with_equals);
    assert!(with_equals.contains("\"/a=b=c\""), "{with_equals}");
}

#[test]
fn a_value_that_looks_like_an_option_is_a_value() {
    for value in [
        "--help",
        "-h",
        "help",
        "--kill",
        "--",
        "-",
        "-v",
        "--version",
        "--bogus",
    ] {
        let path = format!("Path({value:?})");
        for meaning in [
            meaning(&["--termination-log", value], &[]),
            meaning(&[&format!("--termination-log={value}")], &[]),
            meaning(&[], &[("FRIGATE_INIT_TERMINATION_LOG", value)]),
        ] {
            assert!(meaning.contains(&path), "{value}: {meaning}");
        }
    }
}

// The command line and the environment.

#[test]
fn the_command_line_wins() {
    for (name, typed, set) in VALUED {
        let option = format!("--{name}={typed}");
        assert_eq!(
            meaning(&[&option], &[(&variable(name), set)]),
            meaning(&[&option], &[]),
            "--{name}"
        );
    }
}

#[test]
fn the_command_line_wins_over_nonsense_too() {
    for (name, typed, _) in VALUED {
        let option = format!("--{name}={typed}");
        assert_eq!(
            meaning(&[&option], &[(&variable(name), "non:sense")]),
            meaning(&[&option], &[]),
            "--{name}"
        );
    }
    for flag in SWITCHES
        .iter()
        .filter(|name| **name != "grace-close")
        .map(|name| format!("--{name}"))
    {
        let nonsense = [(variable(&flag[2..]), "nonsense")];
        let nonsense = nonsense
            .each_ref()
            .map(|(name, value)| (name.as_str(), *value));
        assert_eq!(
            meaning(&[&flag], &nonsense),
            meaning(&[&flag], &[]),
            "{flag}"
        );
    }
    assert_eq!(
        meaning(&["-v"], &[("FRIGATE_INIT_VERBOSE", "nonsense")]),
        meaning(&["-v"], &[])
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let names: Vec<String> = VALUED
        .iter()
        .map(|(name, ..)| *name)
        .chain(SWITCHES)
        .chain(["verbose"])
        .map(variable)
        .collect();
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(meaning(&[], &empty), meaning(&[], &[]));
}

#[test]
fn no_other_variable_means_anything() {
    let others = [
        ("FRIGATE_INIT_HELP", "1"),
        ("FRIGATE_INIT_VERSION", "1"),
        ("FRIGATE_INIT_", "x"),
        ("FRIGATE_GRACE", "7s"),
        ("GRACE", "7s"),
    ];
    assert_eq!(meaning(&[], &others), meaning(&[], &[]));
}

#[test]
fn a_flag_is_switched_by_words() {
    for name in SWITCHES {
        let flag = format!("--{name}");
        let config =
            |words: &[&str], variables: &[(&str, &str)]| format!("{:?}", run(words, variables).0);
        let (on, off) = (config(&[&flag, "command"], &[]), config(&["command"], &[]));
        assert_ne!(on, off, "{flag} changes nothing");
        for word in ["1", "true", "yes", "on", "TRUE", "Yes", "oN"] {
            assert_eq!(
                config(&["command"], &[(&variable(name), word)]),
                on,
                "{flag}: {word}"
            );
            assert_eq!(
                config(&[&format!("{flag}={word}"), "command"], &[]),
                on,
                "{flag}={word}"
            );
        }
        for word in ["0", "false", "no", "off", "FALSE", "No", "oFF"] {
            assert_eq!(
                config(&["command"], &[(&variable(name), word)]),
                off,
                "{flag}: {word}"
            );
            assert_eq!(
                config(&[&format!("{flag}={word}"), "command"], &[]),
                off,
                "{flag}={word}"
            );
            assert_eq!(
                config(&[&flag, "command"], &[(&variable(name), word)]),
                on,
                "{flag} wins over {word}"
            );
        }
        let denied = format!("{flag}=false");
        assert_eq!(
            config(&[&denied, "command"], &[(&variable(name), "1")]),
            off,
            "{denied} wins over 1"
        );
        for word in ["2", "-1", "y", "enabled", " ", "true ", "1,0"] {
            let expected = "expected 1, true, yes, on, or 0, false, no, off";
            let text = refusal(&["command"], &[(&variable(name), word)]);
            assert_eq!(
                text,
                format!("cannot use '{}={word}': {expected}", variable(name))
            );
            let typed = format!("{flag}={word}");
            assert_eq!(
                refusal(&[&typed, "command"], &[]),
                format!("cannot use '{typed}': {expected}")
            );
        }
    }
}

#[test]
fn cgroup_files_are_separated_by_newlines_in_the_environment() {
    let typed = meaning(
        &[
            "--cgroup=io.max=8:0 rbps=1,wbps=2",
            "--cgroup",
            "cpuset.cpus=0,2",
        ],
        &[],
    );
    for set in [
        "io.max=8:0 rbps=1,wbps=2\ncpuset.cpus=0,2",
        // A YAML block looks like this.
        "io.max=8:0 rbps=1,wbps=2\ncpuset.cpus=0,2\n",
    ] {
        assert_eq!(
            meaning(&[], &[("FRIGATE_INIT_CGROUP", set)]),
            typed,
            "{set:?}"
        );
    }
    // Elsewhere they separate nothing, and are part of the value.
    assert!(
        refusal(&["command"], &[("FRIGATE_INIT_REWRITE", "HUP:QUIT\n")])
            .starts_with("cannot use 'FRIGATE_INIT_REWRITE=")
    );
    let text = refusal(
        &["command"],
        &[("FRIGATE_INIT_CGROUP", "io.max=1\n\ncpuset.cpus=0")],
    );
    assert!(
        text.starts_with("cannot use 'FRIGATE_INIT_CGROUP=': expected FILE=VALUE"),
        "{text}"
    );
}

#[test]
fn repeatable_options_are_separated_by_commas_in_the_environment() {
    let table = [
        (
            "rewrite",
            "HUP:QUIT,USR1:0",
            ["--rewrite=HUP:QUIT", "--rewrite=USR1:0"],
        ),
        (
            "remap-exit",
            "143,3:7",
            ["--remap-exit=143", "--remap-exit=3:7"],
        ),
    ];
    for (name, value, typed) in table {
        assert_eq!(
            meaning(&[], &[(&variable(name), value)]),
            meaning(&typed, &[]),
            "{name}"
        );
        assert_ne!(
            meaning(&typed, &[]),
            meaning(&[typed[0]], &[]),
            "{name}: the second rule changes nothing"
        );
        assert_ne!(
            meaning(&typed, &[]),
            meaning(&[typed[1]], &[]),
            "{name}: the first rule changes nothing"
        );
    }
}

#[test]
fn typed_rules_replace_those_of_the_environment() {
    let set = [
        ("FRIGATE_INIT_REWRITE", "HUP:QUIT"),
        ("FRIGATE_INIT_REMAP_EXIT", "143"),
    ];
    let typed = ["--rewrite=USR1:0", "--remap-exit=3"];
    assert_eq!(meaning(&typed, &set), meaning(&typed, &[]));
}

// How much is said.

#[test]
fn verbosity_is_counted_however_it_is_typed_or_set() {
    let table: [(&[&str], Level); 12] = [
        (&[], Level::Warning),
        (&["-v"], Level::Info),
        (&["--verbose"], Level::Info),
        (&["-vv"], Level::Debug),
        (&["-v", "-v"], Level::Debug),
        (&["--verbose", "--verbose"], Level::Debug),
        (&["-v", "--verbose"], Level::Debug),
        (&["-vvvvvv"], Level::Debug),
        (&["-q"], Level::Error),
        (&["--quiet"], Level::Error),
        (&["-v", "--kill"], Level::Info),
        (&["--kill", "-q"], Level::Error),
    ];
    for (options, level) in table {
        let words: Vec<&str> = options.iter().chain(&["command"]).copied().collect();
        assert_eq!(run(&words, &[]).0.verbosity, level, "{options:?}");
    }
    for (value, level) in [
        ("0", Level::Warning),
        ("1", Level::Info),
        ("2", Level::Debug),
        ("9", Level::Debug),
    ] {
        assert_eq!(
            run(&["command"], &[("FRIGATE_INIT_VERBOSE", value)])
                .0
                .verbosity,
            level,
            "{value}"
        );
    }
}

#[test]
fn three_hundred_letters_are_as_good_as_two() {
    let many = format!("-{}", "v".repeat(300));
    assert_eq!(run(&[&many, "command"], &[]).0.verbosity, Level::Debug);
}

#[test]
fn the_verbosity_variable_is_a_number() {
    for value in ["10", "-1", "+1", "true", "1.5", "v", "256", " 1"] {
        let text = refusal(&["command"], &[("FRIGATE_INIT_VERBOSE", value)]);
        assert_eq!(
            text,
            format!("cannot use 'FRIGATE_INIT_VERBOSE={value}': expected a number from 0 to 9")
        );
    }
}

#[test]
fn typed_verbosity_wins_over_either_variable() {
    let quiet_set = [("FRIGATE_INIT_QUIET", "1")];
    let verbose_set = [("FRIGATE_INIT_VERBOSE", "2")];
    assert_eq!(run(&["-v", "command"], &quiet_set).0.verbosity, Level::Info);
    assert_eq!(
        run(&["-q", "command"], &verbose_set).0.verbosity,
        Level::Error
    );
    assert_eq!(
        run(&["-v", "command"], &verbose_set).0.verbosity,
        Level::Info
    );
}

#[test]
fn quiet_and_verbose_together_are_a_mistake() {
    for words in [
        ["-q", "-v"],
        ["-v", "-q"],
        ["--quiet", "--verbose"],
        ["-vq", "--kill"],
    ] {
        let text = refusal(&[words[0], words[1], "command"], &[]);
        assert!(
            text.contains("--quiet") && text.contains("--verbose"),
            "{text}"
        );
    }
}

#[test]
fn quiet_and_verbose_together_in_the_environment_are_a_mistake_of_the_environment() {
    let text = refusal(
        &["command"],
        &[("FRIGATE_INIT_QUIET", "1"), ("FRIGATE_INIT_VERBOSE", "1")],
    );
    assert!(
        text.contains("FRIGATE_INIT_QUIET") && text.contains("FRIGATE_INIT_VERBOSE"),
        "{text}"
    );
}

// The end of the options.

#[test]
fn a_flag_given_twice_is_refused_in_every_spelling() {
    for words in [
        ["-q", "-q"],
        ["-q", "--quiet"],
        ["--quiet", "-q"],
        ["--quiet", "--quiet"],
        ["--kill", "--kill=false"],
    ] {
        let text = refusal(&[words[0], words[1], "command"], &[]);
        assert!(text.contains("it was given before"), "{text}");
    }
    assert!(refusal(&["-qq", "command"], &[]).contains("it was given before"));
}

#[test]
fn options_end_at_two_dashes_or_at_the_first_word_without_a_dash() {
    let table: [(&[&str], usize); 14] = [
        (&["command"], 0),
        (&["--", "command"], 1),
        (&["--kill", "command"], 1),
        (&["--kill", "--", "command"], 2),
        (&["command", "--kill", "--bogus"], 0),
        (&["command", "--", "--bogus"], 0),
        (&["--", "--kill"], 1),
        (&["--", "-h"], 1),
        (&["--", "--"], 1),
        (&["--", "--", "command"], 1),
        (&["--grace", "5s", "command", "--help"], 2),
        (&["--grace=5s", "-v", "command"], 2),
        (&["", "argument"], 0),
        (&["--", ""], 1),
    ];
    for (words, first) in table {
        assert_eq!(run(words, &[]).1, first, "{words:?}");
    }
}

#[test]
fn what_follows_the_command_is_no_option() {
    assert_eq!(
        meaning(&["command", "--kill", "--grace=bad"], &[]),
        meaning(&[], &[])
    );
    assert_eq!(meaning(&["--", "--kill", "--help"], &[]), meaning(&[], &[]));
}

#[test]
fn a_command_and_arguments_that_are_not_utf_8_pass() {
    let table: [&[&[u8]]; 4] = [
        &[b"\xff\xfe"],
        &[b"--", b"-\xff"],
        &[b"command", b"\xff", b"--\xff"],
        &[b"--kill", b"--", b"--\xff=\xff"],
    ];
    for words in table {
        assert!(
            matches!(read_all(words, &[]), Ok(Request::Run(..))),
            "{words:?}"
        );
    }
}

// Help and version.

#[test]
fn help_and_version_win() {
    let help: [&[&str]; 7] = [
        &["--help"],
        &["-h"],
        &["--help", "--bogus"],
        &["--kill", "--help", "command"],
        &["--grace=nonsense", "--help"],
        &["-v", "-h", "--version"],
        &["--quiet", "--verbose", "--help"],
    ];
    for words in help {
        assert!(
            matches!(
                ask(words, &[("FRIGATE_INIT_GRACE", "nonsense")]),
                Ok(Request::Help)
            ),
            "{words:?}"
        );
    }
    let version: [&[&str]; 4] = [
        &["--version"],
        &["--version", "--bogus"],
        &["--grace=nonsense", "--version"],
        &["--version", "--help"],
    ];
    for words in version {
        assert!(
            matches!(
                ask(words, &[("FRIGATE_INIT_GRACE", "nonsense")]),
                Ok(Request::Version)
            ),
            "{words:?}"
        );
    }
}

#[test]
fn help_and_version_behind_the_command_are_the_commands() {
    for words in [
        ["command", "--help"],
        ["command", "-h"],
        ["--", "--version"],
        ["--", "--help"],
    ] {
        assert!(
            matches!(ask(&words, &[]), Ok(Request::Run(..))),
            "{words:?}"
        );
    }
}

#[test]
fn the_help_names_every_option_and_what_its_value_is() {
    let text = help();
    for (name, ..) in VALUED {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("--{name} ")));
        let value = line.and_then(|line| line.trim_start().split(' ').nth(1));
        assert!(
            value.is_some_and(|value| value.chars().any(char::is_uppercase)),
            "--{name}: {line:?}"
        );
    }
    for name in SWITCHES.iter().chain(&["verbose", "help", "version"]) {
        assert!(
            text.lines()
                .any(|line| line.ends_with(&format!("--{name}"))
                    || line.contains(&format!("--{name},"))),
            "--{name}"
        );
    }
    assert!(text.starts_with("Usage: frigate [OPTIONS] [--] COMMAND [ARG...]\n"));
    assert!(
        text.ends_with('\n')
            && text
                .lines()
                .all(|line| line.len() <= 120 && line == line.trim_end()),
        "{text}"
    );
}

// Mistakes.

#[test]
fn without_a_command_nothing_can_be_started() {
    let table: [&[&str]; 4] = [&[], &["--"], &["--kill"], &["--grace", "5s", "--"]];
    for words in table {
        let text = refusal(words, &[]);
        assert!(
            text.starts_with("cannot start 'COMMAND': none was given"),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_option_is_refused_by_its_name() {
    let words = [
        "--bogus",
        "--bogus=1",
        "--",
        "-x",
        "-vx",
        "-",
        "---",
        "--=",
        "--=x",
        "--kil",
        "--Kill",
        "--help=1",
        "-v=1",
        "-é",
    ];
    for word in words.iter().filter(|word| **word != "--") {
        let text = refusal(&[word, "command"], &[]);
        assert_eq!(
            text,
            format!("cannot use '{word}': there is no such option; see frigate --help")
        );
    }
}

#[test]
fn an_option_at_the_end_needs_a_value() {
    for (name, ..) in VALUED {
        let option = format!("--{name}");
        assert_eq!(
            refusal(&["-v", &option], &[]),
            format!("cannot use '{option}': it needs a value")
        );
    }
}

#[test]
fn verbosity_takes_no_value_since_it_is_repeated() {
    for value in ["", "1", "true"] {
        let option = format!("--verbose={value}");
        let expected = format!("cannot use '{option}': it takes no value; it may be repeated");
        assert_eq!(refusal(&[&option, "command"], &[]), expected);
    }
}

#[test]
fn an_option_that_is_given_twice_is_refused_unless_it_is_repeatable() {
    for (name, first, second) in VALUED {
        let (one, two) = (format!("--{name}={first}"), format!("--{name}={second}"));
        let separate = format!("--{name}");
        if REPEATABLE.contains(&name) {
            assert_ne!(
                meaning(&[&one, &two], &[]),
                meaning(&[&one], &[]),
                "{one} {two}"
            );
            continue;
        }
        for (words, named) in [
            ([one.as_str(), &two, "-v"], two.as_str()),
            ([&one, &separate, second], &separate),
        ] {
            let words: Vec<&str> = words.into_iter().chain(["command"]).collect();
            let text = refusal(&words, &[]);
            assert_eq!(
                text,
                format!("cannot use '{named}': it was given before, and counts only once")
            );
        }
    }
    for name in SWITCHES {
        let flag = format!("--{name}");
        let text = refusal(&[&flag, &flag, "command"], &[]);
        assert_eq!(
            text,
            format!("cannot use '{flag}': it was given before, and counts only once")
        );
    }
}

#[test]
fn what_is_not_utf_8_among_the_options_is_refused() {
    let text = |words: &[&[u8]], variables: &[(String, Vec<u8>)]| match read_all(words, variables) {
        Ok(_) => panic!("{words:?}, {variables:?}: accepted"),
        Err(Mistake { text, .. }) => text,
    };
    let table: [(&[&[u8]], &str); 4] = [
        (
            &[b"--\xff", b"command"],
            "cannot use '--\u{fffd}': it is not valid UTF-8",
        ),
        (
            &[b"-\xff", b"command"],
            "cannot use '-\u{fffd}': it is not valid UTF-8",
        ),
        (
            &[b"--grace=\xff", b"command"],
            "cannot use '--grace=\u{fffd}': it is not valid UTF-8",
        ),
        (
            &[b"--grace", b"\xff", b"command"],
            "cannot use '--grace=\u{fffd}': its value is not valid UTF-8",
        ),
    ];
    for (words, expected) in table {
        assert_eq!(text(words, &[]), expected);
    }
    let set = [("FRIGATE_INIT_GRACE".to_owned(), b"5\xffs".to_vec())];
    assert_eq!(
        text(&[b"command"], &set),
        "cannot use 'FRIGATE_INIT_GRACE=5\u{fffd}s': it is not valid UTF-8"
    );
}

#[test]
fn a_mistake_is_told_in_the_format_that_was_asked_for() {
    let format = |words: &[&str], variables: &[(&str, &str)]| {
        assert!(
            ask(words, variables).is_err(),
            "{words:?}, {variables:?}: accepted"
        );
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let entries: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        super::report_of_mistake(&words, entries.iter().map(String::as_bytes)).format
    };
    let json = [("FRIGATE_INIT_LOG_FORMAT", "json")];
    assert_eq!(
        format(&["--log-format=json", "--grace=bad", "command"], &[]),
        Format::Json
    );
    assert_eq!(
        format(&["--grace=bad", "--log-format=json", "command"], &[]),
        Format::Json
    );
    assert_eq!(format(&["--grace=bad", "command"], &json), Format::Json);
    assert_eq!(format(&[], &json), Format::Json);
    assert_eq!(
        format(&["--log-format=text", "--grace=bad", "command"], &json),
        Format::Text
    );
    assert_eq!(format(&["--grace=bad", "command"], &[]), Format::Text);
    assert_eq!(
        format(&["--log-format=xml", "command"], &json),
        Format::Text
    );
    assert_eq!(format(&["--log-format=json", "--bogus"], &[]), Format::Json);
    assert_eq!(format(&["--log-format=json", "--grace"], &[]), Format::Json);
    assert_eq!(format(&["--bogus"], &json), Format::Json);
    let empty_first = [("FRIGATE_INIT_LOG_FORMAT", ""), json[0]];
    assert_eq!(
        format(&["--grace=bad", "command"], &empty_first),
        Format::Json
    );
}

#[test]
fn a_huge_word_makes_a_short_line() {
    for huge in [
        "x".repeat(1_000_000),
        "\u{1b}".repeat(100_000),
        "é".repeat(100_000),
        "\n".repeat(5000),
    ] {
        for words in [
            [format!("--{huge}"), "-v".into()],
            [format!("--grace={huge}"), "-v".into()],
            ["--grace".into(), huge.clone()],
        ] {
            refusal(&[&words[0], &words[1], "command"], &[]);
        }
        for (name, ..) in VALUED {
            refusal(&["command"], &[(&variable(name), &huge)]);
        }
    }
}

// Anything at all.

fn any_word() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(
        VALUED
            .iter()
            .map(|(name, ..)| *name)
            .chain(SWITCHES)
            .chain(["verbose", "help", "version", "no"])
            .collect::<Vec<_>>(),
    );
    let option = (name, any_value(), any::<bool>()).prop_map(|(name, value, attached)| {
        if attached {
            format!("--{name}={value}")
        } else {
            format!("--{name}")
        }
        .into_bytes()
    });
    prop_oneof![
        4 => option,
        2 => any_value().prop_map(String::into_bytes),
        1 => "-{0,3}[a-z=]{0,4}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| [b"-", bytes.as_slice()].concat()),
    ]
}

/// Returns values that are nearly right, and values that are not.
fn any_value() -> impl Strategy<Value = String> {
    let good = VALUED
        .iter()
        .flat_map(|(_, one, two)| [*one, *two])
        .map(str::to_owned)
        .collect::<Vec<_>>();
    prop_oneof![
        3 => prop::sample::select(good),
        2 => "[0-9]{0,22}(\\.[0-9]{0,22})?(ms|s|m|h|d)?",
        2 => "(SIG|sig)?[A-Z0-9]{0,6}[:,+-]?[A-Z0-9]{0,6}",
        1 => "\\PC{0,30}",
        1 => any::<String>(),
    ]
}

fn any_environment() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop::sample::select(
        VALUED
            .iter()
            .map(|(name, ..)| *name)
            .chain(SWITCHES)
            .chain(["verbose"])
            .map(variable)
            .collect::<Vec<_>>(),
    );
    let value = prop_oneof![
        3 => any_value().prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec((name, value), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_words_and_no_environment_break_it(words in prop::collection::vec(any_word(), 0..8), set in any_environment()) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match read_all(&words, &set) {
            Ok(Request::Run(_, first)) => {
                prop_assert!(first < words.len());
                let ended = words.get(first.wrapping_sub(1)) == Some(&b"--".as_slice());
                prop_assert!(ended || words.get(first).is_some_and(|word| !word.starts_with(b"-")), "{first}");
            }
            Ok(Request::Probe(_) | Request::Status(_) | Request::Signal(_) | Request::Pause(_) | Request::Exec(..) | Request::Help | Request::Version) => {}
            Err(Mistake { text, .. }) => prop_assert!(is_one_short_line(&text), "{text:?}"),
        }
    }

    #[test]
    fn everything_behind_two_dashes_is_the_command(words in prop::collection::vec(any::<Vec<u8>>(), 1..6)) {
        let all: Vec<&[u8]> = [b"--kill".as_slice(), b"--"].into_iter().chain(words.iter().map(Vec::as_slice)).collect();
        let asked = read_all(&all, &[]);
        prop_assert!(matches!(asked, Ok(Request::Run(config, 2)) if config.rules.stop.kill));
    }

    /// Checks that any value, good or bad, means the same in all three places. Only the name of the
    /// place in the refusal differs.
    #[test]
    fn every_value_means_the_same_wherever_it_stands(
        (name, ..) in prop::sample::select(VALUED.to_vec()),
        value in any_value().prop_filter("empty means not set, commas separate, what is long is cut short", |value| {
            !value.is_empty() && !value.contains(',') && value.chars().count() < 80
        }),
    ) {
        let outcome = |words: &[&str], variables: &[(&str, &str)]| match ask(words, variables) {
            Ok(Request::Run(config, _)) => format!("{config:?}"),
            Ok(Request::Probe(_) | Request::Status(_) | Request::Signal(_) | Request::Pause(_) | Request::Exec(..) | Request::Help | Request::Version) => String::from("no command"),
            Err(Mistake { text, .. }) => text,
        };
        let one = outcome(&[&format!("--{name}={value}"), "command"], &[]);
        let two = outcome(&[&format!("--{name}"), &value, "command"], &[]);
        let set = outcome(&["command"], &[(&variable(name), &value)]);
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(one, set.replacen(&format!("{}=", variable(name)), &format!("--{name}="), 1));
    }
}

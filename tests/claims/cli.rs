//! Command line and environment: `doc/specification.md#command-line`.

mod anything;
mod environment;
mod mistakes;
mod privileges;
mod words;

use libtest_mimic::Trial;

use crate::support::Ended;

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

const BAD_TARGETS: &[&str] = &[
    "",
    "x",
    "http",
    "http://",
    "http://db/",
    "https://127.0.0.1/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://[::1/",
    "tcp://127.0.0.1",
    "unix:",
    "unix:relative",
    "file:",
    "file:relative",
    "exec:",
    "exec:'",
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
pub const OPTIONS: [Taker; 27] = [
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
        name: "stop-delay",
        good: &["0", "500ms", "1m"],
        bad: &["", "none", "-1s", "1x", "s"],
    },
    Taker {
        name: "restart-on",
        good: &["HUP", "HUP,USR1", "10,usr2", "RTMIN", "none"],
        bad: &["", ",", "HUP,", "KILL", "STOP", "CHLD", "TERM", "HUP,INT"],
    },
    Taker {
        name: "watch",
        good: &["/=HUP", "/etc/nothing=restart", "a=b=usr1", "..=RTMIN"],
        bad: &[
            "",
            "=",
            "/",
            "=HUP",
            "/=",
            "/=CHLD",
            "/=STOP",
            "/=Restart",
            "/=HUP,USR1",
        ],
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
        name: "health",
        good: &[
            "http://127.0.0.1:1/",
            "tcp://localhost:1",
            "unix:/no/such",
            "file:/dev/null",
            "exec:true",
        ],
        bad: BAD_TARGETS,
    },
    Taker {
        name: "health-interval",
        good: &["0", "500ms", "10s"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "health-retries",
        good: &["0", "3", "1000000"],
        bad: &["", "x", "-1", "1.5", "3s"],
    },
    Taker {
        name: "health-start",
        good: &["0", "30s"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "health-signal",
        good: &["QUIT", "SIGABRT", "3"],
        bad: BAD_SIGNALS,
    },
    Taker {
        name: "ready",
        good: &["file:/dev/null", "exec:true"],
        bad: BAD_TARGETS,
    },
    Taker {
        name: "ready-within",
        good: &["0", "60s"],
        bad: BAD_DURATIONS,
    },
    Taker {
        name: "health-timeout",
        good: &["0", "500ms", "3s"],
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

/// Returns the environment variable of an option.
fn variable(name: &str) -> String {
    format!("FRIGATE_INIT_{}", name.to_uppercase().replace('-', "_"))
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    words::trials(out);
    environment::trials(out);
    mistakes::trials(out);
    privileges::trials(out);
    anything::trials(out);
}

/// Checks that frigate refused a mistake: one clear line, exit code 125, and no child.
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

/// The script of a child that prints a line if it is started.
const STARTED: &str = "say started; exit 0";

/// Returns a script that ends with every option. If the option makes frigate restart it, the script
/// asks frigate to stop.
fn once(option: &str) -> &'static str {
    if option == "restart" {
        "say started; send parent TERM; wait TERM; exit 0"
    } else {
        STARTED
    }
}

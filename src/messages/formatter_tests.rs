#![allow(
    clippy::panic,
    reason = "a test that meets the wrong answer has failed"
)]

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Format, MessageContext, MessageFormatter};
use crate::core::action::SURVIVES_KILL;
use crate::core::errno::Errno;
use crate::core::fact::{Fact, Level, Trouble};
use crate::core::health::failure::CheckFailure;
use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure, Stage};
use crate::core::text::push_printable;
use crate::core::usage::Usage;
use crate::messages::check_failure::ReadableFailure;
use crate::messages::line::{Escaped, LIMIT, Line};
use crate::messages::timestamp;
use crate::messages::units::{ReadableDuration, ReadableSize};

/// 2026-03-01T12:00:00.250Z.
const TIME: (i64, u32) = (1_772_366_400, 250_999_999);

const MISSING: SpawnFailure = SpawnFailure {
    stage: Stage::Exec,
    errno: Errno::new(2),
};
const NO_PROCESS_LEFT: SpawnFailure = SpawnFailure {
    stage: Stage::Fork,
    errno: Errno::new(11),
};
const EXITED: ExitStatus = ExitStatus::Exited(3);
const KILLED: ExitStatus = ExitStatus::Signaled {
    signal: Signal::KILL,
    core: false,
};

fn pid() -> Pid {
    Pid::new(7).unwrap_or_else(|| panic!("7 is a process id"))
}

fn formatter(command: impl AsRef<[u8]>) -> MessageFormatter {
    MessageFormatter::new(names(command))
}

fn names(command: impl AsRef<[u8]>) -> MessageContext {
    let command = String::from_utf8_lossy(command.as_ref()).into_owned();
    MessageContext {
        command,
        user: "app".to_owned(),
        root: "/srv\nroot".to_owned(),
        directory: "/data".to_owned(),
        group: "/sys/fs/cgroup/server".to_owned(),
        health: "http://localhost/h".to_owned(),
        ready: "tcp://[::1]:80".to_owned(),
    }
}

#[test]
fn a_step_that_fails_is_named_with_its_object_and_the_reason() {
    let table = [
        (
            Stage::Root,
            2,
            "cannot change the root to '/srv\\nroot': no such file or directory",
        ),
        (
            Stage::Groups,
            1,
            "cannot take the groups of 'app': operation not permitted",
        ),
        (
            Stage::Group,
            1,
            "cannot take the group of 'app': operation not permitted",
        ),
        (
            Stage::User,
            1,
            "cannot become 'app': operation not permitted",
        ),
        (
            Stage::Directory,
            13,
            "cannot enter '/data': permission denied",
        ),
        (
            Stage::NoNewPrivileges,
            22,
            "cannot forbid new privileges to 'server': invalid argument",
        ),
    ];
    for (stage, errno, expected) in table {
        let failure = SpawnFailure {
            stage,
            errno: Errno::new(errno),
        };
        let code = Outcome::NotStarted(failure).code();
        let said = text(&formatter("server"), &Fact::NotStarted { failure, code });
        assert_eq!(
            said,
            format!("frigate: {expected}; ending with exit code 125\n")
        );
        assert_eq!(Outcome::NotStarted(failure).word(), "error");
    }
}

fn string(line: &Line) -> String {
    String::from_utf8(line.as_bytes().to_vec()).unwrap_or_else(|error| panic!("not UTF-8: {error}"))
}

fn text(formatter: &MessageFormatter, fact: &Fact<'_>) -> String {
    string(&formatter.line(fact, Format::Text, TIME))
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn json(formatter: &MessageFormatter, fact: &Fact<'_>) -> Value {
    parse(&string(&formatter.line(fact, Format::Json, TIME)))
}

const USAGE: Usage = Usage {
    out_of_memory: false,
    peak: Some(67_000_000),
    cpu: Some(Duration::from_millis(1200)),
    throttled: Some(Duration::from_millis(300)),
};

/// Returns every fact in every kind that reads differently: its text, and its own members in JSON.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table")]
fn facts() -> Vec<(Fact<'static>, &'static str, Value)> {
    let (pid, uptime, pause) = (pid(), Duration::from_millis(1500), Duration::from_millis(87));
    let grace = Duration::from_secs(30);
    let term = Signal::TERM;
    let some = Some(pid);
    vec![
        (Fact::Started { pid, restarts: 0 },
         "started 'server' (pid 7)",
         json!({"pid": 7, "restarts": 0})),
        (Fact::Started { pid, restarts: 2 },
         "started 'server' (pid 7), restart 2",
         json!({"pid": 7, "restarts": 2})),
        (Fact::Ended { pid: some, status: EXITED, uptime, usage: Usage::NONE },
         "'server' (pid 7) exited with code 3 after 1.5 s",
         json!({"exit_code": 3, "pid": 7, "uptime_ms": 1500})),
        (Fact::Ended { pid: None, status: KILLED, uptime, usage: Usage::NONE },
         "'server' was ended by KILL after 1.5 s",
         json!({"exit_code": 137, "signal": "KILL", "uptime_ms": 1500})),
        (Fact::Restarting { trouble: Trouble::Ended { pid: some, status: KILLED, uptime, usage: Usage::NONE }, pause: Duration::ZERO, failures: 0, limit: None },
         "'server' (pid 7) was ended by KILL after 1.5 s; starting it again at once",
         json!({"delay_ms": 0, "exit_code": 137, "failures": 0, "pid": 7, "signal": "KILL", "uptime_ms": 1500})),
        (Fact::Restarting { trouble: Trouble::Ended { pid: some, status: EXITED, uptime, usage: Usage::NONE }, pause, failures: 1, limit: Some(4) },
         "'server' (pid 7) exited with code 3 after 1.5 s; starting it again in 87 ms (failed start 1 of at most 4 in a row)",
         json!({"delay_ms": 87, "exit_code": 3, "failures": 1, "limit": 4, "pid": 7, "uptime_ms": 1500})),
        (Fact::Ended { pid: some, status: KILLED, uptime, usage: Usage { out_of_memory: true, ..Usage::NONE } },
         "'server' (pid 7) was ended by KILL after 1.5 s, out of memory",
         json!({"exit_code": 137, "oom_killed": true, "pid": 7, "signal": "KILL", "uptime_ms": 1500})),
        (Fact::Ended { pid: some, status: EXITED, uptime, usage: USAGE },
         "'server' (pid 7) exited with code 3 after 1.5 s (peak memory 63.8 MiB, CPU time 1.2 s, throttled 300 ms)",
         json!({"cpu_ms": 1200, "exit_code": 3, "memory_peak": 67_000_000, "pid": 7, "throttled_ms": 300, "uptime_ms": 1500})),
        (Fact::Restarting { trouble: Trouble::Ended { pid: some, status: KILLED, uptime, usage: Usage { out_of_memory: true, peak: None, ..USAGE } }, pause, failures: 1, limit: None },
         "'server' (pid 7) was ended by KILL after 1.5 s, out of memory (CPU time 1.2 s, throttled 300 ms); starting it again in 87 ms (failed start 1 in a row)",
         json!({"cpu_ms": 1200, "delay_ms": 87, "exit_code": 137, "failures": 1, "oom_killed": true, "pid": 7, "signal": "KILL", "throttled_ms": 300, "uptime_ms": 1500})),
        (Fact::Restarting { trouble: Trouble::NotStarted(NO_PROCESS_LEFT), pause, failures: 2, limit: None },
         "cannot fork to start 'server': resource temporarily unavailable (a limit on processes?); starting it again in 87 ms (failed start 2 in a row)",
         json!({"delay_ms": 87, "errno": 11, "failures": 2})),
        (Fact::GaveUp { failures: 4, last: Some(KILLED), code: 137 },
         "cannot keep 'server' running: 4 failed starts in a row, the last was ended by KILL; giving up with exit code 137",
         json!({"exit_code": 137, "failures": 4, "signal": "KILL"})),
        (Fact::GaveUp { failures: 4, last: None, code: 126 },
         "cannot start 'server': 4 failed starts in a row; giving up with exit code 126",
         json!({"exit_code": 126, "failures": 4})),
        (Fact::NotStarted { failure: MISSING, code: 127 },
         "cannot execute 'server': not found in PATH, or the interpreter or loader that it needs is missing; ending with exit code 127",
         json!({"errno": 2, "exit_code": 127})),
        (Fact::NotStarted { failure: NO_PROCESS_LEFT, code: 126 },
         "cannot fork to start 'server': resource temporarily unavailable (a limit on processes?); ending with exit code 126",
         json!({"errno": 11, "exit_code": 126})),
        (Fact::StopAsked { signal: term },
         "asked to stop by TERM",
         json!({"signal": "TERM"})),
        (Fact::StopDelayed { pid: some, delay: Duration::from_secs(5) },
         "'server' (pid 7) gets the stop signal in 5 s",
         json!({"delay_ms": 5000, "pid": 7})),
        (Fact::RestartAsked { signal: Signal::TSTP },
         "asked to restart by TSTP",
         json!({"signal": "TSTP"})),
        (Fact::Changed { path: "/etc/a \"b\"", signal: Some(term), pid },
         "'/etc/a \"b\"' has changed; sent TERM to 'server' (pid 7)",
         json!({"path": "/etc/a \"b\"", "pid": 7, "signal": "TERM"})),
        (Fact::Changed { path: "/etc/a", signal: None, pid },
         "'/etc/a' has changed; restarting 'server' (pid 7)",
         json!({"path": "/etc/a", "pid": 7})),
        (Fact::Forwarded { signal: term, pid },
         "forwarded TERM to 'server' (pid 7)",
         json!({"pid": 7, "signal": "TERM"})),
        (Fact::Dropped { signal: term, by_rule: true },
         "dropped TERM, as --rewrite has it",
         json!({"signal": "TERM"})),
        (Fact::Dropped { signal: term, by_rule: false },
         "dropped TERM: 'server' is not running",
         json!({"signal": "TERM"})),
        (Fact::Continued { pid },
         "continued 'server' (pid 7), which Ctrl-Z had stopped: nobody could resume it here",
         json!({"pid": 7})),
        (Fact::Killed { pid: some, grace },
         "'server' (pid 7) did not end within 30 s of the stop signal; sent KILL",
         json!({"grace_ms": 30000, "pid": 7})),
        (Fact::Ready { pid: some },
         "'server' (pid 7) is ready",
         json!({"pid": 7, "target": "tcp://[::1]:80"})),
        (Fact::Healthy { pid: some, again: false },
         "'server' (pid 7) is healthy",
         json!({"pid": 7, "target": "http://localhost/h"})),
        (Fact::Healthy { pid: some, again: true },
         "'server' (pid 7) is healthy again",
         json!({"pid": 7, "target": "http://localhost/h"})),
        (Fact::NotReady { pid: some, within: grace, failure: Some(CheckFailure::Refused { verb: "connect", errno: Errno::new(111) }), signal: term },
         "'server' (pid 7) was not ready within 30 s: 'tcp://[::1]:80': cannot connect: connection refused; sent TERM",
         json!({"pid": 7, "signal": "TERM", "target": "tcp://[::1]:80", "within_ms": 30000})),
        (Fact::NotReady { pid: some, within: grace, failure: None, signal: term },
         "'server' (pid 7) was not ready within 30 s: 'tcp://[::1]:80': no READY=1; sent TERM",
         json!({"pid": 7, "signal": "TERM", "target": "tcp://[::1]:80", "within_ms": 30000})),
        (Fact::Unhealthy { pid: some, failure: CheckFailure::TimedOut { timeout: Duration::from_secs(3) }, failures: 3, signal: Signal::QUIT },
         "'server' (pid 7) is unhealthy: 'http://localhost/h': no answer within 3 s, 3 times in a row; sent QUIT",
         json!({"failures": 3, "pid": 7, "signal": "QUIT", "target": "http://localhost/h"})),
        (Fact::Unhealthy { pid: some, failure: CheckFailure::Triggered, failures: 1, signal: term },
         "'server' (pid 7) is unhealthy: 'http://localhost/h': WATCHDOG=trigger; sent TERM",
         json!({"failures": 1, "pid": 7, "signal": "TERM", "target": "http://localhost/h"})),
        (Fact::ChildStatus { text: "half\ndone\u{1b}[1m" },
         "'server' reports: half\\ndone\\u{1b}[1m",
         json!({})),
        (Fact::EndingLeftovers,
         "sent TERM to what 'server' left running",
         json!({})),
        (Fact::LeftoversKilled { grace },
         "what 'server' left running did not end within its grace period of 30 s; sent KILL",
         json!({"grace_ms": 30000})),
        (Fact::LeftBehind { pid: some, reason: SURVIVES_KILL },
         "cannot end 'server' (pid 7): it does not die of KILL; leaving it behind",
         json!({"pid": 7})),
        (Fact::LeftBehind { pid: None, reason: SURVIVES_KILL },
         "cannot end what 'server' left running: it does not die of KILL; leaving it behind",
         json!({})),
        (Fact::OtherSignaled { signal: term, pid, wait: grace },
         "sent TERM to pid 7, another 'server', to end it before the start; it has 30 s",
         json!({"pid": 7, "signal": "TERM"})),
        (Fact::OtherSignaled { signal: Signal::KILL, pid, wait: Duration::ZERO },
         "sent KILL to pid 7, another 'server', to end it before the start",
         json!({"pid": 7, "signal": "KILL"})),
        (Fact::OthersLeft,
         "cannot end every other 'server': not even by KILL; starting all the same",
         json!({})),
        (Fact::NotInit,
         "this frigate is not PID 1: it reaps its own descendants alone",
         json!({})),
        (Fact::GroupAdopted,
         "'/sys/fs/cgroup/server' holds processes of an earlier run; ending them before the start",
         json!({})),
        (Fact::Limit { verb: "apply", object: "--memory-max=1G", reason: "'/x': busy", then: "starting without it" },
         "cannot apply '--memory-max=1G': '/x': busy; starting without it",
         json!({})),
        (Fact::Orphan { pid, status: KILLED },
         "reaped orphan 7, which was ended by KILL",
         json!({"exit_code": 137, "pid": 7, "signal": "KILL"})),
        (Fact::CannotSignal { signal: term, pid, errno: Errno::new(1) },
         "cannot send TERM to 'server' (pid 7): operation not permitted; going on without",
         json!({"errno": 1, "pid": 7, "signal": "TERM"})),
        (Fact::Cannot { verb: "write to", object: "/log", errno: Errno::new(30), then: "going on" },
         "cannot write to '/log': read-only file system; going on",
         json!({"errno": 30})),
        (Fact::MessagesDropped { count: 12 },
         "cannot write to 'standard error': it was full; 12 messages were dropped",
         json!({"count": 12})),
        (Fact::LogDropped { file: "/logs/out", count: 4096, errno: Errno::new(28) },
         "cannot write to '/logs/out': no space left on the device; dropped 4096 bytes",
         json!({"count": 4096, "errno": 28})),
        (Fact::Impossible { state: "ready", event: "ended" },
         "ignored 'ended' in state 'ready', where it cannot happen; please report this",
         json!({})),
        (Fact::Finished { outcome: Outcome::Complete(EXITED), code: 3 },
         "complete, exit code 3: 'server' exited with code 3",
         json!({"exit_code": 3, "outcome": "complete"})),
        (Fact::Finished { outcome: Outcome::Cancel { last: Some(KILLED), stop: term }, code: 137 },
         "cancel, exit code 137: asked to stop by TERM; 'server' was ended by KILL",
         json!({"exit_code": 137, "outcome": "cancel", "signal": "KILL"})),
    ]
}

/// Returns the number of a kind of fact. A new kind does not compile until it is here, and then
/// fails until it has a fact above.
fn kind(fact: &Fact<'_>) -> usize {
    match fact {
        Fact::Started { .. } => 0,
        Fact::Ended { .. } => 1,
        Fact::Restarting { .. } => 2,
        Fact::GaveUp { .. } => 3,
        Fact::NotStarted { .. } => 4,
        Fact::StopAsked { .. } => 5,
        Fact::Forwarded { .. } => 6,
        Fact::Dropped { .. } => 7,
        Fact::Continued { .. } => 8,
        Fact::Killed { .. } => 9,
        Fact::EndingLeftovers => 10,
        Fact::LeftoversKilled { .. } => 11,
        Fact::LeftBehind { .. } => 12,
        Fact::OtherSignaled { .. } => 13,
        Fact::OthersLeft => 14,
        Fact::Orphan { .. } => 15,
        Fact::CannotSignal { .. } => 16,
        Fact::Cannot { .. } => 17,
        Fact::MessagesDropped { .. } => 18,
        Fact::Impossible { .. } => 19,
        Fact::Finished { .. } => 20,
        Fact::GroupAdopted => 21,
        Fact::Limit { .. } => 22,
        Fact::LogDropped { .. } => 23,
        Fact::Ready { .. } => 24,
        Fact::Healthy { .. } => 25,
        Fact::NotReady { .. } => 26,
        Fact::Unhealthy { .. } => 27,
        Fact::ChildStatus { .. } => 28,
        Fact::StopDelayed { .. } => 29,
        Fact::RestartAsked { .. } => 30,
        Fact::NotInit => 31,
        Fact::Changed { .. } => 32,
    }
}

const KINDS: usize = 33;

#[test]
fn every_kind_of_fact_is_told_here_and_has_a_name_of_its_own() {
    let kinds: BTreeSet<usize> = facts().iter().map(|(fact, ..)| kind(fact)).collect();
    assert_eq!(kinds, (0..KINDS).collect());
    let names: BTreeSet<&str> = facts().iter().map(|(fact, ..)| fact.event()).collect();
    assert_eq!(names.len(), KINDS);
    assert!(
        names
            .iter()
            .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')),
        "{names:?}"
    );
}

// Text.

#[test]
fn every_fact_reads_as_one_line() {
    for (fact, expected, _) in facts() {
        assert_eq!(
            text(&formatter("server"), &fact),
            format!("frigate: {expected}\n")
        );
    }
}

#[test]
fn every_refusal_and_failure_says_what_cannot_be_done_to_what() {
    for (fact, expected, _) in facts() {
        let tells_of_failure = matches!(
            fact,
            Fact::GaveUp { .. }
                | Fact::NotStarted { .. }
                | Fact::CannotSignal { .. }
                | Fact::Cannot { .. }
                | Fact::Limit { .. }
        );
        assert!(
            !tells_of_failure || expected.starts_with("cannot "),
            "{expected}"
        );
        assert!(
            !expected.ends_with('.') && !expected.starts_with(char::is_uppercase),
            "{expected}"
        );
    }
}

#[test]
fn spans_read_as_people_say_them() {
    let table = [
        (0, "0 ms"),
        (1, "1 ms"),
        (87, "87 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (1049, "1 s"),
        (1500, "1.5 s"),
        (1999, "1.9 s"),
        (3200, "3.2 s"),
        (30_000, "30 s"),
        (59_900, "59.9 s"),
        (60_000, "60 s"),
        (60_900, "60 s"),
        (3_600_000, "3600 s"),
    ];
    for (millis, expected) in table {
        assert_eq!(
            ReadableDuration(Duration::from_millis(millis)).to_string(),
            expected
        );
    }
    assert_eq!(
        ReadableDuration(Duration::from_micros(999)).to_string(),
        "0 ms"
    );
    assert!(ReadableDuration(Duration::MAX).to_string().ends_with(" s"));
}

#[test]
fn a_missing_command_is_told_by_where_it_was_looked_for() {
    let said = |command: &str| {
        text(
            &formatter(command),
            &Fact::NotStarted {
                failure: MISSING,
                code: 127,
            },
        )
    };
    assert!(
        said("server").contains("'server': not found in PATH"),
        "{}",
        said("server")
    );
    assert!(
        said("./server").contains("'./server': no such file"),
        "{}",
        said("./server")
    );
}

// Levels.

#[test]
fn what_quiet_leaves_is_errors_giving_up_and_refusals() {
    for (fact, ..) in facts() {
        let error = matches!(fact, Fact::GaveUp { .. } | Fact::NotStarted { .. });
        assert_eq!(fact.level() == Level::Error, error, "{fact:?}");
    }
}

#[test]
fn a_good_run_says_nothing_without_verbose() {
    let good = [
        Fact::Started {
            pid: pid(),
            restarts: 0,
        },
        Fact::Forwarded {
            signal: Signal::TERM,
            pid: pid(),
        },
        Fact::Dropped {
            signal: Signal::TERM,
            by_rule: true,
        },
        Fact::StopAsked {
            signal: Signal::TERM,
        },
        Fact::Ended {
            pid: None,
            status: EXITED,
            uptime: Duration::ZERO,
            usage: Usage::NONE,
        },
        Fact::StopDelayed {
            pid: None,
            delay: Duration::from_secs(5),
        },
        Fact::RestartAsked {
            signal: Signal::TSTP,
        },
        Fact::Changed {
            path: "/etc/a",
            signal: Some(Signal::TERM),
            pid: pid(),
        },
        Fact::Ready { pid: None },
        Fact::Healthy {
            pid: None,
            again: true,
        },
        Fact::ChildStatus { text: "up" },
        Fact::EndingLeftovers,
        Fact::Orphan {
            pid: pid(),
            status: EXITED,
        },
        Fact::Finished {
            outcome: Outcome::Complete(EXITED),
            code: 3,
        },
    ];
    for fact in good {
        assert!(fact.level() > Level::Warning, "{fact:?}");
    }
    // Reaped orphans are for -vv: a container may have thousands.
    assert_eq!(
        Fact::Orphan {
            pid: pid(),
            status: EXITED
        }
        .level(),
        Level::Debug
    );
}

// JSON.

#[test]
fn every_fact_is_one_json_object_with_its_facts_as_members() {
    for (fact, message, facts) in facts() {
        let line = string(&formatter("server").line(&fact, Format::Json, TIME));
        assert!(
            line.ends_with("}\n") && line.matches('\n').count() == 1,
            "{line}"
        );
        let level = match fact.level() {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        let mut expected = json!({
            "time": "2026-03-01T12:00:00.250Z",
            "level": level,
            "event": fact.event(),
            "command": "server",
            "message": message,
        });
        if let (Some(all), Some(own)) = (expected.as_object_mut(), facts.as_object()) {
            all.extend(own.clone());
        }
        assert_eq!(parse(&line), expected);
        // A parser would take the last of two members of one name in silence.
        for name in expected
            .as_object()
            .into_iter()
            .flat_map(|members| members.keys())
        {
            assert_eq!(
                line.matches(&format!("\"{name}\":")).count(),
                1,
                "{name} in {line}"
            );
        }
    }
}

#[test]
fn the_json_message_is_the_text() {
    for command in [
        "server",
        "a 'quoted' \"name\"\\",
        "\u{1b}[1m\nbold",
        "привет",
    ] {
        for (fact, ..) in facts() {
            let message = json(&formatter(command), &fact).get("message").cloned();
            let expected = text(&formatter(command), &fact);
            let expected = expected
                .strip_prefix("frigate: ")
                .and_then(|line| line.strip_suffix('\n'));
            assert_eq!(message.as_ref().and_then(Value::as_str), expected);
        }
    }
}

#[test]
fn the_exit_code_is_the_one_that_the_core_decided() {
    let formatter = formatter("server");
    let outcome = Outcome::Complete(EXITED);
    let facts = [
        (
            Fact::GaveUp {
                failures: 4,
                last: Some(EXITED),
                code: 77,
            },
            77,
        ),
        (
            Fact::NotStarted {
                failure: MISSING,
                code: 0,
            },
            0,
        ),
        (Fact::Finished { outcome, code: 77 }, 77),
    ];
    for (fact, code) in facts {
        assert!(
            text(&formatter, &fact).contains(&format!("exit code {code}")),
            "{}",
            text(&formatter, &fact)
        );
        assert_eq!(json(&formatter, &fact).get("exit_code"), Some(&json!(code)));
    }
    // The child's own code stays what it was.
    let ended = Fact::Ended {
        pid: Some(pid()),
        status: EXITED,
        uptime: Duration::ZERO,
        usage: Usage::NONE,
    };
    assert!(text(&formatter, &ended).contains("exited with code 3"));
    assert_eq!(json(&formatter, &ended).get("exit_code"), Some(&json!(3)));
    let line = formatter.termination(outcome, 77, 0, false);
    assert_eq!(parse(&string(&line)).get("exit_code"), Some(&json!(77)));
}

// Time.

fn time(seconds: i64, nanos: u32) -> String {
    let mut text = String::new();
    let _ = timestamp::write((seconds, nanos), &mut text);
    text
}

#[test]
fn times_are_rfc_3339_in_utc() {
    let table = [
        (0, 0, "1970-01-01T00:00:00.000Z"),
        (-1, 999_999_999, "1969-12-31T23:59:59.999Z"),
        (86_399, 1_000_000, "1970-01-01T23:59:59.001Z"),
        (68_169_599, 0, "1972-02-28T23:59:59.000Z"),
        (68_169_600, 0, "1972-02-29T00:00:00.000Z"),
        (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
        (951_868_800, 0, "2000-03-01T00:00:00.000Z"),
        (1_000_000_000, 500_000_000, "2001-09-09T01:46:40.500Z"),
        (1_709_164_800, 0, "2024-02-29T00:00:00.000Z"),
        (1_772_366_400, 250_999_999, "2026-03-01T12:00:00.250Z"),
        (2_147_483_647, 0, "2038-01-19T03:14:07.000Z"),
        (4_107_542_399, 0, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999Z"),
    ];
    for (seconds, nanos, expected) in table {
        assert_eq!(time(seconds, nanos), expected);
    }
}

#[test]
fn every_day_of_eight_thousand_years_follows_the_one_before() {
    let (mut year, mut month, mut day) = (1970, 1, 1);
    let mut expected = String::new();
    let mut written = String::new();
    for number in 0.. {
        written.clear();
        expected.clear();
        let _ = timestamp::write((number * 86_400, 0), &mut written);
        let _ = write!(expected, "{year:04}-{month:02}-{day:02}T00:00:00.000Z");
        assert_eq!(written, expected);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (day, month, year) = match (day == days, month) {
            (false, _) => (day + 1, month, year),
            (true, 12) => (1, 1, year + 1),
            (true, _) => (1, month + 1, year),
        };
        if year == 9999 {
            break;
        }
    }
}

#[test]
fn no_time_makes_the_writer_panic() {
    for seconds in [
        i64::MIN,
        i64::MIN + 1,
        -62_135_596_800,
        -1,
        253_402_300_800,
        i64::MAX - 1,
        i64::MAX,
    ] {
        assert!(time(seconds, u32::MAX).ends_with('Z'));
    }
}

// The termination message.

fn termination(formatter: &MessageFormatter, outcome: Outcome, restarts: u32) -> Value {
    parse(&string(&formatter.termination(
        outcome,
        outcome.code(),
        restarts,
        false,
    )))
}

#[test]
fn every_failure_of_a_check_reads_as_one_clause() {
    let span = Duration::from_millis(2500);
    let table = [
        (
            CheckFailure::Refused {
                verb: "connect",
                errno: Errno::new(111),
            },
            "cannot connect: connection refused",
        ),
        (
            CheckFailure::TimedOut { timeout: span },
            "no answer within 2.5 s",
        ),
        (CheckFailure::Status(503), "status 503"),
        (
            CheckFailure::Closed,
            "closed before the status line was complete",
        ),
        (CheckFailure::NotHttp, "the answer is not HTTP"),
        (CheckFailure::Stale { age: span }, "last modified 2.5 s ago"),
        (CheckFailure::Ended(EXITED), "exited with code 3"),
        (CheckFailure::Ended(KILLED), "was ended by KILL"),
        (
            CheckFailure::NotStarted(MISSING),
            "cannot be started: no such file or directory",
        ),
        (
            CheckFailure::Silent { interval: span },
            "no WATCHDOG=1 within 2.5 s",
        ),
        (CheckFailure::Triggered, "WATCHDOG=trigger"),
    ];
    for (failure, expected) in table {
        assert_eq!(ReadableFailure(failure).to_string(), expected);
    }
}

#[test]
fn the_termination_message_tells_how_it_ended() {
    let term = Signal::TERM;
    let table = [
        (
            Outcome::Complete(EXITED),
            "complete",
            3,
            None,
            "'server' exited with code 3",
        ),
        (
            Outcome::Complete(KILLED),
            "complete",
            137,
            Some("KILL"),
            "'server' was ended by KILL",
        ),
        (
            Outcome::Cancel {
                last: Some(KILLED),
                stop: term,
            },
            "cancel",
            137,
            Some("KILL"),
            "asked to stop by TERM; 'server' was ended by KILL",
        ),
        (
            Outcome::Cancel {
                last: None,
                stop: term,
            },
            "cancel",
            143,
            None,
            "asked to stop by TERM before 'server' ever ran",
        ),
        (
            Outcome::Unhealthy {
                last: EXITED,
                was_ready: true,
            },
            "unhealthy",
            3,
            None,
            "'server' was unhealthy; it exited with code 3",
        ),
        (
            Outcome::Unhealthy {
                last: ExitStatus::Exited(0),
                was_ready: false,
            },
            "unhealthy",
            1,
            None,
            "'server' was not ready in time; it exited with code 0",
        ),
        (
            Outcome::GaveUp { last: Some(EXITED) },
            "gave-up",
            3,
            None,
            "cannot keep 'server' running: too many failed starts in a row, the last exited with code 3",
        ),
        (
            Outcome::GaveUp { last: None },
            "gave-up",
            126,
            None,
            "cannot start 'server': too many failed starts in a row",
        ),
        (
            Outcome::NotStarted(MISSING),
            "not-started",
            127,
            None,
            "cannot execute 'server': not found in PATH, or the interpreter or loader that it needs is missing",
        ),
    ];
    for (outcome, word, code, signal, message) in table {
        let expected = json!({
            "outcome": word,
            "exit_code": code,
            "signal": signal,
            "oom_killed": false,
            "restarts": 2,
            "message": message,
        });
        assert_eq!(termination(&formatter("server"), outcome, 2), expected);
    }
}

#[test]
fn the_termination_message_tells_of_an_out_of_memory_kill() {
    let line = formatter("server").termination(Outcome::Complete(KILLED), 137, 0, true);
    let expected = json!({
        "outcome": "complete",
        "exit_code": 137,
        "signal": "KILL",
        "oom_killed": true,
        "restarts": 0,
        "message": "'server' was ended by KILL, out of memory",
    });
    assert_eq!(parse(&string(&line)), expected);
}

#[test]
fn sizes_read_as_people_say_them() {
    let table = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (67_000_000, "63.8 MiB"),
        (64 << 20, "64.0 MiB"),
        ((1 << 30) - 1, "1023.9 MiB"),
        (1 << 30, "1.0 GiB"),
        (u64::MAX, "17179869183.9 GiB"),
    ];
    for (bytes, expected) in table {
        assert_eq!(ReadableSize(bytes).to_string(), expected);
    }
}

#[test]
fn an_end_for_want_of_memory_is_said_without_being_asked() {
    let end = |out_of_memory| {
        let usage = Usage {
            out_of_memory,
            ..Usage::NONE
        };
        Fact::Ended {
            pid: None,
            status: KILLED,
            uptime: Duration::ZERO,
            usage,
        }
        .level()
    };
    assert_eq!((end(true), end(false)), (Level::Warning, Level::Info));
}

// Hostile names.

const OUTCOMES: [Outcome; 7] = [
    Outcome::Unhealthy {
        last: KILLED,
        was_ready: true,
    },
    Outcome::Complete(EXITED),
    Outcome::Complete(KILLED),
    Outcome::Cancel {
        last: Some(KILLED),
        stop: Signal::TERM,
    },
    Outcome::Cancel {
        last: None,
        stop: Signal::TERM,
    },
    Outcome::GaveUp { last: None },
    Outcome::NotStarted(MISSING),
];

/// Returns what is wrong with a line for any names in it: broken, too long, able to move a cursor,
/// or not JSON.
fn what_is_wrong_with(line: &Line, format: Format) -> Option<String> {
    let bytes = line.as_bytes();
    let Ok(line) = core::str::from_utf8(bytes) else {
        return Some(format!("not UTF-8: {bytes:?}"));
    };
    let Some(inside) = line.strip_suffix('\n') else {
        return Some(format!("no line end: {line:?}"));
    };
    if bytes.len() > LIMIT {
        return Some(format!("{} bytes", bytes.len()));
    }
    if inside.contains(char::is_control) {
        return Some(format!("control characters: {line:?}"));
    }
    match format {
        Format::Text => (!line.starts_with("frigate: ")).then(|| format!("no sender: {line:?}")),
        Format::Json => match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(members)) => {
                (!members.contains_key("message")).then(|| format!("no message: {line}"))
            }
            Ok(_) => Some(format!("no object: {line}")),
            Err(error) => Some(format!("{error}: {line}")),
        },
    }
}

fn what_is_wrong_with_all(command: &[u8]) -> Option<String> {
    let formatter = formatter(command);
    let said = facts().into_iter().flat_map(|(fact, ..)| {
        [Format::Text, Format::Json].map(|format| (formatter.line(&fact, format, TIME), format))
    });
    let terminations = OUTCOMES.iter().map(|outcome| {
        (
            formatter.termination(*outcome, u8::MAX, u32::MAX, true),
            Format::Json,
        )
    });
    said.chain(terminations)
        .find_map(|(line, format)| what_is_wrong_with(&line, format))
}

#[test]
fn a_hostile_command_name_keeps_every_message_one_line() {
    let names: [Vec<u8>; 12] = [
        vec![],
        b"a\nfrigate: forged".to_vec(),
        b"a\r\nb\0c".to_vec(),
        b"\x1b[2J\x1b]0;title\x07".to_vec(),
        b"\xc2\x9b31m\xc2\x85".to_vec(),
        b"\"quoted\" \\back\\slash\\\", \"level\":\"error\"".to_vec(),
        b"\xff\xfe\xc3(".to_vec(),
        b"{}%s%n'$(reboot)`".to_vec(),
        vec![b'x'; 10_000],
        vec![b'\n'; 10_000],
        "\u{10ffff}".repeat(10_000).into_bytes(),
        "\\\"".repeat(5000).into_bytes(),
    ];
    for name in names {
        assert_eq!(what_is_wrong_with_all(&name), None);
    }
}

#[test]
fn a_hostile_object_keeps_a_message_one_line_and_its_reason() {
    let long = format!("/{}", "é".repeat(5000));
    for object in [
        "a\nfrigate: forged",
        "\u{1b}[2J",
        "tab\there",
        &long,
        &long[1..],
    ] {
        let fact = Fact::Cannot {
            verb: "write to",
            object,
            errno: Errno::new(30),
            then: "going on",
        };
        for format in [Format::Text, Format::Json] {
            let line = formatter("server").line(&fact, format, TIME);
            assert_eq!(what_is_wrong_with(&line, format), None);
            assert!(
                string(&line).contains("read-only file system; going on"),
                "{}",
                string(&line)
            );
        }
    }
}

#[test]
fn names_are_cut_short_and_made_visible() {
    let printable = |text: &str, limit| {
        let mut out = String::from("<");
        push_printable(&mut out, text, limit);
        out
    };
    assert_eq!(printable("server", 6), "<server");
    assert_eq!(printable("servers", 6), "<server...");
    assert_eq!(printable("ééé", 2), "<éé...");
    assert_eq!(
        printable("a\nb\t\u{1b}\u{7f}\u{9b}", 99),
        "<a\\nb\\t\\u{1b}\\u{7f}\\u{9b}"
    );
    assert_eq!(
        printable("a\u{2028}b\u{202e}c\u{2069}", 99),
        "<a\\u{2028}b\\u{202e}c\\u{2069}"
    );
    assert_eq!(printable("", 0), "<");
    assert_eq!(printable("x", 0), "<...");
}

#[test]
fn every_character_comes_back_from_a_json_string() {
    for c in (0..0x300)
        .chain([0x2028, 0xfeff, 0xffff, 0x1f600, 0x10_ffff])
        .filter_map(char::from_u32)
    {
        let mut line = Line::new();
        let _ = line.write_char('"');
        let _ = write!(Escaped(&mut line), "a{c}b");
        line.end_with("\"");
        assert_eq!(
            parse(&string(&line)).as_str(),
            Some(format!("a{c}b").as_str()),
            "{c:?}"
        );
    }
}

#[test]
fn a_line_is_never_cut_inside_a_character() {
    for filler in 0..4 {
        let mut line = Line::new();
        let _ = line.write_str(&"x".repeat(filler));
        for _ in 0..LIMIT {
            let _ = line.write_char('\u{10ffff}');
        }
        line.end_with("}\n");
        let bytes = line.as_bytes();
        assert!(
            core::str::from_utf8(bytes).is_ok(),
            "filled up behind {filler} bytes"
        );
        assert!(
            bytes.len() <= LIMIT && bytes.ends_with(b"}\n"),
            "{} bytes",
            bytes.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_command_name_breaks_a_message(
        name in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            any::<String>().prop_map(String::into_bytes),
            "[\\\\\"\n\u{1b}\u{7f}a\u{85}é\u{10ffff}]{0,200}".prop_map(String::into_bytes),
        ],
    ) {
        prop_assert_eq!(what_is_wrong_with_all(&name), None);
    }

    #[test]
    fn a_printable_name_comes_back_from_json_as_it_was(name in "[^\\p{Cc}\\u{2028}-\\u{202e}\\u{2066}-\\u{2069}]{0,100}") {
        let said = json(&formatter(&name), &Fact::EndingLeftovers);
        prop_assert_eq!(said.get("command").and_then(Value::as_str), Some(name.as_str()));
    }

    #[test]
    fn no_number_breaks_a_message(
        raw in 1..i32::MAX,
        numbers in any::<[u32; 3]>(),
        millis in any::<[u64; 2]>(),
        time in any::<(i64, u32)>(),
        errno in any::<i32>(),
    ) {
        let [restarts, failures, limit] = numbers;
        let [uptime, pause] = millis.map(Duration::from_millis);
        let pid = Pid::new(raw);
        let trouble = Trouble::Ended { pid, status: KILLED, uptime, usage: Usage::NONE };
        let failure = SpawnFailure { stage: Stage::Streams, errno: Errno::new(errno) };
        let facts = [
            Fact::Started { pid: pid.unwrap_or_else(self::pid), restarts },
            Fact::Restarting { trouble, pause, failures, limit: Some(limit) },
            Fact::Restarting { trouble: Trouble::NotStarted(failure), pause, failures, limit: None },
            Fact::NotStarted { failure, code: 126 },
            Fact::MessagesDropped { count: u64::MAX },
            Fact::LeftoversKilled { grace: Duration::MAX },
        ];
        for fact in facts {
            for format in [Format::Text, Format::Json] {
                prop_assert_eq!(what_is_wrong_with(&formatter("server").line(&fact, format, time), format), None);
            }
        }
    }
}

#[test]
fn without_a_command_no_message_names_one() {
    let formatter = MessageFormatter::new(MessageContext::default());
    let stop = Signal::TERM;
    let outcome = Outcome::Cancel { last: None, stop };
    for (fact, text) in [
        (
            Fact::Dropped {
                signal: stop,
                by_rule: false,
            },
            "dropped TERM: there is no command",
        ),
        (Fact::EndingLeftovers, "sent TERM to what is left running"),
        (
            Fact::LeftoversKilled {
                grace: Duration::from_secs(5),
            },
            "what is left running did not end within its grace period of 5 s; sent KILL",
        ),
        (
            Fact::LeftBehind {
                pid: None,
                reason: SURVIVES_KILL,
            },
            "cannot end what is left running: it does not die of KILL; leaving it behind",
        ),
        (
            Fact::Finished { outcome, code: 0 },
            "cancel, exit code 0: asked to stop by TERM",
        ),
    ] {
        assert_eq!(formatter.text(&fact), text);
    }
}

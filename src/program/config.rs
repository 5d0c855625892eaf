//! The configuration: what all options mean together.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::child::capture::{LogPath, Logs};
use crate::child::check::wanted_target::WantedTarget;
use crate::child::identity::WantedUser;
use crate::core::exit_code::ExitCodeMap;
use crate::core::fact::Level;
use crate::core::health::rules::{
    CheckRules, HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_START, HEALTH_TIMEOUT, HealthRules, Method,
    READY_WITHIN, ReadyRules, longest_age,
};
use crate::core::health::target::{Question, Target};
use crate::core::limit::{LIMIT_FILES, Limit, parse_assignment};
use crate::core::number::parse_number;
use crate::core::quantity::Amount;
use crate::core::restart::RestartPolicy;
use crate::core::rewrite::Rewrite;
use crate::core::rules::{self, Rules, StopRules};
use crate::core::signal::{Signal, SignalSet};
use crate::core::user::UserSpec;
use crate::core::watch::{Reaction, WatchRule};
use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::messages::termination::WantedLog;
use crate::program::options::mode;
use crate::program::options::parse;
use crate::program::options::reader::Reader;
use crate::program::options::values::{Source, Value, Values};

/// All options, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) rules: Rules,
    pub(crate) stop_on: SignalSet,
    /// Signals that ask for a restart of the command. None of them is in `stop_on`.
    pub(crate) restart_on: SignalSet,
    pub(crate) watches: Vec<WatchRule>,
    pub(crate) rewrite: Rewrite,
    pub(crate) pdeathsig: Option<Signal>,
    pub(crate) user: Option<WantedUser>,
    pub(crate) chroot: Option<String>,
    pub(crate) workdir: Option<String>,
    pub(crate) no_new_privs: bool,
    pub(crate) limits: Vec<Limit>,
    pub(crate) cgroup_best_effort: bool,
    pub(crate) logs: Logs,
    /// What is asked whether the child is alive; `None` means that nothing is.
    pub(crate) health: Option<WantedTarget>,
    /// What is asked whether the child is ready; `None` means that nothing is.
    pub(crate) ready: Option<WantedTarget>,
    pub(crate) termination_log: WantedLog,
    pub(crate) format: Format,
    pub(crate) verbosity: Level,
}

impl Config {
    /// Reads the configuration from the values that were given. Of several mistakes the first in
    /// this order is reported.
    ///
    /// # Errors
    ///
    /// The first value that has no meaning.
    ///
    /// Not inlined, so that the configuration is written where it stays: 320 bytes less.
    #[inline(never)]
    pub(crate) fn new(values: &Values<'_>) -> Result<Self, Mistake> {
        let mut reader = Reader::new(values);
        let rules = read_rules(&mut reader);
        let mut rewrite = Rewrite::identity();
        reader.read_all(
            "rewrite",
            parse::parse_rewrite,
            parse::REWRITE,
            |(from, to), _| rewrite.set(from, to),
        );
        let stop_on = reader
            .read("stop-on", parse::parse_signals, parse::SIGNALS)
            .unwrap_or(rules::STOP_ON);
        let restart_on = read_restart_on(stop_on, &mut reader);
        let (watches, may_restart) = read_watches(&mut reader);
        let (health, ready, checks) = read_checks(&mut reader);
        let rules = Rules {
            restart_policy: RestartPolicy {
                on_request: !restart_on.is_empty() || may_restart,
                ..rules.restart_policy
            },
            exit_codes: read_exit_codes(&mut reader),
            checks,
            ..rules
        };
        let config = Self {
            rules,
            stop_on,
            restart_on,
            watches,
            rewrite,
            pdeathsig: reader.read("pdeathsig", Signal::parse, parse::SIGNAL),
            user: read_user(&mut reader),
            chroot: reader.read_directory("chroot"),
            workdir: reader.read_directory("workdir"),
            no_new_privs: values.is_on("no-new-privs"),
            limits: read_limits(&mut reader),
            cgroup_best_effort: values.is_on("cgroup-best-effort"),
            logs: read_logs(&mut reader),
            health,
            ready,
            termination_log: reader
                .read(
                    "termination-log",
                    parse::parse_termination_log,
                    parse::TERMINATION_LOG,
                )
                .unwrap_or_default(),
            format: reader
                .read("log-format", parse::parse_format, parse::FORMAT)
                .unwrap_or_default(),
            verbosity: read_verbosity(&mut reader),
        };
        reader.finish(config)
    }
}

/// Reads the rules, except for the exit codes.
fn read_rules(reader: &mut Reader<'_>) -> Rules {
    let defaults = Rules::default();
    let policy = defaults.restart_policy;
    let restart_policy = RestartPolicy {
        restart: reader
            .read("restart", parse::parse_restart, parse::RESTART)
            .unwrap_or(policy.restart),
        expected: reader
            .read("expect", parse::parse_expected, parse::EXPECTED)
            .unwrap_or(policy.expected),
        start_secs: reader.read_duration("start-secs", policy.start_secs),
        start_retries: reader.read_number("start-retries", policy.start_retries),
        backoff: reader.read_duration("backoff", policy.backoff),
        backoff_max: reader.read_duration("backoff-max", policy.backoff_max),
        on_request: policy.on_request,
    };
    let grace = rules::default_grace(restart_policy.restart);
    let close_wait = reader.read_duration("grace-close-wait", rules::GRACE_CLOSE_WAIT);
    let values = reader.values;
    Rules {
        restart_policy,
        stop: StopRules {
            signal: reader.read("stop-signal", parse::parse_stop_signal, parse::STOP_SIGNAL),
            grace: reader.read_duration_or_word("grace", "none", grace),
            kill: values.is_on("kill"),
            delay: reader.read_duration("stop-delay", defaults.stop.delay),
        },
        leftovers: reader.read_duration_or_word("leftovers", "leave", defaults.leftovers),
        grace_close: values.is_on("grace-close").then_some(close_wait),
        single_child: values.is_on("single-child"),
        ..defaults
    }
}

/// Reads the signals that ask for a restart. A signal cannot ask for a stop, too.
fn read_restart_on(stop_on: SignalSet, reader: &mut Reader<'_>) -> SignalSet {
    let name = "restart-on";
    let signals = reader.read(name, parse::parse_signals, parse::SIGNALS);
    let signals = signals.unwrap_or_default();
    let value = reader.values.get(name);
    if let Some(value) = value.filter(|_| signals.intersects(stop_on)) {
        reader.refuse(value, "expected signals that are none of --stop-on");
    }
    signals
}

/// Reads the watched paths, and whether a change of one asks for a restart.
// Not inlined: what every run executes has 256 bytes less (`tools/order.ld`).
#[inline(never)]
fn read_watches(reader: &mut Reader<'_>) -> (Vec<WatchRule>, bool) {
    let (mut watches, mut may_restart) = (Vec::new(), false);
    reader.read_all(
        "watch",
        parse::parse_watch,
        parse::WATCH,
        |rule: WatchRule, _| {
            may_restart |= rule.reaction == Reaction::Restart;
            watches.push(rule);
        },
    );
    (watches, may_restart)
}

/// Reads a target.
fn read_target(name: &str, longest_age: Duration, reader: &mut Reader<'_>) -> Option<WantedTarget> {
    let value = reader.values.get(name)?;
    match Target::parse_for_child(value.text) {
        Ok(target) => Some(WantedTarget {
            target,
            text: value.text.to_owned(),
            longest_age,
        }),
        Err(why) => {
            reader.refuse(value, why);
            None
        }
    }
}

/// Reads the targets of checks, and when they are checked. Most runs check nothing, and read one of
/// these options only if one was given.
fn read_checks(
    reader: &mut Reader<'_>,
) -> (Option<WantedTarget>, Option<WantedTarget>, CheckRules) {
    let is_check =
        |value: &Value<'_>| value.name.starts_with("health") || value.name.starts_with("ready");
    if reader.values.iter().any(is_check) {
        read_given_checks(reader)
    } else {
        (None, None, CheckRules::NONE)
    }
}

// Not inlined: what every run executes has 1,500 bytes less (`tools/order.ld`).
#[inline(never)]
fn read_given_checks(
    reader: &mut Reader<'_>,
) -> (Option<WantedTarget>, Option<WantedTarget>, CheckRules) {
    let interval = reader.read_duration("health-interval", HEALTH_INTERVAL);
    let timeout = reader.read_duration(mode::HEALTH_TIMEOUT, HEALTH_TIMEOUT);
    // The interval counts for the file of `--ready`, too, where nothing else uses it.
    let longest_age = longest_age(interval, timeout);
    let health = read_target("health", longest_age, reader);
    let ready = read_target("ready", longest_age, reader);
    let retries = reader.read_number("health-retries", HEALTH_RETRIES);
    let start = reader.read_duration("health-start", HEALTH_START);
    let signal = reader.read(
        "health-signal",
        parse::parse_stop_signal,
        parse::STOP_SIGNAL,
    );
    let within = reader.read_duration("ready-within", READY_WITHIN);
    let within = Some(within).filter(|within| !within.is_zero());
    let runs_program =
        |wanted: &WantedTarget| matches!(wanted.target, Target::Asked(Question::Exec(_)));
    let rules = CheckRules {
        health: health.as_ref().map(|wanted| HealthRules {
            method: method(wanted),
            interval,
            retries,
            start,
            signal,
        }),
        ready: ready.as_ref().map(|wanted| ReadyRules {
            method: method(wanted),
            within,
        }),
        timeout,
        run_programs: health.iter().chain(&ready).any(runs_program),
    };
    (health, ready, rules)
}

fn method(wanted: &WantedTarget) -> Method {
    match wanted.target {
        Target::Asked(_) => Method::Check,
        Target::Notify => Method::Notify,
    }
}

/// Reads `--remap-exit`. Leaks the pairs, because options are read once, and are needed until the
/// process ends.
fn read_exit_codes(reader: &mut Reader<'_>) -> ExitCodeMap {
    let mut pairs = Vec::new();
    reader.read_all(
        "remap-exit",
        parse::parse_remap_exit,
        parse::REMAP_EXIT,
        |pair, _| pairs.push(pair),
    );
    ExitCodeMap::new(pairs.leak())
}

fn read_user(reader: &mut Reader<'_>) -> Option<WantedUser> {
    let value = reader.values.get("user")?;
    wanted_user(value, reader)
}

// Not inlined: what every run executes has 454 bytes less (`tools/order.ld`).
#[inline(never)]
fn wanted_user(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<WantedUser> {
    let Some(spec) = UserSpec::parse(value.text) else {
        reader.refuse(
            value,
            "expected USER, USER:GROUP or :GROUP, names or numbers",
        );
        return None;
    };
    Some(WantedUser {
        spec,
        value: value.text.to_owned(),
        spelled: value.spelled(),
    })
}

/// Reads the limits, in the order in which they are written: those with an option of their own,
/// then the others as given.
fn read_limits(reader: &mut Reader<'_>) -> Vec<Limit> {
    let mut limits = Vec::new();
    for file in &LIMIT_FILES {
        let Some(given) = reader.values.get(file.option) else {
            continue;
        };
        match file.quantity.parse(given.text) {
            Some(value) => limits.push(Limit {
                file: file.name.to_owned(),
                value,
                spelled: given.spelled(),
            }),
            None => reader.refuse_quantity(given, file.quantity),
        }
    }
    let accepted = "expected FILE=VALUE, a file of cgroup v2 such as io.max='8:0 rbps=1048576', none that frigate \
                    itself writes (cgroup.procs, cgroup.kill, cgroup.freeze, cgroup.type, cgroup.subtree_control)";
    reader.read_all(
        "cgroup",
        parse_assignment,
        accepted,
        |(file, value), given| {
            limits.push(Limit {
                file,
                value,
                spelled: given.spelled(),
            });
        },
    );
    limits
}

fn read_logs(reader: &mut Reader<'_>) -> Logs {
    let defaults = Logs::default();
    let stdout = read_log_path("stdout", reader);
    let stderr = read_log_path("stderr", reader);
    // One pipe keeps the order of what both streams write. Two pipes into one file would not, and
    // each would rotate the file at its own time.
    let is_same = matches!((&stdout, &stderr), (Some(out), Some(err)) if out.path == err.path);
    Logs {
        stdout,
        stderr,
        redirect: reader.values.is_on("redirect-stderr") || is_same,
        max_bytes: match reader.read_size("log-max-bytes") {
            None => defaults.max_bytes,
            Some(Amount::Number(bytes)) => bytes,
            // As good as 0: the file is never rotated.
            Some(Amount::Max) => 0,
        },
        backups: reader.read_number("log-backups", defaults.backups),
    }
}

fn read_log_path(name: &str, reader: &mut Reader<'_>) -> Option<LogPath> {
    let path = reader.read(name, parse::parse_path, parse::FILE)?;
    let given = reader.values.get(name);
    Some(LogPath {
        path,
        spelled: given.map(Value::spelled).unwrap_or_default(),
    })
}

/// Reads `-v` and `-q`. If either is on the command line, both variables are ignored.
// Not inlined: what every run executes has 528 bytes less (`tools/order.ld`).
#[inline(never)]
fn read_verbosity(reader: &mut Reader<'_>) -> Level {
    for source in [Source::CommandLine, Source::Environment] {
        let values = reader.values;
        let of_source = |name| values.all(name).filter(move |value| value.source == source);
        let times = of_source("verbose")
            .filter_map(|value| parse_number(value.text))
            .fold(0, u32::saturating_add);
        match (of_source("quiet").find(|_| values.is_on("quiet")), times) {
            (None, 0) => {}
            (Some(_), 0) => return Level::Error,
            (Some(quiet), _) => {
                let verbose = Value {
                    name: "verbose",
                    text: "",
                    source,
                };
                let why = [&verbose.spelled_name(), " was given too; give one of them"].concat();
                reader.note(Mistake::new("use", &quiet.spelled_name()).because(&why));
            }
            (None, 1) => return Level::Info,
            (None, _) => return Level::Debug,
        }
    }
    Level::DEFAULT_VERBOSITY
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

//! What the options mean: each value read, checked, and named where it is wrong.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::child::capture::{LogPath, Logs};
use crate::child::identity::WantedUser;
use crate::core::exit_code::ExitCodeMap;
use crate::core::fact::Level as Verbosity;
use crate::core::limit::{self, Limit};
use crate::core::number::number;
use crate::core::quantity::{Amount, Quantity, parse_size};
use crate::core::restart::{Expected, Restart, RestartPolicy};
use crate::core::rewrite::Rewrite;
use crate::core::rules::{self, Rules};
use crate::core::signal::{Signal, SignalSet};
use crate::core::user::UserSpec;
use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::messages::termination::TerminationLog;
use crate::program::options::values::{Source, Value, Values};

/// All options, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) rules: Rules,
    pub(crate) stop_on: SignalSet,
    pub(crate) rewrite: Rewrite,
    pub(crate) pdeathsig: Option<Signal>,
    pub(crate) user: Option<WantedUser>,
    pub(crate) chroot: Option<String>,
    pub(crate) workdir: Option<String>,
    pub(crate) no_new_privs: bool,
    pub(crate) limits: Vec<Limit>,
    pub(crate) cgroup_best_effort: bool,
    pub(crate) logs: Logs,
    pub(crate) termination_log: TerminationLog,
    pub(crate) format: Format,
    pub(crate) verbosity: Verbosity,
}

/// Reads values, and remembers the first mistake among them: so there is one place to look for it,
/// and not one for each option.
struct Reader<'v> {
    values: &'v Values<'v>,
    mistake: Option<Mistake>,
}

impl<'v> Reader<'v> {
    /// What `read` makes of the value; nothing where it was not given, or has no meaning.
    #[inline(never)]
    fn read<T>(&mut self, name: &str, read: fn(&str) -> Option<T>, accepted: &str) -> Option<T> {
        let value = self.values.get(name)?;
        let meaning = read(value.text);
        if meaning.is_none() {
            self.refuse(value, accepted);
        }
        meaning
    }

    /// The same for all the values of a repeatable option.
    #[inline(never)]
    fn read_all<T>(
        &mut self,
        name: &str,
        read: fn(&str) -> Option<T>,
        accepted: &str,
        mut each: impl FnMut(T, &Value<'v>),
    ) {
        for value in self.values.all(name) {
            match read(value.text) {
                Some(meaning) => each(meaning, value),
                None => self.refuse(value, accepted),
            }
        }
    }

    #[inline(never)]
    fn refuse(&mut self, value: &Value<'_>, why: &str) {
        self.mistake.get_or_insert_with(|| value.refused(why));
    }

    #[inline(never)]
    fn refuse_quantity(&mut self, value: &Value<'_>, quantity: Quantity) {
        self.refuse(value, &["expected ", quantity.accepted()].concat());
    }

    fn size(&mut self, name: &str) -> Option<Amount> {
        let value = self.values.get(name)?;
        let size = parse_size(value.text);
        if size.is_none() {
            self.refuse_quantity(value, Quantity::Size);
        }
        size
    }

    fn duration(&mut self, name: &str, default: Duration) -> Duration {
        self.read(name, duration, DURATION).unwrap_or(default)
    }

    /// The same for an option that also takes a word, which means that there is no such duration.
    fn duration_or(
        &mut self,
        name: &str,
        word: &str,
        default: Option<Duration>,
    ) -> Option<Duration> {
        match self.values.get(name) {
            None => default,
            Some(value) if value.text == word => None,
            Some(value) => {
                let meaning = duration(value.text);
                if meaning.is_none() {
                    self.refuse(value, &[DURATION, ", or ", word].concat());
                }
                meaning
            }
        }
    }

    fn number(&mut self, name: &str, default: u32) -> u32 {
        self.read(
            name,
            |text| number(text),
            "expected a whole number from 0 to 4294967295",
        )
        .unwrap_or(default)
    }

    fn directory(&mut self, name: &str) -> Option<String> {
        self.read(name, path, "expected a directory, in at most 4095 bytes")
    }

    fn log_path(&mut self, name: &str) -> Option<LogPath> {
        let path = self.read(name, path, "expected a file, in at most 4095 bytes")?;
        Some(LogPath {
            path,
            spelled: self.spelled(name),
        })
    }

    fn spelled(&self, name: &str) -> String {
        self.values
            .get(name)
            .map(Value::spelled)
            .unwrap_or_default()
    }

    fn user(&mut self) -> Option<WantedUser> {
        let value = self.values.get("user")?;
        self.wanted_user(value)
    }

    /// Not inlined, so that it is not part of what every run executes.
    #[inline(never)]
    fn wanted_user(&mut self, value: &Value<'_>) -> Option<WantedUser> {
        let Some(spec) = UserSpec::parse(value.text) else {
            self.refuse(
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

    /// The limits, in the order in which they are written: those with an option of their own, then
    /// the others as given.
    fn limits(&mut self) -> Vec<Limit> {
        let mut limits = Vec::new();
        for file in &limit::LIMIT_FILES {
            let Some(given) = self.values.get(file.option) else {
                continue;
            };
            match file.quantity.parse(given.text) {
                Some(value) => limits.push(Limit {
                    file: file.name.to_owned(),
                    value,
                    spelled: given.spelled(),
                }),
                None => self.refuse_quantity(given, file.quantity),
            }
        }
        let accepted = "expected FILE=VALUE, a file of cgroup v2 such as io.max='8:0 rbps=1048576', none that frigate \
                        itself writes (cgroup.procs, cgroup.kill, cgroup.freeze, cgroup.type, cgroup.subtree_control)";
        self.read_all(
            "cgroup",
            limit::parse_assignment,
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

    fn logs(&mut self) -> Logs {
        let defaults = Logs::default();
        let stdout = self.log_path("stdout");
        let stderr = self.log_path("stderr");
        // By the same name both would be moved to one file, each in its own time; by one pipe they
        // keep their order.
        let is_same = matches!((&stdout, &stderr), (Some(out), Some(err)) if out.path == err.path);
        Logs {
            stdout,
            stderr,
            redirect: self.values.is_on("redirect-stderr") || is_same,
            max_bytes: match self.size("log-max-bytes") {
                None => defaults.max_bytes,
                Some(Amount::Number(bytes)) => bytes,
                // As good as 0: the file is never rotated.
                Some(Amount::Max) => 0,
            },
            backups: self.number("log-backups", defaults.backups),
        }
    }

    /// What was typed wins over what is set, whichever of the two options that is.
    #[inline(never)]
    fn verbosity(&mut self) -> Verbosity {
        for source in [Source::CommandLine, Source::Environment] {
            let values = self.values;
            let of_source = |name| values.all(name).filter(move |value| value.source == source);
            let times = of_source("verbose")
                .filter_map(|value| number(value.text))
                .fold(0, u32::saturating_add);
            match (of_source("quiet").find(|_| values.is_on("quiet")), times) {
                (None, 0) => {}
                (Some(_), 0) => return Verbosity::Error,
                (Some(quiet), _) => {
                    let verbose = Value {
                        name: "verbose",
                        text: "",
                        source,
                    };
                    let why =
                        [&verbose.spelled_name(), " was given too; give one of them"].concat();
                    let mistake = Mistake::new("use", &quiet.spelled_name()).because(&why);
                    self.mistake.get_or_insert(mistake);
                }
                (None, 1) => return Verbosity::Info,
                (None, _) => return Verbosity::Debug,
            }
        }
        Verbosity::DEFAULT_VERBOSITY
    }
}

const DURATION: &str =
    "expected a duration of at most 1000000h, such as 500ms, 10s, 2m, 1h, 1.5 (seconds)";
const SIGNAL: &str = "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3";
const STOP_SIGNAL: &str =
    "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, other than CHLD and STOP";
const CATCHABLE: &str = "expected signals such as TERM,SIGINT,15,RTMIN+3, or none; not KILL, STOP or CHLD, which cannot be used so";

impl Config {
    /// Makes one of what was typed and what is set in the environment.
    ///
    /// # Errors
    ///
    /// The first value that has no meaning.
    pub(crate) fn new(values: &Values<'_>) -> Result<Self, Mistake> {
        let mut reader = Reader {
            values,
            mistake: None,
        };
        let defaults = Rules::default();
        let restarts = "expected unexpected (on-failure), true (always) or false (no, never)";
        let expectations = "expected exit codes from 0 to 255 and signal names, such as 0,143,INT";
        let strategy = RestartPolicy {
            restart: reader
                .read("restart", restart, restarts)
                .unwrap_or(defaults.strategy.restart),
            expected: reader
                .read("expect", expectation, expectations)
                .unwrap_or(defaults.strategy.expected),
            start_secs: reader.duration("start-secs", defaults.strategy.start_secs),
            start_retries: reader.number("start-retries", defaults.strategy.start_retries),
            backoff: reader.duration("backoff", defaults.strategy.backoff),
            backoff_max: reader.duration("backoff-max", defaults.strategy.backoff_max),
        };
        let grace = rules::default_grace(strategy.restart);
        let close_wait = reader.duration("grace-close-wait", rules::GRACE_CLOSE_WAIT);
        let mut rules = Rules {
            strategy,
            stop_signal: reader.read("stop-signal", stop_signal, STOP_SIGNAL),
            grace: reader.duration_or("grace", "none", grace),
            leftovers: reader.duration_or("leftovers", "leave", defaults.leftovers),
            kill: values.is_on("kill"),
            grace_close: values.is_on("grace-close").then_some(close_wait),
            single_child: values.is_on("single-child"),
            ..defaults
        };
        let mut rewrite = Rewrite::identity();
        let accepted = "expected FROM:TO, two signals other than CHLD; FROM is not KILL or STOP, TO may be 0 to drop it";
        reader.read_all("rewrite", rewriting, accepted, |(from, to), _| {
            rewrite.set(from, to);
        });
        let mut pairs = Vec::new();
        let accepted = "expected FROM or FROM:TO, exit codes from 0 to 255";
        reader.read_all("remap-exit", remapping, accepted, |pair, _| {
            pairs.push(pair);
        });
        // Options are read once, and live as long as the process.
        rules.exit_codes = ExitCodeMap::new(pairs.leak());
        let stop_on = reader.read("stop-on", signals, CATCHABLE);
        let config = Self {
            rules,
            stop_on: stop_on.unwrap_or(rules::STOP_ON),
            rewrite,
            pdeathsig: reader.read("pdeathsig", Signal::parse, SIGNAL),
            user: reader.user(),
            chroot: reader.directory("chroot"),
            workdir: reader.directory("workdir"),
            no_new_privs: values.is_on("no-new-privs"),
            limits: reader.limits(),
            cgroup_best_effort: values.is_on("cgroup-best-effort"),
            logs: reader.logs(),
            termination_log: reader
                .read(
                    "termination-log",
                    termination_log,
                    "expected a path of at most 4095 bytes, or none",
                )
                .unwrap_or_default(),
            format: reader
                .read("log-format", format, "expected text or json")
                .unwrap_or_default(),
            verbosity: reader.verbosity(),
        };
        match reader.mistake {
            None => Ok(config),
            Some(mistake) => Err(mistake),
        }
    }
}

fn restart(text: &str) -> Option<Restart> {
    match text {
        "unexpected" | "on-failure" => Some(Restart::Unexpected),
        "true" | "always" => Some(Restart::True),
        "false" | "no" | "never" => Some(Restart::False),
        _ => None,
    }
}

/// The longest duration: what is longer is a slip of the finger, and sums of durations stay far
/// from the end of time.
const LONGEST: u64 = 1_000_000 * 3600 * 1_000_000_000;

/// Reads `500ms`, `10s`, `2m`, `1h`, `1.5`, without floating point; digits below a nanosecond count
/// for nothing.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit_at = text
        .bytes()
        .position(|b| !b.is_ascii_digit() && b != b'.')
        .unwrap_or(text.len());
    let (value, unit) = text.split_at_checked(unit_at)?;
    let unit: u64 = match unit {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = value
        .split_once('.')
        .map_or((value, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut nanos = number::<u64>(whole)?.checked_mul(unit)?;
    if let Some(fraction) = fraction {
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut place = unit;
        for digit in fraction.bytes() {
            place /= 10;
            nanos = nanos.checked_add(place * u64::from(digit - b'0'))?;
        }
    }
    (nanos <= LONGEST).then(|| Duration::from_nanos(nanos))
}

/// Reads `0,143,INT`: exit codes are numbers, signals are names.
fn expectation(text: &str) -> Option<Expected> {
    let mut expected = Expected::NONE;
    for part in text.split(',') {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            expected.insert_code(number(part)?);
        } else {
            expected.signals.insert(Signal::parse(part)?);
        }
    }
    Some(expected)
}

fn catchable(text: &str) -> Option<Signal> {
    Signal::parse(text).filter(|signal| !signal.is_beyond_control() && *signal != Signal::CHLD)
}

fn stop_signal(text: &str) -> Option<Signal> {
    Signal::parse(text).filter(|signal| *signal != Signal::CHLD && *signal != Signal::STOP)
}

fn signals(text: &str) -> Option<SignalSet> {
    let mut set = SignalSet::default();
    if text == "none" {
        return Some(set);
    }
    for part in text.split(',') {
        set.insert(catchable(part)?);
    }
    Some(set)
}

fn rewriting(text: &str) -> Option<(Signal, Option<Signal>)> {
    let (from, to) = text.split_once(':')?;
    let to = if to == "0" {
        None
    } else {
        Some(Signal::parse(to).filter(|signal| *signal != Signal::CHLD)?)
    };
    Some((catchable(from)?, to))
}

fn remapping(text: &str) -> Option<(u8, u8)> {
    let (from, to) = text.split_once(':').unwrap_or((text, "0"));
    Some((number(from)?, number(to)?))
}

/// What the kernel takes for a path: it counts the null byte at the end (`PATH_MAX`).
fn path(text: &str) -> Option<String> {
    ((1..4096).contains(&text.len()) && !text.bytes().any(|byte| byte == 0))
        .then(|| text.to_owned())
}

fn termination_log(text: &str) -> Option<TerminationLog> {
    match text {
        "none" => Some(TerminationLog::None),
        text => path(text).map(TerminationLog::Path),
    }
}

fn format(text: &str) -> Option<Format> {
    match text {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

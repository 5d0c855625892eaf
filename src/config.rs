//! What the options mean: each value read, checked, and named where it is wrong.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::cli::{Options, Source};
use crate::identity::UserSpec;
use crate::lifecycle::Rules;
use crate::limit::{self, Limit};
use crate::line::push_printable;
use crate::message::{Format, Remap};
use crate::restart::{Expected, Restart, Strategy};
use crate::signal::{Signal, SignalSet};
use crate::supervisor::Rewrite;

/// A mistake on the command line or in the environment: one line that says what, where, and how to mend it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mistake {
    pub(crate) text: String,
    /// How the line is to be written, as far as that is known by then.
    pub(crate) format: Format,
}

impl Mistake {
    /// `cannot <verb> '<object>'`, the object cut short and freed of what would break the line.
    pub(crate) fn new(verb: &str, object: &str) -> Self {
        let mut text = format!("cannot {verb} '");
        push_printable(&mut text, object, 120);
        text.push('\'');
        Self { text, format: Format::Text }
    }

    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.text.push_str(": ");
        push_printable(&mut self.text, reason, 300);
        self
    }
}

/// Where the last message goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TerminationLog {
    /// `/dev/termination-log`, where it exists and the application has left it empty.
    Automatic,
    None,
    Path(String),
}

/// A log file, and how it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogPath {
    pub(crate) path: String,
    pub(crate) spelled: String,
}

/// Where the child's streams go, and how the files are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Logs {
    pub(crate) stdout: Option<LogPath>,
    pub(crate) stderr: Option<LogPath>,
    /// Standard error goes where standard output goes.
    pub(crate) redirect: bool,
    /// A file of that size is rotated; 0: none is.
    pub(crate) max_bytes: u64,
    pub(crate) backups: u32,
}

/// How much is said: the least important level that still is.
pub(crate) use crate::fact::Level as Verbosity;

/// All options, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) rules: Rules,
    pub(crate) stop_on: SignalSet,
    pub(crate) rewrite: Rewrite,
    pub(crate) remap: Remap,
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

/// One value and where it came from.
struct Given<'a> {
    name: &'static str,
    value: Option<(&'a str, Source)>,
}

impl<'a> Given<'a> {
    /// The command line wins over the environment.
    fn new(name: &'static str, typed: Option<&'a String>, set: Option<&'a String>) -> Self {
        let typed = typed.map(|value| (value.as_str(), Source::CommandLine));
        let set = set.map(|value| (value.as_str(), Source::Environment));
        Self { name, value: typed.or(set) }
    }

    /// As a person would have typed it.
    fn spelled(&self) -> String {
        self.value.map(|(value, source)| source.spell(self.name, value)).unwrap_or_default()
    }

    /// What `read` makes of the value; nothing where it was not given.
    fn read<T>(&self, read: impl Fn(&str) -> Option<T>, accepted: &str) -> Result<Option<T>, Mistake> {
        let Some((value, source)) = self.value else { return Ok(None) };
        match read(value) {
            Some(meaning) => Ok(Some(meaning)),
            None => Err(Mistake::new("use", &source.spell(self.name, value)).because(accepted)),
        }
    }
}

/// A repeatable option's values: those typed, or where there are none those set.
fn repeated<'a>(name: &'static str, typed: &'a [String], set: &'a [String]) -> impl Iterator<Item = Given<'a>> {
    let (values, source) = if typed.is_empty() { (set, Source::Environment) } else { (typed, Source::CommandLine) };
    values.iter().map(move |value| Given { name, value: Some((value, source)) })
}

const DURATION: &str = "expected a duration of at most 1000000h, such as 500ms, 10s, 2m, 1h, 1.5 (seconds)";
const NUMBER: &str = "expected a whole number from 0 to 4294967295";
const SIZE: &str = "expected a size such as 512, 64K, 512M, 2G, or max";
const SIGNAL: &str = "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3";
const STOP_SIGNAL: &str = "expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, other than CHLD and STOP";
const CATCHABLE: &str =
    "expected signals such as TERM,SIGINT,15,RTMIN+3; not KILL, STOP or CHLD, which cannot be used so";

impl Config {
    /// Makes one of what was typed and what is set in the environment.
    ///
    /// # Errors
    ///
    /// The first value that has no meaning.
    pub(crate) fn new(typed: &Options, set: &Options) -> Result<Self, Mistake> {
        macro_rules! given {
            ($field:ident, $name:literal) => {
                Given::new($name, typed.$field.as_ref(), set.$field.as_ref())
            };
        }
        let mut expected = Expected::NONE;
        expected.insert_code(0);
        let strategy = Strategy {
            restart: given!(restart, "restart")
                .read(restart, "expected unexpected (on-failure), true (always) or false (no, never)")?
                .unwrap_or(Restart::False),
            expected: given!(expect, "expect")
                .read(expectation, "expected exit codes from 0 to 255 and signal names, such as 0,143,INT")?
                .unwrap_or(expected),
            start_secs: given!(start_secs, "start-secs").read(duration, DURATION)?.unwrap_or(Duration::from_secs(10)),
            start_retries: given!(start_retries, "start-retries").read(number::<u32>, NUMBER)?.unwrap_or(3),
            backoff: given!(backoff, "backoff").read(duration, DURATION)?.unwrap_or(Duration::from_millis(100)),
            backoff_max: given!(backoff_max, "backoff-max")
                .read(duration, DURATION)?
                .unwrap_or(Duration::from_secs(60)),
        };
        let close_wait = given!(grace_close_wait, "grace-close-wait").read(duration, DURATION)?;
        let close_wait = close_wait.unwrap_or(Duration::from_secs(30));
        let rules = Rules {
            strategy,
            stop_signal: given!(stop_signal, "stop-signal").read(stop_signal, STOP_SIGNAL)?,
            grace: given!(grace, "grace").read(duration, DURATION)?.unwrap_or(Duration::from_secs(30)),
            kill: typed.kill || set.kill,
            grace_close: (typed.grace_close || set.grace_close).then_some(close_wait),
            single_child: typed.single_child || set.single_child,
            leftovers: false,
        };
        let mut rewrite = Rewrite::identity();
        for rule in repeated("rewrite", &typed.rewrite, &set.rewrite) {
            let accepted =
                "expected FROM:TO, two signals other than CHLD; FROM is not KILL or STOP, TO may be 0 to drop it";
            if let Some((from, to)) = rule.read(rewriting, accepted)? {
                rewrite.set(from, to);
            }
        }
        let mut remap = Remap::identity();
        for rule in repeated("remap-exit", &typed.remap_exit, &set.remap_exit) {
            if let Some((from, to)) = rule.read(remapping, "expected FROM or FROM:TO, exit codes from 0 to 255")? {
                remap.set(from, to);
            }
        }
        Ok(Self {
            rules,
            stop_on: given!(stop_on, "stop-on").read(signals, CATCHABLE)?.unwrap_or(SignalSet::of([
                Signal::TERM,
                Signal::INT,
                Signal::QUIT,
            ])),
            rewrite,
            remap,
            pdeathsig: given!(pdeathsig, "pdeathsig").read(Signal::parse, SIGNAL)?,
            user: wanted_user(&given!(user, "user"))?,
            chroot: given!(chroot, "chroot").read(path, "expected a directory, in at most 4095 bytes")?,
            workdir: given!(workdir, "workdir").read(path, "expected a directory, in at most 4095 bytes")?,
            no_new_privs: typed.no_new_privs || set.no_new_privs,
            limits: limits(typed, set)?,
            cgroup_best_effort: typed.cgroup_best_effort || set.cgroup_best_effort,
            logs: logs(typed, set)?,
            termination_log: given!(termination_log, "termination-log")
                .read(termination_log, "expected a path of at most 4095 bytes, or none")?
                .unwrap_or(TerminationLog::Automatic),
            format: given!(log_format, "log-format").read(format, "expected text or json")?.unwrap_or(Format::Text),
            verbosity: verbosity(typed, Source::CommandLine)?
                .or(verbosity(set, Source::Environment)?)
                .unwrap_or(Verbosity::Warning),
        })
    }
}

type Reader = fn(&str) -> Option<String>;

/// The limits, in the order in which they are written: those with an option of their own, then the others as given.
fn limits(typed: &Options, set: &Options) -> Result<Vec<Limit>, Mistake> {
    macro_rules! given {
        ($field:ident, $name:literal) => {
            Given::new($name, typed.$field.as_ref(), set.$field.as_ref())
        };
    }
    let own: [(Given<'_>, &str, Reader, &str); 6] = [
        (given!(memory_max, "memory-max"), "memory.max", limit::size, SIZE),
        (given!(memory_high, "memory-high"), "memory.high", limit::size, SIZE),
        (given!(memory_swap_max, "memory-swap-max"), "memory.swap.max", limit::size, SIZE),
        (
            given!(cpu_max, "cpu-max"),
            "cpu.max",
            limit::cpus,
            "expected a number of CPUs from 0.01, such as 1.5, or QUOTA PERIOD in microseconds, such as '50000 100000', or max",
        ),
        (given!(cpu_weight, "cpu-weight"), "cpu.weight", limit::weight, "expected a number from 1 to 10000"),
        (given!(pids_max, "pids-max"), "pids.max", limit::count, "expected a number, or max"),
    ];
    let mut limits = Vec::new();
    for (given, file, read, accepted) in own {
        if let Some(value) = given.read(read, accepted)? {
            limits.push(Limit { file: file.to_owned(), value, spelled: given.spelled() });
        }
    }
    for given in repeated("cgroup", &typed.cgroup, &set.cgroup) {
        let accepted = "expected FILE=VALUE, a file of cgroup v2 such as io.max='8:0 rbps=1048576', none that frigate \
                        itself writes (cgroup.procs, cgroup.kill, cgroup.freeze, cgroup.type, cgroup.subtree_control)";
        if let Some((file, value)) = given.read(limit::assignment, accepted)? {
            limits.push(Limit { file, value, spelled: given.spelled() });
        }
    }
    Ok(limits)
}

fn logs(typed: &Options, set: &Options) -> Result<Logs, Mistake> {
    let stdout = log_path(&Given::new("stdout", typed.stdout.as_ref(), set.stdout.as_ref()))?;
    let stderr = log_path(&Given::new("stderr", typed.stderr.as_ref(), set.stderr.as_ref()))?;
    // By the same name both would be moved to one file, each in its own time; by one pipe they keep their order.
    let is_same = matches!((&stdout, &stderr), (Some(out), Some(err)) if out.path == err.path);
    let max_bytes = Given::new("log-max-bytes", typed.log_max_bytes.as_ref(), set.log_max_bytes.as_ref());
    let backups = Given::new("log-backups", typed.log_backups.as_ref(), set.log_backups.as_ref());
    Ok(Logs {
        stdout,
        stderr,
        redirect: typed.redirect_stderr || set.redirect_stderr || is_same,
        // `max` is as good as 0: the file is never rotated.
        max_bytes: max_bytes.read(limit::size as Reader, SIZE)?.and_then(|size| number(&size)).unwrap_or(0),
        backups: backups.read(number::<u32>, NUMBER)?.unwrap_or(0),
    })
}

fn log_path(given: &Given<'_>) -> Result<Option<LogPath>, Mistake> {
    let path = given.read(path, "expected a file, in at most 4095 bytes")?;
    Ok(path.map(|path| LogPath { path, spelled: given.spelled() }))
}

fn verbosity(options: &Options, source: Source) -> Result<Option<Verbosity>, Mistake> {
    match (options.quiet, options.verbose) {
        (true, 0) => Ok(Some(Verbosity::Error)),
        (true, _) => {
            let why = [&source.name("verbose"), " was given too; give one of them"].concat();
            Err(Mistake::new("use", &source.name("quiet")).because(&why))
        }
        (false, 0) => Ok(None),
        (false, 1) => Ok(Some(Verbosity::Info)),
        (false, _) => Ok(Some(Verbosity::Debug)),
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

/// A number in digits alone: no sign, no blank.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The longest duration: what is longer is a slip of the finger, and sums of durations stay far from the end of time.
const LONGEST: u64 = 1_000_000 * 3600 * 1_000_000_000;

/// Reads `500ms`, `10s`, `2m`, `1h`, `1.5`, without floating point; digits below a nanosecond count for nothing.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.bytes().position(|b| !b.is_ascii_digit() && b != b'.').unwrap_or(text.len());
    let (value, unit) = text.split_at_checked(unit_at)?;
    let unit: u64 = match unit {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = value.split_once('.').map_or((value, None), |(whole, fraction)| (whole, Some(fraction)));
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
    for part in text.split(',') {
        set.insert(catchable(part)?);
    }
    Some(set)
}

fn rewriting(text: &str) -> Option<(Signal, Option<Signal>)> {
    let (from, to) = text.split_once(':')?;
    let to = if to == "0" { None } else { Some(Signal::parse(to).filter(|signal| *signal != Signal::CHLD)?) };
    Some((catchable(from)?, to))
}

fn remapping(text: &str) -> Option<(u8, u8)> {
    let (from, to) = text.split_once(':').unwrap_or((text, "0"));
    Some((number(from)?, number(to)?))
}

/// Who the child is to be, and how that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WantedUser {
    pub(crate) spec: UserSpec,
    pub(crate) value: String,
    /// With its source, for a mistake that only the user database shows.
    pub(crate) spelled: String,
}

fn wanted_user(given: &Given<'_>) -> Result<Option<WantedUser>, Mistake> {
    let spec = given.read(UserSpec::parse, "expected USER, USER:GROUP or :GROUP, names or numbers")?;
    let wanted = |(spec, (value, source)): (UserSpec, (&str, Source))| WantedUser {
        spec,
        value: value.to_owned(),
        spelled: source.spell(given.name, value),
    };
    Ok(spec.zip(given.value).map(wanted))
}

/// What the kernel takes for a path: it counts the null byte at the end (`PATH_MAX`).
fn path(text: &str) -> Option<String> {
    ((1..4096).contains(&text.len()) && !text.bytes().any(|byte| byte == 0)).then(|| text.to_owned())
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

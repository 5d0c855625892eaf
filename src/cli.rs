//! Words typed, and variables set, to what they ask for.
//!
//! `argh` holds the options, once: their names, kinds and help come from the table that it makes of
//! them. The words are cut by that table here, since argh knows neither `--name=value` nor words
//! that are not UTF-8 nor the end of the options at the command, and its parser would be more than
//! a tenth of the binary.
#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

use argh::{ArgsInfo, FlagInfo, FlagInfoKind, Optionality};

use crate::config::{Config, Mistake};
use crate::line::text_of;
use crate::message::Format;
use crate::number::number;
use crate::signal::is_alike;

/// frigate: starts one command, forwards signals to it, reaps orphans, restarts it, and exits as it
/// did
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "the table is made of it, and nothing else")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own, as it is typed"
)]
struct Options {
    /// when to start the command again: unexpected (on-failure), true (always), false (no, never);
    /// default: false
    #[argh(option, arg_name = "strategy")]
    restart: Option<String>,
    /// what counts as expected: exit codes, which are numbers, and signals, which are names;
    /// default: 0
    #[argh(option, arg_name = "code,signal...")]
    expect: Option<String>,
    /// a command that stays up this long has started (0: no start ever fails); default: 10s
    #[argh(option, arg_name = "duration")]
    start_secs: Option<String>,
    /// failed starts in a row that are tried again; default: 3
    #[argh(option, arg_name = "n")]
    start_retries: Option<String>,
    /// first pause before another start; it doubles each time; default: 100ms
    #[argh(option, arg_name = "duration")]
    backoff: Option<String>,
    /// the longest pause; default: 60s
    #[argh(option, arg_name = "duration")]
    backoff_max: Option<String>,
    /// what the command's group is sent when frigate is asked to stop; default: as received
    #[argh(option, arg_name = "signal")]
    stop_signal: Option<String>,
    /// signals by which frigate is asked to stop; default: TERM,INT,QUIT
    #[argh(option, arg_name = "signal,...|none")]
    stop_on: Option<String>,
    /// from the stop signal to KILL; default: 30s with --restart, else none
    #[argh(option, arg_name = "duration|none")]
    grace: Option<String>,
    /// what the command leaves running gets this long from TERM to KILL; leave: frigate exits at
    /// once; default: 5s
    #[argh(option, arg_name = "duration|leave")]
    leftovers: Option<String>,
    /// stop by KILL at once, without a grace period
    #[argh(switch)]
    kill: bool,
    /// treat a received signal as another, or drop it: TO = 0 (repeatable)
    #[argh(option, arg_name = "from:to")]
    rewrite: Vec<String>,
    /// send signals to the command alone, not to its group
    #[argh(switch)]
    single_child: bool,
    /// the signal frigate gets when its own parent dies
    #[argh(option, arg_name = "signal")]
    pdeathsig: Option<String>,
    /// exit with TO (0) where the code would have been FROM (repeatable)
    #[argh(option, arg_name = "from[:to]")]
    remap_exit: Vec<String>,
    /// before every start, end other processes of the command's name
    #[argh(switch)]
    grace_close: bool,
    /// how long these get before KILL; default: 30s
    #[argh(option, arg_name = "duration")]
    grace_close_wait: Option<String>,
    /// who the command runs as: names or numbers
    #[argh(option, arg_name = "user[:group]")]
    user: Option<String>,
    /// the command's root
    #[argh(option, arg_name = "dir")]
    chroot: Option<String>,
    /// the command's working directory, inside its root
    #[argh(option, arg_name = "dir")]
    workdir: Option<String>,
    /// the command and its children can gain no privileges by exec
    #[argh(switch)]
    no_new_privs: bool,
    /// the most memory its processes may hold, beyond which they are ended: 64K, 512M, 2G, or max
    #[argh(option, arg_name = "size")]
    memory_max: Option<String>,
    /// the memory above which they are slowed down
    #[argh(option, arg_name = "size")]
    memory_high: Option<String>,
    /// the most swap space they may hold
    #[argh(option, arg_name = "size")]
    memory_swap_max: Option<String>,
    /// the most processor time: a number of CPUs, or microseconds of a period as the kernel takes
    /// them
    #[argh(option, arg_name = "cpus|\"quota period\"")]
    cpu_max: Option<String>,
    /// its share of processors that others want too, from 1 to 10000
    #[argh(option, arg_name = "n")]
    cpu_weight: Option<String>,
    /// the most processes and threads
    #[argh(option, arg_name = "n")]
    pids_max: Option<String>,
    /// any other file of its cgroup, such as io.max="8:0 rbps=1048576" (repeatable)
    #[argh(option, arg_name = "file=value")]
    cgroup: Vec<String>,
    /// start without a limit that cannot be applied
    #[argh(switch)]
    cgroup_best_effort: bool,
    /// append the command's standard output to this file
    #[argh(option, arg_name = "file")]
    stdout: Option<String>,
    /// append its standard error to this file
    #[argh(option, arg_name = "file")]
    stderr: Option<String>,
    /// send its standard error where its standard output goes
    #[argh(switch)]
    redirect_stderr: bool,
    /// rotate such a file when it has this size; default: 0, never
    #[argh(option, arg_name = "size")]
    log_max_bytes: Option<String>,
    /// rotated files that are kept, FILE.1 the newest; default: 0
    #[argh(option, arg_name = "n")]
    log_backups: Option<String>,
    /// where the last message goes if the exit code is not 0; default: /dev/termination-log where
    /// it is
    #[argh(option, arg_name = "path|none")]
    termination_log: Option<String>,
    /// how messages are written: text or json; default: text
    #[argh(option, arg_name = "format")]
    log_format: Option<String>,
    /// say more: starts, ends, signals; twice (-vv): reaped orphans too
    #[argh(switch, short = 'v')]
    verbose: u8,
    /// say errors only
    #[argh(switch, short = 'q')]
    quiet: bool,
}

/// What the words ask for.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one in a process, and a box would be moved into once more"
)]
pub(crate) enum Request {
    /// Run the command that begins at this word.
    Run(Config, usize),
    Help,
    Version,
}

/// Where a value came from, for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    CommandLine,
    Environment,
}

/// One option that was given.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    /// Without the dashes.
    pub(crate) name: &'static str,
    /// A switch has one of the words that turn it on or off.
    pub(crate) text: &'a str,
    pub(crate) source: Source,
}

impl Value<'_> {
    /// The option as it is named where it came from: `--grace` or `FRIGATE_INIT_GRACE`.
    pub(crate) fn spelled_name(&self) -> String {
        let mut name = String::from(if self.source == Source::CommandLine {
            "--"
        } else {
            PREFIX
        });
        match self.source {
            Source::CommandLine => name.push_str(self.name),
            Source::Environment => {
                name.extend(self.name.bytes().map(|byte| char::from(in_variable(byte))));
            }
        }
        name
    }

    /// The same with its value, as a person would have typed it.
    pub(crate) fn spelled(&self) -> String {
        [&self.spelled_name(), "=", self.text].concat()
    }

    #[inline(never)]
    pub(crate) fn refused(&self, why: &str) -> Mistake {
        Mistake::new("use", &self.spelled()).because(why)
    }
}

/// All options that were given: those typed, and those set in the environment that were not typed.
#[derive(Default)]
pub(crate) struct Values<'a>(Vec<Value<'a>>);

impl<'a> Values<'a> {
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Value<'a>> {
        self.0.iter().filter(move |value| value.name == name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|value| value.name == name)
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| switch(value.text) == Some(true))
    }

    fn add(&mut self, flag: &FlagInfo<'static>, text: &'a str, source: Source) {
        self.0.push(Value {
            name: name_of(flag),
            text,
            source,
        });
    }

    /// Takes words until the command begins, at the word whose number it answers with; or answers
    /// what else is asked for.
    fn read_words(&mut self, words: &[&'a [u8]]) -> Result<Result<usize, Request>, Mistake> {
        let flags = flags();
        let mut at = 0;
        while let Some(word) = words.get(at).filter(|word| word.first() == Some(&b'-')) {
            at += 1;
            let Ok(option) = core::str::from_utf8(word) else {
                return Err(refused(word, NOT_UTF_8));
            };
            match option {
                "--" => break,
                HELP | "-h" => return Ok(Err(Request::Help)),
                "--version" => return Ok(Err(Request::Version)),
                _ => {}
            }
            let (name, attached) = option
                .split_once('=')
                .map_or((option, None), |(name, value)| (name, Some(value)));
            if !name.starts_with("--") {
                self.read_cluster(option.get(1..).unwrap_or_default(), flags)
                    .map_err(|why| refused(word, why))?;
                continue;
            }
            let flag = flags
                .iter()
                .find(|flag| flag.long == name && name != HELP)
                .ok_or(NO_SUCH_OPTION);
            let flag = flag
                .and_then(|flag| self.see(flag))
                .map_err(|why| refused(word, why))?;
            let text = match (&flag.kind, attached) {
                (FlagInfoKind::Switch, None) => "1",
                (FlagInfoKind::Switch, Some(_)) if flag.short == Some('v') => {
                    return Err(refused(word, "it takes no value; it may be repeated"));
                }
                (FlagInfoKind::Switch, Some(value)) => {
                    if switch(value).is_none() {
                        return Err(refused(word, SWITCH));
                    }
                    value
                }
                (FlagInfoKind::Option { .. }, Some(value)) => value,
                (FlagInfoKind::Option { .. }, None) => {
                    let Some(value) = words.get(at) else {
                        return Err(refused(word, "it needs a value"));
                    };
                    at += 1;
                    let Ok(text) = core::str::from_utf8(value) else {
                        return Err(refused(
                            &[word, b"=".as_slice(), value].concat(),
                            NO_UTF_8_VALUE,
                        ));
                    };
                    text
                }
            };
            self.add(flag, text, Source::CommandLine);
        }
        Ok(Ok(at))
    }

    /// Takes `vvq` apart.
    fn read_cluster(
        &mut self,
        cluster: &str,
        flags: &'static [FlagInfo<'static>],
    ) -> Result<(), &'static str> {
        if cluster.is_empty() {
            return Err(NO_SUCH_OPTION);
        }
        for byte in cluster.bytes() {
            // A piece of a longer character is no flag's either.
            let flag = flags
                .iter()
                .find(|flag| flag.short == Some(byte.into()))
                .ok_or(NO_SUCH_OPTION)?;
            self.see(flag)?;
            self.add(flag, "1", Source::CommandLine);
        }
        Ok(())
    }

    /// The option, unless something is wrong with its being there.
    fn see(
        &self,
        flag: &'static FlagInfo<'static>,
    ) -> Result<&'static FlagInfo<'static>, &'static str> {
        let is_repeatable = flag.optionality == Optionality::Repeating || flag.short == Some('v');
        if !is_repeatable && self.get(name_of(flag)).is_some() {
            return Err("it was given before, and counts only once");
        }
        Ok(flag)
    }

    /// Takes from the environment what was not typed. Of two variables of one name the first counts
    /// that is not empty.
    fn read_variables(&mut self, entries: impl Iterator<Item = &'a [u8]>) -> Result<(), Mistake> {
        for entry in entries {
            let Some((flag, text)) = option_of(entry) else {
                continue;
            };
            let name = name_of(flag);
            if text.is_empty() || self.get(name).is_some() {
                continue;
            }
            let source = Source::Environment;
            let Ok(text) = core::str::from_utf8(text) else {
                let text = &text_of(text);
                return Err(Value { name, text, source }.refused(NOT_UTF_8));
            };
            let wrong = match flag.kind {
                _ if flag.short == Some('v') => number::<u8>(text)
                    .is_none_or(|times| times > 9)
                    .then_some("expected a number from 0 to 9"),
                FlagInfoKind::Switch => switch(text).is_none().then_some(SWITCH),
                FlagInfoKind::Option { .. } => None,
            };
            if let Some(why) = wrong {
                return Err(Value { name, text, source }.refused(why));
            }
            if flag.optionality == Optionality::Repeating {
                // The values of cgroup files may have commas in them.
                let separator = if name == "cgroup" { '\n' } else { ',' };
                let mut text = text;
                while separator == '\n'
                    && let Some(rest) = text.strip_prefix('\n').or_else(|| text.strip_suffix('\n'))
                {
                    text = rest;
                }
                for part in text.split(separator) {
                    self.add(flag, part, source);
                }
            } else {
                self.add(flag, text, source);
            }
        }
        Ok(())
    }
}

/// Reads the words after the program's name, and those of the environment's entries, `NAME=value`,
/// that can be an option's.
///
/// # Errors
///
/// The first mistake on the command line, then in the environment.
pub(crate) fn read<'a>(
    words: &[&'a [u8]],
    environment: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<Request, Mistake> {
    let mut values = Values::default();
    let mut request = request(&mut values, words, environment.clone());
    if let Err(mistake) = &mut request {
        mistake.format = format(&values, environment);
    }
    request
}

fn request<'a>(
    values: &mut Values<'a>,
    words: &[&'a [u8]],
    environment: impl Iterator<Item = &'a [u8]>,
) -> Result<Request, Mistake> {
    let command = match values.read_words(words)? {
        Ok(command) => command,
        Err(request) => return Ok(request),
    };
    values.read_variables(environment)?;
    let config = Config::new(values)?;
    if command == words.len() {
        let why = "none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]";
        return Err(Mistake::new("start", "COMMAND").because(why));
    }
    Ok(Request::Run(config, command))
}

/// How a mistake is to be written: what was asked for before it counts, so that a line among JSON
/// lines is one.
fn format<'a>(values: &Values<'_>, mut environment: impl Iterator<Item = &'a [u8]>) -> Format {
    let typed = values.get("log-format").map(|value| value.text.as_bytes());
    let of_format = |entry| {
        option_of(entry)
            .filter(|(flag, _)| flag.long == "--log-format")
            .map(|(_, text)| text)
    };
    if typed.or_else(|| environment.find_map(of_format)) == Some(b"json") {
        Format::Json
    } else {
        Format::Text
    }
}

/// Among argh's options by itself.
const HELP: &str = "--help";
const SWITCH: &str = "expected 1, true, yes, on, or 0, false, no, off";
const NO_SUCH_OPTION: &str = "there is no such option; see frigate --help";
const NOT_UTF_8: &str = "it is not valid UTF-8";
const NO_UTF_8_VALUE: &str = "its value is not valid UTF-8";

#[inline(never)]
fn refused(word: &[u8], why: &str) -> Mistake {
    Mistake::new("use", &text_of(word)).because(why)
}

#[inline(never)]
fn flags() -> &'static [FlagInfo<'static>] {
    ManuallyDrop::new(Options::get_args_info()).flags
}

fn name_of(flag: &FlagInfo<'static>) -> &'static str {
    flag.long.strip_prefix("--").unwrap_or_default()
}

/// What the variables of options begin with; the option's name follows in upper case, with `_` for
/// `-`. Not `FRIGATE_` alone: a video recorder of that name has a `FRIGATE_USER`, and an engine
/// that makes frigate the init of every container starts that one too.
const PREFIX: &str = "FRIGATE_INIT_";
/// Its first letter.
pub(crate) const INITIAL: u8 = match PREFIX.as_bytes() {
    [first, ..] => *first,
    [] => 0,
};

fn in_variable(byte: u8) -> u8 {
    if byte == b'-' {
        b'_'
    } else {
        byte.to_ascii_uppercase()
    }
}

/// The option that an entry of the environment sets, and its value.
fn option_of(entry: &[u8]) -> Option<(&'static FlagInfo<'static>, &[u8])> {
    let entry = entry.strip_prefix(PREFIX.as_bytes())?;
    let (name, value) = entry.split_at_checked(entry.iter().position(|byte| *byte == b'=')?)?;
    let is_named = |flag: &&FlagInfo<'static>| {
        let option = name_of(flag);
        option.len() == name.len()
            && option
                .bytes()
                .zip(name)
                .all(|(byte, set)| in_variable(byte) == *set)
    };
    Some((
        flags()
            .iter()
            .find(is_named)
            .filter(|flag| flag.long != HELP)?,
        value.get(1..)?,
    ))
}

fn switch(value: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| is_alike(word, value));
    if is(["1", "true", "yes", "on"]) {
        return Some(true);
    }
    is(["0", "false", "no", "off"]).then_some(false)
}

/// The text of `--help`.
#[inline(never)]
pub(crate) fn help() -> String {
    let info = Options::get_args_info();
    let mut text = String::from("Usage: frigate [OPTIONS] [--] COMMAND [ARG...]\n\n");
    text.push_str(info.description);
    text.push_str(".\n\nOptions:\n");
    for flag in info.flags {
        let mut left = String::from("  ");
        if let Some(short) = flag.short {
            left.extend(['-', short, ',', ' ']);
        }
        left.push_str(flag.long);
        if let FlagInfoKind::Option { arg_name } = &flag.kind {
            left.push(' ');
            left.push_str(&arg_name.to_ascii_uppercase());
        }
        text.push_str(&left);
        text.push_str("\n        ");
        text.push_str(if flag.long == HELP {
            "print this and exit (also -h)"
        } else {
            flag.description
        });
        text.push('\n');
    }
    text.push_str(
        "      --version\n        print the version and exit\n\n\
         Each option is also read from the environment: FRIGATE_INIT_GRACE=5s is --grace 5s; the command line wins.\n\
         DURATION: 500ms, 10s, 2m, 1h; bare numbers are seconds. SIGNAL: TERM, SIGTERM, 15, RTMIN+3.\n\
         Exit: the command's code, 128+N if signal N ended it; 125 a mistake, 126 cannot be executed, 127 not found.\n",
    );
    text
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;

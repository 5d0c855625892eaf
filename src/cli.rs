//! Words typed, and variables set, to what they ask for.
//!
//! `argh` holds the options, once: their names, kinds and help come from there. It knows neither `--name=value` nor words
//! that are not UTF-8 nor the end of the options at the command, so the words are cut and checked here first, and argh is
//! handed only what is an option and its value.
#![forbid(unsafe_code)]

use argh::{ArgsInfo, FlagInfo, FlagInfoKind, FromArgs, Optionality};

use crate::config::{Config, Mistake};

/// frigate: starts one command, forwards signals to it, reaps orphans, restarts it, and exits as it did
#[derive(FromArgs, ArgsInfo, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own, as it is typed")]
pub(crate) struct Options {
    /// when to start the command again: unexpected (on-failure), true (always), false (no, never) [false]
    #[argh(option, arg_name = "strategy")]
    pub(crate) restart: Option<String>,
    /// exit codes and signals that count as expected [0]
    #[argh(option, arg_name = "code,signal...")]
    pub(crate) expect: Option<String>,
    /// a command that stays up this long has started; 0: no start ever fails [10s]
    #[argh(option, arg_name = "duration")]
    pub(crate) start_secs: Option<String>,
    /// failed starts in a row that are tried again [3]
    #[argh(option, arg_name = "n")]
    pub(crate) start_retries: Option<String>,
    /// first pause before another start; it doubles each time [100ms]
    #[argh(option, arg_name = "duration")]
    pub(crate) backoff: Option<String>,
    /// the longest pause [60s]
    #[argh(option, arg_name = "duration")]
    pub(crate) backoff_max: Option<String>,
    /// what the command's group is sent when frigate is asked to stop [as received]
    #[argh(option, arg_name = "signal")]
    pub(crate) stop_signal: Option<String>,
    /// signals by which frigate is asked to stop [TERM,INT,QUIT]
    #[argh(option, arg_name = "signal,...")]
    pub(crate) stop_on: Option<String>,
    /// from the stop signal to KILL [30s]
    #[argh(option, arg_name = "duration")]
    pub(crate) grace: Option<String>,
    /// stop by KILL at once, without a grace period
    #[argh(switch)]
    pub(crate) kill: bool,
    /// treat a received signal as another, or drop it: TO = 0 (repeatable)
    #[argh(option, arg_name = "from:to")]
    pub(crate) rewrite: Vec<String>,
    /// send signals to the command alone, not to its group
    #[argh(switch)]
    pub(crate) single_child: bool,
    /// the signal frigate gets when its own parent dies
    #[argh(option, arg_name = "signal")]
    pub(crate) pdeathsig: Option<String>,
    /// exit with TO (0) where the code would have been FROM (repeatable)
    #[argh(option, arg_name = "from[:to]")]
    pub(crate) remap_exit: Vec<String>,
    /// before every start, end other processes of the command's name
    #[argh(switch)]
    pub(crate) grace_close: bool,
    /// how long these get before KILL [30s]
    #[argh(option, arg_name = "duration")]
    pub(crate) grace_close_wait: Option<String>,
    /// where the last message goes if the exit code is not 0: a path, or none [/dev/termination-log where it is]
    #[argh(option, arg_name = "path")]
    pub(crate) termination_log: Option<String>,
    /// how messages are written: text or json [text]
    #[argh(option, arg_name = "format")]
    pub(crate) log_format: Option<String>,
    /// say more: starts, ends, signals; twice: reaped orphans too
    #[argh(switch, short = 'v')]
    pub(crate) verbose: u8,
    /// say errors only
    #[argh(switch, short = 'q')]
    pub(crate) quiet: bool,
}

/// What the words ask for.
pub(crate) enum Request {
    /// Run the command that begins at this word.
    Run(Box<Config>, usize),
    Help,
    Version,
}

/// Where a value came from, for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    CommandLine,
    Environment,
}

impl Source {
    /// The option as a person would have typed it there: `--grace=5s` or `FRIGATE_GRACE=5s`.
    pub(crate) fn spell(self, name: &str, value: &str) -> String {
        match self {
            Self::CommandLine => format!("--{name}={value}"),
            Self::Environment => format!("{}={value}", variable(name)),
        }
    }
}

/// Reads the words after the program's name, and the environment through `variable_of`.
///
/// # Errors
///
/// The first mistake on the command line, then in the environment.
pub(crate) fn read(words: &[&[u8]], variable_of: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Request, Mistake> {
    let flags = Options::get_args_info().flags;
    let mut typed: Vec<&str> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut rest = words;
    while let [word, tail @ ..] = rest {
        rest = tail;
        let Some(option) = word.strip_prefix(b"-") else {
            rest = words.get(words.len() - tail.len() - 1..).unwrap_or_default();
            break;
        };
        let text = || Mistake::new("use", &String::from_utf8_lossy(word));
        let Ok(option) = core::str::from_utf8(option) else {
            return Err(text().because("it is not valid UTF-8"));
        };
        match option {
            "-" => break,
            "-help" | "h" => return Ok(Request::Help),
            "-version" => return Ok(Request::Version),
            _ => {}
        }
        let Some(long) = option.strip_prefix('-') else {
            typed.extend(short_flags(option, flags).ok_or_else(|| text().because(NO_SUCH_OPTION))?);
            continue;
        };
        let (name, attached) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let flag = find(flags, name).ok_or_else(|| text().because(NO_SUCH_OPTION))?;
        if seen.contains(&flag.long) && flag.optionality != Optionality::Repeating && flag.long != "--verbose" {
            return Err(text().because("it was given before, and counts only once"));
        }
        seen.push(flag.long);
        typed.push(flag.long);
        match (&flag.kind, attached) {
            (FlagInfoKind::Switch, None) => {}
            (FlagInfoKind::Switch, Some(_)) => return Err(text().because("it takes no value")),
            (FlagInfoKind::Option { .. }, Some(value)) => typed.push(value),
            (FlagInfoKind::Option { .. }, None) => {
                let [value, tail @ ..] = rest else {
                    return Err(text().because("it needs a value"));
                };
                rest = tail;
                let valid = core::str::from_utf8(value);
                typed.push(valid.map_err(|_| text().because("its value is not valid UTF-8"))?);
            }
        }
    }
    let set = set_in_environment(flags, variable_of)?;
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let config = Config::new(&parse(&typed)?, &parse(&set)?)?;
    if rest.is_empty() {
        let mistake =
            Mistake::new("start", "COMMAND").because("none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]");
        return Err(Mistake { format: config.format, ..mistake });
    }
    Ok(Request::Run(Box::new(config), words.len() - rest.len()))
}

const NO_SUCH_OPTION: &str = "there is no such option; see frigate --help";

fn parse(words: &[&str]) -> Result<Options, Mistake> {
    Options::from_args(&["frigate"], words)
        .map_err(|exit| Mistake::new("use", &words.join(" ")).because(exit.output.trim()))
}

fn find<'a>(flags: &'a [FlagInfo<'a>], name: &str) -> Option<&'a FlagInfo<'a>> {
    flags.iter().find(|flag| flag.long.strip_prefix("--") == Some(name) && name != "help")
}

/// Takes `-vvq` apart.
fn short_flags(cluster: &str, flags: &[FlagInfo<'static>]) -> Option<Vec<&'static str>> {
    if cluster.is_empty() {
        return None;
    }
    cluster.chars().map(|c| flags.iter().find(|flag| flag.short == Some(c)).map(|flag| flag.long)).collect()
}

/// `FRIGATE_` and the option's name in upper case with `_` for `-`.
fn variable(name: &str) -> String {
    let mut variable = String::from("FRIGATE_");
    variable.extend(name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }));
    variable
}

/// The options that are set in the environment, as words.
fn set_in_environment(
    flags: &[FlagInfo<'static>],
    variable_of: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<String>, Mistake> {
    let mut words = Vec::new();
    for flag in flags {
        let name = flag.long.strip_prefix("--").unwrap_or(flag.long);
        if name == "help" {
            continue;
        }
        let Some(value) = variable_of(&variable(name)).filter(|value| !value.is_empty()) else { continue };
        let wrong = |value: &str, why| Mistake::new("use", &Source::Environment.spell(name, value)).because(why);
        let value = String::from_utf8(value)
            .map_err(|error| wrong(&String::from_utf8_lossy(error.as_bytes()), "it is not valid UTF-8"))?;
        if name == "verbose" {
            let times = value.parse::<u8>().ok().filter(|times| *times <= 9 && !value.starts_with('+'));
            let times = times.ok_or_else(|| wrong(&value, "expected a number from 0 to 9"))?;
            words.extend((0..times).map(|_| flag.long.to_owned()));
            continue;
        }
        match (&flag.kind, &flag.optionality) {
            (FlagInfoKind::Switch, _) => {
                let on = switch(&value);
                let on = on.ok_or_else(|| wrong(&value, "expected 1, true, yes, on, or 0, false, no, off"))?;
                words.extend(on.then(|| flag.long.to_owned()));
            }
            (FlagInfoKind::Option { .. }, Optionality::Repeating) => {
                for part in value.split(',') {
                    words.extend([flag.long.to_owned(), part.to_owned()]);
                }
            }
            (FlagInfoKind::Option { .. }, _) => words.extend([flag.long.to_owned(), value]),
        }
    }
    Ok(words)
}

fn switch(value: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    if is(["1", "true", "yes", "on"]) {
        return Some(true);
    }
    is(["0", "false", "no", "off"]).then_some(false)
}

/// The text of `--help`.
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
        text.push_str(flag.description);
        text.push('\n');
    }
    text.push_str(
        "      --version\n        print the version and exit\n\n\
         Each option is also read from the environment: FRIGATE_GRACE=5s is --grace 5s; the command line wins.\n\
         DURATION: 500ms, 10s, 2m, 1h; bare numbers are seconds. SIGNAL: TERM, SIGTERM, 15, RTMIN+3.\n\
         Exit: the command's code, 128+N if signal N ended it; 125 a mistake, 126 cannot be executed, 127 not found.\n",
    );
    text
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;

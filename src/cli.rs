//! Words typed, and variables set, to what they ask for.
//!
//! `argh` holds the options, once: their names, kinds and help come from there. It knows neither `--name=value` nor words
//! that are not UTF-8 nor the end of the options at the command, so the words are cut and checked here first, and argh is
//! handed only what is an option and its value.
#![forbid(unsafe_code)]

use argh::{ArgsInfo, FlagInfo, FlagInfoKind, FromArgs, Optionality};

use crate::config::{Config, Mistake};
use crate::message::Format;

/// frigate: starts one command, forwards signals to it, reaps orphans, restarts it, and exits as it did
#[derive(FromArgs, ArgsInfo, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own, as it is typed")]
pub(crate) struct Options {
    /// when to start the command again: unexpected (on-failure), true (always), false (no, never); default: false
    #[argh(option, arg_name = "strategy")]
    pub(crate) restart: Option<String>,
    /// what counts as expected: exit codes, which are numbers, and signals, which are names; default: 0
    #[argh(option, arg_name = "code,signal...")]
    pub(crate) expect: Option<String>,
    /// a command that stays up this long has started (0: no start ever fails); default: 10s
    #[argh(option, arg_name = "duration")]
    pub(crate) start_secs: Option<String>,
    /// failed starts in a row that are tried again; default: 3
    #[argh(option, arg_name = "n")]
    pub(crate) start_retries: Option<String>,
    /// first pause before another start; it doubles each time; default: 100ms
    #[argh(option, arg_name = "duration")]
    pub(crate) backoff: Option<String>,
    /// the longest pause; default: 60s
    #[argh(option, arg_name = "duration")]
    pub(crate) backoff_max: Option<String>,
    /// what the command's group is sent when frigate is asked to stop; default: as received
    #[argh(option, arg_name = "signal")]
    pub(crate) stop_signal: Option<String>,
    /// signals by which frigate is asked to stop; default: TERM,INT,QUIT
    #[argh(option, arg_name = "signal,...")]
    pub(crate) stop_on: Option<String>,
    /// from the stop signal to KILL; default: 30s
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
    /// how long these get before KILL; default: 30s
    #[argh(option, arg_name = "duration")]
    pub(crate) grace_close_wait: Option<String>,
    /// who the command runs as: names or numbers
    #[argh(option, arg_name = "user[:group]")]
    pub(crate) user: Option<String>,
    /// the command's root
    #[argh(option, arg_name = "dir")]
    pub(crate) chroot: Option<String>,
    /// the command's working directory, inside its root
    #[argh(option, arg_name = "dir")]
    pub(crate) workdir: Option<String>,
    /// the command and its children can gain no privileges by exec
    #[argh(switch)]
    pub(crate) no_new_privs: bool,
    /// the most memory its processes may hold, beyond which they are ended: 64K, 512M, 2G, or max
    #[argh(option, arg_name = "size")]
    pub(crate) memory_max: Option<String>,
    /// the memory above which they are slowed down
    #[argh(option, arg_name = "size")]
    pub(crate) memory_high: Option<String>,
    /// the most swap space they may hold
    #[argh(option, arg_name = "size")]
    pub(crate) memory_swap_max: Option<String>,
    /// the most processor time: a number of CPUs, or microseconds of a period as the kernel takes them
    #[argh(option, arg_name = "cpus|\"quota period\"")]
    pub(crate) cpu_max: Option<String>,
    /// its share of processors that others want too, from 1 to 10000
    #[argh(option, arg_name = "n")]
    pub(crate) cpu_weight: Option<String>,
    /// the most processes and threads
    #[argh(option, arg_name = "n")]
    pub(crate) pids_max: Option<String>,
    /// any other file of its cgroup, such as io.max="8:0 rbps=1048576" (repeatable)
    #[argh(option, arg_name = "file=value")]
    pub(crate) cgroup: Vec<String>,
    /// start without a limit that cannot be applied
    #[argh(switch)]
    pub(crate) cgroup_best_effort: bool,
    /// append the command's standard output to this file
    #[argh(option, arg_name = "file")]
    pub(crate) stdout: Option<String>,
    /// append its standard error to this file
    #[argh(option, arg_name = "file")]
    pub(crate) stderr: Option<String>,
    /// send its standard error where its standard output goes
    #[argh(switch)]
    pub(crate) redirect_stderr: bool,
    /// rotate such a file when it has this size; default: 0, never
    #[argh(option, arg_name = "size")]
    pub(crate) log_max_bytes: Option<String>,
    /// rotated files that are kept, FILE.1 the newest; default: 0
    #[argh(option, arg_name = "n")]
    pub(crate) log_backups: Option<String>,
    /// where the last message goes if the exit code is not 0; default: /dev/termination-log where it is
    #[argh(option, arg_name = "path|none")]
    pub(crate) termination_log: Option<String>,
    /// how messages are written: text or json; default: text
    #[argh(option, arg_name = "format")]
    pub(crate) log_format: Option<String>,
    /// say more: starts, ends, signals; twice (-vv): reaped orphans too
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
    /// The option as it is named there: `--grace` or `FRIGATE_GRACE`.
    pub(crate) fn name(self, option: &str) -> String {
        match self {
            Self::CommandLine => ["--", option].concat(),
            Self::Environment => variable(option),
        }
    }

    /// The same with its value, as a person would have typed it.
    pub(crate) fn spell(self, option: &str, value: &str) -> String {
        [&self.name(option), "=", value].concat()
    }
}

/// Reads the words after the program's name, and the environment through `variable_of`.
///
/// # Errors
///
/// The first mistake on the command line, then in the environment.
pub(crate) fn read(words: &[&[u8]], variable_of: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Request, Mistake> {
    let flags = Options::get_args_info().flags;
    let mut cut = Cut::default();
    let mut request = cut.options(words, flags);
    if let Ok(None) = request {
        request = cut.request(words, flags, &variable_of).map(Some);
    }
    request
        .map(|request| request.unwrap_or(Request::Help))
        .map_err(|mistake| Mistake { format: cut.format(variable_of), ..mistake })
}

/// The words, taken apart.
#[derive(Default)]
struct Cut<'a> {
    /// Options and values, one word each, as argh takes them.
    typed: Vec<&'a str>,
    /// The options among them, and those that were denied by `=false`.
    seen: Vec<&'a str>,
    /// Where the command begins.
    command: usize,
}

impl<'a> Cut<'a> {
    /// Takes options until the command begins; answers if one of them is all that is asked for.
    fn options(&mut self, words: &[&'a [u8]], flags: &'a [FlagInfo<'static>]) -> Result<Option<Request>, Mistake> {
        let mut rest = words;
        while let [word, tail @ ..] = rest {
            let Some(option) = word.strip_prefix(b"-") else { break };
            rest = tail;
            self.command = words.len() - rest.len();
            let mistake = |why| Mistake::new("use", &String::from_utf8_lossy(word)).because(why);
            let Ok(option) = core::str::from_utf8(option) else {
                return Err(mistake("it is not valid UTF-8"));
            };
            match option {
                "-" => break,
                "-help" | "h" => return Ok(Some(Request::Help)),
                "-version" => return Ok(Some(Request::Version)),
                _ => {}
            }
            let Some(long) = option.strip_prefix('-') else {
                for flag in short_flags(option, flags).ok_or_else(|| mistake(NO_SUCH_OPTION))? {
                    self.see(flag).map_err(mistake)?;
                    self.typed.push(flag.long);
                }
                continue;
            };
            let (name, attached) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let flag = find(flags, name).ok_or_else(|| mistake(NO_SUCH_OPTION))?;
            self.see(flag).map_err(mistake)?;
            match (&flag.kind, attached) {
                (FlagInfoKind::Switch, None) => self.typed.push(flag.long),
                (FlagInfoKind::Switch, Some(_)) if flag.long == VERBOSE => {
                    return Err(mistake("it takes no value; it may be repeated"));
                }
                (FlagInfoKind::Switch, Some(value)) => {
                    let on = switch(value).ok_or_else(|| mistake(SWITCH))?;
                    self.typed.extend(on.then_some(flag.long));
                }
                (FlagInfoKind::Option { .. }, Some(value)) => self.typed.extend([flag.long, value]),
                (FlagInfoKind::Option { .. }, None) => {
                    let [value, tail @ ..] = rest else { return Err(mistake("it needs a value")) };
                    rest = tail;
                    self.command += 1;
                    let Ok(text) = core::str::from_utf8(value) else {
                        let object = Source::CommandLine.spell(name, &String::from_utf8_lossy(value));
                        return Err(Mistake::new("use", &object).because("its value is not valid UTF-8"));
                    };
                    self.typed.extend([flag.long, text]);
                }
            }
        }
        Ok(None)
    }

    /// Notes an option; answers with what is wrong with it.
    fn see(&mut self, flag: &FlagInfo<'static>) -> Result<(), &'static str> {
        let is_repeatable = flag.optionality == Optionality::Repeating || flag.long == VERBOSE;
        if self.seen.contains(&flag.long) && !is_repeatable {
            return Err("it was given before, and counts only once");
        }
        self.seen.push(flag.long);
        Ok(())
    }

    /// How a mistake is to be written: what was asked for before it counts, so that a line among JSON lines is one.
    fn format(&self, variable_of: impl Fn(&str) -> Option<Vec<u8>>) -> Format {
        let typed = self.typed.windows(2).find_map(|pair| match pair {
            ["--log-format", format] => Some(format.as_bytes().to_vec()),
            _ => None,
        });
        let json = typed.or_else(|| variable_of(&variable("log-format"))).is_some_and(|format| format == b"json");
        if json { Format::Json } else { Format::Text }
    }

    fn request(
        &self,
        words: &[&[u8]],
        flags: &[FlagInfo<'static>],
        variable_of: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Request, Mistake> {
        let set = set_in_environment(flags, &self.seen, variable_of)?;
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let config = Config::new(&parse(&self.typed)?, &parse(&set)?)?;
        if self.command == words.len() {
            let why = "none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]";
            return Err(Mistake::new("start", "COMMAND").because(why));
        }
        Ok(Request::Run(Box::new(config), self.command))
    }
}

const VERBOSE: &str = "--verbose";
const SWITCH: &str = "expected 1, true, yes, on, or 0, false, no, off";
const NO_SUCH_OPTION: &str = "there is no such option; see frigate --help";

fn parse(words: &[&str]) -> Result<Options, Mistake> {
    Options::from_args(&["frigate"], words)
        .map_err(|exit| Mistake::new("use", &words.join(" ")).because(exit.output.trim()))
}

fn find<'a>(flags: &'a [FlagInfo<'static>], name: &str) -> Option<&'a FlagInfo<'static>> {
    flags.iter().find(|flag| flag.long.strip_prefix("--") == Some(name) && name != "help")
}

/// Takes `-vvq` apart.
fn short_flags<'a>(cluster: &str, flags: &'a [FlagInfo<'static>]) -> Option<Vec<&'a FlagInfo<'static>>> {
    if cluster.is_empty() {
        return None;
    }
    cluster.chars().map(|c| flags.iter().find(|flag| flag.short == Some(c))).collect()
}

/// `FRIGATE_` and the option's name in upper case with `_` for `-`.
fn variable(name: &str) -> String {
    let mut variable = String::from("FRIGATE_");
    variable.extend(name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }));
    variable
}

/// The options that are set in the environment, as words; not those that were `seen` on the command line.
fn set_in_environment(
    flags: &[FlagInfo<'static>],
    seen: &[&str],
    variable_of: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<String>, Mistake> {
    let mut words = Vec::new();
    for flag in flags {
        let name = flag.long.strip_prefix("--").unwrap_or(flag.long);
        if name == "help" || seen.contains(&flag.long) {
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
                let on = on.ok_or_else(|| wrong(&value, SWITCH))?;
                words.extend(on.then(|| flag.long.to_owned()));
            }
            (FlagInfoKind::Option { .. }, Optionality::Repeating) => {
                // The values of cgroup files may have commas in them.
                let separator = if name == "cgroup" { '\n' } else { ',' };
                let value = if name == "cgroup" { value.trim_matches('\n') } else { &value };
                for part in value.split(separator) {
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
        text.push_str(if flag.long == "--help" { "print this and exit (also -h)" } else { flag.description });
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

//! What the command line and the environment ask for.

use core::mem::ManuallyDrop;

use crate::core::health::target::Target;
use crate::core::text::lossy_text;
use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::program::config::Config;
use crate::program::options::mode::{Deed, Mode};
use crate::program::options::parse::{STOP_SIGNAL, parse_stop_signal};
use crate::program::options::values::{Value, Values, Words};
use crate::program::options::variables::option_of;
use crate::program::probe::Probe;
use crate::program::signal_sender::SignalSender;
use crate::program::status_reader::StatusReader;

/// What frigate was asked to do.
pub(crate) enum Request<'a> {
    /// Run the command that begins at this index of the arguments.
    Run(Box<Config>, usize),
    /// Check once, and run nothing.
    Probe(Probe<'a>),
    /// Tell how the command of PID 1 is, and run nothing.
    Status(StatusReader),
    /// Run without a command.
    Pause(Box<Config>),
    /// Send a signal to PID 1, and run nothing.
    Signal(SignalSender<'a>),
    /// Become the command that begins at this index of the arguments.
    Exec(Box<Config>, usize),
    Help,
    Version,
}

/// Reads the arguments, and the environment's entries that may set an option (`NAME=value`).
///
/// # Errors
///
/// The first mistake on the command line, then in the environment.
pub(crate) fn read<'a>(
    words: &[&'a [u8]],
    environment: impl Iterator<Item = &'a [u8]>,
) -> Result<Request<'a>, Mistake> {
    let mut values = Values::default();
    let command = match values.read_words(words)? {
        Words::Command(index) => index,
        Words::Help => return Ok(Request::Help),
        Words::Version => return Ok(Request::Version),
    };
    let mode = values.mode();
    values.read_variables(environment, mode)?;
    // In a box, since a move takes more code than the box. It is not freed: the process has one.
    let config = ManuallyDrop::new(Box::new(Config::new(&values)?));
    if let Some(mode) = mode {
        let word = words.get(command).copied();
        if let Some(request) = read_mode(mode, &values, word, &config)? {
            return Ok(request);
        }
        if mode.deed == Deed::Pause {
            return Ok(Request::Pause(ManuallyDrop::into_inner(config)));
        }
    }
    if command == words.len() {
        let why = "none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]";
        return Err(Mistake::new("start", "COMMAND").because(why));
    }
    let config = ManuallyDrop::into_inner(config);
    Ok(match mode {
        None => Request::Run(config, command),
        Some(_) => Request::Exec(config, command),
    })
}

/// Reads what a mode needs; `None` means the configuration. Nothing may stand beside a mode that does not
/// belong to it.
// Not inlined: what every run executes has 1,056 bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
fn read_mode<'a>(
    mode: &Mode,
    values: &Values<'a>,
    command: Option<&[u8]>,
    config: &Config,
) -> Result<Option<Request<'a>>, Mistake> {
    let spelled = ["--", mode.name].concat();
    if let Some(value) = values.iter().find(|value| !mode.takes(value.name)) {
        let mistake = Mistake::new("use", &value.spelled_name());
        return Err(mistake.because(&["it does not belong to ", &spelled].concat()));
    }
    if let Some(command) = command.filter(|_| mode.deed != Deed::Exec) {
        let mistake = Mistake::new("start", &lossy_text(command));
        return Err(mistake.because(&[&spelled, " runs no command"].concat()));
    }
    let Some(value) = values.get(mode.name) else {
        return Err(Mistake::new("use", &spelled).because("it needs a value"));
    };
    match mode.deed {
        Deed::Probe => read_probe(value, config).map(|probe| Some(Request::Probe(probe))),
        Deed::Signal => read_signal(value).map(|sender| Some(Request::Signal(sender))),
        Deed::Status => Ok(Some(Request::Status(StatusReader {
            format: config.format,
        }))),
        Deed::Pause => read_pause(config),
        Deed::Exec => Ok(None),
    }
}

/// Checks the configuration of a frigate without a command. It must not be told to leave the only
/// processes that it has to end.
fn read_pause<'a>(config: &Config) -> Result<Option<Request<'a>>, Mistake> {
    if config.rules.leftovers.is_some() {
        return Ok(None);
    }
    let why = "--pause ends what is left; expected a duration";
    Err(Mistake::new("use", "--leftovers=leave").because(why))
}

fn read_probe<'a>(target: &Value<'a>, config: &Config) -> Result<Probe<'a>, Mistake> {
    match Target::parse(target.text) {
        Ok(Target::Asked(question)) => Ok(Probe {
            question,
            target: target.text,
            timeout: config.rules.checks.timeout,
        }),
        Ok(Target::Notify) => Err(target.refused("a probe cannot hear the child's messages")),
        Err(why) => Err(target.refused(why)),
    }
}

/// Reads a signal for PID 1. It is one of those that `--stop-signal` takes: CHLD tells PID 1
/// nothing, and STOP has no effect on it.
fn read_signal<'a>(value: &Value<'a>) -> Result<SignalSender<'a>, Mistake> {
    let signal = parse_stop_signal(value.text).ok_or_else(|| value.refused(STOP_SIGNAL))?;
    Ok(SignalSender {
        signal,
        typed: value.text,
    })
}

/// How the mistake that `read` found is reported.
pub(crate) struct MistakeReport {
    /// The format that was asked for up to it, so that a mistake among JSON lines is one.
    pub(crate) format: Format,
    /// Whether it is the end of the container, and so belongs into its termination log. A mode that
    /// runs no command is called beside the frigate that does.
    pub(crate) is_end: bool,
}

/// Returns how the mistake that `read` found is reported.
// Not inlined: what every run executes has 416 bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
pub(crate) fn report_of_mistake<'a>(
    words: &[&'a [u8]],
    mut environment: impl Iterator<Item = &'a [u8]> + Clone,
) -> MistakeReport {
    let mut values = Values::default();
    if let Ok(Words::Command(_)) = values.read_words(words) {
        let _ = values.read_variables(environment.clone(), None);
    }
    let typed = values.get("log-format").map(|value| value.text.as_bytes());
    let of_format = |entry| {
        option_of(entry)
            .filter(|(flag, _)| flag.long == "--log-format")
            .map(|(_, text)| text)
    };
    let format = if typed.or_else(|| environment.find_map(of_format)) == Some(b"json") {
        Format::Json
    } else {
        Format::Text
    };
    MistakeReport {
        format,
        is_end: values.mode().is_none_or(|mode| mode.deed == Deed::Pause),
    }
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;

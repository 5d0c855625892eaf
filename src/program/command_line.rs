//! What the command line and the environment ask for.

use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::program::config::Config;
use crate::program::options::values::{Values, Words};
use crate::program::options::variables::option_of;

/// What frigate was asked to do.
#[expect(
    clippy::large_enum_variant,
    reason = "a process has one, and a box would be another move"
)]
pub(crate) enum Request {
    /// Run the command that begins at this index of the arguments.
    Run(Config, usize),
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
) -> Result<Request, Mistake> {
    let mut values = Values::default();
    let command = match values.read_words(words)? {
        Words::Command(index) => index,
        Words::Help => return Ok(Request::Help),
        Words::Version => return Ok(Request::Version),
    };
    values.read_variables(environment)?;
    let config = Config::new(&values)?;
    if command == words.len() {
        let why = "none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]";
        return Err(Mistake::new("start", "COMMAND").because(why));
    }
    Ok(Request::Run(config, command))
}

/// Returns the format for the mistake that `read` found: the one that was asked for up to it, so
/// that a mistake among JSON lines is one.
pub(crate) fn format<'a>(
    words: &[&'a [u8]],
    mut environment: impl Iterator<Item = &'a [u8]> + Clone,
) -> Format {
    let mut values = Values::default();
    if let Ok(Words::Command(_)) = values.read_words(words) {
        let _ = values.read_variables(environment.clone());
    }
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

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;

//! What the words after the program's name, and the variables of the environment, ask for.

use crate::messages::message::Format;
use crate::messages::mistake::Mistake;
use crate::program::config::Config;
use crate::program::options::values::{Values, Words, option_of};

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
        Words::Command(index) => index,
        Words::Help => return Ok(Request::Help),
        Words::Version => return Ok(Request::Version),
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

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;

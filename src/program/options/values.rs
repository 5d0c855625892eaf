//! The options that were given: typed as words, or set in the environment. `config` decides what
//! their values mean.

use core::slice::Iter;

use argh::{FlagInfo, FlagInfoKind, Optionality};

use crate::core::number::parse_number;
use crate::core::signal::is_alike;
use crate::core::text::lossy_text;
use crate::messages::mistake::Mistake;
use crate::program::options::mode::{Deed, Mode};
use crate::program::options::table::{HELP, flags, is_counted, name_of};
use crate::program::options::variables;

/// What the words before the command ask for.
pub(crate) enum Words {
    /// Run the command that begins at this index.
    Command(usize),
    Help,
    Version,
}

/// The place that a value comes from.
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
    /// For a switch, one of the words that turn it on or off.
    pub(crate) text: &'a str,
    pub(crate) source: Source,
}

impl Value<'_> {
    /// Returns the option's name as its source writes it: `--grace` or `FRIGATE_INIT_GRACE`.
    pub(crate) fn spelled_name(&self) -> String {
        match self.source {
            Source::CommandLine => ["--", self.name].concat(),
            Source::Environment => variables::name_of(self.name),
        }
    }

    /// Returns the name and the value, as a user would have typed them.
    pub(crate) fn spelled(&self) -> String {
        [&self.spelled_name(), "=", self.text].concat()
    }

    pub(crate) fn refused(&self, why: &str) -> Mistake {
        Mistake::new("use", &self.spelled()).because(why)
    }
}

/// All options that were given. What was typed replaces what is set in the environment.
#[derive(Default)]
pub(crate) struct Values<'a>(Vec<Value<'a>>);

impl<'a> Values<'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Value<'a>> {
        self.0.iter()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Value<'a>> {
        self.0.iter().filter(move |value| value.name == name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|value| value.name == name)
    }

    /// Returns the mode that was typed; `None` means that a command is to be supervised.
    pub(crate) fn mode(&self) -> Option<&'static Mode> {
        Mode::find(|mode| match mode.deed {
            Deed::Probe | Deed::Signal => self.get(mode.name).is_some(),
            Deed::Status | Deed::Pause | Deed::Exec => self.is_on(mode.name),
        })
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

    /// Parses options up to the command. Returns the command's index, or the `--help` or `--version`
    /// request.
    ///
    /// # Errors
    ///
    /// The first word that is no option, is given twice, or lacks its value.
    pub(crate) fn read_words(&mut self, words: &[&'a [u8]]) -> Result<Words, Mistake> {
        let flags = flags();
        let mut rest = words.iter();
        while let Some(word) = rest.as_slice().first() {
            if word.first() != Some(&b'-') {
                break;
            }
            rest.next();
            // A pattern, since a text would be read beyond what other runs touch: 64 kB of memory
            // (`tools/layout.ld`).
            if let [b'-', b'-'] = word {
                break;
            }
            let Ok(option) = core::str::from_utf8(word) else {
                return Err(refused(word, NOT_UTF_8));
            };
            match option {
                HELP | "-h" => return Ok(Words::Help),
                "--version" => return Ok(Words::Version),
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
                .and_then(|flag| self.check_repetition(flag))
                .map_err(|why| refused(word, why))?;
            let text = match &flag.kind {
                FlagInfoKind::Switch => switch_text(flag, attached, word)?,
                FlagInfoKind::Option { .. } => option_text(attached, word, &mut rest)?,
            };
            self.add(flag, text, Source::CommandLine);
        }
        Ok(Words::Command(words.len() - rest.len()))
    }

    /// Reads short options behind one dash: `vvq`.
    fn read_cluster(
        &mut self,
        cluster: &str,
        flags: &'static [FlagInfo<'static>],
    ) -> Result<(), &'static str> {
        if cluster.is_empty() {
            return Err(NO_SUCH_OPTION);
        }
        for byte in cluster.bytes() {
            // No option is called by a byte of a longer character.
            let flag = flags
                .iter()
                .find(|flag| flag.short == Some(byte.into()))
                .ok_or(NO_SUCH_OPTION)?;
            self.check_repetition(flag)?;
            self.add(flag, "1", Source::CommandLine);
        }
        Ok(())
    }

    /// Returns the option, unless it was given before and may not be repeated.
    fn check_repetition(
        &self,
        flag: &'static FlagInfo<'static>,
    ) -> Result<&'static FlagInfo<'static>, &'static str> {
        let is_repeatable = flag.optionality == Optionality::Repeating || is_counted(flag);
        if !is_repeatable && self.get(name_of(flag)).is_some() {
            return Err("it was given before, and counts only once");
        }
        Ok(flag)
    }

    /// Adds the options of the environment that were not typed. In a mode, only those that may stand
    /// beside it are added. Of two variables with one name, the first that is not empty counts.
    ///
    /// # Errors
    ///
    /// The first value that is not UTF-8, or does not turn a switch on or off.
    pub(crate) fn read_variables(
        &mut self,
        entries: impl Iterator<Item = &'a [u8]>,
        mode: Option<&Mode>,
    ) -> Result<(), Mistake> {
        for entry in entries {
            let Some((flag, text)) = variables::option_of(entry) else {
                continue;
            };
            let name = name_of(flag);
            let is_wanted = mode.is_none_or(|mode| mode.takes(name));
            if !is_wanted || text.is_empty() || self.get(name).is_some() {
                continue;
            }
            let source = Source::Environment;
            let Ok(text) = core::str::from_utf8(text) else {
                let text = &lossy_text(text);
                return Err(Value { name, text, source }.refused(NOT_UTF_8));
            };
            if let Some(why) = what_is_wrong(flag, text) {
                return Err(Value { name, text, source }.refused(why));
            }
            if flag.optionality == Optionality::Repeating {
                for part in parts(name, text) {
                    self.add(flag, part, source);
                }
            } else {
                self.add(flag, text, source);
            }
        }
        Ok(())
    }
}

/// Returns the text that a typed switch stands for: its value, if it has one.
fn switch_text<'a>(
    flag: &FlagInfo<'static>,
    attached: Option<&'a str>,
    word: &[u8],
) -> Result<&'a str, Mistake> {
    match attached {
        None => Ok("1"),
        Some(_) if is_counted(flag) => Err(refused(word, "it takes no value; it may be repeated")),
        Some(value) if switch(value).is_none() => Err(refused(word, SWITCH)),
        Some(value) => Ok(value),
    }
}

/// Returns the value of a typed option: what stands behind `=`, or the next word.
fn option_text<'a>(
    attached: Option<&'a str>,
    word: &[u8],
    rest: &mut Iter<'_, &'a [u8]>,
) -> Result<&'a str, Mistake> {
    if let Some(value) = attached {
        return Ok(value);
    }
    let Some(value) = rest.next() else {
        return Err(refused(word, "it needs a value"));
    };
    core::str::from_utf8(value)
        .map_err(|_| refused(&[word, b"=".as_slice(), value].concat(), NO_UTF_8_VALUE))
}

/// Returns what a switch's variable may be, if it is something else.
fn what_is_wrong(flag: &FlagInfo<'static>, text: &str) -> Option<&'static str> {
    match flag.kind {
        _ if is_counted(flag) => parse_number::<u8>(text)
            .is_none_or(|times| times > 9)
            .then_some("expected a number from 0 to 9"),
        FlagInfoKind::Switch => switch(text).is_none().then_some(SWITCH),
        FlagInfoKind::Option { .. } => None,
    }
}

/// Returns the values in the variable of a repeatable option. They stand between commas, but those
/// of `--cgroup` and `--watch`, which may have commas in them, on lines.
fn parts<'a>(option: &str, text: &'a str) -> impl Iterator<Item = &'a str> {
    let (text, separator) = if matches!(option, "cgroup" | "watch") {
        (text.trim_matches('\n'), '\n')
    } else {
        (text, ',')
    };
    text.split(separator)
}

const SWITCH: &str = "expected 1, true, yes, on, or 0, false, no, off";
const NO_SUCH_OPTION: &str = "there is no such option; see frigate --help";
const NOT_UTF_8: &str = "it is not valid UTF-8";
const NO_UTF_8_VALUE: &str = "its value is not valid UTF-8";

fn refused(word: &[u8], why: &str) -> Mistake {
    Mistake::new("use", &lossy_text(word)).because(why)
}

/// Returns whether the word turns a switch on or off; `None` if it does neither.
fn switch(value: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| is_alike(word, value));
    if is(["1", "true", "yes", "on"]) {
        return Some(true);
    }
    is(["0", "false", "no", "off"]).then_some(false)
}

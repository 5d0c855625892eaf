//! Options as they were given: words typed and variables set, each with its text and its source.
//! What the values mean is decided in `config`.

use argh::{FlagInfo, FlagInfoKind, Optionality};

use crate::core::number::parse_number;
use crate::core::signal::is_alike;
use crate::core::text::lossy_text;
use crate::messages::mistake::Mistake;
use crate::program::options::table::{HELP, flags, name_of};
use crate::program::options::variables;

/// What the words before the command ask for.
pub(crate) enum Words {
    /// Run the command that begins at this index.
    Command(usize),
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
        match self.source {
            Source::CommandLine => ["--", self.name].concat(),
            Source::Environment => variables::name_of(self.name),
        }
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

    /// Parses options up to the command. Returns the command's index, or the `--help` or `--version`
    /// request.
    ///
    /// # Errors
    ///
    /// The first word that is no option, is given twice, or lacks its value.
    pub(crate) fn read_words(&mut self, words: &[&'a [u8]]) -> Result<Words, Mistake> {
        let flags = flags();
        let mut at = 0;
        while let Some(word) = words.get(at).filter(|word| word.first() == Some(&b'-')) {
            at += 1;
            let Ok(option) = core::str::from_utf8(word) else {
                return Err(refused(word, NOT_UTF_8));
            };
            match option {
                "--" => break,
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
        Ok(Words::Command(at))
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
        let is_repeatable = flag.optionality == Optionality::Repeating || flag.short == Some('v');
        if !is_repeatable && self.get(name_of(flag)).is_some() {
            return Err("it was given before, and counts only once");
        }
        Ok(flag)
    }

    /// Takes from the environment what was not typed. Of two variables of one name the first counts
    /// that is not empty.
    pub(crate) fn read_variables(
        &mut self,
        entries: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Mistake> {
        for entry in entries {
            let Some((flag, text)) = variables::option_of(entry) else {
                continue;
            };
            let name = name_of(flag);
            if text.is_empty() || self.get(name).is_some() {
                continue;
            }
            let source = Source::Environment;
            let Ok(text) = core::str::from_utf8(text) else {
                let text = &lossy_text(text);
                return Err(Value { name, text, source }.refused(NOT_UTF_8));
            };
            let wrong = match flag.kind {
                _ if flag.short == Some('v') => parse_number::<u8>(text)
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

const SWITCH: &str = "expected 1, true, yes, on, or 0, false, no, off";
const NO_SUCH_OPTION: &str = "there is no such option; see frigate --help";
const NOT_UTF_8: &str = "it is not valid UTF-8";
const NO_UTF_8_VALUE: &str = "its value is not valid UTF-8";

#[inline(never)]
fn refused(word: &[u8], why: &str) -> Mistake {
    Mistake::new("use", &lossy_text(word)).because(why)
}

fn switch(value: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| is_alike(word, value));
    if is(["1", "true", "yes", "on"]) {
        return Some(true);
    }
    is(["0", "false", "no", "off"]).then_some(false)
}

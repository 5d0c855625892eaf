//! Reads values by their options' names, and remembers the first mistake among them.
#![forbid(unsafe_code)]

use core::time::Duration;

use crate::core::number::parse_number;
use crate::core::quantity::{Amount, Quantity, parse_size};
use crate::messages::mistake::Mistake;
use crate::program::options::parse::{self, parse_duration, parse_path};
use crate::program::options::values::{Value, Values};

/// Reads values, and remembers the first mistake among them: so it is looked for in one place, and
/// not after each option.
pub(crate) struct Reader<'v> {
    pub(crate) values: &'v Values<'v>,
    mistake: Option<Mistake>,
}

impl<'v> Reader<'v> {
    pub(crate) const fn new(values: &'v Values<'v>) -> Self {
        Self {
            values,
            mistake: None,
        }
    }

    /// Returns what was read, unless there was a mistake.
    ///
    /// # Errors
    ///
    /// The first mistake.
    pub(crate) fn finish<T>(self, read: T) -> Result<T, Mistake> {
        self.mistake.map_or(Ok(read), Err)
    }

    /// Returns the meaning of a value; `None` if it was not given, or has no meaning.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        parse: fn(&str) -> Option<T>,
        accepted: &str,
    ) -> Option<T> {
        let value = self.values.get(name)?;
        let meaning = parse(value.text);
        if meaning.is_none() {
            self.refuse(value, accepted);
        }
        meaning
    }

    /// Hands each value of a repeatable option to `each`, with its meaning.
    // Not inlined: what every run executes has 896 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn read_all<T>(
        &mut self,
        name: &str,
        parse: fn(&str) -> Option<T>,
        accepted: &str,
        mut each: impl FnMut(T, &Value<'v>),
    ) {
        for value in self.values.all(name) {
            match parse(value.text) {
                Some(meaning) => each(meaning, value),
                None => self.refuse(value, accepted),
            }
        }
    }

    pub(crate) fn read_duration(&mut self, name: &str, default: Duration) -> Duration {
        self.read(name, parse_duration, parse::DURATION)
            .unwrap_or(default)
    }

    /// Reads an option that takes a duration, or a word that means that there is none.
    pub(crate) fn read_duration_or_word(
        &mut self,
        name: &str,
        word: &str,
        default: Option<Duration>,
    ) -> Option<Duration> {
        match self.values.get(name) {
            None => default,
            Some(value) if value.text == word => None,
            Some(value) => {
                let meaning = parse_duration(value.text);
                if meaning.is_none() {
                    self.refuse(value, &[parse::DURATION, ", or ", word].concat());
                }
                meaning
            }
        }
    }

    pub(crate) fn read_number(&mut self, name: &str, default: u32) -> u32 {
        self.read(name, |text| parse_number(text), parse::WHOLE_NUMBER)
            .unwrap_or(default)
    }

    pub(crate) fn read_directory(&mut self, name: &str) -> Option<String> {
        self.read(name, parse_path, parse::DIRECTORY)
    }

    pub(crate) fn read_size(&mut self, name: &str) -> Option<Amount> {
        let value = self.values.get(name)?;
        let size = parse_size(value.text);
        if size.is_none() {
            self.refuse_quantity(value, Quantity::Size);
        }
        size
    }

    pub(crate) fn refuse_quantity(&mut self, value: &Value<'_>, quantity: Quantity) {
        self.refuse(value, &["expected ", quantity.accepted()].concat());
    }

    pub(crate) fn refuse(&mut self, value: &Value<'_>, why: &str) {
        self.mistake.get_or_insert_with(|| value.refused(why));
    }

    /// Remembers a mistake that is about more than one value.
    pub(crate) fn note(&mut self, mistake: Mistake) {
        self.mistake.get_or_insert(mistake);
    }
}

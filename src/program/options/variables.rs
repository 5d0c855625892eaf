//! The environment's variables that set options.

use argh::FlagInfo;

use crate::core::text::lossy_text;
use crate::program::options::table::{flags, has_variable, name_of as option_name};

/// What these variables begin with. The option's name follows in upper case, with `_` for `-`. Not
/// `FRIGATE_` alone: a video recorder of that name has a `FRIGATE_USER`, and an engine that makes
/// frigate the init of every container starts that one too.
///
/// In bytes, so that it has a name of its own, by which `tools/layout.ld` keeps it among the constants
/// that every run reads.
static VARIABLE_PREFIX: [u8; 13] = *b"FRIGATE_INIT_";

/// Returns the name of an option's variable: `FRIGATE_INIT_GRACE` for `grace`.
pub(crate) fn name_of(option: &str) -> String {
    let mut name = lossy_text(&VARIABLE_PREFIX);
    name.extend(option.bytes().map(|byte| char::from(in_variable(byte))));
    name
}

fn in_variable(byte: u8) -> u8 {
    if byte == b'-' {
        b'_'
    } else {
        byte.to_ascii_uppercase()
    }
}

/// Returns the option that an entry of the environment sets, and its value; `None` if it sets none.
pub(crate) fn option_of(entry: &[u8]) -> Option<(&'static FlagInfo<'static>, &[u8])> {
    let entry = entry.strip_prefix(&VARIABLE_PREFIX)?;
    let (name, value) = entry.split_at_checked(entry.iter().position(|byte| *byte == b'=')?)?;
    let is_named = |flag: &&FlagInfo<'static>| {
        let option = option_name(flag);
        option.len() == name.len()
            && option
                .bytes()
                .zip(name)
                .all(|(byte, set)| in_variable(byte) == *set)
    };
    let flag = flags()
        .iter()
        .find(is_named)
        .filter(|flag| has_variable(flag))?;
    Some((flag, value.get(1..)?))
}

//! Options: the table of them, their variables in the environment, and the values that were given.

pub(crate) mod mode;
pub(crate) mod parse;
pub(crate) mod reader;
pub(crate) mod table;
pub(crate) mod values;
pub(crate) mod variables;

//! Options: the table of them, and the values that were given.

pub(crate) mod table;
pub(crate) mod values;

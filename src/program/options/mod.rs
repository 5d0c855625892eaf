//! Options: the table of them, their variables in the environment, and the values that were given.

pub(crate) mod table;
pub(crate) mod values;
pub(crate) mod variables;

//! Whether the child is alive and ready: what is asked, and what follows from the answers.

pub(crate) mod failure;
pub(crate) mod rules;
pub(crate) mod target;

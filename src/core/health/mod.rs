//! Whether the child is alive and ready: what is asked, and what follows from the answers.

pub(crate) mod checks;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod notification;
pub(crate) mod rules;
pub(crate) mod target;
mod timer;

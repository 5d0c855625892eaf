//! What a host program sees: everything public, and nothing else.

pub(crate) mod control_group;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod frigate;
pub(crate) mod logger;
pub(crate) mod outcome;
pub(crate) mod protect_task;
pub(crate) mod size;
pub(crate) mod strategy;

#[cfg(test)]
#[path = "../face_tests.rs"]
mod tests;

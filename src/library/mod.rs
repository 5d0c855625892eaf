//! What a host program sees, and the thread that protects its children.

pub(crate) mod check_plans;
pub(crate) mod check_settings;
pub(crate) mod child_setup;
pub(crate) mod control_group;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod frigate;
pub(crate) mod handle;
pub(crate) mod host_rim;
pub(crate) mod invocation;
pub(crate) mod logger;
pub(crate) mod outcome;
pub(crate) mod program_setup;
pub(crate) mod protect_task;
pub(crate) mod protected_child;
pub(crate) mod registry;
pub(crate) mod shared_state;
pub(crate) mod size;
pub(crate) mod strategy;
pub(crate) mod task;
pub(crate) mod thread;
pub(crate) mod unreaped;

#[cfg(test)]
mod tests;

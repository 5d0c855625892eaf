//! Decides everything, in virtual time, and does nothing: state and event in, state and actions
//! out. Time is an argument.
//!
//! Architecture invariant: no file in this folder names a system crate, a clock, a file, a process,
//! a thread or another folder of this crate, and none holds unsafe code.
#![forbid(unsafe_code)]

pub(crate) mod action;
pub(crate) mod command_status;
pub(crate) mod dispatch;
pub(crate) mod errno;
pub(crate) mod escalation;
pub(crate) mod exit_code;
pub(crate) mod fact;
pub(crate) mod health;
pub(crate) mod lifecycle;
pub(crate) mod limit;
pub(crate) mod moment;
pub(crate) mod number;
pub(crate) mod pid;
pub(crate) mod quantity;
pub(crate) mod restart;
pub(crate) mod rewrite;
pub(crate) mod rules;
#[cfg(test)]
#[path = "script_tests.rs"]
mod script;
pub(crate) mod signal;
pub(crate) mod status;
pub(crate) mod step;
pub(crate) mod supervisor;
pub(crate) mod text;
pub(crate) mod usage;
pub(crate) mod user;
pub(crate) mod variable;
pub(crate) mod watch;

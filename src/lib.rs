//! frigate: one protected child, its signals, its orphans, its restarts, its exit code.
//!
//! The binary is the first user of this library: a pure core decides (`supervisor` over `lifecycle` over `restart`), a thin
//! rim acts (`event_loop` over `sys`). The public face for host programs, which protect programs and functions of their own
//! on the same core, is yet to come; until then the only public item is what `main` calls.

mod action;
mod capture;
mod cgroup;
mod cli;
mod command_line;
mod config;
mod errno;
mod event_loop;
mod fact;
mod identity;
mod lifecycle;
mod limit;
mod line;
mod message;
mod moment;
mod pid;
mod report;
mod restart;
mod signal;
mod status;
mod supervisor;
mod sys;
mod termination;
mod timestamp;
mod usage;

#[doc(hidden)]
pub use command_line::main;

//! frigate protects programs, and functions of the host program itself, as child processes: it
//! starts them, watches over them, starts them again by a strategy, holds them inside limits, stops
//! them gracefully, and tells how they ended.
//!
//! The same machine is the `frigate` program, the init of a container. Here it runs on one thread
//! of its own, which sleeps until something happens; it installs no signal handler, changes no mask
//! and no disposition of the host's, and waits for its own children alone, by their pidfds (Linux
//! 5.4). So it gets along with `std::process::Command`, with tokio, and with whatever else the host
//! does with signals and children.
//!
//! ```standalone_crate
//! use std::time::Duration;
//! use frigate::{AutoRestart, Frigate, Outcome, ProtectTask, Strategy};
//!
//! fn worker() {
//!     // What is to be protected: it runs in a process of its own.
//!     std::thread::sleep(Duration::from_secs(1000));
//! }
//!
//! fn main() -> Result<(), frigate::Error> {
//!     // First of all: in a process that was started as this task it runs the function and ends.
//!     frigate::register_task("worker", worker);
//!
//!     let strategy = Strategy::new().auto_restart(AutoRestart::Unexpected);
//!     let worker = Frigate::create("worker").strategy(strategy.clone());
//!     worker.protect()?;
//!     let program = Frigate::from(ProtectTask::new("sleep").arg("1000")).strategy(strategy);
//!     program.protect()?;
//!
//!     assert!(matches!(worker.stop(Duration::from_secs(10))?, Outcome::Cancel { .. }));
//!     program.stop(Duration::from_secs(10))?;
//!     assert_eq!(frigate::done().len(), 2);
//!     Ok(())
//! }
//! ```
//!
//! # What happens to a child
//!
//! It gets a process group of its own, the mask of the thread that called [`Frigate::protect`],
//! default dispositions where the host has handlers (and of SIGPIPE, which Rust ignores), the
//! host's streams, and every descriptor that is not close-on-exec. It is not given a terminal's
//! foreground. When it has ended by itself, what it left in its group gets TERM and, after 5 s,
//! KILL: between two starts, so that a new child never meets leftovers of the old one, and at the
//! end. After a stop, leftovers have what remains of its time. Orphans that have left the group are
//! nobody's, unless a [`ControlGroup`] holds them; where the host is PID 1, [`init()`] collects
//! them.
//!
//! A host that waits for *any* child, by `waitpid(-1)`, takes the news of frigate's children from
//! it: such an end counts as exit code 255, and is an [`EventKind::Warning`].
//!
//! The process that first calls [`Frigate::protect`] or [`Frigate::start`] is the host. A process
//! that is forked from it, without an exec, has its memory but not its thread: there each call
//! returns [`Error::Forked`], and [`done`] nothing.
//!
//! # Coming from the Go package
//!
//! | there | here |
//! |---|---|
//! | `RegisterGolangTask(name, func)` | [`register_task`] |
//! | `Create(name)` | [`Frigate::create`] |
//! | `f.Protect()`, `Protect(f)` | [`Frigate::protect`] |
//! | `Done()` | [`done`] |
//! | `Frigate.Log`, `.ControlGroups`, `.ProtectTask`, `.Strategy` | [`Frigate::logger`], [`Frigate::control_group`], [`Frigate::protect_task`], [`Frigate::strategy`] |
//! | `Frigate.SignalChan` | [`Frigate::events`], [`Frigate::event_channel`]: typed [`Event`]s |
//! | `ProtectTask`, `NewProtectTask` | [`ProtectTask`], [`ProtectTask::new`] |
//! | `ProtectTask.Cmd` | [`ProtectTask::program`], [`ProtectTask::args`], [`ProtectTask::env`], [`ProtectTask::current_dir`] |
//! | `ProtectTask.Name`, `.Process`, `.StartTime` | [`ProtectTask::name`], [`ProtectTask::pid`], [`ProtectTask::start_time`] |
//! | `ProtectTask.Start`, `.Stop` | [`ProtectTask::start`], [`ProtectTask::stop`]; [`Frigate::start`], [`Frigate::stop`] |
//! | `ProtectTask.Done` | [`ProtectTask::events`], which closes at the end; [`ProtectTask::wait`] |
//! | `Strategy{AutoStart, AutoRestart, Startsecs, StartRetries, GraceClose, GraceCloseWait, Kill, User, Chroot}` | [`Strategy`], the same nine |
//! | `UNEXPECTED`, `TRUE`, `FALSE` | [`AutoRestart::Unexpected`], [`AutoRestart::True`], [`AutoRestart::False`] |
//! | `CANCEL_PROCESS`, `COMPLETE_PROCESS` | [`CANCEL_PROCESS`], [`COMPLETE_PROCESS`], and what [`Outcome`] prints |
//! | `FLogger{Stdout, Stderr, Backups, Maxbytes, Redirect}` | [`Logger`], the same five |
//! | `ByteSize` | [`ByteSize`] |
//! | `cgroup.ControlGroup` | [`ControlGroup`] |

mod child;
mod core;
mod library;
mod messages;
mod program;
mod sys;

pub use library::control_group::ControlGroup;
pub use library::error::Error;
pub use library::event::{Event, EventKind};
pub use library::frigate::Frigate;
pub use library::logger::Logger;
pub use library::outcome::{CANCEL_PROCESS, COMPLETE_PROCESS, Outcome, StartError, Step};
pub use library::protect_task::ProtectTask;
pub use library::registry::done;
pub use library::size::ByteSize;
pub use library::strategy::{AutoRestart, Strategy};
pub use library::task::register_task;
pub use program::init::init;

#[doc(hidden)]
pub use program::start_up::main;

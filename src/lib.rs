//! frigate protects child processes from inside a Rust program. It starts them, restarts them
//! according to a strategy, holds them inside limits, writes their output to files, stops them
//! gracefully, and reports how they ended. A child is a program, or a function of the host program
//! that runs in a process of its own.
//!
//! # Example
//!
//! ```standalone_crate
//! use std::time::Duration;
//! use frigate::{AutoRestart, Frigate, Outcome, ProtectTask, Strategy};
//!
//! fn worker() {
//!     // Runs in a process of its own.
//!     std::thread::sleep(Duration::from_secs(1000));
//! }
//!
//! fn main() -> Result<(), frigate::Error> {
//!     // Must come first: in the process of the worker, this call runs the function and exits.
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
//! The program that calls frigate is the *host*. One thread of frigate's own looks after all its
//! children, and sleeps until something happens. It installs no signal handler, changes no signal
//! mask and no disposition of the host, and waits only for its own children. So the host can use
//! [`std::process::Command`], tokio and signals as before.
//!
//! # What happens to a child
//!
//! - It starts in a process group of its own, with the signal mask of the thread that called
//!   [`Frigate::protect`] or [`Frigate::start`]. Signals that the host handles have their default
//!   disposition, and so has SIGPIPE, which Rust programs ignore.
//! - It inherits the host's streams, unless a [`Logger`] says otherwise, and every descriptor that
//!   is not close-on-exec. It does not become the foreground group of a terminal.
//! - If it ends by itself, frigate ends the processes that it left in its group: it sends them
//!   TERM, and KILL after 5 s. Then [`Strategy::auto_restart`] decides whether the child is started
//!   again. The new process never meets what an old one left.
//! - [`Frigate::stop`] sends TERM to its group, and KILL when the time is over. What it leaves in
//!   the group has the rest of this time.
//! - Processes that have left the group are not frigate's to end, unless a [`ControlGroup`] holds
//!   them.
//! - If the host ends for any reason, or executes another program, the kernel sends TERM to
//!   its children, or KILL with [`Strategy::kill`].
//!
//! # Health and readiness
//!
//! A child that hangs still runs, but does nothing. frigate asks it, stops it if it does not answer,
//! and starts it again:
//!
//! ```
//! use std::time::Duration;
//! use frigate::{EventKind, Frigate, ProtectTask, Strategy};
//!
//! // The child modifies this file again and again.
//! let beat = std::env::temp_dir().join(format!("beat-{}", std::process::id()));
//! let script = r#"while :; do : > "$BEAT"; sleep 0.2; done"#;
//! let task = ProtectTask::new("worker").program("sh").args(["-c", script]).env("BEAT", &beat);
//!
//! // 10 s and 3 s without a heartbeat are a failed check, and three of these make it unhealthy.
//! // A server has a target such as `http://127.0.0.1:8080/healthz` instead.
//! let strategy = Strategy::new()
//!     .health(format!("file:{}", beat.display()))
//!     .health_interval(Duration::from_secs(10))
//!     .health_timeout(Duration::from_secs(3))
//!     .health_retries(3);
//! let worker = Frigate::from(task).strategy(strategy);
//! let events = worker.events();
//! worker.protect()?;
//!
//! // Had the worker hung, EventKind::Unhealthy would have followed, and another start.
//! assert!(events.iter().any(|event| event.kind == EventKind::Healthy));
//! worker.stop(Duration::from_secs(5))?;
//! # let _ = std::fs::remove_file(beat);
//! # Ok::<(), frigate::Error>(())
//! ```
//!
//! [`Strategy::health`] has the targets. With [`Strategy::ready`] a child has started when its first
//! check succeeds. frigate's thread wakes up for each check and its result, and is never held up by
//! one that hangs. The only exception is `file:` on a network file system that does not respond.
//!
//! # What the host must do
//!
//! - It runs on Linux 5.4 or newer.
//! - It calls [`register_task`] for its functions at the top of `main`. If it may be PID 1 of a
//!   container, it calls [`init()`] even before that, because PID 1 must reap orphans.
//! - It does not ignore SIGCHLD, and does not set `SA_NOCLDWAIT`: [`Error::ChildrenDiscarded`].
//! - It does not wait for *any* child, as `waitpid(-1)` does. If such a call takes the exit status
//!   of a child before frigate reads it, frigate assumes exit code 255 and sends an
//!   [`EventKind::Warning`]. If it takes that of the program of a check, the check has failed.
//! - If it forks without an exec, it forks before it protects anything. In a process that was
//!   forked later, each call returns [`Error::Forked`], and [`done`] returns an empty map.
//!
//! # For users of the Go package
//!
//! The crate keeps the names of the Go package that it follows. This table says where to find each.
//!
//! | Go | Rust |
//! |---|---|
//! | `RegisterGolangTask(name, func)` | [`register_task`] |
//! | `Create(name)` | [`Frigate::create`] |
//! | `f.Protect()`, `Protect(f)` | [`Frigate::protect`] |
//! | `Done()` | [`done`] |
//! | `Frigate.Log`, `.ControlGroups`, `.ProtectTask`, `.Strategy` | [`Frigate::logger`], [`Frigate::control_group`], [`Frigate::protect_task`], [`Frigate::strategy`] |
//! | `Frigate.SignalChan` | [`Frigate::events`], [`Frigate::event_channel`]: they carry [`Event`]s |
//! | `ProtectTask`, `NewProtectTask` | [`ProtectTask`], [`ProtectTask::new`] |
//! | `ProtectTask.Cmd` | [`ProtectTask::program`], [`ProtectTask::args`], [`ProtectTask::env`], [`ProtectTask::current_dir`] |
//! | `ProtectTask.Name`, `.Process`, `.StartTime` | [`ProtectTask::name`], [`ProtectTask::pid`], [`ProtectTask::start_time`] |
//! | `ProtectTask.Start`, `.Stop` | [`ProtectTask::start`], [`ProtectTask::stop`]; [`Frigate::start`], [`Frigate::stop`] |
//! | `ProtectTask.Done` | [`ProtectTask::events`], a channel that closes at the end; [`ProtectTask::wait`] |
//! | `Strategy{AutoStart, AutoRestart, Startsecs, StartRetries, GraceClose, GraceCloseWait, Kill, User, Chroot}` | [`Strategy`], the same nine; health and readiness are new |
//! | `UNEXPECTED`, `TRUE`, `FALSE` | [`AutoRestart::Unexpected`], [`AutoRestart::True`], [`AutoRestart::False`] |
//! | `CANCEL_PROCESS`, `COMPLETE_PROCESS` | [`CANCEL_PROCESS`], [`COMPLETE_PROCESS`], which [`Outcome`] prints |
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

//! What a child runs, with the calls of the Go package's type of this name.

use core::fmt;
use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::library::error::Error;
use crate::library::event::Event;
use crate::library::handle::Handle;
use crate::library::outcome::Outcome;

/// What a child runs: a registered function or a program, with its arguments, its environment and
/// its working directory. What is not set is the host's.
///
/// It is usually given to a [`Frigate`](crate::Frigate), which has the other settings. By itself it
/// can be started, too, with the default [`Strategy`](crate::Strategy).
///
/// ```
/// use std::time::Duration;
/// use frigate::{Outcome, ProtectTask};
///
/// let task = ProtectTask::new("pause")
///     .program("sleep")
///     .arg("1000")
///     .env("LANG", "C")
///     .current_dir("/");
/// task.start()?;
/// assert!(matches!(task.stop(Duration::from_secs(10))?, Outcome::Cancel { .. }));
/// # Ok::<(), frigate::Error>(())
/// ```
pub struct ProtectTask {
    pub(crate) handle: Handle,
}

impl fmt::Debug for ProtectTask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the environment, which may hold secrets.
        let invocation = &self.handle.invocation;
        out.debug_struct("ProtectTask")
            .field("name", &self.name())
            .field("program", &invocation.program)
            .field("arguments", &invocation.arguments)
            .field("directory", &invocation.directory)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

impl ProtectTask {
    /// Creates a task that runs the function that is registered under this name
    /// ([`register_task`](crate::register_task)), or else the program of this name. A program's
    /// name without a slash is looked up in `PATH`.
    ///
    /// Events and [`done`](crate::done) identify the child by the name. Two children with the same
    /// name cannot be protected at the same time.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").name(), "top");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            handle: Handle::new(&name.into()),
        }
    }

    /// Sets the program, if it is not the name. A registered function of the name is not used then.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("cache").program("/usr/bin/redis-server");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.handle.invocation.program = Some(program.into());
        self
    }

    /// Adds an argument. Default: a function has the host's arguments, and a program has none.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn arg(self, argument: impl Into<OsString>) -> Self {
        self.args([argument])
    }

    /// Adds several arguments.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("nginx").args(["-g", "daemon off;"]);
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.handle
            .invocation
            .arguments
            .get_or_insert_default()
            .extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child's environment. The other variables are the host's, as they are
    /// when the host starts the child. frigate itself sets `FRIGATE_RESTARTS`: the number of
    /// restarts so far. With the target `notify` ([`Strategy::health`](crate::Strategy::health)) it
    /// sets `NOTIFY_SOCKET`, and sets or removes `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env("TZ", "UTC");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let variables = &mut self.handle.invocation.variables;
        variables.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a variable from the child's environment.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env_remove("TZ");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        let variables = &mut self.handle.invocation.variables;
        variables.insert(name.into(), None);
        self
    }

    /// Removes all variables of the host, and those that were set here before.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env_clear().env("TZ", "UTC");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.handle.invocation.variables.clear();
        self.handle.invocation.is_environment_cleared = true;
        self
    }

    /// Sets the child's working directory, as a path inside its root. Default: the host's at the
    /// time of each start, or with [`Strategy::chroot`](crate::Strategy::chroot) the root.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("ls").current_dir("/tmp");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.handle.invocation.directory = Some(directory.into());
        self
    }

    /// Returns the child's name.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").name(), "top");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.handle.name()
    }

    /// Returns the id of the process that runs now. `None` means that none does.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").pid(), None);
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.handle.process().map(|process| process.pid)
    }

    /// Returns when the process that runs now was started. `None` means that none runs.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").start_time(), None);
    /// ```
    #[must_use]
    pub fn start_time(&self) -> Option<Instant> {
        self.handle.process().map(|process| process.start_time)
    }

    /// Returns a new channel for the child's events, like
    /// [`Frigate::events`](crate::Frigate::events).
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{EventKind, ProtectTask};
    ///
    /// let task = ProtectTask::new("sleep").arg("1000");
    /// let events = task.events();
    /// task.start()?;
    /// let first = events.recv().expect("the channel is open");
    /// assert!(matches!(first.kind, EventKind::Started { restarts: 0, .. }));
    /// task.stop(Duration::from_secs(10))?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.handle.events()
    }

    /// Starts the child now, like [`Frigate::start`](crate::Frigate::start).
    ///
    /// # Errors
    ///
    /// Those of [`Frigate::protect`](crate::Frigate::protect).
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// task.start()?;
    /// task.stop(std::time::Duration::ZERO)?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn start(&self) -> Result<(), Error> {
        self.handle.start()
    }

    /// Stops the child and waits for its end, like [`Frigate::stop`](crate::Frigate::stop).
    ///
    /// # Errors
    ///
    /// Those of [`Frigate::stop`](crate::Frigate::stop).
    ///
    /// ```
    /// use std::time::Duration;
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// task.start()?;
    /// assert_eq!(task.stop(Duration::from_secs(10))?.to_string(), frigate::CANCEL_PROCESS);
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn stop(&self, timeout: Duration) -> Result<Outcome, Error> {
        self.handle.stop(timeout)
    }

    /// Waits until the child has ended for good, and returns how it ended.
    ///
    /// # Errors
    ///
    /// Those of [`Frigate::wait`](crate::Frigate::wait).
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("/does/not/exist");
    /// task.start()?;
    /// assert_eq!(task.wait()?.to_string(), "not-started");
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn wait(&self) -> Result<Outcome, Error> {
        self.handle.wait()
    }
}

//! What a child runs, and the handle of it.

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

/// What a child runs: a registered task or a program, with its arguments, its environment and its
/// directory.
///
/// It is given to a [`Frigate`](crate::Frigate) by
/// [`Frigate::protect_task`](crate::Frigate::protect_task), or protected as it is, with the default
/// [`Strategy`], by [`ProtectTask::start`]. What is not set is the host's.
///
/// ```
/// use std::time::Duration;
/// use frigate::{Outcome, ProtectTask};
///
/// let task = ProtectTask::new("pause").program("sleep").arg("1000").env("LANG", "C").current_dir("/");
/// task.start()?;
/// assert!(matches!(task.stop(Duration::from_secs(10))?, Outcome::Cancel { .. }));
/// # Ok::<(), frigate::Error>(())
/// ```
pub struct ProtectTask {
    pub(crate) handle: Handle,
}

impl fmt::Debug for ProtectTask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the environment, which may hold secrets.
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
    /// The registered task of that name or, where none is, the program.
    ///
    /// A program is looked for in `PATH`, unless its name has a slash. The name is the child's in
    /// [`done`](crate::done) and in events; no two children that live have the same.
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

    /// The program to run, where it is not the name; then no task is looked for.
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

    /// Adds an argument. A task without any has those of the host; a program has none.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn arg(self, argument: impl Into<OsString>) -> Self {
        self.args([argument])
    }

    /// Adds arguments.
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

    /// Sets a variable of the child's environment, which is otherwise that of the host at the time
    /// of [`Frigate::protect`](crate::Frigate::protect). `FRIGATE_RESTARTS` is always set: how
    /// often the child was restarted.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env("TZ", "UTC");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.handle
            .invocation
            .variables
            .insert(name.into(), Some(value.into()));
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
        self.handle.invocation.variables.insert(name.into(), None);
        self
    }

    /// Leaves out every variable of the host's, and all that were set here before.
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

    /// The child's working directory, inside its root; otherwise that of the host at each start, or
    /// with [`Strategy::chroot`] the root.
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

    /// The name.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").name(), "top");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.handle.name()
    }

    /// The id of the process that runs now; none: none does.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").pid(), None);
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.handle.process().map(|process| process.pid)
    }

    /// When the process that runs now was started; none: none does.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").start_time(), None);
    /// ```
    #[must_use]
    pub fn start_time(&self) -> Option<Instant> {
        self.handle.process().map(|process| process.start_time)
    }

    /// A channel of what happens to the child from now on. It closes when the child has ended for
    /// good.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{EventKind, ProtectTask};
    ///
    /// let task = ProtectTask::new("sleep").arg("1000");
    /// let events = task.events();
    /// task.start()?;
    /// assert!(events.iter().any(|event| matches!(event.kind, EventKind::Started { restarts: 0, .. })));
    /// task.stop(Duration::from_secs(10))?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.handle.events()
    }

    /// Starts it now: one that waits for that, one that has ended for good, which begins anew, or
    /// one that is not protected, and is from now on. One that lives goes on as it does.
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

    /// Cancels it: TERM and CONT to the child's group, and KILL when `timeout` is over, or with
    /// [`Strategy::kill`] KILL at once. Returns when it has ended for good and nothing of its group
    /// is left, 5 s after KILL at the latest. Where it is being stopped already, the shorter of the
    /// two times holds.
    ///
    /// Returns how it ended: [`Outcome::Cancel`], unless it had ended already.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: it was never protected. [`Error::Forked`]: this process was forked
    /// from the host.
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

    /// Waits until it has ended for good, and returns how.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: it was never started. [`Error::Forked`]: this process was forked
    /// from the host.
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

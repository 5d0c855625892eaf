//! One protected child: what runs, how it is protected, and the calls that act on it.

use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender};

use crate::library::control_group::ControlGroup;
use crate::library::error::Error;
use crate::library::event::Event;
use crate::library::logger::Logger;
use crate::library::outcome::Outcome;
use crate::library::protect_task::ProtectTask;
use crate::library::strategy::Strategy;

/// One child: what it runs, how it is protected and, once it is, the handle to it.
///
/// Dropping it does not stop the child: the child stays protected, and [`done`](crate::done) waits
/// for it. If the host ends for any reason, or executes another program, the kernel sends TERM to
/// each child, or KILL with [`Strategy::kill`].
///
/// ```
/// use std::time::Duration;
/// use frigate::{AutoRestart, Frigate, Outcome, ProtectTask, Strategy};
///
/// let frigate = Frigate::create("sleep")
///     .protect_task(ProtectTask::new("sleep").arg("1000"))
///     .strategy(Strategy::new().auto_restart(AutoRestart::Unexpected));
/// frigate.protect()?;
/// assert!(matches!(frigate.stop(Duration::from_secs(10))?, Outcome::Cancel { .. }));
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is protected before `protect` is called"]
pub struct Frigate {
    task: ProtectTask,
}

impl From<ProtectTask> for Frigate {
    /// Creates a child that runs `task` and has its name.
    fn from(task: ProtectTask) -> Self {
        Self { task }
    }
}

impl Frigate {
    /// Creates a child that runs the function that is registered under this name
    /// ([`register_task`](crate::register_task)), or else the program of this name, without
    /// arguments. A name without a slash is looked up in `PATH`.
    ///
    /// ```
    /// let frigate = frigate::Frigate::create("top");
    /// assert_eq!(frigate.task().name(), "top");
    /// ```
    pub fn create(name: impl Into<String>) -> Self {
        Self {
            task: ProtectTask::new(name),
        }
    }

    /// Sets what the child runs, and with it the child's name. Settings and event channels stay.
    /// Default: what [`Frigate::create`] says.
    ///
    /// ```
    /// use frigate::{Frigate, ProtectTask};
    /// let task = ProtectTask::new("web").program("nginx").args(["-g", "daemon off;"]);
    /// let frigate = Frigate::create("web").protect_task(task);
    /// # let _ = frigate;
    /// ```
    pub fn protect_task(self, mut task: ProtectTask) -> Self {
        task.handle.inherit(&self.task.handle);
        Self { task }
    }

    /// Sets when the child is started and restarted, how it is checked, and as which user it runs.
    /// Default: [`Strategy::new`].
    ///
    /// ```
    /// use frigate::{Frigate, Strategy};
    /// let frigate = Frigate::create("top").strategy(Strategy::new().start_retries(0));
    /// # let _ = frigate;
    /// ```
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.task.handle.settings.strategy = strategy;
        self
    }

    /// Sets the limits of the child. Default: no limits.
    ///
    /// ```
    /// use frigate::{ByteSize, ControlGroup, Frigate};
    /// let limits = ControlGroup::new().memory_max(ByteSize::mib(64));
    /// let frigate = Frigate::create("top").control_group(limits);
    /// # let _ = frigate;
    /// ```
    pub fn control_group(mut self, control_group: ControlGroup) -> Self {
        self.task.handle.settings.control_group = control_group;
        self
    }

    /// Sets the files that the child's output is written to. Default: the child has the host's
    /// streams.
    ///
    /// ```
    /// use frigate::{Frigate, Logger};
    /// let frigate = Frigate::create("top").logger(Logger::new().stdout("top.log"));
    /// # let _ = frigate;
    /// ```
    pub fn logger(mut self, logger: Logger) -> Self {
        self.task.handle.settings.logger = Some(logger);
        self
    }

    /// Adds a channel for the child's events. Several children can share one. frigate drops its
    /// sender when the child has ended for good.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use frigate::Frigate;
    /// let (sender, events) = channel();
    /// let frigate = Frigate::create("top").event_channel(sender);
    /// # let _ = (frigate, events);
    /// ```
    pub fn event_channel(self, sender: Sender<Event>) -> Self {
        self.task.handle.add_listener(sender);
        self
    }

    /// Returns a new channel for the child's events from now on. It closes when the child has ended
    /// for good.
    ///
    /// After the end, a new channel gets the events of the next start.
    ///
    /// ```
    /// use frigate::{AutoRestart, EventKind, Frigate, Strategy};
    ///
    /// let once = Strategy::new().auto_restart(AutoRestart::False);
    /// let frigate = Frigate::create("true").strategy(once);
    /// let events = frigate.events();
    /// frigate.protect()?;
    /// assert!(matches!(events.iter().last().unwrap().kind, EventKind::Finished(_)));
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.task.handle.events()
    }

    /// Returns what the child runs, with its name and its process.
    ///
    /// ```
    /// assert_eq!(frigate::Frigate::create("top").task().pid(), None);
    /// ```
    #[must_use]
    pub const fn task(&self) -> &ProtectTask {
        &self.task
    }

    /// Protects the child: starts it, unless [`Strategy::auto_start`] is false, and looks after it
    /// from then on. Returns at once. The child gets the signal mask of the calling thread.
    ///
    /// Whether the program exists and can be executed is not known at that time. If it cannot, the
    /// outcome is [`Outcome::NotStarted`].
    ///
    /// # Errors
    ///
    /// If a call is refused, nothing is started, and the child stays as it was.
    ///
    /// - [`Error::AlreadyProtected`]: this child, or another one of its name, is protected and has
    ///   not ended for good.
    /// - [`Error::Word`], [`Error::Target`], [`Error::User`], [`Error::ControlGroup`],
    ///   [`Error::LogFile`]: a setting has no meaning or cannot be applied.
    /// - [`Error::NotRegistered`]: this process was started as a task that it has not registered.
    /// - [`Error::Privileged`]: the child is a function of a program with privileges of its file.
    /// - [`Error::Forked`]: this process was forked from the host.
    /// - [`Error::ChildrenDiscarded`], [`Error::Unsupported`], [`Error::System`]: the host or the
    ///   kernel does not allow it.
    ///
    /// ```
    /// use frigate::{Error, Frigate, Strategy};
    ///
    /// let frigate = Frigate::create("true").strategy(Strategy::new().auto_start(false));
    /// frigate.protect()?;
    /// assert!(matches!(frigate.protect(), Err(Error::AlreadyProtected { .. })));
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn protect(&self) -> Result<(), Error> {
        self.task.handle.protect()
    }

    /// Starts the child now if it waits for its start, has ended for good, or is not protected;
    /// from then on it is protected. Does nothing if the child is started. Returns at once. The
    /// child gets the signal mask of the calling thread.
    ///
    /// # Errors
    ///
    /// Those of [`Frigate::protect`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{Frigate, ProtectTask, Strategy};
    ///
    /// let task = ProtectTask::new("sleep").arg("1000");
    /// let frigate = Frigate::from(task).strategy(Strategy::new().auto_start(false));
    /// frigate.protect()?;
    /// assert_eq!(frigate.task().pid(), None);
    /// frigate.start()?;
    /// frigate.stop(Duration::from_secs(10))?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn start(&self) -> Result<(), Error> {
        self.task.handle.start()
    }

    /// Stops the child, waits until it has ended for good, and returns how it ended.
    ///
    /// frigate sends TERM and CONT to the child's process group, and KILL when `timeout` is over.
    /// With [`Strategy::kill`] it sends KILL at once. The call returns when nothing of the group is
    /// left, at the latest 5 s after KILL. If another call stops the child already, the shorter of
    /// the two timeouts applies.
    ///
    /// The outcome is [`Outcome::Cancel`], unless the child had already ended for good.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: the child is not protected. [`Error::Forked`]: this process was
    /// forked from the host.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{Error, Frigate};
    /// let refused = Frigate::create("top").stop(Duration::from_secs(1));
    /// assert!(matches!(refused, Err(Error::NotProtected { .. })));
    /// ```
    pub fn stop(&self, timeout: Duration) -> Result<Outcome, Error> {
        self.task.handle.stop(timeout)
    }

    /// Waits until the child has ended for good, and returns how it ended.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: the child was not started. [`Error::Forked`]: this process was
    /// forked from the host.
    ///
    /// ```
    /// let frigate = frigate::Frigate::create("/does/not/exist");
    /// frigate.protect()?;
    /// assert_eq!(frigate.wait()?.to_string(), "not-started");
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn wait(&self) -> Result<Outcome, Error> {
        self.task.handle.wait()
    }
}

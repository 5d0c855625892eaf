//! One protected child of a host program: how it is to be protected, and the handle to it.

use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender};

use crate::library::control_group::ControlGroup;
use crate::library::error::Error;
use crate::library::event::Event;
use crate::library::logger::Logger;
use crate::library::outcome::Outcome;
use crate::library::protect_task::ProtectTask;
use crate::library::strategy::Strategy;

/// One child: what it runs, how it is protected, and once it is, the handle to it.
///
/// Dropping it neither stops the child nor leaks anything: the child stays protected, and
/// [`done`](crate::done) waits for it. When the host ends, however it does, or becomes another
/// program by exec, the kernel sends each of its children TERM, or KILL where [`Strategy::kill`] is
/// set.
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
    /// The same as [`Frigate::create`] with the task's name, and then [`Frigate::protect_task`].
    fn from(task: ProtectTask) -> Self {
        Self { task }
    }
}

impl Frigate {
    /// A child of that name: the task that was registered by it
    /// ([`register_task`](crate::register_task)) or, where none was, the program, which is looked
    /// for in `PATH` unless the name has a slash. Everything else has its defaults.
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

    /// Sets what it runs, and its name with it; the default: the name, without arguments.
    ///
    /// ```
    /// use frigate::{Frigate, ProtectTask};
    /// let frigate = Frigate::create("web").protect_task(ProtectTask::new("web").program("nginx").args(["-g", "daemon off;"]));
    /// # let _ = frigate;
    /// ```
    pub fn protect_task(self, mut task: ProtectTask) -> Self {
        task.handle.inherit(&self.task.handle);
        Self { task }
    }

    /// Sets how it is looked after; default: [`Strategy::new`].
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

    /// Sets the limits that it is held inside; default: none.
    ///
    /// ```
    /// use frigate::{ByteSize, ControlGroup, Frigate};
    /// let frigate = Frigate::create("top").control_group(ControlGroup::new().memory_max(ByteSize::mib(64)));
    /// # let _ = frigate;
    /// ```
    pub fn control_group(mut self, control_group: ControlGroup) -> Self {
        self.task.handle.settings.control_group = control_group;
        self
    }

    /// Sets the files that its output is written to; default: it has the host's streams.
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

    /// Adds a channel that is told what happens to it, which several children may share. frigate
    /// lets go of its end when the child has ended for good.
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

    /// A channel of its own for what happens from now on. It closes when the child has ended for
    /// good.
    ///
    /// ```
    /// let events = frigate::Frigate::create("top").events();
    /// assert!(events.recv().is_err());
    /// ```
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.task.handle.events()
    }

    /// What it runs, its name, its process.
    ///
    /// ```
    /// assert_eq!(frigate::Frigate::create("top").task().pid(), None);
    /// ```
    #[must_use]
    pub const fn task(&self) -> &ProtectTask {
        &self.task
    }

    /// Protects it: starts it, unless [`Strategy::auto_start`] is false, and watches over it from
    /// then on; returns at once. The child gets the signal mask of the thread that calls this.
    ///
    /// That a program does not exist, or cannot be executed, is not known by then: it is an
    /// [`Outcome::NotStarted`].
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyProtected`] where it is, or another child of its name; [`Error::Word`],
    /// [`Error::User`], [`Error::ControlGroup`], [`Error::LogFile`] for what was set and cannot be
    /// had; [`Error::NotRegistered`] in a process that was started as a task it does not know;
    /// [`Error::Privileged`] for a task of a set-user-ID program; [`Error::Forked`] in a process
    /// that was forked from the host; [`Error::ChildrenDiscarded`], [`Error::Unsupported`],
    /// [`Error::System`] where the process or the kernel does not allow it.
    ///
    /// ```
    /// let frigate = frigate::Frigate::create("true").strategy(frigate::Strategy::new().auto_start(false));
    /// frigate.protect()?;
    /// assert!(frigate.protect().is_err(), "it is protected already");
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn protect(&self) -> Result<(), Error> {
        self.task.handle.protect()
    }

    /// Starts it now; see [`ProtectTask::start`].
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

    /// Cancels it, and returns when it has ended for good; see [`ProtectTask::stop`].
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: it was never protected. [`Error::Forked`]: this process was forked
    /// from the host.
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

    /// Waits until it has ended for good, and returns how.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: it was never started. [`Error::Forked`]: this process was forked
    /// from the host.
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

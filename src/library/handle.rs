//! The handle of one child: what it runs, how it is protected, and the calls that start it, stop it
//! and wait for it. `Frigate` and `ProtectTask` are two views of it.

use core::time::Duration;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::library::child_setup::{ChildPlan, Settings};
use crate::library::error::Error;
use crate::library::event::Event;
use crate::library::invocation::Invocation;
use crate::library::outcome::Outcome;
use crate::library::registry;
use crate::library::shared_state::{Process, SharedState, State, lock};
use crate::library::thread::DriverThread;
use crate::sys::host;

/// A process that was forked from the host takes no lock in here: see `host::is_forked`.
pub(crate) struct Handle {
    pub(crate) invocation: Invocation,
    pub(crate) settings: Settings,
    shared: Arc<SharedState>,
    /// Held from the look at the child's state until frigate's thread has been told what follows
    /// from it. So a stop beside a start meets either a child that has not started, or one whose
    /// start is in the thread's queue before the stop.
    turn: Mutex<()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !host::is_forked() {
            registry::drop_handle(&self.shared);
        }
    }
}

impl Handle {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            invocation: Invocation::default(),
            settings: Settings::default(),
            shared: Arc::new(SharedState::new(name)),
            turn: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// Takes over the settings of another handle, and the event channels for its next start.
    pub(crate) fn inherit(&mut self, former: &Self) {
        self.settings = former.settings.clone();
        if !host::is_forked() {
            for listener in former.shared.take_idle_listeners() {
                self.shared.add_listener(listener);
            }
        }
    }

    /// Returns the process that runs. `None` means that none does.
    pub(crate) fn process(&self) -> Option<Process> {
        if host::is_forked() {
            None
        } else {
            self.shared.process()
        }
    }

    pub(crate) fn add_listener(&self, listener: Sender<Event>) {
        if !host::is_forked() {
            self.shared.add_listener(listener);
        }
    }

    pub(crate) fn events(&self) -> Receiver<Event> {
        let (sender, receiver) = channel();
        self.add_listener(sender);
        receiver
    }

    pub(crate) fn protect(&self) -> Result<(), Error> {
        become_host()?;
        let _turn = lock(&self.turn);
        match self.shared.state() {
            State::NotStarted | State::Started(_) => Err(self.already_protected()),
            State::NotProtected | State::Ended(_) => {
                self.register(self.settings.strategy.auto_start)
            }
        }
    }

    pub(crate) fn start(&self) -> Result<(), Error> {
        become_host()?;
        let _turn = lock(&self.turn);
        match self.shared.state() {
            State::Started(_) => Ok(()),
            State::NotStarted => self.start_now(self.plan()?),
            State::NotProtected | State::Ended(_) => self.register(true),
        }
    }

    pub(crate) fn stop(&self, timeout: Duration) -> Result<Outcome, Error> {
        refuse_if_forked()?;
        let turn = lock(&self.turn);
        match self.shared.state() {
            State::NotProtected | State::Ended(_) => {}
            State::NotStarted => self.shared.end(Outcome::Cancel { last: None }),
            State::Started(_) => DriverThread::get_or_start()?.stop(&self.shared, timeout),
        }
        let outcome = self.shared.outcome();
        drop(turn);
        self.receive(outcome)
    }

    pub(crate) fn wait(&self) -> Result<Outcome, Error> {
        refuse_if_forked()?;
        let turn = lock(&self.turn);
        let outcome = self.shared.outcome();
        drop(turn);
        self.receive(outcome)
    }

    /// Puts the child into the registry, and starts it if `starts` says so. If anything is refused,
    /// nothing has changed.
    fn register(&self, starts: bool) -> Result<(), Error> {
        // Made even if the child is to start later, so that its mistakes are reported now.
        let plan = self.plan()?;
        // Before log files are opened and a cgroup is made: those may belong to another child of
        // this name.
        let former = registry::add(&self.shared).ok_or_else(|| self.already_protected())?;
        if !starts {
            return Ok(());
        }
        self.start_now(plan)
            .inspect_err(|_| registry::restore(&self.shared, former))
    }

    fn plan(&self) -> Result<ChildPlan<'_>, Error> {
        ChildPlan::new(self.name(), &self.invocation, &self.settings)
    }

    fn start_now(&self, plan: ChildPlan<'_>) -> Result<(), Error> {
        let driver = DriverThread::get_or_start()?;
        let setup = plan.prepare(&self.shared)?;
        self.shared.set_state(State::Started(None));
        driver.protect(setup);
        Ok(())
    }

    /// Waits for the outcome. `None` means that the child was not started.
    fn receive(&self, outcome: Option<Receiver<Outcome>>) -> Result<Outcome, Error> {
        outcome
            .and_then(|outcome| outcome.recv().ok())
            .ok_or_else(|| Error::NotProtected {
                name: self.name().to_owned(),
            })
    }

    fn already_protected(&self) -> Error {
        Error::AlreadyProtected {
            name: self.name().to_owned(),
        }
    }
}

/// Makes this process the host, unless it was forked from the host.
fn become_host() -> Result<(), Error> {
    host::become_host().map_err(|errno| Error::System {
        attempt: "map a page",
        source: io::Error::from_raw_os_error(errno.raw()),
    })?;
    refuse_if_forked()
}

fn refuse_if_forked() -> Result<(), Error> {
    if host::is_forked() {
        Err(Error::Forked)
    } else {
        Ok(())
    }
}

//! The thread that drives all protected children of a host.
//!
//! Architecture invariant: the thread is started when a child is first protected, lives as long as
//! the host, has every signal blocked but the C library's own, and with nothing to do sleeps in one
//! `poll(2)` without a timeout: over the pidfds of the children and a descriptor that commands make
//! readable.

use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::library::child_setup::ChildSetup;
use crate::library::error::Error;
use crate::library::protected_child::ProtectedChild;
use crate::library::shared_state::{SharedState, lock};
use crate::library::unreaped::Unreaped;
use crate::sys::signals::{self, Watch};
use crate::sys::waker::Waker;
use crate::sys::{clock, host, pidfd, startup};

/// What other threads ask frigate's thread to do.
enum Command {
    Protect(Box<ChildSetup>),
    Stop {
        shared: Arc<SharedState>,
        timeout: Duration,
    },
}

/// The other threads' way to frigate's thread.
#[derive(Clone)]
pub(crate) struct DriverThread {
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

static DRIVER_THREAD: Mutex<Option<DriverThread>> = Mutex::new(None);

impl DriverThread {
    /// Returns the thread, and starts it if there is none yet.
    ///
    /// # Errors
    ///
    /// The kernel has no pidfds, or the thread cannot be started.
    pub(crate) fn get_or_start() -> Result<Self, Error> {
        let mut current = lock(&DRIVER_THREAD);
        if let Some(driver) = current.as_ref() {
            return Ok(driver.clone());
        }
        let host = startup::own_pid().ok_or(Error::Unsupported)?;
        if !pidfd::is_supported() {
            return Err(Error::Unsupported);
        }
        let system = |attempt, source| Error::System { attempt, source };
        let waker = Waker::new().map_err(|errno| {
            let source = io::Error::from_raw_os_error(errno.raw());
            system("make an eventfd", source)
        })?;
        let waker = Arc::new(waker);
        let (commands, receiver) = channel();
        let eventfd = Arc::clone(&waker);
        // All signals are blocked before the thread exists. Otherwise a handler of the host's could
        // run on it before it has blocked them itself.
        let thread = host::with_signals_blocked(|| {
            thread::Builder::new()
                .name("frigate".to_owned())
                .spawn(move || drive(&eventfd, &receiver, host))
        });
        thread.map_err(|source| system("start a thread", source))?;
        let driver = Self { commands, waker };
        *current = Some(driver.clone());
        Ok(driver)
    }

    pub(crate) fn protect(&self, setup: ChildSetup) {
        self.send(Command::Protect(Box::new(setup)));
    }

    pub(crate) fn stop(&self, shared: &Arc<SharedState>, timeout: Duration) {
        let shared = Arc::clone(shared);
        self.send(Command::Stop { shared, timeout });
    }

    fn send(&self, command: Command) {
        // The thread never ends before the host does, so that this cannot fail.
        let _ = self.commands.send(command);
        self.waker.wake();
    }
}

/// What frigate's thread looks after.
struct Children {
    host: Pid,
    protected: Vec<ProtectedChild>,
    unreaped: Unreaped,
}

/// Runs on frigate's thread, as long as the host runs.
fn drive(waker: &Waker, commands: &Receiver<Command>, host: Pid) {
    host::block_signals();
    let mut children = Children {
        host,
        protected: Vec::new(),
        unreaped: Unreaped::default(),
    };
    loop {
        children.tick();
        // Before a child that has ended is dropped, and before the sleep: both are to know of each
        // process that is still to be reaped.
        children.take_unreaped();
        children.finish_ended();
        children.wait(waker);
        children.unreaped.reap();
        waker.reset();
        for command in commands.try_iter() {
            children.obey(command);
        }
    }
}

impl Children {
    fn tick(&mut self) {
        let now = clock::now();
        for child in &mut self.protected {
            if child.deadline().is_some_and(|deadline| deadline <= now) {
                child.tick();
            }
        }
    }

    fn finish_ended(&mut self) {
        while let Some(index) = self.protected.iter().position(ProtectedChild::has_ended) {
            let child = self.protected.remove(index);
            self.unreaped.extend(child.finish());
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let deadlines = self.protected.iter().filter_map(ProtectedChild::deadline);
        deadlines.chain(self.unreaped.deadline()).min()
    }

    /// Sleeps until there is something to do, and lets each child handle what was seen of it.
    fn wait(&mut self, waker: &Waker) {
        let timeout = self.deadline().map(|deadline| deadline.since(clock::now()));
        let mut watches: Vec<Watch<'_>> = Vec::new();
        for child in &self.protected {
            watches.extend(child.watches());
        }
        watches.push(Watch::readable(waker.as_fd()));
        watches.extend(self.unreaped.watches());
        let seen = signals::poll_watches(&watches, timeout);
        let mut rest = seen.as_slice();
        for child in &mut self.protected {
            // The number is the same as above: handling one child changes no other.
            let count = child.watches().count();
            let (own, others) = rest.split_at_checked(count).unwrap_or_default();
            rest = others;
            if own.contains(&true) {
                child.handle(own);
            }
        }
    }

    fn take_unreaped(&mut self) {
        for child in &mut self.protected {
            self.unreaped.extend(child.take_unreaped());
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Protect(setup) => {
                self.protected.push(ProtectedChild::new(*setup, self.host));
            }
            Command::Stop { shared, timeout } => {
                let mut protected = self.protected.iter_mut();
                if let Some(child) = protected.find(|child| Arc::ptr_eq(child.shared(), &shared)) {
                    child.stop(timeout);
                }
            }
        }
    }
}

//! What the handle of a child and frigate's thread share: the state of the child, the channels for
//! its events, and the threads that wait for its end.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::library::event::{Event, EventKind};
use crate::library::outcome::Outcome;

/// Locks a mutex of the library. The code that holds one of them is short and cannot panic, so that
/// even behind a poisoned lock the data is complete.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the protection of a child has come.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum State {
    /// It was never protected, or was refused each time.
    NotProtected,
    /// It is protected, and waits for its start.
    NotStarted,
    /// It was started, and has not ended for good. `None` means that no process runs: before the
    /// first one, and between two.
    Started(Option<Process>),
    /// It has ended for good, and can be started anew.
    Ended(Outcome),
}

/// A process of a child.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) start_time: Instant,
}

/// One child, from the creation of its handle on.
pub(crate) struct SharedState {
    pub(crate) name: Arc<str>,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// They get the events of the start that is under way, or else of the next one.
    listeners: Vec<Sender<Event>>,
    /// They get the outcome of the start that is under way.
    waiters: Vec<Sender<Outcome>>,
    has_handle: bool,
}

impl SharedState {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            inner: Mutex::new(Inner {
                state: State::NotProtected,
                listeners: Vec::new(),
                waiters: Vec::new(),
                has_handle: true,
            }),
        }
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.inner).state.clone()
    }

    /// Sets the state, and returns the one before.
    pub(crate) fn set_state(&self, state: State) -> State {
        core::mem::replace(&mut lock(&self.inner).state, state)
    }

    /// Returns the process that runs. `None` means that none does.
    pub(crate) fn process(&self) -> Option<Process> {
        match lock(&self.inner).state {
            State::Started(process) => process,
            State::NotProtected | State::NotStarted | State::Ended(_) => None,
        }
    }

    /// Notes which process of a started child runs. `None` means that none does.
    pub(crate) fn set_process(&self, process: Option<Process>) {
        if let State::Started(current) = &mut lock(&self.inner).state {
            *current = process;
        }
    }

    /// Adds a channel for the events of the start that is under way, or else of the next one.
    pub(crate) fn add_listener(&self, listener: Sender<Event>) {
        lock(&self.inner).listeners.push(listener);
    }

    /// Removes the channels of a child that is not protected, and returns them.
    pub(crate) fn take_idle_listeners(&self) -> Vec<Sender<Event>> {
        let mut inner = lock(&self.inner);
        match inner.state {
            State::NotProtected | State::Ended(_) => core::mem::take(&mut inner.listeners),
            State::NotStarted | State::Started(_) => Vec::new(),
        }
    }

    /// Sends an event to every listener, and forgets those whose receiver is gone.
    pub(crate) fn send(&self, event: &Event) {
        lock(&self.inner)
            .listeners
            .retain(|listener| listener.send(event.clone()).is_ok());
    }

    /// Returns a channel that receives the outcome of the start that is under way, or at once the
    /// outcome of a child that has ended. `None` means that the child was not started.
    ///
    /// The channel belongs to one start: it also receives the right outcome if another thread
    /// starts the child anew before this one reads it.
    pub(crate) fn outcome(&self) -> Option<Receiver<Outcome>> {
        let (sender, receiver) = channel();
        let mut inner = lock(&self.inner);
        match &inner.state {
            State::NotProtected | State::NotStarted => return None,
            State::Started(_) => inner.waiters.push(sender),
            State::Ended(outcome) => {
                let _ = sender.send(outcome.clone());
            }
        }
        Some(receiver)
    }

    /// Notes the end, reports it to listeners and waiters, and drops their channels, so that these
    /// close.
    ///
    /// All of it happens under one lock, because a listener may start the child anew as soon as it
    /// reads the event: it must find that the child has ended, and a channel that is added after
    /// that belongs to the next start. Sending never blocks.
    pub(crate) fn end(&self, outcome: Outcome) {
        let message = format!(
            "'{}' has ended for good: {outcome}",
            self.name.escape_debug()
        );
        let event = Event::new(&self.name, EventKind::Finished(outcome.clone()), message);
        let mut inner = lock(&self.inner);
        for listener in inner.listeners.drain(..) {
            let _ = listener.send(event.clone());
        }
        for waiter in inner.waiters.drain(..) {
            let _ = waiter.send(outcome.clone());
        }
        inner.state = State::Ended(outcome);
    }

    /// Notes that the handle is gone. Returns whether the child is started.
    pub(crate) fn drop_handle(&self) -> bool {
        let mut inner = lock(&self.inner);
        inner.has_handle = false;
        matches!(inner.state, State::Started(_))
    }

    pub(crate) fn has_handle(&self) -> bool {
        lock(&self.inner).has_handle
    }
}

#[cfg(test)]
#[path = "shared_state_tests.rs"]
mod tests;

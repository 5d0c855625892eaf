//! What a handle, the driver and `done` know in common of one child; and the roll of all children.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::library::event::{Event, EventKind};
use crate::library::outcome::Outcome;
use crate::sys::host;

/// A lock is held for a few instructions that cannot panic; were it poisoned all the same, what it
/// guards is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the protection of a child has come.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Stand {
    /// It waits for somebody to start it.
    Waiting,
    Live,
    Ended(Outcome),
}

/// A process of a child's.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) since: Instant,
}

struct Progress {
    stand: Stand,
    running: Option<Running>,
    listeners: Vec<Sender<Event>>,
    /// The handle exists.
    is_held: bool,
}

pub(crate) struct Link {
    pub(crate) name: Arc<str>,
    progress: Mutex<Progress>,
    ended: Condvar,
}

impl Link {
    pub(crate) fn new(name: &str) -> Self {
        let progress = Progress {
            stand: Stand::Waiting,
            running: None,
            listeners: Vec::new(),
            is_held: true,
        };
        Self {
            name: name.into(),
            progress: Mutex::new(progress),
            ended: Condvar::new(),
        }
    }

    pub(crate) fn stand(&self) -> Stand {
        lock(&self.progress).stand.clone()
    }

    /// The handle's lock is held: see `ProtectTask::link`.
    pub(crate) fn begin(&self) {
        lock(&self.progress).stand = Stand::Live;
    }

    pub(crate) fn running(&self) -> Option<Running> {
        lock(&self.progress).running
    }

    pub(crate) fn set_running(&self, running: Option<Running>) {
        lock(&self.progress).running = running;
    }

    /// Adds a listener; gives it back if the child has ended. Looked at and added under one lock: a
    /// listener that came between the end and its news would never be told, and its channel would
    /// stay open.
    pub(crate) fn listen(&self, listener: Sender<Event>) -> Option<Sender<Event>> {
        let mut progress = lock(&self.progress);
        if matches!(progress.stand, Stand::Ended(_)) {
            return Some(listener);
        }
        progress.listeners.push(listener);
        None
    }

    pub(crate) fn hand_over(&self, listeners: &mut Vec<Sender<Event>>) {
        lock(&self.progress).listeners.append(listeners);
    }

    pub(crate) fn take_back(&self, listeners: &mut Vec<Sender<Event>>) {
        listeners.append(&mut lock(&self.progress).listeners);
    }

    /// Tells everybody who listens; who does so no more is forgotten.
    pub(crate) fn tell(&self, event: &Event) {
        lock(&self.progress)
            .listeners
            .retain(|listener| listener.send(event.clone()).is_ok());
    }

    /// Notes the end, tells of it, and drops the listeners, so that their channels close. All under
    /// one lock: a listener may start the child anew at once, and must find that it has ended.
    /// Sending never blocks.
    pub(crate) fn end(&self, outcome: Outcome) {
        let message = format!(
            "'{}' has ended for good: {outcome}",
            self.name.escape_debug()
        );
        let event = Event::new(&self.name, EventKind::Finished(outcome.clone()), message);
        let mut progress = lock(&self.progress);
        progress.stand = Stand::Ended(outcome);
        progress.running = None;
        for listener in progress.listeners.drain(..) {
            let _ = listener.send(event.clone());
        }
        self.ended.notify_all();
    }

    /// Waits for the end of one that lives; none: it was never started.
    pub(crate) fn wait(&self) -> Option<Outcome> {
        let mut progress = lock(&self.progress);
        loop {
            match &progress.stand {
                Stand::Waiting => return None,
                Stand::Ended(outcome) => return Some(outcome.clone()),
                Stand::Live => {
                    progress = self
                        .ended
                        .wait(progress)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn is_held(&self) -> bool {
        lock(&self.progress).is_held
    }
}

/// Everybody protected, and those that ended and were not yet told of.
static ROLL: Mutex<Vec<Arc<Link>>> = Mutex::new(Vec::new());

/// Takes a child's name; false: another child has it, and has not ended.
pub(crate) fn enter(link: &Arc<Link>) -> bool {
    let mut roll = lock(&ROLL);
    if roll
        .iter()
        .any(|other| other.name == link.name && !matches!(other.stand(), Stand::Ended(_)))
    {
        return false;
    }
    roll.retain(|other| other.name != link.name);
    roll.push(Arc::clone(link));
    true
}

pub(crate) fn forget(link: &Arc<Link>) {
    lock(&ROLL).retain(|other| !Arc::ptr_eq(other, link));
}

/// The handle is gone. A child that lives is told of by `done` all the same; any other is of no
/// interest to anybody.
pub(crate) fn release(link: &Arc<Link>) {
    let is_live = {
        let mut progress = lock(&link.progress);
        progress.is_held = false;
        progress.stand == Stand::Live
    };
    if !is_live {
        forget(link);
    }
}

/// Waits until every protected child has ended for good, and returns how each of them did, by name.
///
/// A child that waits for [`Frigate::start`](crate::Frigate::start) does not count. One that ended
/// is told of as long as its [`Frigate`](crate::Frigate) exists, and once more after that; where
/// two had the same name, the later one is told of.
///
/// A process that was forked from the host has no children of frigate's. There it returns at once,
/// and the map is empty.
///
/// ```
/// use frigate::{AutoRestart, Frigate, Strategy};
///
/// let once = Strategy::new().auto_restart(AutoRestart::False);
/// Frigate::create("true").strategy(once.clone()).protect()?;
/// Frigate::create("false").strategy(once).protect()?;
/// let outcomes = frigate::done();
/// assert_eq!(outcomes["false"].to_string(), frigate::COMPLETE_PROCESS);
/// assert_eq!(outcomes["false"].status().and_then(|status| status.code()), Some(1));
/// # Ok::<(), frigate::Error>(())
/// ```
#[must_use = "it waits; the outcomes tell how it all ended"]
pub fn done() -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    if host::is_forked() {
        return outcomes;
    }
    loop {
        let live = lock(&ROLL)
            .iter()
            .find(|link| link.stand() == Stand::Live)
            .map(Arc::clone);
        let Some(link) = live else { break };
        let _ = link.wait();
    }
    lock(&ROLL).retain(|link| match link.stand() {
        Stand::Ended(outcome) => {
            outcomes.insert(link.name.to_string(), outcome);
            link.is_held()
        }
        Stand::Waiting | Stand::Live => true,
    });
    outcomes
}

/// The processes of all living children.
pub(crate) fn pids() -> Vec<u32> {
    lock(&ROLL)
        .iter()
        .filter_map(|link| link.running())
        .map(|running| running.pid)
        .collect()
}

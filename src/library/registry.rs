//! The list of all children: those that are protected, and those that have ended and are still to
//! be reported by `done`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::library::outcome::Outcome;
use crate::library::shared_state::{SharedState, State, lock};
use crate::sys::host;

/// No two of these have the same name. Its lock is taken before that of a child's state.
static REGISTRY: Mutex<Vec<Arc<SharedState>>> = Mutex::new(Vec::new());

/// Adds a child that is not protected, which is from now on, and has not started. Returns the state
/// that it had, or `None` if a protected child has its name.
pub(crate) fn add(child: &Arc<SharedState>) -> Option<State> {
    let mut registry = lock(&REGISTRY);
    let is_taken = registry.iter().any(|other| {
        other.name == child.name && matches!(other.state(), State::NotStarted | State::Started(_))
    });
    if is_taken {
        return None;
    }
    registry.retain(|other| other.name != child.name);
    registry.push(Arc::clone(child));
    // Under the lock, so that from now on no other child gets the name.
    Some(child.set_state(State::NotStarted))
}

/// Undoes [`add`] for a child whose start was refused.
pub(crate) fn restore(child: &Arc<SharedState>, former: State) {
    let mut registry = lock(&REGISTRY);
    if former == State::NotProtected {
        registry.retain(|other| !Arc::ptr_eq(other, child));
    }
    child.set_state(former);
}

/// Notes that the handle of a child is gone. Removes the child unless it is started: then `done`
/// still reports its outcome, once.
pub(crate) fn drop_handle(child: &Arc<SharedState>) {
    if child.state() == State::NotProtected {
        return;
    }
    let mut registry = lock(&REGISTRY);
    if !child.drop_handle() {
        registry.retain(|other| !Arc::ptr_eq(other, child));
    }
}

/// Returns the processes of all started children.
pub(crate) fn pids() -> Vec<u32> {
    lock(&REGISTRY)
        .iter()
        .filter_map(|child| child.process())
        .map(|process| process.pid)
        .collect()
}

/// Waits until every started child has ended for good, and returns their outcomes by name.
///
/// It does not wait for a child that waits for [`Frigate::start`](crate::Frigate::start). The
/// outcome of a child stays in the map as long as its [`Frigate`](crate::Frigate) exists, until it
/// is started anew or another child takes its name. If the `Frigate` was dropped while the child
/// was started, the outcome is returned once.
///
/// In a process that was forked from the host, it returns an empty map at once.
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
#[must_use = "the outcomes say how the children ended"]
pub fn done() -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    if host::is_forked() {
        return outcomes;
    }
    loop {
        let started = lock(&REGISTRY)
            .iter()
            .find(|child| matches!(child.state(), State::Started(_)))
            .map(Arc::clone);
        let Some(child) = started else { break };
        // It may have ended, and been protected anew without a start, since it was found.
        if let Some(outcome) = child.outcome() {
            let _ = outcome.recv();
        }
    }
    lock(&REGISTRY).retain(|child| match child.state() {
        State::Ended(outcome) => {
            outcomes.insert(child.name.to_string(), outcome);
            child.has_handle()
        }
        State::NotProtected | State::NotStarted | State::Started(_) => true,
    });
    outcomes
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;

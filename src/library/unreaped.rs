//! Processes that were sent KILL, and are still to be reaped: each when it ends.

use core::time::Duration;
use std::os::fd::AsFd;

use crate::core::moment::Moment;
use crate::sys::clock;
use crate::sys::pidfd::{self, ReapResult};
use crate::sys::signals::Watch;
use crate::sys::spawn::Spawned;

/// The pause between two tries to reap a process whose tracer holds it. Its pidfd would wake the
/// thread at once.
pub(crate) const TRACED_PAUSE: Duration = Duration::from_millis(50);

/// Processes of no child: one that KILL did not end in time, programs of checks, and those that
/// dropped a message.
#[derive(Default)]
pub(crate) struct Unreaped {
    processes: Vec<Spawned>,
    /// When to try again to reap a process that has ended: a tracer has to detach from it first.
    traced_until: Option<Moment>,
}

impl Unreaped {
    pub(crate) fn extend(&mut self, processes: impl IntoIterator<Item = Spawned>) {
        self.processes.extend(processes);
    }

    pub(crate) const fn deadline(&self) -> Option<Moment> {
        self.traced_until
    }

    /// Returns what becomes ready when one of them ends. Nothing is watched while a tracer holds one,
    /// which is not for long.
    pub(crate) fn watches(&self) -> impl Iterator<Item = Watch<'_>> {
        let is_watched = self.traced_until.is_none();
        let pidfds = self
            .processes
            .iter()
            .filter_map(|child| child.pidfd.as_ref());
        pidfds
            .filter(move |_| is_watched)
            .map(|pidfd| Watch::readable(pidfd.as_fd()))
    }

    /// Reaps those that have ended.
    pub(crate) fn reap(&mut self) {
        let mut is_traced = false;
        self.processes.retain(|child| {
            let Some(pidfd) = child.pidfd.as_ref().map(AsFd::as_fd) else {
                return false;
            };
            let is_left = matches!(pidfd::reap(pidfd), ReapResult::Alive);
            is_traced |= is_left && pidfd::has_ended(pidfd);
            is_left
        });
        self.traced_until = is_traced.then(|| clock::now().after(TRACED_PAUSE));
    }
}

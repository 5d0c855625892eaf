//! When a change of what a path names is acted on (`--watch`).

use core::time::Duration;

use crate::core::moment::Moment;
use crate::core::signal::Signal;

/// How long a path must be quiet before its change is acted on. An update of several files, or an
/// editor's several steps, is one change then.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// How long after its first event a change is acted on at the latest. Writes that never cease would
/// postpone it forever otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What follows a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reaction {
    /// The child is sent this signal.
    Signal(Signal),
    /// The child is stopped and started again.
    Restart,
}

/// One value of `--watch`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WatchRule {
    /// The path as it was typed.
    pub(crate) path: String,
    pub(crate) reaction: Reaction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    /// A FIFO, a socket or a device.
    Other,
}

/// What a path names, as far as two of these tell a change (`inode(7)`). Times are in seconds and
/// nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) kind: FileKind,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) links: u64,
    pub(crate) size: u64,
    /// When the content was last modified.
    pub(crate) modified: (i64, u64),
    /// When the content, the owner or the permissions were last changed.
    pub(crate) changed: (i64, u64),
}

impl Identity {
    /// Returns whether this is what `former` was, unchanged.
    fn is_same_as(&self, former: &Self) -> bool {
        let is_same_inode = (self.device, self.inode) == (former.device, former.inode);
        match self.kind {
            // The last name of a mounted file was removed outside. That changes the inode, but not
            // what the mount shows.
            FileKind::Regular if is_same_inode && self.links == 0 && former.links > 0 => true,
            FileKind::Regular | FileKind::Directory => self == former,
            // What is written to a device or a FIFO does not stay there.
            FileKind::Other => is_same_inode,
        }
    }
}

/// One watched path: what it named, and the change that is not acted on yet.
#[derive(Debug, Default)]
pub(crate) struct WatchedPath {
    /// What the path named before the start of the child, or when a change was last looked at;
    /// `None` means that nothing was there.
    known: Option<Identity>,
    /// The first and the last event since then.
    events: Option<(Moment, Moment)>,
    /// An event was about an entry of the directory that the path names. The directory's own
    /// identity does not show that an entry was written to.
    has_entry_changed: bool,
}

impl WatchedPath {
    /// Forgets what happened before a start: the new child finds the path as it is.
    pub(crate) fn begin(&mut self, found: Option<Identity>) {
        *self = Self {
            known: found,
            ..Self::default()
        };
    }

    /// Notes an event. `in_directory` says that it was about an entry of the directory that the path
    /// names.
    pub(crate) fn note_event(&mut self, in_directory: bool, now: Moment) {
        let first = self.events.map_or(now, |(first, _)| first);
        self.events = Some((first, now));
        self.has_entry_changed |= in_directory;
    }

    /// Returns when the path must be looked at; `None` means that nothing has happened.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let (first, last) = self.events?;
        Some(last.after(QUIET_TIME).min(first.after(LONGEST_WAIT)))
    }

    /// Takes what the path names now. Returns whether that is a change to act on. A path that names
    /// nothing any more is no change. If it names something again, that is one, unless it is what
    /// was there before.
    pub(crate) fn settle(&mut self, found: Option<Identity>) -> bool {
        self.events = None;
        let has_entry_changed = core::mem::take(&mut self.has_entry_changed);
        let Some(found) = found else {
            return false;
        };
        let former = self.known.replace(found);
        let is_same = former.is_some_and(|former| found.is_same_as(&former));
        !is_same || has_entry_changed && found.kind == FileKind::Directory
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;

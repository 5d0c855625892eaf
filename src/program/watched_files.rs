//! The paths of `--watch`: their watches, and which change is due.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use crate::core::dispatch::Event;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::moment::Moment;
use crate::core::watch::{Identity, Reaction, WatchRule, WatchedPath};
use crate::messages::mistake::Mistake;
use crate::messages::report::Reporter;
use crate::sys::inotify::{Inotify, Step, absolute_path, check_directory};
use crate::sys::signals::Watch;

/// How often a path is walked until its watches are known to be complete. A child that changes the
/// way each time cannot keep frigate at it.
const MOST_WALKS: usize = 4;

/// How many times events are read before a start. The queue of the kernel holds less
/// (`fs.inotify.max_queued_events`), unless processes outside go on filling it.
const MOST_READS: usize = 1024;

/// All paths that are watched.
pub(crate) struct WatchedFiles {
    inotify: Inotify,
    paths: Vec<Entry>,
}

struct Entry {
    /// The path from the root.
    path: String,
    /// The path as it was typed.
    name: &'static str,
    reaction: Reaction,
    state: WatchedPath,
    steps: Vec<Step>,
    has_failed: bool,
}

impl WatchedFiles {
    /// Begins to watch. The paths are kept until the process ends.
    ///
    /// # Errors
    ///
    /// The directory of a path is not there, or cannot be watched.
    // Not inlined: what every run executes has 2,640 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn open(rules: &[WatchRule]) -> Result<Box<Self>, Mistake> {
        let inotify = Inotify::new().map_err(|errno| {
            Mistake::new("use", "--watch").because(&[&errno.to_string(), remedy(errno)].concat())
        })?;
        let mut paths = Vec::with_capacity(rules.len());
        for rule in rules {
            paths.push(Entry::open(rule, &inotify)?);
        }
        Ok(Box::new(Self { inotify, paths }))
    }

    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch::readable(self.inotify.as_fd())
    }

    /// Returns when the next path must be looked at; `None` means that nothing has happened.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let deadlines = self.paths.iter().filter_map(|entry| entry.state.deadline());
        deadlines.min()
    }

    /// Notes the events of one read. The next read comes after other signals have been taken, so
    /// that a flood of events does not delay them.
    pub(crate) fn read_events(&mut self, now: Moment) {
        let Self { inotify, paths } = self;
        inotify.read(&mut |event| {
            for entry in paths.iter_mut() {
                for step in &entry.steps {
                    if let Some(in_directory) = event.concerns(step) {
                        entry.state.note_event(in_directory, now);
                    }
                }
            }
        });
    }

    /// Takes every path as it is, before a start: the child will find it so. Earlier events are
    /// dropped.
    // Not inlined: what every run executes has 224 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn begin(&mut self, now: Moment, reporter: &mut Reporter) {
        for _ in 0..MOST_READS {
            if !self.inotify.read(&mut |_| {}) {
                break;
            }
        }
        for index in 0..self.paths.len() {
            let looked = self.look_at(index, reporter);
            if let Some(entry) = self.paths.get_mut(index) {
                match looked {
                    Ok((found, _)) => entry.state.begin(found),
                    Err(_) => _ = entry.state.settle(None),
                }
                entry.note_unless_complete(looked, now);
            }
        }
    }

    /// Returns the next change that is due. Once it is `None`, no deadline has come.
    pub(crate) fn next_change(&mut self, now: Moment, reporter: &mut Reporter) -> Option<Event> {
        let is_due = |entry: &Entry| entry.state.deadline().is_some_and(|due| due <= now);
        while let Some(index) = self.paths.iter().position(is_due) {
            let looked = self.look_at(index, reporter);
            let entry = self.paths.get_mut(index)?;
            let is_change = entry.state.settle(looked.ok().and_then(|(found, _)| found));
            entry.note_unless_complete(looked, now);
            if is_change {
                let (path, reaction) = (entry.name, entry.reaction);
                return Some(Event::Changed { path, reaction });
            }
        }
        None
    }

    /// Looks at a path, and removes the watches of what is on the way to no path any more. Reports a
    /// failure once.
    fn look_at(&mut self, index: usize, reporter: &mut Reporter) -> Looked {
        let Some(entry) = self.paths.get_mut(index) else {
            return Ok((None, true));
        };
        let mut former = Vec::new();
        let looked = entry.look(&self.inotify, &mut former);
        let had_failed = core::mem::replace(&mut entry.has_failed, looked.is_err());
        if let Some(errno) = looked.err().filter(|_| !had_failed) {
            reporter.report(&Fact::Cannot {
                verb: "watch",
                object: entry.name,
                errno,
                then: "its next change may go unnoticed",
            });
        }
        for step in former {
            let mut steps = self.paths.iter().flat_map(|entry| &entry.steps);
            if !steps.any(|other| other.watch == step.watch) {
                self.inotify.unwatch(step.watch);
            }
        }
        looked
    }
}

/// What a path names, and whether every later change of it will be reported.
type Looked = Result<(Option<Identity>, bool), Errno>;

impl Entry {
    fn open(rule: &WatchRule, inotify: &Inotify) -> Result<Self, Mistake> {
        let cannot = |why: &str| Mistake::new("watch", &rule.path).because(why);
        let path = absolute_path(&rule.path)
            .map_err(|errno| cannot(&["the current directory: ", &errno.to_string()].concat()))?;
        let directory = directory_of(&path);
        check_directory(directory).map_err(|errno| {
            let errno = errno.to_string();
            cannot(&["its directory '", directory, "': ", &errno].concat())
        })?;
        let mut entry = Self {
            path,
            name: rule.path.clone().leak(),
            reaction: rule.reaction,
            state: WatchedPath::default(),
            steps: Vec::new(),
            has_failed: false,
        };
        match entry.look(inotify, &mut Vec::new()) {
            Ok(_) => Ok(entry),
            Err(errno) => Err(cannot(&[&errno.to_string(), remedy(errno)].concat())),
        }
    }

    /// Walks the path until all watches were there before the walk. Moves the former watches to
    /// `former`.
    fn look(&mut self, inotify: &Inotify, former: &mut Vec<Step>) -> Looked {
        let mut last = None;
        for _ in 0..MOST_WALKS {
            let mut steps = Vec::new();
            let found = inotify.watch_path(&self.path, &mut steps);
            let is_complete = steps == self.steps;
            former.append(&mut core::mem::replace(&mut self.steps, steps));
            last = found?;
            if is_complete {
                return Ok((last, true));
            }
        }
        Ok((last, false))
    }

    /// Has the path looked at again if the way to it never was the same twice.
    fn note_unless_complete(&mut self, looked: Looked, now: Moment) {
        if let Ok((_, false)) = looked {
            self.state.note_event(false, now);
        }
    }
}

/// Returns the directory of the last component.
fn directory_of(path: &str) -> &str {
    let last = path.bytes().rposition(|byte| byte != b'/').unwrap_or(0);
    let name = path.bytes().take(last).rposition(|byte| byte == b'/');
    match name.and_then(|name| path.get(..name)) {
        None | Some("") => "/",
        Some(directory) => directory,
    }
}

/// Returns how to fix what the kernel refuses.
fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::NO_SPACE => "; raise the kernel's limit fs.inotify.max_user_watches (sysctl)",
        Errno::TOO_MANY_FILES => {
            "; raise the kernel's limit fs.inotify.max_user_instances (sysctl), or that on descriptors"
        }
        Errno::NOT_FOUND => "; is /proc mounted?",
        Errno::ACCESS => "; frigate must be allowed to read the directory",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::directory_of;

    #[test]
    fn the_directory_of_a_path_is_what_stands_before_its_last_component() {
        for (path, directory) in [
            ("/", "/"),
            ("/a", "/"),
            ("/a/", "/"),
            ("/a/b", "/a"),
            ("/a/b//", "/a"),
            ("/a//b", "/a/"),
            ("/a/../b", "/a/.."),
        ] {
            assert_eq!(directory_of(path), directory, "{path}");
        }
    }
}

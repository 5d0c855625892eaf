//! Cgroups of version 2 for scenarios in the guest: which one frigate starts in, and what a trial
//! reads there.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{eventually, own_program};

/// The mount point of cgroups in the guest.
pub const ROOT: &str = "/sys/fs/cgroup";

/// What frigate sees at `/sys/fs/cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The whole tree of the machine, as with `docker run --cgroupns=host`.
    Host,
    /// The same, read-only.
    HostReadOnly,
    /// Its own group as the root of a cgroup namespace, writable.
    Private,
    /// The same, read-only, as engines do by default.
    PrivateReadOnly,
    /// Nothing: there is no file system of cgroups.
    Nothing,
    /// The controllers' directories of version 1, without version 2 beside them.
    VersionOne,
}

impl View {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Host, "host"),
        (Self::HostReadOnly, "host-ro"),
        (Self::Private, "private"),
        (Self::PrivateReadOnly, "private-ro"),
        (Self::Nothing, "nothing"),
        (Self::VersionOne, "v1"),
    ];

    /// Returns the word for the view in the launcher's plan.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(view, _)| *view == self)
            .expect("all are listed")
            .1
    }

    /// Returns the view that a word of the launcher's plan stands for.
    pub fn named(word: &str) -> Self {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == word)
            .unwrap_or_else(|| panic!("no such view: {word}"))
            .0
    }
}

/// A cgroup to be made for one trial.
#[derive(Debug, Clone)]
pub struct Place {
    files: Vec<(String, String)>,
    view: View,
    owner: Option<u32>,
    neighbors: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            view: View::Host,
            owner: None,
            neighbors: 0,
        }
    }
}

impl Place {
    /// Returns a group below the root with every controller, owned by root, in the machine's own
    /// view.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a file of the group before frigate starts: `.set("memory.max", "64M")`.
    pub fn set(mut self, file: &str, value: &str) -> Self {
        self.files.push((file.to_owned(), value.to_owned()));
        self
    }

    /// Sets what frigate sees of the group.
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Delegates the group to a user, as `cgroups(7)` describes: the directory and the files that
    /// move processes and enable controllers, but no limit.
    pub fn delegated_to(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Puts other processes into the group, which have nothing to do with frigate, as `docker exec`
    /// does.
    pub fn neighbors(mut self, count: usize) -> Self {
        self.neighbors = count;
        self
    }

    /// Makes the group, so that several frigates can run in it, one after the other.
    #[track_caller]
    pub fn make(self) -> Site {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = Group::at(ROOT);
        for controller in root.read("cgroup.controllers").split_whitespace() {
            if ["cpu", "cpuset", "io", "memory", "pids"].contains(&controller) {
                root.write("cgroup.subtree_control", &format!("+{controller}"))
                    .expect("the root may enable all it has");
            }
        }
        let group =
            Group::at(Path::new(ROOT).join(format!("trial-{}-{number}", std::process::id())));
        fs::create_dir(&group.path).expect("no other has this name");
        let site = Site(Arc::new(Held {
            group,
            view: self.view,
            neighbors: Mutex::default(),
        }));
        for (file, value) in &self.files {
            site.write(file, value)
                .unwrap_or_else(|error| panic!("cannot write {value} to {file}: {error}"));
        }
        if let Some(uid) = self.owner {
            for name in [
                "",
                "cgroup.procs",
                "cgroup.subtree_control",
                "cgroup.threads",
            ] {
                chown(site.path.join(name), Some(uid), Some(uid)).expect("root may do this");
            }
        }
        for _ in 0..self.neighbors {
            let mut command = Command::new(own_program());
            command
                .args(["--puppet", "pause"])
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            let child = command.spawn().expect("a neighbor");
            let pid = child.id().to_string();
            site.0
                .neighbors
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(child);
            site.write("cgroup.procs", &pid).expect("root may move it");
        }
        site
    }
}

/// One group, as the guest sees it from outside any namespace.
#[derive(Debug, Clone)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// Returns the group with this directory.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the last component of its path.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.display().to_string())
            .unwrap_or_default()
    }

    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Returns the group of this name below this one, whether it exists or not.
    pub fn child(&self, name: &str) -> Self {
        Self::at(self.path.join(name))
    }

    /// Returns the groups directly below this one, by name.
    pub fn children(&self) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let directories = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir());
        let mut children: Vec<_> = directories.map(|entry| Self::at(entry.path())).collect();
        children.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        children
    }

    /// Returns the content of a file of the group, without the line feed at the end.
    #[track_caller]
    pub fn read(&self, file: &str) -> String {
        let path = self.path.join(file);
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        text.trim_end().to_owned()
    }

    /// Returns the number after a key in a file such as `memory.events`.
    #[track_caller]
    pub fn number(&self, file: &str, key: &str) -> u64 {
        let text = self.read(file);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no {key} in {file}: {text}"))
    }

    /// Writes to a file of the group.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.path.join(file), value)
    }

    /// Returns the processes in the group, without those in groups below it.
    pub fn processes(&self) -> Vec<i32> {
        // A group that was removed has no processes, and a threaded group refuses to list them.
        let list = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Returns whether the group, or a group below it, holds a process.
    pub fn is_populated(&self) -> bool {
        self.exists() && self.number("cgroup.events", "populated") == 1
    }

    /// Writes the tree below this group with its processes, for messages.
    fn describe(&self, out: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        writeln!(
            out,
            "{:1$}{2}: processes {3:?}",
            "",
            depth * 2,
            self.name(),
            self.processes()
        )?;
        // A trial may nest thousands of groups.
        if depth > 8 {
            return Ok(());
        }
        self.children()
            .iter()
            .try_for_each(|child| child.describe(out, depth + 1))
    }

    fn remove(&self) -> io::Result<()> {
        self.children().iter().try_for_each(Self::remove)?;
        fs::remove_dir(&self.path)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(out, 0)
    }
}

#[derive(Debug)]
struct Held {
    group: Group,
    view: View,
    neighbors: Mutex<Vec<Child>>,
}

/// A group that was made for a trial. When its last holder is dropped, all its processes are
/// killed, and it is removed with all groups below it.
#[derive(Debug, Clone)]
pub struct Site(Arc<Held>);

impl Site {
    /// Returns what a frigate that starts here sees.
    pub fn view(&self) -> View {
        self.0.view
    }
}

impl From<Place> for Site {
    fn from(place: Place) -> Self {
        place.make()
    }
}

impl From<&Site> for Site {
    fn from(site: &Site) -> Self {
        site.clone()
    }
}

impl std::ops::Deref for Site {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.0.group
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- cgroups:\n{}", self.group);
        }
        // One write kills the whole tree, including processes that are just forking, and frozen
        // ones.
        let _gone = self.group.write("cgroup.kill", "1");
        for neighbor in self
            .neighbors
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
        {
            let _gone = neighbor.wait();
        }
        if std::thread::panicking() {
            let _left = self.group.remove();
            return;
        }
        // Killed processes count until their parents have reaped them.
        eventually("the trial's cgroups can be removed", || {
            self.group.remove().ok()
        });
    }
}

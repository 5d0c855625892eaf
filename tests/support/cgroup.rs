//! Cgroups of version 2 for scenarios in the guest: where frigate is put, and what a trial reads
//! there.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{eventually, own_program};

/// Where the guest has its cgroups.
pub const ROOT: &str = "/sys/fs/cgroup";

/// What frigate sees at `/sys/fs/cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The whole tree of the machine, as with `docker run --cgroupns=host`.
    Host,
    /// The same, read-only.
    HostReadOnly,
    /// Its own group as the root of a cgroup namespace, to be written to.
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

    /// The word for it in the launcher's plan.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(view, _)| *view == self)
            .expect("all are listed")
            .1
    }

    /// The view that a word of the launcher's plan stands for.
    pub fn named(word: &str) -> Self {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == word)
            .unwrap_or_else(|| panic!("no such view: {word}"))
            .0
    }
}

/// A wish for a cgroup of a trial's own.
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
    /// A group below the root with every controller, owned by root, in the machine's own view.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a file of the group beforehand: `.set("memory.max", "64M")`.
    pub fn set(mut self, file: &str, value: &str) -> Self {
        self.files.push((file.to_owned(), value.to_owned()));
        self
    }

    /// Sets what frigate sees of it.
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Delegates it to a user, as `cgroups(7)` describes: the directory and the files that move and
    /// enable, but no limit.
    pub fn delegated_to(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Puts so many other processes into the group, which know nothing of frigate: as `docker exec`
    /// does.
    pub fn neighbors(mut self, count: usize) -> Self {
        self.neighbors = count;
        self
    }

    /// Makes it, for more than one frigate one after the other.
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
                chown(site.path.join(name), Some(uid), Some(uid)).expect("root may");
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

/// One group, as the guest sees it from outside of any namespace.
#[derive(Debug, Clone)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// The group with this directory.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last name.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.display().to_string())
            .unwrap_or_default()
    }

    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// A group below this one, be it there or not.
    pub fn child(&self, name: &str) -> Self {
        Self::at(self.path.join(name))
    }

    /// The groups directly below this one, by name.
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

    /// A file of it, without the line's end.
    #[track_caller]
    pub fn read(&self, file: &str) -> String {
        let path = self.path.join(file);
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        text.trim_end().to_owned()
    }

    /// The number behind a key of a file such as `memory.events`.
    #[track_caller]
    pub fn number(&self, file: &str, key: &str) -> u64 {
        let text = self.read(file);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no {key} in {file}: {text}"))
    }

    /// Writes a file of it.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.path.join(file), value)
    }

    /// The processes in it, and not those in groups below.
    pub fn processes(&self) -> Vec<i32> {
        // Gone, it has none; and a threaded group refuses to list them.
        let list = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Whether any process lives in it or below.
    pub fn is_populated(&self) -> bool {
        self.exists() && self.number("cgroup.events", "populated") == 1
    }

    /// The tree from here on with its processes, for messages.
    fn describe(&self, out: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        writeln!(
            out,
            "{:1$}{2}: processes {3:?}",
            "",
            depth * 2,
            self.name(),
            self.processes()
        )?;
        // A trial may nest thousands.
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

/// A group that was made for a trial. When the last holder of it is dropped, all in it are killed
/// and it is removed with everything below.
#[derive(Debug, Clone)]
pub struct Site(Arc<Held>);

impl Site {
    /// What a frigate that starts here sees.
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
        // One write kills the whole tree, those that fork right now included. A frozen one dies as
        // well.
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
        // The killed ones count until they are reaped, by whomever.
        eventually("the trial's cgroups can be removed", || {
            self.group.remove().ok()
        });
    }
}

//! Files, and the descriptors that the puppet was started with.
//!
//! ```text
//! touch FILE          creates this file, empty
//! await FILE          waits until it exists
//! missing FILE        prints a line if it does not exist
//! lock FILE           prints locked, or busy if another process holds the lock
//! descriptors         prints its open descriptors, one a line, and descriptors end
//! listed FILE         writes the same lines to this file
//! ```

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::{Puppet, Verbs};

pub(super) const VERBS: Verbs = &[
    ("touch", |_, path| drop(File::create(path).expect(path))),
    ("await", |_, path| {
        while !Path::new(path).exists() {
            sleep(Duration::from_millis(2));
        }
    }),
    ("missing", |puppet, path| {
        if !Path::new(path).exists() {
            puppet.say(&format!("missing {path}"));
        }
    }),
    ("lock", |puppet, path| puppet.lock(path)),
    ("descriptors", |puppet, _| {
        for line in list_descriptors() {
            puppet.say(&line);
        }
    }),
    ("listed", |_, path| {
        fs::write(path, list_descriptors().join("\n")).expect(path);
    }),
];

impl Puppet {
    fn lock(&mut self, path: &str) {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect(path);
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                self.locks.push(lock);
                self.say("locked");
            }
            Err(_) => self.say("busy"),
        }
    }
}

/// Returns one line for each open descriptor, and a line that ends the list.
fn list_descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc");
    let described = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let target = fs::read_link(&path).ok()?;
        Some((
            path.file_name()?.to_str()?.parse::<i32>().ok()?,
            target.display().to_string(),
        ))
    });
    // The script did not open the descriptor that reads this directory.
    let mut open: Vec<_> = described
        .filter(|(_, target)| !target.ends_with("/fd"))
        .collect();
    open.sort_unstable();
    let lines = open
        .into_iter()
        .map(|(fd, target)| format!("descriptor {fd} {target}"));
    lines.chain(["descriptors end".to_owned()]).collect()
}

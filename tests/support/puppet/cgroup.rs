//! Cgroups.
//!
//! ```text
//! cgroup              prints its cgroup, as its own namespace names it: cgroup /path
//! nest DIRECTORY COUNT    makes this many directories there, each in the one before; prints nested
//!                     and how many it could make
//! ```

use std::fs;

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};

use super::{Puppet, Verbs};

pub(super) const VERBS: Verbs = &[
    ("cgroup", |puppet, _| puppet.say_cgroup()),
    ("nest", |puppet, words| {
        let (top, count) = words.split_once(' ').expect("DIRECTORY COUNT");
        let made = nest(top, count.parse().expect("a count"));
        puppet.say(&format!("nested {made}"));
    }),
];

impl Puppet {
    fn say_cgroup(&self) {
        let groups = fs::read_to_string("/proc/self/cgroup").expect("/proc");
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"));
        self.say(&format!("cgroup {}", path.unwrap_or("none")));
    }
}

/// Makes directories one below the other, by descriptors, because their path is soon longer than
/// the kernel accepts. Returns how many it could make.
fn nest(top: &str, count: usize) -> usize {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let name = "d".repeat(100);
    let mut at = open(top, flags, Mode::empty()).expect(top);
    let makes_another = |_: &usize| {
        mkdirat(&at, &*name, Mode::from_raw_mode(0o755)).is_ok_and(|()| {
            at = openat(&at, &*name, flags, Mode::empty()).expect("it was just made");
            true
        })
    };
    (0..count).take_while(makes_another).count()
}

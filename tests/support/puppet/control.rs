//! Deeds that are done several times, or only at some starts of the puppet.
//!
//! ```text
//! attempt FILE        counts its own starts in this file
//! on N {SCRIPT}       does this if that count is N
//! after N {SCRIPT}    does this if that count is larger
//! repeat N {SCRIPT}   does this N times
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::{Puppet, Verbs, block};

pub(super) const VERBS: Verbs = &[
    ("attempt", |puppet, path| puppet.count_attempt(path)),
    ("on", |puppet, words| {
        let times = usize::from(puppet.attempt == count(words));
        puppet.repeat(times, words);
    }),
    ("after", |puppet, words| {
        let times = usize::from(puppet.attempt > count(words));
        puppet.repeat(times, words);
    }),
    ("repeat", |puppet, words| puppet.repeat(count(words), words)),
];

/// Returns the number before a script in braces.
fn count(words: &str) -> usize {
    words
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a count")
}

impl Puppet {
    fn count_attempt(&mut self, path: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect(path);
        file.write_all(b".").expect(path);
        self.attempt = fs::read(path).expect(path).len();
    }

    fn repeat(&mut self, times: usize, words: &str) {
        for _ in 0..times {
            self.play(block(words));
        }
    }
}

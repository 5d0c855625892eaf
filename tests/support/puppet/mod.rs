//! The puppet: a child program that does what a scenario's script says, and reports what happens to
//! it.
//!
//! `--puppet SCRIPT [ARG...]`, or `--puppet @FILE` for a script in a file. A script is a list of
//! deeds with `;` between them. A deed is a verb and its words. A verb that starts another process
//! takes the script of that process in braces. Each topic is a file of this folder, which lists its
//! verbs and says what they do.
//!
//! The puppet blocks every signal before its first deed and takes them one by one. So it reports
//! exactly the signals that it was sent. Only KILL ends it, unless the script says `plain`.

mod cgroup;
mod control;
mod files;
mod identity;
mod notify;
mod processes;
mod resources;
mod signals;
mod streams;

use std::ffi::OsString;
use std::fs::{self, File};

use nix::fcntl::Flock;

use super::sys;

/// What the puppet does for a verb. Its argument is the words after the verb.
type Deed = fn(&mut Puppet, &str);

/// The verbs of one topic.
type Verbs = &'static [(&'static str, Deed)];

/// Every verb there is.
const TOPICS: [Verbs; 9] = [
    streams::VERBS,
    signals::VERBS,
    processes::VERBS,
    control::VERBS,
    files::VERBS,
    identity::VERBS,
    resources::VERBS,
    notify::VERBS,
    cgroup::VERBS,
];

struct Puppet {
    /// The mask that the puppet was started with.
    mask: u64,
    /// The signals that were ignored when the puppet was started.
    ignored: u64,
    /// The signals that the puppet takes and reports. Others act on it as on any program.
    taken: u64,
    arguments: Vec<OsString>,
    /// The file that it prints to. `None` means standard output.
    output: Option<File>,
    /// The number of its start, once `attempt` has counted it.
    attempt: usize,
    locks: Vec<Flock<File>>,
    held_memory: Vec<Vec<u8>>,
}

/// Runs the puppet. The words are those after `--puppet`.
pub fn run(mut words: impl Iterator<Item = OsString>) -> i32 {
    let mask = sys::replace_mask(sys::ALL);
    let script = words
        .next()
        .expect("a script")
        .into_string()
        .expect("a script is text");
    let script = script.strip_prefix('@').map_or(script.clone(), |path| {
        fs::read_to_string(path).expect("a script")
    });
    let arguments = words.collect();
    let mut puppet = Puppet {
        mask,
        ignored: sys::ignored(),
        taken: sys::ALL,
        arguments,
        output: None,
        attempt: 0,
        locks: Vec::new(),
        held_memory: Vec::new(),
    };
    puppet.play(&script);
    0
}

/// Cuts a script at the semicolons that no braces enclose.
fn deeds(script: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let cut = move |character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ';' && depth == 0
    };
    script
        .split(cut)
        .map(str::trim)
        .filter(|deed| !deed.is_empty())
}

/// Returns the script between the braces.
fn block(text: &str) -> &str {
    let inner = text
        .split_once('{')
        .and_then(|(_, rest)| rest.trim_end().strip_suffix('}'));
    inner.unwrap_or_else(|| panic!("a script in braces, not {text:?}"))
}

impl Puppet {
    fn play(&mut self, script: &str) {
        for deed in deeds(script) {
            let (verb, rest) = deed.split_once(char::is_whitespace).unwrap_or((deed, ""));
            self.perform(verb, rest.trim());
        }
    }

    fn perform(&mut self, verb: &str, rest: &str) {
        let known = TOPICS.into_iter().flatten().find(|(name, _)| *name == verb);
        let (_, deed) = known.unwrap_or_else(|| panic!("the puppet knows no {verb:?}"));
        deed(self, rest);
    }
}

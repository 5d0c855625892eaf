//! What the puppet reports about itself: its words, its place among processes, its rights.
//!
//! ```text
//! args                prints its arguments, one a line
//! environment NAME    prints this environment variable
//! directory           prints its working directory
//! ids                 prints its pid, its parent's, its group and its session
//! foreground          prints whether its group is the foreground group of its terminal
//! field NAME          prints this field of /proc/self/status
//! key NAME            prints whether its session keyring has a key of this name: key NAME: found
//! become UID          tries to become this user, and prints whether it may
//! ```

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{getpgrp, getpid, getppid, getsid, setuid, tcgetpgrp};

use super::Verbs;
use crate::support::sys;

pub(super) const VERBS: Verbs = &[
    ("args", |puppet, _| {
        for word in &puppet.arguments {
            puppet.say(&format!("argument {}", word.as_bytes().escape_ascii()));
        }
    }),
    ("environment", |puppet, name| {
        let value = std::env::var_os(name).map(|value| value.as_bytes().escape_ascii().to_string());
        let value = value.as_deref().unwrap_or("unset");
        puppet.say(&format!("environment {name} {value}"));
    }),
    ("directory", |puppet, _| {
        let directory = std::env::current_dir().expect("a directory");
        puppet.say(&format!("directory {}", directory.display()));
    }),
    ("ids", |puppet, _| {
        puppet.say(&format!(
            "pid {} parent {} group {} session {}",
            getpid(),
            getppid(),
            getpgrp(),
            getsid(None).expect("a session")
        ));
    }),
    ("foreground", |puppet, _| {
        let foreground = tcgetpgrp(io::stdin().as_fd()).map(|group| group == getpgrp());
        puppet.say(&format!("foreground {foreground:?}"));
    }),
    ("field", |puppet, name| {
        let status = fs::read_to_string("/proc/self/status").expect("/proc");
        let line = status.lines().find(|line| line.starts_with(name));
        puppet.say(&line.expect("such a field").replace('\t', " "));
    }),
    ("key", |puppet, name| {
        let c_name = CString::new(name).expect("no null byte");
        let found = sys::has_key(&c_name);
        let text = found.map_or_else(|error| error.to_string(), |()| "found".into());
        puppet.say(&format!("key {name}: {text}"));
    }),
    ("become", |puppet, uid| {
        let result = setuid(uid.parse::<u32>().expect("a uid").into());
        let text = result.map_or_else(|error| error.to_string(), |()| "done".into());
        puppet.say(&format!("become {uid}: {text}"));
    }),
];

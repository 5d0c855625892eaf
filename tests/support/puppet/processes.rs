//! Processes: how the puppet ends, waits, starts others and becomes another program.
//!
//! ```text
//! exit CODE           ends with this code
//! nap MILLISECONDS    does nothing for this time
//! pause               does nothing forever, and ignores every signal
//! session             makes a session of its own
//! group               makes a process group of its own
//! leave {SCRIPT}      starts a process that leads a group of its own, and moves into that group
//! fork {SCRIPT}       starts a process
//! orphan {SCRIPT}     starts a process whose parent ends at once
//! orphans COUNT       makes this many children of one process, all ended and none reaped, and
//!                     ends that process
//! reap                waits for all its children
//! bomb                makes processes without end; each ignores every signal and does the same
//! stubborn            makes three lines of processes, each in a session of its own; each process
//!                     starts the next and ends so soon that it cannot be killed by its pid; all
//!                     ignore every signal
//! exec PROGRAM [ARG...]   with the mask and dispositions that it was started with; $self is this
//!                     program, and any other word that begins with $ an environment variable
//! ```

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::{Pid, setpgid, setsid};

use super::signals::ignore_all;
use super::{Puppet, Verbs, block};
use crate::support::own_program;
use crate::support::sys::{self, Wait};

pub(super) const VERBS: Verbs = &[
    ("exit", |_, code| {
        sys::exit_now(code.parse().expect("a code"))
    }),
    ("nap", |_, time| {
        sleep(Duration::from_millis(time.parse().expect("milliseconds")));
    }),
    ("pause", |_, _| {
        loop {
            nix::unistd::pause();
        }
    }),
    ("session", |_, _| {
        setsid().expect("setsid");
    }),
    ("group", |_, _| {
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).expect("setpgid");
    }),
    ("leave", |puppet, script| {
        let leader = puppet.fork(&format!("group; {}", block(script)));
        // The group does not exist before.
        while setpgid(Pid::from_raw(0), Pid::from_raw(leader)).is_err() {
            sleep(Duration::from_millis(1));
        }
    }),
    ("fork", |puppet, script| {
        puppet.fork(block(script));
    }),
    ("orphan", |puppet, script| puppet.orphan(block(script))),
    ("orphans", |puppet, count| {
        puppet.orphans(count.parse().expect("a count"));
    }),
    (
        "reap",
        |_, _| while sys::reap(-1, Wait::Blocking).is_some() {},
    ),
    ("bomb", |_, _| bomb()),
    ("stubborn", |puppet, _| puppet.stubborn()),
    ("exec", |puppet, words| {
        puppet.give_back();
        puppet.exec(words);
    }),
];

impl Puppet {
    fn fork(&mut self, script: &str) -> i32 {
        sys::fork().expect("fork").unwrap_or_else(|| {
            self.play(script);
            sys::exit_now(0)
        })
    }

    fn orphan(&mut self, script: &str) {
        let Some(middle) = sys::fork().expect("fork") else {
            self.fork(script);
            sys::exit_now(0)
        };
        sys::reap(middle, Wait::Blocking);
    }

    /// Makes orphans that all appear in one instant: when their common parent ends.
    fn orphans(&self, count: usize) {
        let Some(middle) = sys::fork().expect("fork") else {
            for made in 0..count {
                match sys::fork() {
                    Ok(Some(_)) => {}
                    Ok(None) => sys::exit_now(0),
                    Err(error) => {
                        self.say(&format!("only {made} orphans: {error}"));
                        sys::exit_now(1)
                    }
                }
            }
            self.say(&format!("made {count} orphans"));
            sys::exit_now(0)
        };
        sys::reap(middle, Wait::Blocking);
    }

    fn stubborn(&self) {
        ignore_all();
        for _ in 0..3 {
            if let Ok(None) = sys::fork() {
                // If a limit of processes makes the fork fail, try again: only KILL ends this line.
                loop {
                    let _own = setsid();
                    sleep(Duration::from_millis(5));
                    if matches!(sys::fork(), Ok(Some(_))) {
                        sleep(Duration::from_millis(20));
                        sys::exit_now(0);
                    }
                }
            }
        }
        self.say("stubborn");
    }

    fn exec(&self, rest: &str) {
        let words = rest
            .split_whitespace()
            .map(|word| match word.strip_prefix('$') {
                Some("self") => own_program().into_os_string(),
                Some(name) => std::env::var_os(name).expect(name),
                None => word.into(),
            });
        let words: Vec<_> = words
            .map(|word| CString::new(word.into_vec()).expect("no NUL"))
            .collect();
        let Err(error) = nix::unistd::execv(&words[0], &words);
        self.say(&format!("exec {rest}: {error}"));
        sys::exit_now(99)
    }
}

fn bomb() -> ! {
    ignore_all();
    loop {
        if sys::fork().is_err() {
            // At the limit, a busy loop would only take the processor away from the others.
            sleep(Duration::from_millis(1));
        }
    }
}

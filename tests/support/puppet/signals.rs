//! Signals that the puppet takes and sends.
//!
//! ```text
//! report              prints each signal as it comes, forever: got TERM code 0 from 1 value 0
//! wait SIGNAL         does the same until this one has come
//! plain               restores the mask and dispositions that it was started with
//! open SIGNAL         unblocks this signal, with its default disposition
//! mask                prints the mask and the ignored signals that it was started with
//! send TARGET SIGNAL  sends a signal; TARGET: parent, group, all, or a pid
//! stop                stops itself, by SIGSTOP
//! die SIGNAL          ends by this signal
//! ```

use std::process::abort;

use nix::unistd::{getpid, getppid};

use super::{Puppet, Verbs};
use crate::support::names::{name, number};
use crate::support::sys::{self, Disposition};

pub(super) const VERBS: Verbs = &[
    ("report", |puppet, _| puppet.take_signals(None)),
    ("wait", |puppet, signal| {
        puppet.take_signals(Some(number(signal)));
    }),
    ("plain", |puppet, _| puppet.give_back()),
    ("open", |puppet, signal| {
        let signal = number(signal);
        sys::set_disposition(signal, Disposition::Default).expect("it can be reset");
        puppet.taken &= !sys::bit(signal);
        sys::replace_mask(puppet.taken);
    }),
    ("mask", |puppet, _| {
        puppet.say(&format!(
            "mask {:016x} ignored {:016x}",
            puppet.mask, puppet.ignored
        ));
    }),
    ("send", |_, words| send(words)),
    ("stop", |_, _| {
        sys::kill(getpid().as_raw(), libc::SIGSTOP).expect("it may stop itself");
    }),
    ("die", |_, signal| die(number(signal))),
];

impl Puppet {
    fn take_signals(&self, until: Option<i32>) {
        loop {
            let Some(taken) = sys::take_signal(self.taken, None) else {
                continue;
            };
            // A scenario does not ask for the ends of the puppet's own children. If a process sent
            // the signal, its code is 0 or less.
            if taken.signal == libc::SIGCHLD && taken.code > 0 {
                continue;
            }
            let sender = taken.sender;
            self.say(&format!(
                "got {} code {} from {sender} value {}",
                name(taken.signal),
                taken.code,
                taken.value
            ));
            if until == Some(taken.signal) {
                return;
            }
        }
    }

    /// Restores the mask and the dispositions that the puppet was started with.
    pub(super) fn give_back(&mut self) {
        for signal in 1..=64 {
            let ignored = self.ignored & sys::bit(signal) != 0;
            let _refused = sys::set_disposition(
                signal,
                if ignored {
                    Disposition::Ignore
                } else {
                    Disposition::Default
                },
            );
        }
        self.taken = self.mask;
        sys::replace_mask(self.mask);
    }
}

fn send(rest: &str) {
    let (target, signal) = rest.split_once(' ').expect("TARGET SIGNAL");
    let pid = match target {
        "parent" => getppid().as_raw(),
        "group" => 0,
        "all" => -1,
        pid => pid.parse().expect("a pid"),
    };
    sys::kill(pid, number(signal)).expect("it can be sent");
}

/// Ignores every signal that can be ignored.
pub(super) fn ignore_all() {
    for signal in 1..=64 {
        // The kernel refuses KILL and STOP.
        let _refused = sys::set_disposition(signal, Disposition::Ignore);
    }
}

fn die(signal: i32) -> ! {
    // The kernel refuses KILL, which has its default anyway.
    let _refused = sys::set_disposition(signal, Disposition::Default);
    sys::replace_mask(sys::ALL & !sys::bit(signal));
    sys::kill(getpid().as_raw(), signal).expect("it may signal itself");
    // This is reached only if the signal's default is to do nothing.
    abort()
}

//! Signals that the puppet takes and sends.
//!
//! ```text
//! report              prints each signal as it comes, for ever: got TERM code 0 from 1 value 0
//! wait SIGNAL         the same until this one has come
//! plain               gives back the mask and dispositions that it was started with
//! open SIGNAL         lets this signal do to it what it does by default
//! mask                prints the mask and the ignored signals that it was started with
//! send WHOM SIGNAL    WHOM: parent, group, all, or a pid
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
            // Its own children's ends are not what a scenario asks for; one that a process sent has
            // a code of 0 or less.
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

    /// Gives back the mask and dispositions that it was started with.
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
    let (whom, signal) = rest.split_once(' ').expect("WHOM SIGNAL");
    let pid = match whom {
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
        // KILL and STOP are refused.
        let _refused = sys::set_disposition(signal, Disposition::Ignore);
    }
}

fn die(signal: i32) -> ! {
    // KILL is refused, and needs nothing.
    let _refused = sys::set_disposition(signal, Disposition::Default);
    sys::replace_mask(sys::ALL & !sys::bit(signal));
    sys::kill(getpid().as_raw(), signal).expect("it may signal itself");
    // Only a signal whose default is to do nothing comes so far.
    abort()
}

//! Namesakes: other processes of the command's name, which `--grace-close` ends before a start.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use crate::child::rim::Rim;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::signal::Signal;
use crate::sys::process::HeldProcesses;

pub(crate) struct Namesakes {
    /// The time from TERM to KILL.
    wait: Duration,
    held: HeldProcesses,
}

impl Namesakes {
    pub(crate) fn new(wait: Duration) -> Self {
        Self {
            wait,
            held: HeldProcesses::default(),
        }
    }

    /// Finds the namesakes and sends them TERM. Returns whether there is any.
    pub(crate) fn terminate(&mut self, rim: &mut impl Rim) -> bool {
        self.forget();
        match rim.find_namesakes() {
            Ok(held) => self.held = held,
            Err(errno) => rim.report(&Fact::Cannot {
                verb: "look for other processes in",
                object: "/proc",
                errno,
                then: "starting all the same; some may go on running",
            }),
        }
        self.send(Signal::TERM, rim);
        !self.held.is_empty()
    }

    pub(crate) fn kill(&self, rim: &mut impl Rim) {
        self.send(Signal::KILL, rim);
    }

    fn send(&self, signal: Signal, rim: &mut impl Rim) {
        let wait = if signal == Signal::TERM {
            self.wait
        } else {
            Duration::ZERO
        };
        self.held.send(signal, |pid, result| match result {
            Ok(()) => rim.report(&Fact::OtherSignaled { signal, pid, wait }),
            Err(Errno::NO_PROCESS) => {}
            Err(errno) => rim.report(&Fact::CannotSignal { signal, pid, errno }),
        });
    }

    /// Forgets the namesakes that have ended. Returns whether the last one has.
    // Not inlined: what every run executes has 233 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(crate) fn poll_ended(&mut self, rim: &mut impl Rim) -> bool {
        if self.held.is_empty() {
            return false;
        }
        self.held.drop_ended();
        // There may be more than could be held at once.
        self.held.is_empty() && !(self.held.is_incomplete && self.terminate(rim))
    }

    /// Forgets the namesakes that KILL did not end. They do not matter once the child is started.
    pub(crate) fn forget(&mut self) {
        self.held = HeldProcesses::default();
    }

    /// Returns the pidfds, of which one becomes readable when its process ends.
    pub(crate) fn pidfds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.held.pidfds()
    }
}

//! A signal that was taken from the kernel.
//!
//! # Safety
//!
//! A field of the `siginfo_t` is read only if its code says that the kernel has set it.
#![expect(unsafe_code, reason = "siginfo_t is a union")]

use crate::core::pid::Pid;
use crate::core::signal::{Sender, Signal};

/// A signal with what the kernel says about it.
pub(crate) struct ReceivedSignal {
    pub(super) info: libc::siginfo_t,
}

impl ReceivedSignal {
    pub(crate) fn signal(&self) -> Option<Signal> {
        Signal::new(self.info.si_signo)
    }

    /// Returns who sent it. `own_pid` is frigate's id.
    pub(crate) fn sender(&self, own_pid: Pid) -> Sender {
        match self.info.si_code {
            libc::SI_QUEUE => Sender::Process { queued: true },
            libc::SI_USER | libc::SI_TKILL => {
                // SAFETY: with these two codes the union holds the sender's pid and uid
                // (sigaction(2)).
                let pid = unsafe { self.info.si_pid() };
                if pid == own_pid.raw() {
                    Sender::Frigate
                } else {
                    Sender::Process { queued: false }
                }
            }
            code if code > 0 => Sender::Kernel,
            _ => Sender::Process { queued: false },
        }
    }
}

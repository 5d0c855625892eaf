//! The mode `--signal`: one signal to PID 1, for images without a `kill`.

use crate::core::pid::Pid;
use crate::core::signal::Signal;
use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::messages::refusal::refuse;
use crate::messages::termination::Log;
use crate::sys::{signals, startup};

/// The exit code of a signal that was not sent, as `kill(1)` has it.
const NOT_SENT: u8 = 1;

/// What `--signal` asks for.
pub(crate) struct SignalSender<'a> {
    pub(crate) signal: Signal,
    /// The signal as it was typed.
    pub(crate) typed: &'a str,
}

impl SignalSender<'_> {
    /// Sends the signal to PID 1. Writes a line to standard error if that fails. Returns the exit
    /// code.
    pub(crate) fn run(&self) -> u8 {
        let Err(why) = self.send() else { return 0 };
        let mistake = Mistake::new("send", self.typed).because(&why);
        // The container goes on: its termination message is not written.
        refuse(&mistake, Format::Text, &Log::None);
        NOT_SENT
    }

    fn send(&self) -> Result<(), String> {
        let first = Pid::new(1).ok_or("there is no PID 1")?;
        // Every signal is blocked here, so that the kernel would report a success.
        if startup::first_pid() == Some(first) {
            return Err("this frigate is PID 1 itself; call it beside the frigate that is".into());
        }
        signals::send(first, self.signal).map_err(|errno| errno.to_string())
    }
}

//! The mode `--status`: how the command of PID 1 is, as that frigate shows it.
#![forbid(unsafe_code)]

use crate::core::command_status::{CommandStatus, NoStatus};
use crate::core::errno::Errno;
use crate::core::exit_code::FRIGATE_FAILED;
use crate::messages::format::Format;
use crate::messages::mistake::Mistake;
use crate::messages::refusal::refuse;
use crate::messages::status_text;
use crate::messages::termination::Log;
use crate::sys::process::{FIRST_ARGUMENTS, FirstProcess};
use crate::sys::{output, startup};

/// The exit code if the command is not up, not ready or not healthy.
const NOT_WELL: u8 = 1;

/// What `--status` asks for.
pub(crate) struct StatusReader {
    pub(crate) format: Format,
}

impl StatusReader {
    /// Writes the status of PID 1 to standard output, or a line to standard error if there is none.
    /// Returns the exit code.
    // Not inlined: what every run executes has 2,800 bytes less (`tools/order.ld`).
    #[cold]
    #[inline(never)]
    pub(crate) fn run(&self) -> u8 {
        self.read().unwrap_or_else(|why| {
            let mistake = Mistake::new("read", FIRST_ARGUMENTS).because(&why);
            // The container goes on: its termination message is not written.
            refuse(&mistake, self.format, &Log::None)
        })
    }

    fn read(&self) -> Result<u8, String> {
        let own_pid = startup::first_pid().ok_or("frigate has no process id")?;
        if own_pid.raw() == 1 {
            return Err("this frigate is PID 1 itself; call it beside the frigate that is".into());
        }
        let unreadable = |errno: Errno| {
            let needed =
                "; --status needs the /proc of this PID namespace, mounted without hidepid";
            [&errno.to_string(), needed].concat()
        };
        let first = FirstProcess::open(own_pid).map_err(unreadable)?;
        let line = first.arguments().map_err(unreadable)?;
        let status = match CommandStatus::parse(&line) {
            _ if !first.is_like_frigate() => Err(NoStatus::Foreign),
            status => status,
        };
        match status {
            Ok(status) => Ok(self.write(&status)),
            Err(NoStatus::Cut) => Err(
                "PID 1 has no room to show its state: start it with longer words, such as \
                 --log-format=text"
                    .into(),
            ),
            Err(NoStatus::Foreign) => Err("PID 1 is no frigate that shows its state".into()),
        }
    }

    fn write(&self, status: &CommandStatus<'_>) -> u8 {
        let line = status_text::line(status, self.format);
        let text = core::str::from_utf8(line.as_bytes()).unwrap_or_default();
        match (output::write_to_stdout(text), status.is_well()) {
            (false, _) => FRIGATE_FAILED,
            (true, true) => 0,
            (true, false) => NOT_WELL,
        }
    }
}

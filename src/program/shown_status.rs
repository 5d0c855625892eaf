//! What frigate shows of its command as PID 1, where `/proc/1/cmdline` had its arguments.
#![forbid(unsafe_code)]

use crate::child::notify::StatusText;
use crate::core::command_status::{CommandState, CommandStatus, HealthState, LONGEST_LINE};
use crate::core::supervisor::Supervisor;
use crate::sys::argument_area::ArgumentArea;

/// What changes in the line, but for the report.
type Fields = (CommandState, HealthState, u32);

/// The status that is shown. `--status` reads it.
pub(crate) struct ShownStatus {
    area: ArgumentArea,
    /// What is shown until the command is up.
    starting: CommandState,
    /// What is shown, except for the name, with how often the report has changed; `None` means that
    /// nothing is shown yet.
    last: Option<(Fields, u32)>,
}

impl ShownStatus {
    /// Returns the status of a frigate with a command, or of one without: that is up by itself.
    pub(crate) const fn new(area: ArgumentArea, has_command: bool) -> Self {
        let starting = if has_command {
            CommandState::Starting
        } else {
            CommandState::Up
        };
        Self {
            area,
            starting,
            last: None,
        }
    }

    /// Shows the status of the command, if it has changed. Makes no system call.
    pub(crate) fn update(&mut self, supervisor: &Supervisor, name: &[u8], report: &StatusText) {
        let mut state = supervisor.command_state();
        if state == CommandState::Starting {
            state = self.starting;
        }
        let fields = (
            state,
            HealthState::of(supervisor.health()),
            supervisor.restarts(),
        );
        let now = (fields, report.changes());
        if self.last.replace(now) != Some(now) {
            self.show(fields, name, report.text());
        }
    }

    /// Not inlined, so that the buffer is no part of the sleeping loop's stack frame.
    #[inline(never)]
    fn show(&mut self, (state, health, restarts): Fields, name: &[u8], report: &[u8]) {
        let status = CommandStatus {
            state,
            health,
            restarts: Some(restarts),
            name,
            report,
        };
        let mut line = [0; LONGEST_LINE];
        let room = self.area.capacity().min(LONGEST_LINE);
        let length = status.write(line.get_mut(..room).unwrap_or_default());
        self.area.show(line.get(..length).unwrap_or_default());
    }
}

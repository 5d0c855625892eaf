//! Which process group has the terminal: frigate's or the child's.

use crate::core::dispatch::Foreground;
use crate::core::pid::Pid;
use crate::sys::terminal;

pub(crate) struct Terminal {
    /// Whether standard input is frigate's controlling terminal.
    pub(crate) is_controlling: bool,
    /// Whether frigate has made the child's group the foreground group, and has not taken that
    /// back.
    is_given: bool,
}

impl Terminal {
    pub(crate) const fn new(is_controlling: bool) -> Self {
        Self {
            is_controlling,
            is_given: false,
        }
    }

    /// Returns which group is the foreground group. The child's group has the number of the child.
    pub(crate) fn foreground(&self, child: Option<Pid>) -> Foreground {
        if !self.is_controlling {
            return Foreground::Other;
        }
        let group = terminal::foreground_group().and_then(terminal::ForegroundGroup::pid);
        if group.is_none() {
            Foreground::Other
        } else if group == terminal::own_group() {
            Foreground::Frigate
        } else if group == child {
            Foreground::Child
        } else {
            Foreground::Other
        }
    }

    /// Keeps whether a child that was just started made its group the foreground group.
    pub(crate) fn note_start(&mut self, is_foreground: bool) {
        self.is_given = is_foreground;
    }

    /// Makes the child's group the foreground group, if frigate's is. Returns whether it did.
    pub(crate) fn give_to(&mut self, child: Pid) -> bool {
        let is_given = self.foreground(Some(child)) == Foreground::Frigate
            && terminal::set_child_foreground(child);
        self.is_given |= is_given;
        is_given
    }

    /// Makes frigate's group the foreground group, if frigate gave the terminal to the child's. If
    /// it did not, the terminal belongs to the group that has it.
    pub(crate) fn take_back(&mut self) {
        if !core::mem::replace(&mut self.is_given, false) {
            return;
        }
        if let Some(own) = terminal::own_group() {
            terminal::set_foreground_group(own);
        }
    }
}

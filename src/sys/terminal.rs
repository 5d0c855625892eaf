//! The controlling terminal on standard input: whose the foreground is (`tcgetpgrp(3)`,
//! `tcsetpgrp(3)`).
//!
//! No failure here is fatal: a terminal can hang up at any moment. SIGTTOU is blocked, like every
//! signal, so that a change from the background is carried out instead of stopping frigate.

use rustix::stdio::stdin;
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::rustix_pid;
use crate::core::pid::Pid;

/// The terminal's foreground group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForegroundGroup {
    Visible(Pid),
    /// One that frigate's PID namespace does not see.
    Outside,
}

impl ForegroundGroup {
    pub(crate) const fn pid(self) -> Option<Pid> {
        match self {
            Self::Visible(group) => Some(group),
            Self::Outside => None,
        }
    }
}

/// The foreground group, where standard input is frigate's controlling terminal.
pub(crate) fn foreground_group() -> Option<ForegroundGroup> {
    match tcgetpgrp(stdin()) {
        Ok(group) => Pid::new(group.as_raw_nonzero().get()).map(ForegroundGroup::Visible),
        // What the library makes of the kernel's 0 for a group of an outer namespace.
        Err(rustix::io::Errno::OPNOTSUPP) => Some(ForegroundGroup::Outside),
        Err(_) => None,
    }
}

/// Makes the child's group the foreground group. The child may not have come so far yet as to make
/// that group; if it has, or runs its program (EACCES), `setpgid(2)` changes nothing.
pub(crate) fn set_child_foreground(child: Pid) -> bool {
    let group = rustix_pid(child);
    let _ = rustix::process::setpgid(group, group);
    set_foreground_group(child)
}

/// Makes that group the foreground group.
pub(crate) fn set_foreground_group(group: Pid) -> bool {
    rustix_pid(group).is_some_and(|group| tcsetpgrp(stdin(), group).is_ok())
}

/// frigate's own group.
pub(crate) fn own_group() -> Option<Pid> {
    Pid::new(nix::unistd::getpgrp().as_raw())
}

/// Whether somebody could resume a stopped frigate: a shell does so for jobs of its own session,
/// and the kernel counts a group whose members' parents are all elsewhere as orphaned
/// (`setpgid(2)`, POSIX 3.264), one that nobody would resume.
pub(crate) fn is_resumable() -> bool {
    let parent = nix::unistd::getppid();
    let own = nix::unistd::getsid(None);
    parent.as_raw() > 0 && own.is_ok() && nix::unistd::getsid(Some(parent)) == own
}

//! The foreground group of the controlling terminal on standard input (`tcgetpgrp(3)`,
//! `tcsetpgrp(3)`).
//!
//! No failure here is fatal, because a terminal can hang up at any time. SIGTTOU is blocked, like
//! every signal. So the kernel changes the group even for a frigate in the background, and does not
//! stop it.

use rustix::stdio::stdin;
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::rustix_pid;
use crate::core::pid::Pid;

/// The foreground group of the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForegroundGroup {
    Visible(Pid),
    /// A group outside of frigate's PID namespace.
    Outside,
}

impl ForegroundGroup {
    /// Returns the group's number. `None` means that frigate cannot see the group.
    pub(crate) const fn pid(self) -> Option<Pid> {
        match self {
            Self::Visible(group) => Some(group),
            Self::Outside => None,
        }
    }
}

/// Returns the foreground group. `None` means that standard input is not frigate's controlling
/// terminal.
pub(crate) fn foreground_group() -> Option<ForegroundGroup> {
    match tcgetpgrp(stdin()) {
        Ok(group) => Pid::new(group.as_raw_nonzero().get()).map(ForegroundGroup::Visible),
        // The kernel's 0 means a group of an outer PID namespace; rustix turns it into this error.
        Err(rustix::io::Errno::OPNOTSUPP) => Some(ForegroundGroup::Outside),
        Err(_) => None,
    }
}

/// Makes the child's group the foreground group. Returns whether it did.
///
/// First makes the group, because the child may not have done so yet. If it has, or has already
/// executed its program (EACCES), `setpgid(2)` changes nothing.
pub(crate) fn set_child_foreground(child: Pid) -> bool {
    let group = rustix_pid(child);
    let _ = rustix::process::setpgid(group, group);
    set_foreground_group(child)
}

/// Makes a group the foreground group. Returns whether it did.
pub(crate) fn set_foreground_group(group: Pid) -> bool {
    rustix_pid(group).is_some_and(|group| tcsetpgrp(stdin(), group).is_ok())
}

/// Returns frigate's own process group.
pub(crate) fn own_group() -> Option<Pid> {
    Pid::new(nix::unistd::getpgrp().as_raw())
}

/// Returns whether a shell could resume a stopped frigate: a shell resumes the jobs of its own
/// session. If the parent is in another session, frigate's group is orphaned (`credentials(7)`),
/// and no shell would resume it.
pub(crate) fn is_resumable() -> bool {
    let parent = nix::unistd::getppid();
    let own = nix::unistd::getsid(None);
    parent.as_raw() > 0 && own.is_ok() && nix::unistd::getsid(Some(parent)) == own
}

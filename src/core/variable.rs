//! Variables of the child's environment that frigate sets or removes.

/// How many restarts were before this start.
pub(crate) const RESTARTS: &str = "FRIGATE_RESTARTS";

/// Which function of the host program a new process of the same executable is to run.
pub(crate) const TASK: &str = "FRIGATE_TASK";

/// The process that the passed sockets are for (`sd_listen_fds(3)`).
pub(crate) const LISTEN_PID: &str = "LISTEN_PID";

/// The same process, by the inode of its pidfd. It names frigate, and a process that knows only the
/// pid believes `LISTEN_PID`.
pub(crate) const LISTEN_PIDFDID: &str = "LISTEN_PIDFDID";

/// A change to the environment that the child inherits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// `None` removes the variable.
    pub(crate) value: Option<Vec<u8>>,
}

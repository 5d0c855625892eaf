//! Variables of the child's environment that frigate sets or removes.

use core::time::Duration;

/// How many restarts were before this start.
pub(crate) const RESTARTS: &str = "FRIGATE_RESTARTS";

/// Which function of the host program a new process of the same executable is to run.
pub(crate) const TASK: &str = "FRIGATE_TASK";

/// The process that the passed sockets are for (`sd_listen_fds(3)`).
pub(crate) const LISTEN_PID: &str = "LISTEN_PID";

/// The same process, by the inode of its pidfd. It names frigate, and a process that knows only the
/// pid believes `LISTEN_PID`.
pub(crate) const LISTEN_PIDFDID: &str = "LISTEN_PIDFDID";

/// The socket on which the child reports by itself (`sd_notify(3)`).
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// How often the child has to report that it is alive, in microseconds (`sd_watchdog_enabled(3)`).
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";

/// The process that has to report so.
pub(crate) const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// A change to the environment that the child inherits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// `None` removes the variable.
    pub(crate) value: Option<Vec<u8>>,
}

/// Returns the changes for a child that reports by itself, to the socket at this address.
///
/// `WATCHDOG_PID` is removed, since an inherited one names frigate. If the child has to report that
/// it is alive, each start adds its own. An interval of zero means that it need not.
pub(crate) fn notification_variables(
    address: Vec<u8>,
    watchdog: Option<Duration>,
) -> [Variable; 3] {
    let micros = watchdog
        .filter(|interval| !interval.is_zero())
        .map(|interval| interval.as_micros().to_string().into_bytes());
    [
        (NOTIFY_SOCKET, Some(address)),
        (WATCHDOG_USEC, micros),
        (WATCHDOG_PID, None),
    ]
    .map(|(name, value)| Variable { name, value })
}

//! What happens to the checks of one child.

use crate::core::health::failure::CheckFailure;
use crate::core::health::notification::Notification;
use crate::core::health::rules::CheckKind;

/// What the rim reports for the checks of one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CheckEvent {
    /// The check that was under way is over.
    Done {
        kind: CheckKind,
        result: Result<(), CheckFailure>,
    },
    /// The child, or a process of its group or cgroup, has reported something by itself.
    Notified(Notification),
    /// The child does not run: a signal has suspended it, or its cgroup is frozen.
    Suspended,
    /// The child runs again.
    Resumed,
}

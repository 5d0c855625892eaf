//! Why a limit cannot be applied, and how to fix that.

use crate::core::errno::Errno;

/// A problem with a limit that does not keep the child from starting. The message is `cannot <verb>
/// '<object>': <reason>; <then>`.
pub(crate) struct LimitWarning {
    pub(crate) verb: &'static str,
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) then: &'static str,
}

/// Returns why an operation on that file failed, and the remedy if there is one.
pub(super) fn failure_reason(file: &str, errno: Errno, is_value: bool) -> String {
    let why = match errno {
        Errno::NOT_FOUND if is_value => "this kernel has no such file".to_owned(),
        Errno::INVALID | Errno::RANGE if is_value => "the kernel refuses the value".to_owned(),
        errno => errno.to_string(),
    };
    let remedy = match errno {
        Errno::READ_ONLY => {
            "; have it mounted writable (docker run --security-opt writable-cgroups=true, podman run --security-opt \
             unmask=/sys/fs/cgroup)"
        }
        Errno::ACCESS | Errno::NOT_PERMITTED => {
            "; have it delegated to this user (systemd: Delegate=yes)"
        }
        Errno::BUSY => "; move the processes that frigate cannot out of that cgroup",
        _ => "",
    };
    ["'", file, "': ", &why, remedy].concat()
}

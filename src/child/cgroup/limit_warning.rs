//! Why a limit cannot be applied, and how to mend it.

use crate::core::errno::Errno;

/// Something about a limit that does not keep the child from starting: `cannot <verb> '<object>':
/// <reason>; <then>`.
pub(crate) struct LimitWarning {
    pub(crate) verb: &'static str,
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) then: &'static str,
}

/// Why something about that file failed and, where anything helps, what does.
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

//! Why an operation on a cgroup failed, and how to fix that.

use crate::core::errno::Errno;

/// Returns why an operation on that file or directory failed, and the remedy if there is one.
pub(super) fn failure_reason(path: &str, errno: Errno) -> String {
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
    ["'", path, "': ", &errno.to_string(), remedy].concat()
}

/// Returns why a limit could not be written to that file, and the remedy if there is one.
pub(super) fn limit_failure_reason(file: &str, errno: Errno) -> String {
    let reason = match errno {
        Errno::NOT_FOUND => "this kernel has no such file",
        Errno::INVALID | Errno::RANGE => "the kernel refuses the value",
        _ => return failure_reason(file, errno),
    };
    ["'", file, "': ", reason].concat()
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;

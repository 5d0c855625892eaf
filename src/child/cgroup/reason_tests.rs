use super::*;

#[test]
fn a_reason_names_the_file_and_the_remedy() {
    assert_eq!(
        failure_reason("/sys/fs/cgroup/init", Errno::READ_ONLY),
        "'/sys/fs/cgroup/init': read-only file system; have it mounted writable (docker run --security-opt \
         writable-cgroups=true, podman run --security-opt unmask=/sys/fs/cgroup)"
    );
    assert_eq!(
        limit_failure_reason("/a/io.max", Errno::INVALID),
        "'/a/io.max': the kernel refuses the value"
    );
    assert_eq!(
        limit_failure_reason("/a/io.max", Errno::NOT_FOUND),
        "'/a/io.max': this kernel has no such file"
    );
    assert_eq!(
        failure_reason("/a/b", Errno::ACCESS),
        "'/a/b': permission denied; have it delegated to this user (systemd: Delegate=yes)"
    );
}

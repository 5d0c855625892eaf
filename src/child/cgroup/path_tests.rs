use super::*;

#[test]
fn the_own_group_is_the_line_without_controllers() {
    assert_eq!(
        own_cgroup(b"0::/user.slice/session-1.scope\n"),
        Some("/user.slice/session-1.scope")
    );
    assert_eq!(
        own_cgroup(b"12:memory:/a\n1:name=systemd:/b\n0::/c\n"),
        Some("/c")
    );
    assert_eq!(own_cgroup(b"12:memory:/a\n10:cpu,cpuacct:/a\n"), None);
    assert_eq!(own_cgroup(b""), None);
}

#[test]
fn version_1_holds_what_its_lines_name() {
    let cgroup = b"12:memory:/a\n3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n";
    assert!(is_controller_in_v1(cgroup, "memory"));
    assert!(is_controller_in_v1(cgroup, "cpu"));
    assert!(!is_controller_in_v1(cgroup, "pids"));
}

const HOST: &str = "24 30 0:22 / /proc rw,nosuid - proc proc rw\n\
    35 23 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn a_group_lies_below_the_mount_of_the_root() {
    let at = |cgroup| find_directory(cgroup, HOST.as_bytes());
    assert_eq!(at("/").as_deref(), Some("/sys/fs/cgroup"));
    assert_eq!(
        at("/system.slice/a.service").as_deref(),
        Some("/sys/fs/cgroup/system.slice/a.service")
    );
    assert_eq!(at("/../other"), None, "outside the namespace");
}

#[test]
fn a_mount_shows_what_is_below_its_root() {
    let line = "35 23 0:30 /docker/a /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";
    let at = |cgroup| find_directory(cgroup, line.as_bytes());
    assert_eq!(at("/docker/a").as_deref(), Some("/sys/fs/cgroup"));
    assert_eq!(at("/docker/a/b").as_deref(), Some("/sys/fs/cgroup/b"));
    assert_eq!(at("/docker/ab"), None);
    assert_eq!(at("/docker"), None);
    let above = "35 23 0:30 /.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    assert_eq!(find_directory("/", above.as_bytes()), None);
}

#[test]
fn a_mount_of_version_1_is_skipped() {
    let line = "35 23 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";
    assert_eq!(find_directory("/", line.as_bytes()), None);
    assert_eq!(find_directory("/", b""), None);
    assert_eq!(find_directory("/", b"a short line\n\n"), None);
}

#[test]
fn a_writable_mount_is_preferred_and_then_the_last() {
    let read_only = "35 23 0:30 / /ro ro - cgroup2 cgroup rw\n";
    let writable = "36 23 0:30 / /rw rw shared:1 master:2 - cgroup2 cgroup rw\n";
    let later = "37 23 0:30 / /later rw - cgroup2 cgroup rw\n";
    let frozen = "38 23 0:30 / /frozen rw - cgroup2 cgroup ro\n";
    let at = |lines: &[&str]| find_directory("/", lines.concat().as_bytes());
    assert_eq!(at(&[read_only]).as_deref(), Some("/ro"));
    assert_eq!(at(&[read_only, writable]).as_deref(), Some("/rw"));
    assert_eq!(at(&[writable, read_only]).as_deref(), Some("/rw"));
    assert_eq!(at(&[writable, later, read_only]).as_deref(), Some("/later"));
    assert_eq!(at(&[writable, frozen]).as_deref(), Some("/rw"));
    assert_eq!(at(&[read_only, frozen]).as_deref(), Some("/frozen"));
}

#[test]
fn names_in_mountinfo_are_unescaped() {
    let line = "35 23 0:30 / /a\\040b\\134c rw - cgroup2 cgroup rw\n";
    assert_eq!(
        find_directory("/x", line.as_bytes()).as_deref(),
        Some("/a b\\c/x")
    );
    assert_eq!(unescape(b"a\\9"), Some("a\\9".to_owned()));
}

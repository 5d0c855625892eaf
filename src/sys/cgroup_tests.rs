//! Tests of the walk on ordinary directories, which it cannot tell from cgroups, and which can be
//! nested to any depth.
#![allow(clippy::expect_used, reason = "a test may panic")]

use std::ffi::CString;
use std::thread;

use rustix::fs::mkdirat;

use super::*;

/// Creates a chain of directories. Its path may be longer than `PATH_MAX`.
fn nest_directories(top: &str, depth: usize) {
    let mut at = CgroupDirectory::open(top).expect("it is there");
    let name = CString::new("d").expect("no zero");
    for _ in 0..depth {
        mkdirat(&at.0, name.as_c_str(), Mode::from_raw_mode(0o755)).expect("there is room");
        at = at.open_relative(&name).expect("it was just made");
    }
}

fn temporary_directory() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text").to_owned();
    (directory, path)
}

/// Runs `act` on a stack that is too small for a recursion of that depth.
fn with_small_stack(act: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(act)
        .expect("a thread");
    thread.join().expect("it does not panic");
}

#[test]
fn a_tree_of_any_depth_is_removed_on_a_small_stack() {
    let (directory, path) = temporary_directory();
    nest_directories(&path, 5000);
    for name in ["a/b/c", "a/b/d", "a/e", "f"] {
        std::fs::create_dir_all(directory.path().join(name)).expect("there is room");
    }
    with_small_stack(move || {
        CgroupDirectory::open(&path)
            .expect("it is there")
            .remove_descendants();
    });
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("it is there")
            .count(),
        0
    );
}

#[test]
fn what_cannot_be_removed_keeps_nothing_else() {
    let (directory, path) = temporary_directory();
    for name in ["a/b", "c/d/e", "c/f", "g"] {
        std::fs::create_dir_all(directory.path().join(name)).expect("there is room");
    }
    // It keeps the directory as a process keeps a cgroup.
    std::fs::write(directory.path().join("c/d/file"), "").expect("there is room");
    CgroupDirectory::open(&path)
        .expect("it is there")
        .remove_descendants();
    let left: Vec<_> = std::fs::read_dir(directory.path())
        .expect("it is there")
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        std::fs::read_dir(directory.path().join("c"))
            .expect("it is there")
            .count(),
        1
    );
    assert!(directory.path().join("c/d/file").exists());
}

#[test]
fn a_walk_ends_though_there_is_always_another_group() {
    let (directory, path) = temporary_directory();
    nest_directories(&path, 1);
    with_small_stack(move || {
        let top = CgroupDirectory::open(&path).expect("it is there");
        let mut count = 0;
        top.visit_descendants(&mut |group, name| {
            if name.is_none() {
                count += 1;
                mkdirat(&group.0, c"d", Mode::from_raw_mode(0o755)).expect("there is room");
            } else {
                // The last one that was created is beyond the bound and not visited.
                let _ = unlinkat(&group.0, c"d/d", AtFlags::REMOVEDIR);
                unlinkat(&group.0, c"d", AtFlags::REMOVEDIR).expect("it is empty");
            }
        });
        assert_eq!(count, MAX_VISITED_CGROUPS);
    });
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("it is there")
            .count(),
        0
    );
}

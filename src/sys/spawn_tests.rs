//! Both ways to make a child: each test takes the one and then the other.
#![expect(
    clippy::expect_used,
    reason = "a test says that it failed by panicking"
)]

use std::ffi::CString;
use std::io::Read;
use std::os::fd::AsFd;

use rustix::process::{WaitOptions, WaitStatus, waitpid};

use super::{Bond, Confinement, Environment, Pidfd, SpawnPlan, spawn};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::status::{SpawnFailure, Stage};
use crate::sys::{clone, rustix_pid, signals};

fn words(list: &[&str]) -> Vec<CString> {
    list.iter()
        .map(|word| CString::new(*word).expect("no null byte"))
        .collect()
}

/// Returns a plan for a line of shell, which executes the first of these files that can be
/// executed.
fn plan(candidates: &[&str], line: &str, bond: Bond) -> SpawnPlan {
    let mut environment = Environment::owned(words(&["GREETING=hello"]));
    SpawnPlan {
        confinement: Confinement::default(),
        candidates: words(candidates),
        argv: environment.keep(words(&["sh", "-c", line])),
        environment,
        mask: signals::current_mask(),
        ignores_sigchld: false,
        pidfd: Pidfd::Always,
        announces_exec: false,
        entrance: None,
        bond,
    }
}

/// Returns the ways that this kernel allows: by sharing, and by forking.
fn ways() -> impl Iterator<Item = Bond> {
    let sharing = Bond::close();
    assert_eq!(sharing.stack.is_some(), clone::may_share());
    [sharing, Bond::default()].into_iter()
}

fn end_of(pid: Pid) -> WaitStatus {
    waitpid(rustix_pid(pid), WaitOptions::empty())
        .expect("a child of ours")
        .expect("it waits")
        .1
}

fn start(plan: &mut SpawnPlan, restarts: u32) -> Option<i32> {
    let child = spawn(plan, restarts, false, None, [None; 2], &()).expect("a process");
    assert!(child.pidfd.is_some());
    end_of(child.pid).exit_status()
}

#[test]
fn a_child_leads_a_group_of_its_own_and_knows_the_number_of_its_start() {
    for bond in ways() {
        let line = "read pid name state parent group rest </proc/self/stat; \
                    [ $pid = $group ] && [ $GREETING = hello ] && exit $((100 + FRIGATE_RESTARTS))";
        let mut plan = plan(&["/bin/sh"], line, bond);
        for restarts in [0, 7, 10, 99] {
            assert_eq!(
                start(&mut plan, restarts),
                Some(100 + i32::try_from(restarts).expect("small"))
            );
            assert_eq!(plan.failure(), None);
        }
    }
}

#[test]
fn what_failed_is_told_and_forgotten_at_the_next_start() {
    for bond in ways() {
        let mut plan = plan(
            &["/nonexistent/sh", "/etc", "/nonexistent/again"],
            "exit 5",
            bond,
        );
        assert_eq!(start(&mut plan, 0), Some(127));
        assert_eq!(
            plan.failure(),
            Some(SpawnFailure {
                stage: Stage::Exec,
                errno: Errno::ACCESS
            })
        );
        plan.candidates = words(&["/nonexistent/sh"]);
        assert_eq!(start(&mut plan, 1), Some(127));
        assert_eq!(
            plan.failure(),
            Some(SpawnFailure {
                stage: Stage::Exec,
                errno: Errno::NOT_FOUND
            })
        );
        plan.candidates = words(&["/nonexistent/sh", "/bin/sh"]);
        assert_eq!(start(&mut plan, 2), Some(5));
        assert_eq!(plan.failure(), None);
    }
}

#[test]
fn streams_reach_the_child_and_no_others() {
    for bond in ways() {
        let mut plan = plan(&["/bin/sh"], "echo one; echo two >&2", bond);
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let child =
            spawn(&mut plan, 0, false, None, [Some(writer.as_fd()); 2], &()).expect("a process");
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(
            (text.as_str(), end_of(child.pid).exit_status()),
            ("one\ntwo\n", Some(0))
        );
    }
}

#[test]
fn who_changes_more_than_its_group_does_so_in_a_memory_of_its_own() {
    let plan = || plan(&["/bin/sh"], "", Bond::close());
    assert_eq!(plan().shared_stack(None).is_some(), clone::may_share());
    let changes: [fn(&mut SpawnPlan); 7] = [
        |plan| plan.confinement.root = Some(c"/".into()),
        |plan| plan.confinement.groups = Some(Vec::new()),
        |plan| plan.confinement.group = Some(0),
        |plan| plan.confinement.user = Some(0),
        |plan| plan.confinement.directory = Some(c"/".into()),
        |plan| plan.confinement.no_new_privileges = true,
        |plan| plan.ignores_sigchld = true,
    ];
    for change in changes {
        let mut plan = plan();
        change(&mut plan);
        assert!(plan.shared_stack(None).is_none());
    }
    let root = std::fs::File::open("/").expect("a directory");
    let cgroup = super::Cgroup {
        directory: root.as_fd(),
        was_killed: false,
    };
    assert!(plan().shared_stack(Some(cgroup)).is_none());
}

#[test]
fn a_failed_step_before_exec_is_told_by_its_stage() {
    let mut plan = plan(&["/bin/sh"], "exit 5", Bond::close());
    plan.confinement.directory = Some(c"/nonexistent".into());
    assert_eq!(start(&mut plan, 0), Some(127));
    assert_eq!(
        plan.failure(),
        Some(SpawnFailure {
            stage: Stage::Directory,
            errno: Errno::NOT_FOUND
        })
    );
}

#[test]
fn a_stage_is_its_place_among_all() {
    for (place, stage) in Stage::ALL.into_iter().enumerate() {
        assert_eq!(stage as usize, place);
    }
}

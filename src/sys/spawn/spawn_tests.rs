//! Each test makes children in both ways: in this memory, and with a copy of it.
#![expect(
    clippy::expect_used,
    reason = "a test says that it failed by panicking"
)]

use std::ffi::CString;
use std::io::Read;
use std::os::fd::AsFd;

use rustix::process::{WaitOptions, WaitStatus, waitpid};

use super::shared_memory::is_supported;
use super::{ChildPlan, Confinement, Environment, Memory, Pidfd, SpawnPlan, spawn};
use crate::core::errno::Errno;
use crate::core::pid::Pid;
use crate::core::status::{SpawnFailure, Stage};
use crate::sys::{rustix_pid, signals};

fn words(list: &[&str]) -> Vec<CString> {
    list.iter()
        .map(|word| CString::new(*word).expect("no null byte"))
        .collect()
}

/// Returns the plan for a line of shell, with the files to try as the shell.
fn child_plan(candidates: &[&str], line: &str) -> ChildPlan {
    let mut environment = Environment::owned(words(&["GREETING=hello"]));
    ChildPlan::new(
        words(candidates),
        environment.keep(words(&["sh", "-c", line])),
        environment,
        Confinement::default(),
        signals::current_mask(),
        false,
    )
}

fn plan(candidates: &[&str], line: &str, memory: Memory) -> SpawnPlan {
    let child = child_plan(candidates, line);
    SpawnPlan::new(child, Pidfd::Always, false, memory)
}

const WAYS: [Memory; 2] = [Memory::Shared, Memory::Copied];

fn set_candidates(plan: &mut SpawnPlan, candidates: &[&str]) {
    let child = plan.child.get_mut().expect("no child is in the memory");
    child.candidates = words(candidates);
}

fn end_of(pid: Pid) -> WaitStatus {
    waitpid(rustix_pid(pid), WaitOptions::empty())
        .expect("a child of ours")
        .expect("it waits")
        .1
}

fn start(plan: &mut SpawnPlan, restarts: u32) -> Option<i32> {
    let child = spawn(plan, restarts, false, None, [None; 2], ()).expect("a process");
    assert!(child.pidfd.is_some());
    end_of(child.pid).exit_status()
}

#[test]
fn a_child_leads_a_group_of_its_own_and_knows_the_number_of_its_start() {
    for memory in WAYS {
        let line = "read pid name state parent group rest </proc/self/stat; \
                    [ $pid = $group ] && [ $GREETING = hello ] && exit $((100 + FRIGATE_RESTARTS))";
        let mut plan = plan(&["/bin/sh"], line, memory);
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
    for memory in WAYS {
        let mut plan = plan(
            &["/nonexistent/sh", "/etc", "/nonexistent/again"],
            "exit 5",
            memory,
        );
        assert_eq!(start(&mut plan, 0), Some(127));
        assert_eq!(
            plan.failure(),
            Some(SpawnFailure {
                stage: Stage::Exec,
                errno: Errno::ACCESS
            })
        );
        set_candidates(&mut plan, &["/nonexistent/sh"]);
        assert_eq!(start(&mut plan, 1), Some(127));
        assert_eq!(
            plan.failure(),
            Some(SpawnFailure {
                stage: Stage::Exec,
                errno: Errno::NOT_FOUND
            })
        );
        set_candidates(&mut plan, &["/nonexistent/sh", "/bin/sh"]);
        assert_eq!(start(&mut plan, 2), Some(5));
        assert_eq!(plan.failure(), None);
    }
}

#[test]
fn streams_reach_the_child_and_no_others() {
    for memory in WAYS {
        let mut plan = plan(&["/bin/sh"], "echo one; echo two >&2", memory);
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let child =
            spawn(&mut plan, 0, false, None, [Some(writer.as_fd()); 2], ()).expect("a process");
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
fn a_child_that_changes_more_than_its_group_gets_a_copy_of_the_memory() {
    let plan = |child| SpawnPlan::new(child, Pidfd::Always, false, Memory::Shared);
    let simple = || child_plan(&["/bin/sh"], "");
    assert_eq!(plan(simple()).may_share_memory(None), is_supported());
    let changes: [fn(&mut ChildPlan); 7] = [
        |child| child.confinement.root = Some(c"/".into()),
        |child| child.confinement.groups = Some(Vec::new()),
        |child| child.confinement.group = Some(0),
        |child| child.confinement.user = Some(0),
        |child| child.confinement.directory = Some(c"/".into()),
        |child| child.confinement.no_new_privileges = true,
        |child| child.ignores_sigchld = true,
    ];
    for change in changes {
        let mut child = simple();
        change(&mut child);
        assert!(!plan(child).may_share_memory(None));
    }
    let root = std::fs::File::open("/").expect("a directory");
    let cgroup = super::Cgroup {
        directory: root.as_fd(),
        was_killed: false,
    };
    assert!(!plan(simple()).may_share_memory(Some(cgroup)));
    let copied = SpawnPlan::new(simple(), Pidfd::Always, false, Memory::Copied);
    assert!(!copied.may_share_memory(None));
}

#[test]
fn a_failed_step_before_exec_is_told_by_its_stage() {
    let mut child = child_plan(&["/bin/sh"], "exit 5");
    child.confinement.directory = Some(c"/nonexistent".into());
    let mut plan = SpawnPlan::new(child, Pidfd::Always, false, Memory::Shared);
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

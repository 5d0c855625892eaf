//! What is started, with which arguments and limits, and what is refused.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use frigate::{
    ByteSize, ControlGroup, Error, EventKind, Frigate, Logger, Outcome, ProtectTask, Step, Strategy,
};

use crate::support::{
    GRACE, Scenario, children, directory, has_other_users, is_alive, next, next_start, once, shell,
    sleeper, text_of,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "starting::a_program_gets_its_arguments_environment_and_directory",
        arguments,
    ),
    Scenario::new(
        "starting::the_events_tell_of_start_end_and_outcome_in_order",
        events,
    ),
    Scenario::new(
        "starting::one_that_is_not_to_start_by_itself_waits_to_be_started",
        auto_start,
    ),
    Scenario::new("starting::one_that_has_ended_can_be_started_anew", again),
    Scenario::new("starting::a_refused_start_changes_nothing", refused_start),
    Scenario::new(
        "starting::a_program_that_does_not_exist_is_an_outcome_and_not_an_error",
        missing,
    ),
    Scenario::new(
        "starting::a_directory_that_cannot_be_entered_is_named",
        bad_directory,
    ),
    Scenario::new(
        "starting::what_cannot_be_meant_is_refused_and_nothing_is_started",
        refusals,
    ),
    Scenario::new("starting::no_two_living_children_have_one_name", names),
    Scenario::new(
        "starting::a_limit_that_cannot_be_had_is_a_refusal_or_a_warning",
        limits,
    ),
    Scenario::new(
        "starting::a_child_with_limits_is_born_in_its_group_which_ends_with_it",
        group,
    ),
    Scenario::new(
        "starting::a_child_that_is_killed_for_want_of_memory_is_told_of",
        memory,
    ),
    Scenario::new(
        "starting::a_host_that_ignores_sigchld_is_refused",
        discarded,
    )
    .wrapped(&["env", "--ignore-signal=CHLD"]),
    Scenario::new(
        "starting::another_process_of_the_name_is_ended_first",
        grace_close,
    ),
    Scenario::new(
        "starting::a_child_becomes_its_user_and_the_host_stays_who_it_is",
        user,
    ),
];

fn arguments() {
    let directory = directory();
    let script = "echo \"$0 $1 $2|$GREETING|$FRIGATE_RESTARTS|${UNSET-unset}|$(pwd)\" > answer";
    let task =
        ProtectTask::new("answer")
            .program("sh")
            .args(["-c", script, "zero", "one", "two words"]);
    let task = task
        .env("GREETING", "hello = there")
        .env("UNSET", "x")
        .env_remove("UNSET")
        .current_dir(&directory);
    let frigate = Frigate::from(task).strategy(once());
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(status)) if status.success()));
    let expected = format!(
        "zero one two words|hello = there|0|unset|{}\n",
        directory.display()
    );
    assert_eq!(text_of(&directory.join("answer")), expected);
}

fn events() {
    let frigate = shell("three", "exit 3").strategy(once());
    let events = frigate.events();
    frigate.protect().unwrap();
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    let [
        EventKind::Started { pid, restarts: 0 },
        EventKind::Ended {
            pid: ended, status, ..
        },
        EventKind::Finished(last),
    ] = &kinds[..]
    else {
        panic!("{kinds:?}")
    };
    assert_eq!((pid, status.code()), (ended, Some(3)));
    assert_eq!(frigate.wait().unwrap(), *last);
}

fn auto_start() {
    let frigate = sleeper("later").strategy(Strategy::new().auto_start(false));
    let events = frigate.events();
    frigate.protect().unwrap();
    assert_eq!((frigate.task().pid(), children()), (None, vec![]));
    assert!(
        frigate::done().is_empty(),
        "`done` does not wait for a child that was never started"
    );
    frigate.start().unwrap();
    let pid = next_start(&events);
    frigate.start().unwrap();
    assert_eq!(
        frigate.task().pid(),
        Some(pid),
        "to start a child that runs changes nothing"
    );
    assert!(frigate.task().start_time().is_some());
    frigate.stop(GRACE).unwrap();
    assert_eq!(frigate.task().pid(), None);
    let waiting = sleeper("never").strategy(Strategy::new().auto_start(false));
    waiting.protect().unwrap();
    assert_eq!(waiting.stop(GRACE).unwrap(), Outcome::Cancel { last: None });
}

fn again() {
    let frigate = shell("again", "exit 4").strategy(once());
    for _ in 0..3 {
        frigate.protect().unwrap();
        assert_eq!(
            frigate
                .wait()
                .unwrap()
                .status()
                .and_then(|status| status.code()),
            Some(4)
        );
        frigate.start().unwrap();
        assert_eq!(
            frigate
                .wait()
                .unwrap()
                .status()
                .and_then(|status| status.code()),
            Some(4)
        );
    }
}

/// Starts a child again that has ended and whose log file can no longer be opened.
fn refused_start() {
    let logs = directory().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let frigate = shell("again", "exit 4")
        .strategy(once())
        .logger(Logger::new().stdout(logs.join("out")));
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    let events = frigate.events();
    std::fs::remove_dir_all(&logs).unwrap();
    assert!(matches!(frigate.start(), Err(Error::LogFile { .. })));
    assert_eq!(frigate.wait().unwrap(), outcome);
    assert_eq!(frigate::done().get("again"), Some(&outcome));
    std::fs::create_dir(&logs).unwrap();
    frigate.start().unwrap();
    next_start(&events);
    assert_eq!(frigate.wait().unwrap(), outcome);
}

fn missing() {
    for (program, code) in [
        ("no-such-program-anywhere", 2),
        ("/no/such/program", 2),
        ("/etc/passwd", 13),
    ] {
        let frigate = Frigate::create(program);
        frigate.protect().unwrap();
        let Outcome::NotStarted(error) = frigate.wait().unwrap() else {
            panic!("{program} was started")
        };
        assert_eq!(
            (error.step(), error.io_error().raw_os_error()),
            (Step::Execute, Some(code)),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot execute '{program}': ")),
            "{error}"
        );
    }
}

fn bad_directory() {
    let frigate = Frigate::from(ProtectTask::new("true").current_dir("/no/such/directory"));
    frigate.protect().unwrap();
    let Outcome::NotStarted(error) = frigate.wait().unwrap() else {
        panic!("it was started")
    };
    assert_eq!(error.step(), Step::Directory);
    assert_eq!(
        error.to_string(),
        "cannot enter '/no/such/directory': no such file or directory"
    );
}

fn refusals() {
    let refused = |frigate: Frigate| frigate.protect().expect_err("it is to be refused");
    assert!(matches!(refused(Frigate::create("")), Error::Word { .. }));
    assert!(matches!(
        refused(ProtectTask::new("true").arg("a\0b").into()),
        Error::Word { .. }
    ));
    assert!(matches!(
        refused(ProtectTask::new("true").env("A", "a\0b").into()),
        Error::Word { .. }
    ));
    let nobody = Strategy::new().user("no-such-user-here");
    let error = refused(Frigate::create("true").strategy(nobody));
    assert!(
        error
            .to_string()
            .starts_with("cannot use 'no-such-user-here': there is no user"),
        "{error}"
    );
    let weight = ControlGroup::new().cpu_weight(10_001).best_effort(true);
    let error = refused(Frigate::create("true").control_group(weight));
    assert_eq!(
        error.to_string(),
        "cannot use 'cpu.weight=10001': expected a number from 1 to 10000"
    );
    for processors in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        let limits = ControlGroup::new().cpu_max(processors);
        assert!(
            matches!(
                refused(Frigate::create("true").control_group(limits)),
                Error::Word { .. }
            ),
            "{processors}"
        );
    }
    for action in [
        Frigate::create("true").stop(GRACE),
        Frigate::create("true").wait(),
    ] {
        assert!(matches!(action, Err(Error::NotProtected { .. })));
    }
    assert_eq!(children(), []);
    assert!(frigate::done().is_empty());
}

fn names() {
    let first = sleeper("one");
    first.protect().unwrap();
    assert!(matches!(
        first.protect(),
        Err(Error::AlreadyProtected { .. })
    ));
    let second = sleeper("one");
    assert!(matches!(
        second.protect(),
        Err(Error::AlreadyProtected { .. })
    ));
    first.stop(GRACE).unwrap();
    second.protect().unwrap();
    second.stop(Duration::ZERO).unwrap();
}

/// Sets one limit that no kernel has, and one, `pids.max`, that only some machines can apply.
fn limits() {
    let limits = ControlGroup::new().file("pids.no_such_file", "1");
    let error = shell("limited", "exit 0")
        .control_group(limits.clone())
        .protect()
        .expect_err("no kernel has that file");
    let Error::ControlGroup { reason } = error else {
        panic!("{error}")
    };
    assert!(
        reason.contains("pids.no_such_file=1") && reason.contains("ControlGroup::best_effort"),
        "{reason}"
    );

    let limits = limits
        .pids_max(50)
        .memory_max(ByteSize::mib(512))
        .best_effort(true);
    let frigate = shell("limited", "exit 5")
        .control_group(limits)
        .strategy(once());
    let events = frigate.events();
    frigate.protect().unwrap();
    assert_eq!(
        frigate
            .wait()
            .unwrap()
            .status()
            .and_then(|status| status.code()),
        Some(5)
    );
    assert!(
        events.iter().any(|event| event.kind == EventKind::Warning
            && event.to_string().contains("starting without"))
    );
}

/// Sets a limit that needs no controller, so that any writable cgroup of version 2 is enough.
fn group() {
    let limits = ControlGroup::new().file("cgroup.max.descendants", "7");
    let script =
        "grep ^0: /proc/self/cgroup > where; setsid sleep 1000 & echo $! > left; exec sleep 1000";
    let frigate = shell("grouped", script).control_group(limits);
    let events = frigate.events();
    match frigate.protect() {
        Err(Error::ControlGroup { reason }) => return eprintln!("skipped: {reason}"),
        result => result.unwrap(),
    }
    let first = next_start(&events);
    let group = text_of(&directory().join("where"));
    assert!(group.trim_end().ends_with("/grouped"), "{group}");
    let left: u32 = text_of(&directory().join("left")).trim().parse().unwrap();
    // The process has left the process group, but it ends before the next child enters the cgroup.
    std::fs::remove_file(directory().join("where")).unwrap();
    crate::support::kill(first, nix::sys::signal::Signal::SIGKILL);
    next_start(&events);
    assert!(!is_alive(left));
    assert_eq!(text_of(&directory().join("where")), group);
    frigate.stop(GRACE).unwrap();
    let path = group
        .trim_end()
        .trim_start_matches("0::")
        .trim_start_matches('/')
        .to_owned();
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        assert!(
            !std::path::Path::new(root).join(&path).exists(),
            "{path} is still there"
        );
    }
}

/// Checks the memory limit. Skipped if this machine gives the host no memory controller.
fn memory() {
    let limits = ControlGroup::new()
        .memory_max(ByteSize::mib(16))
        .memory_swap_max(ByteSize::new(0));
    let frigate = shell("hungry", "x=a; while :; do x=$x$x; done")
        .control_group(limits)
        .strategy(once());
    let events = frigate.events();
    match frigate.protect() {
        Err(Error::ControlGroup { reason }) => return eprintln!("skipped: {reason}"),
        result => result.unwrap(),
    }
    let outcome = frigate.wait().unwrap();
    assert_eq!(outcome.status().and_then(|status| status.signal()), Some(9));
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert!(
        kinds.iter().any(|kind| matches!(
            kind,
            EventKind::Ended {
                out_of_memory: true,
                ..
            }
        )),
        "{kinds:?}"
    );
}

fn discarded() {
    let refused = Frigate::create("true").protect();
    assert!(
        matches!(refused, Err(Error::ChildrenDiscarded)),
        "{refused:?}"
    );
}

fn grace_close() {
    let program = directory().join("a-name-of-its-own");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let mut other = Command::new(&program).arg("1000").spawn().unwrap();
    let task = |name: &str| ProtectTask::new(name).program(&program).arg("1000");
    let bystander = Frigate::from(task("bystander"));
    let watched = bystander.events();
    bystander.protect().unwrap();
    let spared = next_start(&watched);
    let frigate = Frigate::from(task("newcomer")).strategy(Strategy::new().grace_close(true));
    let events = frigate.events();
    frigate.protect().unwrap();
    let closed = next(&events, "an end of another", |kind| match kind {
        EventKind::Closing { pid, killed: false } => Some(*pid),
        _ => None,
    });
    assert_eq!(closed, other.id());
    next_start(&events);
    assert!(!other.wait().unwrap().success());
    assert!(
        is_alive(spared) && bystander.task().pid() == Some(spared),
        "another protected child is never touched"
    );
    frigate.stop(GRACE).unwrap();
    bystander.stop(GRACE).unwrap();
}

fn user() {
    if !has_other_users() {
        return;
    }
    let directory = directory();
    nix::unistd::chown(&directory, Some(65534.into()), None).unwrap();
    let frigate =
        shell("nobody", "echo \"$(id -u):$(id -g)\" > who").strategy(once().user("65534:65534"));
    frigate.protect().unwrap();
    let outcome = frigate.wait().unwrap();
    assert!(
        matches!(outcome, Outcome::Complete(status) if status.success()),
        "{outcome:?}"
    );
    assert_eq!(text_of(&directory.join("who")), "65534:65534\n");
    assert!(nix::unistd::geteuid().is_root(), "the host is who it was");
}

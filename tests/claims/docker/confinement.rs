//! A read-only root, an arbitrary user, no capabilities, and another container's process namespace.

use super::Claim;
use super::container::{BARE, Container, eventually};

pub const CLAIMS: &[Claim] = &[
    (
        "docker::read_only_root_arbitrary_user_and_no_capabilities_are_fine",
        confined,
    ),
    (
        "docker::limit_in_a_default_container_is_refused_or_warned_of",
        limited,
    ),
    (
        "docker::confined_frigate_stops_and_kills_all_the_same",
        confined_stop,
    ),
    (
        "docker::below_the_engines_own_init_frigate_works_the_same",
        below_another_init,
    ),
    ("docker::program_run_by_exec_does_not_hold_up_the_end", exec),
    (
        "docker::shared_process_namespace_keeps_its_other_processes",
        shared_namespace,
    ),
    (
        "docker::orphans_in_a_shared_process_namespace_come_to_frigate",
        shared_namespace_orphans,
    ),
];

const CONFINED: [&str; 4] = [
    "--read-only",
    "--user=12345",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
];

fn confined() {
    let script = "echo start $FRIGATE_RESTARTS; [ $FRIGATE_RESTARTS = 1 ] || kill -SEGV $$";
    let each = CONFINED.map(|option| vec![option]);
    for options in each.into_iter().chain([CONFINED.to_vec()]) {
        let container = Container::start(&options, &["sh", "-c", script]);
        assert_eq!(container.wait(), 0, "{options:?}");
        let logs = container.logs();
        assert_eq!(logs.out, "start 0\nstart 1\n", "{options:?}");
        assert!(
            logs.messages().len() == 1 && logs.err.lines().count() == 1,
            "{options:?}: {logs:#?}"
        );
    }
}

/// Sets limits in a container whose `/sys/fs/cgroup` is read-only, or holds version 1.
fn limited() {
    let options = [BARE];
    let container = Container::start(
        &options,
        &[
            "--memory-max=64M",
            "--pids-max=50",
            "--",
            "sh",
            "-c",
            "echo ran",
        ],
    );
    assert_eq!(container.wait(), 125);
    let logs = container.logs();
    assert_eq!(
        (logs.out.as_str(), logs.err.lines().count()),
        ("", 1),
        "{logs:#?}"
    );
    assert!(
        logs.err
            .starts_with("frigate: cannot apply '--memory-max=64M': "),
        "{logs:#?}"
    );
    assert!(
        logs.err.ends_with("; or give --cgroup-best-effort\n"),
        "{logs:#?}"
    );

    let options = [
        BARE,
        "--env=FRIGATE_INIT_MEMORY_MAX=64M",
        "--env=FRIGATE_INIT_CGROUP_BEST_EFFORT=1",
    ];
    let container = Container::start(&options, &["--", "sh", "-c", "echo ran"]);
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    assert_eq!(
        (logs.out.as_str(), logs.err.lines().count()),
        ("ran\n", 1),
        "{logs:#?}"
    );
    assert!(
        logs.err.contains("'FRIGATE_INIT_MEMORY_MAX=64M'")
            && logs.err.contains("; starting without it"),
        "{logs:#?}"
    );
}

fn confined_stop() {
    let options = [&[BARE], &CONFINED[..]].concat();
    let container = Container::start(&options, &["--grace=500ms", "--leftovers=500ms", "./jobs"]);
    assert_eq!(container.wait(), 3);
    let logs = container.logs();
    assert_eq!(logs.messages().len(), 1, "one was killed: {logs:#?}");
}

fn below_another_init() {
    let script = "(sleep 1000 &); echo start $FRIGATE_RESTARTS; [ $FRIGATE_RESTARTS = 1 ] || kill -SEGV $$; \
                  pgrep -x sleep | wc -l; pgrep -P $PPID -x sleep | wc -l";
    let container = Container::start(&["--init"], &["sh", "-c", script]);
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    // There is one orphan, the second start's own: that of the crashed one is gone. Its parent is
    // frigate, which is not PID 1, and the script's parent is frigate too.
    assert_eq!(logs.out, "start 0\nstart 1\n1\n1\n", "{logs:#?}");
    assert_eq!(logs.messages().len(), 1, "{logs:#?}");
}

fn exec() {
    // Such a program has no ancestor in the container, so frigate could neither reap it nor learn
    // of its end. It ignores TERM, as an interactive shell does, or even belongs to a user whose
    // processes frigate may not signal.
    let deaf = [
        "sh",
        "-c",
        "trap '' TERM; touch /tmp/here; while :; do sleep 0.1; done",
    ];
    for (options, guest) in [
        (&[BARE][..], &[][..]),
        (&[BARE, "--user=12345"], &["--user=0"]),
    ] {
        let container = Container::start(options, &["--grace=1h", "sleep", "1000"]);
        container.child();
        container.exec_detached(guest, &deaf);
        eventually("the guest", || {
            container.try_exec(&["test", "-e", "/tmp/here"])
        });
        assert_eq!(container.stop(), 143);
    }
}

/// Starts a container whose PID 1 is not frigate, for others to share its process namespace.
fn owner() -> Container {
    Container::start(&["--entrypoint=sleep"], &["1000"])
}

/// Lists the processes in the namespace of a container: pid, parent, state, command line.
fn processes(container: &Container) -> Vec<Vec<String>> {
    let listed = container.exec(&["ps", "-e", "-o", "pid=,ppid=,state=,args="]);
    listed
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

fn shared_namespace() {
    let owner = owner();
    let neighbor = owner.exec(&["sh", "-c", "sleep 2000 >/dev/null 2>&1 & echo $!"]);
    let join = format!("--pid=container:{}", owner.name);
    let container = Container::start(&[BARE, &join], &["--grace=1s", "--leftovers=1s", "./jobs"]);
    assert_eq!(container.wait(), 3);
    let logs = container.logs();
    assert!(
        logs.out.contains("tidied up"),
        "its own leftovers were asked to end and waited for: {logs:#?}"
    );
    let left = processes(&owner);
    assert!(
        left.iter()
            .any(|process| process[0] == neighbor && process[2] != "Z"),
        "not a neighbor's: {left:?}"
    );
    assert!(
        !left.iter().any(|process| process[2] == "Z"),
        "no zombie is left to another process: {left:?}"
    );
    assert!(
        !left
            .iter()
            .any(|process| process.last().is_some_and(|word| word == "1000") && process[0] != "1"),
        "{left:?}"
    );
}

fn shared_namespace_orphans() {
    let owner = owner();
    let join = format!("--pid=container:{}", owner.name);
    let script = "(sleep 3000 &); (true &); echo ready; exec sleep 4000";
    let container = Container::start(&[&join], &["sh", "-c", script]);
    container.wait_log("ready");
    let frigate = eventually("frigate among the processes", || {
        processes(&owner)
            .into_iter()
            .find(|process| process[3] == "frigate")
            .map(|process| process[0].clone())
    });
    assert_ne!(frigate, "1");
    eventually("the orphan below frigate, and no zombie", || {
        let all = processes(&owner);
        let adopted = all
            .iter()
            .any(|process| process[1] == frigate && process.ends_with(&["3000".to_owned()]));
        (adopted && !all.iter().any(|process| process[2] == "Z")).then_some(())
    });
    assert_eq!(container.stop(), 143);
    let left = processes(&owner);
    assert!(
        !left.iter().any(|process| process
            .last()
            .is_some_and(|word| word == "3000" || word == "4000")),
        "{left:?}"
    );
}

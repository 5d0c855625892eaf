//! A shell script with background jobs, and orphans by the hundred.

use super::Claim;
use super::container::{BARE, Container, eventually};

pub const CLAIMS: &[Claim] = &[
    (
        "docker::background_jobs_of_a_script_are_asked_to_end_and_waited_for",
        jobs_are_tidied,
    ),
    (
        "docker::zombies_do_not_stay_while_the_script_runs",
        no_zombie,
    ),
    (
        "docker::jobs_of_a_crashed_script_are_gone_before_it_starts_again",
        no_old_jobs,
    ),
];

fn jobs_are_tidied() {
    let container = Container::start(&[BARE], &["--grace=3s", "--leftovers=3s", "./jobs", "3"]);
    assert_eq!(container.wait(), 3);
    let logs = container.logs();
    assert!(
        logs.out.ends_with("tidied up\n"),
        "the one that needs half a second has it: {logs:#?}"
    );
    assert_eq!(
        logs.messages().len(),
        1,
        "the one that does not listen: {logs:#?}"
    );
}

fn no_zombie() {
    let script = "i=0; while [ $i -lt 300 ]; do (true &); (sleep 0.1 &); i=$((i + 1)); done; echo ready; exec sleep 1000";
    let container = Container::start(&[], &["sh", "-c", script]);
    container.wait_log("ready");
    let alone = "one protected child, and neither an orphan nor a zombie";
    eventually(alone, || {
        (container.exec(&["ps", "-o", "comm=", "--ppid", "1"]) == "sleep").then_some(())
    });
    assert_eq!(
        container
            .exec(&["ps", "-o", "state=", "-e"])
            .matches('Z')
            .count(),
        0
    );
    assert_eq!(container.stop(), 143);
}

fn no_old_jobs() {
    // Each start leaves a job in the group. At its own start, it counts the jobs that earlier
    // starts have left.
    let script = "pgrep -c -x sleep; sleep 1000 & sleep 1000 & [ $FRIGATE_RESTARTS = 2 ] || kill -KILL $$; exit 0";
    let container = Container::start(&[], &["sh", "-c", script]);
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    assert_eq!(logs.out, "0\n0\n0\n", "{logs:#?}");
    assert_eq!(logs.messages().len(), 2, "{logs:#?}");
}

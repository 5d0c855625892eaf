//! `docker run`, `docker kill`, `docker stop`, `docker wait`: from the start of a container to its
//! exit code.

use std::io::Write;
use std::process::Stdio;

use super::Claim;
use super::container::{BARE, Container, Engine, eventually, images};

pub const CLAIMS: &[Claim] = &[
    (
        "docker::exit_code_of_the_child_is_the_containers",
        exit_codes_pass,
    ),
    ("docker::good_run_says_nothing", good_run_is_silent),
    ("docker::standard_input_reaches_the_child", standard_input),
    (
        "docker::four_failed_starts_in_a_row_give_up_with_the_last_code",
        gives_up,
    ),
    (
        "docker::kill_forwards_every_signal_in_its_order",
        kill_forwards,
    ),
    (
        "docker::stop_exits_143_where_the_child_dies_of_term",
        stop_by_term,
    ),
    (
        "docker::stop_exits_with_the_code_of_a_child_that_ends_by_itself",
        stop_with_handler,
    ),
    (
        "docker::stop_kills_after_grace_what_does_not_listen",
        stop_kills_after_grace,
    ),
    (
        "docker::stop_during_a_pause_ends_the_container_at_once",
        stop_during_pause,
    ),
    (
        "docker::stop_continues_a_stopped_child_so_that_it_can_end",
        stop_while_stopped,
    ),
    (
        "docker::child_killed_for_memory_is_restarted_and_frigate_survives",
        out_of_memory,
    ),
    ("docker::options_come_from_the_environment_too", environment),
    (
        "docker::restarted_container_begins_at_zero",
        restarted_container,
    ),
];

fn exit_codes_pass() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("kill -SEGV $$", 139),
        ("kill -64 $$", 192),
    ] {
        let container = Container::start(&[BARE], &["sh", "-c", script]);
        assert_eq!(container.wait(), code, "{script}");
        assert_eq!(container.logs().err, "", "{script}");
    }
    for (words, code) in [
        (["--", "no-such-program"], 127),
        (["--", "/etc/passwd"], 126),
        (["--restart=perhaps", "true"], 125),
    ] {
        let container = Container::start(&[BARE], &words);
        assert_eq!(container.wait(), code, "{words:?}");
        let logs = container.logs();
        assert!(
            logs.messages().len() == 1 && logs.err.lines().count() == 1,
            "{logs:#?}"
        );
    }
}

fn good_run_is_silent() {
    let container = Container::start(&[], &["sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    assert_eq!((logs.out.as_str(), logs.err.as_str()), ("out\n", "err\n"));
}

fn standard_input() {
    let container = Container::unstarted(&Engine::default());
    let fixed = [
        "run",
        "--interactive",
        "--network=none",
        "--name",
        &container.name,
        &images().servers,
    ];
    let mut client = Engine::default().command(&[&fixed[..], &["tr", "a-z", "A-Z"]].concat());
    let mut client = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker is there");
    client
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"ahoy\n")
        .expect("the client reads it");
    let output = client.wait_with_output().expect("the process ends");
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).as_ref()
        ),
        (Some(0), "AHOY\n")
    );
}

fn gives_up() {
    let container = Container::start(&[], &["sh", "-c", "echo start $FRIGATE_RESTARTS; exit 9"]);
    assert_eq!(container.wait(), 9);
    let logs = container.logs();
    assert_eq!(logs.out, "start 0\nstart 1\nstart 2\nstart 3\n");
    assert_eq!(
        logs.messages().len(),
        4,
        "three restarts and the end of patience: {logs:#?}"
    );
}

fn kill_forwards() {
    let container = Container::start(&[BARE], &["./print-signals"]);
    container.wait_log("ready");
    for (signal, number) in [
        ("HUP", 1),
        ("USR1", 10),
        ("USR2", 12),
        ("WINCH", 28),
        ("SEGV", 11),
        ("TSTP", 20),
        ("RTMIN+3", 37),
        ("64", 64),
    ] {
        container.kill(signal);
        container.wait_log(&format!("got {number}\n"));
    }
    container.kill("TERM");
    assert_eq!(container.wait(), 7);
    let logs = container.logs();
    let order = "ready\ngot 1\ngot 10\ngot 12\ngot 28\ngot 11\ngot 20\ngot 37\ngot 64\n";
    assert_eq!(logs.out, order, "each once and no other: {logs:#?}");
    assert_eq!(logs.err, "");
}

fn stop_by_term() {
    let container = Container::start(&[], &["sleep", "1000"]);
    container.child();
    assert_eq!(container.stop(), 143);
    assert_eq!(container.logs().err, "");
}

fn stop_with_handler() {
    let script = "trap 'echo tidy; exit 4' TERM; echo ready; while :; do sleep 0.1; done";
    let container = Container::start(&[], &["sh", "-c", script]);
    container.wait_log("ready");
    assert_eq!(
        container.stop(),
        4,
        "it was asked to stop: an unexpected code starts nothing again"
    );
    let logs = container.logs();
    assert_eq!(
        (logs.out.as_str(), logs.messages().len()),
        ("ready\ntidy\n", 0),
        "{logs:#?}"
    );
}

fn stop_kills_after_grace() {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let container = Container::start(
        &[BARE],
        &["--grace=500ms", "--leftovers=500ms", "sh", "-c", script],
    );
    container.wait_log("ready");
    assert_eq!(container.stop(), 137);
    let logs = container.logs();
    assert_eq!(
        logs.messages().len(),
        1,
        "the kill is said in one line: {logs:#?}"
    );
}

fn stop_during_pause() {
    let options = ["--restart=unexpected", "--backoff=1h", "--backoff-max=1h"];
    let container = Container::start(&[BARE], &[&options[..], &["sh", "-c", "exit 5"]].concat());
    eventually("the pause", || {
        (container.logs().messages().len() == 1).then_some(())
    });
    assert_eq!(container.stop(), 5, "the code of the last child");
}

fn stop_while_stopped() {
    let script = "trap 'exit 6' TERM; kill -STOP $$; while :; do sleep 0.1; done";
    let container = Container::start(&[], &["sh", "-c", script]);
    eventually("a stopped child", || {
        container
            .try_exec(&["ps", "-o", "state=", "--ppid", "1"])
            .filter(|state| state.trim() == "T")
    });
    assert_eq!(container.stop(), 6);
}

fn out_of_memory() {
    let script = "import os\nprint('start', os.environ['FRIGATE_RESTARTS'], flush=True)\n\
                  if os.environ['FRIGATE_RESTARTS'] == '0': b'x' * (300 << 20)";
    let container = Container::start(
        &["--memory=64m", "--memory-swap=64m"],
        &["python3", "-c", script],
    );
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    assert_eq!(
        (logs.out.as_str(), logs.messages().len()),
        ("start 0\nstart 1\n", 1),
        "{logs:#?}"
    );
}

fn environment() {
    let variables = [
        "--env=FRIGATE_INIT_RESTART=on-failure",
        "--env=FRIGATE_INIT_START_RETRIES=1",
        "--env=FRIGATE_INIT_BACKOFF=",
    ];
    let container = Container::start(
        &[&[BARE], &variables[..]].concat(),
        &["sh", "-c", "echo start $FRIGATE_RESTARTS; exit 2"],
    );
    assert_eq!(container.wait(), 2);
    assert_eq!(container.logs().out, "start 0\nstart 1\n");

    let container = Container::start(&[BARE, "--env=FRIGATE_INIT_GRACE=soon"], &["true"]);
    assert_eq!(container.wait(), 125);
    let logs = container.logs();
    assert!(
        logs.err.contains("FRIGATE_INIT_GRACE") && logs.err.contains("soon"),
        "{logs:#?}"
    );
}

fn restarted_container() {
    let script = "echo start $FRIGATE_RESTARTS; exit $FRIGATE_RESTARTS";
    let container = Container::start(&[], &["sh", "-c", script]);
    assert_eq!(container.wait(), 0);
    container.start_again();
    assert_eq!(container.wait(), 0);
    assert_eq!(container.logs().out, "start 0\nstart 0\n");
}

//! The file in which Kubernetes looks for the reason why a container ended.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Claim;
use super::container::{BARE, Container};

pub const CLAIMS: &[Claim] = &[
    (
        "docker::termination_log_tells_why_the_container_failed",
        gives_reasons,
    ),
    (
        "docker::termination_log_stays_empty_after_a_good_run",
        stays_empty,
    ),
    (
        "docker::termination_log_of_the_application_is_left_alone",
        left_alone,
    ),
    (
        "docker::termination_log_names_the_signal_and_the_restarts",
        names_the_signal,
    ),
    (
        "docker::termination_log_takes_another_path_or_none",
        other_path,
    ),
];

/// Runs a container with a file at the place where Kubernetes would mount one. Returns the
/// container's exit code and the file's content.
#[track_caller]
fn run(options: &[&str], words: &[&str]) -> (i32, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("log");
    fs::write(&file, "").expect("an empty file");
    let mount = format!("--volume={}:/dev/termination-log", path(&file));
    let container = Container::start(&[&[BARE, &mount], options].concat(), words);
    let code = container.wait();
    (
        code,
        fs::read_to_string(&file).expect("the file is still there"),
    )
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[track_caller]
fn object(line: &str) -> Value {
    assert!(
        line.ends_with('\n') && line.lines().count() == 1 && line.len() <= 4096,
        "one short line: {line:?}"
    );
    let value: Value = serde_json::from_str(line).expect("JSON");
    let keys: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let mut wanted = [
        "outcome",
        "exit_code",
        "signal",
        "oom_killed",
        "restarts",
        "message",
    ];
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    value
}

fn gives_reasons() {
    let (code, line) = run(&[], &["sh", "-c", "exit 3"]);
    let value = object(&line);
    assert_eq!(
        (code, &value["outcome"], &value["exit_code"]),
        (3, &"complete".into(), &3.into()),
        "{line}"
    );
    assert_eq!(
        (&value["signal"], &value["oom_killed"], &value["restarts"]),
        (&Value::Null, &false.into(), &0.into()),
        "{line}"
    );
    assert!(
        value["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{line}"
    );

    let (code, line) = run(&[], &["no-such-program"]);
    let value = object(&line);
    assert_eq!(
        (code, &value["outcome"], &value["exit_code"]),
        (127, &"not-started".into(), &127.into()),
        "{line}"
    );
}

fn stays_empty() {
    assert_eq!(run(&[], &["true"]), (0, String::new()));
}

fn left_alone() {
    let (code, text) = run(
        &[],
        &[
            "sh",
            "-c",
            "echo out of cheese >/dev/termination-log; exit 3",
        ],
    );
    assert_eq!((code, text.as_str()), (3, "out of cheese\n"));
}

fn names_the_signal() {
    let options = [
        "--restart=unexpected",
        "--start-retries=2",
        "--backoff=10ms",
    ];
    let (code, line) = run(
        &[],
        &[&options[..], &["sh", "-c", "kill -SEGV $$"]].concat(),
    );
    let value = object(&line);
    assert_eq!(
        (code, &value["outcome"], &value["exit_code"]),
        (139, &"gave-up".into(), &139.into()),
        "{line}"
    );
    assert_eq!(&value["restarts"], 2, "{line}");
    assert!(
        value["signal"]
            .as_str()
            .is_some_and(|signal| signal.contains("SEGV"))
            || value["signal"] == 11,
        "{line}"
    );
}

fn other_path() {
    assert_eq!(
        run(&[], &["--termination-log=none", "false"]),
        (1, String::new())
    );
    let elsewhere = "--termination-log=/tmp/here";
    assert_eq!(run(&[], &[elsewhere, "false"]), (1, String::new()));

    let container = Container::start(&[BARE, "--read-only"], &[elsewhere, "false"]);
    assert_eq!(
        container.wait(),
        1,
        "a path that cannot be written changes nothing else"
    );
    let logs = container.logs();
    assert!(
        logs.messages().len() == 1 && logs.err.contains("/tmp/here"),
        "but is said: {logs:#?}"
    );
}

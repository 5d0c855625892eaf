//! Children whose output is written to files.

use std::fs;
use std::time::Duration;

use frigate::{
    AutoRestart, ByteSize, Error, EventKind, Frigate, Logger, Outcome, ProtectTask, Strategy,
};

use crate::support::{
    GRACE, Scenario, descriptors, directory, eventually, next, once, shell, sleeper, text_of,
    threads,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("logs::each_stream_is_appended_to_its_file", apart),
    Scenario::new("logs::one_file_for_both_keeps_their_order", together),
    Scenario::new("logs::no_byte_is_lost_over_rotations_and_restarts", rotated),
    Scenario::new(
        "logs::a_grandchild_that_holds_the_pipe_does_not_hang_the_end",
        held,
    ),
    Scenario::new("logs::a_file_that_cannot_be_opened_is_a_refusal", refused),
    Scenario::new("logs::a_file_that_is_renamed_is_made_anew", renamed),
    Scenario::new(
        "logs::a_link_in_the_place_of_a_file_is_not_followed",
        linked,
    ),
    Scenario::new(
        "logs::many_children_with_logs_cost_no_thread_and_leak_no_descriptor",
        leaks,
    ),
    Scenario::new("logs::a_task_writes_to_its_log_as_well", task),
];

fn apart() {
    let directory = directory();
    let (out, err) = (directory.join("out"), directory.join("err"));
    fs::write(&out, "before\n").unwrap();
    let logger = Logger::new().stdout(&out).stderr(&err);
    let frigate = shell("apart", "echo one; echo two >&2; echo three > /dev/stdout")
        .strategy(once())
        .logger(logger);
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(status)) if status.success()));
    assert_eq!(
        (text_of(&out).as_str(), text_of(&err).as_str()),
        ("before\none\nthree\n", "two\n")
    );
}

fn together() {
    let directory = directory();
    let script = "i=0; while [ $i -lt 200 ]; do echo o$i; echo e$i >&2; i=$((i + 1)); done";
    let expected = (0..200)
        .map(|i| format!("o{i}\ne{i}\n"))
        .collect::<Vec<_>>()
        .concat();
    let file = |name: &str| directory.join(name);
    for (name, logger) in [
        (
            "redirected",
            Logger::new().stdout(file("redirected")).redirect(true),
        ),
        (
            "by name",
            Logger::new()
                .stdout(file("by name"))
                .stderr(file("by name")),
        ),
    ] {
        let frigate = shell(name, script).strategy(once()).logger(logger);
        frigate.protect().unwrap();
        frigate.wait().unwrap();
        assert_eq!(text_of(&file(name)), expected, "{name}");
    }
}

fn rotated() {
    let directory = directory();
    let (log, lives) = (directory.join("log"), directory.join("lives"));
    // Three runs of 3,000 lines each, in files of 16 KiB.
    let script = format!(
        "echo >> '{0}'; n=$(wc -l < '{0}'); i=0; \
         while [ $i -lt 3000 ]; do echo life $n line $i; i=$((i + 1)); done; \
         [ $n -ge 3 ]",
        lives.display()
    );
    let logger = Logger::new()
        .stdout(&log)
        .max_bytes(ByteSize::kib(16))
        .backups(100);
    let strategy = Strategy::new().auto_restart(AutoRestart::Unexpected);
    let frigate = shell("rotated", &script).strategy(strategy).logger(logger);
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(status)) if status.success()));
    let mut files: Vec<_> = (1..=100)
        .map(|n| directory.join(format!("log.{n}")))
        .take_while(|path| path.exists())
        .collect();
    assert!(files.len() > 5, "{files:?}");
    assert!(
        files
            .iter()
            .all(|path| fs::metadata(path).unwrap().len() == 16 << 10),
        "each file is full to the last byte"
    );
    files.reverse();
    files.push(log);
    let all: String = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let expected: String = (1..=3)
        .flat_map(|n| (0..3000).map(move |i| format!("life {n} line {i}\n")))
        .collect();
    assert!(all == expected, "{} bytes of {}", all.len(), expected.len());
}

fn held() {
    let directory = directory();
    let log = directory.join("log");
    // The grandchild leaves the group. So it outlives the child and keeps the pipe open.
    let script = "setsid sh -c 'sleep 1000 & echo $! > pid; wait' & \
                  while [ ! -s pid ]; do sleep 0.01; done; echo done";
    let task = ProtectTask::new("held")
        .program("sh")
        .args(["-c", script])
        .current_dir(&directory);
    let frigate = Frigate::from(task)
        .strategy(once())
        .logger(Logger::new().stdout(&log));
    frigate.protect().unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(status)) if status.success()));
    assert_eq!(text_of(&log), "done\n");
    let pid: i32 = text_of(&directory.join("pid")).trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
}

fn refused() {
    let file = directory().join("nowhere/log");
    let frigate = shell("refused", "exit 0").logger(Logger::new().stderr(&file));
    let error = frigate.protect().expect_err("the directory is not there");
    assert!(
        matches!(&error, Error::LogFile { path, .. } if *path == file),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot open '{}': ", file.display())),
        "{error}"
    );
    let error = sleeper("null")
        .logger(Logger::new().stdout("a\0b"))
        .protect()
        .expect_err("no path has that");
    assert!(matches!(error, Error::Word { .. }), "{error:?}");
    assert!(frigate::done().is_empty(), "the names are free again");
}

fn renamed() {
    let directory = directory();
    let (log, old) = (directory.join("log"), directory.join("old"));
    let script = "echo one; while [ -e log ]; do sleep 0.01; done; echo two; exec sleep 1000";
    let task = ProtectTask::new("renamed")
        .program("sh")
        .args(["-c", script])
        .current_dir(&directory);
    let frigate = Frigate::from(task).logger(Logger::new().stdout(&log));
    frigate.protect().unwrap();
    eventually("the first line", || {
        (text_of(&log) == "one\n").then_some(())
    });
    fs::rename(&log, &old).unwrap();
    eventually("the second line in a new file", || {
        (log.exists() && text_of(&log) == "two\n").then_some(())
    });
    assert_eq!(text_of(&old), "one\n");
    frigate.stop(GRACE).unwrap();
}

fn linked() {
    let directory = directory();
    let (log, old, victim) = (
        directory.join("log"),
        directory.join("old"),
        directory.join("victim"),
    );
    fs::write(&victim, "victim\n").unwrap();
    let script = "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two";
    let task = ProtectTask::new("linked")
        .program("sh")
        .args(["-c", script])
        .current_dir(&directory);
    let frigate = Frigate::from(task)
        .strategy(once())
        .logger(Logger::new().stdout(&log));
    frigate.protect().unwrap();
    eventually("the first line", || {
        (text_of(&log) == "one\n").then_some(())
    });
    fs::rename(&log, &old).unwrap();
    std::os::unix::fs::symlink(&victim, &log).unwrap();
    fs::write(directory.join("go"), "").unwrap();
    assert!(matches!(frigate.wait(), Ok(Outcome::Complete(status)) if status.success()));
    assert_eq!(
        (text_of(&victim).as_str(), text_of(&old).as_str()),
        ("victim\n", "one\ntwo\n")
    );
}

fn leaks() {
    let directory = directory();
    let run = |round: usize| {
        let all: Vec<_> = (0..10)
            .map(|n| {
                let log = directory.join(format!("log-{n}"));
                let frigate =
                    shell(&format!("child {n}"), "echo a line; echo another >&2").strategy(once());
                frigate.logger(Logger::new().stdout(log).redirect(true))
            })
            .collect();
        for frigate in &all {
            frigate.protect().unwrap();
        }
        assert_eq!(threads(), 2, "frigate has one thread for all children");
        for frigate in &all {
            frigate.wait().unwrap();
        }
        for n in 0..10 {
            assert_eq!(
                text_of(&directory.join(format!("log-{n}"))),
                "a line\nanother\n".repeat(round),
                "{n}"
            );
        }
        descriptors()
    };
    let first = run(1);
    for round in 2..10 {
        assert_eq!(run(round), first);
    }
}

/// Protects a function that `main` has registered.
fn task() {
    let log = directory().join("log");
    let frigate = Frigate::create("talker")
        .strategy(once())
        .logger(Logger::new().stdout(&log));
    let events = frigate.events();
    frigate.protect().unwrap();
    next(&events, "its end", |kind| {
        matches!(kind, EventKind::Finished(_)).then_some(())
    });
    assert_eq!(text_of(&log), "a function's own words\n");
    drop(frigate.stop(Duration::ZERO));
}

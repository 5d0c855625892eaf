//! What can be asked, and what cannot.

use std::io::Write;
use std::time::{Duration, SystemTime};

use frigate::{AutoRestart, ControlGroup, Error, EventKind, Frigate, Outcome, ProtectTask};

use super::{checking, is, next_start_with};
use crate::servers;
use crate::support::{
    GRACE, Scenario, children, directory, has_other_users, next, once, shell, sleeper, text_of,
    threads,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("health::each_kind_of_target_can_be_healthy", good),
    Scenario::new("health::each_kind_of_target_can_be_unhealthy", bad),
    Scenario::new(
        "health::a_server_that_is_silent_or_flooding_is_survived",
        strange,
    ),
    Scenario::new("health::a_program_runs_as_its_child_does", program),
    Scenario::new("health::a_program_runs_as_the_user_of_its_child", user),
    Scenario::new("health::a_program_runs_in_the_cgroup_of_its_child", group),
    Scenario::new("health::a_program_of_a_check_is_no_process_of_a_task", task),
    Scenario::new(
        "health::a_wrong_target_is_refused_and_nothing_is_started",
        wrong,
    ),
];

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

fn path(file: &str) -> String {
    directory().join(file).display().to_string()
}

fn good() {
    let socket = path("socket");
    servers::unix(&socket, drop);
    std::fs::write(directory().join("beat"), "").unwrap();
    let targets = [
        format!("http://localhost:{}/healthz", servers::answering(OK)),
        format!("tcp://127.0.0.1:{}", servers::silent()),
        format!("unix:{socket}"),
        format!("file:{}", path("beat")),
        "exec:true".to_owned(),
    ];
    for target in targets {
        let frigate = sleeper(&target).strategy(checking(&target));
        let events = frigate.events();
        frigate.protect().unwrap();
        next(&events, &target, |kind| is(kind, &EventKind::Healthy));
        frigate.stop(GRACE).unwrap();
        let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
        assert!(
            !kinds.contains(&EventKind::Unhealthy),
            "{target}: {kinds:#?}"
        );
    }
}

fn bad() {
    let old = directory().join("old");
    let file = std::fs::File::create(&old).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let unavailable = servers::answering(&b"HTTP/1.1 503 Service Unavailable\r\n\r\n"[..]);
    let table = [
        (format!("http://127.0.0.1:{unavailable}/"), "status 503"),
        (
            format!("tcp://127.0.0.1:{}", servers::closed()),
            "connection refused",
        ),
        (
            format!("unix:{}", path("missing")),
            "no such file or directory",
        ),
        (format!("file:{}", old.display()), "last modified"),
        ("exec:sh -c 'exit 7'".to_owned(), "exited with code 7"),
        (
            "exec:/no/such/program".to_owned(),
            "no such file or directory",
        ),
    ];
    for (target, reason) in table {
        let frigate =
            sleeper("checked").strategy(checking(&target).auto_restart(AutoRestart::False));
        let events = frigate.events();
        frigate.protect().unwrap();
        let outcome = frigate.wait().unwrap();
        assert!(
            matches!(outcome, Outcome::Unhealthy(_)),
            "{target}: {outcome:?}"
        );
        let unhealthy = events
            .iter()
            .find(|event| event.kind == EventKind::Unhealthy);
        let text = unhealthy.expect("an event").to_string();
        assert!(
            text.contains(reason) && text.contains(&*target),
            "{target}: {text}"
        );
    }
}

fn strange() {
    let flooding = servers::local(|mut client| {
        let _ = client.write_all(OK);
        while client.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let flooded = sleeper("flooded").strategy(checking(format!("http://127.0.0.1:{flooding}/")));
    let events = flooded.events();
    flooded.protect().unwrap();
    next(&events, "it is healthy", |kind| {
        is(kind, &EventKind::Healthy)
    });
    let target = format!("http://127.0.0.1:{}/", servers::silent());
    let strategy = checking(target)
        .health_timeout(Duration::from_millis(300))
        .auto_restart(AutoRestart::False);
    let silent = sleeper("silent").strategy(strategy);
    let events = silent.events();
    silent.protect().unwrap();
    assert!(matches!(silent.wait().unwrap(), Outcome::Unhealthy(_)));
    assert!(
        events
            .iter()
            .any(|event| event.to_string().contains("no answer within 300 ms"))
    );
    flooded.stop(GRACE).unwrap();
}

fn program() {
    let script = "echo \"$PWD $COLOR $(cut -d\" \" -f5 /proc/self/stat) $(wc -c < /dev/null)\" > new; \
                  echo noise; echo noise >&2; for fd in 1 2; do \
                  link=$(readlink /proc/$$/fd/$fd); echo $link >> new; done; mv new report";
    let task = ProtectTask::new("sleep")
        .arg("1000")
        .env("COLOR", "green")
        .current_dir(directory());
    let frigate = Frigate::from(task).strategy(checking(format!("exec:sh -c '{script}'")));
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = next_start_with(&events, &EventKind::Healthy);
    let report = text_of(&directory().join("report"));
    frigate.stop(GRACE).unwrap();
    let words: Vec<&str> = report.split_whitespace().collect();
    let here = directory().display().to_string();
    assert_eq!((words[0], words[1]), (&*here, "green"), "{report}");
    assert_ne!(words[2], pid.to_string(), "it has a group of its own");
    assert_eq!(
        words[4..],
        ["/dev/null"; 2],
        "its output is dropped: {report}"
    );
}

fn user() {
    if !has_other_users() {
        return eprintln!("skipped: no other users");
    }
    nix::unistd::chown(&directory(), Some(65534.into()), None).unwrap();
    let strategy =
        checking("exec:sh -c 'id -u > new; id -g >> new; mv new who'").user("65534:65534");
    let frigate = shell("nobody", "exec sleep 1000").strategy(strategy);
    frigate.protect().unwrap();
    assert_eq!(text_of(&directory().join("who")), "65534\n65534\n");
    frigate.stop(GRACE).unwrap();
}

/// Stops the child while a check hangs in its cgroup, too: the cgroup is empty and removed.
fn group() {
    let limits = ControlGroup::new().file("cgroup.max.descendants", "7");
    let target = "exec:sh -c 'grep ^0: /proc/self/cgroup > new; mv new where; sleep 1000'";
    let frigate = shell("grouped", "exec sleep 1000")
        .control_group(limits)
        .strategy(checking(target));
    let events = frigate.events();
    match frigate.protect() {
        Err(Error::ControlGroup { reason }) => return eprintln!("skipped: {reason}"),
        result => result.unwrap(),
    }
    let group = text_of(&directory().join("where"));
    assert!(group.trim_end().ends_with("/grouped"), "{group}");
    frigate.stop(GRACE).unwrap();
    let warnings: Vec<String> = events
        .iter()
        .filter(|event| event.kind == EventKind::Warning)
        .map(|event| event.to_string())
        .collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

fn task() {
    let target = "exec:sh -c 'echo ${FRIGATE_TASK-none} > new; mv new task'";
    let task = ProtectTask::new("waiting").current_dir(directory());
    let frigate = Frigate::from(task).strategy(checking(target));
    frigate.protect().unwrap();
    assert_eq!(text_of(&directory().join("task")), "none\n");
    frigate.stop(GRACE).unwrap();
}

fn wrong() {
    let targets = [
        ("", "expected http://"),
        ("localhost", "expected http://"),
        ("tcp://localhost", "names no port"),
        ("tcp://example.org:80", "no names"),
        ("http://localhost:0/", "from 1 to 65535"),
        ("https://localhost/", "no TLS"),
        ("unix:run/socket", "does not begin with '/'"),
        ("file:beat", "does not begin with '/'"),
        ("file:", "expected the path of a file"),
        ("exec:", "names no program"),
        ("exec:sh -c 'exit", "not closed"),
        ("exec:a\0b", "null byte"),
    ];
    for (target, reason) in targets {
        for (strategy, starts) in [
            (once().health(target), true),
            (once().ready(target), true),
            (once().health(target).auto_start(false), false),
        ] {
            let frigate = sleeper("checked").strategy(strategy);
            let call = if starts {
                Frigate::start
            } else {
                Frigate::protect
            };
            let error = call(&frigate).expect_err(target);
            assert!(
                matches!(&error, Error::Target { target: named, .. } if named == target),
                "{target}: {error:?}"
            );
            assert!(error.to_string().contains(reason), "{target}: {error}");
            assert!(frigate.wait().is_err(), "{target}: it is not protected");
        }
    }
    assert_eq!((children(), threads()), (vec![], 1));
}

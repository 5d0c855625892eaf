//! Functions of the host that run as children.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};

use frigate::{AutoRestart, Error, Frigate, Outcome, ProtectTask, Strategy};

use crate::support::{
    GRACE, Scenario, directory, has_other_users, next_start, once, own_program, text_of,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "tasks::a_function_runs_in_a_process_of_its_own_and_its_code_counts",
        code,
    ),
    Scenario::new("tasks::a_panic_is_reported_and_ends_with_101", panics),
    Scenario::new("tasks::a_panic_is_an_unexpected_end", unexpected),
    Scenario::new("tasks::an_error_ends_with_one_and_is_printed", error),
    Scenario::new("tasks::arguments_and_environment_are_intact", intact),
    Scenario::new("tasks::arguments_can_be_given", given),
    Scenario::new(
        "tasks::a_task_runs_though_its_executable_was_removed",
        removed,
    ),
    Scenario::new(
        "tasks::a_task_runs_though_its_executable_was_replaced",
        replaced,
    ),
    Scenario::new(
        "tasks::a_task_that_nobody_registered_protects_nothing",
        unregistered,
    ),
    Scenario::new("tasks::a_task_is_stopped_like_a_program", stopped),
    Scenario::new("tasks::a_task_bears_its_name", named),
    Scenario::new(
        "tasks::a_host_with_privileges_of_its_file_does_not_believe_the_variable",
        privileged,
    ),
];

/// Registers all tasks, at the top of `main`.
pub fn register() {
    frigate::register_task("forty-two", || ExitCode::from(42));
    frigate::register_task("panicking", panicking);
    frigate::register_task("failing", || Err::<(), _>("no luck today"));
    frigate::register_task("recording", recording);
    frigate::register_task("talker", || println!("a function's own words"));
    frigate::register_task("waiting", || {
        loop {
            std::thread::park();
        }
    });
}

fn panicking() {
    panic!("this task panics");
}

/// Writes to a file what this task was started with: arguments, variables, and the number of
/// threads.
fn recording() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let variable = std::env::var("FRIGATE_TASK").unwrap_or_else(|_| "none".into());
    let color = std::env::var("COLOR").unwrap_or_else(|_| "none".into());
    // A process that the task starts must not become the task, too.
    let child = Command::new("/bin/sh")
        .args(["-c", "echo ${FRIGATE_TASK-none}"])
        .output()
        .unwrap();
    let child = String::from_utf8_lossy(&child.stdout).trim().to_owned();
    let threads = crate::support::threads();
    let text = format!(
        "{}|{color}|{variable}|{child}|{threads}\n",
        arguments.join(" ")
    );
    fs::write(directory().join("start"), text).unwrap();
}

fn code() {
    let frigate = Frigate::create("forty-two").strategy(once());
    frigate.protect().unwrap();
    assert_eq!(
        frigate
            .wait()
            .unwrap()
            .status()
            .and_then(|status| status.code()),
        Some(42)
    );
}

/// Runs the scenario with its standard error in a file. Returns the content of that file.
fn with_stderr_in_file(scenario: &str) -> String {
    let file = directory().join("stderr");
    let mut command = Command::new(own_program());
    command
        .args(["--host", scenario])
        .env("INNER", "1")
        .stderr(fs::File::create(&file).unwrap());
    assert!(command.status().unwrap().success());
    text_of(&file)
}

fn panics() {
    if std::env::var_os("INNER").is_none() {
        let said = with_stderr_in_file("tasks::a_panic_is_reported_and_ends_with_101");
        assert!(
            said.contains("panicked at") && said.contains("this task panics"),
            "{said}"
        );
        return;
    }
    let frigate = Frigate::create("panicking").strategy(once());
    frigate.protect().unwrap();
    assert_eq!(
        frigate
            .wait()
            .unwrap()
            .status()
            .and_then(|status| status.code()),
        Some(101)
    );
}

fn unexpected() {
    let strategy = Strategy::new()
        .auto_restart(AutoRestart::Unexpected)
        .start_retries(1);
    let frigate = Frigate::create("panicking").strategy(strategy);
    frigate.protect().unwrap();
    let Outcome::GaveUp { last: Some(last) } = frigate.wait().unwrap() else {
        panic!("it was not given up")
    };
    assert_eq!(last.code(), Some(101));
}

fn error() {
    if std::env::var_os("INNER").is_none() {
        let said = with_stderr_in_file("tasks::an_error_ends_with_one_and_is_printed");
        assert!(said.contains("no luck today"), "{said}");
        return;
    }
    let frigate = Frigate::create("failing").strategy(once());
    frigate.protect().unwrap();
    assert_eq!(
        frigate
            .wait()
            .unwrap()
            .status()
            .and_then(|status| status.code()),
        Some(1)
    );
}

fn intact() {
    let frigate =
        Frigate::from(ProtectTask::new("recording").env("COLOR", "blue")).strategy(once());
    frigate.protect().unwrap();
    frigate.wait().unwrap();
    let start = text_of(&directory().join("start"));
    assert_eq!(
        start,
        "--host tasks::arguments_and_environment_are_intact|blue|none|none|1\n"
    );
}

fn given() {
    let frigate =
        Frigate::from(ProtectTask::new("recording").args(["one", "two"])).strategy(once());
    frigate.protect().unwrap();
    frigate.wait().unwrap();
    assert!(text_of(&directory().join("start")).starts_with("one two|"));
}

/// Executes a copy of this program, so that its executable has another path.
fn as_copy(scenario: &str) {
    let copy = directory().join("copy");
    fs::copy(own_program(), &copy).unwrap();
    let error = Command::new(&copy)
        .args(["--host", scenario])
        .env("INNER", &copy)
        .exec();
    panic!("{error}");
}

fn removed() {
    let Some(copy) = std::env::var_os("INNER") else {
        return as_copy("tasks::a_task_runs_though_its_executable_was_removed");
    };
    fs::remove_file(copy).unwrap();
    code();
}

fn replaced() {
    let Some(copy) = std::env::var_os("INNER") else {
        return as_copy("tasks::a_task_runs_though_its_executable_was_replaced");
    };
    let another = directory().join("another");
    fs::copy("/bin/false", &another).unwrap();
    fs::rename(another, copy).unwrap();
    code();
}

fn unregistered() {
    if std::env::var_os("FRIGATE_TASK").is_none() {
        let mut command = Command::new(own_program());
        command
            .args([
                "--host",
                "tasks::a_task_that_nobody_registered_protects_nothing",
            ])
            .env("FRIGATE_TASK", "unknown");
        assert!(command.status().unwrap().success());
        return;
    }
    let refused = Frigate::create("true").protect();
    assert!(
        matches!(&refused, Err(Error::NotRegistered { name }) if name == "unknown"),
        "{refused:?}"
    );
}

/// Starts, as another user, a set-user-ID copy of this program. It must ignore the variable that
/// this user has set.
fn privileged() {
    const SELF: &str = "tasks::a_host_with_privileges_of_its_file_does_not_believe_the_variable";
    const OWNER: u32 = 65533;
    const CALLER: u32 = 65534;
    const NOT_HONORED: i32 = 77;
    if std::env::var_os("INNER").is_some() {
        if nix::unistd::geteuid().as_raw() != OWNER {
            std::process::exit(NOT_HONORED);
        }
        let script = "exit ${FRIGATE_TASK+1}";
        let program = Frigate::from(
            ProtectTask::new("program")
                .program("sh")
                .args(["-c", script]),
        )
        .strategy(once());
        program.protect().unwrap();
        assert!(
            matches!(program.wait(), Ok(Outcome::Complete(status)) if status.success()),
            "the host must not pass the variable on"
        );
        // The process of the task would have the same privileges. It would ignore the variable, and
        // run this function again.
        let refused = Frigate::create("forty-two").protect();
        assert!(
            matches!(&refused, Err(Error::Privileged { name }) if name == "forty-two"),
            "{refused:?}"
        );
        return;
    }
    if !has_other_users() {
        return;
    }
    let copy = directory().join("copy");
    fs::copy(own_program(), &copy).unwrap();
    nix::unistd::chown(&copy, Some(OWNER.into()), None).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(directory(), Permissions::from_mode(0o755)).unwrap();
    let run = |variable: &str| {
        let mut command = Command::new(&copy);
        command
            .args(["--host", SELF])
            .env("INNER", "1")
            .env(variable, "forty-two")
            .uid(CALLER)
            .gid(CALLER);
        command.status().unwrap().code()
    };
    if run("NO_TASK") == Some(NOT_HONORED) {
        return eprintln!("skipped: this machine ignores the set-user-ID bit");
    }
    assert_eq!(run("FRIGATE_TASK"), Some(0));
}

fn stopped() {
    let frigate = Frigate::create("waiting");
    frigate.protect().unwrap();
    let outcome = frigate.stop(GRACE).unwrap();
    assert_eq!(
        outcome.status().and_then(|status| status.signal()),
        Some(15)
    );
}

fn named() {
    let frigate = Frigate::create("waiting");
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = next_start(&events);
    crate::support::eventually("it has its name", || {
        crate::procfs::process(pid.cast_signed()).filter(|process| process.name == "waiting")
    });
    frigate.stop(GRACE).unwrap();
}

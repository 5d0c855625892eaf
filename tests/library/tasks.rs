//! Functions of the host as children.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};

use frigate::{AutoRestart, Error, Frigate, Outcome, ProtectTask, Strategy};

use crate::support::{GRACE, Scenario, directory, next_start, once, own_program, text_of};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("tasks::a_function_runs_in_a_process_of_its_own_and_its_code_counts", code),
    Scenario::new("tasks::a_panic_is_reported_and_ends_with_101", panics),
    Scenario::new("tasks::a_panic_is_an_unexpected_end", unexpected),
    Scenario::new("tasks::an_error_ends_with_one_and_is_printed", error),
    Scenario::new("tasks::arguments_and_environment_are_intact", intact),
    Scenario::new("tasks::arguments_can_be_given", given),
    Scenario::new("tasks::a_task_runs_though_its_executable_was_removed", removed),
    Scenario::new("tasks::a_task_runs_though_its_executable_was_replaced", replaced),
    Scenario::new("tasks::a_task_that_nobody_registered_protects_nothing", unregistered),
    Scenario::new("tasks::a_task_is_stopped_like_a_program", stopped),
    Scenario::new("tasks::a_task_bears_its_name", named),
];

/// Registers all of them, at the top of `main`.
pub fn register() {
    frigate::register_task("forty-two", || ExitCode::from(42));
    frigate::register_task("panicking", panicking);
    frigate::register_task("failing", || Err::<(), _>("no luck today"));
    frigate::register_task("telling", telling);
    frigate::register_task("talker", || println!("a function's own words"));
    frigate::register_task("waiting", || {
        loop {
            std::thread::park();
        }
    });
}

fn panicking() {
    panic!("as was to be shown");
}

/// Writes down how it was started.
fn telling() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let variable = std::env::var("FRIGATE_TASK").unwrap_or_else(|_| "none".into());
    let color = std::env::var("COLOR").unwrap_or_else(|_| "none".into());
    // What it starts itself must not be taken for the task again.
    let child = Command::new("/bin/sh").args(["-c", "echo ${FRIGATE_TASK-none}"]).output().unwrap();
    let child = String::from_utf8_lossy(&child.stdout).trim().to_owned();
    let threads = crate::support::threads();
    let text = format!("{}|{color}|{variable}|{child}|{threads}\n", arguments.join(" "));
    fs::write(directory().join("told"), text).unwrap();
}

fn code() {
    let frigate = Frigate::create("forty-two").strategy(once());
    frigate.protect().unwrap();
    assert_eq!(frigate.wait().unwrap().status().and_then(|status| status.code()), Some(42));
}

/// The host's own standard error is a file, to be read afterwards.
fn with_stderr_in_file(scenario: &str) -> String {
    let file = directory().join("stderr");
    let mut command = Command::new(own_program());
    command.args(["--host", scenario]).env("INNER", "1").stderr(fs::File::create(&file).unwrap());
    assert!(command.status().unwrap().success());
    text_of(&file)
}

fn panics() {
    if std::env::var_os("INNER").is_none() {
        let said = with_stderr_in_file("tasks::a_panic_is_reported_and_ends_with_101");
        assert!(said.contains("panicked at") && said.contains("as was to be shown"), "{said}");
        return;
    }
    let frigate = Frigate::create("panicking").strategy(once());
    frigate.protect().unwrap();
    assert_eq!(frigate.wait().unwrap().status().and_then(|status| status.code()), Some(101));
}

fn unexpected() {
    let strategy = Strategy::new().auto_restart(AutoRestart::Unexpected).start_retries(1);
    let frigate = Frigate::create("panicking").strategy(strategy);
    frigate.protect().unwrap();
    let Outcome::GaveUp { last: Some(last) } = frigate.wait().unwrap() else { panic!("it was not given up") };
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
    assert_eq!(frigate.wait().unwrap().status().and_then(|status| status.code()), Some(1));
}

fn intact() {
    let frigate = Frigate::from(ProtectTask::new("telling").env("COLOR", "blue")).strategy(once());
    frigate.protect().unwrap();
    frigate.wait().unwrap();
    let told = text_of(&directory().join("told"));
    assert_eq!(told, "--host tasks::arguments_and_environment_are_intact|blue|none|none|1\n");
}

fn given() {
    let frigate = Frigate::from(ProtectTask::new("telling").args(["one", "two"])).strategy(once());
    frigate.protect().unwrap();
    frigate.wait().unwrap();
    assert!(text_of(&directory().join("told")).starts_with("one two|"));
}

/// Goes on as a copy of this program, which has a path of its own.
fn as_copy(scenario: &str) {
    let copy = directory().join("copy");
    fs::copy(own_program(), &copy).unwrap();
    let error = Command::new(&copy).args(["--host", scenario]).env("INNER", &copy).exec();
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
            .args(["--host", "tasks::a_task_that_nobody_registered_protects_nothing"])
            .env("FRIGATE_TASK", "unknown");
        assert!(command.status().unwrap().success());
        return;
    }
    let refused = Frigate::create("true").protect();
    assert!(matches!(&refused, Err(Error::NotRegistered { name }) if name == "unknown"), "{refused:?}");
}

fn stopped() {
    let frigate = Frigate::create("waiting");
    frigate.protect().unwrap();
    let outcome = frigate.stop(GRACE).unwrap();
    assert_eq!(outcome.status().and_then(|status| status.signal()), Some(15));
}

fn named() {
    let frigate = Frigate::create("waiting");
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = next_start(&events);
    crate::support::eventually("it bears its name", || {
        crate::procfs::process(pid.cast_signed()).filter(|process| process.name == "waiting")
    });
    frigate.stop(GRACE).unwrap();
}

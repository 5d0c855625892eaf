//! What happens to children when the host ends, and to a host that is PID 1.

use std::process::{Command, Stdio};

use frigate::{Frigate, Strategy};
use std::io::BufRead;

use crate::support::{
    Scenario, contained, directory, eventually, has_other_users, is_alive, kill, next_start,
    own_program, shell, text_of,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "host_end::a_host_that_is_killed_takes_its_children_with_it_by_term",
        killed_term,
    ),
    Scenario::new(
        "host_end::a_host_that_is_killed_takes_its_children_with_it_by_kill",
        killed_kill,
    ),
    Scenario::new(
        "host_end::a_child_that_became_another_user_ends_with_its_host_too",
        killed_user,
    ),
    Scenario::new(
        "host_end::a_host_that_returns_from_main_takes_its_children_with_it",
        returned,
    ),
    Scenario::new(
        "host_end::a_host_that_is_pid_1_goes_on_beside_an_init_that_reaps",
        first,
    ),
    Scenario::new(
        "host_end::the_init_exits_with_the_code_of_the_host",
        first_code,
    ),
];

const WATCHFUL: &str =
    "trap 'echo term > term; exit' TERM; echo $$ > ready; while :; do sleep 0.05; done";

/// Runs this scenario again as the host that will end. Returns the pid of that host's child.
fn end_host(scenario: &str, ends_by_itself: bool) -> u32 {
    let mut host = Command::new(own_program())
        .args(["--host", scenario])
        .env("INNER", "1")
        .spawn()
        .unwrap();
    let child = text_of(&directory().join("ready")).trim().parse().unwrap();
    if ends_by_itself {
        assert!(host.wait().unwrap().success());
    } else {
        kill(host.id(), nix::sys::signal::Signal::SIGKILL);
        host.wait().unwrap();
    }
    eventually("the child has ended", || (!is_alive(child)).then_some(()));
    child
}

fn protect_and_wait(strategy: Strategy) {
    let frigate = shell("child", WATCHFUL).strategy(strategy);
    frigate.protect().unwrap();
    frigate.wait().unwrap();
    panic!("the host was to be killed");
}

fn killed_term() {
    if std::env::var_os("INNER").is_some() {
        return protect_and_wait(Strategy::new());
    }
    end_host(
        "host_end::a_host_that_is_killed_takes_its_children_with_it_by_term",
        false,
    );
    assert_eq!(text_of(&directory().join("term")), "term\n");
}

fn killed_kill() {
    if std::env::var_os("INNER").is_some() {
        return protect_and_wait(Strategy::new().kill(true));
    }
    end_host(
        "host_end::a_host_that_is_killed_takes_its_children_with_it_by_kill",
        false,
    );
    assert!(!directory().join("term").exists(), "KILL runs no trap");
}

/// Kills a host whose child has become another user. A change of user clears the parent-death
/// signal that was set before it.
fn killed_user() {
    if !has_other_users() {
        return;
    }
    if std::env::var_os("INNER").is_some() {
        return protect_and_wait(Strategy::new().user("65534:65534"));
    }
    nix::unistd::chown(&directory(), Some(65534.into()), None).unwrap();
    end_host(
        "host_end::a_child_that_became_another_user_ends_with_its_host_too",
        false,
    );
    assert_eq!(text_of(&directory().join("term")), "term\n");
}

fn returned() {
    if std::env::var_os("INNER").is_some() {
        let frigate = shell("child", WATCHFUL);
        frigate.protect().unwrap();
        text_of(&directory().join("ready"));
        return;
    }
    end_host(
        "host_end::a_host_that_returns_from_main_takes_its_children_with_it",
        true,
    );
    assert_eq!(text_of(&directory().join("term")), "term\n");
}

/// Returns the command for a host in a new PID namespace. `None` means that this machine does not
/// allow one.
fn as_first(scenario: &str) -> Option<Command> {
    let (program, rest) = contained().split_first()?;
    let mut command = Command::new(program);
    command
        .args(rest)
        .arg(own_program())
        .args(["--host", scenario])
        .env("INNER", "1");
    Some(command)
}

fn first() {
    const SELF: &str = "host_end::a_host_that_is_pid_1_goes_on_beside_an_init_that_reaps";
    if std::env::var_os("INNER").is_some() {
        // `frigate::init` has returned here, in a process that is no longer PID 1.
        assert_ne!(std::process::id(), 1);
        assert_eq!(std::os::unix::process::parent_id(), 1);
        assert_eq!(
            std::env::var_os("FRIGATE_RESTARTS"),
            None,
            "the environment is as it was"
        );
        // The orphan is a daemon: its parent ends at once, and it ends soon after.
        let frigate = shell(
            "parent",
            "setsid sh -c 'echo $$ > orphan; sleep 0.2' & exec sleep 1000",
        );
        let events = frigate.events();
        frigate.protect().unwrap();
        next_start(&events);
        let orphan: i32 = text_of(&directory().join("orphan")).trim().parse().unwrap();
        kill(
            frigate.task().pid().unwrap(),
            nix::sys::signal::Signal::SIGKILL,
        );
        eventually("the orphan is reaped", || {
            crate::procfs::process(orphan).is_none().then_some(())
        });
        assert_eq!(
            Command::new("sh")
                .args(["-c", "exit 3"])
                .status()
                .unwrap()
                .code(),
            Some(3),
            "the init must not reap the host's other children"
        );
        println!("ready");
        // The init forwards USR1, whose default action ends the host.
        loop {
            std::thread::park();
        }
    }
    let Some(mut command) = as_first(SELF) else {
        return;
    };
    let mut outer = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(outer.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().and_then(Result::ok).as_deref(), Some("ready"));
    let init = crate::procfs::children(outer.id().cast_signed())
        .first()
        .expect("the init")
        .pid;
    kill(init.cast_unsigned(), nix::sys::signal::Signal::SIGUSR1);
    assert_eq!(outer.wait().unwrap().code(), Some(128 + 10));
}

fn first_code() {
    const SELF: &str = "host_end::the_init_exits_with_the_code_of_the_host";
    if std::env::var_os("INNER").is_some() {
        Frigate::create("sleep").protect().unwrap();
        std::process::exit(23);
    }
    let Some(mut command) = as_first(SELF) else {
        return;
    };
    assert_eq!(command.status().unwrap().code(), Some(23));
}

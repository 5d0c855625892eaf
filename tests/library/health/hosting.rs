//! Checks do not disturb the host, leave nothing behind, and hold nothing up.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use frigate::{EventKind, Frigate, Outcome, Strategy};
use nix::sys::signal::Signal;

use super::{checking, is, lines};
use crate::embedding::{own_thread, switches_of_sleeping};
use crate::servers;
use crate::support::{
    GRACE, Scenario, children, descriptors, directory, eventually, is_alive, kill, next,
    own_program, shell, sleeper, text_of, wait_gone,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "health::the_hosts_own_children_and_signals_are_undisturbed",
        undisturbed,
    ),
    Scenario::new(
        "health::no_handler_of_the_host_runs_in_a_program_of_a_check",
        handlers,
    ),
    Scenario::new(
        "health::a_thousand_programs_leave_no_zombie_and_no_descriptor",
        thousand,
    ),
    Scenario::new(
        "health::a_host_that_waits_for_any_child_is_survived",
        any_child,
    ),
    Scenario::new("health::two_children_are_checked_at_the_same_time", two),
    Scenario::new(
        "health::a_stop_does_not_wait_for_a_program_that_hangs",
        stop_amid_program,
    ),
    Scenario::new(
        "health::a_stop_does_not_wait_for_a_server_that_hangs",
        stop_amid_connection,
    ),
    Scenario::new(
        "health::done_does_not_wait_for_a_program_that_hangs",
        done_amid_program,
    ),
    Scenario::new(
        "health::a_program_that_hangs_is_killed_with_all_that_it_started",
        timeout,
    ),
    Scenario::new("health::nothing_is_checked_after_the_end", after_end),
    Scenario::new("health::between_two_checks_the_thread_is_not_woken", asleep),
    Scenario::new(
        "health::a_program_that_a_tracer_holds_is_waited_for_without_haste",
        traced,
    ),
    Scenario::new(
        "health::a_program_of_a_check_ends_with_its_host",
        end_of_host,
    ),
];

/// The program writes its pid, and then neither ends nor obeys TERM.
const HANGING: &str =
    "exec:sh -c 'trap \"\" TERM; echo $$ > new; mv new pid; sleep 1000; sleep 1000'";

fn pid_of_program() -> u32 {
    text_of(&directory().join("pid")).trim().parse().unwrap()
}

fn no_children_left() {
    eventually("every child is reaped", || {
        children().is_empty().then_some(())
    });
}

fn fields() -> Vec<String> {
    ["SigBlk", "SigIgn", "SigCgt"]
        .iter()
        .filter_map(|field| crate::procfs::status_field(std::process::id().cast_signed(), field))
        .collect()
}

/// The host waits for its own children, and for SIGCHLD, while many programs of checks end.
fn undisturbed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut ended = signal(SignalKind::child()).unwrap();
        // When the first thread starts, the C library installs a handler.
        std::thread::spawn(|| {}).join().unwrap();
        let before = fields();
        let all: Vec<Frigate> = (0..10)
            .map(|number| {
                shell(&number.to_string(), "exec sleep 1000")
                    .strategy(checking("exec:sh -c 'echo >> checks'"))
            })
            .collect();
        for frigate in &all {
            frigate.protect().unwrap();
        }
        for code in 0..50 {
            let script = format!("sleep 0.02; exit {code}");
            let mut own = tokio::process::Command::new("sh");
            let status = own.args(["-c", &script]).status().await.unwrap();
            assert_eq!(status.code(), Some(code));
            let own = Command::new("sh").args(["-c", &script]).status().unwrap();
            assert_eq!(own.code(), Some(code));
        }
        ended.recv().await.unwrap();
        assert!(lines(&directory().join("checks")) >= 10);
        assert_eq!(fields(), before);
        for frigate in &all {
            frigate.stop(GRACE).unwrap();
        }
        assert_eq!(fields(), before);
    });
    no_children_left();
}

/// Asks a program for its dispositions and its mask. The host handles USR1, and Rust's runtime
/// ignores PIPE.
fn handlers() {
    use nix::sys::signal::{SigHandler, signal};
    extern "C" fn handler(_: i32) {}
    #[expect(unsafe_code, reason = "a handler that does nothing")]
    // SAFETY: the handler does nothing.
    unsafe {
        signal(Signal::SIGUSR1, SigHandler::Handler(handler)).unwrap();
    }
    let bits = |status: &str, name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    let bit = |signal: Signal| 1_u64 << (signal as i32 - 1);
    // When the first thread starts, the C library installs a handler.
    std::thread::spawn(|| {}).join().unwrap();
    let host = std::fs::read_to_string("/proc/self/status").unwrap();
    assert_ne!(bits(&host, "SigCgt") & bit(Signal::SIGUSR1), 0);
    let target = "exec:sh -c 'cp /proc/self/status new; mv new signals'";
    let frigate = shell("checked", "exec sleep 1000").strategy(checking(target));
    frigate.protect().unwrap();
    let program = text_of(&directory().join("signals"));
    frigate.stop(GRACE).unwrap();
    assert_eq!(bits(&program, "SigCgt"), 0, "{program}");
    assert_eq!(bits(&program, "SigBlk"), bits(&host, "SigBlk"), "{program}");
    let ignored = bits(&host, "SigIgn") & !bit(Signal::SIGPIPE);
    assert_eq!(bits(&program, "SigIgn"), ignored, "{program}");
}

/// Runs fifty children at a time.
fn thousand() {
    let checks = directory().join("checks");
    let all: Vec<Frigate> = (0..50)
        .map(|number| {
            shell(&number.to_string(), "exec sleep 1000")
                .strategy(checking("exec:sh -c 'echo >> checks'"))
        })
        .collect();
    for frigate in &all {
        frigate.protect().unwrap();
    }
    let most = 3 * all.len() + 16;
    for count in [100, 500, 1000] {
        eventually("many checks", || (lines(&checks) >= count).then_some(()));
        // A child has a pidfd. So has the program of its check, if one is under way.
        let open = descriptors();
        assert!(open <= most, "{open} descriptors after {count} checks");
        let living = children().len();
        assert!(
            living <= 2 * all.len(),
            "{living} children after {count} checks"
        );
    }
    for frigate in &all {
        frigate.stop(GRACE).unwrap();
    }
    no_children_left();
    let idle = descriptors();
    assert!(idle <= 8, "{idle} descriptors with nothing to do");
}

/// Another thread takes the exit codes of the programs. A result that was taken is a failure that
/// says so, and no result is made up.
fn any_child() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let thief = std::thread::spawn(|| {
        while !STOP.load(Ordering::Relaxed) {
            let _ = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
    });
    let mut taken = 0;
    for _ in 0..10 {
        let frigate = sleeper("prey").strategy(checking("exec:true"));
        let events = frigate.events();
        frigate.protect().unwrap();
        let is_healthy = next(&events, "a result", |kind| match kind {
            EventKind::Healthy => Some(true),
            EventKind::Unhealthy => Some(false),
            _ => None,
        });
        frigate.stop(GRACE).unwrap();
        if !is_healthy {
            taken += 1;
        }
    }
    STOP.store(true, Ordering::Relaxed);
    thief.join().unwrap();
    // Without the thief, the library works as before.
    let frigate = sleeper("free").strategy(checking("exec:true"));
    let events = frigate.events();
    frigate.protect().unwrap();
    next(&events, "it is healthy", |kind| {
        is(kind, &EventKind::Healthy)
    });
    frigate.stop(GRACE).unwrap();
    no_children_left();
    eprintln!("{taken} of 10 results were taken");
}

/// Each check waits for the other.
fn two() {
    let meeting = |own: &str, other: &str| {
        let script = format!("touch {own}; while ! test -e {other}; do sleep 0.01; done");
        shell(own, "exec sleep 1000").strategy(checking(format!("exec:sh -c '{script}'")))
    };
    let both = [meeting("one", "two"), meeting("two", "one")];
    let events = both.each_ref().map(Frigate::events);
    for frigate in &both {
        frigate.protect().unwrap();
    }
    for events in &events {
        next(events, "it is healthy", |kind| {
            is(kind, &EventKind::Healthy)
        });
    }
    for frigate in &both {
        frigate.stop(GRACE).unwrap();
    }
}

fn hanging() -> Strategy {
    checking(HANGING).health_timeout(Duration::from_secs(100_000))
}

fn stop_amid_program() {
    let frigate = shell("checked", "exec sleep 1000").strategy(hanging());
    frigate.protect().unwrap();
    let pid = pid_of_program();
    assert!(is_alive(pid));
    let outcome = frigate.stop(GRACE).unwrap();
    assert!(matches!(outcome, Outcome::Cancel { .. }), "{outcome:?}");
    wait_gone(pid);
    no_children_left();
    assert!(descriptors() <= 8, "{} descriptors", descriptors());
}

fn stop_amid_connection() {
    let port = servers::silent();
    let frigate =
        sleeper("checked").strategy(hanging().health(format!("http://127.0.0.1:{port}/")));
    frigate.protect().unwrap();
    servers::wait_for_client(port);
    let outcome = frigate.stop(GRACE).unwrap();
    assert!(matches!(outcome, Outcome::Cancel { .. }), "{outcome:?}");
    no_children_left();
}

/// The child ends by itself while its check hangs, and its handle is gone.
fn done_amid_program() {
    let script = "while ! test -e pid; do sleep 0.01; done; exit 6";
    let frigate =
        shell("checked", script).strategy(hanging().auto_restart(frigate::AutoRestart::False));
    frigate.protect().unwrap();
    drop(frigate);
    let outcomes = frigate::done();
    let outcome = outcomes.get("checked").expect("it was protected");
    assert!(
        matches!(outcome, Outcome::Complete(status) if status.code() == Some(6)),
        "{outcome:?}"
    );
    wait_gone(pid_of_program());
    no_children_left();
}

fn timeout() {
    let target = "exec:sh -c 'trap \"\" TERM; sleep 1000 & echo $! > new; mv new pid; sleep 1000'";
    let strategy = checking(target)
        .health_timeout(Duration::from_secs(1))
        .auto_restart(frigate::AutoRestart::False);
    let frigate = shell("checked", "exec sleep 1000").strategy(strategy);
    let events = frigate.events();
    frigate.protect().unwrap();
    let other = pid_of_program();
    let outcome = frigate.wait().unwrap();
    assert!(matches!(outcome, Outcome::Unhealthy(_)), "{outcome:?}");
    assert!(
        events
            .iter()
            .any(|event| event.to_string().contains("no answer within 1 s"))
    );
    wait_gone(other);
    no_children_left();
}

fn after_end() {
    let checks = directory().join("checks");
    let checked =
        || shell("checked", "exec sleep 1000").strategy(checking("exec:sh -c 'echo >> checks'"));
    let ended = || {
        let before = lines(&checks);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(lines(&checks), before);
    };
    let frigate = checked();
    frigate.protect().unwrap();
    eventually("some checks", || (lines(&checks) >= 3).then_some(()));
    frigate.stop(GRACE).unwrap();
    no_children_left();
    ended();
    // A child that waits for its start is not checked, either.
    let waiting = checked();
    let waiting = waiting.strategy(checking("exec:sh -c 'echo >> checks'").auto_start(false));
    waiting.protect().unwrap();
    ended();
    waiting.stop(GRACE).unwrap();
}

/// One child has been checked and waits for its next check. The check of another one hangs.
fn asleep() {
    let long = Duration::from_secs(100_000);
    let rare = sleeper("rare").strategy(checking("exec:true").health_interval(long));
    let events = rare.events();
    rare.protect().unwrap();
    next(&events, "it is healthy", |kind| {
        is(kind, &EventKind::Healthy)
    });
    let amid = shell("amid", "exec sleep 1000").strategy(hanging());
    amid.protect().unwrap();
    pid_of_program();
    let switches = switches_of_sleeping(&own_thread());
    let before = switches();
    for _ in 0..50 {
        Command::new("true").status().unwrap();
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(switches(), before);
    amid.stop(GRACE).unwrap();
    rare.stop(GRACE).unwrap();
}

/// Another process traces the program. When the program has ended, its parent cannot reap it before
/// the tracer does or ends, and its pidfd would wake the thread at once, again and again.
fn traced() {
    if std::env::var_os("INNER").is_some() {
        let pid = nix::unistd::Pid::from_raw(pid_of_program().cast_signed());
        let result = nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty());
        std::fs::write(directory().join("traced"), format!("{result:?}\n")).unwrap();
        loop {
            std::thread::park();
        }
    }
    let fifo = directory().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The shell starts no process: a tracer would suspend it at each SIGCHLD.
    let target = "exec:sh -c 'echo $$ > pid; read line < fifo'";
    let frigate = shell("checked", "exec sleep 1000").strategy(
        checking(target)
            .health_timeout(Duration::from_secs(100_000))
            .health_interval(Duration::from_secs(100_000)),
    );
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = pid_of_program();
    let mut tracer = Command::new(own_program())
        .args([
            "--host",
            "health::a_program_that_a_tracer_holds_is_waited_for_without_haste",
        ])
        .env("INNER", "1")
        .spawn()
        .unwrap();
    let is_permitted = text_of(&directory().join("traced")) == "Ok(())\n";
    std::fs::write(&fifo, "go\n").unwrap();
    if is_permitted {
        eventually("it is a zombie", || {
            let process = crate::procfs::process(pid.cast_signed())?;
            (process.state == 'Z').then_some(())
        });
        let switches = || {
            let status = std::fs::read_to_string(own_thread().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary"));
            let count = line.and_then(|line| line.split_whitespace().last()?.parse::<u32>().ok());
            count.unwrap()
        };
        let before = switches();
        std::thread::sleep(Duration::from_secs(1));
        let woken = switches() - before;
        assert!(woken <= 25, "woken {woken} times within a second");
    }
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    next(&events, "it is healthy", |kind| {
        is(kind, &EventKind::Healthy)
    });
    frigate.stop(GRACE).unwrap();
    no_children_left();
}

fn end_of_host() {
    if std::env::var_os("INNER").is_some() {
        let frigate = shell("checked", "exec sleep 1000").strategy(hanging());
        frigate.protect().unwrap();
        frigate.wait().unwrap();
        panic!("the host was to be killed");
    }
    let mut host = Command::new(own_program())
        .args(["--host", "health::a_program_of_a_check_ends_with_its_host"])
        .env("INNER", "1")
        .spawn()
        .unwrap();
    let pid = pid_of_program();
    kill(host.id(), Signal::SIGKILL);
    host.wait().unwrap();
    eventually("the program has ended", || (!is_alive(pid)).then_some(()));
}

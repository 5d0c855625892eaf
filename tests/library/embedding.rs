//! frigate does not disturb the signals, the threads and the other children of its host.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use frigate::{EventKind, Frigate, Strategy};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

use crate::support::{
    GRACE, Scenario, directory, eventually, is_alive, next_start, once, shell, sleeper, text_of,
    threads,
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "embedding::command_of_the_standard_library_is_undisturbed",
        command,
    ),
    Scenario::new("embedding::tokio_is_undisturbed", tokio),
    Scenario::new("embedding::all_children_share_one_thread", one_thread),
    Scenario::new(
        "embedding::a_child_gets_the_mask_of_its_caller_and_default_dispositions",
        mask,
    ),
    Scenario::new(
        "embedding::no_signal_meant_for_a_child_reaches_a_handler_of_the_host",
        handlers,
    ),
    Scenario::new(
        "embedding::the_hosts_mask_and_dispositions_stay_as_they_were",
        unchanged,
    ),
    Scenario::new(
        "embedding::a_host_that_waits_for_any_child_is_noticed_and_survived",
        any_child,
    ),
    Scenario::new(
        "embedding::with_nothing_to_do_the_thread_is_never_woken",
        asleep,
    ),
    Scenario::new("embedding::the_host_may_change_its_user", change_of_user),
    Scenario::new(
        "embedding::many_threads_may_protect_and_stop_at_once",
        many_threads,
    ),
    Scenario::new(
        "embedding::an_end_is_collected_though_nobody_asks",
        no_zombies,
    ),
];

/// Runs other children of the host to known exit codes, while frigate starts and reaps its own.
fn command() {
    let frigate = shell("busy", "exit 1").strategy(Strategy::new().start_retries(u32::MAX));
    frigate.protect().unwrap();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            std::thread::spawn(move || {
                for turn in 0..25 {
                    let code = worker * 25 + turn;
                    let status = Command::new("sh")
                        .args(["-c", &format!("exit {code}")])
                        .status()
                        .unwrap();
                    assert_eq!(status.code(), Some(code));
                    let other = shell(&format!("{worker}"), "exit 77").strategy(once());
                    other.protect().unwrap();
                    assert_eq!(
                        other
                            .wait()
                            .unwrap()
                            .status()
                            .and_then(|status| status.code()),
                        Some(77)
                    );
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let mut long = Command::new("sleep").arg("1000").spawn().unwrap();
    frigate.stop(GRACE).unwrap();
    assert_eq!(
        long.try_wait().unwrap(),
        None,
        "a child of the host's own lives on"
    );
    long.kill().unwrap();
    long.wait().unwrap();
}

fn tokio() {
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use ::tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup()).unwrap();
        let mut ended = signal(SignalKind::child()).unwrap();
        let frigate = shell("busy", "exit 1").strategy(Strategy::new().start_retries(u32::MAX));
        frigate.protect().unwrap();
        for code in 0..50 {
            let mut command = ::tokio::process::Command::new("sh");
            let status = command
                .args(["-c", &format!("exit {code}")])
                .status()
                .await
                .unwrap();
            assert_eq!(status.code(), Some(code));
        }
        ended.recv().await.unwrap();
        Command::new("sh")
            .args(["-c", "kill -HUP $PPID"])
            .status()
            .unwrap();
        hangup.recv().await.unwrap();
        let outcome = ::tokio::task::spawn_blocking(move || frigate.stop(GRACE))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(outcome.to_string(), frigate::CANCEL_PROCESS);
    });
}

fn one_thread() {
    let before = threads();
    let all: Vec<Frigate> = (0..20)
        .map(|number| sleeper(&format!("sleeper {number}")))
        .collect();
    for frigate in &all {
        frigate.protect().unwrap();
    }
    eventually("all of them run", || {
        all.iter()
            .all(|frigate| frigate.task().pid().is_some())
            .then_some(())
    });
    assert_eq!(threads(), before + 1);
    for frigate in &all {
        frigate.stop(GRACE).unwrap();
    }
    assert_eq!(threads(), before + 1);
}

fn field(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .expect("a line");
    u64::from_str_radix(line.trim(), 16).expect("a mask")
}

const fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

fn mask() {
    let mut set = SigSet::empty();
    set.add(Signal::SIGUSR1);
    set.add(Signal::SIGWINCH);
    // Set the mask in another thread, so that it differs from that of frigate's thread and of the
    // main thread.
    std::thread::spawn(move || {
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&set), None).unwrap();
        let frigate = Frigate::from(
            frigate::ProtectTask::new("masks")
                .program("sh")
                .args(["-c", "exec grep Sig /proc/self/status > masks"])
                .current_dir(directory()),
        )
        .strategy(once());
        frigate.protect().unwrap();
        frigate.wait().unwrap();
    })
    .join()
    .unwrap();
    let status = text_of(&directory().join("masks"));
    assert_eq!(
        field(&status, "SigBlk"),
        bit(Signal::SIGUSR1) | bit(Signal::SIGWINCH),
        "{status}"
    );
    let own = field(
        &std::fs::read_to_string("/proc/self/status").unwrap(),
        "SigIgn",
    );
    assert_ne!(
        own & bit(Signal::SIGPIPE),
        0,
        "the host's own is as the runtime has made it"
    );
    assert_eq!(
        field(&status, "SigIgn"),
        own & !bit(Signal::SIGPIPE),
        "{status}"
    );
}

/// Stops each child right after its start. The time between the child's mask and its exec is short,
/// and such a stop is likely to hit it.
fn handlers() {
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use ::tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate()).unwrap();
        for _ in 0..200 {
            let frigate = sleeper("short");
            frigate.protect().unwrap();
            let outcome = frigate.stop(GRACE).unwrap();
            let signal = outcome
                .status()
                .and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status));
            assert_eq!(
                signal,
                Some(15),
                "the signal must end the child, and not run the host's handler in it"
            );
        }
        let none = ::tokio::time::timeout(Duration::from_millis(50), term.recv()).await;
        assert!(
            none.is_err(),
            "a handler of the host got the TERM of its child"
        );
    });
}

/// Waits until a thread sleeps. Returns what reads its lines of context switches.
pub fn switches_of_sleeping(thread: &std::path::Path) -> impl Fn() -> Vec<String> + use<> {
    let file = thread.join("status");
    let status = move || std::fs::read_to_string(&file).unwrap();
    eventually("it sleeps", || status().contains("State:\tS").then_some(()));
    move || {
        let text = status();
        text.lines()
            .filter(|line| line.contains("ctxt_switches"))
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the directory of frigate's thread in `/proc`.
pub fn own_thread() -> std::path::PathBuf {
    eventually("frigate's thread", || {
        let mut threads = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(Result::ok)
            .map(|entry| entry.path());
        threads.find(|path| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name == "frigate\n")
        })
    })
}

/// Checks that frigate's thread sleeps while other children of the host end. Their SIGCHLD must not
/// wake it.
fn asleep() {
    let frigate = sleeper("sleeper");
    let events = frigate.events();
    frigate.protect().unwrap();
    next_start(&events);
    let switches = switches_of_sleeping(&own_thread());
    let before = switches();
    for _ in 0..50 {
        Command::new("true").status().unwrap();
    }
    assert_eq!(switches(), before);
    frigate.stop(GRACE).unwrap();
}

fn unchanged() {
    // When the first thread starts, the C library installs a handler (for signal 33).
    std::thread::spawn(|| {}).join().unwrap();
    let lines = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        ["SigBlk", "SigIgn", "SigCgt"].map(|name| field(&status, name))
    };
    let before = lines();
    let frigate = sleeper("sleeper");
    frigate.protect().unwrap();
    assert_eq!(lines(), before);
    frigate.stop(GRACE).unwrap();
    assert_eq!(lines(), before);
    let thread = own_thread();
    let status = std::fs::read_to_string(thread.join("status")).unwrap();
    let librarys = if cfg!(target_env = "musl") {
        0b11 << 32
    } else {
        0b11 << 31
    };
    assert_eq!(
        field(&status, "SigBlk"),
        !(bit(Signal::SIGKILL) | bit(Signal::SIGSTOP) | librarys)
    );
}

fn any_child() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let thief = std::thread::spawn(|| {
        while !STOP.load(Ordering::Relaxed) {
            let _ = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
    });
    let mut warned = 0;
    for _ in 0..50 {
        let frigate = shell("prey", "exit 5").strategy(once());
        let events = frigate.events();
        frigate.protect().unwrap();
        let code = frigate
            .wait()
            .unwrap()
            .status()
            .and_then(|status| status.code());
        let warning = events.iter().any(|event| event.kind == EventKind::Warning);
        assert_eq!(code, Some(if warning { 255 } else { 5 }));
        warned += u32::from(warning);
    }
    STOP.store(true, Ordering::Relaxed);
    thief.join().unwrap();
    eprintln!("{warned} of 50 ends were taken");
}

fn many_threads() {
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let frigate = sleeper(&format!("sleeper {worker}"));
                    frigate.protect().unwrap();
                    frigate.stop(GRACE).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(crate::support::children(), []);
}

/// Changes the user and the group. To do so, the C library sends every thread a signal, and waits
/// for each. If a thread blocked it, the host would hang forever.
fn change_of_user() {
    let frigate = sleeper("sleeper");
    frigate.protect().unwrap();
    for _ in 0..100 {
        nix::unistd::setgid(nix::unistd::getgid()).unwrap();
        nix::unistd::setuid(nix::unistd::getuid()).unwrap();
    }
    frigate.stop(GRACE).unwrap();
}

/// Checks that frigate reaps a child when it ends, and not only when the host asks for the outcome.
fn no_zombies() {
    let frigate = sleeper("lonely").strategy(once());
    let events = frigate.events();
    frigate.protect().unwrap();
    let pid = next_start(&events);
    assert!(is_alive(pid));
    crate::support::kill(pid, Signal::SIGKILL);
    crate::support::wait_gone(pid);
}

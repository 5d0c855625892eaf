//! A process that the host forked without an exec has the host's memory, but neither frigate's
//! thread nor the host's children.
#![expect(unsafe_code, reason = "fork is what these claims are about")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use frigate::{Error, Frigate, Outcome, Strategy};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::support::{GRACE, Scenario, eventually, is_alive, next_start, once, shell, sleeper};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "forking::in_a_forked_process_every_call_returns_at_once_with_an_error",
        refused,
    ),
    Scenario::new(
        "forking::locks_that_are_held_at_the_fork_hang_no_call_in_the_forked_process",
        locks,
    ),
    Scenario::new(
        "forking::a_forked_process_with_the_pid_of_the_host_is_not_taken_for_the_host",
        same_number,
    ),
    Scenario::new(
        "forking::a_process_forked_before_anything_was_protected_is_a_host_of_its_own",
        before,
    ),
];

/// Runs the function in a forked process. The process exits without any clean-up: with 1 if the
/// function panics, otherwise with 0.
fn forked(act: impl FnOnce()) -> Pid {
    // SAFETY: POSIX allows few functions in a process forked from one with threads. The C library
    // keeps its allocator usable there. The other calls are what these claims test.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
            // SAFETY: _exit(2) touches no memory.
            unsafe { libc::_exit(i32::from(result.is_err())) }
        }
    }
}

#[track_caller]
fn wait_for(child: Pid) {
    let status = eventually("the forked process ends", || {
        let status = waitpid(child, Some(WaitPidFlag::WNOHANG)).expect("the process is a child");
        (status != WaitStatus::StillAlive).then_some(status)
    });
    assert_eq!(status, WaitStatus::Exited(child, 0));
}

fn assert_refused(frigate: &Frigate) {
    assert!(matches!(frigate.protect(), Err(Error::Forked)));
    assert!(matches!(frigate.start(), Err(Error::Forked)));
    assert!(matches!(frigate.stop(GRACE), Err(Error::Forked)));
    assert!(matches!(frigate.wait(), Err(Error::Forked)));
    assert_eq!(
        (frigate.task().pid(), frigate.task().start_time()),
        (None, None)
    );
    assert!(frigate.events().recv().is_err(), "a channel closes at once");
}

fn refused() {
    let live = sleeper("live");
    let events = live.events();
    live.protect().unwrap();
    let pid = next_start(&events);
    let ended = shell("ended", "exit 3").strategy(once());
    ended.protect().unwrap();
    ended.wait().unwrap();
    let waiting = sleeper("waiting").strategy(Strategy::new().auto_start(false));
    waiting.protect().unwrap();
    let all = [live, ended, waiting, sleeper("new")];
    wait_for(forked(|| {
        for frigate in &all {
            assert_refused(frigate);
        }
        assert!(frigate::done().is_empty());
        frigate::register_task("late", || ());
        // A forked process may drop its copy of a handle.
        drop(sleeper("short"));
    }));
    let [live, ended, waiting, new] = all;
    assert!(is_alive(pid), "the host's children live on");
    assert_eq!(live.task().pid(), Some(pid));
    assert!(matches!(
        live.stop(GRACE),
        Ok(Outcome::Cancel { last: Some(_) })
    ));
    assert_eq!(waiting.stop(GRACE).unwrap(), Outcome::Cancel { last: None });
    assert!(matches!(new.wait(), Err(Error::NotProtected { .. })));
    assert!(matches!(ended.wait(), Ok(Outcome::Complete(_))));
}

/// Forks while other threads take all of frigate's locks again and again, so that each lock is held
/// at some of the forks.
fn locks() {
    let stop = AtomicBool::new(false);
    let shared = Arc::new(sleeper("shared"));
    shared.protect().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (stop, shared) = (&stop, &shared);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let frigate = shell(&format!("worker {worker}"), "exit 0").strategy(once());
                    frigate.protect().unwrap();
                    for _ in 0..1000 {
                        let _ = (shared.task().pid(), shared.events());
                    }
                    frigate.wait().unwrap();
                    assert!(matches!(
                        shared.protect(),
                        Err(Error::AlreadyProtected { .. })
                    ));
                }
            });
        }
        for _ in 0..100 {
            let handle = Arc::clone(&shared);
            wait_for(forked(move || {
                assert_refused(&handle);
                assert!(frigate::done().is_empty());
                drop(Arc::into_inner(handle));
            }));
        }
        stop.store(true, Ordering::Relaxed);
    });
    shared.stop(GRACE).unwrap();
}

/// Forks in a new PID namespace until a process has the host's pid. The numbers start at 1 again
/// there.
fn same_number() {
    let frigate = sleeper("sleeper");
    let events = frigate.events();
    frigate.protect().unwrap();
    next_start(&events);
    let host = nix::unistd::getpid();
    if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID).is_err() {
        return eprintln!("skipped: this machine allows no PID namespace");
    }
    wait_for(forked(|| {
        for _ in 1..host.as_raw() {
            let child = forked(|| {
                if nix::unistd::getpid() == host {
                    assert_refused(&frigate);
                    assert!(frigate::done().is_empty());
                }
            });
            wait_for(child);
            if child == host {
                return;
            }
        }
        panic!("no process had the number {host}");
    }));
    assert!(frigate.task().pid().is_some());
    frigate.stop(GRACE).unwrap();
}

/// Forks before the host protects anything, as daemons do, and servers with worker processes.
fn before() {
    let later = sleeper("later");
    let worker = || {
        forked(|| {
            later.protect().unwrap();
            let outcome = later.stop(GRACE).unwrap();
            let signal = outcome
                .status()
                .and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status));
            assert_eq!(signal, Some(Signal::SIGTERM as i32));
        })
    };
    for child in [worker(), worker()] {
        wait_for(child);
    }
    later.protect().unwrap();
    later.stop(GRACE).unwrap();
}

//! Signals that arrive while a child is being started, or between two starts.

use std::fs;

use libtest_mimic::Trial;

use super::{RTMIN, wait_held};
use crate::support::capability::STRACE;
use crate::support::sys::{ALL, bit};
use crate::support::{Ended, Frigate, Mode, Running, procfs, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    windows(out);
    at_any_moment(out);
    between_starts(out);
}

/// The system calls that start a process.
const STARTS: &str = "clone,clone3,fork,vfork";

fn is_start(call: i64) -> bool {
    let mut starts = vec![libc::SYS_clone, libc::SYS_clone3];
    #[cfg(target_arch = "x86_64")]
    starts.extend([libc::SYS_fork, libc::SYS_vfork]);
    starts.contains(&call)
}

fn first_child(frigate: &Running) -> Option<i32> {
    frigate.children().first().map(|child| child.pid)
}

/// Checks an end by TERM at a moment when the child may not have been able to report it. It either
/// died from TERM or reported it.
fn expect_stopped(ended: &Ended) {
    assert!(matches!(ended.code(), Some(143 | 3)), "{ended:#?}");
    ended.expect_nothing_left();
}

const HOLD: &str = "delay_enter=1500000";

fn windows(out: &mut Vec<Trial>) {
    let delayed = |mode, calls: &str, when: &str| {
        let expression = format!("inject={calls}:{HOLD}{when}");
        Frigate::new(mode).strace([
            "trace=execve,setpgid,clone,clone3,fork,vfork",
            expression.as_str(),
        ])
    };
    let script = "say ready; wait TERM; exit 3";

    scenario("signals::a_term_before_fork_takes_effect")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = delayed(mode, STARTS, ":when=1").puppet(script).spawn();
            wait_held(
                "frigate at the door of fork",
                || Some(frigate.pid),
                is_start,
            );
            frigate.kill(libc::SIGTERM);
            expect_stopped(&frigate.wait());
        });

    scenario("signals::everything_that_can_be_blocked_is_blocked_before_the_child_starts")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            // Look now, not later while it waits: the kernel does not show a signal as blocked
            // while a process waits for it.
            let frigate = delayed(mode, STARTS, ":when=1").puppet("exit 0").spawn();
            wait_held(
                "frigate at the door of fork",
                || Some(frigate.pid),
                is_start,
            );
            let blocked = procfs::status_field(frigate.pid, "SigBlk").expect("its status");
            assert_eq!(
                blocked,
                format!("{:016x}", ALL & !bit(libc::SIGKILL) & !bit(libc::SIGSTOP))
            );
            frigate.wait().expect_code(0);
        });

    scenario("signals::a_term_before_the_group_exists_takes_effect")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = delayed(mode, "setpgid", "").puppet(script).spawn();
            wait_held(
                "the child at the door of setpgid",
                || first_child(&frigate),
                |call| call == libc::SYS_setpgid,
            );
            frigate.kill(libc::SIGTERM);
            expect_stopped(&frigate.wait());
        });

    scenario("signals::the_child_makes_its_group_by_itself")
        .needs(&[&STRACE])
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .strace(["trace=setpgid,execve"])
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            let log = fs::read_to_string(frigate.path("strace")).expect("strace writes it");
            let callers: Vec<_> = log
                .lines()
                .filter(|line| line.contains("setpgid("))
                .collect();
            assert!(
                callers.len() == 1 && callers[0].contains("setpgid(0, 0"),
                "{log}"
            );
            let caller = callers[0].split(' ').next().expect("its id");
            let calls: Vec<_> = log
                .lines()
                .filter(|line| line.split(' ').next() == Some(caller))
                .collect();
            assert!(
                calls[0] == callers[0] && calls[1].contains("execve("),
                "{log}"
            );
        });

    scenario("signals::a_term_before_exec_takes_effect")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = delayed(mode, "execve", "").puppet(script).spawn();
            wait_held(
                "the child at the door of execve",
                || first_child(&frigate),
                |call| call == libc::SYS_execve,
            );
            frigate.kill(libc::SIGTERM);
            expect_stopped(&frigate.wait());
        });

    // A child may share frigate's memory until its exec. Before Linux 5.16, a core dump ended all
    // processes that shared it.
    scenario("signals::a_core_dump_before_exec_is_the_childs_alone")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let delay = "inject=rt_sigprocmask:delay_exit=1500000:when=1";
            let frigate = Frigate::new(mode)
                .strace(["trace=rt_sigprocmask", delay])
                .options("-v")
                .puppet(script)
                .spawn();
            let is_mask = |call| call == libc::SYS_rt_sigprocmask;
            wait_held(
                "the child between its mask and its exec",
                || first_child(&frigate),
                is_mask,
            );
            for signal in [libc::SIGQUIT, libc::SIGABRT] {
                nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(first_child(&frigate).expect("it is held")),
                    nix::sys::signal::Signal::try_from(signal).expect("a signal"),
                )
                .expect("the trial owns it");
            }
            let ended = frigate.wait();
            assert!(matches!(ended.code(), Some(131 | 134)), "{ended:#?}");
            assert!(
                !ended.out.contains("ready") && ended.err.contains("was ended by"),
                "{ended:#?}"
            );
            ended.expect_nothing_left();
        });

    scenario("signals::a_child_that_does_not_get_through_its_exec_holds_up_nothing")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate =
                Frigate::new(mode).strace(["trace=execve", "inject=execve:delay_enter=4000000"]);
            let frigate = frigate.options("--grace=100ms").puppet(script).spawn();
            wait_held(
                "the child at the door of execve",
                || first_child(&frigate),
                |call| call == libc::SYS_execve,
            );
            // TERM waits for the end of the exec. frigate does not wait for it, and sends KILL.
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(137).expect_nothing_left();
        });

    scenario("signals::a_term_right_before_the_second_start_takes_effect")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate =
                delayed(mode, STARTS, ":when=2").options("--restart=unexpected --backoff=1ms");
            let starts = frigate.path("starts");
            let frigate = frigate
                .puppet(format!(
                    "attempt {starts}; on 1 {{exit 1}}; say ready; wait TERM; exit 3"
                ))
                .spawn();
            wait_held(
                "frigate at the door of the second fork",
                || Some(frigate.pid),
                is_start,
            );
            frigate.kill(libc::SIGTERM);
            let ended = frigate.wait();
            // Either the child that was being started gets the signal, or no child is started and
            // the code is that of the first one.
            assert!(matches!(ended.code(), Some(143 | 3 | 1)), "{ended:#?}");
            ended.expect_nothing_left();
        });

    scenario("signals::a_signal_before_exec_reaches_the_child")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            // The child starts with these signals blocked, so they wait for the program instead of
            // killing it.
            let frigate = delayed(mode, "execve", "").blocked(&[libc::SIGUSR1, RTMIN + 4]);
            let frigate = frigate.puppet("say ready; report").spawn();
            wait_held(
                "the child at the door of execve",
                || first_child(&frigate),
                |call| call == libc::SYS_execve,
            );
            frigate.queue(RTMIN + 4, 99);
            frigate.kill(libc::SIGUSR1);
            frigate.wait_line("got USR1");
            assert!(frigate.wait_line("got 38").ends_with(" value 99"));
        });

    scenario("signals::a_signal_before_fork_reaches_the_child")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            let frigate = delayed(mode, STARTS, ":when=1")
                .blocked(&[libc::SIGUSR2])
                .puppet("say ready; report")
                .spawn();
            wait_held(
                "frigate at the door of fork",
                || Some(frigate.pid),
                is_start,
            );
            frigate.kill(libc::SIGUSR2);
            frigate.wait_line("got USR2");
        });
}

/// Waits for a short time that differs in every round, so that the rounds cover all moments of a
/// start.
fn wait_briefly(round: u32) {
    let until =
        std::time::Instant::now() + std::time::Duration::from_micros(u64::from(round * 137 % 6000));
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn at_any_moment(out: &mut Vec<Trial>) {
    scenario("signals::a_term_at_any_moment_of_the_start_takes_effect").run(out, |mode| {
        for round in 0..60 {
            // The signal is blocked from before frigate's first instruction on, so it cannot come
            // too early.
            let frigate = Frigate::new(mode)
                .blocked(&[libc::SIGTERM])
                .puppet("wait TERM; exit 3")
                .spawn();
            wait_briefly(round);
            frigate.kill(libc::SIGTERM);
            expect_stopped(&frigate.wait());
        }
    });

    scenario("signals::a_signal_at_any_moment_of_the_start_reaches_the_child").run(out, |mode| {
        for round in 0..60 {
            let blocked = [libc::SIGUSR1, RTMIN + 2];
            let frigate = Frigate::new(mode)
                .blocked(&blocked)
                .puppet("wait 36; exit 3")
                .spawn();
            wait_briefly(round);
            frigate.kill(libc::SIGUSR1);
            frigate.queue(RTMIN + 2, 4711);
            let ended = frigate.wait();
            ended.expect_code(3);
            assert!(
                ended.out.contains("got USR1") && ended.out.contains(" value 4711"),
                "{ended:#?}"
            );
        }
    });

    scenario("signals::a_term_at_any_moment_of_restarting_takes_effect").run(out, |mode| {
        for round in 0..40 {
            let options = "-q --restart=true --start-secs=0 --backoff=1ms --backoff-max=1ms";
            let frigate = Frigate::new(mode)
                .options(options)
                .puppet("say start; exit 0")
                .spawn();
            frigate.wait_line("start");
            wait_briefly(round);
            frigate.kill(libc::SIGTERM);
            // The code is 143 if the child had not begun to block signals.
            let ended = frigate.wait();
            assert!(matches!(ended.code(), Some(0 | 143)), "{ended:#?}");
            ended.expect_nothing_left();
        }
    });
}

fn between_starts(out: &mut Vec<Trial>) {
    let waiting = |mode: Mode| {
        let frigate = Frigate::new(mode)
            .options("-v --restart=unexpected --backoff=60s")
            .puppet("exit 4")
            .spawn();
        frigate.wait_message("starting it again");
        frigate
    };

    scenario("signals::between_two_starts_a_stop_signal_takes_effect").run(out, move |mode| {
        let frigate = waiting(mode);
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(4);
    });

    scenario("signals::between_two_starts_other_signals_are_dropped_and_said_so_at_v").run(
        out,
        move |mode| {
            let frigate = waiting(mode);
            frigate.kill(libc::SIGUSR1);
            let message = frigate.wait_message("USR1");
            assert!(message.contains("dropped"), "{message}");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(4);
        },
    );
}

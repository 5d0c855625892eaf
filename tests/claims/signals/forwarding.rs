//! Signals on their way to the child.

use std::fs;
use std::os::unix::fs::FileExt;

use libtest_mimic::Trial;

use super::{RTMIN, got, signal_name};
use crate::support::{Frigate, Running, eventually, scenario, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    forwarding(out);
    queued(out);
}

/// The signals that ask frigate to stop unless `--stop-on` says otherwise.
const STOP_SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Returns every signal that frigate forwards without doing anything else.
fn plain_signals() -> impl Iterator<Item = i32> {
    let special = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD];
    (1..=64).filter(move |signal| !special.contains(signal) && !STOP_SIGNALS.contains(signal))
}

fn forwarding(out: &mut Vec<Trial>) {
    scenario("signals::term_reaches_the_child").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .puppet("say ready; wait TERM; exit 3")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
        frigate
            .wait()
            .expect_code(3)
            .expect_silence()
            .expect_nothing_left();
    });

    scenario("signals::all_64_signals_are_forwarded_save_kill_stop_and_chld").run(out, |mode| {
        // Without stop signals, all of them are treated alike.
        let frigate = Frigate::new(mode)
            .options("--stop-on=none")
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        let signals = (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal));
        assert_eq!(sweep(&frigate, signals), 61);
        // With the usual stop signals, each of them is forwarded as well, followed by CONT.
        for stop in STOP_SIGNALS {
            let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
            frigate.wait_line("ready");
            let forwarded = sweep(&frigate, plain_signals().chain([stop]));
            assert_eq!(got(&frigate), "CONT");
            assert_eq!(forwarded, 59, "{}", frigate.out().text());
        }
    });

    scenario("signals::int_quit_and_term_are_stop_signals").run(out, |mode| {
        for stop in STOP_SIGNALS {
            let frigate = Frigate::new(mode)
                .puppet("say ready; wait CONT; exit 5")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(stop);
            assert_eq!(got(&frigate), signal_name(stop));
            assert_eq!(got(&frigate), "CONT");
            frigate.wait().expect_code(5);
        }
    });

    scenario("signals::chld_from_a_process_is_not_forwarded").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGCHLD);
        frigate.kill(libc::SIGUSR1);
        assert!(frigate.wait_line("got ").starts_with("got USR1"));
    });

    scenario("signals::faults_that_a_process_sent_are_forwarded_and_do_not_kill_frigate").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
            frigate.wait_line("ready");
            for name in ["SEGV", "ABRT", "FPE", "ILL", "BUS", "TRAP", "SYS"] {
                frigate.kill(signal_number(name));
                frigate.wait_line(&format!("got {name} "));
            }
            wait_state(frigate.pid, 'S');
        },
    );

    scenario("signals::a_genuine_fault_still_kills_frigate").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        write_invalid_instruction(frigate.pid);
        frigate.kill(libc::SIGUSR1);
        let ended = frigate.wait();
        assert_eq!(ended.signal(), Some(libc::SIGILL), "{ended:#?}");
    });

    scenario("signals::signals_are_forwarded_in_the_order_in_which_the_kernel_gave_them").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
            frigate.wait_line("ready");
            frozen(&frigate, || {
                for signal in [
                    RTMIN + 7,
                    libc::SIGWINCH,
                    RTMIN,
                    libc::SIGUSR2,
                    libc::SIGHUP,
                ] {
                    frigate.kill(signal);
                }
            });
            let order: Vec<String> = (0..6).map(|_| frigate.wait_line("got ")).collect();
            let order: Vec<_> = order
                .iter()
                .filter_map(|line| line.split_whitespace().nth(1))
                .collect();
            // The kernel delivers the lowest number first. CONT thawed frigate.
            assert_eq!(order, ["HUP", "USR2", "CONT", "WINCH", "34", "41"]);
        },
    );
}

/// Sends frigate each of these signals and waits until the child reports it. Returns how many the
/// child got. CHLD must not arrive: what the child reports next must be the signal after it.
#[track_caller]
fn sweep(frigate: &Running, signals: impl Iterator<Item = i32>) -> usize {
    let mut count = 0;
    // Send them one after another, because CONT and the signals that stop a process discard each
    // other while they are pending.
    for signal in signals {
        frigate.kill(signal);
        if signal != libc::SIGCHLD {
            assert_eq!(got(frigate), signal_name(signal));
            count += 1;
        }
    }
    count
}

fn signal_number(name: &str) -> i32 {
    crate::support::names::number(name)
}

/// Calls the function while frigate is stopped, so that frigate finds all signals at once
/// afterwards.
fn frozen(frigate: &Running, deed: impl FnOnce()) {
    frigate.kill(libc::SIGSTOP);
    wait_state(frigate.pid, 'T');
    deed();
    frigate.kill(libc::SIGCONT);
}

/// Overwrites the instruction at which a sleeping process will go on. The new one is invalid on
/// every processor.
fn write_invalid_instruction(pid: i32) {
    const ILLEGAL: [u8; 4] = if cfg!(target_arch = "x86_64") {
        [0x0f, 0x0b, 0x0f, 0x0b]
    } else {
        [0; 4]
    };
    let next = eventually("frigate asleep in a system call", || {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
        let next = call.trim().rsplit(' ').next()?.strip_prefix("0x")?;
        u64::from_str_radix(next, 16).ok()
    });
    let memory = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/mem"))
        .expect("its memory");
    memory
        .write_all_at(&ILLEGAL, next)
        .expect("its memory can be written");
}

fn queued(out: &mut Vec<Trial>) {
    scenario("signals::a_queued_signal_reaches_the_child_with_its_value").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        for (signal, value) in [
            (libc::SIGUSR1, 42),
            (RTMIN + 3, -7),
            (libc::SIGHUP, i32::MAX),
            (64, 0),
        ] {
            frigate.queue(signal, value);
            let line = frigate.wait_line("got ");
            assert!(
                line.starts_with(&format!("got {} code -1 ", signal_name(signal))),
                "{line}"
            );
            assert!(line.ends_with(&format!(" value {value}")), "{line}");
        }
    });

    scenario("signals::a_queued_signal_is_for_the_child_alone").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let member = frigate.path("member");
        let script =
            format!("fork {{to {member}; say here; report}}; await {member}; say ready; report");
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        frigate.queue(libc::SIGUSR1, 5);
        frigate.wait_line("got USR1");
        frigate.kill(libc::SIGUSR2);
        frigate.wait_line("got USR2");
        let said = eventually("the group's other member gets USR2", || {
            fs::read_to_string(&member)
                .ok()
                .filter(|text| text.contains("got USR2"))
        });
        assert!(!said.contains("USR1"), "{said}");
    });

    scenario("signals::a_queued_stop_signal_is_a_stop_and_comes_with_its_value").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=true --backoff=0.01s");
        let starts = frigate.path("starts");
        let frigate = frigate
            .puppet(format!("attempt {starts}; say ready; wait TERM; exit 0"))
            .spawn();
        frigate.wait_line("ready");
        frigate.queue(libc::SIGTERM, 77);
        let line = frigate.wait_line("got TERM");
        assert!(
            line.contains(" code -1 ") && line.ends_with(" value 77"),
            "{line}"
        );
        let path = frigate.path("starts");
        let starts = eventually("its one start", || fs::read(&path).ok());
        assert_eq!(starts.len(), 1);
        frigate.wait().expect_code(0);
    });

    scenario("signals::no_real_time_signal_is_lost_and_none_overtakes").run(out, |mode| {
        const COUNT: i32 = 300;
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frozen(&frigate, || {
            (1..=COUNT).for_each(|value| frigate.queue(RTMIN + 2, value));
        });
        for value in 1..=COUNT {
            let line = frigate.wait_line("got 36 ");
            assert!(
                line.ends_with(&format!(" value {value}")),
                "instead of {value}: {line}"
            );
        }
    });
}

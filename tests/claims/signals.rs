//! Signals: `doc/specification.md#signals`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::Instant;

use libtest_mimic::Trial;

use crate::support::capability::{BASH, ROOT, STRACE};
use crate::support::frigate::binary;
use crate::support::sys::{ALL, bit};
use crate::support::{
    Ended, Frigate, Mode, Running, eventually, note, procfs, scenario, wait_state,
};

/// The signals that ask frigate to stop unless `--stop-on` says otherwise.
const STOP_SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Every signal that frigate forwards without doing anything else.
fn plain_signals() -> impl Iterator<Item = i32> {
    let special = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD];
    (1..=64).filter(move |signal| !special.contains(signal) && !STOP_SIGNALS.contains(signal))
}

/// The first real-time signal as kill(1) and Docker count: the C library keeps 32 and 33 for
/// itself.
const RTMIN: i32 = 34;

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    forwarding(out);
    queued(out);
    mask_and_dispositions(out);
    roles(out);
    windows(out);
    at_any_moment(out);
    between_starts(out);
    refusals(out);
    out_of_reach(out);
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
        // Without stop signals all of them are alike.
        let frigate = Frigate::new(mode)
            .options("--stop-on=none")
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        let signals = (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal));
        assert_eq!(sweep(&frigate, signals), 61);
        // With the usual ones each of these is forwarded as well, and brings CONT with it.
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
        sabotage(frigate.pid);
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
            // The kernel gives the lowest number first; CONT is what thawed frigate.
            assert_eq!(order, ["HUP", "USR2", "CONT", "WINCH", "34", "41"]);
        },
    );
}

/// Returns the name of the next signal that the puppet reports.
#[track_caller]
fn got(frigate: &Running) -> String {
    let line = frigate.wait_line("got ");
    line.split_whitespace().nth(1).expect("a name").to_owned()
}

/// Sends frigate each of these signals and waits until the child reports it. Returns how many the
/// child got. CHLD must not arrive: what the child reports next must be the signal after it.
#[track_caller]
fn sweep(frigate: &Running, signals: impl Iterator<Item = i32>) -> usize {
    let mut count = 0;
    // One after another, because CONT and the signals that stop a process discard each other while
    // they are pending.
    for signal in signals {
        frigate.kill(signal);
        if signal != libc::SIGCHLD {
            assert_eq!(got(frigate), signal_name(signal));
            count += 1;
        }
    }
    count
}

fn signal_name(signal: i32) -> String {
    crate::support::names::name(signal)
}

fn signal_number(name: &str) -> i32 {
    crate::support::names::number(name)
}

/// Does something while frigate stands still, so that it finds all signals at once afterwards.
fn frozen(frigate: &Running, deed: impl FnOnce()) {
    frigate.kill(libc::SIGSTOP);
    wait_state(frigate.pid, 'T');
    deed();
    frigate.kill(libc::SIGCONT);
}

/// Overwrites the instruction at which a sleeping process will go on with one that no processor
/// has.
fn sabotage(pid: i32) {
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

fn mask_and_dispositions(out: &mut Vec<Trial>) {
    scenario("signals::the_child_gets_back_an_empty_mask_and_default_dispositions").run(
        out,
        |mode| {
            let ended = Frigate::new(mode).puppet("mask").run();
            ended.expect_code(0);
            assert_eq!(ended.out, format!("mask {:016x} ignored {:016x}\n", 0, 0));
        },
    );

    scenario("signals::the_child_gets_back_exactly_the_mask_and_dispositions_frigate_had").run(
        out,
        |mode| {
            let blocked = [
                libc::SIGUSR1,
                libc::SIGTERM,
                libc::SIGCHLD,
                32,
                33,
                RTMIN,
                64,
            ];
            let ignored = [
                libc::SIGHUP,
                libc::SIGPIPE,
                libc::SIGCHLD,
                libc::SIGTSTP,
                33,
                40,
            ];
            let as_mask =
                |signals: &[i32]| signals.iter().fold(0, |mask, &signal| mask | bit(signal));
            let ended = Frigate::new(mode)
                .blocked(&blocked)
                .ignored(&ignored)
                .puppet("mask")
                .run();
            ended.expect_code(0);
            assert_eq!(
                ended.out,
                format!(
                    "mask {:016x} ignored {:016x}\n",
                    as_mask(&blocked),
                    as_mask(&ignored)
                )
            );
        },
    );

    scenario("signals::all_signals_blocked_before_frigate_are_blocked_in_the_child").run(
        out,
        |mode| {
            let all: Vec<i32> = (1..=64).collect();
            let ended = Frigate::new(mode)
                .blocked(&all)
                .ignored(&all)
                .puppet("mask")
                .run();
            let possible = ALL & !bit(libc::SIGKILL) & !bit(libc::SIGSTOP);
            assert_eq!(
                ended.out,
                format!("mask {possible:016x} ignored {possible:016x}\n")
            );
        },
    );

    scenario("signals::a_restarted_child_gets_the_same_mask_and_dispositions").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=10ms");
        let starts = frigate.path("starts");
        let script = format!("attempt {starts}; mask; on 1 {{exit 1}}");
        let ended = frigate
            .blocked(&[libc::SIGUSR2, 35])
            .ignored(&[libc::SIGPIPE])
            .puppet(script)
            .run();
        ended.expect_code(0);
        let line = format!(
            "mask {:016x} ignored {:016x}\n",
            bit(libc::SIGUSR2) | bit(35),
            bit(libc::SIGPIPE)
        );
        assert_eq!(ended.out, line.repeat(2));
    });

    scenario("signals::frigate_installs_no_handler_and_resets_nothing_but_chld").run(out, |mode| {
        let ignored = [libc::SIGHUP, libc::SIGPIPE, libc::SIGCHLD, 50];
        let frigate = Frigate::new(mode)
            .ignored(&ignored)
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        let field = |name| procfs::status_field(frigate.pid, name).expect("its status");
        assert_eq!(field("SigCgt"), "0".repeat(16));
        assert_eq!(
            field("SigIgn"),
            format!("{:016x}", bit(libc::SIGHUP) | bit(libc::SIGPIPE) | bit(50))
        );
    });

    scenario("signals::chld_inherited_as_ignored_costs_no_exit_code").run(out, |mode| {
        let frigate = Frigate::new(mode).ignored(&[libc::SIGCHLD]);
        frigate
            .puppet("orphan {exit 9}; nap 20; exit 23")
            .run()
            .expect_code(23)
            .expect_nothing_left();
    });
}

fn roles(out: &mut Vec<Trial>) {
    scenario("signals::a_stopped_child_is_continued_after_a_stop_signal_and_can_die").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .puppet("say ready; plain; stop; nap 60000")
                .spawn();
            frigate.wait_line("ready");
            wait_state(frigate.only_child(), 'T');
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(143).expect_nothing_left();
        },
    );

    scenario("signals::the_group_gets_cont_after_the_stop_signal").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
        frigate.wait_line("got CONT");
    });

    scenario("signals::a_tstp_that_a_process_sent_stops_the_child_and_not_frigate").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .puppet("open TSTP; open CONT; say ready; nap 60000")
                .spawn();
            frigate.wait_line("ready");
            let child = frigate.only_child();
            frigate.kill(libc::SIGTSTP);
            wait_state(child, 'T');
            assert_ne!(
                procfs::process(frigate.pid).map(|process| process.state),
                Some('T')
            );
            frigate.kill(libc::SIGCONT);
            wait_state(child, 'S');
        },
    );

    scenario("signals::stop_on_says_which_signals_stop").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--stop-on USR1,RTMIN+1")
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
        frigate.kill(libc::SIGWINCH);
        let next = frigate.wait_line("got ");
        assert!(
            next.starts_with("got WINCH"),
            "TERM was taken as a stop: {next}"
        );
        frigate.kill(RTMIN + 1);
        let both = [frigate.wait_line("got "), frigate.wait_line("got ")];
        assert!(
            both.iter().any(|line| line.starts_with("got 35 ")),
            "{both:?}"
        );
        assert!(
            both.iter().any(|line| line.starts_with("got CONT ")),
            "{both:?}"
        );
    });

    scenario("signals::stop_signal_is_what_the_child_is_sent").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--stop-signal SIGINT")
            .puppet("say ready; wait CONT; exit 0")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let first = frigate.wait_line("got ");
        assert!(first.starts_with("got INT"), "{first}");
        frigate.wait().expect_code(0);
    });

    scenario("signals::signal_names_and_numbers_mean_the_same_in_any_case").run(out, |mode| {
        let words = [
            ("USR1", libc::SIGUSR1),
            ("SIGUSR1", libc::SIGUSR1),
            ("sigusr1", libc::SIGUSR1),
            ("uSr1", libc::SIGUSR1),
            ("10", libc::SIGUSR1),
            ("RTMIN", RTMIN),
            ("RTMIN+3", RTMIN + 3),
            ("SIGRTMAX-1", 63),
            ("sigrtmax", 64),
            ("64", 64),
            ("33", 33),
        ];
        for (word, signal) in words {
            let frigate = Frigate::new(mode).option("--stop-signal").option(word);
            let frigate = frigate
                .puppet(format!("say ready; wait {signal}; exit 0"))
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait_line(&format!("got {} ", signal_name(signal)));
            frigate.wait().expect_code(0);
        }
    });

    scenario("signals::rewrite_treats_one_signal_as_another").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--rewrite HUP:USR1 --rewrite USR1:USR2 --rewrite=RTMIN+1:WINCH");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        // What a signal was rewritten to is not rewritten once more.
        for (sent, got) in [
            (libc::SIGHUP, "got USR1"),
            (libc::SIGUSR1, "got USR2"),
            (RTMIN + 1, "got WINCH"),
        ] {
            frigate.kill(sent);
            let line = frigate.wait_line("got ");
            assert!(line.starts_with(got), "{line}");
        }
    });

    scenario("signals::rewrite_to_0_drops_a_signal").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--rewrite USR1:0 --rewrite TERM:0");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGUSR1);
        frigate.kill(libc::SIGTERM);
        frigate.kill(libc::SIGWINCH);
        let line = frigate.wait_line("got ");
        assert!(line.starts_with("got WINCH"), "{line}");
    });

    scenario("signals::a_signal_rewritten_to_a_stop_signal_stops").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--rewrite USR1:TERM --restart=true");
        let frigate = frigate.puppet("say ready; wait TERM; exit 0").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGUSR1);
        frigate.wait_line("got TERM");
        frigate.wait().expect_code(0);
    });

    scenario("signals::a_stop_signal_rewritten_to_another_is_sent_as_that").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--rewrite TERM:QUIT")
            .puppet("say ready; wait CONT; exit 0")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let first = frigate.wait_line("got ");
        assert!(first.starts_with("got QUIT"), "{first}");
        frigate.wait().expect_code(0);
    });

    scenario("signals::pdeathsig_comes_when_frigates_own_parent_dies").run(out, |mode| {
        let frigate = Frigate::new(mode).with_parent().options("--pdeathsig TERM");
        let frigate = frigate.puppet("say ready; wait TERM; exit 6").spawn();
        frigate.wait_line("ready");
        crate::support::sys::kill(frigate.middle.expect("a parent"), libc::SIGKILL)
            .expect("it lives");
        frigate.wait_line("got TERM");
        frigate.wait().expect_code(6);
    });

    scenario("signals::without_pdeathsig_frigate_outlives_its_parent").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .with_parent()
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        let parent = frigate.middle.expect("a parent");
        crate::support::sys::kill(parent, libc::SIGKILL).expect("it lives");
        eventually("the parent's end", || {
            procfs::process(frigate.pid).filter(|process| process.parent != parent)
        });
        frigate.kill(libc::SIGUSR1);
        let line = frigate.wait_line("got ");
        assert!(line.starts_with("got USR1"), "{line}");
    });

    scenario("signals::pdeathsig_is_not_handed_on_to_the_child").run(out, |mode| {
        let frigate = Frigate::new(mode).with_parent().options("--pdeathsig USR1");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        crate::support::sys::kill(frigate.middle.expect("a parent"), libc::SIGKILL)
            .expect("it lives");
        // Once: from frigate, which forwards it like any other.
        frigate.wait_line("got USR1");
        frigate.kill(libc::SIGUSR2);
        let next = frigate.wait_line("got ");
        assert!(next.starts_with("got USR2"), "{next}");
    });
}

/// The system calls that start a process.
const STARTS: &str = "clone,clone3,fork,vfork";

fn is_start(call: i64) -> bool {
    let mut starts = vec![libc::SYS_clone, libc::SYS_clone3];
    #[cfg(target_arch = "x86_64")]
    starts.extend([libc::SYS_fork, libc::SYS_vfork]);
    starts.contains(&call)
}

/// The system call that a process is in, if it is in one.
fn call_of(pid: i32) -> Option<i64> {
    fs::read_to_string(format!("/proc/{pid}/syscall"))
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Waits until a process is held up by strace at the door of a system call.
pub fn wait_held(what: &str, find: impl Fn() -> Option<i32>, wanted: impl Fn(i64) -> bool) {
    eventually(what, || {
        let pid = find()?;
        let held = procfs::process(pid)?.state == 't';
        (held && wanted(call_of(pid)?)).then_some(())
    });
}

fn first_child(frigate: &Running) -> Option<i32> {
    frigate.children().first().map(|child| child.pid)
}

/// What a filter of system calls may refuse.
fn refusals(out: &mut Vec<Trial>) {
    /// A tracer in front of the program, which sees it from its first instruction on and none of
    /// the launcher's calls.
    fn refusing(call: &str, when: &str) -> Vec<OsString> {
        let words = [
            "/usr/bin/env",
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
        ]
        .map(OsString::from);
        words
            .into_iter()
            .chain([format!("inject={call}:error=EPERM{when}").into()])
            .collect()
    }

    for (name, call, script, words) in [
        (
            "signals::waiting_that_is_refused_is_said_and_ends_frigate",
            "rt_sigtimedwait",
            "exec /bin/sleep 1000",
            "cannot wait for 'signals'",
        ),
        (
            "signals::reaping_that_is_refused_is_said_and_ends_frigate",
            "wait4",
            "exit 0",
            "cannot reap 'children'",
        ),
        (
            "signals::blocking_that_is_refused_is_said_and_starts_nothing",
            "rt_sigprocmask",
            "",
            "cannot block 'signals'",
        ),
    ] {
        scenario(name).needs(&[&STRACE]).run(out, move |mode| {
            let program = [refusing(call, ""), binary()].concat();
            let ended = Frigate::of_program(mode, program).puppet(script).run();
            ended.expect_code(125);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(
                ended.err.contains(words) && ended.err.contains("operation not permitted"),
                "{ended:#?}"
            );
        });
    }

    scenario("signals::a_refusal_after_the_start_is_written_to_the_log_opened_before_it")
        .needs(&[&STRACE])
        .run(out, |mode| {
            let program = [refusing("wait4", ""), binary()].concat();
            let frigate = Frigate::of_program(mode, program);
            let (log, victim) = (frigate.path("log"), frigate.file("victim", "mine"));
            let kept = std::fs::File::open(&victim).expect("it is there");
            let frigate = frigate.option(format!("--termination-log={log}"));
            frigate
                .command(["ln", "-sf", &victim, &log])
                .run()
                .expect_code(125);
            assert_eq!(std::io::read_to_string(kept).expect("text"), "mine");
        });

    scenario("signals::a_child_whose_mask_cannot_be_given_back_is_not_executed")
        .needs(&[&STRACE, &BASH])
        .run(out, |mode| {
            // Refused is the first call of each process: the shell's, before it becomes frigate,
            // and the child's.
            let shell = ["bash", "-c", "exec $UNDER_TEST \"$@\"", "bash"].map(OsString::from);
            let program = [refusing("rt_sigprocmask", ":when=1"), shell.to_vec()].concat();
            let ended = Frigate::of_program(mode, program)
                .named_programs()
                .command(["echo", "here"])
                .run();
            ended.expect_code(126);
            assert_eq!(ended.out, "");
            assert!(ended.err.contains("operation not permitted"), "{ended:#?}");
        });

    scenario("signals::pidfds_that_are_refused_are_no_obstacle")
        .needs(&[&STRACE])
        .run(out, |mode| {
            // By the way that shares memory, by the fork with a pidfd; the third attempt does
            // without.
            let inject = "inject=clone:error=EPERM:when=1..2";
            let frigate = Frigate::new(mode)
                .strace(["trace=clone", inject])
                .tracing_frigate_alone();
            let ended = frigate
                .options("--restart=unexpected")
                .puppet("say here; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "here\n");
        });
}

/// A child that is not where its group is, or not frigate's to signal.
fn out_of_reach(out: &mut Vec<Trial>) {
    /// A child that has left its group, in which a process of its own stays.
    fn astray(frigate: Frigate, deeds: &str) -> Running {
        let member = frigate.path("member");
        let script = format!(
            "fork {{touch {member}; report}}; await {member}; leave {{wait TERM}}; say ready; {deeds}"
        );
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        frigate
    }

    scenario(
        "signals::a_child_that_has_left_its_group_hears_signals_while_another_process_is_in_it",
    )
    .run(out, |mode| {
        let frigate = astray(Frigate::new(mode), "report");
        for (signal, line) in [(libc::SIGUSR1, "got USR1"), (libc::SIGTERM, "got TERM")] {
            frigate.kill(signal);
            // Both of them get it.
            frigate.wait_line(line);
            frigate.wait_line(line);
        }
    });

    scenario("signals::a_child_that_has_left_its_group_gets_kill").run(out, |mode| {
        let frigate = astray(Frigate::new(mode).options("--grace=200ms"), "report");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(137).expect_nothing_left();
        assert_eq!(ended.messages().len(), 1, "{ended:#?}");
    });

    scenario("signals::a_child_that_may_not_be_signalled_is_said_and_left_behind")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = Frigate::new(mode).uid(4711);
            let program = frigate.copy_of_own_program("set-user-id");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("it is ours");
            let frigate = frigate
                .command([program.as_str(), "--puppet", "become 0; say ready; pause"])
                .spawn();
            assert_eq!(frigate.wait_line("become"), "become 0: done");
            frigate.wait_line("ready");
            let asked = Instant::now();
            frigate.kill(libc::SIGTERM);
            frigate.wait_message("cannot send TERM to '");
            let ended = frigate.wait();
            ended.expect_code(137);
            let [refused, left] = ended.messages()[..] else {
                panic!("two lines: {ended:#?}")
            };
            assert!(refused.contains("operation not permitted"), "{refused}");
            assert!(
                left.contains("frigate is not allowed to signal it; leaving it behind"),
                "{left}"
            );
            note(format!(
                "a child that may not be signalled was left behind after {:?}",
                asked.elapsed()
            ));
        });
}

/// TERM came at a moment when the child may not have been able to report it, so it either died of
/// it or said so.
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
            // Not later, while it waits: the kernel counts a signal that is waited for as not
            // blocked.
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

    // A child may share frigate's memory until its exec, and before Linux 5.16 a core dump ended
    // everybody who did.
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
                .expect("it is ours");
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
            // TERM waits for the exec to be over; frigate does not, and sends KILL.
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
            // The child that was being started gets the signal; or it is not started at all, and
            // the code is the first one's.
            assert!(matches!(ended.code(), Some(143 | 3 | 1)), "{ended:#?}");
            ended.expect_nothing_left();
        });

    scenario("signals::a_signal_before_exec_reaches_the_child")
        .needs(&[&STRACE])
        .run(out, move |mode| {
            // The child is started with them blocked, so they wait for the program instead of
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

/// Lets some time pass that is short and different in every round, so that all moments of a start
/// have their turn.
fn dawdle(round: u32) {
    let until =
        std::time::Instant::now() + std::time::Duration::from_micros(u64::from(round * 137 % 6000));
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn at_any_moment(out: &mut Vec<Trial>) {
    scenario("signals::a_term_at_any_moment_of_the_start_takes_effect").run(out, |mode| {
        for round in 0..60 {
            // It is blocked from before frigate's first instruction on, and so cannot come too
            // early.
            let frigate = Frigate::new(mode)
                .blocked(&[libc::SIGTERM])
                .puppet("wait TERM; exit 3")
                .spawn();
            dawdle(round);
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
            dawdle(round);
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
            dawdle(round);
            frigate.kill(libc::SIGTERM);
            // 143 where it met a child that had not begun to block signals.
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

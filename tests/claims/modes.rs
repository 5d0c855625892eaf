//! What frigate does instead of running a command: `doc/specification.md#modes`. `probe.rs` has the
//! claims on `--probe`.

mod pause;
mod status;

use libtest_mimic::Trial;

use crate::support::capability::ROOT;
use crate::support::sys::bit;
use crate::support::{Frigate, Mode, frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    mistakes(out);
    signals(out);
    replacements(out);
    status::trials(out);
    pause::trials(out);
}

/// Returns the words that call the binary under test.
fn own_words() -> String {
    let words = frigate::binary();
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn mistakes(out: &mut Vec<Trial>) {
    scenario("modes::a_mistake_is_one_line_and_125").run(out, |mode| {
        for (words, line) in [
            (
                "--signal=STOP",
                "cannot use '--signal=STOP': expected a signal such as TERM, SIGTERM, 15 or RTMIN+3, \
                 other than CHLD and STOP",
            ),
            ("--signal", "cannot use '--signal': it needs a value"),
            (
                "--signal=HUP --grace=5s",
                "cannot use '--grace': it does not belong to --signal",
            ),
            (
                "--signal=HUP --probe=file:/etc/passwd",
                "cannot use '--signal': it does not belong to --probe",
            ),
            (
                "--signal=HUP -- /bin/true",
                "cannot start '/bin/true': --signal runs no command",
            ),
            (
                "--exec --restart=true -- /bin/true",
                "cannot use '--restart': it does not belong to --exec",
            ),
            (
                "--exec",
                "cannot start 'COMMAND': none was given; usage: frigate [OPTIONS] [--] COMMAND [ARG...]",
            ),
            (
                "--exec --chroot=/no/such /bin/true",
                "cannot change the root to '/no/such': no such file or directory",
            ),
        ] {
            let ended = Frigate::new(mode).options(words).run();
            ended.expect_code(125);
            assert_eq!(ended.err, format!("frigate: {line}\n"), "{words}");
            assert_eq!(ended.out, "", "{words}");
        }
    });

    scenario("modes::no_variable_turns_a_run_into_a_mode").run(out, |mode| {
        let ended = Frigate::new(mode)
            .env("FRIGATE_INIT_SIGNAL", "TERM")
            .env("FRIGATE_INIT_EXEC", "1")
            .puppet("fork {exit 0}; reap; exit 7")
            .run();
        ended.expect_code(7).expect_silence();
    });
}

fn signals(out: &mut Vec<Trial>) {
    scenario("modes::a_signal_reaches_the_command_by_way_of_pid_1")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let own = own_words();
            let ended = Frigate::new(mode)
                .env("FRIGATE_INIT_GRACE", "7s")
                .puppet(format!(
                    "fork {{exec {own} --signal=USR2}}; wait USR2; exit 4"
                ))
                .run();
            ended.expect_code(4).expect_silence();
        });

    scenario("modes::a_signal_that_stops_pid_1_ends_the_container")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let own = own_words();
            let ended = Frigate::new(mode)
                .puppet(format!(
                    "fork {{exec {own} --signal TERM}}; wait TERM; exit 5"
                ))
                .run();
            ended.expect_code(5).expect_nothing_left();
        });

    scenario("modes::a_signal_that_is_not_permitted_is_one_line_and_1")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let own = own_words();
            let ended = Frigate::new(mode)
                .options("--user=1234:1234")
                .puppet(format!("exec {own} --signal=HUP"))
                .run();
            ended.expect_code(1);
            assert!(
                ended
                    .err
                    .starts_with("frigate: cannot send 'HUP': operation not permitted"),
                "{ended:#?}"
            );
            assert_eq!(ended.err.lines().count(), 1, "{ended:#?}");
        });

    scenario("modes::a_frigate_that_is_pid_1_sends_itself_no_signal")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode).options("--signal=HUP").run();
            ended.expect_code(1);
            assert_eq!(
                ended.err,
                "frigate: cannot send 'HUP': this frigate is PID 1 itself; call it beside the \
                 frigate that is\n"
            );
        });
}

fn replacements(out: &mut Vec<Trial>) {
    scenario("modes::exec_leaves_the_command_in_frigates_place")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .options("--exec")
                .env("FRIGATE_RESTARTS", "5")
                .env("FRIGATE_INIT_GRACE", "banana")
                .puppet("field Pid; environment FRIGATE_RESTARTS; exit 7")
                .run();
            ended.expect_code(7).expect_silence();
            assert_eq!(ended.out, "Pid: 1\nenvironment FRIGATE_RESTARTS 5\n");
        });

    scenario("modes::exec_gives_back_the_mask_and_the_dispositions").run(out, |mode| {
        let (blocked, ignored) = ([libc::SIGUSR1, 64], [libc::SIGPIPE, libc::SIGCHLD]);
        let of = |signals: [i32; 2]| signals.into_iter().map(bit).sum::<u64>();
        let ended = Frigate::new(mode)
            .options("--exec")
            .blocked(&blocked)
            .ignored(&ignored)
            .puppet("mask")
            .run();
        ended.expect_code(0).expect_silence();
        let expected = format!("mask {:016x} ignored {:016x}\n", of(blocked), of(ignored));
        assert_eq!(ended.out, expected);
    });

    scenario("modes::exec_leaves_the_same_descriptors_as_a_start").run(out, |mode| {
        let numbers = |options: &str| {
            let ended = Frigate::new(mode)
                .options(options)
                .descriptor(7, "/dev/zero")
                .puppet("descriptors")
                .run();
            ended.expect_code(0).expect_silence();
            let lines = ended.out.lines();
            let numbers = lines.filter_map(|line| line.split(' ').nth(1));
            numbers.map(str::to_owned).collect::<Vec<_>>()
        };
        let of_exec = numbers("--exec");
        assert!(of_exec.contains(&String::from("7")), "{of_exec:?}");
        assert_eq!(of_exec, numbers(""));
    });

    scenario("modes::exec_sets_user_directory_and_privileges")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .options("--exec --user=1234:2345 --workdir=/ --no-new-privs")
                .puppet("field Uid; field Gid; field CapEff; field NoNewPrivs; directory")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(
                ended.out,
                "Uid: 1234 1234 1234 1234\nGid: 2345 2345 2345 2345\nCapEff: 0000000000000000\n\
                 NoNewPrivs: 1\ndirectory /\n"
            );
        });

    scenario("modes::an_exec_that_fails_has_the_code_of_a_start_that_fails").run(out, |mode| {
        for (command, code) in [("/no/such/command", 127), ("nosuch", 127), ("/", 126)] {
            let of_exec = Frigate::new(mode)
                .options("--exec")
                .command([command])
                .run();
            of_exec.expect_code(code);
            let of_start = Frigate::new(mode).command([command]).run();
            // A start's line ends with the exit code.
            let line = of_exec.err.trim_end();
            assert!(
                line.starts_with("frigate: cannot execute ") && of_start.err.starts_with(line),
                "{of_exec:#?} {of_start:#?}"
            );
        }
    });
}

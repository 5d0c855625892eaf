//! What frigate does instead of running a command: `doc/specification.md#modes`. `probe.rs` has the
//! claims on `--probe`.

use libtest_mimic::Trial;

use crate::support::capability::ROOT;
use crate::support::{Frigate, Mode, frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    mistakes(out);
    signals(out);
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
            .puppet("exit 7")
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

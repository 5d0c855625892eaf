//! Programs that say by their exit code whether a service is well.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{expect_healthy, expect_timeout, expect_unhealthy, probe};
use crate::support::{Ended, Frigate, Mode, eventually, own_program, scenario};

/// The target that runs the puppet.
fn puppet(script: &str) -> String {
    format!("exec:'{}' --puppet '{script}'", own_program().display())
}

/// Probes with the puppet as the program.
#[track_caller]
fn probe_puppet(mode: Mode, script: &str, options: &str) -> (String, Ended) {
    let target = puppet(script);
    let ended = probe(mode, &target, options);
    (target, ended)
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("probe::exit_code_0_of_a_program_is_healthy").run(out, |mode| {
        let (_, ended) = probe_puppet(mode, "say hello; exit 0", "");
        expect_healthy(&ended);
        ended.expect_nothing_left();
    });

    scenario("probe::another_end_of_a_program_is_unhealthy").run(out, |mode| {
        let (target, ended) = probe_puppet(mode, "exit 3", "");
        expect_unhealthy(&ended, &target, "exited with code 3");
        let (target, ended) = probe_puppet(mode, "die TERM", "");
        expect_unhealthy(&ended, &target, "was ended by TERM");
    });

    scenario("probe::a_program_that_is_not_there_is_unhealthy").run(out, |mode| {
        let ended = probe(mode, "exec:no-such-program -q", "");
        expect_unhealthy(
            &ended,
            "exec:no-such-program -q",
            "cannot be started: no such file or directory",
        );
    });

    scenario("probe::a_program_that_hangs_is_ended_with_its_group").run(out, |mode| {
        let timeout = Duration::from_millis(700);
        let (target, ended) = probe_puppet(mode, "fork {report}; report", "--health-timeout=700ms");
        expect_timeout(&ended, &target, timeout);
        ended.expect_nothing_left();
    });

    scenario("probe::a_signal_that_ends_the_probe_ends_its_program").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let begun = frigate.path("begun");
        let target = puppet(&format!("touch {begun}; report"));
        let frigate = frigate
            .option(format!("--probe={target}"))
            .options("--health-timeout=1h")
            .spawn();
        eventually("the program", || Path::new(&begun).exists().then_some(()));
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(128 + libc::SIGTERM).expect_silence();
        ended.expect_nothing_left();
    });

    scenario("probe::a_program_gets_its_words_and_the_probes_environment").run(out, |mode| {
        let frigate = Frigate::new(mode).env("PROBED", "yes");
        let written = frigate.file("written", "");
        let mut read = fs::File::open(&written).expect("it is ours");
        let script = format!(r#"printf "%s|" "$0" "$@" "$PROBED" > {written}"#);
        let words = r#"'a b' "c\"d" e\ f '' $HOME"#;
        let ended = frigate
            .option(format!("--probe=exec:sh -c '{script}' {words}"))
            .run();
        expect_healthy(&ended);
        let text = io::read_to_string(&mut read).expect("text");
        assert_eq!(text, r#"a b|c"d|e f||$HOME|yes|"#);
    });
}

//! The mode `--probe`: `doc/specification.md#one-check`.

mod files;
mod network;
mod programs;

use std::time::Duration;

use libtest_mimic::Trial;

use crate::support::{Ended, Frigate, Mode, scenario, servers};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    network::trials(out);
    files::trials(out);
    programs::trials(out);
    mistakes(out);
}

/// Probes a target.
#[track_caller]
fn probe(mode: Mode, target: &str, options: &str) -> Ended {
    Frigate::new(mode)
        .option(format!("--probe={target}"))
        .options(options)
        .run()
}

/// Checks that the target is healthy, and that nothing is said of it.
#[track_caller]
fn expect_healthy(ended: &Ended) {
    ended.expect_code(0).expect_silence();
    assert_eq!(ended.out, "", "{ended:#?}");
}

/// Checks that the target is unhealthy, for this reason.
#[track_caller]
fn expect_unhealthy(ended: &Ended, target: &str, reason: &str) {
    ended.expect_code(1);
    assert_eq!(ended.out, "", "{ended:#?}");
    let line = format!("frigate: '{target}' is unhealthy: {reason}\n");
    assert_eq!(ended.err, line, "{ended:#?}");
}

/// What a slow machine may take longer than the time-out, before that counts as no time-out at all.
const MARGIN: Duration = Duration::from_secs(10);

/// Checks that the target did not answer in time, and that the probe did not wait much longer.
#[track_caller]
fn expect_timeout(ended: &Ended, target: &str, timeout: Duration) {
    let reason = format!("no answer within {} ms", timeout.as_millis());
    expect_unhealthy(ended, target, &reason);
    // What the test takes to start the probe is no part of the time that is measured.
    let shortest = timeout * 3 / 4;
    assert!(
        ended.took > shortest && ended.took < timeout + MARGIN,
        "{ended:#?}"
    );
}

fn mistakes(out: &mut Vec<Trial>) {
    scenario("probe::a_mistake_is_one_line_and_125").run(out, |mode| {
        for (words, line) in [
            (
                "--probe=http://db/",
                "cannot use '--probe=http://db/': its host is no address and not localhost, and \
                 frigate looks up no names; expected one such as 127.0.0.1, [::1] or localhost",
            ),
            (
                "--probe=notify",
                "cannot use '--probe=notify': a probe cannot hear the child's messages",
            ),
            ("--probe", "cannot use '--probe': it needs a value"),
            (
                "--probe=file:/etc/passwd --grace=5s",
                "cannot use '--grace': it does not belong to --probe",
            ),
            (
                "--probe=file:/etc/passwd -- /bin/true",
                "cannot start '/bin/true': --probe runs no command",
            ),
            (
                "--probe=file:/etc/passwd --health-timeout=never",
                "cannot use '--health-timeout=never': expected a duration of at most 1000000h, such as \
                 500ms, 10s, 2m, 1h, 1.5 (seconds)",
            ),
        ] {
            let ended = Frigate::new(mode).options(words).run();
            ended.expect_code(125);
            assert_eq!(ended.err, format!("frigate: {line}\n"), "{words}");
            assert_eq!(ended.out, "", "{words}");
        }
    });

    scenario("probe::the_variables_of_the_container_change_nothing").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let beat = frigate.file("beat", "");
        let ended = frigate
            .option(format!("--probe=file:{beat}"))
            .env("FRIGATE_INIT_RESTART", "unexpected")
            .env("FRIGATE_INIT_GRACE", "banana")
            .env("FRIGATE_INIT_VERBOSE", "2")
            .env("FRIGATE_INIT_CHROOT", "/no/such")
            .run();
        expect_healthy(&ended);
    });

    scenario("probe::no_variable_turns_a_run_into_a_probe").run(out, |mode| {
        let ended = Frigate::new(mode)
            .env("FRIGATE_INIT_PROBE", "file:/no/such/file")
            .puppet("exit 7")
            .run();
        ended.expect_code(7).expect_silence();
    });

    scenario("probe::it_ends_by_a_signal_as_other_programs_do").run(out, |mode| {
        let port = servers::silent();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            let frigate = Frigate::new(mode)
                .option(format!("--probe=http://127.0.0.1:{port}/"))
                .options("--health-timeout=1h")
                .spawn();
            servers::wait_for_client(port);
            frigate.kill(signal);
            frigate.wait().expect_code(128 + signal).expect_silence();
        }
    });
}

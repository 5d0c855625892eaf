//! Standard streams whose owner becomes the user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libtest_mimic::Trial;
use nix::unistd::mkfifo;

use super::{inside, rooted, with_database};
use crate::support::capability::ROOT;
use crate::support::{Input, Mode, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    streams(out);
}

#[track_caller]
fn owner(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("the file exists").uid()
}

fn streams(out: &mut Vec<Trial>) {
    scenario("user::streams_that_are_pipes_can_be_opened_again_by_the_user")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let ended = with_database(mode)
                .options("--user app")
                .puppet("to /dev/stdout; say out; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "out\n");
            for user in ["app", "app:alone", "4711:3333"] {
                let script = "to /proc/self/fd/1; say out; to /proc/self/fd/2; say err; exit 0";
                let ended = inside(rooted(mode).option(format!("--user={user}")), script).run();
                ended.expect_code(0);
                assert_eq!(
                    (ended.out.as_str(), ended.err.as_str()),
                    ("out\n", "err\n"),
                    "--user={user}"
                );
            }
        });

    scenario("user::standard_input_that_is_a_pipe_can_be_opened_again_by_the_user")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).input(Input::Pipe).options("--user app");
            let mut frigate = frigate.command(["/bin/cat", "/proc/self/fd/0"]).spawn();
            frigate.write_input("one\n");
            frigate.wait_line("one");
            frigate.close_input();
            frigate.wait().expect_code(0).expect_silence();
        });

    scenario("user::as_pid_1_a_terminal_can_be_opened_again_by_the_user")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).terminal().options("--user app");
            let ended = inside(
                frigate,
                "to /proc/self/fd/1; say out; to /proc/self/fd/2; say err; exit 0",
            )
            .run();
            ended.expect_code(0);
            let said: Vec<_> = ended.out.lines().collect();
            assert_eq!(said, ["out", "err"], "{ended:#?}");
        });

    scenario("user::a_terminal_outside_of_a_container_keeps_its_owner")
        .only(Mode::Subreaper)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_database(mode).terminal().options("--user app");
            let frigate = frigate.puppet("say ready; wait TERM; exit 0").spawn();
            frigate.wait_line("ready");
            assert_eq!(
                owner(frigate.terminal.as_ref().expect("a terminal").path()),
                0
            );
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(0);
        });

    scenario("user::a_refused_start_changes_no_owner")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_database(mode).terminal().options("--user app");
            let log = frigate.path("missing/log");
            let frigate = frigate
                .option(format!("--stdout={log}"))
                .puppet("say started")
                .spawn();
            frigate.wait_line("cannot open");
            assert_eq!(
                owner(frigate.terminal.as_ref().expect("a terminal").path()),
                0
            );
            frigate.wait().expect_code(125);
        });

    scenario("user::a_fifo_with_a_name_keeps_its_owner")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_database(mode).options("--user app");
            let fifo = frigate.path("fifo");
            mkfifo(
                fifo.as_str(),
                nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
            )
            .expect("a FIFO");
            // Open both ends, so that no process waits for the other end.
            let _both = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&fifo)
                .expect("the trial owns it");
            let frigate = frigate
                .descriptor(0, &fifo)
                .puppet("say ready; wait TERM; exit 0")
                .spawn();
            frigate.wait_line("ready");
            assert_eq!(owner(&fifo), 0);
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(0).expect_silence();
        });

    scenario("user::a_device_that_is_everybodys_stays_so")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // Use a device of the trial's own, so that a fault does not reach the machine's.
            let frigate = rooted(mode).options("--user app");
            let null = frigate.path("null");
            let made = std::process::Command::new("mknod")
                .args(["-m", "666", &null, "c", "1", "3"])
                .status();
            assert!(made.expect("mknod").success(), "no device {null}");
            assert_eq!(owner(&null), 0);
            let frigate = frigate.bind(&null, "/dev/null");
            let frigate = inside(frigate, "say ready; wait TERM; exit 0").spawn();
            frigate.wait_line("ready");
            assert_eq!(owner(&null), 0);
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(0);
        });
}

//! `--status`: `doc/specification.md#state-of-the-command`.

use std::fs;
use std::os::unix::fs::symlink;

use libtest_mimic::Trial;

use super::own_words;
use crate::support::capability::ROOT;
use crate::support::frigate::Running;
use crate::support::scenario::Scenario;
use crate::support::{Frigate, Mode, eventually, frigate, own_program, scenario};

/// A puppet that ends by USR1 alone.
const STUBBORN: &str = "say up; wait USR1; exit 3";

pub(super) fn trials(out: &mut Vec<Trial>) {
    states(out);
    readers(out);
    areas(out);
}

/// Begins a scenario in which frigate is PID 1.
fn of_init(name: &'static str) -> Scenario {
    scenario(name).only(Mode::Pid1)
}

/// Returns what frigate shows in place of its arguments.
fn arguments(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/cmdline")).expect("it is alive")
}

/// Waits until frigate shows this, with the name of the puppet's program after it.
#[track_caller]
fn wait_shown(frigate: &Running, text: &str) {
    let own = own_program();
    let name = own.file_name().expect("a name").to_string_lossy();
    let expected = format!("frigate: {text} {name}");
    eventually(&expected, || {
        let shown = arguments(frigate.pid);
        let line = shown.split(|byte| *byte == 0).next();
        (line == Some(expected.as_bytes())).then_some(())
    });
}

fn states(out: &mut Vec<Trial>) {
    of_init("modes::status_is_starting_until_the_command_is_ready").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let ready = frigate.path("ready");
        let running = frigate
            .options(&format!("--ready=file:{ready} --ready-within=0"))
            .puppet(STUBBORN)
            .spawn();
        running.wait_line("up");
        wait_shown(&running, "starting - 0");
        fs::write(&ready, "").expect("a file");
        wait_shown(&running, "up - 0");
        running.kill(libc::SIGUSR1);
        running.wait().expect_code(3).expect_silence();
    });

    of_init("modes::status_is_waiting_in_a_pause_and_counts_restarts").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let attempts = frigate.path("attempts");
        let running = frigate
            .options("--restart=true --restart-on=HUP --backoff=1h --backoff-max=1h --quiet")
            .puppet(format!("attempt {attempts}; on 2 {{{STUBBORN}}}; exit 1"))
            .spawn();
        wait_shown(&running, "waiting - 0");
        running.kill(libc::SIGHUP);
        running.wait_line("up");
        wait_shown(&running, "up - 1");
        running.kill(libc::SIGUSR1);
        wait_shown(&running, "waiting - 1");
        running.kill(libc::SIGTERM);
        running.wait().expect_code(3);
    });

    of_init("modes::status_is_stopping_until_the_command_has_ended").run(out, |mode| {
        for options in ["", "--stop-delay=1h"] {
            let running = Frigate::new(mode).options(options).puppet(STUBBORN).spawn();
            running.wait_line("up");
            wait_shown(&running, "up - 0");
            running.kill(libc::SIGTERM);
            wait_shown(&running, "stopping - 0");
            running.kill(libc::SIGUSR1);
            running.wait().expect_code(3).expect_silence();
        }
    });

    of_init("modes::status_is_ended_while_leftovers_are_ended").run(out, |mode| {
        let running = Frigate::new(mode)
            .options("--leftovers=1h")
            .puppet("orphan {say left; wait USR1}; wait USR2; exit 4")
            .spawn();
        running.wait_line("left");
        wait_shown(&running, "up - 0");
        running.kill(libc::SIGUSR2);
        wait_shown(&running, "ended - 0");
        for process in running.children() {
            crate::support::sys::kill(process.pid, libc::SIGUSR1).expect("it is alive");
        }
        running.wait().expect_code(4).expect_nothing_left();
    });

    of_init("modes::status_has_the_health_of_the_command").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let beat = frigate.path("beat");
        let running = frigate
            .options(&format!("--health=file:{beat} --health-interval=100ms"))
            .options("--health-start=1h --health-retries=1000000 --health-timeout=1h")
            .puppet(STUBBORN)
            .spawn();
        running.wait_line("up");
        wait_shown(&running, "up starting 0");
        fs::write(&beat, "").expect("a file");
        wait_shown(&running, "up healthy 0");
        fs::remove_file(&beat).expect("it is there");
        wait_shown(&running, "up failing 0");
        fs::write(&beat, "").expect("a file");
        wait_shown(&running, "up healthy 0");
        running.kill(libc::SIGUSR1);
        running.wait().expect_code(3);
    });

    of_init("modes::status_has_what_the_command_reports_until_its_end").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let attempts = frigate.path("attempts");
        let running = frigate
            .options("--ready=notify --restart=true --backoff=1ms --quiet")
            .puppet(format!(
                "attempt {attempts}; on 1 {{notify STATUS=half done|READY=1; wait USR2; \
                 notify STATUS=done; wait USR1; exit 1}}; notify READY=1; {STUBBORN}"
            ))
            .spawn();
        let report = || {
            let shown = arguments(running.pid);
            let word = shown.split(|byte| *byte == 0).nth(1);
            String::from_utf8_lossy(word.unwrap_or_default()).into_owned()
        };
        wait_shown(&running, "up - 0");
        assert_eq!(report(), "half done");
        running.kill(libc::SIGUSR2);
        eventually("another report", || (report() == "done").then_some(()));
        running.kill(libc::SIGUSR1);
        running.wait_line("up");
        wait_shown(&running, "up - 1");
        assert_eq!(report(), "");
        running.kill(libc::SIGTERM);
        running.kill(libc::SIGUSR1);
        running.wait().expect_code(3);
    });

    of_init("modes::status_is_unhealthy_while_the_command_is_stopped_for_it").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let beat = frigate.file("beat", "");
        let running = frigate
            .options(&format!("--health=file:{beat} --health-interval=100ms"))
            .options("--health-retries=1 --health-timeout=1h --grace=1h --quiet")
            .puppet(STUBBORN)
            .spawn();
        running.wait_line("up");
        wait_shown(&running, "up healthy 0");
        fs::remove_file(&beat).expect("it is there");
        wait_shown(&running, "stopping unhealthy 0");
        running.kill(libc::SIGUSR1);
        running.wait().expect_code(3);
    });
}

fn readers(out: &mut Vec<Trial>) {
    of_init("modes::status_tells_how_the_command_of_pid_1_is").run(out, |mode| {
        let own = own_words();
        let program = own_program();
        let name = program.file_name().expect("a name").to_string_lossy();
        for (options, words, shown, code, expected) in [
            (
                "",
                "--status",
                "up - 0",
                0,
                format!("frigate: '{name}' is up, 0 restarts\n"),
            ),
            (
                "--ready=file:/no/such --ready-within=0",
                "--status",
                "starting - 0",
                1,
                format!("frigate: '{name}' is starting, 0 restarts\n"),
            ),
            (
                "--health=file:/no/such --health-start=1h",
                "--status",
                "up starting 0",
                1,
                format!("frigate: '{name}' is up, health not known yet, 0 restarts\n"),
            ),
            (
                "--health=file:/no/such --health-start=1h",
                "--status --log-format=json",
                "up starting 0",
                1,
                format!(
                    "{{\"state\":\"up\",\"health\":\"starting\",\"restarts\":0,\"name\":\"{name}\"}}\n"
                ),
            ),
        ] {
            // The command asks for its own status, and its exit code is frigate's.
            let running = Frigate::new(mode)
                .options(options)
                .puppet(format!("say ready; wait USR1; exec {own} {words}"))
                .spawn();
            running.wait_line("ready");
            wait_shown(&running, shown);
            running.kill(libc::SIGUSR1);
            let ended = running.wait();
            ended.expect_code(code).expect_silence();
            let line = ended.out.lines().last().expect("a line");
            assert_eq!(format!("{line}\n"), expected, "{options}");
        }
    });

    of_init("modes::status_is_read_by_any_user_on_a_read_only_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let own = own_words();
            let running = Frigate::new(mode)
                .read_only()
                .options("--user=1234:1234 --no-new-privs")
                .puppet(format!("say ready; wait USR1; exec {own} --status"))
                .spawn();
            running.wait_line("ready");
            wait_shown(&running, "up - 0");
            running.kill(libc::SIGUSR1);
            let ended = running.wait();
            ended.expect_code(0).expect_silence();
            assert!(ended.out.ends_with(" is up, 0 restarts\n"), "{ended:#?}");
        });

    of_init("modes::status_of_another_pid_1_is_one_line_and_125").run(out, |mode| {
        let own = own_words();
        // The puppet is PID 1, and shows words as it was given them.
        let deeds = format!("fork {{exec {own} --status}}; reap; exit 7");
        for first in ["frigate", "frigate: up - 0 nginx"] {
            let program = own_program().into_os_string();
            let ended = Frigate::of_program(mode, [program])
                .bare_command(["--puppet", deeds.as_str(), first])
                .run();
            ended.expect_code(7);
            assert_eq!(
                ended.err,
                "frigate: cannot read '/proc/1/cmdline': PID 1 is no frigate that shows its \
                 state\n"
            );
            assert_eq!(ended.out, "");
        }
    });

    scenario("modes::status_without_its_own_proc_is_one_line_and_125")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            // An empty root that holds the binary alone.
            let frigate = Frigate::new(mode);
            let (root, binary) = (frigate.path("root"), frigate::binary());
            fs::create_dir(&root).expect("a directory");
            fs::copy(&binary[0], format!("{root}/frigate")).expect("a copy");
            let ended = frigate
                .options(&format!("--chroot={root}"))
                .command(["/frigate", "--status"])
                .run();
            if ended.code() == Some(127) {
                // The debug binary needs a loader, which that root lacks.
                assert!(ended.err.contains("interpreter"), "{ended:#?}");
                return;
            }
            ended.expect_code(125);
            assert_eq!(
                ended.err,
                "frigate: cannot read '/proc/1/cmdline': no such file or directory; --status needs \
                 the /proc of this PID namespace, mounted without hidepid\n"
            );
        });

    of_init("modes::status_of_a_frigate_that_is_pid_1_itself_is_refused").run(out, |mode| {
        let ended = Frigate::new(mode).options("--status").run();
        ended.expect_code(125);
        assert_eq!(
            ended.err,
            "frigate: cannot read '/proc/1/cmdline': this frigate is PID 1 itself; call it beside \
             the frigate that is\n"
        );
    });

    scenario("modes::status_mistakes_are_one_line_and_125").run(out, |mode| {
        for (words, line) in [
            (
                "--status --grace=5s",
                "cannot use '--grace': it does not belong to --status",
            ),
            (
                "--status --signal=HUP",
                "cannot use '--signal': it does not belong to --status",
            ),
            (
                "--status -- /bin/true",
                "cannot start '/bin/true': --status runs no command",
            ),
        ] {
            let ended = Frigate::new(mode).options(words).run();
            ended.expect_code(125);
            assert_eq!(ended.err, format!("frigate: {line}\n"), "{words}");
        }
    });
}

fn areas(out: &mut Vec<Trial>) {
    scenario("modes::a_frigate_that_is_not_pid_1_keeps_its_arguments")
        .only(Mode::Subreaper)
        .run(out, |mode| {
            let running = Frigate::new(mode).puppet(STUBBORN).spawn();
            running.wait_line("up");
            let shown = arguments(running.pid);
            let first = shown.split(|byte| *byte == 0).next();
            let own = frigate::binary();
            assert_eq!(first, Some(own[0].as_encoded_bytes()));
            running.kill(libc::SIGUSR1);
            running.wait().expect_code(3);
        });

    of_init("modes::the_status_fills_the_arguments_and_leaves_the_environment_alone").run(
        out,
        |mode| {
            let long = format!("/{}", "x".repeat(4000));
            let running = Frigate::new(mode)
                .option(format!("--termination-log={long}"))
                .env("CANARY", "sings")
                .puppet(STUBBORN)
                .spawn();
            running.wait_line("up");
            wait_shown(&running, "up - 0");
            let shown = arguments(running.pid);
            assert!(shown.len() > 4000, "the area has the size of all arguments");
            let end = shown.iter().position(|byte| *byte == 0).expect("an end");
            assert!(
                shown[end..].iter().all(|byte| *byte == 0),
                "something follows the status"
            );
            let environment = fs::read(format!("/proc/{}/environ", running.pid)).expect("own user");
            let mut entries = environment.split(|byte| *byte == 0);
            assert!(entries.any(|entry| entry == b"CANARY=sings"));
            running.kill(libc::SIGUSR1);
            running.wait().expect_code(3);
        },
    );

    of_init("modes::every_start_gets_the_words_of_the_command_unchanged").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let attempts = frigate.path("attempts");
        let script = format!("args; attempt {attempts}; on 3 {{exit 0}}; exit 1");
        let long = "y".repeat(5000);
        let ended = frigate
            .options("--restart=unexpected --start-retries=5 --backoff=10ms --quiet")
            .command([
                own_program().into_os_string(),
                "--puppet".into(),
                script.into(),
                "".into(),
                "two words".into(),
                long.into(),
                std::os::unix::ffi::OsStringExt::from_vec(vec![0xff, b'=']),
            ])
            .run();
        ended.expect_code(0).expect_silence();
        let lines: Vec<_> = ended.out.lines().collect();
        assert_eq!(lines.len() % 3, 0, "{ended:#?}");
        let starts: Vec<_> = lines.chunks(lines.len() / 3).collect();
        assert!(starts[0].iter().any(|line| line.contains("yyyy")));
        assert_eq!(starts[0], starts[1]);
        assert_eq!(starts[0], starts[2]);
    });

    of_init("modes::a_short_area_cuts_the_status_from_the_right").run(out, |mode| {
        // The kernel shows an area of 4 bytes and those of the command.
        for (command, shown) in [
            ("a-server-with-a-long-name", "frigate: up - 0 a-server-with"),
            ("nginx", "frigate:"),
        ] {
            let frigate = Frigate::of_program(mode, ["./f"]);
            let directory = frigate.path("");
            symlink(&frigate::binary()[0], frigate.path("f")).expect("a link");
            frigate.executable(command, "#!/bin/sh\nread line\nexit 5\n");
            let mut running = frigate
                .env("PATH", &directory)
                .current_directory(&directory)
                .input(crate::support::frigate::Input::Pipe)
                .bare_command([command])
                .spawn();
            eventually(shown, || {
                let text = arguments(running.pid);
                text.starts_with(format!("{shown}\0").as_bytes())
                    .then_some(())
            });
            running.write_input("\n");
            running.wait().expect_code(5);
        }
    });
}

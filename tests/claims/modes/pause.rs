//! `--pause`: `doc/specification.md#without-a-command`.

use std::time::Duration;

use libtest_mimic::Trial;

use super::own_words;
use crate::support::capability::ROOT;
use crate::support::frigate::Running;
use crate::support::{Frigate, Mode, eventually, own_program, procfs, scenario, sys, wait_state};

/// What frigate reports if it is not PID 1.
const NOT_INIT: &str = "frigate: this frigate is not PID 1: it reaps its own descendants alone\n";

/// Returns what a pause writes to standard error if all is well.
fn expected_errors(mode: Mode) -> &'static str {
    if mode == Mode::Pid1 { "" } else { NOT_INIT }
}

/// Starts a process with children of these scripts. It then becomes a frigate without a command.
fn pause_with(mode: Mode, scripts: &[&str], options: &str) -> Running {
    let mut deeds: Vec<_> = scripts
        .iter()
        .map(|script| format!("fork {{{script}}}"))
        .collect();
    // A child that ends at once has ended before frigate is there.
    deeds.push("nap 50".into());
    deeds.push(format!("exec {} --pause {options}", own_words()));
    let deeds = deeds.join("; ");
    Frigate::of_program(mode, [own_program()])
        .bare_command(["--puppet", deeds.as_str()])
        .spawn()
}

/// Waits until frigate has started, so that no signal acts on the process by itself.
#[track_caller]
fn wait_started(running: &Running, mode: Mode) {
    if mode == Mode::Subreaper {
        running.wait_message("this frigate is not PID 1");
        return;
    }
    eventually("a frigate without a command", || {
        let shown = std::fs::read(format!("/proc/{}/cmdline", running.pid)).ok()?;
        shown.starts_with(b"frigate: up - 0 pause\0").then_some(())
    });
}

/// Waits until frigate has so many children.
#[track_caller]
fn wait_children(running: &Running, count: usize) {
    eventually("the children", || {
        (running.children().len() == count).then_some(())
    });
}

pub(super) fn trials(out: &mut Vec<Trial>) {
    scenario("modes::a_pause_ends_with_0_by_a_stop_signal").run(out, |mode| {
        for (options, signal) in [
            ("", libc::SIGTERM),
            ("", libc::SIGINT),
            ("--stop-on=USR1", libc::SIGUSR1),
        ] {
            let words = ["--pause", options];
            let words = words.join(" ");
            let running = Frigate::new(mode).options(&words).spawn();
            wait_started(&running, mode);
            // A signal that is none of --stop-on changes nothing.
            running.kill(libc::SIGHUP);
            running.kill(signal);
            let ended = running.wait();
            ended.expect_code(0).expect_nothing_left();
            assert_eq!(ended.err, expected_errors(mode));
            assert_eq!(ended.out, "");
        }
    });

    scenario("modes::a_pause_reaps_every_orphan").run(out, |mode| {
        let script = "say ready; wait USR1; exit 9";
        let parent = "wait USR2; orphans 200; exit 0";
        let running = pause_with(mode, &[script, parent, "exit 3", script], "");
        wait_started(&running, mode);
        wait_children(&running, 3);
        for child in running.children() {
            sys::kill(child.pid, libc::SIGUSR2).expect("it is alive");
        }
        running.wait_line("made 200 orphans");
        // The two that wait are left: all others have been reaped.
        wait_children(&running, 2);
        for child in running.children() {
            sys::kill(child.pid, libc::SIGUSR1).expect("it is alive");
        }
        wait_children(&running, 0);
        running.kill(libc::SIGTERM);
        let ended = running.wait();
        ended.expect_code(0).expect_nothing_left();
        assert_eq!(ended.err, expected_errors(mode));
    });

    scenario("modes::a_pause_gives_what_is_left_its_grace").run(out, |mode| {
        let running = pause_with(
            mode,
            &["say ready; wait TERM; nap 300; say clean; exit 0"],
            "--leftovers=1h",
        );
        running.wait_line("ready");
        wait_started(&running, mode);
        running.kill(libc::SIGTERM);
        let ended = running.wait();
        ended.expect_code(0).expect_nothing_left();
        assert!(ended.out.ends_with("clean\n"), "{ended:#?}");
        assert_eq!(ended.err, expected_errors(mode));
    });

    scenario("modes::a_pause_kills_what_does_not_end").run(out, |mode| {
        let running = pause_with(mode, &["say ready; pause"], "--leftovers=300ms");
        running.wait_line("ready");
        wait_started(&running, mode);
        running.kill(libc::SIGTERM);
        let ended = running.wait();
        ended.expect_code(0).expect_nothing_left();
        let killed = "frigate: what is left running did not end within its grace period of 300 ms; \
                      sent KILL\n";
        assert_eq!(ended.err, format!("{}{killed}", expected_errors(mode)));
    });

    scenario("modes::a_pause_waits_for_processes_that_entered_its_namespace")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let running = Frigate::new(mode).options("--pause --leftovers=1h").spawn();
            wait_started(&running, mode);
            let file = running.path("clean");
            // As `docker exec` does: the process is no child of PID 1.
            let script = format!("say ready; wait TERM; nap 300; touch {}", file.display());
            let mut guest = std::process::Command::new("nsenter")
                .args([format!("--target={}", running.pid).as_str(), "--pid"])
                .arg(own_program())
                .args(["--puppet", &script])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("nsenter is there");
            let mut line = String::new();
            let output = guest.stdout.take().expect("a pipe");
            std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)
                .expect("a line");
            assert_eq!(line, "ready\n");
            running.kill(libc::SIGTERM);
            eventually("the end of the guest", || file.exists().then_some(()));
            guest.wait().expect("it ends");
            running.wait().expect_code(0).expect_silence();
        });

    scenario("modes::a_pause_with_nothing_to_do_is_never_woken")
        .alone()
        .run(out, |mode| {
            let running = Frigate::new(mode).options("--pause -v").spawn();
            wait_started(&running, mode);
            running.kill(libc::SIGHUP);
            running.wait_message("dropped HUP: there is no command");
            wait_state(running.pid, 'S');
            let before = procfs::context_switches(running.pid);
            // Only time can show that nothing happens.
            std::thread::sleep(Duration::from_millis(2500));
            assert_eq!(procfs::context_switches(running.pid), before);
            running.kill(libc::SIGTERM);
            running.wait().expect_code(0);
        });

    scenario("modes::a_pause_shows_its_status")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let own = own_words();
            let running = pause_with(
                mode,
                &[&format!(
                    "wait USR1; fork {{exec {own} --status}}; reap; exit 0"
                )],
                "",
            );
            wait_started(&running, mode);
            let child = running.only_child();
            sys::kill(child, libc::SIGUSR1).expect("it is alive");
            running.wait_line("frigate: 'pause' is up, 0 restarts");
            wait_children(&running, 0);
            running.kill(libc::SIGTERM);
            running.wait().expect_code(0).expect_silence();
        });

    scenario("modes::pause_mistakes_are_one_line_and_125").run(out, |mode| {
        for (words, line) in [
            (
                "--pause --grace=5s",
                "cannot use '--grace': it does not belong to --pause",
            ),
            (
                "--pause -- /bin/true",
                "cannot start '/bin/true': --pause runs no command",
            ),
            (
                "--pause --leftovers=leave",
                "cannot use '--leftovers=leave': --pause ends what is left; expected a duration",
            ),
        ] {
            let ended = Frigate::new(mode).options(words).run();
            ended.expect_code(125);
            assert_eq!(ended.err, format!("frigate: {line}\n"), "{words}");
        }
    });
}

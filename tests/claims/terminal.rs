//! The terminal: `doc/specification.md#terminal`.

use libtest_mimic::Trial;

use crate::support::capability::{BASH, STRACE};
use crate::support::terminal::Terminal;
use crate::support::{
    Frigate, Mode, Running, eventually, own_program, procfs, scenario, wait_state,
};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    foreground(out);
    keys(out);
    cancel(out);
    job_control(out);
    failures(out);
}

fn foreground(out: &mut Vec<Trial>) {
    scenario("terminal::the_childs_group_becomes_the_foreground_group").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .terminal()
            .puppet("foreground; say ready; report")
            .spawn();
        frigate.wait_line("foreground Ok(true)");
        frigate.wait_line("ready");
        let group = procfs::process(frigate.only_child())
            .expect("the process is alive")
            .group;
        assert_eq!(
            frigate.terminal.as_ref().and_then(Terminal::foreground),
            Some(group)
        );
    });

    scenario("terminal::each_new_child_gets_the_foreground_after_a_restart").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--restart=unexpected --backoff=5ms")
            .terminal();
        let starts = frigate.path("starts");
        let ended = frigate
            .puppet(format!(
                "attempt {starts}; foreground; after 2 {{exit 0}}; exit 1"
            ))
            .run();
        ended.expect_code(0);
        assert_eq!(
            ended.out.matches("foreground Ok(true)").count(),
            3,
            "{ended:#?}"
        );
    });

    scenario("terminal::the_foreground_is_given_back_at_the_end").run(out, |mode| {
        // The session's leader waits for frigate, which shares its group, and then prints who has
        // the foreground.
        let frigate = Frigate::of_program(mode, [own_program()]).named_programs().terminal();
        let child = frigate.file("child", "foreground; exit 3");
        let script = format!(
            "foreground; fork {{exec $UNDER_TEST -- $self --puppet @{child}}}; reap; say after; foreground; exit 0"
        );
        let ended = frigate.option("--puppet").option(script).run();
        ended.expect_code(0);
        let lines: Vec<_> = ended.out.lines().map(str::trim_end).collect();
        assert_eq!(lines, ["foreground Ok(true)", "foreground Ok(true)", "after", "foreground Ok(true)"]);
    });

    scenario("terminal::the_foreground_is_taken_only_where_frigate_holds_it").run(out, |mode| {
        let frigate = Frigate::of_program(mode, [own_program()]).named_programs().terminal();
        let child = frigate.file("child", "foreground; exit 3");
        // The process leaves the foreground group before it becomes frigate.
        let script =
            format!("fork {{group; exec $UNDER_TEST -- $self --puppet @{child}}}; reap; say after; foreground; exit 0");
        let ended = frigate.option("--puppet").option(script).run();
        ended.expect_code(0);
        let lines: Vec<_> = ended.out.lines().map(str::trim_end).collect();
        assert_eq!(lines, ["foreground Ok(false)", "after", "foreground Ok(true)"]);
    });
}

/// Returns the lines that report signals.
fn signals(frigate: &Running) -> Vec<String> {
    let text = frigate.out().text();
    // The terminal echoes the key in front of the first.
    text.lines()
        .filter_map(|line| line.split_once("got "))
        .map(|(_, signal)| signal.trim_end().to_owned())
        .collect()
}

fn keys(out: &mut Vec<Trial>) {
    for (name, key, signal) in [
        ("terminal::ctrl_c_reaches_the_child_once", "\x03", "INT"),
        ("terminal::ctrl_z_reaches_the_child_once", "\x1a", "TSTP"),
        (
            "terminal::ctrl_backslash_reaches_the_child_once",
            "\x1c",
            "QUIT",
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let mut frigate = Frigate::new(mode)
                .terminal()
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            frigate.type_in(key);
            frigate.wait_line(&format!("got {signal} "));
            // The effects of the key come before this signal.
            frigate.kill(libc::SIGUSR1);
            frigate.wait_line("got USR1");
            let got = signals(&frigate);
            assert_eq!(got.len(), 2, "{got:?}");
            // The terminal's driver sent it, not a process.
            assert!(got[0].contains("code 128 "), "{got:?}");
        });
    }

    scenario("terminal::a_hangup_reaches_the_child").run(out, |mode| {
        let mut frigate = Frigate::new(mode).terminal();
        let said = frigate.path("said");
        frigate = frigate.puppet(format!("say ready; to {said}; wait HUP; exit 0"));
        let mut frigate = frigate.spawn();
        frigate.wait_line("ready");
        frigate.terminal = None;
        let path = frigate.path("said");
        eventually("HUP", || {
            std::fs::read_to_string(&path)
                .ok()
                .filter(|text| text.contains("got HUP"))
        });
    });

    scenario("terminal::winch_reaches_the_child").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .terminal()
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        frigate
            .terminal
            .as_ref()
            .expect("a terminal")
            .resize(50, 132);
        frigate.wait_line("got WINCH");
    });
}

fn cancel(out: &mut Vec<Trial>) {
    for (name, key, script, code) in [
        (
            "terminal::a_child_that_ctrl_c_ended_was_cancelled",
            "\x03",
            "plain; say ready; nap 60000",
            130,
        ),
        (
            "terminal::a_child_that_ctrl_backslash_ended_was_cancelled",
            "\x1c",
            "plain; say ready; nap 60000",
            131,
        ),
        (
            "terminal::a_child_that_exits_130_on_ctrl_c_was_cancelled",
            "\x03",
            "say ready; wait INT; exit 130",
            130,
        ),
        (
            "terminal::a_child_that_exits_131_on_ctrl_backslash_was_cancelled",
            "\x1c",
            "say ready; wait QUIT; exit 131",
            131,
        ),
    ] {
        scenario(name).run(out, move |mode| {
            let options = "--restart=true --start-secs=0 --backoff=1ms";
            let frigate = super::exit_code::with_log(Frigate::new(mode))
                .options(options)
                .terminal()
                .puppet(script);
            let (ended, record) = super::exit_code::run_with_log(frigate, |frigate| {
                frigate.wait_line("ready");
                frigate.type_in(key);
            });
            ended.expect_code(code).expect_nothing_left();
            assert_eq!(ended.out.matches("ready").count(), 1, "{ended:#?}");
            assert_eq!(record["outcome"], "cancel");
        });
    }

    scenario("terminal::ctrl_c_between_two_starts_stops").run(out, |mode| {
        let mut frigate = Frigate::new(mode)
            .options("--restart=true --backoff=1h")
            .terminal()
            .puppet("exit 7")
            .spawn();
        frigate.wait_line("starting it again");
        frigate.type_in("\x03");
        frigate.wait().expect_code(7).expect_nothing_left();
    });

    scenario("terminal::a_child_that_ends_otherwise_at_a_terminal_is_restarted").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--restart=unexpected --backoff=5ms")
            .terminal();
        let starts = frigate.path("starts");
        let script = format!(
            "attempt {starts}; say start $attempt; on 1 {{die TERM}}; on 2 {{exit 129}}; exit 0"
        );
        let ended = frigate.puppet(script).run();
        ended.expect_code(0);
        assert_eq!(
            ended
                .out
                .lines()
                .filter(|line| line.starts_with("start "))
                .count(),
            3,
            "{ended:#?}"
        );
    });

    scenario("terminal::without_a_terminal_130_131_and_their_signals_are_ends_like_any_other").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .options("-q --restart=unexpected --backoff=5ms --start-retries=9");
            let starts = frigate.path("starts");
            let script = format!(
                "attempt {starts}; say start $attempt; \
             on 1 {{exit 130}}; on 2 {{exit 131}}; on 3 {{die INT}}; on 4 {{die QUIT}}; exit 0"
            );
            let ended = frigate.puppet(script).run();
            ended.expect_code(0);
            assert_eq!(ended.out.matches("start ").count(), 5, "{ended:#?}");
        },
    );
}

/// A prompt that nothing else prints.
const PROMPT: &str = "=prompt=>";

/// Starts an interactive shell, by itself or as frigate's child, and waits for its prompt.
fn shell(mode: Mode, under_frigate: bool) -> Running {
    // Do without readline, whose escape sequences would only be in the way.
    let bash = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
    let frigate = if under_frigate {
        Frigate::new(mode).command(bash)
    } else {
        let path = ["/bin/bash", "/usr/bin/bash"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        Frigate::of_program(mode, [path.expect("bash is in one of its usual places")])
            .options(&bash[1..].join(" "))
    };
    let frigate = frigate
        .named_programs()
        .env("PS1", PROMPT)
        .env("TERM", "dumb")
        .terminal()
        .spawn();
    frigate.out().wait_text(PROMPT);
    frigate
}

/// Waits for the puppet's own line. The terminal also echoes the word as part of the command.
#[track_caller]
fn wait_running(shell: &Running) {
    shell.out().wait_text("running\r");
}

#[track_caller]
fn expect_no_complaint(frigate: &Running) {
    let text = frigate.out().text();
    assert!(
        !text.contains("cannot set terminal process group"),
        "{text}"
    );
    assert!(!text.contains("no job control"), "{text}");
}

fn job_control(out: &mut Vec<Trial>) {
    scenario("terminal::an_interactive_shell_has_job_control")
        .needs(&[&BASH])
        .run(out, |mode| {
            let mut shell = shell(mode, true);
            shell.type_in("\"$SELF\" --puppet 'say running; open TSTP; wait INT; exit 0'\n");
            wait_running(&shell);
            for _ in 0..2 {
                shell.type_in("\x1a");
                shell.out().wait_text("Stopped");
                shell.out().wait_text(PROMPT);
                shell.type_in("fg\n");
                shell.wait_line("got CONT");
            }
            // Ctrl-C reaches the job and not the shell, which goes on.
            shell.type_in("\x03");
            shell.wait_line("got INT");
            shell.out().wait_text(PROMPT);
            shell.type_in("exit 12\n");
            expect_no_complaint(&shell);
            shell.wait().expect_code(12).expect_nothing_left();
        });

    scenario("terminal::ctrl_z_gives_the_shell_its_prompt_and_fg_continues")
        .only(Mode::Subreaper)
        .needs(&[&BASH])
        .run(out, |mode| {
            let mut shell = shell(mode, false);
            shell.type_in(
                "\"$UNDER_TEST\" -- \"$SELF\" --puppet 'say running; open TSTP; report'\n",
            );
            wait_running(&shell);
            for _ in 0..2 {
                shell.type_in("\x1a");
                shell.out().wait_text("Stopped");
                shell.out().wait_text(PROMPT);
                shell.type_in("fg\n");
                shell.wait_line("got CONT");
                // The shell has the terminal again: a key reaches it.
                shell.type_in("\x03");
                shell.wait_line("got INT");
            }
            shell.type_in("\x1a");
            shell.out().wait_text(PROMPT);
            shell.type_in("bg\n");
            shell.wait_line("got CONT");
            shell.type_in("kill -TERM %1\n");
            shell.wait_line("got TERM");
        });

    scenario("terminal::a_frigate_in_the_background_lets_the_shell_keep_the_terminal")
        .only(Mode::Subreaper)
        .needs(&[&BASH])
        .run(out, |mode| {
            let mut shell = shell(mode, false);
            shell.type_in(
                "\"$UNDER_TEST\" -- \"$SELF\" --puppet 'foreground; wait TERM; exit 0' &\n",
            );
            shell.wait_line("foreground Ok(false)");
            shell.type_in("echo still-$((40 + 2))\n");
            shell.wait_line("still-42");
            shell.type_in("kill %1; wait %1; echo code-$?\n");
            shell.wait_line("code-0");
        });

    scenario("terminal::a_frigate_in_the_background_can_be_brought_to_the_foreground")
        .only(Mode::Subreaper)
        .needs(&[&BASH])
        .run(out, |mode| {
            let mut shell = shell(mode, false);
            // The job asks for input only once it is in the foreground. If a job stops at the very
            // moment when the shell resumes it with `fg`, the shell takes that stop for the answer,
            // whatever the job is.
            let go = shell.path("go");
            shell.type_in(&format!(
                "\"$UNDER_TEST\" -- \"$SELF\" --puppet 'say running; await {}; plain; input; nap 60000' &\n",
                go.display()
            ));
            wait_running(&shell);
            let foreground = |shell: &Running| shell.terminal.as_ref().and_then(Terminal::foreground);
            let before = foreground(&shell);
            shell.type_in("fg\n");
            eventually("the job in the foreground", || (foreground(&shell) != before).then_some(()));
            std::fs::write(&go, "").expect("a file");
            shell.type_in("typed\n");
            shell.wait_line("input typed");
        });

    scenario("terminal::where_standard_input_is_elsewhere_ctrl_c_stops_through_frigate")
        .only(Mode::Subreaper)
        .needs(&[&BASH])
        .run(out, |mode| {
            let mut shell = shell(mode, false);
            shell.type_in("\"$UNDER_TEST\" -- \"$SELF\" --puppet 'say running; wait CONT; exit 9' < /dev/null\n");
            wait_running(&shell);
            shell.type_in("\x03");
            // The terminal knows only frigate's group there, so the child got the signal from
            // frigate.
            assert!(shell.wait_line("got INT").contains("code 0 "), "{}", shell.out().text());
            shell.out().wait_text(PROMPT);
            shell.type_in("echo code-$?\n");
            shell.wait_line("code-9");
        });

    scenario("terminal::as_pid_1_a_child_that_ctrl_z_stopped_is_continued_at_once_and_said_so")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let mut frigate = Frigate::new(mode)
                .terminal()
                .puppet("open TSTP; say ready; report")
                .spawn();
            frigate.wait_line("ready");
            frigate.type_in("\x1a");
            let message = frigate.wait_line("frigate: ");
            assert!(message.contains("continued"), "{message}");
            frigate.wait_line("got CONT");
        });

    scenario("terminal::as_pid_1_a_child_that_a_process_stopped_stays_stopped")
        .only(Mode::Pid1)
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .options("-v")
                .terminal()
                .puppet("open TSTP; say ready; report")
                .spawn();
            frigate.wait_line("ready");
            let child = frigate.only_child();
            frigate.kill(libc::SIGTSTP);
            wait_state(child, 'T');
            frigate.kill(libc::SIGUSR1);
            frigate.wait_line("forwarded USR1");
            assert_eq!(
                procfs::process(child).map(|process| process.state),
                Some('T'),
                "{}",
                frigate.out().text()
            );
        });

    scenario("terminal::as_pid_1_it_stays_stopped_whatever_comes_before_frigate_learns_of_it")
        .only(Mode::Pid1)
        .needs(&[&STRACE])
        .run(out, |mode| {
            // strace holds frigate after it has sent TSTP, so that frigate finds USR1 before the
            // report that the child has stopped.
            let calls = "kill,pidfd_send_signal";
            let expressions = [
                format!("trace={calls}"),
                format!("inject={calls}:delay_exit=700000:when=1"),
            ];
            let frigate = Frigate::new(mode)
                .strace(expressions)
                .tracing_frigate_alone()
                .options("-v")
                .terminal();
            let frigate = frigate.puppet("open TSTP; say ready; report").spawn();
            frigate.wait_line("ready");
            let child = frigate.only_child();
            frigate.kill(libc::SIGTSTP);
            wait_state(child, 'T');
            // The kernel delivers WINCH after that report, because its number is higher.
            for (signal, name) in [
                (libc::SIGUSR1, "forwarded USR1"),
                (libc::SIGWINCH, "forwarded WINCH"),
            ] {
                frigate.kill(signal);
                frigate.wait_line(name);
            }
            assert_eq!(
                procfs::process(child).map(|process| process.state),
                Some('T'),
                "{}",
                frigate.out().text()
            );
        });
}

fn failures(out: &mut Vec<Trial>) {
    scenario("terminal::a_terminal_that_ctrl_s_stopped_stalls_nothing").run(out, |mode| {
        let frigate = Frigate::new(mode).options("-vv --grace=1h").terminal();
        let said = frigate.path("said");
        let mut frigate = frigate
            .puppet(format!("say ready; to {said}; wait TERM; exit 4"))
            .spawn();
        frigate.wait_line("ready");
        frigate.type_in("\x13");
        let path = frigate.path("said");
        for count in 1..=20 {
            frigate.kill(libc::SIGUSR1);
            eventually("a forwarded signal", || {
                let said = std::fs::read_to_string(&path).ok()?;
                (said.matches("got USR1").count() == count).then_some(())
            });
        }
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(4);
    });

    for (name, failure) in [
        (
            "terminal::no_failure_of_a_terminal_call_is_fatal",
            "error=EIO",
        ),
        (
            "terminal::a_terminal_that_is_taken_away_is_not_fatal",
            "error=EIO:when=2+",
        ),
        (
            "terminal::a_terminal_that_is_not_frigates_own_is_not_fatal",
            "error=ENOTTY:when=2+",
        ),
    ] {
        scenario(name).needs(&[&STRACE]).run(out, move |mode| {
            let expression = format!("inject=ioctl:{failure}");
            let frigate = Frigate::new(mode)
                .strace(["trace=ioctl", expression.as_str()])
                .terminal();
            let ended = frigate
                .options("--restart=unexpected --backoff=5ms")
                .puppet("say child; exit 0")
                .run();
            ended.expect_code(0);
            assert_eq!(
                ended.out.lines().map(str::trim_end).collect::<Vec<_>>(),
                ["child"]
            );
        });
    }
}

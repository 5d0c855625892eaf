//! System calls that are refused, and children that cannot be reached.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use libtest_mimic::Trial;

use crate::support::capability::{BASH, ROOT, STRACE};
use crate::support::frigate::binary;
use crate::support::{Frigate, Running, note, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    refusals(out);
    out_of_reach(out);
}

/// Lists the scenarios in which a filter refuses system calls.
fn refusals(out: &mut Vec<Trial>) {
    /// Returns a tracer in front of the program. It sees the program from its first instruction on,
    /// and none of the launcher's calls.
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
            let kept = std::fs::File::open(&victim).expect("the file exists");
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
            // The first call of each process is refused: the shell's, before it becomes frigate,
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

    // The first clone is one that shares frigate's memory, on x86_64 and a kernel that is new enough.
    scenario("signals::a_child_is_forked_if_sharing_memory_is_refused")
        .needs(&[&STRACE])
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .strace(["trace=clone", "inject=clone:error=EPERM:when=1"])
                .options("--restart=unexpected --backoff=1ms");
            let starts = frigate.path("starts");
            // Opened before, because the trial's directory is removed when frigate has ended.
            let path = frigate.path("strace");
            fs::write(&path, "").expect("the trial's directory");
            let mut file = fs::File::open(&path).expect("it was just written");
            let ended = frigate
                .puppet(format!("attempt {starts}; on 1 {{exit 1}}; exit 0"))
                .run();
            ended.expect_code(0).expect_nothing_left();
            let mut log = String::new();
            file.read_to_string(&mut log).expect("strace writes it");
            assert!(log.contains("EPERM"), "nothing was refused: {log}");
            let shared = log.lines().filter(|line| line.contains("CLONE_VM"));
            assert!(shared.count() <= 1, "it was tried again: {log}");
        });

    scenario("signals::pidfds_that_are_refused_are_no_obstacle")
        .needs(&[&STRACE])
        .run(out, |mode| {
            // The first attempt shares memory, and the second forks with a pidfd. The third does
            // without both.
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

/// Lists the scenarios in which the child has left its group, or frigate may not signal it.
fn out_of_reach(out: &mut Vec<Trial>) {
    /// Starts a child that has left its group, and a process of the child's that stays in the
    /// group.
    fn outside_own_group(frigate: Frigate, deeds: &str) -> Running {
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
        let frigate = outside_own_group(Frigate::new(mode), "report");
        for (signal, line) in [(libc::SIGUSR1, "got USR1"), (libc::SIGTERM, "got TERM")] {
            frigate.kill(signal);
            // Both of them get the signal.
            frigate.wait_line(line);
            frigate.wait_line(line);
        }
    });

    scenario("signals::a_child_that_has_left_its_group_gets_kill").run(out, |mode| {
        let frigate = outside_own_group(Frigate::new(mode).options("--grace=200ms"), "report");
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
            fs::set_permissions(&program, fs::Permissions::from_mode(0o4755))
                .expect("the trial owns it");
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
                "a child that frigate may not signal was left behind after {:?}",
                asked.elapsed()
            ));
        });
}

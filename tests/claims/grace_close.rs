//! `--grace-close`, which ends other processes of the command's name before each start:
//! `doc/specification.md#processes-of-the-same-name`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use crate::support::capability::{Capability, PID_NAMESPACE, ROOT, STRACE};
use crate::support::{Ended, Frigate, Mode, eventually, own_program, scenario};

/// A program that makes a PID namespace.
static UNSHARE: Capability = Capability::new("unshare", || {
    if Path::new("/usr/bin/unshare").exists() {
        Ok(())
    } else {
        Err("there is no /usr/bin/unshare".into())
    }
});

/// Returns a frigate that a script starts after other processes, so that these are in the same
/// namespace in both modes. `before` runs first. The command is the program `victim`, a copy of
/// this one.
fn after(mode: Mode, before: &str, options: &str, child: &str) -> Frigate {
    let frigate = Frigate::of_program(mode, [own_program()]).named_programs();
    frigate.copy_of_own_program("victim");
    let script = format!(
        "{before}; exec $UNDER_TEST {options} -- {} --puppet @{}",
        frigate.path("victim"),
        frigate.file("child", child)
    );
    let script = script.replace("DIR", frigate.path("").trim_end_matches('/'));
    frigate.option("--puppet").option(script)
}

/// Returns shell text that starts a process from the copy, which runs this script, and waits until
/// it does.
fn other(frigate: &mut Vec<(String, String)>, name: &str, script: &str) -> String {
    frigate.push((name.into(), script.into()));
    format!("fork {{session; exec DIR/victim --puppet @DIR/{name}}}; await DIR/{name}-is-there; ")
}

/// Gives frigate the scripts of the other processes.
fn with_scripts(frigate: Frigate, scripts: Vec<(String, String)>) -> Frigate {
    for (name, script) in scripts {
        let there = frigate.path(&format!("{name}-is-there"));
        frigate.file(&name, &format!("touch {there}; {script}"));
    }
    frigate
}

const POLITE: &str = "wait TERM; say it was asked; exit 0";
const CHILD: &str = "say child; exit 3";

/// Runs one other process of the name, and a frigate that closes it.
fn one(mode: Mode, script: &str, options: &str) -> Ended {
    let mut scripts = Vec::new();
    let before = other(&mut scripts, "other", script);
    with_scripts(after(mode, &before, options, CHILD), scripts).run()
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    closed(out);
    others_and_users(out);
    untouched(out);
}

fn closed(out: &mut Vec<Trial>) {
    scenario("grace_close::another_process_of_the_same_executable_gets_term_before_the_start").run(
        out,
        |mode| {
            let ended = one(mode, POLITE, "--grace-close");
            ended.expect_code(3);
            let asked = ended
                .out
                .find("it was asked")
                .expect("the other process got TERM");
            let child = ended.out.find("child").expect("the child ran");
            assert!(asked < child, "{ended:#?}");
            // There is only TERM, and one line for it.
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(ended.err.contains("TERM"), "{ended:#?}");
        },
    );

    scenario("grace_close::a_process_that_is_none_of_frigates_gets_term_as_well").run(
        out,
        |mode| {
            let mut scripts = Vec::new();
            let before = other(&mut scripts, "other", POLITE).replace("fork {", "orphan {");
            let ended = with_scripts(after(mode, &before, "--grace-close", CHILD), scripts).run();
            ended.expect_code(3);
            let asked = ended
                .out
                .find("it was asked")
                .expect("the other process got TERM");
            assert!(
                asked < ended.out.find("child").expect("the child ran"),
                "{ended:#?}"
            );
        },
    );

    scenario("grace_close::without_the_option_nothing_of_that_happens").run(out, |mode| {
        let ended = one(mode, "nap 300; wait TERM; exit 0", "--grace=2s");
        ended.expect_code(3).expect_silence();
        let asked = ended.out.find("got TERM").expect("as a leftover");
        let child = ended.out.find("child").expect("the child ran");
        assert!(child < asked, "{ended:#?}");
    });

    scenario("grace_close::it_gets_the_time_that_it_needs").run(out, |mode| {
        let ended = one(
            mode,
            "wait TERM; nap 500; say it was asked; exit 0",
            "--grace-close",
        );
        ended.expect_code(3);
        let asked = ended
            .out
            .find("it was asked")
            .expect("the other process got TERM");
        assert!(
            asked < ended.out.find("child").expect("the child ran"),
            "{ended:#?}"
        );
        assert_eq!(ended.messages().len(), 1, "{ended:#?}");
    });

    scenario("grace_close::after_grace_close_wait_comes_kill_and_another_line").run(out, |mode| {
        let ended = one(mode, "pause", "--grace-close --grace-close-wait 200ms");
        ended.expect_code(3);
        assert!(ended.out.contains("child"), "{ended:#?}");
        let messages = ended.messages();
        assert_eq!(messages.len(), 2, "{ended:#?}");
        assert!(
            messages[0].contains("TERM") && messages[1].contains("KILL"),
            "{ended:#?}"
        );
    });

    scenario("grace_close::one_line_for_each_process").run(out, |mode| {
        let mut scripts = Vec::new();
        let before: String = ["one", "two", "three"]
            .iter()
            .map(|name| other(&mut scripts, name, POLITE))
            .collect::<Vec<_>>()
            .concat();
        let ended = with_scripts(after(mode, &before, "--grace-close", CHILD), scripts).run();
        ended.expect_code(3);
        assert_eq!(ended.out.matches("it was asked").count(), 3, "{ended:#?}");
        assert_eq!(ended.messages().len(), 3, "{ended:#?}");
    });

    scenario("grace_close::a_process_of_the_same_argument_0_gets_term").run(out, |mode| {
        // Its executable has another name: that of the file that the link names.
        let mut scripts = Vec::new();
        let before =
            other(&mut scripts, "other", POLITE).replace("DIR/victim", "DIR/elsewhere/victim");
        let frigate = after(mode, &before, "--grace-close", CHILD);
        fs::create_dir(frigate.path("elsewhere")).expect("the trial owns the directory");
        std::os::unix::fs::symlink(own_program(), frigate.path("elsewhere/victim"))
            .expect("the trial owns the directory");
        let ended = with_scripts(frigate, scripts).run();
        ended.expect_code(3);
        assert!(
            ended.out.find("it was asked") < ended.out.find("child"),
            "{ended:#?}"
        );
        assert!(ended.out.contains("it was asked"), "{ended:#?}");
    });

    scenario("grace_close::a_process_of_the_same_executable_under_another_argument_0_gets_term")
        .run(out, |mode| {
            let mut scripts = Vec::new();
            let before = other(&mut scripts, "other", POLITE).replace("DIR/victim", "DIR/alias");
            let frigate = after(mode, &before, "--grace-close", CHILD);
            std::os::unix::fs::symlink(frigate.path("victim"), frigate.path("alias"))
                .expect("the trial owns the directory");
            let ended = with_scripts(frigate, scripts).run();
            ended.expect_code(3);
            let asked = ended
                .out
                .find("it was asked")
                .expect("the other process got TERM");
            assert!(
                asked < ended.out.find("child").expect("the child ran"),
                "{ended:#?}"
            );
        });

    scenario("grace_close::it_happens_before_every_start").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--grace-close --restart=unexpected --backoff=5ms -q");
        frigate.copy_of_own_program("victim");
        let (victim, starts, there) = (frigate.path("victim"), frigate.path("starts"), frigate.path("there"));
        let stray = frigate.file("stray", &format!("touch {there}; wait TERM; say it was asked; exit 0"));
        // If the first child leaves a process in a session of its own, that is no leftover of its
        // group, but has its name.
        let script = format!(
            "attempt {starts}; say start $attempt; \
             on 1 {{orphan {{session; exec {victim} --puppet @{stray}}}; await {there}; exit 1}}; exit 0"
        );
        let ended = frigate.command([victim.as_str(), "--puppet", &script]).run();
        ended.expect_code(0);
        let asked = ended.out.find("it was asked").expect("the other process got TERM");
        assert!(asked < ended.out.find("start 2").expect("a second start"), "{ended:#?}");
    });

    scenario("grace_close::a_stop_while_others_end_starts_nothing").run(out, |mode| {
        let mut scripts = Vec::new();
        let before = other(
            &mut scripts,
            "other",
            "wait TERM; say asked; wait TERM; nap 200; exit 0",
        );
        let frigate = with_scripts(after(mode, &before, "--grace-close", CHILD), scripts).spawn();
        frigate.wait_line("asked");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(143).expect_nothing_left();
        assert!(!ended.out.contains("child"), "{ended:#?}");
    });
}

/// Lists the scenarios with other processes, and users, that frigate must treat with care.
fn others_and_users(out: &mut Vec<Trial>) {
    // A read of it takes the lock of that process's memory, and a hostile process need not release
    // it.
    scenario("grace_close::the_command_line_of_another_users_process_is_never_read").needs(&[&ROOT, &STRACE]).run(
        out,
        |mode| {
            let before = "fork {say ours $pid; touch DIR/ours; wait TERM; exit 0}; await DIR/ours; \
                fork {become 65534; say stranger $pid; touch DIR/stranger; wait TERM; exit 0}; await DIR/stranger; ";
            let frigate = after(mode, before, "--grace-close", CHILD).strace(["trace=openat"]).tracing_frigate_alone();
            let log = frigate.path("strace");
            let frigate = frigate.spawn();
            let pid = |line: String| line.rsplit(' ').next().expect("a pid").to_owned();
            let (ours, stranger) = (pid(frigate.wait_line("ours ")), pid(frigate.wait_line("stranger ")));
            let mut log = eventually("the log", || fs::File::open(&log).ok());
            frigate.wait().expect_code(3);
            let log = std::io::read_to_string(&mut log).expect("text");
            assert!(log.contains(&format!("\"{ours}/cmdline\"")), "{log}");
            assert!(log.contains(&format!("\"{stranger}/stat\"")), "{log}");
            assert!(!log.contains(&format!("\"{stranger}/cmdline\"")), "{log}");
        },
    );

    for (name, uid, is_found) in [
        (
            "grace_close::a_process_of_the_childs_user_is_found_by_its_argument_0",
            65534,
            true,
        ),
        (
            "grace_close::a_process_of_a_third_user_is_not_found_by_its_argument_0",
            65533,
            false,
        ),
    ] {
        scenario(name).needs(&[&ROOT]).run(out, move |mode| {
            let mut scripts = Vec::new();
            let as_user = format!("session; become {uid}; exec DIR/elsewhere");
            let before =
                other(&mut scripts, "other", POLITE).replace("session; exec DIR", &as_user);
            let frigate = after(mode, &before, "--grace-close --user=65534:65534", CHILD);
            fs::create_dir(frigate.path("elsewhere")).expect("the trial owns the directory");
            std::os::unix::fs::symlink(own_program(), frigate.path("elsewhere/victim"))
                .expect("the trial owns the directory");
            let ended = with_scripts(frigate, scripts).run();
            ended.expect_code(3);
            let asked = ended
                .out
                .find("it was asked")
                .expect("before the start, or as a leftover");
            assert_eq!(
                asked < ended.out.find("child").expect("the child ran"),
                is_found,
                "{ended:#?}"
            );
        });
    }

    scenario("grace_close::a_process_of_a_namespace_below_with_many_groups_is_not_touched")
        .needs(&[&ROOT, &UNSHARE])
        .run(out, |mode| {
            let mut scripts = Vec::new();
            let before = other(&mut scripts, "other", POLITE)
                .replace("exec DIR", "exec $UNSHARE --pid --fork DIR");
            let frigate =
                after(mode, &before, "--grace-close", CHILD).env("UNSHARE", "/usr/bin/unshare");
            // In `status`, their line has more than 4,096 bytes and stands before that of the ids.
            let groups: Vec<u32> = (1_000_000..1_000_600).collect();
            let ended = with_scripts(frigate.groups(&groups), scripts).run();
            ended.expect_code(3).expect_silence();
            let asked = ended
                .out
                .find("it was asked")
                .expect("it gets TERM at the end");
            assert!(
                ended.out.find("child").expect("the child ran") < asked,
                "{ended:#?}"
            );
        });

    scenario("grace_close::more_processes_than_descriptors_are_ended_in_rounds").run(out, |mode| {
        const COUNT: usize = 25;
        let mut scripts = Vec::new();
        let before: String = (0..COUNT)
            .map(|one| other(&mut scripts, &format!("other{one}"), POLITE))
            .collect();
        let frigate = after(mode, &before, "--grace-close", CHILD).max_files(12);
        let ended = with_scripts(frigate, scripts).run();
        ended.expect_code(3);
        let asked = ended
            .out
            .split("child")
            .next()
            .unwrap_or_default()
            .matches("it was asked")
            .count();
        assert_eq!(asked, COUNT, "{ended:#?}");
        assert_eq!(ended.messages().len(), COUNT, "{ended:#?}");
    });

    scenario("grace_close::without_descriptors_it_is_said_that_others_may_run").run(out, |mode| {
        let mut scripts = Vec::new();
        let before = other(&mut scripts, "other", POLITE);
        let ended = with_scripts(
            after(mode, &before, "--grace-close", CHILD).max_files(5),
            scripts,
        )
        .run();
        ended.expect_code(3);
        assert!(
            ended
                .err
                .contains("cannot look for other processes in '/proc': too many open files"),
            "{ended:#?}"
        );
    });
}

fn untouched(out: &mut Vec<Trial>) {
    scenario("grace_close::a_process_of_another_name_is_not_touched").run(out, |mode| {
        let mut scripts = Vec::new();
        // Its name begins like the command's.
        let before = other(&mut scripts, "other", "report").replace("DIR/victim", "DIR/victims");
        let frigate = after(mode, &before, "--grace-close --grace=200ms", CHILD);
        frigate.copy_of_own_program("victims");
        let ended = with_scripts(frigate, scripts).run();
        ended.expect_code(3);
        // It gets TERM only as a leftover, after the child has ended.
        assert!(
            ended.out.find("child") < ended.out.find("got TERM"),
            "{ended:#?}"
        );
        assert!(ended.out.contains("child"), "{ended:#?}");
    });

    scenario("grace_close::an_ancestor_of_the_same_name_is_not_touched").only(Mode::Subreaper).run(out, |mode| {
        let frigate = Frigate::of_program(mode, [own_program()]).named_programs();
        frigate.copy_of_own_program("victim");
        let (victim, child) = (frigate.path("victim"), frigate.file("child", CHILD));
        let ancestor = frigate.file(
            "ancestor",
            &format!("fork {{exec $UNDER_TEST --grace-close -- {victim} --puppet @{child}}}; reap; say alive; report"),
        );
        let running = frigate.option("--puppet").option(format!("exec {victim} --puppet @{ancestor}")).spawn();
        running.wait_line("child");
        running.wait_line("alive");
        assert!(!running.out().text().contains("got "), "{}", running.out().text());
        assert_eq!(running.err().text(), "");
    });

    scenario("grace_close::pid_1_of_the_same_name_is_not_touched")
        .only(Mode::Subreaper)
        .run(out, |mode| {
            // This very program holds the namespace.
            let ended = Frigate::new(mode)
                .options("--grace-close")
                .puppet("say child; exit 3")
                .run();
            ended.expect_code(3).expect_silence();
        });

    scenario("grace_close::frigate_itself_is_not_touched").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--grace-close");
        let name = std::path::PathBuf::from(&crate::support::frigate::binary()[0]);
        let same = frigate.copy_of_own_program(
            name.file_name()
                .and_then(|name| name.to_str())
                .expect("a plain name"),
        );
        let ended = frigate
            .command([same.as_str(), "--puppet", "say child; exit 3"])
            .run();
        ended.expect_code(3).expect_silence();
    });

    scenario("grace_close::processes_of_a_namespace_below_are_not_touched")
        .needs(&[&ROOT, &UNSHARE])
        .run(out, |mode| {
            let mut scripts = Vec::new();
            let before = other(&mut scripts, "other", POLITE)
                .replace("exec DIR", "exec $UNSHARE --pid --fork DIR");
            let frigate =
                after(mode, &before, "--grace-close", CHILD).env("UNSHARE", "/usr/bin/unshare");
            let ended = with_scripts(frigate, scripts).run();
            ended.expect_code(3).expect_silence();
            // It gets TERM only as a leftover, after the child has ended.
            let asked = ended
                .out
                .find("it was asked")
                .expect("it gets TERM at the end");
            assert!(
                ended.out.find("child").expect("the child ran") < asked,
                "{ended:#?}"
            );
        });

    scenario("grace_close::processes_outside_the_pid_namespace_are_not_touched")
        .needs(&[&PID_NAMESPACE])
        .run(out, |mode| {
            let frigate = Frigate::new(mode).options("--grace-close");
            frigate.copy_of_own_program("victim");
            let victim = frigate.path("victim");
            let mut outside = Command::new(&victim);
            let outside = outside
                .args(["--puppet", "wait USR1; exit 7"])
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            let mut outside = outside.spawn().expect("the copy runs");
            let ended = frigate.command([victim.as_str(), "--puppet", CHILD]).run();
            let pid = outside.id().cast_signed();
            // It blocks every signal from its first moment on. So once it has begun, this signal
            // cannot come too early.
            eventually("it has begun", || {
                let blocked = crate::support::procfs::status_field(pid, "SigCgt")?;
                let called = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
                (blocked.chars().all(|digit| digit == '0')
                    && called.starts_with(&libc::SYS_rt_sigtimedwait.to_string()))
                .then_some(())
            });
            crate::support::sys::kill(pid, libc::SIGUSR1).expect("the process is alive");
            let status = outside.wait().expect("the process ends");
            assert_eq!(status.code(), Some(7), "{ended:#?}");
            ended.expect_code(3).expect_silence();
        });
}

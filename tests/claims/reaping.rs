//! Reaping, sleeping, and the child's leftovers: `doc/specification.md#reaping`.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::capability::{Capability, MANY_PROCESSES, ROOT, STRACE};
use crate::support::{
    Ended, Frigate, Mode, Running, eventually, note, own_program, procfs, scenario, wait_state,
};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    orphans(out);
    idle(out);
    leftovers(out);
    unreapable_leftovers(out);
    strangers(out);
    between_starts(out);
}

fn orphans(out: &mut Vec<Trial>) {
    scenario("reaping::orphans_come_to_frigate").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .puppet("orphan {session; pause}; say ready; report")
            .spawn();
        frigate.wait_line("ready");
        eventually("two children", || {
            (frigate.children().len() == 2).then_some(())
        });
    });

    scenario("reaping::an_orphan_is_reaped_as_soon_as_it_ends").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (go, gone) = (frigate.path("go"), frigate.path("gone"));
        let script =
            format!("orphan {{say orphan; await {go}; touch {gone}; exit 5}}; say ready; report");
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        eventually("two children", || {
            (frigate.children().len() == 2).then_some(())
        });
        fs::write(frigate.path("go"), "").expect("the trial owns the directory");
        eventually("the orphan's last deed", || {
            frigate.path("gone").exists().then_some(())
        });
        frigate.only_child();
    });

    scenario("reaping::orphans_are_reaped_before_exit").run(out, |mode| {
        let ended = Frigate::new(mode).puppet("orphans 200; exit 3").run();
        ended.expect_code(3).expect_silence().expect_nothing_left();
    });

    scenario("reaping::orphans_are_reaped_between_two_starts").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=1h");
        let frigate = frigate
            .puppet("orphan {session; wait TERM; exit 0}; orphans 50; exit 1")
            .spawn();
        frigate.wait_message("starting it again");
        // The process that left the group lives: it is no leftover before the end.
        frigate.only_child();
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(1).expect_nothing_left();
    });

    scenario("reaping::twenty_thousand_orphans_at_once_leave_no_zombie_and_cost_no_memory")
        .needs(&[&MANY_PROCESSES])
        .alone()
        .run(out, |mode| {
            const COUNT: usize = 20_000;
            let frigate = Frigate::new(mode);
            let script = format!("say ready; wait USR1; orphans {COUNT}; say done; report");
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_line("ready");
            let before = procfs::anonymous_kib(frigate.pid);
            frigate.kill(libc::SIGUSR1);
            frigate.wait_line(&format!("made {COUNT} orphans"));
            let ended = Instant::now();
            frigate.wait_line("done");
            frigate.only_child();
            let (took, after) = (ended.elapsed(), procfs::anonymous_kib(frigate.pid));
            note(format!(
                "{COUNT} orphans reaped within {took:?}; {before} KiB of its own before, {after} KiB after"
            ));
            assert!(after <= before + 64, "grew from {before} to {after} KiB");
        });

    scenario("reaping::a_signal_is_forwarded_amid_a_flood_of_orphans")
        .alone()
        .run(out, |mode| {
            let frigate = Frigate::new(mode);
            let script = "fork {repeat 40 {orphans 50}; say flood over}; say ready; report";
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_line("ready");
            for _ in 0..20 {
                frigate.kill(libc::SIGUSR1);
                frigate.wait_line("got USR1");
            }
            frigate.wait_line("flood over");
        });
}

fn idle(out: &mut Vec<Trial>) {
    for (name, options) in [
        ("reaping::with_nothing_to_do_frigate_is_never_woken", ""),
        (
            "reaping::with_nothing_to_do_a_frigate_that_would_restart_is_never_woken",
            "--restart=true --start-secs=1s",
        ),
    ] {
        scenario(name).alone().run(out, move |mode| {
            let frigate = Frigate::new(mode)
                .options(options)
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGUSR1);
            frigate.wait_line("got USR1");
            wait_state(frigate.pid, 'S');
            let before = procfs::context_switches(frigate.pid);
            // Only time can show that nothing happens.
            std::thread::sleep(Duration::from_millis(2500));
            let after = procfs::context_switches(frigate.pid);
            assert_eq!(after - before, 0, "woken while idle");
        });
    }
}

/// The script of a leftover that needs half a second to end after TERM.
const SLOW: &str = "say left; wait TERM; nap 500; say clean; exit 0";

#[track_caller]
fn expect_clean(ended: &Ended, code: i32) {
    ended
        .expect_code(code)
        .expect_nothing_left()
        .expect_silence();
    assert!(
        ended.out.contains("got TERM") && ended.out.contains("clean"),
        "{ended:#?}"
    );
}

fn leftovers(out: &mut Vec<Trial>) {
    scenario("reaping::a_leftover_that_traps_term_and_needs_half_a_second_gets_it").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            let file = frigate.path("left");
            let script = format!("fork {{touch {file}; {SLOW}}}; await {file}; exit 5");
            expect_clean(&frigate.puppet(script).run(), 5);
        },
    );

    scenario("reaping::a_leftover_in_a_session_of_its_own_gets_it_too").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.path("left");
        let script = format!("orphan {{session; touch {file}; {SLOW}}}; await {file}; exit 6");
        expect_clean(&frigate.puppet(script).run(), 6);
    });

    scenario("reaping::a_leftovers_own_children_get_it_too").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.path("left");
        let script = format!(
            "orphan {{session; fork {{session; touch {file}; {SLOW}}}; wait TERM; reap; exit 0}}; await {file}; exit 7"
        );
        expect_clean(&frigate.puppet(script).run(), 7);
    });

    scenario("reaping::a_leftover_gets_term_and_cont").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.path("left");
        let script = format!(
            "fork {{touch {file}; wait TERM; wait CONT; say both; exit 0}}; await {file}; exit 0"
        );
        let ended = frigate.puppet(script).run();
        ended.expect_code(0).expect_silence();
        assert!(ended.out.contains("both"), "{ended:#?}");
    });

    scenario("reaping::a_stopped_leftover_is_continued_and_dies").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let script = "fork {plain; stop; nap 60000}; say ready; wait USR1; exit 0";
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        eventually("a stopped process", || {
            frigate
                .descendants()
                .into_iter()
                .find(|process| process.state == 'T')
        });
        frigate.kill(libc::SIGUSR1);
        frigate.wait().expect_code(0).expect_nothing_left();
    });

    scenario("reaping::a_leftover_that_does_not_end_is_killed_after_the_grace_period").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).options("--leftovers=400ms");
            let file = frigate.path("left");
            let script = format!(
                "fork {{touch {file}; pause}}; orphan {{session; pause}}; await {file}; exit 8"
            );
            let ended = frigate.puppet(script).run();
            ended.expect_code(8).expect_nothing_left();
            assert!(ended.took >= Duration::from_millis(400), "{ended:#?}");
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(ended.err.contains("KILL"), "{ended:#?}");
        },
    );

    scenario("reaping::without_a_stop_the_time_of_leftovers_begins_with_the_childs_end").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--leftovers=1500ms");
        let file = frigate.path("left");
        let script = format!(
            "fork {{touch {file}; wait TERM; nap 800; say most of it; report}}; await {file}; nap 1600; exit 0"
        );
        let ended = frigate.puppet(script).run();
        ended.expect_code(0).expect_nothing_left();
        assert!(ended.out.contains("most of it"), "{ended:#?}");
    });

    scenario("reaping::after_a_stop_leftovers_have_the_rest_of_the_grace_period").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--grace=4s");
        let file = frigate.path("left");
        let script =
            format!("orphan {{session; touch {file}; pause}}; await {file}; say ready; wait TERM; nap 3500; exit 0");
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        let asked = Instant::now();
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(0).expect_nothing_left();
        let took = asked.elapsed();
        // Another whole period would make it 7.5 s.
        assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(7), "{took:?}");
        note(format!("--grace 4s, child ended after 3.5 s, leftover killed: {took:?}"));
    });

    scenario("reaping::a_leftover_that_ignores_term_holds_a_finished_command_for_five_seconds")
        .run(out, |mode| {
            let frigate = Frigate::new(mode).options("--grace=1h");
            let file = frigate.path("left");
            let script = format!("orphan {{session; touch {file}; pause}}; await {file}; exit 0");
            let ended = frigate.puppet(script).run();
            ended.expect_code(0).expect_nothing_left();
            assert!(ended.took >= Duration::from_secs(5), "{ended:#?}");
            note(format!(
                "a leftover that ignores TERM held a finished command for {:?}",
                ended.took
            ));
        });

    scenario("reaping::what_is_to_be_left_delays_nothing_and_gets_no_signal").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--leftovers=leave");
        let file = frigate.path("left");
        let script = format!("orphan {{session; touch {file}; report}}; await {file}; exit 3");
        let ended = frigate.puppet(script).run();
        ended.expect_code(3).expect_silence();
        assert_eq!(ended.out, "");
        // If frigate is PID 1, the kernel ends it.
        assert_eq!(
            ended.left.len(),
            usize::from(mode == Mode::Subreaper),
            "{ended:#?}"
        );
    });

    scenario("reaping::where_nothing_is_left_frigate_ends_at_once").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--grace=1h")
            .puppet("exit 0")
            .spawn();
        let ended = frigate.wait();
        ended.expect_code(0).expect_silence();
        note(format!("started, ended and reaped in {:?}", ended.took));
    });

    scenario("reaping::frigate_ends_as_soon_as_the_last_leftover_does").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--grace=1h");
        let file = frigate.path("left");
        let script =
            format!("orphan {{session; touch {file}; wait TERM; exit 0}}; await {file}; exit 0");
        frigate
            .puppet(script)
            .run()
            .expect_code(0)
            .expect_silence()
            .expect_nothing_left();
    });

    scenario("reaping::as_pid_1_the_last_kill_comes_from_a_forked_helper")
        .only(Mode::Pid1)
        .needs(&[&STRACE])
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .strace(["trace=kill"])
                .options("--leftovers=200ms");
            let file = frigate.path("left");
            let script = format!(
                "fork {{touch {file}; report}}; await {file}; say ready; wait USR1; exit 3"
            );
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_line("ready");
            let log = fs::File::open(frigate.path("strace")).expect("strace writes it");
            let own = frigate.pid.to_string();
            frigate.kill(libc::SIGUSR1);
            frigate.wait().expect_code(3);
            let log = std::io::read_to_string(log).expect("text");
            let killers: Vec<_> = log
                .lines()
                .filter(|line| line.contains("kill(-1, SIGKILL"))
                .collect();
            assert!(!killers.is_empty(), "{log}");
            // If a process sleeps so deeply that the kernel waits for it, this call would wait too.
            assert!(killers.iter().all(|line| !line.starts_with(&own)), "{log}");
        });

    scenario("reaping::with_kill_leftovers_are_killed_at_once").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--kill");
        let file = frigate.path("left");
        let script = format!("orphan {{session; touch {file}; report}}; await {file}; exit 3");
        frigate
            .puppet(script)
            .run()
            .expect_code(3)
            .expect_nothing_left();
    });

    scenario("reaping::children_from_before_frigates_exec_are_reaped_and_ended_as_well").run(out, |mode| {
        let frigate = Frigate::of_program(mode, [own_program()]).named_programs();
        let file = frigate.path("left");
        let script = format!(
            "fork {{session; touch {file}; {SLOW}}}; fork {{exit 1}}; await {file}; exec $UNDER_TEST -- $self --puppet @{}",
            frigate.file("child", "say child; exit 9")
        );
        let ended = frigate.option("--puppet").option(script).run();
        expect_clean(&ended, 9);
    });
}

/// Lists the scenarios with leftovers when descriptors run out, or with leftovers that cannot be
/// reaped.
fn unreapable_leftovers(out: &mut Vec<Trial>) {
    scenario("reaping::with_two_descriptors_free_every_leftover_is_ended").only(Mode::Subreaper).run(out, |mode| {
        let frigate = Frigate::new(mode).max_files(5);
        let (one, two) = (frigate.path("one"), frigate.path("two"));
        let script = format!(
            "fork {{touch {one}; {SLOW}}}; orphan {{session; touch {two}; {SLOW}}}; await {one}; await {two}; exit 5"
        );
        let ended = frigate.puppet(script).run();
        expect_clean(&ended, 5);
        assert_eq!(ended.out.matches("clean").count(), 2, "{ended:#?}");
    });

    scenario("reaping::with_one_descriptor_free_the_group_is_ended_and_the_reason_said")
        .only(Mode::Subreaper)
        .run(out, |mode| {
            let frigate = Frigate::new(mode).max_files(4);
            let file = frigate.path("left");
            let script = format!("fork {{touch {file}; {SLOW}}}; await {file}; exit 5");
            let ended = frigate.puppet(script).run();
            ended.expect_code(5).expect_nothing_left();
            assert!(ended.out.contains("clean"), "{ended:#?}");
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            assert!(
                ended
                    .err
                    .contains("cannot signal 'every descendant': too many open files"),
                "{ended:#?}"
            );
        });

    scenario("reaping::what_no_signal_could_reach_is_not_said_to_be_sent_kill")
        .only(Mode::Subreaper)
        .run(out, |mode| {
            let frigate = Frigate::new(mode).max_files(4).options("--leftovers=200ms");
            let file = frigate.path("left");
            let script = format!("orphan {{session; touch {file}; pause}}; await {file}; exit 5");
            let ended = frigate.puppet(script).run();
            ended.expect_code(5);
            assert!(
                ended
                    .err
                    .contains("cannot signal 'every descendant': too many open files"),
                "{ended:#?}"
            );
            assert!(!ended.err.contains("KILL"), "{ended:#?}");
        });

    scenario("reaping::where_orphans_do_not_come_to_frigate_the_group_is_ended_all_the_same")
        .only(Mode::Subreaper)
        .needs(&[&STRACE])
        .run(out, |mode| {
            let frigate =
                Frigate::new(mode).strace(["trace=prctl", "inject=prctl:error=EPERM"]).tracing_frigate_alone();
            let file = frigate.path("left");
            let script =
                format!("fork {{touch {file}; wait TERM; nap 500; error clean; exit 0}}; await {file}; exit 5");
            let ended = frigate.options("-v").puppet(script).run();
            ended.expect_code(5);
            assert!(ended.err.contains("cannot become 'subreaper'"), "{ended:#?}");
            assert!(!ended.err.contains("KILL"), "{ended:#?}");
            let clean = ended.err.find("clean\n").expect("the leftover got TERM");
            assert!(clean < ended.err.rfind("frigate: ").expect("a last message"), "{ended:#?}");
        });

    scenario(
        "reaping::where_orphans_do_not_come_to_frigate_the_group_is_killed_after_the_grace_period",
    )
    .only(Mode::Subreaper)
    .needs(&[&STRACE])
    .run(out, |mode| {
        let frigate = Frigate::new(mode)
            .strace(["trace=prctl", "inject=prctl:error=EPERM"])
            .tracing_frigate_alone();
        let file = frigate.path("left");
        let script = format!("fork {{touch {file}; pause}}; await {file}; exit 5");
        let ended = frigate.options("--leftovers=300ms").puppet(script).run();
        ended.expect_code(5);
        assert!(
            ended.err.contains("sent KILL") && !ended.err.contains("does not die"),
            "{ended:#?}"
        );
        assert!(
            ended.left.iter().all(|left| left.starts_with('Z')),
            "{ended:#?}"
        );
    });

    scenario("reaping::a_zombie_that_nobody_reaps_is_not_said_to_survive_kill")
        .only(Mode::Subreaper)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = Frigate::new(mode).options("-v --leftovers=200ms");
            let script = "orphan {session; say left $pid; pause}; say ready; wait USR1; exit 5";
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_line("ready");
            let pids = eventually("two children", || {
                Some(frigate.children()).filter(|children| children.len() == 2)
            });
            let left = pids.iter().map(|process| process.pid).max().expect("two");
            // The kernel reports the end to a tracer first. frigate cannot reap until the tracer
            // has collected it.
            let left = nix::unistd::Pid::from_raw(left);
            nix::sys::ptrace::seize(left, nix::sys::ptrace::Options::empty())
                .expect("it may be traced");
            frigate.kill(libc::SIGUSR1);
            frigate.wait_message("complete, exit code 5");
            nix::sys::wait::waitpid(left, None).expect("it has ended");
            let ended = frigate.wait();
            ended.expect_code(5);
            assert!(
                ended.err.contains("sent KILL") && !ended.err.contains("does not die"),
                "{ended:#?}"
            );
        });

    scenario("reaping::each_leftover_is_looked_at_once_a_round").only(Mode::Subreaper).needs(&[&STRACE]).run(
        out,
        |mode| {
            const COUNT: usize = 50;
            let frigate = Frigate::new(mode).strace(["trace=openat,pidfd_open"]).tracing_frigate_alone();
            let script =
                format!("repeat {COUNT} {{orphan {{say left; wait TERM; exit 0}}}}; say ready; wait USR1; exit 5");
            let frigate = frigate.puppet(script).spawn();
            frigate.wait_line("ready");
            eventually("all orphans", || (frigate.out().text().matches("left\n").count() == COUNT).then_some(()));
            let mut log = fs::File::open(frigate.path("strace")).expect("strace writes it");
            frigate.kill(libc::SIGUSR1);
            frigate.wait().expect_code(5).expect_nothing_left();
            let log = std::io::read_to_string(&mut log).expect("text");
            let looks = log.matches("/stat\"").count();
            // frigate looks at the other processes in the namespace, too.
            assert!((COUNT..COUNT + 20).contains(&looks), "{looks}: {log}");
            assert!(!log.contains("pidfd_open"), "{log}");
        },
    );
}

/// A program that runs another one in the PID namespace of a process, as `docker exec` does.
static NSENTER: Capability = Capability::new("nsenter", || {
    let known = Command::new("nsenter")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    known
        .map(drop)
        .map_err(|error| format!("cannot run nsenter: {error}"))
});

/// Starts a puppet in frigate's namespace that is not frigate's descendant. It prints its signals
/// to this file.
fn enter(frigate: &Running, file: &str) -> Child {
    let path = frigate.path(file);
    let script = format!(
        "to {}; say here; wait TERM; nap 300; say asked; exit 0",
        path.display()
    );
    let mut nsenter = Command::new("nsenter");
    nsenter
        .args(["-t", &frigate.pid.to_string(), "-p", "--"])
        .arg(own_program())
        .args(["--puppet", &script]);
    let child = nsenter.stdin(Stdio::null()).spawn().expect("nsenter");
    eventually("the stranger", || path.exists().then_some(()));
    child
}

/// Returns what it printed by the end of a frigate that had a leftover to end.
fn output_of_stranger(mode: Mode) -> String {
    let frigate = Frigate::new(mode);
    let file = frigate.path("left");
    // The child must leave a process too: frigate does not wait for strangers alone.
    let script = format!(
        "orphan {{session; touch {file}; {SLOW}}}; await {file}; say ready; wait USR1; exit 0"
    );
    let frigate = frigate.puppet(script).spawn();
    frigate.wait_line("ready");
    let mut stranger = enter(&frigate, "stranger");
    let mut said = fs::File::open(frigate.path("stranger")).expect("the file exists");
    frigate.kill(libc::SIGUSR1);
    expect_clean(&frigate.wait(), 0);
    stranger
        .wait()
        .expect("it ends by itself, or with its namespace");
    std::io::read_to_string(&mut said).expect("text")
}

fn strangers(out: &mut Vec<Trial>) {
    scenario("reaping::as_pid_1_every_process_of_the_namespace_is_ended")
        .only(Mode::Pid1)
        .needs(&[&ROOT, &NSENTER])
        .run(out, |mode| {
            let said = output_of_stranger(mode);
            assert!(
                said.contains("got TERM") && said.contains("asked"),
                "{said}"
            );
        });

    scenario("reaping::a_process_that_entered_the_namespace_holds_nothing_up")
        .only(Mode::Pid1)
        .needs(&[&ROOT, &NSENTER])
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .option("--grace=1h")
                .puppet("say ready; wait USR1; exit 3")
                .spawn();
            frigate.wait_line("ready");
            let mut stranger = enter(&frigate, "stranger");
            frigate.kill(libc::SIGUSR1);
            frigate.wait().expect_code(3);
            stranger
                .wait()
                .expect("the kernel ends it with its namespace");
        });

    scenario("reaping::elsewhere_only_descendants_are_ended")
        .only(Mode::Subreaper)
        .needs(&[&crate::support::capability::PID_NAMESPACE, &ROOT, &NSENTER])
        .run(out, |mode| {
            assert_eq!(output_of_stranger(mode), "here\n");
        });
}

fn between_starts(out: &mut Vec<Trial>) {
    scenario("reaping::a_new_child_never_meets_leftovers_of_the_old_one").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=1ms");
        let (starts, lock, held) = (frigate.path("starts"), frigate.path("lock"), frigate.path("held"));
        let script = format!(
            "attempt {starts}; \
             on 1 {{fork {{lock {lock}; touch {held}; wait TERM; nap 500; exit 0}}; await {held}; exit 1}}; \
             say second; lock {lock}; exit 0"
        );
        let ended = frigate.puppet(script).run();
        ended.expect_code(0);
        assert!(ended.out.contains("second\nlocked\n"), "{ended:#?}");
    });

    scenario("reaping::leftovers_that_do_not_end_are_killed_before_the_next_start").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=1ms --leftovers=300ms");
        let (starts, lock, held) = (frigate.path("starts"), frigate.path("lock"), frigate.path("held"));
        let script = format!(
            "attempt {starts}; on 1 {{fork {{lock {lock}; touch {held}; pause}}; await {held}; exit 1}}; \
             say second; lock {lock}; exit 0"
        );
        let ended = frigate.puppet(script).run();
        ended.expect_code(0);
        assert!(ended.out.contains("second\nlocked\n"), "{ended:#?}");
        assert!(ended.err.contains("KILL"), "{ended:#?}");
    });

    // The zombie is in the former group, but its parent is not.
    scenario("reaping::a_zombie_that_its_parent_does_not_reap_delays_no_restart").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=1ms --leftovers=20s");
        let (starts, held) = (frigate.path("starts"), frigate.path("held"));
        let script = format!(
            "attempt {starts}; \
             on 1 {{fork {{fork {{exit 0}}; session; touch {held}; wait TERM; exit 0}}; await {held}; exit 1}}; \
             say second; wait TERM; exit 0"
        );
        let frigate = frigate.puppet(script).spawn();
        let began = Instant::now();
        frigate.wait_line("second");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(0).expect_nothing_left();
        assert!(!ended.err.contains("KILL"), "{ended:#?}");
    });
}

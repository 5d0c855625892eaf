//! Stopping: `doc/specification.md#stopping`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::capability::{Capability, ROOT};
use crate::support::{Frigate, Mode, eventually, note, procfs, scenario, wait_state};

/// The freezer of version 1. It freezes a process so that not even KILL reaches it, as a dead disk
/// would.
static FREEZER: Capability = Capability::new("freezer", || {
    let root = Path::new(FREEZERS);
    if root.join("cgroup.procs").exists() {
        Ok(())
    } else {
        Err(format!("{FREEZERS} is not a cgroup v1 freezer"))
    }
});

const FREEZERS: &str = "/sys/fs/cgroup/freezer";

/// A frozen process. It is thawed when this is dropped.
struct Frozen(PathBuf);

impl Frozen {
    fn new(pid: i32) -> Self {
        let group = Path::new(FREEZERS).join(format!("frigate-test-{pid}"));
        fs::create_dir(&group).expect("a freezer group can be made");
        let frozen = Self(group);
        fs::write(frozen.0.join("cgroup.procs"), pid.to_string())
            .expect("the process can be moved");
        fs::write(frozen.0.join("freezer.state"), "FROZEN").expect("it can be frozen");
        eventually("a frozen process", || {
            let state = fs::read_to_string(frozen.0.join("freezer.state")).ok()?;
            (state.trim() == "FROZEN").then_some(())
        });
        frozen
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _thawed = fs::write(self.0.join("freezer.state"), "THAWED");
        let until = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("grace::a_child_that_ends_within_its_grace_period_is_not_killed").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .puppet("say ready; wait TERM; nap 500; say clean; exit 4")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(4).expect_silence();
        assert!(ended.out.contains("clean"), "{ended:#?}");
    });

    scenario("grace::at_the_end_of_the_grace_period_comes_kill").run(out, |mode| {
        for (words, grace) in [
            ("300ms", 300),
            ("0.3", 300),
            ("0.3s", 300),
            ("0.005m", 300),
            ("0.0001h", 360),
        ] {
            let frigate = Frigate::new(mode)
                .option("--grace")
                .option(words)
                .puppet("say ready; pause")
                .spawn();
            frigate.wait_line("ready");
            let asked = Instant::now();
            frigate.kill(libc::SIGTERM);
            let ended = frigate.wait();
            let took = asked.elapsed();
            ended.expect_code(137).expect_nothing_left();
            assert!(
                took >= Duration::from_millis(grace),
                "{words} took {took:?}"
            );
            note(format!(
                "--grace {words}: killed {took:?} after the stop signal"
            ));
        }
    });

    scenario("grace::a_grace_of_nothing_is_no_complaint").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--grace=0 --leftovers=0");
        let file = frigate.path("left");
        let script =
            format!("orphan {{session; touch {file}; pause}}; await {file}; say ready; pause");
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate
            .wait()
            .expect_code(137)
            .expect_silence()
            .expect_nothing_left();
    });

    scenario("grace::without_restarts_no_kill_follows_unless_it_was_asked_for").run(out, |mode| {
        // Look at the arguments of frigate's system call: with a null timeout it sleeps without a
        // deadline.
        let deadline = |options: &str| {
            let frigate = Frigate::new(mode)
                .options(options)
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait_line("got CONT");
            wait_state(frigate.pid, 'S');
            let call = eventually("a system call", || {
                let text = fs::read_to_string(format!("/proc/{}/syscall", frigate.pid)).ok()?;
                let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
                (words[0] == libc::SYS_rt_sigtimedwait.to_string()).then_some(words)
            });
            call[3] != "0x0"
        };
        assert!(!deadline(""), "a deadline that no option asks for");
        assert!(!deadline("--restart=true --grace=none"));
        assert!(deadline("--grace=1h") && deadline("--restart=true"));
    });

    scenario("grace::stop_on_none_forwards_every_signal_and_stops_by_none").run(out, |mode| {
        let frigate =
            Frigate::new(mode).options("--stop-on=none --restart=unexpected --backoff=1ms");
        let script = format!(
            "attempt {}; say start $attempt; on 2 {{report}}; wait TERM; exit 1",
            frigate.path("starts")
        );
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("start 1");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("start 2");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
    });

    scenario("grace::one_line_says_that_it_was_killed").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--grace=100ms")
            .puppet("say ready; pause")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        assert_eq!(ended.messages().len(), 1, "{ended:#?}");
        assert!(ended.err.contains("KILL"), "{ended:#?}");
    });

    scenario("grace::a_grace_period_of_0_kills_right_after_the_stop_signal").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--grace=0")
            .puppet("say ready; pause")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(137).expect_nothing_left();
    });

    scenario("grace::further_stop_signals_are_passed_on").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        for (signal, name) in [
            (libc::SIGTERM, "TERM"),
            (libc::SIGINT, "INT"),
            (libc::SIGQUIT, "QUIT"),
            (libc::SIGTERM, "TERM"),
        ] {
            frigate.kill(signal);
            frigate.wait_line(&format!("got {name}"));
        }
    });

    scenario("grace::with_stop_signal_further_stop_signals_are_sent_as_that_too").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .options("--stop-signal=USR1")
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            for signal in [libc::SIGTERM, libc::SIGINT] {
                frigate.kill(signal);
                let first = frigate.wait_line("got ");
                assert!(first.starts_with("got USR1"), "{first}");
                frigate.wait_line("got CONT");
            }
        },
    );

    scenario("grace::signals_that_are_no_stop_signals_are_forwarded_while_it_stops").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .puppet("say ready; wait TERM; wait HUP; exit 0")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait_line("got TERM");
            frigate.kill(libc::SIGHUP);
            frigate.wait_line("got HUP");
            frigate.wait().expect_code(0);
        },
    );

    scenario("grace::further_stop_signals_do_not_extend_the_grace_period").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--grace=1s")
            .puppet("say ready; pause")
            .spawn();
        frigate.wait_line("ready");
        let asked = Instant::now();
        // If each began another period, none would end before this time.
        while asked.elapsed() < Duration::from_secs(6)
            && procfs::process(frigate.pid).is_some_and(|it| it.state != 'Z')
        {
            let _ended = crate::support::sys::kill(frigate.pid, libc::SIGTERM);
            std::thread::sleep(Duration::from_millis(100));
        }
        let took = asked.elapsed();
        frigate.wait().expect_code(137);
        assert!(took < Duration::from_secs(6), "it was never killed");
        note(format!(
            "--grace 1s under a rain of TERM: ended after {took:?}"
        ));
    });

    scenario("grace::a_process_that_does_not_even_die_of_kill_is_left_behind_and_said_so")
        .needs(&[&ROOT, &FREEZER])
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .options("--grace=100ms")
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            let frozen = Frozen::new(frigate.only_child());
            let asked = Instant::now();
            frigate.kill(libc::SIGTERM);
            frigate.wait_message("leaving it behind");
            assert!(
                asked.elapsed() >= Duration::from_secs(5),
                "given up after {:?}",
                asked.elapsed()
            );
            // The kernel lets PID 1 end only after its whole namespace has ended.
            if mode == Mode::Subreaper {
                eventually("frigate's end", || {
                    procfs::process(frigate.pid).is_none().then_some(())
                });
                let took = asked.elapsed();
                note(format!(
                    "a frozen child was left behind, and frigate had ended, after {took:?}"
                ));
            }
            drop(frozen);
            let ended = frigate.wait();
            ended.expect_code(137);
            // If frigate had reported it twice, it would have waited for it twice.
            assert_eq!(
                ended.err.matches("leaving it behind").count(),
                1,
                "{}",
                ended.err
            );
        });

    scenario("grace::kill_stops_by_sigkill_at_once").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--kill")
            .puppet("fork {say member; report}; say ready; report")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(137).expect_nothing_left();
        assert!(!ended.out.contains("got "), "{ended:#?}");
    });

    scenario("grace::a_stop_while_leftovers_of_the_former_child_end_waits_for_these").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=1h");
        let member = frigate.path("member");
        let script =
            format!("fork {{say member; to {member}; wait TERM; nap 700; say clean; exit 0}}; await {member}; exit 3");
        let frigate = frigate.puppet(script).spawn();
        let path = frigate.path("member");
        eventually("the leftover gets TERM", || {
            std::fs::read_to_string(&path).ok().filter(|text| text.contains("got TERM"))
        });
        let mut kept = std::fs::File::open(&path).expect("the file exists");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(3).expect_nothing_left();
        let said = std::io::read_to_string(&mut kept).expect("text");
        assert!(said.contains("clean"), "{said}");
    });

    scenario("grace::leftovers_keep_their_own_grace_period_when_a_stop_comes").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=1h --grace=1s");
        let member = frigate.path("member");
        let script = format!("fork {{to {member}; say here; report}}; await {member}; exit 3");
        let frigate = frigate.puppet(script).spawn();
        let path = frigate.path("member");
        eventually("the leftover gets TERM", || {
            std::fs::read_to_string(&path)
                .ok()
                .filter(|text| text.contains("got TERM"))
        });
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(3).expect_nothing_left();
    });

    scenario("grace::a_stopped_group_member_is_continued_and_can_die").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let script =
            "fork {plain; say member; stop; nap 60000}; say ready; wait TERM; reap; exit 2";
        let frigate = frigate.puppet(script).spawn();
        frigate.wait_line("ready");
        let stopped = eventually("a stopped member", || {
            frigate
                .descendants()
                .into_iter()
                .find(|process| process.state == 'T')
        });
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(2).expect_nothing_left();
        assert_eq!(
            procfs::process(stopped.pid).map(|process| process.state),
            None
        );
    });
}

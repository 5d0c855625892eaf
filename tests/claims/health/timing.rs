//! When checks run, and readiness.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use libtest_mimic::Trial;

use super::checking;
use crate::support::cgroup::Place;
use crate::support::{Frigate, eventually, procfs, scenario, servers, wait_state};

/// Starts a server that counts the requests. Returns its port.
fn counting(count: &Arc<AtomicUsize>) -> u16 {
    let count = Arc::clone(count);
    servers::local(move |mut client| {
        servers::read_request(&mut client);
        count.fetch_add(1, Ordering::SeqCst);
        let _ = client.write_all(b"HTTP/1.0 204 Fine\r\n\r\n");
    })
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    when(out);
    ready(out);
}

fn when(out: &mut Vec<Trial>) {
    scenario("health::a_suspended_child_is_not_checked").run(out, |mode| {
        let count = Arc::new(AtomicUsize::new(0));
        let port = counting(&count);
        let frigate = checking(mode, &format!("http://127.0.0.1:{port}/"))
            .puppet("say ready; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("ready");
        eventually("a check", || {
            (count.load(Ordering::SeqCst) > 1).then_some(())
        });
        let child = frigate.children()[0].pid;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(child),
            nix::sys::signal::Signal::SIGSTOP,
        )
        .expect("it is ours");
        wait_state(child, 'T');
        // A check may have been under way.
        std::thread::sleep(Duration::from_millis(300));
        let before = count.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(count.load(Ordering::SeqCst), before);
        frigate.kill(libc::SIGCONT);
        eventually("a check", || {
            (count.load(Ordering::SeqCst) > before).then_some(())
        });
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5).expect_silence();
    });

    scenario("health::a_child_whose_cgroup_is_frozen_is_not_unhealthy")
        .in_guest()
        .run(out, |mode| {
            for (options, script) in [
                (
                    "--health=notify",
                    "repeat 100000 {notify WATCHDOG=1; nap 50}",
                ),
                // Nothing is there, so that each check fails while the child runs.
                ("--health=file:/no/such --health-retries=4", "wait TERM"),
            ] {
                let frigate = Frigate::new(mode)
                    .in_cgroup(Place::new())
                    .options("--pids-max=100 --health-interval=1s --health-start=0 --grace=1s")
                    .options(options)
                    .puppet(format!("say ready; {script}"))
                    .spawn();
                frigate.wait_line("ready");
                let group = frigate.cgroup().child("claims");
                group.write("cgroup.freeze", "1").expect("root may do this");
                std::thread::sleep(Duration::from_secs(8));
                assert!(!frigate.err().text().contains("unhealthy"), "{options}");
                let switches = procfs::context_switches(frigate.pid);
                std::thread::sleep(Duration::from_secs(3));
                let woken = procfs::context_switches(frigate.pid) - switches;
                assert_eq!(woken, 0, "nothing wakes frigate: {options}");
                group.write("cgroup.freeze", "0").expect("root may do this");
                if options.contains("file:") {
                    frigate.wait_message("is unhealthy");
                } else {
                    std::thread::sleep(Duration::from_secs(3));
                    frigate.kill(libc::SIGTERM);
                }
                let ended = frigate.wait();
                let is_unhealthy = ended.err.contains("unhealthy");
                assert_eq!(is_unhealthy, options.contains("file:"), "{ended:#?}");
            }
        });

    scenario("health::nothing_is_checked_during_a_stop").run(out, |mode| {
        let count = Arc::new(AtomicUsize::new(0));
        let port = counting(&count);
        let frigate = checking(mode, &format!("http://127.0.0.1:{port}/"))
            .puppet("say ready; wait TERM; say stopping; nap 1000; exit 5")
            .spawn();
        frigate.wait_line("ready");
        eventually("a check", || {
            (count.load(Ordering::SeqCst) > 1).then_some(())
        });
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("stopping");
        let before = count.load(Ordering::SeqCst);
        frigate.wait().expect_code(5).expect_silence();
        let more = count.load(Ordering::SeqCst) - before;
        assert!(more <= 1, "one may have been under way: {more}");
    });
}

fn ready(out: &mut Vec<Trial>) {
    scenario("health::a_child_has_started_when_it_is_ready").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (ready, starts) = (frigate.path("ready"), frigate.path("starts"));
        // The start window is long over when the child ends, and never reached by the second.
        let frigate = frigate
            .option(format!("--ready=file:{ready}"))
            .options("--restart=unexpected --start-secs=1h --start-retries=0 --backoff=1ms -v")
            .puppet(format!(
                "attempt {starts}; on 1 {{touch {ready}; say first; wait USR1; exit 1}}; \
                 say second; wait TERM; exit 5"
            ))
            .spawn();
        frigate.wait_line("first");
        frigate.err().wait_text("is ready");
        frigate.kill(libc::SIGUSR1);
        frigate.wait_line("second");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
    });

    scenario("health::the_interval_says_how_old_the_file_of_readiness_may_be").run(out, |mode| {
        let hour_old = || {
            let frigate = Frigate::new(mode);
            let path = frigate.path("ready");
            let file = fs::File::create(&path).expect("the trial's directory");
            let then = SystemTime::now() - Duration::from_secs(3600);
            file.set_modified(then).expect("the file is the trial's");
            frigate.option(format!("--ready=file:{path}"))
        };
        let frigate = hour_old()
            .options("--health-interval=2h -v")
            .puppet("say up; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("up");
        frigate.err().wait_text("is ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
        for given in ["", "--health-interval=1s --health-timeout=5s"] {
            let ended = hour_old()
                .options(given)
                .options("--ready-within=300ms --restart=false")
                .puppet("wait TERM; exit 5")
                .run();
            ended.expect_code(5);
            assert!(ended.err.contains("last modified"), "{ended:#?}");
        }
    });

    scenario("health::a_child_that_is_not_ready_in_time_is_a_failed_start").run(out, |mode| {
        let target = format!("tcp://127.0.0.1:{}", servers::closed());
        let ended = Frigate::new(mode)
            .option(format!("--ready={target}"))
            .options("--ready-within=300ms --restart=unexpected --start-retries=1")
            .options("--backoff=1ms")
            .puppet("wait TERM; exit 0")
            .run();
        ended.expect_code(1).expect_nothing_left();
        let line =
            format!("was not ready within 300 ms: '{target}': cannot connect: connection refused");
        assert_eq!(ended.err.matches(&line).count(), 2, "{ended:#?}");
        assert!(ended.err.contains("2 failed starts in a row"), "{ended:#?}");
    });

    scenario("health::without_a_limit_a_child_may_take_any_time_to_be_ready").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let ready = frigate.path("ready");
        let frigate = frigate
            .option(format!("--ready=file:{ready}"))
            .options("--ready-within=0 -v")
            .puppet("say up; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("up");
        std::thread::sleep(Duration::from_millis(1500));
        fs::write(&ready, "").expect("the trial's directory");
        frigate.err().wait_text("is ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5);
    });
}

//! What is known to go wrong in other health checks.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::{Frigate, eventually, note, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    starts(out);
    programs(out);
    worker(out);
}

fn starts(out: &mut Vec<Trial>) {
    scenario("health::a_server_that_starts_slowly_has_time_without_any_option").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (up, checked) = (frigate.path("up"), frigate.path("checked"));
        let frigate = frigate
            .option(format!(
                "--health=exec:/bin/sh -c 'echo x >>{checked}; test -e {up}'"
            ))
            .options("--health-interval=100ms --health-retries=1 -v")
            .puppet(format!(
                "say starting; wait USR1; touch {up}; wait TERM; exit 5"
            ))
            .spawn();
        wait_lines(&checked, 5);
        frigate.kill(libc::SIGUSR1);
        frigate.err().wait_text("is healthy");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(5);
        assert!(!ended.err.contains("unhealthy"), "{ended:#?}");
    });

    scenario("health::a_check_that_fails_since_the_child_has_ended_is_no_failure").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            let pid = frigate.path("pid");
            // The check itself ends the child first. So it fails when the child has ended, always.
            let check = format!("test -e {pid} || exit 0; kill -KILL $(cat {pid}); exit 1");
            let child = format!("echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 1000");
            let ended = frigate
                .option(format!("--health=exec:/bin/sh -c '{check}'"))
                .options("--health-interval=100ms --health-retries=1 --health-start=0")
                .command(["/bin/sh", "-c", &child])
                .run();
            ended.expect_code(137).expect_silence();
        },
    );
}

/// Waits until a file has this many lines.
#[track_caller]
fn wait_lines(file: &str, count: usize) {
    eventually(&format!("{count} lines in {file}"), || {
        let text = fs::read_to_string(file).ok()?;
        (text.lines().count() >= count).then_some(())
    });
}

fn programs(out: &mut Vec<Trial>) {
    scenario("health::what_a_check_that_hangs_has_started_ends_with_it").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let checked = frigate.path("checked");
        // To kill the shell alone would leave two processes each time, one of them as an orphan.
        let script = format!("echo x >>{checked}; sleep 1000 & sleep 1000; exit 0");
        let frigate = frigate
            .option(format!("--health=exec:/bin/sh -c '{script}'"))
            .options("--health-interval=100ms --health-timeout=200ms --health-retries=1000000")
            .puppet("say ready; wait TERM; exit 5")
            .spawn();
        frigate.wait_line("ready");
        wait_lines(&checked, 5);
        eventually("no process but the child and one check's", || {
            let all = frigate.descendants();
            let zombies = all.iter().filter(|process| process.state == 'Z').count();
            (all.len() <= 4 && zombies == 0).then_some(())
        });
        frigate.kill(libc::SIGTERM);
        frigate
            .wait()
            .expect_code(5)
            .expect_silence()
            .expect_nothing_left();
    });

    scenario("health::checks_never_overlap_however_long_one_takes").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (lock, overlap) = (frigate.path("lock"), frigate.path("overlap"));
        let checked = frigate.path("checked");
        let script =
            format!("mkdir {lock} || touch {overlap}; sleep 0.3; rmdir {lock}; echo x >>{checked}");
        let frigate = frigate
            .option(format!("--health=exec:/bin/sh -c '{script}'"))
            .options("--health-interval=100ms --health-timeout=1h")
            .puppet("say ready; wait TERM; exit 5")
            .spawn();
        wait_lines(&checked, 5);
        assert!(!Path::new(&overlap).exists());
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(5).expect_silence();
    });
}

fn worker(out: &mut Vec<Trial>) {
    scenario("health::a_worker_whose_heartbeat_stops_works_again").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (beat, hang) = (frigate.path("beat"), frigate.path("hang"));
        let script = format!(
            "echo worker $FRIGATE_RESTARTS; \
             until rm {hang} 2>/dev/null; do : >{beat}; sleep 0.1; done; echo hangs; sleep 1000"
        );
        let frigate = frigate
            .option(format!("--health=file:{beat}"))
            .options("--health-interval=200ms --health-timeout=2s --health-retries=1")
            .options("--restart=unexpected --backoff=1ms -v")
            .command(["/bin/sh", "-c", &script])
            .spawn();
        frigate.wait_line("worker 0");
        frigate.err().wait_text("is healthy");
        let begun = Instant::now();
        fs::write(&hang, "").expect("the trial's directory");
        frigate.wait_line("hangs");
        frigate.wait_line("worker 1");
        let took = begun.elapsed();
        note(format!(
            "a worker without a heartbeat works again after {took:?}"
        ));
        assert!(took > Duration::from_secs(2), "{took:?}");
        // The new worker has a heartbeat.
        let former = fs::metadata(&beat).and_then(|file| file.modified()).ok();
        eventually("a heartbeat", || {
            let latest = fs::metadata(&beat).and_then(|file| file.modified()).ok();
            (latest > former).then_some(())
        });
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(143).expect_nothing_left();
        assert_eq!(ended.err.matches("is unhealthy").count(), 1, "{ended:#?}");
    });
}

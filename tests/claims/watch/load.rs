//! Many changes, and none.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use super::{Watching, write};
use crate::support::{note, procfs, scenario, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("watch::nothing_wakes_frigate_while_nothing_changes")
        .alone()
        .run(out, |mode| {
            let watching = Watching::new(mode, "server.conf");
            write(watching.at("server.conf"), "a");
            let mut watched = watching.spawn();
            watched.expect(1, |watched| write(watched.at("server.conf"), "b"));
            let pid = watched.running.pid;
            wait_state(pid, 'S');
            let before = procfs::context_switches(pid);
            // Only time can show that nothing happens.
            sleep(Duration::from_millis(2500));
            assert_eq!(
                procfs::context_switches(pid) - before,
                0,
                "woken while idle"
            );
            watched.end();
        });

    scenario("watch::a_thousand_changes_are_a_few_signals").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        write(watching.at("server.conf"), "a");
        let mut watched = watching.spawn();
        let begun = Instant::now();
        for change in 0..1000 {
            fs::write(watched.at("server.conf"), change.to_string()).expect("ours");
        }
        let signals = watched.settle();
        // Two signals are half a second apart at least.
        let most = begun.elapsed().as_millis() / 500 + 1;
        assert!(
            (1..=most).contains(&(signals as u128)),
            "{signals} of {most}"
        );
        note(format!(
            "--watch: 1,000 changes in a row: {signals} signals"
        ));
        watched.end();
    });

    scenario("watch::lost_events_are_no_lost_change").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        write(watching.at("server.conf"), "a");
        let mut watched = watching.spawn();
        let largest = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
        let largest: usize = largest
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .expect("a number");
        let pid = watched.running.pid;
        watched.running.kill(libc::SIGSTOP);
        wait_state(pid, 'T');
        // Two events each. Two that follow each other must differ.
        for _ in 0..=largest / 2 {
            fs::write(watched.at("other"), "").expect("ours");
            fs::remove_file(watched.at("other")).expect("just made");
        }
        write(watched.at("server.conf"), "b");
        watched.running.kill(libc::SIGCONT);
        watched.running.wait_line("got HUP");
        watched.expect(1, |_| ());
        watched.end();
    });

    scenario("watch::a_flood_of_changes_does_not_delay_a_stop_or_take_memory").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        write(watching.at("server.conf"), "a");
        let mut watched = watching.spawn();
        watched.settle();
        let pid = watched.running.pid;
        let before = procfs::anonymous_kib(pid);
        let is_over = Arc::new(AtomicBool::new(false));
        let flood = {
            let (is_over, paths) = (
                Arc::clone(&is_over),
                ["server.conf", "other"].map(|name| watched.at(name)),
            );
            spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    for path in &paths {
                        fs::write(path, "a").expect("ours");
                        let _ = fs::remove_file(path);
                    }
                }
            })
        };
        sleep(Duration::from_secs(1));
        let more = procfs::anonymous_kib(pid).saturating_sub(before);
        watched.running.kill(libc::SIGTERM);
        let asked = Instant::now();
        watched.running.wait_line("got TERM");
        note(format!("--watch: TERM amid a flood of events reached the child after {:?}; {more} KiB more memory", asked.elapsed()));
        is_over.store(true, Ordering::Relaxed);
        flood.join().expect("it only writes files");
        watched.running.wait().expect_code(5);
        assert!(more <= 64, "{more} KiB more");
    });
}

//! Files that are modified again and again.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use libtest_mimic::Trial;

use super::{expect_healthy, expect_unhealthy};
use crate::support::{Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("probe::a_file_is_fresh_for_an_interval_and_a_timeout").run(out, |mode| {
        // The interval is 10 s, the time-out 3 s unless it is given.
        for (age, options, is_fresh) in [
            (0, "", true),
            (8, "", true),
            (3600, "", false),
            (3600, "--health-timeout=2h", true),
        ] {
            let frigate = Frigate::new(mode);
            let beat = frigate.file("beat", "");
            let modified = SystemTime::now() - Duration::from_secs(age);
            let file = File::options().write(true).open(&beat).expect("it is ours");
            file.set_modified(modified).expect("it is ours");
            let target = format!("file:{beat}");
            let ended = frigate
                .option(format!("--probe={target}"))
                .options(options)
                .run();
            if is_fresh {
                expect_healthy(&ended);
            } else {
                ended.expect_code(1);
                let head = format!("frigate: '{target}' is unhealthy: last modified 36");
                assert!(
                    ended.err.starts_with(&head) && ended.err.ends_with(" s ago\n"),
                    "{ended:#?}"
                );
            }
        }
    });

    scenario("probe::a_file_that_was_modified_in_the_future_is_fresh")
        .once()
        .run(out, |mode| {
            let frigate = Frigate::new(mode);
            let beat = frigate.file("beat", "");
            let file = File::options().write(true).open(&beat).expect("it is ours");
            file.set_modified(SystemTime::now() + Duration::from_secs(3600))
                .expect("it is ours");
            expect_healthy(&frigate.option(format!("--probe=file:{beat}")).run());
        });

    scenario("probe::a_file_that_is_not_there_or_a_directory_is_unhealthy").run(out, |mode| {
        for (make, reason) in [
            (false, "no such file or directory"),
            (true, "is a directory"),
        ] {
            let frigate = Frigate::new(mode);
            let path = frigate.path("beat");
            if make {
                fs::create_dir(&path).expect("the directory is ours");
            }
            let target = format!("file:{path}");
            let ended = frigate.option(format!("--probe={target}")).run();
            expect_unhealthy(&ended, &target, &format!("cannot look at it: {reason}"));
        }
    });

    scenario("probe::no_link_of_procfs_is_followed")
        .once()
        .run(out, |mode| {
            // By such a link a child could lead frigate into a file system that it serves itself.
            for (target, verb) in [
                ("file:/proc/self/root/etc/passwd", "look at it"),
                ("unix:/proc/self/root/etc/passwd", "connect"),
            ] {
                let ended = Frigate::new(mode).option(format!("--probe={target}")).run();
                let reason = format!("cannot {verb}: too many symbolic links");
                expect_unhealthy(&ended, target, &reason);
            }
        });
}

//! A path that names a directory, and directories that go and come.

use std::fs;

use libtest_mimic::Trial;

use super::{Watching, rename, write};
use crate::support::scenario;

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("watch::a_directory_means_anything_directly_in_it").run(out, |mode| {
        let watching = Watching::new(mode, "conf.d");
        let directory = watching.at("conf.d");
        fs::create_dir(&directory).expect("ours");
        fs::create_dir(directory.join("deeper")).expect("ours");
        let mut watched = watching.spawn();
        watched.expect(1, |_| write(directory.join("a"), "a"));
        watched.expect(2, |_| write(directory.join("a"), "b"));
        watched.expect(3, |_| rename(directory.join("a"), directory.join("b")));
        watched.expect(4, |_| {
            fs::remove_file(directory.join("b")).expect("it is there");
        });
        // Not what is deeper, or beside it.
        watched.expect(4, |_| write(directory.join("deeper/a"), "a"));
        watched.expect(4, |watched| write(watched.at("beside"), "a"));
        watched.end();
    });

    scenario("watch::several_changes_at_once_are_one").run(out, |mode| {
        let watching = Watching::new(mode, "conf.d");
        let directory = watching.at("conf.d");
        fs::create_dir(&directory).expect("ours");
        let mut watched = watching.spawn();
        watched.expect(1, |_| {
            for name in ["a", "b", "c"] {
                write(directory.join(name), "a");
            }
        });
        watched.end();
    });

    scenario("watch::a_directory_that_is_removed_and_comes_back_is_watched_again").run(
        out,
        |mode| {
            let watching = Watching::new(mode, "a/b/server.conf");
            let (a, b) = (watching.at("a"), watching.at("a/b"));
            fs::create_dir_all(&b).expect("ours");
            write(b.join("server.conf"), "a");
            let mut watched = watching.spawn();
            watched.expect(0, |_| fs::remove_dir_all(&b).expect("ours"));
            watched.expect(1, |_| {
                fs::create_dir(&b).expect("ours");
                write(b.join("server.conf"), "a");
            });
            watched.expect(1, |_| fs::remove_dir_all(&a).expect("ours"));
            watched.expect(1, |_| fs::create_dir(&a).expect("ours"));
            watched.expect(1, |_| fs::create_dir(&b).expect("ours"));
            watched.expect(2, |_| write(b.join("server.conf"), "a"));
            watched.expect(3, |_| write(b.join("server.conf"), "b"));
            watched.end();
        },
    );

    scenario("watch::a_directory_that_another_one_takes_the_place_of_is_watched_anew").run(
        out,
        |mode| {
            let watching = Watching::new(mode, "a/b/server.conf");
            fs::create_dir_all(watching.at("a/b")).expect("ours");
            fs::create_dir_all(watching.at("new/b")).expect("ours");
            write(watching.at("a/b/server.conf"), "a");
            write(watching.at("new/b/server.conf"), "b");
            let mut watched = watching.spawn();
            watched.expect(1, |watched| {
                rename(watched.at("a"), watched.at("former"));
                rename(watched.at("new"), watched.at("a"));
            });
            watched.expect(2, |watched| write(watched.at("a/b/server.conf"), "c"));
            watched.expect(2, |watched| write(watched.at("former/b/server.conf"), "c"));
            watched.end();
        },
    );
}

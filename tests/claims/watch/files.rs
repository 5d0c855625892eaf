//! A path that names a file, or a link to one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use super::{Watching, append, link, rename, write};
use crate::support::capability::ROOT;
use crate::support::scenario;

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    kubernetes(out);
    editors(out);
    mounts(out);
    links(out);
    comings(out);
}

/// Publishes a new version of a volume as the kubelet's `AtomicWriter` does, in the same order.
fn publish(volume: &Path, version: usize) {
    let former = fs::read_link(volume.join("..data")).ok();
    let name = format!("..2026_11_24_17_00_0{version}.123456789");
    fs::create_dir(volume.join(&name)).expect("a new directory");
    fs::set_permissions(volume.join(&name), Permissions::from_mode(0o755)).expect("ours");
    // The same length each time.
    let file = volume.join(&name).join("server.conf");
    write(&file, &format!("version {version}\n"));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("ours");
    link(&name, volume.join("..data_tmp"));
    rename(volume.join("..data_tmp"), volume.join("..data"));
    if former.is_none() {
        link("..data/server.conf", volume.join("server.conf"));
    }
    if let Some(former) = former {
        fs::remove_dir_all(volume.join(former)).expect("ours");
    }
}

fn kubernetes(out: &mut Vec<Trial>) {
    for (name, path) in [
        (
            "watch::a_new_version_of_a_config_map_is_one_change",
            "server.conf",
        ),
        ("watch::the_volume_of_a_config_map_may_be_watched", ""),
    ] {
        scenario(name).run(out, move |mode| {
            let watching = Watching::new(mode, path);
            publish(&watching.directory, 1);
            let mut watched = watching.spawn();
            for version in 2..=4 {
                watched.expect(version - 1, |watched| publish(&watched.directory, version));
            }
            watched.end();
        });
    }
}

/// Saves a file as Vim does with `backupcopy=no`: it finds out whether it may make files there,
/// renames the former file, writes another one, and removes the former.
fn save_like_vim(path: &Path, text: &str) {
    let trial = path.with_file_name("4913");
    write(&trial, "");
    fs::remove_file(trial).expect("just made");
    let former = path.with_file_name("server.conf~");
    rename(path, &former);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .expect("the name is free");
    file.write_all(text.as_bytes()).expect("there is room");
    file.sync_all().expect("a file of a disk");
    drop(file);
    fs::set_permissions(path, Permissions::from_mode(0o644)).expect("ours");
    fs::remove_file(former).expect("just renamed");
}

fn editors(out: &mut Vec<Trial>) {
    scenario("watch::what_an_editor_saves_is_one_change").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        let conf = watching.at("server.conf");
        write(&conf, "a");
        let mut watched = watching.spawn();
        watched.expect(1, |_| save_like_vim(&conf, "b"));
        watched.expect(2, |_| save_like_vim(&conf, "c"));
        watched.expect(3, |_| {
            let sed = Command::new("sed")
                .args(["-i", "s/c/d/"])
                .arg(&conf)
                .status();
            assert!(sed.expect("sed").success());
        });
        assert_eq!(fs::read_to_string(&conf).expect("it is there"), "d");
        watched.end();
    });

    scenario("watch::a_write_in_place_is_a_change_and_so_are_new_permissions").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        let conf = watching.at("server.conf");
        write(&conf, "a");
        let mut watched = watching.spawn();
        // Of the same length.
        watched.expect(1, |_| write(&conf, "b"));
        watched.expect(2, |_| append(&conf, "more"));
        watched.expect(3, |_| {
            fs::set_permissions(&conf, Permissions::from_mode(0o600)).expect("ours");
        });
        watched.end();
    });

    scenario("watch::a_file_that_is_being_written_is_not_taken_half_written").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        let conf = watching.at("server.conf");
        write(&conf, "a");
        let mut watched = watching.spawn();
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&conf)
            .expect("ours");
        file.write_all(b"first half").expect("there is room");
        watched.expect(0, |_| ());
        file.write_all(b"second half").expect("there is room");
        drop(file);
        watched.running.wait_line("got HUP");
        watched.expect(1, |_| ());
        watched.end();
    });

    scenario("watch::what_changes_beside_a_file_is_no_change_of_it").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        write(watching.at("server.conf"), "a");
        let mut watched = watching.spawn();
        watched.expect(0, |watched| {
            for name in ["server.conf2", "server.con", ".server.conf.swp", "4913"] {
                write(watched.at(name), "a");
                rename(watched.at(name), watched.at("other"));
                fs::remove_file(watched.at("other")).expect("just renamed");
            }
        });
        // Neither is a look at it.
        watched.expect(0, |watched| {
            let text = fs::read_to_string(watched.at("server.conf"));
            assert_eq!(text.ok().as_deref(), Some("a"));
        });
        watched.end();
    });
}

fn mounts(out: &mut Vec<Trial>) {
    scenario("watch::a_file_that_is_mounted_by_itself_is_seen_to_be_written_outside")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let mut watching = Watching::new(mode, "server.conf");
            let inside = watching.at("server.conf");
            write(&inside, "");
            fs::create_dir(watching.at("outside")).expect("ours");
            let outside = watching.at("outside/server.conf");
            write(&outside, "a");
            let texts =
                [&outside, &inside].map(|path| path.to_str().expect("a plain name").to_owned());
            watching.frigate = watching.frigate.bind(&texts[0], &texts[1]);
            let mut watched = watching.spawn();
            watched.expect(1, |_| write(&outside, "b"));
            // The mount goes on showing the former file, which has not changed.
            let other = watched.at("outside/other");
            write(&other, "c");
            watched.expect(1, |_| rename(&other, &outside));
            watched.expect(1, |_| write(&outside, "d"));
            watched.end();
        });
}

fn links(out: &mut Vec<Trial>) {
    scenario("watch::every_link_on_the_way_is_watched").run(out, |mode| {
        // server.conf -> current/server.conf, current -> (absolute) versions/1
        let watching = Watching::new(mode, "etc/server.conf");
        for directory in ["etc", "versions", "versions/1", "versions/2"] {
            fs::create_dir(watching.at(directory)).expect("ours");
        }
        let (one, two) = (watching.at("versions/1"), watching.at("versions/2"));
        write(one.join("server.conf"), "a");
        write(two.join("server.conf"), "b");
        link("../current/server.conf", watching.at("etc/server.conf"));
        link(&one, watching.at("current"));
        let mut watched = watching.spawn();
        watched.expect(1, |watched| {
            link(&two, watched.at("tmp"));
            rename(watched.at("tmp"), watched.at("current"));
        });
        watched.expect(2, |_| write(two.join("server.conf"), "c"));
        // Nothing leads there any more.
        watched.expect(2, |_| write(one.join("server.conf"), "c"));
        watched.expect(3, |watched| {
            link(one.join("server.conf"), watched.at("tmp"));
            rename(watched.at("tmp"), watched.at("etc/server.conf"));
        });
        watched.expect(4, |_| write(one.join("server.conf"), "d"));
        // A link to itself leads nowhere.
        watched.expect(4, |watched| {
            link("server.conf", watched.at("tmp"));
            rename(watched.at("tmp"), watched.at("etc/server.conf"));
        });
        watched.expect(5, |watched| {
            write(watched.at("tmp"), "e");
            rename(watched.at("tmp"), watched.at("etc/server.conf"));
        });
        watched.end();
    });

    scenario("watch::a_fifo_in_place_of_the_file_holds_nothing_up").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        write(watching.at("server.conf"), "a");
        let mut watched = watching.spawn();
        watched.expect(1, |watched| {
            let made = Command::new("mkfifo").arg(watched.at("fifo")).status();
            assert!(made.expect("mkfifo").success());
            rename(watched.at("fifo"), watched.at("server.conf"));
        });
        watched.end();
    });
}

fn comings(out: &mut Vec<Trial>) {
    scenario("watch::a_file_that_is_not_there_is_waited_for_and_its_end_is_no_change").run(
        out,
        |mode| {
            let mut watched = Watching::new(mode, "server.conf").spawn();
            watched.expect(1, |watched| write(watched.at("server.conf"), "a"));
            watched.expect(1, |watched| {
                fs::remove_file(watched.at("server.conf")).expect("it is there");
            });
            watched.expect(2, |watched| write(watched.at("server.conf"), "a"));
            watched.end();
        },
    );

    scenario("watch::the_target_of_a_link_is_waited_for").run(out, |mode| {
        let watching = Watching::new(mode, "server.conf");
        link("there/server.conf", watching.at("server.conf"));
        let mut watched = watching.spawn();
        watched.expect(0, |watched| {
            fs::create_dir(watched.at("there")).expect("ours");
        });
        watched.expect(1, |watched| write(watched.at("there/server.conf"), "a"));
        watched.end();
    });

    scenario("watch::a_relative_path_is_taken_from_the_directory_of_the_start").run(out, |mode| {
        // The command has no start after it, so that frigate leaves its directory.
        let mut watching = Watching::new(mode, "server.conf");
        let directory = watching.directory.clone();
        watching.frigate = watching
            .frigate
            .options("--watch=./there/../relative=USR2")
            .current_directory(&directory);
        fs::create_dir(directory.join("there")).expect("ours");
        let watched = watching.spawn();
        write(watched.at("relative"), "a");
        watched.running.wait_line("got USR2");
        watched.end();
    });
}

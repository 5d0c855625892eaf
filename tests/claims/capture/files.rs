//! Which files frigate writes, and which files of others it does not touch.

use std::fs::{self, OpenOptions};

use libtest_mimic::Trial;

use super::{Logs, talk, talking, wait_text};
use crate::support::capability::{ROOT, STRACE};
use crate::support::{Frigate, Mode, eventually, procfs, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    replaced_logs(out);
    places(out);
    rotation_by_others(out);
}

fn rotation_by_others(out: &mut Vec<Trial>) {
    scenario("capture::a_file_that_was_renamed_is_left_and_another_begun").run(out, |mode| {
        let frigate = talking(mode);
        for name in ["log.a", "log.b"] {
            talk(&frigate);
            fs::rename(frigate.path("log"), frigate.path(name))
                .expect("the trial owns the directory");
        }
        talk(&frigate);
        for name in ["log.a", "log.b", "log"] {
            assert_eq!(
                wait_text(frigate.path(name), "got").lines().count(),
                1,
                "{name}"
            );
        }
    });

    scenario("capture::a_file_that_was_removed_is_made_again").run(out, |mode| {
        let frigate = talking(mode);
        talk(&frigate);
        fs::remove_file(frigate.path("log")).expect("the trial owns the directory");
        talk(&frigate);
        assert_eq!(wait_text(frigate.path("log"), "got").lines().count(), 1);
    });

    scenario("capture::a_file_that_was_emptied_goes_on_at_its_beginning").run(out, |mode| {
        let frigate = talking(mode);
        talk(&frigate);
        fs::copy(frigate.path("log"), frigate.path("log.copy"))
            .expect("the trial owns the directory");
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(frigate.path("log"))
            .expect("the file exists");
        talk(&frigate);
        let log = wait_text(frigate.path("log"), "got");
        assert!(
            log.starts_with("got USR1") && log.lines().count() == 1,
            "{log:?}"
        );
    });

    scenario("capture::hup_reaches_the_child_and_reopens_nothing").run(out, |mode| {
        let frigate = talking(mode);
        // The child can be ready before frigate has opened what its loop waits with. Once frigate
        // has forwarded a signal, it has.
        talk(&frigate);
        let before: Vec<_> = procfs::descriptors(frigate.pid);
        frigate.kill(libc::SIGHUP);
        wait_text(frigate.path("log"), "got HUP");
        assert_eq!(procfs::descriptors(frigate.pid), before);
    });
}

/// The user that the child becomes, and a user that it has nothing to do with.
const USER: u32 = 4711;

const ANOTHER: u32 = 4712;

fn give(path: &str, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).expect("root may change the owner");
}

/// A directory of root's with a file that the child must not reach. In it is a directory of the
/// child's user.
struct RootDirectory(Logs);

impl RootDirectory {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let logs = Logs::new();
        fs::set_permissions(&logs.0, fs::Permissions::from_mode(0o755)).expect("the trial owns it");
        fs::write(logs.path("victim"), "root's").expect("the trial owns it");
        fs::create_dir(logs.path("own")).expect("the trial owns it");
        give(&logs.path("own"), USER);
        Self(logs)
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }

    fn text(&self, name: &str) -> String {
        self.0.text(name)
    }

    /// Returns a frigate whose child becomes the user, and whose log is that file.
    fn frigate(&self, mode: Mode, name: &str) -> Frigate {
        Frigate::new(mode)
            .option(format!("--stdout={}", self.path(name)))
            .options("--user=4711:3333")
    }

    /// Replaces the log by something that leads elsewhere, or belongs to another user.
    fn replace_log(&self, what: &str, name: &str) {
        let at = self.path(name);
        match what {
            "a link" => {
                std::os::unix::fs::symlink(self.path("victim"), &at)
                    .expect("no file has this name");
                give(&at, USER);
            }
            "a hard link" => {
                fs::hard_link(self.path("victim"), &at).expect("no file has this name");
            }
            "another's file" => {
                fs::write(&at, "another's").expect("no file has this name");
                give(&at, ANOTHER);
            }
            _ => {
                nix::unistd::mkfifo(at.as_str(), nix::sys::stat::Mode::S_IRWXU)
                    .expect("no file has this name");
                give(&at, ANOTHER);
            }
        }
    }

    #[track_caller]
    fn expect_untouched(&self, what: &str, name: &str) {
        assert_eq!(self.text("victim"), "root's", "{what}");
        if what == "another's file" {
            assert_eq!(self.text(name), "another's");
        }
    }
}

fn replaced_logs(out: &mut Vec<Trial>) {
    scenario("capture::what_is_put_in_the_place_of_a_log_later_is_not_written_to")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for what in ["a link", "a hard link", "another's file"] {
                for options in ["", "--log-max-bytes=4", "--log-max-bytes=4 --log-backups=2"] {
                    let outer = RootDirectory::new();
                    let script = format!(
                        "say one; await {}; say two; say three; exit 0",
                        outer.path("go")
                    );
                    let frigate = outer
                        .frigate(mode, "own/log")
                        .options(options)
                        .puppet(script)
                        .spawn();
                    wait_text(outer.path("own/log"), "one\n");
                    fs::rename(outer.path("own/log"), outer.path("own/old"))
                        .expect("the file exists");
                    outer.replace_log(what, "own/log");
                    fs::write(outer.path("go"), "").expect("the trial owns the directory");
                    let ended = frigate.wait();
                    ended.expect_code(0);
                    outer.expect_untouched(what, "own/log");
                    assert_eq!(
                        outer.text("own/old"),
                        "one\ntwo\nthree\n",
                        "{what}, {options}"
                    );
                    let messages = ended.messages();
                    assert_eq!(messages.len(), 1, "{what}, {options}: {ended:#?}");
                    assert!(
                        messages[0].ends_with("going on in the file at hand"),
                        "{what}: {ended:#?}"
                    );
                }
            }
        });

    scenario("capture::what_was_put_in_the_place_of_a_log_before_the_start_is_a_refusal")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let words = [
                (
                    "a link",
                    "' is a link that neither root nor frigate controls; ",
                ),
                ("a hard link", "' has more than one hard link; "),
                ("another's file", "' belongs to another user; "),
                ("another's fifo", "' belongs to another user; "),
            ];
            for (what, words) in words {
                let outer = RootDirectory::new();
                outer.replace_log(what, "own/log");
                // Without a reader, the FIFO could not be opened.
                let _reader = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(outer.path("own/log"));
                let ended = outer
                    .frigate(mode, "own/log")
                    .puppet("say started; error started")
                    .run();
                ended.expect_code(125);
                outer.expect_untouched(what, "own/log");
                assert!(
                    ended.messages().len() == 1 && ended.err.contains(words),
                    "{what}: {ended:#?}"
                );
                assert!(!ended.err.contains("started"), "{what}: {ended:#?}");
            }
        });

    scenario("capture::a_directory_that_the_user_can_replace_is_a_refusal")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for what in ["a directory of root's", "a link", "a link of root's"] {
                let outer = RootDirectory::new();
                fs::create_dir(outer.path("secret")).expect("the trial owns it");
                let on_the_way = outer.path("own/logs");
                match what {
                    "a directory of root's" => {
                        fs::create_dir(&on_the_way).expect("the trial owns it");
                    }
                    _ => std::os::unix::fs::symlink(outer.path("secret"), &on_the_way)
                        .expect("the trial owns it"),
                }
                if what == "a link" {
                    give(&on_the_way, USER);
                }
                let ended = outer
                    .frigate(mode, "own/logs/log")
                    .puppet("error started")
                    .run();
                ended.expect_code(125);
                assert!(
                    ended.messages().len() == 1 && ended.err.contains(": 'logs' "),
                    "{ended:#?}"
                );
                assert!(!ended.err.contains("started"), "{ended:#?}");
                assert!(fs::metadata(outer.path("secret/log")).is_err(), "{what}");
            }
        });

    scenario("capture::a_directory_that_is_replaced_later_is_still_the_one_that_was_opened")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for options in ["", "--log-max-bytes=4", "--log-max-bytes=4 --log-backups=2"] {
                let outer = RootDirectory::new();
                fs::create_dir(outer.path("secret")).expect("the trial owns it");
                fs::write(outer.path("secret/log"), "root's").expect("the trial owns it");
                let script = format!("say one; await {}; say two; exit 0", outer.path("go"));
                let frigate = outer
                    .frigate(mode, "own/log")
                    .options(options)
                    .puppet(script)
                    .spawn();
                wait_text(outer.path("own/log"), "one\n");
                fs::rename(outer.path("own"), outer.path("moved")).expect("the file exists");
                std::os::unix::fs::symlink(outer.path("secret"), outer.path("own"))
                    .expect("no file has this name");
                fs::write(outer.path("go"), "").expect("the trial owns the directory");
                frigate.wait().expect_code(0).expect_silence();
                assert_eq!(outer.text("secret/log"), "root's");
                assert_eq!(
                    fs::read_dir(outer.path("secret"))
                        .expect("the file exists")
                        .count(),
                    1
                );
                assert!(outer.text("moved/log").ends_with("two\n"), "{options}");
            }
        });

    scenario("capture::a_link_of_a_strangers_is_not_followed_at_the_start")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let outer = RootDirectory::new();
            let link = outer.path("log");
            std::os::unix::fs::symlink(outer.path("victim"), &link).expect("no file has this name");
            give(&link, ANOTHER);
            let ended = Frigate::new(mode)
                .option(format!("--stdout={link}"))
                .puppet("error started")
                .run();
            ended.expect_code(125);
            assert_eq!(
                (outer.text("victim").as_str(), ended.messages().len()),
                ("root's", 1),
                "{ended:#?}"
            );
            assert!(
                ended.err.contains("name the file that it leads to"),
                "{ended:#?}"
            );
        });
}

fn places(out: &mut Vec<Trial>) {
    scenario("capture::a_log_in_a_directory_of_the_users_is_made_and_made_again")
        .needs(&[&ROOT])
        .run(out, |mode| {
            use std::os::unix::fs::MetadataExt;
            let outer = RootDirectory::new();
            fs::create_dir(outer.path("own/logs")).expect("the trial owns it");
            give(&outer.path("own/logs"), USER);
            let log = outer.path("own/logs/log");
            let frigate = outer
                .frigate(mode, "own/logs/log")
                .puppet("error ready; report")
                .spawn();
            frigate.wait_message("ready");
            let look = || {
                fs::metadata(&log)
                    .map(|log| (log.uid(), log.mode() & 0o777))
                    .expect("the file exists")
            };
            frigate.kill(libc::SIGUSR1);
            wait_text(&log, "USR1");
            assert_eq!(look(), (0, 0o640));
            // Do as logrotate does: with `create` and the user as the owner, and without `create`.
            fs::rename(&log, outer.path("own/logs/log.a")).expect("the file exists");
            fs::write(&log, "").expect("no file has this name");
            give(&log, USER);
            frigate.kill(libc::SIGUSR2);
            wait_text(&log, "USR2");
            fs::rename(&log, outer.path("own/logs/log.b")).expect("the file exists");
            frigate.kill(libc::SIGHUP);
            wait_text(&log, "HUP");
            assert_eq!(look(), (0, 0o640));
            assert_eq!(
                frigate
                    .err()
                    .text()
                    .lines()
                    .filter(|line| line.starts_with("frigate: "))
                    .count(),
                0
            );
        });

    scenario("capture::a_link_of_roots_is_followed_and_its_file_rotated_where_it_is")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let outer = RootDirectory::new();
            fs::create_dir(outer.path("data")).expect("the trial owns it");
            std::os::unix::fs::symlink("data/file", outer.path("log"))
                .expect("no file has this name");
            let frigate = outer
                .frigate(mode, "log")
                .options("--log-max-bytes=4 --log-backups=1");
            frigate
                .puppet("say one; say two; exit 0")
                .run()
                .expect_code(0)
                .expect_silence();
            assert_eq!(
                (
                    outer.text("data/file.1").as_str(),
                    outer.text("data/file").as_str()
                ),
                ("one\n", "two\n")
            );
            assert!(
                fs::symlink_metadata(outer.path("log"))
                    .expect("the file exists")
                    .is_symlink()
            );
        });

    scenario("capture::dev_stdout_is_a_log_file_too").run(out, |mode| {
        for options in ["", "--log-max-bytes=4 --log-backups=1"] {
            let frigate = Frigate::new(mode)
                .options("--stdout=/dev/stdout --redirect-stderr")
                .options(options);
            let ended = frigate
                .puppet("say one; error two; say three; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "one\ntwo\nthree\n");
        }
    });

    scenario("capture::a_terminal_is_a_log_file_too").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .terminal()
            .options("--stdout=/dev/stdout --log-max-bytes=4");
        let ended = frigate.puppet("say one; say two; exit 0").run();
        ended.expect_code(0);
        assert!(ended.out.contains("one\r\ntwo\r\n"), "{ended:#?}");
    });

    scenario("capture::a_backup_that_cannot_be_looked_at_is_not_overwritten")
        .once()
        .needs(&[&STRACE])
        .run(out, |_| {
            let run = |inject: Option<usize>| {
                let logs = Logs::new();
                fs::write(logs.path("log.1"), "kept").expect("the trial owns the directory");
                let inject =
                    inject.map(|which| format!("inject=newfstatat:error=EIO:when={which}"));
                let frigate = logs
                    .frigate(Mode::Subreaper)
                    .options("--log-max-bytes=4 --log-backups=2");
                let words = std::iter::once("trace=newfstatat".to_owned()).chain(inject);
                let frigate = frigate
                    .strace(words)
                    .tracing_frigate_alone()
                    .puppet("say one; say two; exit 0")
                    .spawn();
                let mut log = eventually("a log", || fs::File::open(frigate.path("strace")).ok());
                let ended = frigate.wait();
                ended.expect_code(0);
                let mut text = String::new();
                std::io::Read::read_to_string(&mut log, &mut text).expect("text");
                let calls = text.lines().filter(|line| line.contains("newfstatat("));
                let which = calls
                    .into_iter()
                    .position(|line| line.contains("log.1\""))
                    .expect("a look at the backup");
                (which + 1, ended, logs)
            };
            let (which, ..) = run(None);
            let (_, ended, logs) = run(Some(which));
            assert_eq!(
                (logs.text("log.1").as_str(), logs.text("log").as_str()),
                ("kept", "one\ntwo\n")
            );
            assert!(fs::metadata(logs.path("log.2")).is_err());
            let messages = ended.messages();
            assert!(
                messages.len() == 1 && messages[0].contains("cannot rotate"),
                "{ended:#?}"
            );
            assert!(
                messages[0].ends_with("input/output error; going on in the file at hand"),
                "{ended:#?}"
            );
        });
}

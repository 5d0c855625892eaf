//! User, root, directory: `doc/specification.md#user-root-and-directory`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use libtest_mimic::Trial;
use nix::unistd::mkfifo;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};

use crate::support::capability::{KEYRINGS, ROOT, STRACE};
use crate::support::{Ended, Frigate, Input, Mode, own_program, procfs, scenario};

/// The users that a root directory knows. No number of theirs is another's, so that what was taken
/// for what can be told.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
app:x:1001:2001:An application:/home/app:/bin/sh
0day:x:1002:2002::/home/0day:/bin/sh
plain:x:1003:2003:::
";

/// Its groups. `app` is a part of other names, and is itself the name of a group with another
/// number than the user's.
const GROUP: &str = "root:x:0:
app:x:2001:
staff:x:2100:0day,app
audio:x:2101:app,another
others:x:2102:application,ap,my-app
0group:x:2103:
alone:x:2104:
";

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    forms(out);
    refusals(out);
    database(out);
    variables(out);
    root(out);
    directory(out);
    streams(out);
    privilege(out);
    restarts(out);
}

/// A frigate with a directory `root` that can be a child's root: it has a user database, `/proc`,
/// this program as `/puppet`, and what that needs to run. The mounts are frigate's and its
/// descendants' alone.
fn with_root(mode: Mode) -> Frigate {
    let mut frigate = Frigate::new(mode);
    let inside = |name: &str| format!("{}/{name}", frigate.path("root"));
    let mut binds = vec![("/proc".to_owned(), inside("proc"))];
    for directory in ["", "etc", "proc", "data"] {
        fs::create_dir(inside(directory)).expect("the directory is ours");
    }
    open_to_all(&inside("data"));
    fs::write(inside("etc/passwd"), PASSWD).expect("the directory is ours");
    fs::write(inside("etc/group"), GROUP).expect("the directory is ours");
    fs::write(inside("puppet"), "").expect("the directory is ours");
    binds.push((
        own_program().to_str().expect("a plain path").to_owned(),
        inside("puppet"),
    ));
    // The loader and the libraries stand at the paths that the program names, which may be links.
    for name in ["bin", "lib", "lib64", "usr"] {
        let from = format!("/{name}");
        if let Ok(target) = fs::read_link(&from) {
            symlink(target, inside(name)).expect("the directory is ours");
        } else if Path::new(&from).is_dir() {
            fs::create_dir(inside(name)).expect("the directory is ours");
            binds.push((from, inside(name)));
        }
    }
    for (from, to) in binds {
        frigate = frigate.bind(&from, &to);
    }
    frigate
}

/// The same with that directory as the child's root.
fn rooted(mode: Mode) -> Frigate {
    let frigate = with_root(mode);
    let root = frigate.path("root");
    frigate.options("--chroot").option(root)
}

/// A frigate that sees the user database above as its own, and has no other root for the child.
fn with_database(mode: Mode) -> Frigate {
    let frigate = Frigate::new(mode);
    let (passwd, group) = (frigate.file("passwd", PASSWD), frigate.file("group", GROUP));
    frigate
        .bind(&passwd, "/etc/passwd")
        .bind(&group, "/etc/group")
}

fn open_to_all(path: &str) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("it is ours");
}

/// Makes a directory in the root, with an owner, a group and permissions.
fn directory_of(frigate: &Frigate, name: &str, uid: u32, gid: u32, permissions: u32) {
    let path = frigate.path(&format!("root/{name}"));
    fs::create_dir(&path).expect("the directory is ours");
    fs::set_permissions(&path, Permissions::from_mode(permissions)).expect("it is ours");
    chown(&path, Some(uid), Some(gid)).expect("root may give it away");
}

/// Sets the puppet inside the root as the command.
fn inside(frigate: Frigate, script: &str) -> Frigate {
    frigate.command(["/puppet", "--puppet", script])
}

/// The deeds that tell what `identities` reads.
const TELL: &str = "field Uid; field Gid; field Groups";

/// A user, a group and the supplementary groups.
type Identity = (u32, u32, Vec<u32>);

fn numbers(line: &str) -> Vec<u32> {
    line.split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect()
}

/// One of four equal numbers: the real, the effective, the saved and the file system's.
#[track_caller]
fn all_alike(line: &str) -> u32 {
    let all = numbers(line);
    assert_eq!(all, vec![all[0]; 4], "{line}");
    all[0]
}

/// Who the children said that they were, one after the other.
#[track_caller]
fn identities(ended: &Ended) -> Vec<Identity> {
    let lines = |name: &'static str| {
        ended
            .out
            .lines()
            .filter_map(move |line| line.strip_prefix(name))
    };
    let (users, groups, supplementary) = (lines("Uid:"), lines("Gid:"), lines("Groups:"));
    let each = users.zip(groups).zip(supplementary);
    each.map(|((user, group), all)| (all_alike(user), all_alike(group), numbers(all)))
        .collect()
}

/// The identity of a process from outside.
#[track_caller]
fn identity_of(pid: i32) -> Identity {
    let field = |name| procfs::status_field(pid, name).expect("a live process");
    (
        all_alike(&field("Uid")),
        all_alike(&field("Gid")),
        numbers(&field("Groups")),
    )
}

/// This process's own identity, which a frigate has as well unless it is started as somebody else.
fn own_identity() -> Identity {
    identity_of(nix::unistd::getpid().as_raw())
}

/// Exit code 125, one line that holds all of these, and no word from the child.
#[track_caller]
fn expect_refusal(ended: &Ended, parts: &[&str]) {
    ended.expect_code(125);
    assert_eq!(ended.out, "", "it was started: {ended:#?}");
    let messages = ended.messages();
    assert_eq!(messages.len(), 1, "{ended:#?}");
    assert!(messages[0].starts_with("frigate: cannot "), "{ended:#?}");
    for part in parts {
        assert!(messages[0].contains(part), "no {part:?}: {ended:#?}");
    }
}

/// The supplementary groups of a frigate, none of which a child may keep unasked: one is a group of
/// the database as well.
const OF_FRIGATE: [u32; 2] = [7, 2104];

/// Starts a child in the root as this user and compares what it says of itself.
#[track_caller]
fn expect_identity(mode: Mode, user: &str, expected: &Identity) {
    let frigate = rooted(mode)
        .groups(&OF_FRIGATE)
        .option(format!("--user={user}"));
    let ended = inside(frigate, TELL).run();
    ended.expect_code(0).expect_silence();
    assert_eq!(
        identities(&ended),
        *std::slice::from_ref(expected),
        "--user={user}: {ended:#?}"
    );
}

fn forms(out: &mut Vec<Trial>) {
    scenario("user::a_name_brings_its_primary_and_supplementary_groups")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // Neither `others`, whose members' names hold this one, nor any group of frigate's.
            expect_identity(mode, "app", &(1001, 2001, vec![2001, 2100, 2101]));
            expect_identity(mode, "plain", &(1003, 2003, vec![2003]));
            expect_identity(mode, "root", &(0, 0, vec![0]));
        });

    scenario("user::a_number_with_an_entry_brings_the_groups_of_that_entry")
        .needs(&[&ROOT])
        .run(out, |mode| {
            expect_identity(mode, "1001", &(1001, 2001, vec![2001, 2100, 2101]));
            expect_identity(mode, "0", &(0, 0, vec![0]));
        });

    scenario("user::with_a_group_it_is_that_group_alone")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let forms = [
                ("app:alone", 1001, 2104),
                ("app:staff", 1001, 2100),
                ("app:app", 1001, 2001),
                ("app:3333", 1001, 3333),
                ("1001:audio", 1001, 2101),
                ("1001:2102", 1001, 2102),
                ("root:alone", 0, 2104),
                ("0:0", 0, 0),
            ];
            for (form, uid, gid) in forms {
                expect_identity(mode, form, &(uid, gid, vec![gid]));
            }
        });

    scenario("user::a_number_without_an_entry_needs_a_group")
        .needs(&[&ROOT])
        .run(out, |mode| {
            expect_identity(mode, "4711:3333", &(4711, 3333, vec![3333]));
            expect_identity(mode, "4711:staff", &(4711, 2100, vec![2100]));
            let ended = inside(rooted(mode).options("--user 4711"), "say started").run();
            expect_refusal(&ended, &["--user", "4711", "UID:GID"]);
        });

    scenario("user::the_group_that_frigate_leaves_is_left")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // Its own group among the supplementary ones is what a login and a container engine
            // give it. Apart from that group it has just what is asked for, which must not be
            // mistaken for having it.
            let (_, own, _) = own_identity();
            for (form, had, expected) in [
                ("1001:2104", vec![own, 2104], (1001, 2104, vec![2104])),
                (":2104", vec![own, 2104], (0, 2104, vec![2104])),
                (
                    "app",
                    vec![own, 2001, 2100, 2101],
                    (1001, 2001, vec![2001, 2100, 2101]),
                ),
            ] {
                let ended = inside(
                    rooted(mode).groups(&had).option(format!("--user={form}")),
                    TELL,
                )
                .run();
                ended.expect_code(0).expect_silence();
                assert_eq!(
                    identities(&ended),
                    [expected],
                    "--user={form} with {had:?}: {ended:#?}"
                );
            }
        });

    scenario("user::membership_of_frigates_own_group_is_not_lost")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // frigate is in its own group without being listed there; the child, whose own group is
            // another, is not.
            let (_, own, _) = own_identity();
            let frigate = rooted(mode).groups(&[2003]).options("--user plain");
            fs::write(
                frigate.path("root/etc/group"),
                format!("own:x:{own}:plain\n"),
            )
            .expect("the root is ours");
            let ended = inside(frigate, TELL).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(
                identities(&ended),
                [(1003, 2003, vec![own, 2003])],
                "{ended:#?}"
            );
        });

    scenario("user::an_empty_user_keeps_the_one_that_frigate_is")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let (uid, _, _) = own_identity();
            expect_identity(mode, ":alone", &(uid, 2104, vec![2104]));
            expect_identity(mode, ":3333", &(uid, 3333, vec![3333]));
        });

    scenario("user::an_empty_group_brings_the_users_own")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for user in ["app:", "1001:"] {
                expect_identity(mode, user, &(1001, 2001, vec![2001, 2100, 2101]));
            }
            let ended = inside(rooted(mode).options("--user 4711:"), "say started").run();
            expect_refusal(&ended, &["--user", "4711:", "UID:GID"]);
        });

    scenario("user::a_name_may_begin_with_a_digit")
        .needs(&[&ROOT])
        .run(out, |mode| {
            expect_identity(mode, "0day", &(1002, 2002, vec![2002, 2100]));
            expect_identity(mode, "app:0group", &(1001, 2103, vec![2103]));
        });

    scenario("user::the_environment_variable_means_the_same")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_root(mode);
            let root = frigate.path("root");
            let frigate = frigate
                .env("FRIGATE_INIT_USER", "app")
                .env("FRIGATE_INIT_CHROOT", root)
                .env("FRIGATE_INIT_WORKDIR", "/data");
            let ended = inside(frigate, &format!("{TELL}; directory")).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(
                identities(&ended),
                [(1001, 2001, vec![2001, 2100, 2101])],
                "{ended:#?}"
            );
            assert!(ended.out.ends_with("directory /data\n"), "{ended:#?}");
        });
}

fn refusals(out: &mut Vec<Trial>) {
    scenario("user::what_the_database_does_not_know_is_refused")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for (form, unknown) in [
                ("stranger", "stranger"),
                ("stranger:3333", "stranger"),
                ("app:strangers", "strangers"),
            ] {
                let ended =
                    inside(rooted(mode).option(format!("--user={form}")), "say started").run();
                expect_refusal(&ended, &["--user", form, &format!("'{unknown}'")]);
            }
            // `audio` is no user and `0day` is no group: each half has its own file.
            for form in ["audio", "app:0day", ":plain"] {
                let ended =
                    inside(rooted(mode).option(format!("--user={form}")), "say started").run();
                expect_refusal(&ended, &["--user", form]);
            }
        });

    scenario("user::what_is_no_user_is_refused")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // To the kernel 4294967295 means no change: it would leave the child root.
            for form in [
                "",
                ":",
                "4294967295",
                "4294967295:1",
                "1:4294967295",
                "99999999999999999999",
                "app:staff:audio",
            ] {
                let ended =
                    inside(rooted(mode).option(format!("--user={form}")), "say started").run();
                expect_refusal(&ended, &["--user"]);
            }
        });

    scenario("user::a_refusal_names_the_variable_that_asked")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for form in ["stranger", "4294967295"] {
                let ended =
                    inside(rooted(mode).env("FRIGATE_INIT_USER", form), "say started").run();
                expect_refusal(&ended, &["FRIGATE_INIT_USER", form]);
            }
        });

    scenario("user::a_refusal_is_not_tried_again")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let asked = [
                "--user=stranger",
                "--workdir=/missing",
                "--user=app --workdir=/locked",
            ];
            for options in asked {
                let frigate = rooted(mode)
                    .options("--restart=true --backoff=1ms")
                    .options(options);
                directory_of(&frigate, "locked", 0, 0, 0o700);
                expect_refusal(&inside(frigate, "say started").run(), &[]);
            }
        });
}

fn database(out: &mut Vec<Trial>) {
    scenario("user::names_are_looked_up_in_the_files_inside_the_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // The two roots know the same names by other numbers.
            let outer = "app:x:5001:5002::/outside:\n";
            let frigate = rooted(mode).options("--user app:alone");
            let (passwd, group) = (
                frigate.file("passwd", outer),
                frigate.file("group", "alone:x:5003:\n"),
            );
            let frigate = frigate
                .bind(&passwd, "/etc/passwd")
                .bind(&group, "/etc/group");
            let ended = inside(frigate, TELL).run();
            assert_eq!(identities(&ended), [(1001, 2104, vec![2104])], "{ended:#?}");
            let frigate = Frigate::new(mode).options("--user app:alone");
            let (passwd, group) = (
                frigate.file("passwd", outer),
                frigate.file("group", "alone:x:5003:\n"),
            );
            let frigate = frigate
                .bind(&passwd, "/etc/passwd")
                .bind(&group, "/etc/group");
            let ended = frigate.puppet(TELL).run();
            assert_eq!(identities(&ended), [(5001, 5003, vec![5003])], "{ended:#?}");
        });

    scenario("user::a_link_inside_the_root_means_what_it_means_to_the_child")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for is_absolute in [true, false] {
                let frigate = rooted(mode).options("--user app");
                let passwd = frigate.path("root/etc/passwd");
                // What the link names exists outside as well, with another number.
                let outside = frigate.file("names", "app:x:5001:5002::/outside:\n");
                let inner = format!("{}{outside}", frigate.path("root"));
                fs::create_dir_all(Path::new(&inner).parent().expect("it is in a directory"))
                    .expect("the root is ours");
                fs::rename(&passwd, &inner).expect("the root is ours");
                let climbing = format!("../../../../../../../..{outside}");
                symlink(if is_absolute { &outside } else { &climbing }, &passwd)
                    .expect("the root is ours");
                let ended = inside(frigate, TELL).run();
                ended.expect_code(0).expect_silence();
                assert_eq!(
                    identities(&ended),
                    [(1001, 2001, vec![2001, 2100, 2101])],
                    "{is_absolute}: {ended:#?}"
                );
            }
        });

    scenario("user::a_link_in_place_of_etc_stays_inside_the_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).options("--user app");
            fs::rename(frigate.path("root/etc"), frigate.path("root/data/etc"))
                .expect("the root is ours");
            symlink("/data/etc", frigate.path("root/etc")).expect("the root is ours");
            let ended = inside(frigate, TELL).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(
                identities(&ended),
                [(1001, 2001, vec![2001, 2100, 2101])],
                "{ended:#?}"
            );
        });

    scenario("user::numbers_need_no_database")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let without = || {
                let frigate = rooted(mode);
                fs::remove_dir_all(frigate.path("root/etc")).expect("the root is ours");
                frigate
            };
            let ended = inside(without().options("--user 1001:3333"), TELL).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(identities(&ended), [(1001, 3333, vec![3333])], "{ended:#?}");
            expect_refusal(
                &inside(without().options("--user app"), "say started").run(),
                &["--user=app"],
            );
            expect_refusal(
                &inside(without().options("--user 1001"), "say started").run(),
                &["--user=1001"],
            );
        });

    scenario("user::a_database_that_cannot_be_read_is_refused_by_name")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for file in ["passwd", "group"] {
                let frigate = rooted(mode).options("--user app");
                let path = frigate.path(&format!("root/etc/{file}"));
                fs::remove_file(&path).expect("the root is ours");
                fs::create_dir(&path).expect("the root is ours");
                expect_refusal(&inside(frigate, "say started").run(), &[&path]);
            }
        });
}

fn variables(out: &mut Vec<Trial>) {
    const TELL_VARIABLES: &str =
        "environment HOME; environment USER; environment LOGNAME; environment OTHER; exit 0";

    scenario("user::home_user_and_logname_follow_the_user").needs(&[&ROOT]).run(out, |mode| {
        let forms = [
            ("app", "/home/app", "app"),
            ("1001", "/home/app", "app"),
            ("app:alone", "/home/app", "app"),
            ("app:", "/home/app", "app"),
            ("1002:2100", "/home/0day", "0day"),
            // An entry may name no home.
            ("plain", "/", "plain"),
            // frigate's own user's name and home would be somebody else's.
            ("4711:3333", "/", "unset"),
            // The user stays, and so does what tells of it.
            (":alone", "/frigates", "frigate"),
        ];
        for (form, home, name) in forms {
            let frigate = rooted(mode).env("HOME", "/frigates").env("USER", "frigate").env("LOGNAME", "frigate");
            let frigate = frigate.env("OTHER", "kept").option(format!("--user={form}"));
            let ended = inside(frigate, TELL_VARIABLES).run();
            let expected = format!(
                "environment HOME {home}\nenvironment USER {name}\nenvironment LOGNAME {name}\nenvironment OTHER kept\n"
            );
            assert_eq!(ended.out, expected, "--user={form}: {ended:#?}");
        }
    });

    scenario("user::the_variables_are_set_where_frigate_had_none")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let ended = inside(rooted(mode).options("--user app"), TELL_VARIABLES).run();
            let expected =
                "environment HOME /home/app\nenvironment USER app\nenvironment LOGNAME app\n";
            assert_eq!(
                ended.out,
                format!("{expected}environment OTHER unset\n"),
                "{ended:#?}"
            );
        });

    scenario("user::a_variable_is_there_once")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode)
                .env("HOME", "/frigates")
                .env("USER", "frigate")
                .options("--user app");
            let ended = frigate.command(["/bin/cat", "/proc/self/environ"]).run();
            for name in ["HOME=", "USER=", "LOGNAME="] {
                let count = ended
                    .out
                    .split('\0')
                    .filter(|entry| entry.starts_with(name))
                    .count();
                assert_eq!(count, 1, "{name} {ended:#?}");
            }
        });
}

fn root(out: &mut Vec<Trial>) {
    scenario("user::without_a_directory_the_child_is_at_the_top_of_its_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // Where frigate was started makes no difference, even if it is inside that root.
            for start in ["", "root", "root/data"] {
                let frigate = rooted(mode);
                let start = frigate.path(start);
                let ended = inside(
                    frigate.current_directory(start),
                    "directory; missing /etc/passwd; exit 0",
                )
                .run();
                ended.expect_code(0).expect_silence();
                assert_eq!(ended.out, "directory /\n", "{ended:#?}");
            }
        });

    scenario("user::the_child_sees_nothing_outside_of_its_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode);
            let file = frigate.file("outside", "");
            let ended = inside(
                frigate,
                &format!("missing {file}; missing ../../../..{file}; exit 0"),
            )
            .run();
            assert_eq!(
                ended.out,
                format!("missing {file}\nmissing ../../../..{file}\n"),
                "{ended:#?}"
            );
        });

    scenario("user::a_directory_that_leads_out_of_the_root_is_said")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let script = "say started; exit 0";
            let frigate = rooted(mode);
            let (file, outside) = (frigate.file("file", ""), frigate.path(""));
            let frigate = frigate
                .descriptor(3, &file)
                .descriptor(17, &outside)
                .descriptor(40, &outside);
            let ended = inside(frigate, script).run();
            ended.expect_code(0);
            assert_eq!(ended.out, "started\n");
            let messages = ended.messages();
            assert_eq!(messages.len(), 1, "{ended:#?}");
            assert!(
                messages[0].starts_with(
                    "frigate: cannot close 'descriptor 17': is a directory; it leads out"
                ),
                "{ended:#?}"
            );
            // Without a root of its own the child may be anywhere; nor is a file a way out.
            let frigate = Frigate::new(mode);
            let outside = frigate.path("");
            frigate
                .descriptor(17, &outside)
                .puppet(script)
                .run()
                .expect_code(0)
                .expect_silence();
            let frigate = rooted(mode);
            let file = frigate.file("file", "");
            inside(frigate.descriptor(17, &file), script)
                .run()
                .expect_code(0)
                .expect_silence();
        });

    scenario("user::a_root_that_is_missing_or_no_directory_is_refused_by_name")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for options in ["", "--user=app", "--user=1001:2001"] {
                for name in ["missing", "file"] {
                    let frigate = Frigate::new(mode).options(options).options("--chroot");
                    frigate.file("file", "");
                    let root = frigate.path(name);
                    expect_refusal(&frigate.option(&root).puppet("say started").run(), &[&root]);
                }
            }
        });

    scenario("user::a_relative_root_counts_from_the_original_directory")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for options in ["", "--restart=unexpected --backoff=5ms"] {
                let frigate = with_root(mode)
                    .options("--chroot root --user app")
                    .options(options);
                let start = frigate.path("");
                let script =
                    format!("attempt /data/starts; {TELL}; directory; on 1 {{exit 1}}; exit 0");
                let ended = inside(frigate.current_directory(start), &script).run();
                let starts = if options.is_empty() { 1 } else { 2 };
                assert_eq!(
                    identities(&ended),
                    vec![(1001, 2001, vec![2001, 2100, 2101]); starts],
                    "{ended:#?}"
                );
                assert_eq!(
                    ended.out.matches("directory /\n").count(),
                    starts,
                    "{ended:#?}"
                );
            }
        });

    scenario("user::a_command_that_exists_only_inside_the_root_is_found_in_path")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode)
                .env("PATH", "/no/such/directory:/only/here")
                .options("--user app");
            fs::create_dir_all(frigate.path("root/only/here")).expect("the root is ours");
            symlink("/puppet", frigate.path("root/only/here/tool")).expect("the root is ours");
            let ended = frigate
                .command(["tool", "--puppet", "say started; exit 5"])
                .run();
            ended.expect_code(5).expect_silence();
            assert_eq!(ended.out, "started\n");
        });

    scenario("user::a_command_that_exists_only_outside_of_the_root_is_not_found")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode);
            let tool = frigate.executable("tool", "#!/bin/sh\nexit 5\n");
            let ended = frigate.command([tool.as_str()]).run();
            ended.expect_code(127);
            assert!(ended.messages()[0].contains(&tool), "{ended:#?}");
            let frigate = rooted(mode);
            frigate.executable("tool", "#!/bin/sh\nexit 5\n");
            let path = frigate.path("");
            frigate
                .env("PATH", path)
                .command(["tool"])
                .run()
                .expect_code(127);
        });
}

fn directory(out: &mut Vec<Trial>) {
    scenario("user::the_directory_is_inside_the_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for (asked, entered) in [
                ("/data", "/data"),
                ("data", "/data"),
                ("/link", "/data"),
                ("/../../data", "/data"),
            ] {
                let frigate = rooted(mode);
                symlink("/data", frigate.path("root/link")).expect("the root is ours");
                let ended = inside(
                    frigate.options("--workdir").option(asked),
                    "directory; exit 0",
                )
                .run();
                ended.expect_code(0).expect_silence();
                assert_eq!(ended.out, format!("directory {entered}\n"), "{asked}");
            }
        });

    scenario("user::a_directory_needs_no_root_of_its_own").run(out, |mode| {
        for is_relative in [true, false] {
            let frigate =
                Frigate::new(mode).options("--restart=unexpected --backoff=5ms --workdir");
            let (start, asked, starts) = (
                frigate.path(""),
                frigate.path("asked"),
                frigate.path("starts"),
            );
            fs::create_dir(&asked).expect("the directory is ours");
            let frigate = frigate
                .option(if is_relative { "asked" } else { &asked })
                .current_directory(start);
            let ended = frigate
                .puppet(format!(
                    "attempt {starts}; directory; on 1 {{exit 1}}; exit 0"
                ))
                .run();
            ended.expect_code(0);
            assert_eq!(
                ended.out,
                format!("directory {asked}\n").repeat(2),
                "{ended:#?}"
            );
        }
    });

    scenario("user::a_relative_command_is_found_from_the_directory")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).options("--user app --workdir /data");
            symlink("/puppet", frigate.path("root/data/tool")).expect("the root is ours");
            let ended = frigate
                .command(["./tool", "--puppet", "directory; exit 5"])
                .run();
            ended.expect_code(5).expect_silence();
            assert_eq!(ended.out, "directory /data\n");
        });

    scenario("user::a_directory_that_is_missing_is_refused_by_name").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (missing, file) = (frigate.path("missing"), frigate.file("file", ""));
        let ended = frigate
            .options("--workdir")
            .option(&missing)
            .puppet("say started")
            .run();
        expect_refusal(&ended, &[&format!("'{missing}'")]);
        let ended = Frigate::new(mode)
            .options("--workdir")
            .option(&file)
            .puppet("say started")
            .run();
        expect_refusal(&ended, &[&format!("'{file}'")]);
    });

    scenario("user::a_directory_that_exists_only_outside_of_the_root_is_missing")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode);
            let outside = frigate.path("outside");
            fs::create_dir(&outside).expect("the directory is ours");
            let ended = inside(frigate.options("--workdir").option(&outside), "say started").run();
            expect_refusal(&ended, &[&format!("'{outside}'")]);
        });

    scenario("user::the_directory_is_entered_as_the_user")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let prepared = || {
                let frigate = rooted(mode);
                directory_of(&frigate, "own", 1001, 0, 0o700);
                directory_of(&frigate, "primary", 0, 2001, 0o710);
                directory_of(&frigate, "supplementary", 0, 2101, 0o710);
                directory_of(&frigate, "roots", 0, 0, 0o700);
                // Open to root's group, which the child must have lost by then.
                directory_of(&frigate, "roots-group", 4711, 0, 0o710);
                frigate
            };
            for name in ["own", "primary", "supplementary"] {
                let frigate = prepared()
                    .options("--user app")
                    .option(format!("--workdir=/{name}"));
                let ended = frigate.command(["/bin/sh", "-c", "echo at $(pwd)"]).run();
                ended.expect_code(0).expect_silence();
                assert_eq!(ended.out, format!("at /{name}\n"));
            }
            for (user, name) in [
                ("app", "roots"),
                ("app", "roots-group"),
                ("app:alone", "supplementary"),
                ("0day", "own"),
            ] {
                let frigate = prepared()
                    .option(format!("--user={user}"))
                    .option(format!("--workdir=/{name}"));
                expect_refusal(
                    &inside(frigate, "say started").run(),
                    &[&format!("enter '/{name}'"), "permission"],
                );
            }
            // Root itself may, so it was the user who was turned away.
            let ended = inside(prepared().options("--workdir /roots"), "directory; exit 0").run();
            assert_eq!(ended.out, "directory /roots\n", "{ended:#?}");
        });
}

#[track_caller]
fn owner(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("it is there").uid()
}

fn streams(out: &mut Vec<Trial>) {
    scenario("user::streams_that_are_pipes_can_be_opened_again_by_the_user")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let ended = with_database(mode)
                .options("--user app")
                .puppet("to /dev/stdout; say out; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "out\n");
            for user in ["app", "app:alone", "4711:3333"] {
                let script = "to /proc/self/fd/1; say out; to /proc/self/fd/2; say err; exit 0";
                let ended = inside(rooted(mode).option(format!("--user={user}")), script).run();
                ended.expect_code(0);
                assert_eq!(
                    (ended.out.as_str(), ended.err.as_str()),
                    ("out\n", "err\n"),
                    "--user={user}"
                );
            }
        });

    scenario("user::standard_input_that_is_a_pipe_can_be_opened_again_by_the_user")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).input(Input::Pipe).options("--user app");
            let mut frigate = frigate.command(["/bin/cat", "/proc/self/fd/0"]).spawn();
            frigate.write_input("one\n");
            frigate.wait_line("one");
            frigate.close_input();
            frigate.wait().expect_code(0).expect_silence();
        });

    scenario("user::as_pid_1_a_terminal_can_be_opened_again_by_the_user")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).terminal().options("--user app");
            let ended = inside(
                frigate,
                "to /proc/self/fd/1; say out; to /proc/self/fd/2; say err; exit 0",
            )
            .run();
            ended.expect_code(0);
            let said: Vec<_> = ended.out.lines().collect();
            assert_eq!(said, ["out", "err"], "{ended:#?}");
        });

    scenario("user::a_terminal_outside_of_a_container_keeps_its_owner")
        .only(Mode::Subreaper)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_database(mode).terminal().options("--user app");
            let frigate = frigate.puppet("say ready; wait TERM; exit 0").spawn();
            frigate.wait_line("ready");
            assert_eq!(
                owner(frigate.terminal.as_ref().expect("a terminal").path()),
                0
            );
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(0);
        });

    scenario("user::a_refused_start_changes_no_owner")
        .only(Mode::Pid1)
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_database(mode).terminal().options("--user app");
            let log = frigate.path("missing/log");
            let frigate = frigate
                .option(format!("--stdout={log}"))
                .puppet("say started")
                .spawn();
            frigate.wait_line("cannot open");
            assert_eq!(
                owner(frigate.terminal.as_ref().expect("a terminal").path()),
                0
            );
            frigate.wait().expect_code(125);
        });

    scenario("user::a_fifo_with_a_name_keeps_its_owner")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = with_database(mode).options("--user app");
            let fifo = frigate.path("fifo");
            mkfifo(
                fifo.as_str(),
                nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
            )
            .expect("a FIFO");
            // Both ends, so that nobody waits for the other side.
            let _both = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&fifo)
                .expect("it is ours");
            let frigate = frigate
                .descriptor(0, &fifo)
                .puppet("say ready; wait TERM; exit 0")
                .spawn();
            frigate.wait_line("ready");
            assert_eq!(owner(&fifo), 0);
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(0).expect_silence();
        });

    scenario("user::a_device_that_is_everybodys_stays_so")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // A device of the trial's own, lest a fault should reach the machine's.
            let frigate = rooted(mode).options("--user app");
            let null = frigate.path("null");
            let made = std::process::Command::new("mknod")
                .args(["-m", "666", &null, "c", "1", "3"])
                .status();
            assert!(made.expect("mknod").success(), "no device {null}");
            assert_eq!(owner(&null), 0);
            let frigate = frigate.bind(&null, "/dev/null");
            let frigate = inside(frigate, "say ready; wait TERM; exit 0").spawn();
            frigate.wait_line("ready");
            assert_eq!(owner(&null), 0);
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(0);
        });
}

fn privilege(out: &mut Vec<Trial>) {
    scenario("user::a_user_that_frigate_is_already_needs_no_privilege")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // The harness takes every supplementary group away and makes the group the same number
            // as the user.
            for user in ["1000:1000", ":1000"] {
                let ended = Frigate::new(mode)
                    .uid(1000)
                    .option(format!("--user={user}"))
                    .puppet(TELL)
                    .run();
                ended.expect_code(0).expect_silence();
                let (uid, gid, groups) = identities(&ended).remove(0);
                assert_eq!((uid, gid), (1000, 1000), "--user={user}: {ended:#?}");
                assert!(
                    groups.iter().all(|group| *group == 1000),
                    "--user={user}: {ended:#?}"
                );
            }
            let frigate = Frigate::new(mode)
                .uid(1000)
                .groups(&[2100, 1000])
                .options("--user me");
            let passwd = frigate.file("passwd", "me:x:1000:1000::/mine:\n");
            let group = frigate.file("group", "more:x:2100:me\n");
            let ended = frigate
                .bind(&passwd, "/etc/passwd")
                .bind(&group, "/etc/group")
                .puppet(TELL)
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(
                identities(&ended),
                [(1000, 1000, vec![1000, 2100])],
                "{ended:#?}"
            );
            let frigate = Frigate::new(mode).uid(1000).options("--user me");
            let passwd = frigate.file("passwd", "me:x:1000:1000::/mine:\n");
            let group = frigate.file("group", GROUP);
            let frigate = frigate
                .bind(&passwd, "/etc/passwd")
                .bind(&group, "/etc/group");
            let ended = frigate.puppet(format!("{TELL}; environment HOME")).run();
            ended.expect_code(0).expect_silence();
            assert!(
                ended.out.contains("Uid: 1000 1000 1000 1000\n"),
                "{ended:#?}"
            );
            assert!(
                ended.out.ends_with("environment HOME /mine\n"),
                "{ended:#?}"
            );
        });

    scenario("user::a_frigate_without_privilege_is_refused_another_identity")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for user in [
                "1001:1001",
                "1000:1001",
                ":1001",
                "1001:1000",
                "1001:",
                "0:0",
                "app",
                "root",
            ] {
                let frigate = with_database(mode)
                    .uid(1000)
                    .option(format!("--user={user}"));
                expect_refusal(
                    &frigate.puppet("say started").run(),
                    &[&format!("'{user}'"), "not permitted"],
                );
            }
            // A group that it has and the child is not to have cannot be given up without privilege
            // either.
            let frigate = Frigate::new(mode)
                .uid(1000)
                .groups(&[2100])
                .options("--user 1000:1000");
            expect_refusal(
                &frigate.puppet("say started").run(),
                &["groups", "'1000:1000'", "not permitted"],
            );
            // The user is the same and the supplementary groups are not: it would run with less
            // than was asked for.
            let frigate = with_database(mode).uid(1000).options("--user me");
            let passwd = frigate.file("own-passwd", "me:x:1000:1000::/mine:\n");
            let group = frigate.file("own-group", "more:x:2100:me\n");
            let frigate = frigate
                .bind(&passwd, "/etc/passwd")
                .bind(&group, "/etc/group");
            expect_refusal(
                &frigate.puppet("say started").run(),
                &["groups", "'me'", "not permitted"],
            );
        });

    scenario("user::a_frigate_without_privilege_is_refused_another_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = rooted(mode).uid(1000);
            let root = frigate.path("root");
            expect_refusal(
                &inside(frigate, "say started").run(),
                &[&format!("'{root}'"), "not permitted"],
            );
        });

    scenario("user::the_child_cannot_become_root_again")
        .needs(&[&ROOT])
        .run(out, |mode| {
            for user in ["app", "4711:3333", "app:"] {
                let script = "become 0; field Uid; field CapPrm; field CapEff; exit 0";
                let ended = inside(rooted(mode).option(format!("--user={user}")), script).run();
                ended.expect_code(0);
                assert!(
                    ended.out.starts_with("become 0: EPERM"),
                    "--user={user}: {ended:#?}"
                );
                assert!(
                    !ended.out.contains(" 0\n") && !ended.out.contains(" 0 "),
                    "--user={user}: {ended:#?}"
                );
                assert_eq!(
                    ended.out.matches(": 0000000000000000\n").count(),
                    2,
                    "--user={user}: {ended:#?}"
                );
            }
            // Whoever may become root can tell so; the deed is no deed that always fails.
            let ended = inside(rooted(mode), "become 0; exit 0").run();
            assert_eq!(ended.out, "become 0: done\n");
        });

    scenario("user::another_user_has_no_capability_of_frigates").needs(&[&ROOT]).run(out, |mode| {
        // The kernel takes them away only from a process that was root, and unless these flags say
        // otherwise.
        let change_users = CapabilitySet::SETUID | CapabilitySet::SETGID;
        let as_app = || with_database(mode).options("--user app");
        let as_another = || as_app().uid(1000).capabilities(change_users);
        let kept = CapabilitiesSecureBits::NO_SETUID_FIXUP;
        let bounding = procfs::status_field(nix::unistd::getpid().as_raw(), "CapBnd").expect("/proc");
        for (name, frigate) in [
            ("from another user", as_another()),
            ("into a directory", as_another().options("--workdir / --no-new-privs")),
            ("from root", as_app().capabilities(change_users)),
            ("from root that keeps them", as_app().secure_bits(kept)),
            ("from root that keeps more", as_app().secure_bits(kept).capabilities(change_users)),
        ] {
            let script = "field CapInh; field CapPrm; field CapEff; field CapAmb; field CapBnd; become 0; exit 0";
            let ended = frigate.puppet(script).run();
            ended.expect_code(0).expect_silence();
            let lines: Vec<_> = ended.out.lines().collect();
            let none = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|field| format!("{field}: 0000000000000000"));
            assert_eq!(lines[..4], none, "{name}: {ended:#?}");
            assert_eq!(lines[4], format!("CapBnd: {bounding}"), "{name}: {ended:#?}");
            assert!(lines[5].starts_with("become 0: EPERM"), "{name}: {ended:#?}");
        }
    });

    scenario("user::who_stays_the_same_user_keeps_its_capabilities")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let binding = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::SETGID;
            for options in ["", "--user=1000:1000", "--user=:1001"] {
                let ended = Frigate::new(mode)
                    .uid(1000)
                    .capabilities(binding)
                    .options(options)
                    .puppet("field CapInh; field CapPrm; field CapEff; field CapAmb; exit 0")
                    .run();
                ended.expect_code(0).expect_silence();
                assert_eq!(
                    ended.out.matches(": 0000000000000440\n").count(),
                    4,
                    "{options}: {ended:#?}"
                );
            }
        });

    scenario("user::a_user_without_capabilities_to_come_is_a_refusal")
        .needs(&[&ROOT, &STRACE])
        .run(out, |mode| {
            let frigate = with_database(mode).options("--user app");
            let frigate = frigate.strace(["trace=capset", "inject=capset:error=EPERM"]);
            expect_refusal(
                &frigate.puppet("say started").run(),
                &["become 'app'", "not permitted"],
            );
        });

    scenario("user::another_user_has_a_session_keyring_of_its_own")
        .needs(&[&ROOT, &KEYRINGS])
        .run(out, |mode| {
            // Who is no other user has the same one as frigate.
            let ended = Frigate::new(mode)
                .key("treasure")
                .puppet("key treasure; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "key treasure: found\n");
            let frigate = with_database(mode)
                .key("treasure")
                .options("--user app --restart=unexpected --backoff=5ms");
            let starts = frigate.path("starts");
            let ended = frigate
                .puppet(format!(
                    "attempt {starts}; key treasure; on 1 {{exit 1}}; exit 0"
                ))
                .run();
            ended.expect_code(0);
            assert_eq!(
                ended
                    .out
                    .matches("key treasure: Required key not available")
                    .count(),
                2,
                "{ended:#?}"
            );
        });

    scenario("user::a_keyring_that_is_refused_is_no_obstacle")
        .needs(&[&ROOT, &STRACE])
        .run(out, |mode| {
            for errno in ["ENOSYS", "EPERM", "EACCES", "EDQUOT"] {
                let frigate = with_database(mode).options("--user app");
                let injection = format!("inject=keyctl:error={errno}");
                let ended = frigate
                    .strace(["trace=keyctl", injection.as_str()])
                    .puppet("say started; exit 0")
                    .run();
                ended.expect_code(0).expect_silence();
                assert_eq!(ended.out, "started\n");
            }
        });

    scenario("user::frigate_itself_keeps_its_identity")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let options = "--user app --workdir /data --no-new-privs";
            let frigate = inside(
                rooted(mode).options(options),
                "say ready; wait TERM; exit 3",
            )
            .spawn();
            frigate.wait_line("ready");
            assert_eq!(identity_of(frigate.pid), own_identity());
            assert_eq!(
                identity_of(frigate.only_child()),
                (1001, 2001, vec![2001, 2100, 2101])
            );
            let own = nix::unistd::getpid().as_raw();
            assert_eq!(
                procfs::status_field(frigate.pid, "NoNewPrivs"),
                procfs::status_field(own, "NoNewPrivs")
            );
            let roots = |pid| fs::read_link(format!("/proc/{pid}/root")).expect("a live process");
            assert_eq!(roots(frigate.pid), Path::new("/"));
            assert_eq!(roots(frigate.only_child()), frigate.path("root"));
            // And so it may still signal the child.
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(3).expect_silence();
        });

    scenario("user::no_new_privs_is_set_for_the_child_and_only_where_asked").run(out, |mode| {
        let own =
            procfs::status_field(nix::unistd::getpid().as_raw(), "NoNewPrivs").expect("/proc");
        for (options, expected) in [("--no-new-privs", "1"), ("", own.as_str())] {
            let ended = Frigate::new(mode)
                .options(options)
                .puppet("field NoNewPrivs; exit 0")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, format!("NoNewPrivs: {expected}\n"), "{options}");
        }
    });

    scenario("user::no_new_privs_goes_with_a_user_and_a_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let ended = inside(
                rooted(mode).options("--user app --no-new-privs"),
                "field NoNewPrivs; field Uid",
            )
            .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "NoNewPrivs: 1\nUid: 1001 1001 1001 1001\n");
        });
}

fn restarts(out: &mut Vec<Trial>) {
    scenario("user::a_restarted_child_has_the_same_identity").needs(&[&ROOT]).run(out, |mode| {
        let options = "--restart=unexpected --backoff=5ms --user app --workdir /data --no-new-privs";
        let script = format!(
            "attempt starts; {TELL}; field NoNewPrivs; directory; environment HOME; environment FRIGATE_RESTARTS; \
             become 0; on 1 {{exit 1}}; on 2 {{die KILL}}; exit 0"
        );
        let ended = inside(rooted(mode).options(options), &script).run();
        ended.expect_code(0);
        assert_eq!(identities(&ended), vec![(1001, 2001, vec![2001, 2100, 2101]); 3], "{ended:#?}");
        for line in ["NoNewPrivs: 1\n", "directory /data\n", "environment HOME /home/app\n", "become 0: EPERM"] {
            assert_eq!(ended.out.matches(line).count(), 3, "{line:?} {ended:#?}");
        }
        for count in 0..3 {
            let line = format!("environment FRIGATE_RESTARTS {count}\n");
            assert_eq!(ended.out.matches(&line).count(), 1, "{ended:#?}");
        }
    });

    scenario("user::a_restarted_child_can_open_its_standard_output_again").needs(&[&ROOT]).run(out, |mode| {
        let options = "--restart=unexpected --backoff=5ms --user app";
        let script = "attempt /data/starts; to /proc/self/fd/1; say start $attempt; on 1 {exit 1}; exit 0";
        let ended = inside(rooted(mode).options(options), script).run();
        ended.expect_code(0);
        assert_eq!(ended.out, "start 1\nstart 2\n");
    });
}

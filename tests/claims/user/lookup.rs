//! How frigate finds a user: the forms of its name, the database, and the variables that follow
//! from it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use libtest_mimic::Trial;

use super::{
    Identity, TELL, directory_of, expect_refusal, identities, inside, own_identity, rooted,
    with_root,
};
use crate::support::capability::ROOT;
use crate::support::{Frigate, Mode, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    forms(out);
    refusals(out);
    database(out);
    variables(out);
}

/// The supplementary groups of a frigate. A child may keep none of them unasked. One of them is
/// also a group of the database.
const OF_FRIGATE: [u32; 2] = [7, 2104];

/// Starts a child in the root as this user, and compares the identity that it prints.
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
            // The list has neither `others`, whose members' names contain this one, nor any group
            // of frigate's.
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
            // Logins and container engines list a user's own group among the supplementary ones.
            // Apart from that group, frigate has exactly what is asked for. frigate must not take
            // this for having it already.
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
            // frigate is in its own group although its supplementary groups do not list it. The
            // child's own group is another one, so the child is in frigate's only if its list has
            // it.
            let (_, own, _) = own_identity();
            let frigate = rooted(mode).groups(&[2003]).options("--user plain");
            fs::write(
                frigate.path("root/etc/group"),
                format!("own:x:{own}:plain\n"),
            )
            .expect("the trial owns the root");
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
            // For the kernel, 4294967295 means no change: the child would remain root.
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
            // The two roots have the same names with other numbers.
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
                // The name in the link exists outside as well, with another number.
                let outside = frigate.file("names", "app:x:5001:5002::/outside:\n");
                let inner = format!("{}{outside}", frigate.path("root"));
                fs::create_dir_all(Path::new(&inner).parent().expect("it is in a directory"))
                    .expect("the trial owns the root");
                fs::rename(&passwd, &inner).expect("the trial owns the root");
                let climbing = format!("../../../../../../../..{outside}");
                symlink(if is_absolute { &outside } else { &climbing }, &passwd)
                    .expect("the trial owns the root");
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
                .expect("the trial owns the root");
            symlink("/data/etc", frigate.path("root/etc")).expect("the trial owns the root");
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
                fs::remove_dir_all(frigate.path("root/etc")).expect("the trial owns the root");
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
                fs::remove_file(&path).expect("the trial owns the root");
                fs::create_dir(&path).expect("the trial owns the root");
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
            // The name and the home of frigate's own user would be wrong here.
            ("4711:3333", "/", "unset"),
            // The user stays, and so do the variables that follow from it.
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

//! What the child may do after the change, and that the next child may do the same.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};

use super::{
    GROUP, TELL, expect_refusal, identities, identity_of, inside, own_identity, rooted,
    with_database,
};
use crate::support::capability::{KEYRINGS, ROOT, STRACE};
use crate::support::{Frigate, procfs, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    privilege(out);
    restarts(out);
}

fn privilege(out: &mut Vec<Trial>) {
    scenario("user::a_user_that_frigate_is_already_needs_no_privilege")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // The harness removes every supplementary group, and makes the group's number the same
            // as the user's.
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
            // Without privilege, frigate cannot give up a group that the child must not have.
            let frigate = Frigate::new(mode)
                .uid(1000)
                .groups(&[2100])
                .options("--user 1000:1000");
            expect_refusal(
                &frigate.puppet("say started").run(),
                &["groups", "'1000:1000'", "not permitted"],
            );
            // The user is the same but the supplementary groups differ: the child would have fewer
            // than were asked for.
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
            // A process that may become root reports it, so the deed is not one that always fails.
            let ended = inside(rooted(mode), "become 0; exit 0").run();
            assert_eq!(ended.out, "become 0: done\n");
        });

    scenario("user::another_user_has_no_capability_of_frigates").needs(&[&ROOT]).run(out, |mode| {
        // The kernel removes them only from a process that was root, and only if these flags do not
        // prevent it.
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
            // A child that does not change its user has frigate's.
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

//! The root and the working directory of the child.

use std::fs;
use std::os::unix::fs::symlink;

use libtest_mimic::Trial;

use super::{TELL, directory_of, expect_refusal, identities, inside, rooted, with_root};
use crate::support::capability::ROOT;
use crate::support::{Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    root(out);
    directory(out);
}

fn root(out: &mut Vec<Trial>) {
    scenario("user::without_a_directory_the_child_is_at_the_top_of_its_root")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // It makes no difference which directory frigate was started in, even if it is inside
            // that root.
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
            // Without a root of its own, the child may be anywhere. A file is no way out either.
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
            fs::create_dir_all(frigate.path("root/only/here")).expect("the trial owns the root");
            symlink("/puppet", frigate.path("root/only/here/tool"))
                .expect("the trial owns the root");
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
                symlink("/data", frigate.path("root/link")).expect("the trial owns the root");
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
            fs::create_dir(&asked).expect("the trial owns the directory");
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
            symlink("/puppet", frigate.path("root/data/tool")).expect("the trial owns the root");
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
            fs::create_dir(&outside).expect("the trial owns the directory");
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
                // The directory is open to root's group, which the child must have lost by then.
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
            // Root itself may enter it, so it was the user that was refused.
            let ended = inside(prepared().options("--workdir /roots"), "directory; exit 0").run();
            assert_eq!(ended.out, "directory /roots\n", "{ended:#?}");
        });
}

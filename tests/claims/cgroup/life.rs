//! The group's life: created, emptied between two starts, adopted, shared out, removed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libtest_mimic::Trial;

use super::from_leaf;
use crate::support::cgroup::{Group, Place, Site, View};
use crate::support::{Frigate, Mode, note, scenario};

pub fn trials(out: &mut Vec<Trial>) {
    starts(out);
    earlier_runs(out);
    neighbors(out);
    nesting(out);
    deep_nesting(out);
    users(out);
}

/// Makes what a killed frigate leaves: the leaf that it moved to, and its group with a process in
/// it. Returns the group.
fn earlier_run(site: &Site, process: i32) -> Group {
    let (leaf, group) = (site.child("init"), site.child("claims"));
    for group in [&leaf, &group] {
        fs::create_dir(group.path()).expect("root may do this");
    }
    group
        .write("cgroup.procs", &process.to_string())
        .expect("root may do this");
    group
}

fn starts(out: &mut Vec<Trial>) {
    scenario("cgroup::the_child_is_in_a_group_named_after_it_from_its_first_instruction")
        .in_guest()
        .run(out, |mode| {
            for view in [View::Host, View::Private] {
                let running = Frigate::new(mode)
                    .in_cgroup(Place::new().view(view))
                    .option("--pids-max=9")
                    .puppet("cgroup; say ready; wait TERM; exit 0")
                    .spawn();
                let site = running.cgroup().clone();
                let above = if view == View::Private {
                    String::new()
                } else {
                    format!("/{}", site.name())
                };
                assert_eq!(
                    running.wait_line("cgroup"),
                    format!("cgroup {above}/claims")
                );
                running.wait_line("ready");
                assert_eq!(
                    site.child("claims").processes(),
                    [running.only_child()],
                    "{}",
                    *site
                );
                assert_eq!(site.child("init").processes(), [running.pid], "{}", *site);
                running.kill(libc::SIGTERM);
                running.wait().expect_code(0).expect_silence();
                assert!(site.children().is_empty(), "{}", *site);
                assert_eq!(site.read("cgroup.subtree_control"), "", "as it was found");
            }
        });

    scenario("cgroup::without_limits_no_group_is_made")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private))
                .puppet("cgroup")
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "cgroup /\n");
        });

    scenario("cgroup::a_new_child_never_meets_a_process_of_the_old_one").in_guest().run(out, |mode| {
        // The first child leaves a process that has left its process group and ignores TERM.
        let frigate = Frigate::new(mode).in_cgroup(Place::new().view(View::Private));
        let lives = frigate.path("lives");
        let script = format!(
            "attempt {lives}; on 1 {{fork {{session; say left $pid; touch {lives}.left; pause}}; await {lives}.left; exit 1}}; \
             exec /bin/cat /sys/fs/cgroup/claims/cgroup.procs"
        );
        let ended =
            frigate.options("--restart=unexpected --pids-max=20 --grace=200ms --leftovers=200ms --backoff=10ms").puppet(script).run();
        ended.expect_code(0).expect_nothing_left();
        let said: Vec<_> = ended.out.lines().collect();
        assert!(said.len() == 2 && said[0].starts_with("left "), "{ended:#?}");
        assert!(ended.err.contains("did not end within its grace period of 200 ms; sent KILL"), "{ended:#?}");
    });

    scenario("cgroup::leftovers_in_the_group_are_asked_to_end_before_they_are_made_to").in_guest().run(out, |mode| {
        let frigate = Frigate::new(mode).in_cgroup(Place::new());
        let lives = frigate.path("lives");
        let script = format!(
            "attempt {lives}; on 1 {{fork {{session; touch {lives}.left; wait TERM; say asked; exit 0}}; await {lives}.left; exit 1}}; say next; exit 0"
        );
        let ended =
            frigate.options("--restart=unexpected --pids-max=20 --grace=20s --leftovers=20s --backoff=10ms").puppet(script).run();
        ended.expect_code(0);
        let said: Vec<_> = ended.out.lines().collect();
        assert!(said.len() == 3 && said[0].starts_with("got TERM "), "{ended:#?}");
        assert_eq!(said[1..], ["asked", "next"], "{ended:#?}");
        assert!(!ended.err.contains("KILL"), "{ended:#?}");
    });

    scenario("cgroup::a_threaded_group_is_said_and_its_command_killed_all_the_same").in_guest().run(out, |mode| {
        // Only an empty group below the root of the hierarchy can become threaded, and frigate is
        // in the root. So the child leaves its group for a moment.
        let script = "own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); echo $$ >/sys/fs/cgroup/cgroup.procs; \
                      echo threaded >$own/cgroup.type && echo $$ >$own/cgroup.threads && trap '' TERM && echo ready; \
                      while :; do sleep 1; done";
        let frigate =
            Frigate::new(mode).options("--pids-max=30 --grace=200ms").command(["/bin/sh", "-c", script]).spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(137).expect_nothing_left();
        let [killed, refused] = ended.messages()[..] else { panic!("two lines: {ended:#?}") };
        assert!(killed.contains("did not end within 200 ms of the stop signal; sent KILL"), "{killed}");
        assert!(refused.contains("cannot write to 'cgroup.kill': not supported there; only processes"), "{refused}");
    });

    scenario("cgroup::a_thousand_restarts_leave_no_group_behind")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let site = Place::new().make();
            let begun = std::time::Instant::now();
            let running = Frigate::new(mode)
                .in_cgroup(&site)
                .options("--restart=unexpected --start-retries=1000 --backoff=0 --backoff-max=0 -q")
                .options("--memory-max=64M --pids-max=20")
                .command(["/bin/false"])
                .spawn();
            let ended = running.wait_within(std::time::Duration::from_secs(300));
            ended.expect_code(1).expect_nothing_left();
            assert!(
                ended.err.contains("1001 failed starts in a row"),
                "{ended:#?}"
            );
            note(format!(
                "1,000 restarts in a group took {:?}",
                begun.elapsed()
            ));

            assert!(site.children().is_empty(), "{}", *site);
            assert_eq!(site.number("cgroup.stat", "nr_descendants"), 0);
            // A removed group lives on until its last page is gone. There was one for the child,
            // and the leaf.
            assert!(
                site.number("cgroup.stat", "nr_dying_descendants") <= 2,
                "{}",
                site.read("cgroup.stat")
            );
        });
}

fn earlier_runs(out: &mut Vec<Trial>) {
    scenario("cgroup::an_empty_group_of_an_earlier_run_is_made_anew")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let site = Place::new().make();
            let old = site.child("claims");
            fs::create_dir(old.path()).expect("root may do this");
            fs::create_dir(old.child("below").path()).expect("root may do this");
            old.write("cgroup.max.depth", "5")
                .expect("root may do this");
            let running = Frigate::new(mode)
                .in_cgroup(&site)
                .option("--pids-max=9")
                .puppet("say ready; wait TERM")
                .spawn();
            running.wait_line("ready");
            assert_eq!(old.read("cgroup.max.depth"), "32");
            assert!(old.children().is_empty(), "{old}");
            running.kill(libc::SIGTERM);
            running.wait().expect_code(0);
            assert!(site.children().is_empty(), "{}", *site);
        });

    scenario("cgroup::a_group_of_an_earlier_run_is_adopted_and_emptied")
        .in_guest()
        .once()
        .run(out, |_| {
            // A killed frigate leaves its controllers enabled as well. The process in its group
            // ignores TERM.
            let site = Place::new().neighbors(1).make();
            let old = site.processes();
            let group = earlier_run(&site, old[0]);
            site.write("cgroup.subtree_control", "+pids +cpu")
                .expect("it holds no process");
            group
                .write("cpu.weight", "7")
                .expect("the controller is enabled");
            let running = from_leaf(
                &site,
                "--pids-max=8 --grace=200ms --leftovers=200ms",
                "cgroup; say ready; wait TERM; exit 0",
            )
            .spawn();
            assert!(running.wait_line("cgroup").ends_with("/claims"));
            running.wait_line("ready");
            assert!(
                group.processes().len() == 1 && group.processes() != old,
                "{}",
                *site
            );
            assert_eq!(
                (group.read("pids.max"), group.read("cpu.weight")),
                ("8".into(), "100".into())
            );
            running.kill(libc::SIGTERM);
            let ended = running.wait();
            ended.expect_code(0);
            let [adopted, killed] = ended.messages()[..] else {
                panic!("two lines: {ended:#?}")
            };
            assert!(
                adopted.contains("holds processes of an earlier run; ending them before the start"),
                "{adopted}"
            );
            assert!(
                killed.contains("did not end within its grace period of 200 ms; sent KILL"),
                "{killed}"
            );
            assert!(!group.exists(), "{}", *site);
        });

    scenario("cgroup::a_lock_that_a_user_can_take_saves_no_leftovers")
        .in_guest()
        .once()
        .run(out, |_| {
            // A child under --user has opened the directory of its group, and keeps it locked.
            let site = Place::new().neighbors(1).make();
            let old = site.processes();
            let group = earlier_run(&site, old[0]);
            let directory = fs::File::open(group.path()).expect("anybody may");
            let _lock =
                nix::fcntl::Flock::lock(directory, nix::fcntl::FlockArg::LockExclusiveNonblock)
                    .expect("it is free");
            let running = from_leaf(
                &site,
                "--user=65534 --pids-max=8 --grace=200ms --leftovers=200ms",
                "cgroup; say ready; wait TERM",
            )
            .spawn();
            assert!(running.wait_line("cgroup").ends_with("/claims"));
            running.wait_line("ready");
            assert!(
                group.processes().len() == 1 && group.processes() != old,
                "{}",
                *site
            );
            // The user cannot open the file that holds the lock.
            let mode = fs::metadata(group.path().join("cgroup.kill"))
                .expect("the file exists")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o200);
            running.kill(libc::SIGTERM);
            running.wait().expect_code(0);
            assert!(!group.exists(), "{}", *site);
        });

    scenario("cgroup::two_frigates_of_one_command_have_a_group_each")
        .in_guest()
        .run(out, |mode| {
            let site = Place::new().make();
            let script = "cgroup; wait TERM; exit 0";
            let first = Frigate::new(mode)
                .in_cgroup(&site)
                .option("--pids-max=9")
                .puppet(script)
                .spawn();
            assert!(first.wait_line("cgroup").ends_with("/claims"));
            let second = from_leaf(&site, "--pids-max=9", script).spawn();
            assert!(second.wait_line("cgroup").ends_with("/claims-2"));
            first.kill(libc::SIGTERM);
            first.wait().expect_code(0).expect_silence();
            assert!(
                !site.child("claims").exists() && site.child("claims-2").exists(),
                "{}",
                *site
            );
            assert_eq!(
                site.child("claims-2").read("pids.max"),
                "9",
                "the end of the first changed the group"
            );
            let third = from_leaf(&site, "--pids-max=9", script).spawn();
            assert!(third.wait_line("cgroup").ends_with("/claims"));
            for running in [second, third] {
                running.kill(libc::SIGTERM);
                running.wait().expect_code(0).expect_silence();
            }
            assert!(
                site.children().iter().all(|group| group.name() == "init"),
                "{}",
                *site
            );
        });

    scenario("cgroup::a_run_from_a_leaf_makes_its_group_beside_it")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            // `docker exec` puts the program into the cgroup of PID 1.
            let site = Place::new().make();
            let outer = Frigate::new(mode)
                .in_cgroup(&site)
                .option("--pids-max=99")
                .puppet("say ready; wait TERM; exit 0")
                .spawn();
            outer.wait_line("ready");
            let leaf = site.child("init");
            let ended = from_leaf(&site, "--pids-max=9", "cgroup").run();
            ended.expect_code(0);
            assert_eq!(
                ended.out,
                format!("cgroup /{}/claims-2\n", site.name()),
                "{ended:#?}"
            );
            assert!(
                leaf.children().is_empty() && leaf.processes() == [outer.pid],
                "{}",
                *site
            );
            outer.kill(libc::SIGTERM);
            outer.wait().expect_code(0);
        });
}

fn neighbors(out: &mut Vec<Trial>) {
    scenario("cgroup::a_leaf_with_processors_of_its_own_is_not_left")
        .in_guest()
        .once()
        .run(out, |_| {
            let site = Place::new().make();
            let leaf = site.child("init");
            fs::create_dir(leaf.path()).expect("root may do this");
            site.write("cgroup.subtree_control", "+cpuset +pids")
                .expect("it holds no process");
            leaf.write("cpuset.cpus", "0")
                .expect("the controller is enabled");
            let ended = from_leaf(&site, "--pids-max=8", "cgroup").run();
            ended.expect_code(0);
            assert_eq!(
                ended.out,
                format!("cgroup /{}/init/claims\n", site.name()),
                "{ended:#?}"
            );
        });

    // The neighbors are in frigate's own PID namespace, as processes of `docker exec` are.
    let with_neighbors = |mode, neighbors: &str, options: &str| {
        let line = format!(
            "sleep 1000 & {neighbors} \"$UNDER_TEST\" {options} -- \"$SELF\" --puppet 'cgroup; say ready; wait TERM; exit 0'; \
             echo ended $?"
        );
        let frigate = Frigate::of_program(mode, ["/bin/sh"])
            .named_programs()
            .in_cgroup(Place::new());
        frigate.bare_command(["-c", &line])
    };
    let stop = |site: &Site| {
        for child in site.child("claims").processes() {
            crate::support::sys::kill(child, libc::SIGTERM).expect("the child exists");
        }
    };

    scenario("cgroup::neighbors_are_moved_to_the_leaf_and_back")
        .in_guest()
        .only(Mode::Subreaper)
        .run(out, move |mode| {
            let running = with_neighbors(mode, "sleep 1000 &", "--memory-max=64M").spawn();
            running.wait_line("ready");
            let site = running.cgroup().clone();
            // These are the shell, the two that it started, and frigate.
            assert!(
                site.processes().is_empty() && site.child("init").processes().len() == 4,
                "{}",
                *site
            );
            stop(&site);
            assert_eq!(running.wait_line("ended"), "ended 0");
            running.wait().expect_silence();
            assert!(site.children().is_empty(), "{}", *site);
            assert_eq!(site.read("cgroup.subtree_control"), "");
        });

    scenario("cgroup::processes_that_enter_while_frigate_moves_are_moved_too").in_guest().only(Mode::Subreaper).run(
        out,
        move |mode| {
            // With pids alone, the kernel would let the controller be enabled although the group
            // holds processes, and make the group threaded.
            for options in ["--pids-max=50", "--memory-max=64M"] {
                // One `docker exec` comes after the other here. Once controllers are on, the kernel
                // refuses processes.
                let entering = "s=$!; g=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); while :; do echo $s; usleep 2000; \
                                done 2>/dev/null >>$g/cgroup.procs & usleep 50000;";
                let running = with_neighbors(mode, entering, options).spawn();
                assert!(running.wait_line("cgroup").ends_with("/claims"));
                running.wait_line("ready");
                let site = running.cgroup().clone();
                assert!(site.processes().is_empty(), "{}", *site);
                assert_eq!(site.read("cgroup.type"), "domain");
                stop(&site);
                assert_eq!(running.wait_line("ended"), "ended 0");
            }
        },
    );
}

fn nesting(out: &mut Vec<Trial>) {
    scenario("cgroup::a_frigate_in_a_frigate_has_limits_within_limits").in_guest().run(out, |mode| {
        let frigate = Frigate::new(mode).in_cgroup(Place::new().view(View::Private)).named_programs();
        let lives = frigate.path("lives");
        let script = format!(
            "exec \"$UNDER_TEST\" --restart=unexpected --backoff=10ms --memory-max=16M --memory-swap-max=0 -- \
             \"$SELF\" --puppet 'attempt {lives}; cgroup; on 1 {{hog 48M}}; say alive; exit 0'"
        );
        let ended = frigate.options("--memory-max=128M --pids-max=60").command(["/bin/sh", "-c", &script]).run();
        ended.expect_code(0).expect_nothing_left();
        assert_eq!(ended.out, "cgroup /sh/claims\ncgroup /sh/claims\nalive\n", "{ended:#?}");
        let [message] = ended.messages()[..] else { panic!("the inner one's: {ended:#?}") };
        assert!(message.contains("claims") && message.contains("out of memory; starting it again"), "{message}");
        assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
    });

    scenario("cgroup::a_nested_frigate_can_be_restarted").in_guest().only(Mode::Pid1).run(out, |mode| {
        // The inner one is killed. It leaves a group with controllers and with groups in it.
        let frigate = Frigate::new(mode).in_cgroup(Place::new().view(View::Private)).named_programs();
        let lives = frigate.path("lives");
        let script = format!(
            "exec \"$UNDER_TEST\" --pids-max=9 -- \"$SELF\" --puppet 'attempt {lives}; cgroup; on 1 {{send parent KILL; \
             pause}}; say alive; exit 0'"
        );
        let ended = frigate
            .options("--restart=unexpected --backoff=10ms --grace=5s --leftovers=5s --pids-max=60")
            .command(["/bin/sh", "-c", &script])
            .run();
        ended.expect_code(0).expect_nothing_left();
        assert_eq!(ended.out, "cgroup /sh/claims\ncgroup /sh/claims\nalive\n", "{ended:#?}");
        assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
    });

    scenario("cgroup::groups_that_the_child_made_go_with_it").in_guest().only(Mode::Pid1).run(out, |mode| {
        let ended = Frigate::new(mode)
            .in_cgroup(Place::new().view(View::Private))
            .option("--pids-max=30")
            .command([
                "/bin/sh",
                "-c",
                "cd /sys/fs/cgroup/sh && mkdir -p a/b c && (echo 0 >a/b/cgroup.procs; exec setsid sleep 1000 </dev/null \
                 >/dev/null 2>&1) & sleep 0.1; exit 3",
            ])
            .run();
        ended.expect_code(3).expect_nothing_left();
        assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
    });
}

fn deep_nesting(out: &mut Vec<Trial>) {
    scenario("cgroup::a_child_can_nest_32_groups_unless_it_is_told_otherwise")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            for (options, says) in [
                ("", "nested 32"),
                ("--cgroup=cgroup.max.depth=5", "nested 5"),
                ("--cgroup=cgroup.max.depth=max", "nested 40"),
            ] {
                let frigate = Frigate::new(mode)
                    .in_cgroup(Place::new().view(View::Private))
                    .options(options);
                let ended = frigate
                    .option("--pids-max=9")
                    .puppet("nest /sys/fs/cgroup/claims 40")
                    .run();
                ended.expect_code(0).expect_nothing_left().expect_silence();
                assert_eq!(ended.out.trim_end(), says, "{options}: {ended:#?}");
                assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
            }
        });

    scenario("cgroup::a_child_that_nests_hundreds_of_groups_is_ended_and_restarted").in_guest().run(out, |mode| {
        // A recursion into them takes more stack than there is, their path is longer than the
        // kernel accepts, and a descriptor for each would be too many. As root, the child can raise
        // the limit that frigate has set.
        let frigate = Frigate::of_program(mode, ["/bin/sh"]).named_programs().max_files(20);
        let lives = frigate.path("lives");
        let script = frigate.executable(
            "nest",
            &format!(
                "#!/bin/sh\nread group </proc/self/cgroup\ngroup=/sys/fs/cgroup${{group#0::}}\necho max \
                 >$group/cgroup.max.depth\nexec \"$SELF\" --puppet \"attempt {lives}; on 1 {{nest $group 400; fork \
                 {{session; touch {lives}.left; wait TERM; say asked; exit 0}}; await {lives}.left; exit 1}}; nest $group \
                 400; exit 0\"\n"
            ),
        );
        let line = format!(
            "ulimit -s 1024; exec \"$UNDER_TEST\" --restart=unexpected --backoff=10ms --pids-max=20 --grace=20s --leftovers=20s -- {script}"
        );
        let ended = frigate.in_cgroup(Place::new().view(View::Private)).bare_command(["-c", &line]).run();
        ended.expect_code(0).expect_nothing_left();
        let said: Vec<_> = ended.out.lines().filter(|line| !line.starts_with("got ")).collect();
        assert_eq!(said, ["nested 400", "asked", "nested 400"], "{ended:#?}");
        assert_eq!(ended.messages().len(), 1, "only the restart is reported: {ended:#?}");
        assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
    });

    scenario("cgroup::leftovers_are_all_asked_to_end_with_few_descriptors").in_guest().run(out, |mode| {
        let frigate = Frigate::new(mode).in_cgroup(Place::new()).max_files(20);
        let lives = frigate.path("lives");
        let script = format!(
            "attempt {lives}; on 1 {{repeat 40 {{fork {{session; wait TERM; exit 0}}}}; exit 1}}; say next; exit 0"
        );
        let ended = frigate
            .options("--restart=unexpected --pids-max=60 --grace=20s --leftovers=20s --backoff=10ms")
            .puppet(script)
            .run();
        ended.expect_code(0).expect_nothing_left();
        assert_eq!(ended.out.lines().filter(|line| line.starts_with("got TERM ")).count(), 40, "{ended:#?}");
        assert!(!ended.err.contains("KILL"), "{ended:#?}");
    });
}

fn users(out: &mut Vec<Trial>) {
    scenario("cgroup::the_group_is_entered_before_the_user_changes")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private))
                .options("--user=65534:65534 --pids-max=30 --memory-max=64M")
                .puppet("cgroup; field Uid; become 0")
                .run();
            ended.expect_code(0);
            assert!(
                ended
                    .out
                    .starts_with("cgroup /claims\nUid: 65534 65534 65534 65534\n"),
                "{ended:#?}"
            );
            assert!(ended.out.contains("become 0: EPERM"), "{ended:#?}");
        });

    scenario("cgroup::a_delegated_group_serves_a_user")
        .in_guest()
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private).delegated_to(1000))
                .uid(1000);
            let lives = frigate.path("lives");
            let ended = frigate
                .options("--restart=unexpected --backoff=10ms --memory-max=16M --memory-swap-max=0")
                .puppet(format!("attempt {lives}; cgroup; on 1 {{hog 48M}}; exit 0"))
                .run();
            ended.expect_code(0);
            assert_eq!(ended.out, "cgroup /claims\ncgroup /claims\n", "{ended:#?}");
            assert!(ended.err.contains("out of memory"), "{ended:#?}");
            assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
        });
}

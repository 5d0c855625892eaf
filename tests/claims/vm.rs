//! The virtual machine of the tests itself, and frigate as PID 1 of a kernel.

use std::fs;

use libtest_mimic::Trial;

use crate::support::bundle::Bundle;
use crate::support::capability::{CRUN, VM};
use crate::support::cgroup::{Group, Place, View};
use crate::support::vm::Boot;
use crate::support::vm::guest::{Record, Verdict};
use crate::support::{Frigate, Mode, eventually, frigate, note, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    record(out);
    boots(out);
    guest(out);
    places(out);
    puppets(out);
    containers(out);
}

fn record(out: &mut Vec<Trial>) {
    scenario("vm::failure_in_the_guest_is_a_failure_on_the_host")
        .once()
        .run(out, |_| {
            let mut record = Record::default();
            for fact in [
                &["up", "1.52"][..],
                &["passed", "vm::good"],
                &["failed", "vm::bad [pid1]", "left: 1\nright: 2"],
                &["ignored", "vm::lame", "needs crun: cannot run crun"],
                &["passed"],
                &["unheard", "of"],
            ] {
                let words: Vec<_> = fact.iter().map(|&word| word.to_owned()).collect();
                assert_eq!(record.take(&words), None);
            }
            let figure = record.take(&["note".to_owned(), "12 ms".to_owned()]);
            assert_eq!(figure.as_deref(), Some("12 ms"));
            assert_eq!(record.verdict("vm::good"), Some(Verdict::Passed));
            assert_eq!(
                record.verdict("vm::bad [pid1]"),
                Some(Verdict::Failed("left: 1\nright: 2".into()))
            );
            assert_eq!(
                record.verdict("vm::lame"),
                Some(Verdict::Ignored("needs crun: cannot run crun".into()))
            );
            assert_eq!(record.verdict("vm::late"), None, "there may still come one");
            record.close("it died\nthe console".into());
            assert_eq!(
                record.verdict("vm::good"),
                Some(Verdict::Passed),
                "it had passed before"
            );
            let Some(Verdict::Failed(text)) = record.verdict("vm::late") else {
                panic!("no verdict, no failure")
            };
            assert!(
                text.contains("it died") && text.contains("the console"),
                "{text}"
            );
            let Some(Verdict::Failed(text)) = record.verdict("vm::later") else {
                panic!("no verdict, no failure")
            };
            assert!(
                text.contains("it died") && !text.contains("the console"),
                "once is enough: {text}"
            );
        });
}

fn boots(out: &mut Vec<Trial>) {
    scenario("vm::pid_1_of_a_kernel_ends_with_the_code_of_its_child")
        .once()
        .needs(&[&VM])
        .run(out, |_| {
            let booted = Boot::new().puppet("ids; say hello; exit 37").run();
            booted.expect_code(37);
            assert!(
                booted.out.lines().any(|line| line == "hello"),
                "{booted:#?}"
            );
            assert!(booted.out.contains(" parent 1 "), "{booted:#?}");
        });

    scenario("vm::pid_1_of_a_kernel_forwards_and_reports_a_signal_as_128_and_its_number")
        .once()
        .needs(&[&VM])
        .run(out, |_| {
            let booted = Boot::new()
                .puppet("send parent TERM; wait TERM; die TERM")
                .run();
            booted.expect_code(128 + libc::SIGTERM);
            assert!(booted.out.contains("got TERM"), "{booted:#?}");
        });

    scenario("vm::last_words_of_a_guest_are_not_lost")
        .once()
        .needs(&[&VM])
        .run(out, |_| {
            let words = "word ".repeat(800);
            let booted = Boot::new()
                .puppet(format!("repeat 5 {{say {words}}}; say the last; exit 1"))
                .run();
            booted.expect_code(1);
            assert_eq!(booted.out.matches(words.trim()).count(), 5, "{booted:#?}");
            assert!(booted.out.ends_with("the last\n"), "{booted:#?}");
        });

    scenario("vm::pid_1_of_a_kernel_reaps_orphans_and_restarts").once().needs(&[&VM]).run(out, |_| {
        // The second start looks for the leftovers of the first, which only frigate can have
        // removed.
        let count =
            "for dir in /proc/[0-9]*; do case $(cat $dir/stat) in *' Z '*) echo zombie;; esac; done; echo counted";
        let script = "attempt /tmp/lives; on 1 {orphans 50; exit 1}; exec /bin/sh /tmp/count";
        let booted = Boot::new()
            .setup(&format!("echo \"{}\" >/tmp/count", count.replace('$', "\\$")))
            .option("--restart=unexpected")
            .puppet(script)
            .run();
        booted.expect_code(0);
        assert!(booted.out.contains("counted") && !booted.out.contains("zombie"), "{booted:#?}");
    });
}

fn guest(out: &mut Vec<Trial>) {
    scenario("vm::guest_has_the_controllers_of_cgroup_v2")
        .once()
        .in_guest()
        .run(out, |_| {
            let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
            let cgroups: Vec<_> = mounts
                .lines()
                .filter(|line| line.contains(" - cgroup"))
                .collect();
            assert!(
                cgroups.len() == 1
                    && cgroups[0].contains(" /sys/fs/cgroup ")
                    && cgroups[0].contains(" - cgroup2 "),
                "{cgroups:#?}"
            );
            let controllers =
                fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("cgroup v2");
            for name in ["cpu", "memory", "pids", "io"] {
                assert!(
                    controllers
                        .split_whitespace()
                        .any(|controller| controller == name),
                    "{controllers}"
                );
            }
            let uptime = fs::read_to_string("/proc/uptime").expect("/proc");
            note(format!(
                "the first claims run {} s after the boot",
                uptime.split(' ').next().unwrap_or_default()
            ));
        });

    scenario("vm::frigate_is_pid_1_of_the_guest")
        .once()
        .in_guest()
        .run(out, |_| {
            let first = fs::read_link("/proc/1/exe").expect("root may look");
            assert_eq!(first.as_os_str(), frigate::binary()[0]);
            let name = fs::read_to_string("/proc/1/comm").expect("/proc");
            assert_eq!(
                Some(name.trim()),
                first.file_name().and_then(|name| name.to_str())
            );
        });
}

fn places(out: &mut Vec<Trial>) {
    scenario("vm::trial_has_a_cgroup_of_its_own_which_goes_with_it")
        .in_guest()
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new().set("memory.max", "64M"))
                .puppet("cgroup; wait TERM")
                .spawn();
            let group = running.cgroup().clone();
            let alone = Group::at(group.path());
            assert_eq!(
                running.wait_line("cgroup"),
                format!("cgroup /{}", group.name())
            );
            assert_eq!(group.read("memory.max"), (64 << 20).to_string());
            assert_eq!(
                group.processes().len(),
                2,
                "frigate and its child: {}",
                *group
            );
            assert!(group.processes().contains(&running.pid));
            running.kill(libc::SIGTERM);
            let ended = running.wait();
            ended.expect_code(0);
            drop((ended, group));
            assert!(!alone.exists(), "{alone}");
        });

    scenario("vm::private_view_begins_at_the_trials_group")
        .in_guest()
        .run(out, |mode| {
            let script = "cgroup; exec /bin/ls /sys/fs/cgroup";
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private))
                .puppet(script)
                .run();
            ended.expect_code(0);
            assert!(ended.out.starts_with("cgroup /\n"), "{ended:#?}");
            // A group that is not the root has these files, and no group of another trial is
            // visible.
            assert!(
                ended.out.contains("memory.max\n") && !ended.out.contains("trial-"),
                "{ended:#?}"
            );
        });

    scenario("vm::read_only_view_refuses_to_be_written")
        .in_guest()
        .run(out, |mode| {
            for (view, refused) in [
                (View::Private, false),
                (View::PrivateReadOnly, true),
                (View::Host, false),
                (View::HostReadOnly, true),
            ] {
                let ended = Frigate::new(mode)
                .in_cgroup(Place::new().view(view))
                .command([
                    "/bin/sh",
                    "-c",
                    "cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); mkdir below && ls -d below",
                ])
                .run();
                assert_eq!(
                    ended.err.contains("Read-only file system"),
                    refused,
                    "{view:?}: {ended:#?}"
                );
                assert_eq!(
                    ended.out.contains("below"),
                    !refused,
                    "{view:?}: {ended:#?}"
                );
                assert_eq!(ended.cgroup().child("below").exists(), !refused, "{view:?}");
            }
        });

    scenario("vm::view_without_version_2_has_none")
        .in_guest()
        .run(out, |mode| {
            for (view, seen) in [
                (View::Nothing, ""),
                (View::VersionOne, "cpu\nmemory\npids\n"),
            ] {
                let place = Place::new().view(view);
                let ended = Frigate::new(mode)
                    .in_cgroup(place)
                    .command(["/bin/ls", "/sys/fs/cgroup"])
                    .run();
                ended.expect_code(0);
                assert_eq!(ended.out, seen, "{view:?}");
            }
        });

    scenario("vm::delegated_group_may_be_divided_by_its_owner_alone").in_guest().run(out, |mode| {
        let divide = "mkdir /sys/fs/cgroup/below && ls -d /sys/fs/cgroup/below; echo 1M >/sys/fs/cgroup/memory.max";
        for (place, allowed) in [(Place::new().delegated_to(1000), true), (Place::new(), false)] {
            let place = place.view(View::Private);
            let ended = Frigate::new(mode).uid(1000).in_cgroup(place).command(["/bin/sh", "-c", divide]).run();
            assert_eq!(ended.out.contains("below"), allowed, "{ended:#?}");
            assert_eq!(ended.cgroup().read("memory.max"), "max");
        }
    });

    scenario("vm::neighbors_sit_beside_frigate")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new().neighbors(2))
                .puppet("say here; pause")
                .spawn();
            running.wait_line("here");
            assert_eq!(
                running.cgroup().processes().len(),
                4,
                "{}",
                **running.cgroup()
            );
        });
}

fn puppets(out: &mut Vec<Trial>) {
    scenario("vm::hog_dies_at_the_limit_of_its_group")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let place = Place::new()
                .set("memory.max", "32M")
                .set("memory.swap.max", "0");
            let script = "hog 4M; fork {hog 96M; say survived}; reap; say done";
            let ended = Frigate::new(mode).in_cgroup(place).puppet(script).run();
            assert_eq!(ended.out, "hogged 4M\ndone\n", "{ended:#?}");
            assert!(ended.cgroup().number("memory.events", "oom_kill") > 0);
        });

    scenario("vm::spinner_says_what_it_got")
        .in_guest()
        .only(Mode::Pid1)
        .alone()
        .run(out, |mode| {
            let place = Place::new().set("cpu.max", "20000 100000");
            // Run alone, because on a busy guest the child gets less than its quota, and is then
            // never throttled.
            let ended = Frigate::new(mode)
                .in_cgroup(place)
                .puppet("spin 1000")
                .run();
            let words: Vec<_> = ended.out.split_whitespace().collect();
            let ["spun", wall, processor] = words.as_slice() else {
                panic!("{ended:#?}")
            };
            let (wall, processor): (u64, u64) =
                (wall.parse().expect("ms"), processor.parse().expect("ms"));
            assert!(wall >= 1000 && processor < wall / 2, "{ended:#?}");
            assert!(ended.cgroup().number("cpu.stat", "nr_throttled") > 0);
        });

    scenario("vm::bomb_goes_up_to_the_limit_of_its_group")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new().set("pids.max", "30"))
                .puppet("bomb")
                .spawn();
            let group = running.cgroup();
            eventually("the limit", || {
                (group.number("pids.events", "max") > 0).then_some(())
            });
            assert!(group.processes().len() > 20, "{}", **group);
        });

    scenario("vm::stubborn_ones_die_with_their_group_alone")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new())
                .puppet("stubborn; wait USR1")
                .spawn();
            running.wait_line("stubborn");
            let group = running.cgroup();
            let known = group.processes();
            eventually("a generation that was not there", || {
                let others = group
                    .processes()
                    .iter()
                    .filter(|pid| !known.contains(pid))
                    .count();
                (others >= 3).then_some(())
            });
            group
                .write("cgroup.kill", "1")
                .expect("the trial owns the group");
            eventually("an empty group", || (!group.is_populated()).then_some(()));
        });
}

fn containers(out: &mut Vec<Trial>) {
    scenario("vm::container_by_crun_ends_with_the_code_of_its_child")
        .in_guest()
        .needs(&[&CRUN])
        .once()
        .run(out, |_| {
            for (name, bundle) in [
                ("plain", Bundle::new()),
                ("without clone3", Bundle::new().without_clone3()),
                ("writable", Bundle::new().writable_cgroup()),
            ] {
                let bundle = bundle.resources(serde_json::json!({"memory": {"limit": 64 << 20}}));
                let group = bundle.cgroup();
                let ended = bundle
                    .option("--grace=1s")
                    .puppet("ids; cgroup; exit 7")
                    .run();
                assert_eq!(
                    (ended.code, ended.err.as_str()),
                    (Some(7), ""),
                    "{name}: {ended:#?}"
                );
                assert!(
                    ended.out.contains(" parent 1 ") && ended.out.contains("cgroup /\n"),
                    "{name}: {ended:#?}"
                );
                assert!(!group.exists(), "{name}: {group}");
            }
        });
}

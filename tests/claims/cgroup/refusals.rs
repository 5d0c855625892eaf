//! Limits that cannot be applied. One line names the file, the reason and the fix. frigate starts
//! nothing and leaves nothing.

use libtest_mimic::Trial;

use crate::support::cgroup::{Place, View};
use crate::support::{Ended, Frigate, Mode, scenario};

pub fn trials(out: &mut Vec<Trial>) {
    places(out);
    values(out);
    controllers(out);
}

/// Checks that nothing ran, that one line was printed, and that the cgroup is unchanged.
#[track_caller]
fn refused(ended: &Ended, parts: &[&str]) {
    ended.expect_code(125).expect_nothing_left();
    assert_eq!(ended.out, "", "a command was started: {ended:#?}");
    let [message] = ended.messages()[..] else {
        panic!("one line: {ended:#?}")
    };
    assert!(
        message.starts_with("frigate: cannot apply '--"),
        "{message}"
    );
    for part in parts.iter().chain(&["or give --cgroup-best-effort"]) {
        assert!(message.contains(part), "no {part}: {message}");
    }
    assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
    assert_eq!(ended.cgroup().read("cgroup.subtree_control"), "");
    assert_eq!(ended.cgroup().read("cgroup.type"), "domain");
}

/// Checks that the command ran, and that frigate warned with these parts.
#[track_caller]
fn warned(ended: &Ended, count: usize, parts: &[&str]) {
    ended.expect_code(0);
    assert!(ended.out.ends_with("ran\n"), "{ended:#?}");
    assert_eq!(ended.messages().len(), count, "{ended:#?}");
    for part in parts {
        assert!(ended.err.contains(part), "no {part}: {ended:#?}");
    }
}

fn places(out: &mut Vec<Trial>) {
    scenario("cgroup::a_place_that_cannot_be_written_to_is_refused_with_the_remedy")
        .in_guest()
        .run(out, |mode| {
            let table: [(Place, &[&str]); 5] = [
                (
                    Place::new().view(View::PrivateReadOnly),
                    &[
                        "'/sys/fs/cgroup/init': read-only file system",
                        "docker run --security-opt writable-cgroups=true",
                    ],
                ),
                (
                    Place::new().view(View::HostReadOnly),
                    &["/init': read-only file system", "unmask=/sys/fs/cgroup"],
                ),
                (
                    Place::new().view(View::Nothing),
                    &["no cgroup v2 hierarchy is to be seen here; mount cgroup2 on /sys/fs/cgroup"],
                ),
                (Place::new().view(View::VersionOne), &["is to be seen here"]),
                (
                    Place::new().neighbors(2).view(View::PrivateReadOnly),
                    &["read-only file system"],
                ),
            ];
            for (place, parts) in table {
                let site = place.make();
                let start = |options: &str| {
                    Frigate::new(mode)
                        .in_cgroup(&site)
                        .options(options)
                        .puppet("say ran")
                        .run()
                };
                refused(&start("--memory-max=64M --pids-max=9"), parts);
                warned(
                    &start("--memory-max=64M --pids-max=9 --cgroup-best-effort"),
                    1,
                    &["starting without it"],
                );
            }
        });

    scenario("cgroup::a_place_that_is_not_delegated_is_refused_with_the_remedy")
        .in_guest()
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private))
                .uid(1000)
                .option("--pids-max=9")
                .puppet("say ran")
                .run();
            refused(
                &ended,
                &[
                    "'/sys/fs/cgroup/init': permission denied",
                    "systemd: Delegate=yes",
                ],
            );
        });

    scenario("cgroup::another_mount_of_cgroup_v2_does_as_well").in_guest().only(Mode::Pid1).run(out, |mode| {
        // The usual mount point holds no cgroup of version 2, as on hosts that have version 1
        // there.
        let mount = "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/unified && mount -t cgroup2 none \
                     /sys/fs/cgroup/unified && exec \"$UNDER_TEST\" --pids-max=9 -- /bin/cat /proc/self/cgroup";
        let site = Place::new().make();
        let ended = Frigate::of_program(mode, ["/bin/sh"])
            .named_programs()
            .in_cgroup(Place::new().view(View::Nothing))
            .bare_command(["-c", mount])
            .run();
        ended.expect_code(0);
        assert_eq!(ended.out, format!("0::/{}/cat\n", ended.cgroup().name()), "{ended:#?}");
        drop(site);
    });
}

fn values(out: &mut Vec<Trial>) {
    scenario("cgroup::a_value_or_file_that_the_kernel_refuses_is_named")
        .in_guest()
        .run(out, |mode| {
            for (option, parts) in [
                (
                    "--cgroup=memory.max=lots",
                    &["'/sys/fs/cgroup/claims/memory.max': the kernel refuses the value"][..],
                ),
                (
                    "--cgroup=cpu.max=1",
                    &["'/sys/fs/cgroup/claims/cpu.max': the kernel refuses the value"][..],
                ),
                (
                    "--cgroup=io.max=259:9 rbps=1",
                    &["'/sys/fs/cgroup/claims/io.max': no such device"][..],
                ),
                (
                    "--cgroup=memory.nothing=1",
                    &["'/sys/fs/cgroup/claims/memory.nothing': this kernel has no such file"][..],
                ),
                (
                    "--cgroup=cgroup.nothing=1",
                    &["'/sys/fs/cgroup/claims/cgroup.nothing': this kernel has no such file"][..],
                ),
            ] {
                let site = Place::new().view(View::Private).make();
                let start = |options: &[&str]| {
                    let frigate = Frigate::new(mode)
                        .in_cgroup(&site)
                        .option("--pids-max=9")
                        .option(option);
                    options
                        .iter()
                        .fold(frigate, |frigate, option| frigate.option(*option))
                        .puppet("cgroup; say ran")
                        .run()
                };
                refused(&start(&[]), parts);
                // The other limit is applied nevertheless.
                let ended = start(&["--cgroup-best-effort"]);
                warned(&ended, 1, &["starting without it"]);
                assert!(ended.out.starts_with("cgroup /claims\n"), "{ended:#?}");
            }
        });

    scenario("cgroup::a_limit_above_the_parents_is_a_warning")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            for (file, value, option, says) in [
                (
                    "memory.max",
                    "64M",
                    "--memory-max=1G",
                    "allows only 67108864",
                ),
                (
                    "memory.high",
                    "64M",
                    "--memory-high=65M",
                    "allows only 67108864",
                ),
                (
                    "memory.swap.max",
                    "0",
                    "--memory-swap-max=1M",
                    "allows only 0",
                ),
                ("pids.max", "50", "--pids-max=51", "allows only 50"),
                (
                    "cpu.max",
                    "50000 100000",
                    "--cpu-max=0.6",
                    "allows only 50000 100000",
                ),
            ] {
                let place = Place::new().set(file, value).view(View::Private);
                let ended = Frigate::new(mode)
                    .in_cgroup(place)
                    .option(option)
                    .puppet("say ran")
                    .run();
                let expected = format!(
                    "frigate: cannot raise '{option}': '/sys/fs/cgroup/{file}' {says}; that holds"
                );
                warned(&ended, 1, &[&expected]);
            }
            let place = Place::new()
                .set("memory.max", "64M")
                .set("cpu.max", "50000 100000")
                .view(View::Private);
            let ended = Frigate::new(mode)
                .in_cgroup(place)
                .options("--memory-max=64M --cpu-max=0.5")
                .puppet("say ran")
                .run();
            warned(&ended, 0, &[]);
        });
}

fn controllers(out: &mut Vec<Trial>) {
    scenario("cgroup::a_controller_that_is_not_there_is_refused_with_the_remedy").in_guest().run(out, |mode| {
        // The outer frigate enables pids alone, so the inner one cannot use memory.
        let start = |options: &str| {
            let script = format!("exec \"$UNDER_TEST\" {options} -- \"$SELF\" --puppet 'cgroup; say ran'");
            Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private))
                .named_programs()
                .option("--pids-max=60")
                .command(["/bin/sh", "-c", &script])
                .run()
        };
        let reason = "'/sys/fs/cgroup/sh/cgroup.controllers' has no 'memory'; enable it in the cgroup.subtree_control above \
                      (systemd: Delegate=yes)";
        refused(&start("--memory-max=64M"), &[reason]);
        refused(&start("--pids-max=9 --memory-max=64M"), &[reason]);
        refused(&start("--cgroup=nothing.max=1"), &["has no 'nothing'"]);
        let ended = start("--pids-max=9 --memory-max=64M --cgroup-best-effort");
        warned(&ended, 1, &["cannot apply '--memory-max=64M'", "has no 'memory'", "starting without it"]);
        assert!(ended.out.starts_with("cgroup /sh/claims\n"), "the other limit is there: {ended:#?}");
        let ended = start("--memory-max=64M --cgroup-best-effort");
        warned(&ended, 1, &["has no 'memory'"]);
        assert!(ended.out.starts_with("cgroup /sh\n"), "without any, there is no group: {ended:#?}");
    });

    scenario("cgroup::processes_that_cannot_be_moved_are_a_refusal")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            // The neighbor is outside frigate's PID namespace, so no pid inside stands for it.
            for (options, file) in [
                ("--memory-max=64M", "cgroup.subtree_control"),
                ("--pids-max=9", "cgroup.subtree_control"),
            ] {
                let site = Place::new().neighbors(1).view(View::Private).make();
                let ended = Frigate::new(mode)
                    .in_cgroup(&site)
                    .options(options)
                    .puppet("say ran")
                    .run();
                refused(
                    &ended,
                    &[
                        file,
                        "busy; move the processes that frigate cannot out of that cgroup",
                    ],
                );
                assert_eq!(site.processes().len(), 1, "the process was moved");
            }
        });
}

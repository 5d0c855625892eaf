//! The effects of limits on a command that reaches them.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::from_leaf;
use crate::claims::exit_code::{run_with_log, with_log};
use crate::support::bundle::Bundle;
use crate::support::capability::{CRUN, STRACE, VM};
use crate::support::cgroup::{Group, Place, View};
use crate::support::vm::Boot;
use crate::support::{Frigate, Mode, eventually, note, scenario};

pub fn trials(out: &mut Vec<Trial>) {
    memory(out);
    out_of_memory_reports(out);
    processors(out);
    processes(out);
    whole_group(out);
    containers(out);
    pid_1(out);
    costs(out);
}

/// Returns the group that frigate makes for this program.
fn group_of(site: &Group) -> Group {
    site.child("claims")
}

fn memory(out: &mut Vec<Trial>) {
    scenario("cgroup::a_hog_is_killed_reported_and_restarted")
        .in_guest()
        .run(out, |mode| {
            let frigate = Frigate::new(mode).in_cgroup(Place::new());
            let lives = frigate.path("lives");
            let ended = frigate
                .options("--restart=unexpected --memory-max=16M --memory-swap-max=0 --backoff=10ms")
                .puppet(format!(
                    "attempt {lives}; on 1 {{hog 48M}}; say alive; exit 0"
                ))
                .run();
            ended.expect_code(0).expect_nothing_left();
            assert_eq!(ended.out, "alive\n", "{ended:#?}");
            let [message] = ended.messages()[..] else {
                panic!("one line: {ended:#?}")
            };
            assert!(
                message.contains(" was ended by KILL after ")
                    && message.contains(", out of memory; starting it again "),
                "{message}"
            );
            assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
        });

    scenario("cgroup::an_out_of_memory_kill_takes_the_whole_group")
        .in_guest()
        .run(out, |mode| {
            // The hog is not the command itself. Without memory.oom.group, the command would
            // survive the hog's end.
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--memory-max=16M --memory-swap-max=0")
                .puppet("fork {pause}; fork {session; hog 48M}; reap; say survived")
                .run();
            ended.expect_code(137).expect_nothing_left();
            assert_eq!(ended.out, "", "{ended:#?}");
            assert!(ended.err.contains(", out of memory"), "{ended:#?}");
        });

    scenario("cgroup::memory_oom_group_can_be_had_otherwise")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--memory-max=16M --memory-swap-max=0 --cgroup=memory.oom.group=0")
                .puppet("fork {hog 48M}; reap; say survived; exit 5")
                .run();
            ended.expect_code(5);
            assert_eq!(ended.out, "survived\n", "{ended:#?}");
            assert!(
                ended.err.contains(" exited with code 5 after ")
                    && ended.err.contains(", out of memory"),
                "{ended:#?}"
            );
        });

    scenario("cgroup::memory_high_slows_down_and_does_not_kill")
        .in_guest()
        .only(Mode::Pid1)
        .alone()
        .run(out, |mode| {
            let time = |options: &str| {
                let begun = Instant::now();
                let running = Frigate::new(mode)
                    .in_cgroup(Place::new())
                    .options(options)
                    .puppet("hog 9M; wait TERM")
                    .spawn();
                running.wait_line("hogged");
                let taken = begun.elapsed();
                let throttled = group_of(running.cgroup()).number("memory.events", "high");
                running.kill(libc::SIGTERM);
                running.wait().expect_code(0);
                (taken, throttled)
            };
            let (free, none) = time("--memory-high=64M --memory-swap-max=0");
            let (slowed, some) = time("--memory-high=8M --memory-swap-max=0");
            note(format!(
                "9 MiB held in {free:?} without need, in {slowed:?} against --memory-high=8M"
            ));
            assert!(
                none == 0 && some > 0,
                "slowed down {none} times without need, {some} times with"
            );
        });

    scenario("cgroup::swap_and_other_files_are_limits_too")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            // Write another file than those with options of their own, and check its effect: no
            // group can be made in the group.
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new().view(View::Private))
                .option("--cgroup=cgroup.max.descendants=0")
                .command([
                    "/bin/sh",
                    "-c",
                    "mkdir /sys/fs/cgroup/sh/below 2>/dev/null && echo made; exit 0",
                ])
                .run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "", "{ended:#?}");
        });
}

fn out_of_memory_reports(out: &mut Vec<Trial>) {
    scenario("cgroup::an_out_of_memory_kill_is_told_in_the_termination_message")
        .in_guest()
        .run(out, |mode| {
            let frigate = with_log(Frigate::new(mode).in_cgroup(Place::new()));
            let frigate = frigate
                .options("--memory-max=16M --memory-swap-max=0")
                .puppet("hog 48M");
            let (ended, record) = run_with_log(frigate, |_| {});
            ended.expect_code(137);
            assert_eq!(record["oom_killed"], json!(true), "{record}");
            assert_eq!(record["signal"], json!("KILL"), "{record}");
            assert_eq!(
                record["message"],
                json!("'/usr/local/bin/claims' was ended by KILL, out of memory"),
                "{record}"
            );
        });

    scenario("cgroup::a_kill_by_a_person_is_no_out_of_memory_kill")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let frigate = with_log(Frigate::new(mode).in_cgroup(Place::new()));
            let (ended, record) = run_with_log(
                frigate.options("-v --memory-max=64M").puppet("die KILL"),
                |_| {},
            );
            ended.expect_code(137);
            assert!(!ended.err.contains("out of memory"), "{ended:#?}");
            assert_eq!(record["oom_killed"], json!(false), "{record}");
        });

    scenario("cgroup::what_leftovers_use_is_not_told_of_the_next_start").in_guest().run(out, |mode| {
        // TERM comes only after the first child has been reaped and its usage has been added.
        let frigate = Frigate::new(mode).in_cgroup(Place::new());
        let lives = frigate.path("lives");
        let script = format!(
            "attempt {lives}; on 1 {{fork {{session; wait TERM; spin 1500; hog 48M}}; exit 1}}; plain; die SEGV"
        );
        let ended = frigate
            .options(
                "-v --log-format=json --restart=unexpected --start-retries=1 --backoff=0 --grace=50s --leftovers=50s",
            )
            .options("--memory-max=16M --memory-swap-max=0")
            .puppet(script)
            .run();
        ended.expect_code(139).expect_nothing_left();
        assert!(ended.out.contains("spun "), "{ended:#?}");
        assert!(!ended.out.contains("hogged"), "{ended:#?}");
        assert!(!ended.err.contains("out of memory") && !ended.err.contains("oom"), "{ended:#?}");
        let record = ended.messages().into_iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let used: Vec<u64> = record.filter_map(|line| line["cpu_ms"].as_u64()).collect();
        assert!(used.len() == 2 && used[1] < 1000, "{used:?}: {ended:#?}");
    });

    scenario("cgroup::the_limit_of_a_group_above_is_told_as_out_of_memory_too")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .in_cgroup(
                    Place::new()
                        .set("memory.max", "16M")
                        .set("memory.swap.max", "0"),
                )
                .option("--memory-max=64M")
                .puppet("hog 48M")
                .run();
            ended.expect_code(137);
            let [above, oom] = ended.messages()[..] else {
                panic!("two lines: {ended:#?}")
            };
            let allows = format!(
                "'{}/memory.max' allows only {}; that holds",
                ended.cgroup().path().display(),
                16 << 20
            );
            assert_eq!(
                above,
                format!("frigate: cannot raise '--memory-max=64M': {allows}")
            );
            assert!(oom.contains(", out of memory"), "{oom}");
        });

    // Run alone, because a command that gets less than its quota is never throttled.
    scenario("cgroup::the_end_tells_memory_and_processor_time").in_guest().only(Mode::Pid1).alone().run(out, |mode| {
        let frigate = Frigate::new(mode).in_cgroup(Place::new());
        let lives = frigate.path("lives");
        let ended = frigate
            .options("-v --log-format=json --memory-max=64M --cpu-max=0.2 --restart=unexpected --backoff=0")
            .puppet(format!("attempt {lives}; on 1 {{hog 20M; spin 1000; exit 1}}; exit 0"))
            .run();
        ended.expect_code(0);
        let ends: Vec<Value> = ended
            .messages()
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|line| line["uptime_ms"].is_number())
            .collect();
        let [first, second] = &ends[..] else { panic!("two ends: {ended:#?}") };
        let number = |line: &Value, name: &str| line[name].as_u64().unwrap_or_else(|| panic!("no {name} in {line}"));
        assert!((20 << 20..64 << 20).contains(&number(first, "memory_peak")), "{first}");
        assert!(number(first, "cpu_ms") >= 100, "{first}");
        assert!(number(first, "throttled_ms") > 0, "{first}");
        assert!(number(second, "cpu_ms") < number(first, "cpu_ms"), "of this start alone: {second}");
        assert!(!first.to_string().contains("oom"), "{first}");
    });
}

fn processors(out: &mut Vec<Trial>) {
    scenario("cgroup::cpu_max_gives_its_share_of_a_processor")
        .in_guest()
        .only(Mode::Pid1)
        .alone()
        .run(out, |mode| {
            for (limit, share) in [("0.2", 20), ("30000 100000", 30)] {
                let measure = || {
                    let ended = Frigate::new(mode)
                        .in_cgroup(Place::new())
                        .option(format!("--cpu-max={limit}"))
                        .puppet("spin 3000")
                        .run();
                    ended.expect_code(0);
                    let words: Vec<u64> = ended
                        .out
                        .split_whitespace()
                        .filter_map(|word| word.parse().ok())
                        .collect();
                    let [wall, processor] = words[..] else {
                        panic!("{ended:#?}")
                    };
                    note(format!(
                        "--cpu-max='{limit}': {processor} ms of processor time in {wall} ms"
                    ));
                    // At the beginning, the command may use one whole quota at once, wherever in
                    // the period that is.
                    (processor * 100).abs_diff(wall * share) <= wall * share / 10
                };
                // If the host takes a processor away for a while, the limit is not at fault.
                assert!(
                    (0..3).any(|_| measure()),
                    "--cpu-max={limit} gives more or less than 10 % off"
                );
            }
        });

    scenario("cgroup::cpu_weight_decides_between_two")
        .in_guest()
        .only(Mode::Pid1)
        .alone()
        .run(out, |mode| {
            let site = Place::new().make();
            let heavy = Frigate::new(mode)
                .in_cgroup(&site)
                .option("--cpu-weight=450")
                .puppet("say ready; spin 9000")
                .spawn();
            heavy.wait_line("ready");
            let light = from_leaf(&site, "--cpu-weight=50", "spin 3000").spawn();
            let time = |ended: crate::support::Ended| -> u64 {
                ended
                    .out
                    .split_whitespace()
                    .last()
                    .and_then(|word| word.parse().ok())
                    .unwrap_or_else(|| panic!("{ended:#?}"))
            };
            // All of the light one's time is also the heavy one's. With more than one processor,
            // both could get all that they want.
            let light = time(light.wait());
            heavy.wait().expect_code(0);
            note(format!("--cpu-weight=50 beside 450: {light} of 3000 ms"));
            assert!(light < 1500, "{light}");
        });
}

fn processes(out: &mut Vec<Trial>) {
    scenario("cgroup::pids_max_stops_a_fork_bomb_and_frigate_can_still_restart").in_guest().run(out, |mode| {
        let frigate = Frigate::new(mode).in_cgroup(Place::new());
        let lives = frigate.path("lives");
        let running = frigate
            .options("--pids-max=40 --restart=true --start-secs=0 --backoff=0 --grace=3s --leftovers=3s")
            .puppet(format!("attempt {lives}; on 1 {{bomb}}; cgroup; say second; wait TERM; exit 0"))
            .spawn();
        let group = group_of(running.cgroup());
        eventually("the limit is met", || (group.exists() && group.number("pids.events", "max") > 10).then_some(()));
        assert!(group.number("pids.events", "max") > 0 && group.processes().len() <= 40, "{group}");
        // The rest of the system must go on.
        let status = std::process::Command::new("/bin/true").status().expect("a process can be had");
        assert!(status.success());
        let first = group.processes();
        // frigate's own child is the oldest.
        let child = first.iter().copied().min().expect("some");
        crate::support::sys::kill(child, libc::SIGKILL).expect("the child exists");
        running.wait_line("second");
        let left = group.processes();
        assert_eq!(left.len(), 1, "nothing of the bomb is left: {group}");
        running.kill(libc::SIGTERM);
        let ended = running.wait();
        ended.expect_code(0).expect_nothing_left();
        assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
    });

    scenario("cgroup::a_group_without_room_for_one_process_is_a_failed_start")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let ended = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--pids-max=0 --restart=unexpected --start-retries=1 --backoff=10ms")
                .puppet("say ran")
                .run();
            ended.expect_code(126);
            assert_eq!(ended.out, "");
            assert!(ended.err.contains("a limit on processes?"), "{ended:#?}");
        });
}

fn whole_group(out: &mut Vec<Trial>) {
    scenario("cgroup::a_tree_that_ignores_everything_and_forks_all_the_time_is_ended")
        .in_guest()
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--memory-max=256M --grace=300ms --leftovers=300ms")
                .puppet("stubborn; fork {session; stubborn}; wait USR1")
                .spawn();
            running.wait_line("stubborn");
            let group = group_of(running.cgroup());
            eventually("several of them", || {
                (group.processes().len() > 5).then_some(())
            });
            running.kill(libc::SIGTERM);
            let ended = running.wait();
            ended.expect_code(137).expect_nothing_left();
            assert!(
                ended.err.contains("did not end within 300 ms"),
                "{ended:#?}"
            );
            assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
        });

    scenario("cgroup::a_stop_by_kill_ends_the_whole_group_at_once")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--memory-max=256M --kill")
                .puppet("stubborn; wait USR1")
                .spawn();
            running.wait_line("stubborn");
            running.kill(libc::SIGTERM);
            let ended = running.wait();
            ended.expect_code(137).expect_nothing_left();
            assert!(ended.cgroup().children().is_empty(), "{}", **ended.cgroup());
        });

    scenario("cgroup::a_frozen_group_is_ended_all_the_same")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--memory-max=256M --grace=200ms --leftovers=200ms")
                .puppet("fork {session; pause}; say ready; pause")
                .spawn();
            running.wait_line("ready");
            group_of(running.cgroup())
                .write("cgroup.freeze", "1")
                .expect("root may do this");
            running.kill(libc::SIGTERM);
            running.wait().expect_code(137).expect_nothing_left();
        });
}

fn containers(out: &mut Vec<Trial>) {
    scenario("cgroup::limits_hold_inside_a_container_with_a_writable_cgroup")
        .in_guest()
        .needs(&[&CRUN])
        .once()
        .run(out, |_| {
            for (name, bundle) in [
                ("plain", Bundle::new()),
                ("without clone3", Bundle::new().without_clone3()),
            ] {
                let bundle = bundle
                    .writable_cgroup()
                    .resources(json!({"memory": {"limit": 128 << 20}}));
                let group = bundle.cgroup();
                let ended = bundle
                    .option("--restart=unexpected")
                    .option("--backoff=10ms")
                    .option("--memory-max=32M")
                    .option("--memory-swap-max=0")
                    .option("--pids-max=20")
                    .puppet("attempt /tmp/lives; cgroup; on 1 {hog 48M}; say alive; exit 4")
                    .run();
                // The second end is a failed start like the first. Two more follow.
                assert_eq!(ended.code, Some(4), "{name}: {ended:#?}");
                assert!(
                    ended
                        .out
                        .starts_with("cgroup /claims\ncgroup /claims\nalive\n"),
                    "{name}: {ended:#?}"
                );
                assert!(
                    ended.err.contains(", out of memory; starting it again"),
                    "{name}: {ended:#?}"
                );
                assert!(!group.exists(), "{name}: {group}");
            }
        });

    scenario("cgroup::a_container_with_a_read_only_cgroup_gets_the_remedy")
        .in_guest()
        .needs(&[&CRUN])
        .once()
        .run(out, |_| {
            let ended = Bundle::new()
                .option("--memory-max=32M")
                .puppet("say ran")
                .run();
            assert_eq!(
                (ended.code, ended.out.as_str()),
                (Some(125), ""),
                "{ended:#?}"
            );
            assert_eq!(ended.err.lines().count(), 1, "{ended:#?}");
            for part in [
                "--memory-max=32M",
                "'/sys/fs/cgroup/init': read-only file system",
                "writable-cgroups=true",
                "--cgroup-best-effort",
            ] {
                assert!(ended.err.contains(part), "no {part}: {ended:#?}");
            }
            let ended = Bundle::new()
                .option("--memory-max=32M")
                .option("--cgroup-best-effort")
                .puppet("say ran")
                .run();
            assert_eq!(
                (ended.code, ended.out.as_str()),
                (Some(0), "ran\n"),
                "{ended:#?}"
            );
            assert!(
                ended.err.contains("read-only file system")
                    && ended.err.contains("starting without it"),
                "{ended:#?}"
            );
        });
}

fn pid_1(out: &mut Vec<Trial>) {
    scenario("cgroup::pid_1_of_a_kernel_limits_and_restarts_its_child").once().needs(&[&VM]).run(out, |_| {
        let booted = Boot::new()
            .option("--restart=unexpected")
            .option("--memory-max=64M")
            .option("--memory-swap-max=0")
            .option("--pids-max=20")
            .option("--backoff=10ms")
            .puppet("attempt /tmp/lives; on 1 {hog 128M}; on 2 {fork {pause}; exit 9}; cgroup; exec /bin/cat /sys/fs/cgroup/claims/cgroup.procs")
            .run();
        booted.expect_code(0);
        assert!(booted.out.contains(", out of memory; starting it again"), "{booted:#?}");
        assert!(booted.out.contains("cgroup /claims\n"), "{booted:#?}");
        let listed = booted.out.lines().rev().take_while(|line| line.parse::<i32>().is_ok()).count();
        assert_eq!(listed, 1, "alone in its group at the third start: {booted:#?}");
    });
}

fn costs(out: &mut Vec<Trial>) {
    scenario("cgroup::limits_cost_few_system_calls_and_the_child_none").in_guest().needs(&[&STRACE]).once().run(
        out,
        |_| {
            let trace = |options: &str| {
                let frigate = Frigate::new(Mode::Pid1).in_cgroup(Place::new().view(View::Private));
                // Open it before the end, because the trial's directory goes when frigate has
                // ended.
                let path = frigate.path("strace");
                std::fs::File::create(&path).expect("the trial owns the directory");
                let log = std::fs::File::open(&path).expect("it was just made");
                let ended = frigate.strace(["trace=all"]).options(options).command(["/bin/true"]).run();
                ended.expect_code(0);
                let log = std::io::read_to_string(log).expect("the log is text");
                // Look at the child's calls, which begin after the clone, and at the parent's
                // before it. A debug build asks whether a descriptor is open before it closes it,
                // and strace writes a call twice if another one interrupts it.
                let lines = || log.lines().filter(|line| !line.contains("F_GETFD") && !line.contains(" resumed>"));
                let caller = |line: &str| line.split_whitespace().next().map(str::to_owned);
                let begin = lines().position(|line| line.contains("execve(")).expect("its own exec");
                let frigate = lines().nth(begin).and_then(caller);
                let parent = lines()
                    .skip(begin)
                    .filter(|line| caller(line) == frigate)
                    .take_while(|line| !line.contains("clone"))
                    .count();
                let child = lines()
                    .skip(begin)
                    .filter(|line| caller(line) != frigate)
                    .take_while(|line| !line.contains("execve("))
                    .count();
                (parent, child, log)
            };
            // The calls are the same each time, but strace now and then writes a line too many or too
            // few for a process that has only just begun. Two traces that agree are right.
            let counts = |options: &str| {
                let mut last = trace(options);
                for _ in 0..5 {
                    let next = trace(options);
                    if (next.0, next.1) == (last.0, last.1) {
                        return next;
                    }
                    note(format!("two traces differ:\n{}\n{}", last.2, next.2));
                    last = next;
                }
                panic!("no two traces agree; the last was {}", last.2);
            };
            let (without, child_without, log_without) = counts("");
            // Pairs of limits and the files that frigate writes for them. memory.oom.group is one
            // of these files.
            for (options, files) in [
                ("--pids-max=50", 1),
                ("--memory-max=64M", 2),
                ("--memory-max=64M --pids-max=50", 3),
                ("--memory-max=64M --pids-max=50 --cpu-max=1", 4),
                (
                    "--memory-max=64M --memory-high=60M --memory-swap-max=0 --pids-max=50 --cpu-max=1 --cpu-weight=200",
                    7,
                ),
            ] {
                let (with, child_with, log) = counts(options);
                note(format!("{options}: {} system calls more for {files} files", with - without));
                assert_eq!(child_with, child_without, "the child pays nothing: {log_without}\nwith limits:\n{log}");
                assert!(with - without <= 40 + 7 * files, "{options}: {} more\n{log}", with - without);
            }
        },
    );

    scenario("cgroup::a_limited_frigate_sleeps_as_soundly_as_any")
        .in_guest()
        .only(Mode::Pid1)
        .run(out, |mode| {
            let running = Frigate::new(mode)
                .in_cgroup(Place::new())
                .options("--memory-max=64M --cpu-max=0.5 --restart=true")
                .puppet("say ready; pause")
                .spawn();
            running.wait_line("ready");
            let switches = || crate::support::procfs::context_switches(running.pid);
            crate::support::wait_state(running.pid, 'S');
            let before = switches();
            std::thread::sleep(Duration::from_secs(2));
            assert_eq!(switches(), before, "woken for nothing");
        });
}

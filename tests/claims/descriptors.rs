//! What the child inherits: `doc/specification.md#descriptors-directory-and-environment`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use libtest_mimic::Trial;

use crate::support::capability::ROOT;
use crate::support::{Frigate, Input, Output, Running, eventually, procfs, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    standard(out);
    inherited(out);
    directory(out);
    environment(out);
    confined(out);
}

/// Waits for the list of descriptors that the puppet writes to a file.
fn listed(frigate: &Running, name: &str) -> Vec<(i32, String)> {
    let path = frigate.path(name);
    let text = eventually("the list of descriptors", || {
        fs::read_to_string(&path)
            .ok()
            .filter(|text| text.contains("descriptors end"))
    });
    parse(&text)
}

fn parse(text: &str) -> Vec<(i32, String)> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("descriptor "));
    let described = lines.map(|line| line.split_once(' ').expect("a number and a target"));
    described
        .map(|(fd, target)| (fd.parse().expect("a number"), target.to_owned()))
        .collect()
}

fn standard(out: &mut Vec<Trial>) {
    scenario("descriptors::closed_standard_descriptors_are_opened_on_dev_null").run(out, |mode| {
        for closed in 1..8 {
            let is_closed = |fd: i32| closed & (1 << fd) != 0;
            let output = |fd| {
                if is_closed(fd) {
                    Output::Closed
                } else {
                    Output::Pipe
                }
            };
            let frigate = Frigate::new(mode).output(output(1)).error(output(2));
            let frigate = frigate.input(if is_closed(0) {
                Input::Closed
            } else {
                Input::Pipe
            });
            let list = frigate.path("list");
            let done = frigate.path("done");
            // The puppet takes the list before it opens any file of its own.
            let frigate = frigate
                .puppet(format!("listed {list}; await {done}; exit 4"))
                .spawn();
            let listed = listed(&frigate, "list");
            for fd in 0..3 {
                let target = &listed[usize::try_from(fd).expect("a small number")];
                assert_eq!(target.0, fd, "{listed:?}");
                assert_eq!(
                    target.1 == "/dev/null",
                    is_closed(fd),
                    "closed {closed:03b}: {listed:?}"
                );
            }
            assert_eq!(listed.len(), 3, "{listed:?}");
            fs::write(frigate.path("done"), "").expect("the trial owns the directory");
            frigate.wait().expect_code(4);
        }
    });

    scenario("descriptors::what_is_said_on_a_closed_standard_error_goes_nowhere").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .options("-vv --restart=unexpected --backoff=5ms --start-retries=1");
            let starts = frigate.path("starts");
            let data = frigate.file("data", "untouched");
            let frigate = frigate.error(Output::Closed).descriptor(9, &data);
            let kept = fs::File::open(&data).expect("the file exists");
            frigate
                .puppet(format!("attempt {starts}; on 1 {{exit 1}}; exit 0"))
                .run()
                .expect_code(0);
            assert_eq!(std::io::read_to_string(kept).expect("text"), "untouched");
        },
    );

    scenario("descriptors::the_standard_streams_reach_the_child_untouched").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .input(Input::Pipe)
            .puppet("say ready; input; error to standard error; exit 0");
        let mut frigate = frigate.spawn();
        frigate.wait_line("ready");
        frigate.write_input("one\ntwo\n");
        frigate.wait_line("input one");
        frigate.wait_line("input two");
        frigate.close_input();
        let ended = frigate.wait();
        ended.expect_code(0);
        assert_eq!(ended.err, "to standard error\n");
    });
}

fn inherited(out: &mut Vec<Trial>) {
    scenario("descriptors::frigates_own_descriptors_are_close_on_exec").run(out, |mode| {
        for options in ["", "--restart=unexpected --backoff=5ms"] {
            let frigate = Frigate::new(mode).options(options);
            let starts = frigate.path("starts");
            let ended = frigate
                .puppet(format!(
                    "descriptors; attempt {starts}; on 1 {{exit 1}}; exit 0"
                ))
                .run();
            for list in ended.out.split_inclusive("descriptors end\n") {
                let numbers: Vec<_> = parse(list).into_iter().map(|(fd, _)| fd).collect();
                assert_eq!(numbers, [0, 1, 2], "{ended:#?}");
            }
        }
    });

    scenario("descriptors::inherited_descriptors_reach_the_child").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let (first, second) = (frigate.file("first", ""), frigate.file("second", ""));
        let ended = frigate
            .descriptor(3, &first)
            .descriptor(17, &second)
            .puppet("descriptors; exit 0")
            .run();
        let listed = parse(&ended.out);
        assert!(
            listed.contains(&(3, first)) && listed.contains(&(17, second)),
            "{ended:#?}"
        );
    });

    scenario("descriptors::frigate_closes_its_copies_of_inherited_descriptors").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.file("inherited", "");
        let frigate = frigate
            .descriptor(3, &file)
            .descriptor(17, &file)
            .puppet("descriptors; say ready; report")
            .spawn();
        frigate.wait_line("ready");
        eventually("frigate no longer holds it", || {
            let open = procfs::descriptors(frigate.pid);
            (!open.is_empty() && open.iter().all(|(_, target)| target != Path::new(&file)))
                .then_some(())
        });
    });

    scenario("descriptors::frigate_keeps_its_own_descriptors_among_inherited_ones").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            let (file, log) = (frigate.file("inherited", ""), frigate.path("log"));
            let message = frigate.path("message");
            let options = format!("-v --stdout={log} --termination-log={message}");
            // frigate's own descriptors are 3 and 5, and from 7 on.
            let frigate = frigate
                .options(&options)
                .descriptor(4, &file)
                .descriptor(6, &file)
                .descriptor(17, &file)
                .puppet("say ready; wait USR1; say again; exit 3")
                .spawn();
            eventually("frigate holds none of the file", || {
                let is_ready = fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"));
                let open = procfs::descriptors(frigate.pid);
                (is_ready && open.iter().all(|(_, target)| target != Path::new(&file)))
                    .then_some(())
            });
            frigate.kill(libc::SIGUSR1);
            eventually("the log goes on", || {
                fs::read_to_string(&log)
                    .is_ok_and(|text| text.contains("again"))
                    .then_some(())
            });
            let text = eventually("the termination message", || {
                fs::read_to_string(&message)
                    .ok()
                    .filter(|text| text.contains("\"exit_code\":3"))
            });
            frigate.wait().expect_code(3);
            assert_eq!(text.lines().count(), 1, "{text}");
        },
    );

    scenario("descriptors::a_restarted_child_gets_the_inherited_descriptors_again").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=5ms");
            let (file, starts) = (frigate.file("inherited", ""), frigate.path("starts"));
            let script = format!("descriptors; attempt {starts}; on 1 {{exit 1}}; exit 0");
            let ended = frigate.descriptor(5, &file).puppet(script).run();
            ended.expect_code(0);
            assert_eq!(
                parse(&ended.out)
                    .into_iter()
                    .filter(|it| *it == (5, file.clone()))
                    .count(),
                2,
                "{ended:#?}"
            );
        },
    );

    scenario("descriptors::when_no_restart_will_come_any_more_frigate_holds_them_no_more").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).options("--restart=unexpected");
            let file = frigate.file("inherited", "");
            // The child has ended. Its leftovers need some time, and a process that waits for the
            // end of the socket should not wait for them.
            let script = "fork {say left; wait TERM; wait USR1; exit 0}; nap 100; exit 0";
            let frigate = frigate.descriptor(5, &file).puppet(script).spawn();
            frigate.wait_line("got TERM");
            eventually("frigate no longer holds it", || {
                let open = procfs::descriptors(frigate.pid);
                (!open.is_empty() && open.iter().all(|(_, target)| target != Path::new(&file)))
                    .then_some(())
            });
        },
    );

    scenario("descriptors::after_a_stop_frigate_needs_the_inherited_descriptors_no_more").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).options("--restart=true");
            let file = frigate.file("inherited", "");
            let frigate = frigate
                .descriptor(5, &file)
                .puppet("say ready; report")
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait_line("got TERM");
            eventually("frigate no longer holds it", || {
                let open = procfs::descriptors(frigate.pid);
                (!open.is_empty() && open.iter().all(|(_, target)| target != Path::new(&file)))
                    .then_some(())
            });
        },
    );
}

fn directory(out: &mut Vec<Trial>) {
    scenario("descriptors::frigate_moves_to_the_root_directory").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let directory = frigate.path("");
        let frigate = frigate
            .current_directory(directory)
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        eventually("frigate in /", || {
            let link = fs::read_link(format!("/proc/{}/cwd", frigate.pid)).ok()?;
            (link == Path::new("/")).then_some(())
        });
    });

    scenario("descriptors::the_child_starts_in_the_original_directory").run(out, |mode| {
        for options in ["", "--restart=unexpected --backoff=5ms"] {
            let frigate = Frigate::new(mode).options(options);
            let directory = frigate.path("here");
            fs::create_dir(&directory).expect("the trial owns the directory");
            let script = format!(
                "directory; attempt {}; on 1 {{exit 1}}; exit 0",
                frigate.path("starts")
            );
            let ended = frigate.current_directory(&directory).puppet(script).run();
            let lines: Vec<_> = ended.out.lines().collect();
            let expected = format!("directory {directory}");
            assert_eq!(
                lines,
                vec![expected.as_str(); if options.is_empty() { 1 } else { 2 }],
                "{ended:#?}"
            );
        }
    });

    scenario("descriptors::a_relative_command_is_found_from_the_original_directory").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=5ms");
            let directory = frigate.path("");
            std::os::unix::fs::symlink(crate::support::own_program(), frigate.path("tool"))
                .expect("the trial owns the directory");
            let script = format!(
                "attempt {}; say start; on 1 {{exit 1}}; exit 0",
                frigate.path("starts")
            );
            let ended = frigate
                .current_directory(directory)
                .command(["./tool", "--puppet", &script])
                .run();
            ended.expect_code(0);
            assert_eq!(ended.out, "start\nstart\n");
        },
    );
}

fn environment(out: &mut Vec<Trial>) {
    scenario("descriptors::the_environment_reaches_the_child").run(out, |mode| {
        let value = OsString::from_vec(b"not \xff UTF-8\n".to_vec());
        let frigate = Frigate::new(mode).env("SOME_VALUE", value).env("EMPTY", "");
        let ended = frigate.puppet("environment SOME_VALUE; environment EMPTY; environment MISSING; exit 0").run();
        assert_eq!(
            ended.out,
            "environment SOME_VALUE not \\xff UTF-8\\n\nenvironment EMPTY \nenvironment MISSING unset\n"
        );
    });

    scenario("descriptors::listen_pid_that_names_frigate_is_rewritten_to_the_childs").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=5ms");
        let script = format!(
            "say pid $pid; environment LISTEN_PID; environment LISTEN_FDS; attempt {}; on 1 {{exit 1}}; exit 0",
            frigate.path("starts")
        );
        let ended = frigate.own_pid_in("LISTEN_PID").env("LISTEN_FDS", "2").puppet(script).run();
        ended.expect_code(0);
        let lines: Vec<_> = ended.out.lines().collect();
        assert_eq!(lines.len(), 6, "{ended:#?}");
        for start in lines.chunks(3) {
            let pid = start[0].strip_prefix("pid ").expect("its pid");
            assert_eq!(start[1], format!("environment LISTEN_PID {pid}"), "{ended:#?}");
            assert_eq!(start[2], "environment LISTEN_FDS 2", "{ended:#?}");
        }
    });

    scenario("descriptors::listen_pid_that_names_another_process_stays").run(out, |mode| {
        let ended = Frigate::new(mode)
            .env("LISTEN_PID", "4194999")
            .puppet("environment LISTEN_PID; exit 0")
            .run();
        assert_eq!(ended.out, "environment LISTEN_PID 4194999\n");
    });
}

fn confined(out: &mut Vec<Trial>) {
    scenario("descriptors::a_read_only_root_an_arbitrary_uid_and_no_capability_are_fine")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = Frigate::new(mode)
                .options("-q --restart=unexpected --start-retries=2 --backoff=5ms");
            let frigate = frigate
                .uid(12345)
                .read_only()
                .puppet("field Uid; field CapEff; exit 3");
            let ended = frigate.run();
            ended.expect_code(3);
            assert!(ended.out.contains("Uid: 12345 12345"), "{ended:#?}");
            assert_eq!(
                ended.out.matches("CapEff: 0000000000000000").count(),
                3,
                "{ended:#?}"
            );
            assert!(
                !ended.err.to_lowercase().contains("read-only"),
                "{ended:#?}"
            );
        });

    scenario("descriptors::leftovers_of_an_unprivileged_frigate_are_ended_too")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let frigate = Frigate::new(mode).uid(12346).read_only();
            let ended = frigate
                .puppet("orphan {session; wait TERM; say clean; exit 0}; nap 100; exit 2")
                .run();
            ended.expect_code(2).expect_silence().expect_nothing_left();
            assert!(ended.out.contains("clean"), "{ended:#?}");
        });

    scenario("descriptors::few_descriptors_are_enough").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .max_files(10)
            .options("--restart=unexpected --backoff=5ms");
        let script = format!(
            "attempt {}; on 1 {{exit 1}}; exit 0",
            frigate.path("starts")
        );
        frigate.puppet(script).run().expect_code(0);
    });
}

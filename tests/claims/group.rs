//! The child's process group: `doc/specification.md#forwarding`.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::support::{Frigate, Mode, Running, eventually, procfs, scenario};

/// Starts a child that has another process in its group, and one that has left the group.
fn with_member_and_outsider(mode: Mode, options: &str) -> (Running, PathBuf, PathBuf) {
    let frigate = Frigate::new(mode).options(options);
    let (member, outsider) = (frigate.path("member"), frigate.path("outsider"));
    let script = format!(
        "fork {{to {member}; say here; report}}; fork {{session; to {outsider}; say here; report}}; \
         await {member}; await {outsider}; say ready; report"
    );
    let frigate = frigate.puppet(script).spawn();
    frigate.wait_line("ready");
    (frigate, member.into(), outsider.into())
}

fn wait_file(path: &PathBuf, text: &str) -> String {
    eventually(&format!("{text:?} in {}", path.display()), || {
        fs::read_to_string(path)
            .ok()
            .filter(|said| said.contains(text))
    })
}

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("group::the_child_has_a_process_group_of_its_own").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        let child = procfs::process(frigate.only_child()).expect("the child lives");
        let own = procfs::process(frigate.pid).expect("frigate lives");
        assert_eq!(child.group, child.pid);
        assert_ne!(child.group, own.group);
    });

    scenario("group::a_signal_reaches_the_whole_group_and_nobody_else").run(out, |mode| {
        let (frigate, member, outsider) = with_member_and_outsider(mode, "");
        for name in ["HUP", "USR1"] {
            frigate.kill(if name == "HUP" {
                libc::SIGHUP
            } else {
                libc::SIGUSR1
            });
            frigate.wait_line(&format!("got {name}"));
            wait_file(&member, &format!("got {name}"));
        }
        assert_eq!(
            fs::read_to_string(&outsider).expect("the process wrote the file"),
            "here\n"
        );
    });

    scenario("group::a_stop_signal_and_cont_reach_the_whole_group").run(out, |mode| {
        let (frigate, member, _) = with_member_and_outsider(mode, "");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got CONT");
        wait_file(&member, "got TERM");
        wait_file(&member, "got CONT");
    });

    scenario("group::single_child_sends_signals_to_the_child_alone").run(out, |mode| {
        let (frigate, member, _) = with_member_and_outsider(mode, "--single-child");
        for (signal, name) in [
            (libc::SIGUSR1, "USR1"),
            (libc::SIGTERM, "TERM"),
            (libc::SIGUSR2, "USR2"),
        ] {
            frigate.kill(signal);
            frigate.wait_line(&format!("got {name}"));
        }
        assert_eq!(
            fs::read_to_string(&member).expect("the process wrote the file"),
            "here\n"
        );
    });

    scenario("group::at_the_end_of_the_grace_period_the_whole_group_is_killed").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--grace 300ms");
        let frigate = frigate
            .puppet("fork {say member; pause}; fork {say member; pause}; say ready; pause")
            .spawn();
        for line in ["member", "member"] {
            frigate.wait_line(line);
        }
        frigate.kill(libc::SIGTERM);
        frigate.wait().expect_code(137).expect_nothing_left();
    });
}

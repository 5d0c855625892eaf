//! The virtual machine of the tests itself, and frigate as PID 1 of a kernel.

use std::fs;

use libtest_mimic::Trial;

use crate::support::capability::VM;
use crate::support::vm::Boot;
use crate::support::vm::guest::{Record, Verdict};
use crate::support::{frigate, note, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    record(out);
    boots(out);
    guest(out);
}

fn record(out: &mut Vec<Trial>) {
    scenario("vm::failure_in_the_guest_is_a_failure_on_the_host").once().run(out, |_| {
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
        assert_eq!(record.verdict("vm::bad [pid1]"), Some(Verdict::Failed("left: 1\nright: 2".into())));
        assert_eq!(record.verdict("vm::lame"), Some(Verdict::Ignored("needs crun: cannot run crun".into())));
        assert_eq!(record.verdict("vm::late"), None, "there may still come one");
        record.close("it died".into());
        assert_eq!(record.verdict("vm::good"), Some(Verdict::Passed), "it had passed before");
        let Some(Verdict::Failed(text)) = record.verdict("vm::late") else { panic!("no verdict, no failure") };
        assert!(text.contains("it died"), "{text}");
    });
}

fn boots(out: &mut Vec<Trial>) {
    scenario("vm::pid_1_of_a_kernel_ends_with_the_code_of_its_child").once().needs(&[&VM]).run(out, |_| {
        let booted = Boot::new().puppet("ids; say hello; exit 37").run();
        booted.expect_code(37);
        assert!(booted.out.lines().any(|line| line == "hello"), "{booted:#?}");
        assert!(booted.out.contains(" parent 1 "), "{booted:#?}");
    });

    scenario("vm::pid_1_of_a_kernel_forwards_and_reports_a_signal_as_128_and_its_number").once().needs(&[&VM]).run(
        out,
        |_| {
            let booted = Boot::new().puppet("send parent TERM; wait TERM; die TERM").run();
            booted.expect_code(128 + libc::SIGTERM);
            assert!(booted.out.contains("got TERM"), "{booted:#?}");
        },
    );

    scenario("vm::pid_1_of_a_kernel_reaps_orphans_and_restarts").once().needs(&[&VM]).run(out, |_| {
        // The second life looks for what the first has left, which only frigate can have taken away.
        let count =
            "for dir in /proc/[0-9]*; do case $(cat $dir/stat) in *' Z '*) echo zombie;; esac; done; echo counted";
        let script = format!("attempt /tmp/lives; on 1 {{orphans 50; exit 1}}; exec /bin/sh /tmp/count");
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
    scenario("vm::guest_has_the_controllers_of_cgroup_v2").once().in_guest().run(out, |_| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
        let cgroups: Vec<_> = mounts.lines().filter(|line| line.contains(" - cgroup")).collect();
        assert!(
            cgroups.len() == 1 && cgroups[0].contains(" /sys/fs/cgroup ") && cgroups[0].contains(" - cgroup2 "),
            "{cgroups:#?}"
        );
        let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("cgroup v2");
        for name in ["cpu", "memory", "pids", "io"] {
            assert!(controllers.split_whitespace().any(|controller| controller == name), "{controllers}");
        }
        let uptime = fs::read_to_string("/proc/uptime").expect("/proc");
        note(format!("the first claims run {} s after the boot", uptime.split(' ').next().unwrap_or_default()));
    });

    scenario("vm::frigate_is_pid_1_of_the_guest").once().in_guest().run(out, |_| {
        let first = fs::read_link("/proc/1/exe").expect("root may look");
        assert_eq!(first.as_os_str(), frigate::binary()[0]);
        let name = fs::read_to_string("/proc/1/comm").expect("/proc");
        assert_eq!(Some(name.trim()), first.file_name().and_then(|name| name.to_str()));
    });
}

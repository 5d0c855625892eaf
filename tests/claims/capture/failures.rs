//! A full disk, system calls that fail, and options that are refused.

use std::fs;

use libtest_mimic::Trial;

use super::{Logs, dropped, expect_noise};
use crate::support::capability::{ROOT, STRACE};
use crate::support::frigate::binary;
use crate::support::{Frigate, Mode, eventually, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    full_disk(out);
    refused_calls(out);
    refusals(out);
}

fn full_disk(out: &mut Vec<Trial>) {
    scenario("capture::a_full_disk_does_not_block_the_child_and_is_said_once")
        .needs(&[&ROOT])
        .run(out, |mode| {
            const LENGTH: u64 = 8_000_000;
            let frigate = Frigate::new(mode).disk(1 << 20);
            let (log, go) = (frigate.path("disk/log"), frigate.path("go"));
            let frigate = frigate.option("--stdout").option(&log);
            let frigate = frigate
                .puppet(format!("pour 0 {LENGTH}; error poured; await {go}; exit 6"))
                .spawn();
            frigate.wait_message("poured");
            let kept = fs::read(format!("/proc/{}/root{log}", frigate.pid))
                .expect("frigate sees its disk");
            expect_noise(&kept, 1 << 20);
            fs::write(frigate.path("go"), "").expect("the trial owns the directory");
            let ended = frigate.wait();
            ended.expect_code(6);
            assert_eq!(
                dropped(&ended, "no space left on the device"),
                LENGTH - (1 << 20)
            );
        });

    scenario("capture::a_disk_that_has_room_again_is_written_to_again").needs(&[&ROOT]).run(out, |mode| {
        let frigate = Frigate::new(mode).disk(4 << 20);
        let log = frigate.path("disk/log");
        let ballast = frigate.path("disk/ballast");
        let frigate = frigate.option("--stdout").option(&log);
        // This frees more room than the rest of the pipe can fill.
        let script = format!(
            "head -c 3000000 /dev/zero >{ballast}; head -c 6000000 /dev/zero; rm {ballast}; echo after; \
             until grep -q after {log}; do sleep 0.01; done; stat -c 'size %s' {log} >&2"
        );
        let ended = frigate.command(["sh", "-c", &script]).run();
        ended.expect_code(0);
        let size = ended.err.lines().find_map(|line| line.strip_prefix("size ")?.parse::<u64>().ok());
        assert_eq!(dropped(&ended, "no space left on the device") + size.expect("its size"), 6_000_006, "{ended:#?}");
    });

    scenario("capture::a_limit_on_file_size_ends_neither_frigate_nor_the_child").run(out, |mode| {
        let limited = ["/bin/sh", "-c", "ulimit -f 8; exec \"$@\"", "sh"].map(Into::into);
        let frigate = Frigate::of_program(mode, limited.into_iter().chain(binary()));
        let option = format!("--stdout={}", frigate.path("log"));
        let script = "trap 'exit 7' TERM; head -c 100000 /dev/zero; echo ready >&2; while :; do sleep 0.02; done";
        let frigate = frigate.option(option).command(["sh", "-c", script]).spawn();
        frigate.wait_message("ready");
        let size = eventually("a file", || {
            fs::metadata(frigate.path("log")).ok().map(|log| log.len()).filter(|size| *size > 0)
        });
        frigate.kill(libc::SIGTERM);
        let ended = frigate.wait();
        ended.expect_code(7);
        assert_eq!(dropped(&ended, "file too large") + size, 100_000);
    });
}

fn refused_calls(out: &mut Vec<Trial>) {
    scenario("capture::a_call_that_is_refused_loses_no_byte")
        .once()
        .needs(&[&STRACE])
        .run(out, |_| {
            for (call, errno) in [
                ("splice", "EPERM"),
                ("splice", "ENOSYS"),
                ("ioctl", "EPERM"),
            ] {
                let logs = Logs::new();
                let inject = format!("inject={call}:error={errno}");
                let frigate = logs
                    .frigate(Mode::Subreaper)
                    .strace([format!("trace={call}"), inject]);
                let frigate = frigate
                    .tracing_frigate_alone()
                    .puppet("pour 0 300000; exit 0");
                frigate.run().expect_code(0).expect_silence();
                expect_noise(&logs.bytes("log"), 300_000);
            }
        });
}

fn refusals(out: &mut Vec<Trial>) {
    scenario("capture::a_file_that_cannot_be_opened_is_a_refusal").run(out, |mode| {
        for (option, path, reason) in [
            ("--stdout", "/nowhere/log", "no such file or directory"),
            ("--stderr", "/nowhere/log", "no such file or directory"),
            ("--stdout", "/", "is a directory"),
            ("--stderr", "/dev/null/log", "not a directory"),
        ] {
            let frigate = Frigate::new(mode);
            let there = frigate.path("there");
            let option = format!("{option}={path}");
            let ended = frigate
                .option(&option)
                .puppet(format!("say started; touch {there}"))
                .run();
            ended.expect_code(125);
            assert_eq!(
                (ended.out.as_str(), ended.err),
                ("", format!("frigate: cannot open '{option}': {reason}\n"))
            );
        }
        let ended = Frigate::new(mode)
            .env("FRIGATE_INIT_STDERR", "/nowhere/log")
            .puppet("say started")
            .run();
        ended.expect_code(125);
        assert_eq!(
            ended.err,
            "frigate: cannot open 'FRIGATE_INIT_STDERR=/nowhere/log': no such file or directory\n"
        );
    });
}

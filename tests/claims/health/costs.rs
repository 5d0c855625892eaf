//! What checks cost: system calls, wake-ups, and memory.

use std::fs;
use std::io::Write;

use libtest_mimic::Trial;

use crate::support::capability::STRACE;
use crate::support::{Frigate, eventually, note, procfs, scenario, servers, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("health::a_check_takes_few_system_calls_and_few_wake_ups")
        .needs(&[&STRACE])
        .run(out, |mode| {
            const CHECKS: usize = 10;
            let port = fine();
            let frigate = Frigate::new(mode)
                .strace(["trace=all"])
                .tracing_frigate_alone()
                .option(format!("--health=http://127.0.0.1:{port}/"))
                .options("--health-interval=100ms")
                .puppet("say ready; wait TERM; exit 5")
                .spawn();
            frigate.wait_line("ready");
            let file = frigate.path("strace");
            // A check begins with its socket. What comes before the second one belongs to the start.
            let calls: Vec<String> = eventually("some checks", || {
                let log = fs::read_to_string(&file).ok()?;
                let lines: Vec<&str> = log.lines().collect();
                let begins: Vec<usize> = (0..lines.len())
                    .filter(|&at| lines[at].contains("socket("))
                    .collect();
                let checks = *begins.get(1)?..*begins.get(CHECKS + 1)?;
                Some(lines[checks].iter().map(ToString::to_string).collect())
            });
            let waits = calls
                .iter()
                .filter(|line| line.contains("poll(") || line.contains("rt_sigtimedwait("))
                .count();
            note(format!(
                "{CHECKS} checks by HTTP: {} system calls, {waits} of them waits ({mode:?})",
                calls.len()
            ));
            assert!(
                calls.len() <= 24 * CHECKS && waits <= 8 * CHECKS,
                "{calls:#?}"
            );
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(5).expect_silence();
        });

    scenario("health::checks_need_no_more_memory_as_they_go_on")
        .alone()
        .run(out, |mode| {
            let memory = |checked: bool| {
                let mut frigate = Frigate::new(mode);
                if checked {
                    frigate = frigate
                        .option(format!("--health=http://127.0.0.1:{}/", fine()))
                        .options("--health-interval=100ms -v");
                }
                let frigate = frigate
                    .puppet("say ready; report; wait TERM; exit 5")
                    .spawn();
                frigate.wait_line("ready");
                if checked {
                    frigate.err().wait_text("is healthy");
                }
                wait_state(frigate.pid, 'S');
                let first = procfs::anonymous_kib(frigate.pid);
                if checked {
                    // Ten checks more: each makes frigate sleep anew.
                    let before = procfs::context_switches(frigate.pid);
                    eventually("more checks", || {
                        (procfs::context_switches(frigate.pid) > before + 30).then_some(())
                    });
                }
                (first, procfs::anonymous_kib(frigate.pid))
            };
            let (without, with) = (memory(false).1, memory(true));
            note(format!(
                "idle memory of its own: {without} KiB, with checks by HTTP {} KiB ({mode:?})",
                with.1
            ));
            assert_eq!(with.0, with.1, "it grows");
        });
}

/// A server that answers well. Returns its port.
fn fine() -> u16 {
    servers::local(|mut client| {
        servers::read_request(&mut client);
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\nfine\n");
    })
}

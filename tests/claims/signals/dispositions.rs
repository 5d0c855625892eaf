//! The mask and the dispositions that frigate gives back to the child.

use libtest_mimic::Trial;

use super::RTMIN;
use crate::support::sys::{ALL, bit};
use crate::support::{Frigate, procfs, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    mask_and_dispositions(out);
}

fn mask_and_dispositions(out: &mut Vec<Trial>) {
    scenario("signals::the_child_gets_back_an_empty_mask_and_default_dispositions").run(
        out,
        |mode| {
            let ended = Frigate::new(mode).puppet("mask").run();
            ended.expect_code(0);
            assert_eq!(ended.out, format!("mask {:016x} ignored {:016x}\n", 0, 0));
        },
    );

    scenario("signals::the_child_gets_back_exactly_the_mask_and_dispositions_frigate_had").run(
        out,
        |mode| {
            let blocked = [
                libc::SIGUSR1,
                libc::SIGTERM,
                libc::SIGCHLD,
                32,
                33,
                RTMIN,
                64,
            ];
            let ignored = [
                libc::SIGHUP,
                libc::SIGPIPE,
                libc::SIGCHLD,
                libc::SIGTSTP,
                33,
                40,
            ];
            let as_mask =
                |signals: &[i32]| signals.iter().fold(0, |mask, &signal| mask | bit(signal));
            let ended = Frigate::new(mode)
                .blocked(&blocked)
                .ignored(&ignored)
                .puppet("mask")
                .run();
            ended.expect_code(0);
            assert_eq!(
                ended.out,
                format!(
                    "mask {:016x} ignored {:016x}\n",
                    as_mask(&blocked),
                    as_mask(&ignored)
                )
            );
        },
    );

    scenario("signals::all_signals_blocked_before_frigate_are_blocked_in_the_child").run(
        out,
        |mode| {
            let all: Vec<i32> = (1..=64).collect();
            let ended = Frigate::new(mode)
                .blocked(&all)
                .ignored(&all)
                .puppet("mask")
                .run();
            let possible = ALL & !bit(libc::SIGKILL) & !bit(libc::SIGSTOP);
            assert_eq!(
                ended.out,
                format!("mask {possible:016x} ignored {possible:016x}\n")
            );
        },
    );

    scenario("signals::a_restarted_child_gets_the_same_mask_and_dispositions").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--restart=unexpected --backoff=10ms");
        let starts = frigate.path("starts");
        let script = format!("attempt {starts}; mask; on 1 {{exit 1}}");
        let ended = frigate
            .blocked(&[libc::SIGUSR2, 35])
            .ignored(&[libc::SIGPIPE])
            .puppet(script)
            .run();
        ended.expect_code(0);
        let line = format!(
            "mask {:016x} ignored {:016x}\n",
            bit(libc::SIGUSR2) | bit(35),
            bit(libc::SIGPIPE)
        );
        assert_eq!(ended.out, line.repeat(2));
    });

    scenario("signals::frigate_installs_no_handler_and_resets_nothing_but_chld").run(out, |mode| {
        let ignored = [libc::SIGHUP, libc::SIGPIPE, libc::SIGCHLD, 50];
        let frigate = Frigate::new(mode)
            .ignored(&ignored)
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        let field = |name| procfs::status_field(frigate.pid, name).expect("its status");
        assert_eq!(field("SigCgt"), "0".repeat(16));
        assert_eq!(
            field("SigIgn"),
            format!("{:016x}", bit(libc::SIGHUP) | bit(libc::SIGPIPE) | bit(50))
        );
    });

    scenario("signals::chld_inherited_as_ignored_costs_no_exit_code").run(out, |mode| {
        let frigate = Frigate::new(mode).ignored(&[libc::SIGCHLD]);
        frigate
            .puppet("orphan {exit 9}; nap 20; exit 23")
            .run()
            .expect_code(23)
            .expect_nothing_left();
    });
}

//! What a signal means: a stop, another signal, nothing; and the options that say so.

use libtest_mimic::Trial;

use super::{RTMIN, signal_name};
use crate::support::{Frigate, eventually, procfs, scenario, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    roles(out);
}

fn roles(out: &mut Vec<Trial>) {
    scenario("signals::a_stopped_child_is_continued_after_a_stop_signal_and_can_die").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .puppet("say ready; plain; stop; nap 60000")
                .spawn();
            frigate.wait_line("ready");
            wait_state(frigate.only_child(), 'T');
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(143).expect_nothing_left();
        },
    );

    scenario("signals::the_group_gets_cont_after_the_stop_signal").run(out, |mode| {
        let frigate = Frigate::new(mode).puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
        frigate.wait_line("got CONT");
    });

    scenario("signals::a_tstp_that_a_process_sent_stops_the_child_and_not_frigate").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode)
                .puppet("open TSTP; open CONT; say ready; nap 60000")
                .spawn();
            frigate.wait_line("ready");
            let child = frigate.only_child();
            frigate.kill(libc::SIGTSTP);
            wait_state(child, 'T');
            assert_ne!(
                procfs::process(frigate.pid).map(|process| process.state),
                Some('T')
            );
            frigate.kill(libc::SIGCONT);
            wait_state(child, 'S');
        },
    );

    scenario("signals::stop_on_says_which_signals_stop").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--stop-on USR1,RTMIN+1")
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        frigate.wait_line("got TERM");
        frigate.kill(libc::SIGWINCH);
        let next = frigate.wait_line("got ");
        assert!(
            next.starts_with("got WINCH"),
            "TERM was taken as a stop: {next}"
        );
        frigate.kill(RTMIN + 1);
        let both = [frigate.wait_line("got "), frigate.wait_line("got ")];
        assert!(
            both.iter().any(|line| line.starts_with("got 35 ")),
            "{both:?}"
        );
        assert!(
            both.iter().any(|line| line.starts_with("got CONT ")),
            "{both:?}"
        );
    });

    scenario("signals::stop_signal_is_what_the_child_is_sent").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--stop-signal SIGINT")
            .puppet("say ready; wait CONT; exit 0")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let first = frigate.wait_line("got ");
        assert!(first.starts_with("got INT"), "{first}");
        frigate.wait().expect_code(0);
    });

    scenario("signals::signal_names_and_numbers_mean_the_same_in_any_case").run(out, |mode| {
        let words = [
            ("USR1", libc::SIGUSR1),
            ("SIGUSR1", libc::SIGUSR1),
            ("sigusr1", libc::SIGUSR1),
            ("uSr1", libc::SIGUSR1),
            ("10", libc::SIGUSR1),
            ("RTMIN", RTMIN),
            ("RTMIN+3", RTMIN + 3),
            ("SIGRTMAX-1", 63),
            ("sigrtmax", 64),
            ("64", 64),
            ("33", 33),
        ];
        for (word, signal) in words {
            let frigate = Frigate::new(mode).option("--stop-signal").option(word);
            let frigate = frigate
                .puppet(format!("say ready; wait {signal}; exit 0"))
                .spawn();
            frigate.wait_line("ready");
            frigate.kill(libc::SIGTERM);
            frigate.wait_line(&format!("got {} ", signal_name(signal)));
            frigate.wait().expect_code(0);
        }
    });

    scenario("signals::rewrite_treats_one_signal_as_another").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--rewrite HUP:USR1 --rewrite USR1:USR2 --rewrite=RTMIN+1:WINCH");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        // A rewritten signal is not rewritten again.
        for (sent, got) in [
            (libc::SIGHUP, "got USR1"),
            (libc::SIGUSR1, "got USR2"),
            (RTMIN + 1, "got WINCH"),
        ] {
            frigate.kill(sent);
            let line = frigate.wait_line("got ");
            assert!(line.starts_with(got), "{line}");
        }
    });

    scenario("signals::rewrite_to_0_drops_a_signal").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--rewrite USR1:0 --rewrite TERM:0");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGUSR1);
        frigate.kill(libc::SIGTERM);
        frigate.kill(libc::SIGWINCH);
        let line = frigate.wait_line("got ");
        assert!(line.starts_with("got WINCH"), "{line}");
    });

    scenario("signals::a_signal_rewritten_to_a_stop_signal_stops").run(out, |mode| {
        let frigate = Frigate::new(mode).options("--rewrite USR1:TERM --restart=true");
        let frigate = frigate.puppet("say ready; wait TERM; exit 0").spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGUSR1);
        frigate.wait_line("got TERM");
        frigate.wait().expect_code(0);
    });

    scenario("signals::a_stop_signal_rewritten_to_another_is_sent_as_that").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .options("--rewrite TERM:QUIT")
            .puppet("say ready; wait CONT; exit 0")
            .spawn();
        frigate.wait_line("ready");
        frigate.kill(libc::SIGTERM);
        let first = frigate.wait_line("got ");
        assert!(first.starts_with("got QUIT"), "{first}");
        frigate.wait().expect_code(0);
    });

    scenario("signals::pdeathsig_comes_when_frigates_own_parent_dies").run(out, |mode| {
        let frigate = Frigate::new(mode).with_parent().options("--pdeathsig TERM");
        let frigate = frigate.puppet("say ready; wait TERM; exit 6").spawn();
        frigate.wait_line("ready");
        crate::support::sys::kill(frigate.middle.expect("a parent"), libc::SIGKILL)
            .expect("the process is alive");
        frigate.wait_line("got TERM");
        frigate.wait().expect_code(6);
    });

    scenario("signals::without_pdeathsig_frigate_outlives_its_parent").run(out, |mode| {
        let frigate = Frigate::new(mode)
            .with_parent()
            .puppet("say ready; report")
            .spawn();
        frigate.wait_line("ready");
        let parent = frigate.middle.expect("a parent");
        crate::support::sys::kill(parent, libc::SIGKILL).expect("the process is alive");
        eventually("the parent's end", || {
            procfs::process(frigate.pid).filter(|process| process.parent != parent)
        });
        frigate.kill(libc::SIGUSR1);
        let line = frigate.wait_line("got ");
        assert!(line.starts_with("got USR1"), "{line}");
    });

    scenario("signals::pdeathsig_is_not_handed_on_to_the_child").run(out, |mode| {
        let frigate = Frigate::new(mode).with_parent().options("--pdeathsig USR1");
        let frigate = frigate.puppet("say ready; report").spawn();
        frigate.wait_line("ready");
        crate::support::sys::kill(frigate.middle.expect("a parent"), libc::SIGKILL)
            .expect("the process is alive");
        // It comes once: from frigate, which forwards it like any other.
        frigate.wait_line("got USR1");
        frigate.kill(libc::SIGUSR2);
        let next = frigate.wait_line("got ");
        assert!(next.starts_with("got USR2"), "{next}");
    });
}

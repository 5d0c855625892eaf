//! What cannot be watched.

use libtest_mimic::Trial;

use super::CHILD;
use crate::support::capability::STRACE;
use crate::support::{Frigate, Mode, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    scenario("watch::a_value_without_a_meaning_is_refused").run(out, |mode| {
        for value in [
            "/x",
            "/x=",
            "/x=NOSUCH",
            "/x=CHLD",
            "=HUP",
            "/x=HUP,USR1",
            "",
        ] {
            let ended = Frigate::new(mode)
                .option(format!("--watch={value}"))
                .puppet("exit 0")
                .run();
            ended.expect_code(125);
            let line = format!(
                "frigate: cannot use '--watch={value}': expected PATH=SIGNAL or PATH=restart"
            );
            assert!(ended.err.starts_with(&line), "{ended:#?}");
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
        }
    });

    scenario("watch::a_directory_that_is_not_there_is_refused").run(out, |mode| {
        let frigate = Frigate::new(mode);
        let file = frigate.file("file", "");
        let missing = frigate.path("missing");
        for (directory, why) in [
            (&missing, "no such file or directory"),
            (&file, "not a directory"),
        ] {
            let ended = Frigate::new(mode)
                .option(format!("--watch={directory}/server.conf=HUP"))
                .puppet("exit 0")
                .run();
            ended.expect_code(125);
            let line = format!(
                "frigate: cannot watch '{directory}/server.conf': its directory '{directory}': {why}\n"
            );
            assert_eq!(ended.err, line);
        }
    });

    scenario("watch::a_path_may_have_an_equals_sign_and_a_variable_one_path_a_line").run(
        out,
        |mode| {
            let frigate = Frigate::new(mode);
            let (one, two) = (frigate.path("a=b,c"), frigate.path("d e"));
            let frigate = frigate
                .env("FRIGATE_INIT_WATCH", format!("{one}=HUP\n{two}=SIGUSR1\n"))
                .puppet(CHILD)
                .spawn();
            frigate.wait_line("ready");
            super::write(&one, "a");
            frigate.wait_line("got HUP");
            super::write(&two, "a");
            frigate.wait_line("got USR1");
            frigate.kill(libc::SIGTERM);
            frigate.wait().expect_code(5).expect_silence();
        },
    );

    for (name, call, error, expected) in [
        (
            "watch::too_many_watches_are_refused_with_the_limit",
            "inotify_add_watch",
            "ENOSPC",
            "/server.conf': no space left on the device; raise the kernel's limit fs.inotify.max_user_watches (sysctl)\n",
        ),
        (
            "watch::too_many_instances_are_refused_with_the_limit",
            "inotify_init1",
            "EMFILE",
            "cannot use '--watch': too many open files; raise the kernel's limit fs.inotify.max_user_instances (sysctl), or that on descriptors\n",
        ),
    ] {
        scenario(name)
            .only(Mode::Subreaper)
            .needs(&[&STRACE])
            .run(out, move |mode| {
                let trace = format!("trace={call}");
                let inject = format!("inject={call}:error={error}");
                let frigate = Frigate::new(mode).strace([trace.as_str(), inject.as_str()]);
                let conf = frigate.path("server.conf");
                let ended = frigate
                    .option(format!("--watch={conf}=HUP"))
                    .puppet("exit 0")
                    .run();
                ended.expect_code(125);
                assert!(ended.err.ends_with(expected), "{ended:#?}");
                assert_eq!(ended.messages().len(), 1, "{ended:#?}");
            });
    }

    scenario("watch::a_way_that_can_no_longer_be_watched_is_reported_once")
        .only(Mode::Subreaper)
        .needs(&[&STRACE])
        .run(out, |mode| {
            let call = "inotify_add_watch";
            let trace = format!("trace={call}");
            let frigate = Frigate::new(mode);
            let conf = frigate.path("server.conf");
            // The path is walked three times before the start, with a call for each component.
            let first = 3 * conf.split('/').skip(1).count() + 1;
            let inject = format!("inject={call}:error=ENOSPC:when={first}+");
            let frigate = frigate.strace([trace.as_str(), inject.as_str()]);
            let frigate = frigate
                .tracing_frigate_alone()
                .option(format!("--watch={conf}=HUP"))
                .puppet(CHILD)
                .spawn();
            frigate.wait_line("ready");
            super::write(&conf, "a");
            let line = frigate.wait_message("cannot watch");
            assert!(
                line.ends_with("; its next change may go unnoticed"),
                "{line}"
            );
            super::write(&conf, "b");
            // Only time can show that it is not reported again.
            std::thread::sleep(std::time::Duration::from_millis(1500));
            frigate.kill(libc::SIGTERM);
            let ended = frigate.wait();
            ended.expect_code(5);
            assert_eq!(ended.messages().len(), 1, "{ended:#?}");
        });
}

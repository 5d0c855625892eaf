//! If frigate's file has a privilege, its caller does not get it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use libtest_mimic::Trial;
use rustix::fs::{XattrFlags, setxattr};
use rustix::thread::CapabilitySet;

use super::{STARTED, expect_mistake};
use crate::support::capability::ROOT;
use crate::support::{Frigate, scenario};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    privileges(out);
}

/// Writes capabilities to a file in the format of `capabilities(7)`, for a program that does not
/// use them itself.
fn give_capabilities(path: &str, permitted: CapabilitySet) {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    let low = u32::try_from(permitted.bits()).expect("one of the first 32");
    let value = [REVISION_2_EFFECTIVE, low, 0, 0, 0]
        .map(u32::to_le_bytes)
        .concat();
    setxattr(path, "security.capability", &value, XattrFlags::empty()).expect("root may do that");
}

/// A function that gives a file a privilege.
type Give<'a> = &'a dyn Fn(&str);

fn privileges(out: &mut Vec<Trial>) {
    scenario("cli::a_file_with_privileges_of_its_own_is_refused")
        .needs(&[&ROOT])
        .run(out, |mode| {
            let owned = |permissions| {
                move |path: &str| {
                    fs::set_permissions(path, Permissions::from_mode(permissions))
                        .expect("the trial owns it");
                }
            };
            let gives: [(&str, Give<'_>); 4] = [
                ("set-user-ID", &owned(0o4755)),
                ("set-group-ID", &owned(0o2755)),
                ("a capability", &|path| {
                    give_capabilities(path, CapabilitySet::CHOWN);
                }),
                ("capabilities", &|path| {
                    give_capabilities(path, CapabilitySet::SETUID | CapabilitySet::SETGID);
                }),
            ];
            for (name, give) in gives {
                for ask in ["--version", "--help", "--no-such-option", "-v"] {
                    let (frigate, path) = Frigate::new(mode).copied();
                    give(&path);
                    let log = frigate.file("log", "kept");
                    let ended = frigate
                        .uid(4711)
                        .env("FRIGATE_INIT_TERMINATION_LOG", &log)
                        .env("FRIGATE_INIT_LOG_FORMAT", "json")
                        .option(ask)
                        .puppet("say started; wait TERM")
                        .spawn();
                    let kept = || fs::read_to_string(&log).expect("the file exists");
                    ended.wait_message("frigate: cannot run: its file has privileges");
                    assert_eq!(kept(), "kept", "{name}");
                    expect_mistake(&ended.wait(), name);
                }
            }
        });

    scenario("cli::a_start_that_gains_nothing_is_no_matter_of_privileges")
        .needs(&[&ROOT])
        .run(out, |mode| {
            // The kernel calls this start a secure one too. A security module may call any start
            // one.
            let (frigate, path) = Frigate::new(mode).copied();
            give_capabilities(&path, CapabilitySet::empty());
            let ended = frigate.uid(4711).puppet(STARTED).run();
            ended.expect_code(0).expect_silence();
            assert_eq!(ended.out, "started\n");
            // Such a file gives root nothing. A process that has capabilities without a file keeps
            // them.
            let (frigate, path) = Frigate::new(mode).copied();
            fs::set_permissions(&path, Permissions::from_mode(0o4755)).expect("the trial owns it");
            frigate
                .puppet(STARTED)
                .run()
                .expect_code(0)
                .expect_silence();
            let frigate = Frigate::new(mode)
                .uid(4711)
                .capabilities(CapabilitySet::CHOWN);
            frigate
                .puppet(STARTED)
                .run()
                .expect_code(0)
                .expect_silence();
        });
}

//! User, root and directory: `doc/specification.md#user-root-and-directory`.

mod lookup;
mod privilege;
mod root;
mod streams;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use libtest_mimic::Trial;

use crate::support::{Ended, Frigate, Mode, own_program, procfs};

/// The users in a root directory. No two of their numbers are equal, so that a mix-up is visible.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
app:x:1001:2001:An application:/home/app:/bin/sh
0day:x:1002:2002::/home/0day:/bin/sh
plain:x:1003:2003:::
";

/// The groups in a root directory. `app` is a part of other names. It is also the name of a group,
/// whose number differs from the user's.
const GROUP: &str = "root:x:0:
app:x:2001:
staff:x:2100:0day,app
audio:x:2101:app,another
others:x:2102:application,ap,my-app
0group:x:2103:
alone:x:2104:
";

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    lookup::trials(out);
    root::trials(out);
    streams::trials(out);
    privilege::trials(out);
}

/// Returns a frigate with a directory `root` that can be a child's root. It has a user database,
/// `/proc`, this program as `/puppet`, and the files that the program needs. Only frigate and its
/// descendants see the mounts.
fn with_root(mode: Mode) -> Frigate {
    let mut frigate = Frigate::new(mode);
    let inside = |name: &str| format!("{}/{name}", frigate.path("root"));
    let mut binds = vec![("/proc".to_owned(), inside("proc"))];
    for directory in ["", "etc", "proc", "data"] {
        fs::create_dir(inside(directory)).expect("the trial owns the directory");
    }
    open_to_all(&inside("data"));
    fs::write(inside("etc/passwd"), PASSWD).expect("the trial owns the directory");
    fs::write(inside("etc/group"), GROUP).expect("the trial owns the directory");
    fs::write(inside("puppet"), "").expect("the trial owns the directory");
    binds.push((
        own_program().to_str().expect("a plain path").to_owned(),
        inside("puppet"),
    ));
    // The loader and the libraries are at the paths that the program names, which may be links.
    for name in ["bin", "lib", "lib64", "usr"] {
        let from = format!("/{name}");
        if let Ok(target) = fs::read_link(&from) {
            symlink(target, inside(name)).expect("the trial owns the directory");
        } else if Path::new(&from).is_dir() {
            fs::create_dir(inside(name)).expect("the trial owns the directory");
            binds.push((from, inside(name)));
        }
    }
    for (from, to) in binds {
        frigate = frigate.bind(&from, &to);
    }
    frigate
}

/// Returns the same frigate with that directory as the child's root.
fn rooted(mode: Mode) -> Frigate {
    let frigate = with_root(mode);
    let root = frigate.path("root");
    frigate.options("--chroot").option(root)
}

/// Returns a frigate that sees the user database above as its own. The child has no other root.
fn with_database(mode: Mode) -> Frigate {
    let frigate = Frigate::new(mode);
    let (passwd, group) = (frigate.file("passwd", PASSWD), frigate.file("group", GROUP));
    frigate
        .bind(&passwd, "/etc/passwd")
        .bind(&group, "/etc/group")
}

fn open_to_all(path: &str) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("the trial owns it");
}

/// Makes a directory in the root, with an owner, a group and permissions.
fn directory_of(frigate: &Frigate, name: &str, uid: u32, gid: u32, permissions: u32) {
    let path = frigate.path(&format!("root/{name}"));
    fs::create_dir(&path).expect("the trial owns the directory");
    fs::set_permissions(&path, Permissions::from_mode(permissions)).expect("the trial owns it");
    chown(&path, Some(uid), Some(gid)).expect("root may change the owner");
}

/// Sets the puppet inside the root as the command.
fn inside(frigate: Frigate, script: &str) -> Frigate {
    frigate.command(["/puppet", "--puppet", script])
}

/// The deeds that print what `identities` reads.
const TELL: &str = "field Uid; field Gid; field Groups";

/// The ids of a user and a group, and the supplementary groups.
type Identity = (u32, u32, Vec<u32>);

fn numbers(line: &str) -> Vec<u32> {
    line.split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect()
}

/// Returns one of four equal numbers: the real, the effective, the saved and the file system's.
#[track_caller]
fn all_alike(line: &str) -> u32 {
    let all = numbers(line);
    assert_eq!(all, vec![all[0]; 4], "{line}");
    all[0]
}

/// Returns the identities that the children printed, in their order.
#[track_caller]
fn identities(ended: &Ended) -> Vec<Identity> {
    let lines = |name: &'static str| {
        ended
            .out
            .lines()
            .filter_map(move |line| line.strip_prefix(name))
    };
    let (users, groups, supplementary) = (lines("Uid:"), lines("Gid:"), lines("Groups:"));
    let each = users.zip(groups).zip(supplementary);
    each.map(|((user, group), all)| (all_alike(user), all_alike(group), numbers(all)))
        .collect()
}

/// Reads the identity of a process from outside.
#[track_caller]
fn identity_of(pid: i32) -> Identity {
    let field = |name| procfs::status_field(pid, name).expect("a live process");
    (
        all_alike(&field("Uid")),
        all_alike(&field("Gid")),
        numbers(&field("Groups")),
    )
}

/// Returns this process's own identity. A frigate that does not start as another user has the same.
fn own_identity() -> Identity {
    identity_of(nix::unistd::getpid().as_raw())
}

/// Checks the refusal: exit code 125, one line that contains all these parts, and no output of the
/// child.
#[track_caller]
fn expect_refusal(ended: &Ended, parts: &[&str]) {
    ended.expect_code(125);
    assert_eq!(ended.out, "", "it was started: {ended:#?}");
    let messages = ended.messages();
    assert_eq!(messages.len(), 1, "{ended:#?}");
    assert!(messages[0].starts_with("frigate: cannot "), "{ended:#?}");
    for part in parts {
        assert!(messages[0].contains(part), "no {part:?}: {ended:#?}");
    }
}

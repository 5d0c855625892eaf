//! The launcher: starts one program under exactly the conditions that a scenario asks for, and
//! reports how it ended.
//!
//! `--launch SOCKET MODE [WORD...] -- PROGRAM [ARG...]`. It runs between the harness and the
//! program, because what it arranges (namespaces, signal mask and dispositions, closed descriptors,
//! a controlling terminal) must not be done to the harness, which is one process with many threads.
//! It reports to the harness over the socket, in lines of one fact:
//!
//! ```text
//! pid 4711            the program's pid, as the harness sees it
//! middle 4710         the pid of the parent that `middle` puts above the program
//! failed WHY          the launcher could not make these conditions
//! end 256             the program's raw wait status
//! left S puppet       a process that the program left behind: its state and its name
//! done                none of the program's processes is left
//! ```
//!
//! When the harness closes the socket, the launcher kills all processes that it started. So a trial
//! that fails leaves nothing behind.

mod keeper;
mod plan;
mod program;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{getegid, geteuid};

use super::sys::{self, Disposition, Wait};
use keeper::keep;
use plan::{Place, Plan};

/// Runs the launcher. The words are those after `--launch`.
pub fn run(mut words: impl Iterator<Item = OsString>) -> i32 {
    sys::close_from(3);
    // The launcher must survive every signal that the program or the terminal sends: it ends only
    // with the socket.
    sys::replace_mask(sys::ALL);
    sys::set_disposition(libc::SIGCHLD, Disposition::Default).expect("SIGCHLD can be reset");
    sys::set_disposition(libc::SIGPIPE, Disposition::Ignore).expect("SIGPIPE can be ignored");
    let socket = UnixStream::connect(words.next().expect("a socket")).expect("the harness listens");
    let plan = Plan::parse(words);
    match start(&plan, &socket) {
        Ok(()) => 0,
        Err(error) => {
            say(&socket, &format!("failed {error}"));
            1
        }
    }
}

fn say(mut socket: &UnixStream, line: &str) {
    // If the harness is gone, poll reports it; an error here does not matter.
    let _gone = socket.write_all(format!("{line}\n").as_bytes());
}

fn start(plan: &Plan, socket: &UnixStream) -> io::Result<()> {
    // This is the harness's own view of processes: a link `self` that is read through it names pids
    // as the harness sees them, whatever namespace the reader is in.
    let outside = File::open("/proc")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    match plan.place {
        Place::First => {
            enter_user_namespace_if_needed()?;
            prctl::set_child_subreaper(true)?;
            keep(plan, socket, &outside)
        }
        Place::Contained => {
            enter_user_namespace_if_needed()?;
            let Some(first) = sys::fork_into_pid_namespace()? else {
                let result = mount_own_proc().and_then(|()| keep(plan, socket, &outside));
                if let Err(error) = result {
                    say(socket, &format!("failed {error}"));
                }
                sys::exit_now(0);
            };
            sys::reap(first, Wait::Blocking);
            Ok(())
        }
        Place::Bare => {
            prctl::set_child_subreaper(true)?;
            keep(plan, socket, &outside)
        }
    }
}

/// Enters a user namespace if the launcher lacks the capability that a PID namespace needs. As root
/// of the user namespace it has the capability.
fn enter_user_namespace_if_needed() -> io::Result<()> {
    // Let a child try this that ends at once: it shows whether a namespace can be made, and leaves
    // none behind.
    let Some(probe) = sys::fork()? else {
        sys::exit_now(i32::from(
            unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS).is_err(),
        ));
    };
    if sys::reap(probe, Wait::Blocking).is_some_and(|(_, status)| status == 0) {
        return Ok(());
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

fn mount_own_proc() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
    Ok(())
}

/// The gate at which the program's process waits for a tracer. The process reports that it is
/// waiting, and goes on when the gate is opened.
struct Gate {
    reached: io::PipeWriter,
    opened: io::PipeReader,
}

impl Gate {
    fn pass(self) -> io::Result<()> {
        drop(self.reached);
        let mut opened = self.opened;
        opened.read_to_end(&mut Vec::new()).map(drop)
    }
}

fn announce(what: &str, socket: &UnixStream, outside: &File) {
    let own = nix::fcntl::readlinkat(outside, "self").expect("/proc has a link to its reader");
    say(socket, &format!("{what} {}", own.display()));
}

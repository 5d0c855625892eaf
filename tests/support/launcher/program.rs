//! The program's own process, up to the exec.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chdir, execve, setgid, setgroups, setsid, setuid};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::thread;

use super::plan::{Place, Plan};
use super::{Gate, announce, mount_own_proc, say};
use crate::support::cgroup::{self, View};
use crate::support::sys::{self, Disposition};

/// Takes the last steps before the program runs. The mask comes last, because it lets signals in.
pub(super) fn become_the_program(
    plan: &Plan,
    socket: &UnixStream,
    outside: &File,
    gate: Gate,
) -> ! {
    let error = match prepare(plan, socket, outside, gate) {
        Ok((program, arguments, environment)) => {
            for signal in 1..=64 {
                let ignored = plan.ignored & sys::bit(signal) != 0;
                let disposition = if ignored {
                    Disposition::Ignore
                } else {
                    Disposition::Default
                };
                // The kernel refuses KILL and STOP, which have their default anyway.
                let _refused = sys::set_disposition(signal, disposition);
            }
            sys::replace_mask(plan.mask);
            match execve(&program, &arguments, &environment) {
                Ok(never) => match never {},
                Err(error) => io::Error::other(format!("exec {program:?}: {error}")),
            }
        }
        Err(error) => error,
    };
    say(socket, &format!("failed {error}"));
    sys::exit_now(99);
}

/// Mounts the view of cgroups that the program gets, in a mount namespace of its own.
fn show_cgroups(view: View) -> nix::Result<()> {
    let none = None::<&str>;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let own = match view {
        View::Host => return Ok(()),
        View::HostReadOnly => {
            let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
            return mount(none, cgroup::ROOT, none, again | flags, none);
        }
        View::Private => flags,
        View::PrivateReadOnly => flags | MsFlags::MS_RDONLY,
        View::Nothing | View::VersionOne => {
            umount2(cgroup::ROOT, MntFlags::MNT_DETACH)?;
            if view == View::VersionOne {
                mount(Some("tmpfs"), cgroup::ROOT, Some("tmpfs"), flags, none)?;
                for controller in ["cpu", "memory", "pids"] {
                    nix::unistd::mkdir(&Path::new(cgroup::ROOT).join(controller), Mode::S_IRWXU)?;
                }
            }
            return Ok(());
        }
    };
    unshare(CloneFlags::CLONE_NEWCGROUP)?;
    // The kernel refuses to mount the same file system twice on one mount point.
    umount2(cgroup::ROOT, MntFlags::MNT_DETACH)?;
    mount(Some("cgroup"), cgroup::ROOT, Some("cgroup2"), own, none)
}

/// Makes the plan's capabilities inheritable and ambient. A user other than root has no others.
fn give_capabilities(plan: &Plan) -> io::Result<()> {
    let wanted = plan.capabilities;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut sets = thread::capabilities(None)?;
    sets.inheritable = wanted;
    if plan.uid.is_some() {
        (sets.permitted, sets.effective) = (wanted, wanted);
    }
    thread::set_capabilities(None, sets)?;
    for capability in wanted.iter() {
        thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

type Image = (CString, Vec<CString>, Vec<CString>);

fn prepare(plan: &Plan, socket: &UnixStream, outside: &File, gate: Gate) -> io::Result<Image> {
    let step =
        |what: &'static str| move |error: nix::Error| io::Error::other(format!("{what}: {error}"));
    setsid().map_err(step("setsid"))?;
    if let Some(group) = &plan.cgroup {
        // Write 0, which stands for the writing process. Do so before a namespace hides the group.
        fs::write(group.join("cgroup.procs"), "0")?;
    }
    if plan.place == Place::First {
        mount_own_proc()?;
    }
    announce("pid", socket, outside);
    if plan.strace.is_some() {
        sys::allow_tracing();
    }
    if let Some(path) = &plan.terminal {
        let terminal = OpenOptions::new().read(true).write(true).open(path)?;
        sys::take_terminal(terminal.as_raw_fd())?;
        for fd in 0..3 {
            sys::duplicate(terminal.as_raw_fd(), fd)?;
        }
    }
    if let Some(limit) = plan.max_files {
        setrlimit(Resource::RLIMIT_NOFILE, limit, limit).map_err(step("setrlimit"))?;
    }
    // Only the first place has a mount namespace of its own that it does not share with its keeper.
    let mounts =
        plan.read_only || plan.disk.is_some() || !plan.binds.is_empty() || plan.view != View::Host;
    if plan.place != Place::First && mounts {
        unshare(CloneFlags::CLONE_NEWNS).map_err(step("unshare"))?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(step("mount"))?;
    }
    for (from, to) in &plan.binds {
        let none = None::<&str>;
        mount(
            Some(from),
            to,
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        )
        .map_err(step("bind"))?;
    }
    show_cgroups(plan.view).map_err(step("the view of cgroups"))?;
    if let Some((size, at)) = &plan.disk {
        let options = format!("size={size}");
        mount(
            Some("disk"),
            at,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .map_err(step("tmpfs"))?;
    }
    if plan.read_only {
        sys::make_mounts_read_only()?;
    }
    if let Some(directory) = &plan.directory {
        chdir(directory).map_err(step("chdir"))?;
    }
    if plan.uid.is_some() || plan.groups.is_some() {
        setgroups(plan.groups.as_deref().unwrap_or_default()).map_err(step("setgroups"))?;
    }
    if let Some(name) = &plan.key {
        sys::make_key(name)?;
    }
    thread::set_capabilities_secure_bits(plan.secure_bits)?;
    if let Some(uid) = plan.uid {
        thread::set_keep_capabilities(!plan.capabilities.is_empty())?;
        setgid(Gid::from_raw(uid)).map_err(step("setgid"))?;
        setuid(Uid::from_raw(uid)).map_err(step("setuid"))?;
    }
    give_capabilities(plan)?;
    if let Some(limit) = plan.max_processes {
        setrlimit(Resource::RLIMIT_NPROC, limit, limit).map_err(step("setrlimit"))?;
    }
    let c_string = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
    let program = c_string(&plan.program[0])?;
    let arguments = plan
        .program
        .iter()
        .map(|word| c_string(word))
        .collect::<io::Result<Vec<_>>>()?;
    // A tracer attaches here, so that it sees nothing but the program.
    gate.pass()?;
    // Do this last, because these numbers may be those of the launcher's own descriptors.
    for (fd, path) in &plan.open {
        let file = OpenOptions::new().read(true).open(path)?;
        let out_of_the_way = fcntl_dupfd_cloexec(&file, 200)?;
        drop(file);
        sys::duplicate(out_of_the_way.as_raw_fd(), *fd)?;
    }
    for fd in &plan.close {
        sys::close(*fd);
    }
    if let Some(limit) = plan.max_data {
        setrlimit(Resource::RLIMIT_DATA, limit, limit).map_err(step("setrlimit"))?;
    }
    let environment = std::env::vars_os().map(|(mut name, mut value)| {
        if plan.own_pid_in.as_deref().is_some_and(|own| name == own) {
            value = nix::unistd::getpid().to_string().into();
        }
        name.push("=");
        name.push(value);
        c_string(&name)
    });
    Ok((
        program,
        arguments,
        environment.collect::<io::Result<Vec<_>>>()?,
    ))
}

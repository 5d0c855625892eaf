//! The launcher: starts one program under exactly the conditions that a scenario asks for, and
//! tells how it ended.
//!
//! `--launch SOCKET MODE [WORD...] -- PROGRAM [ARG...]`. It runs between the harness and the
//! program, because what it arranges (namespaces, signal mask and dispositions, closed descriptors,
//! a controlling terminal) must not be done to the harness, which is one process with many threads.
//! It talks to the harness over the socket, one fact a line:
//!
//! ```text
//! pid 4711            the program's pid, as the harness sees it
//! middle 4710         the pid of the parent that `middle` puts above the program
//! failed WHY          the launcher could not do what it was told
//! end 256             the program's raw wait status
//! left S puppet       a process that the program left behind: its state and its name
//! done                nothing of the program's is left
//! ```
//!
//! When the harness closes the socket, all that was started is killed: a trial that fails leaves
//! nothing behind.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chdir, execve, getegid, geteuid, setgid, setgroups, setsid, setuid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{self, CapabilitiesSecureBits, CapabilitySet};

use super::cgroup::{self, View};
use super::sys::{self, Disposition, Wait};

/// How the program stands to the process tree around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// PID 1 of a fresh PID namespace.
    First,
    /// Below PID 1 of a fresh PID namespace, so that a stray `kill(-1)` cannot leave it.
    Contained,
    /// In the namespace of the harness.
    Bare,
}

/// What the scenario asked for, word by word.
struct Plan {
    place: Place,
    mask: u64,
    ignored: u64,
    close: Vec<i32>,
    open: Vec<(i32, PathBuf)>,
    terminal: Option<PathBuf>,
    groups: Option<Vec<Gid>>,
    uid: Option<u32>,
    capabilities: CapabilitySet,
    secure_bits: CapabilitiesSecureBits,
    key: Option<CString>,
    max_processes: Option<u64>,
    max_files: Option<u64>,
    max_data: Option<u64>,
    directory: Option<PathBuf>,
    binds: Vec<(PathBuf, PathBuf)>,
    /// Where a file system of its own is to be, and how large.
    disk: Option<(String, PathBuf)>,
    read_only: bool,
    cgroup: Option<PathBuf>,
    view: View,
    middle: bool,
    own_pid_in: Option<String>,
    strace: Option<(PathBuf, Vec<String>)>,
    strace_alone: bool,
    program: Vec<OsString>,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = OsString>) -> Self {
        let place = match words.next().as_deref().and_then(OsStr::to_str) {
            Some("pid1") => Place::First,
            Some("contained") => Place::Contained,
            Some("bare") => Place::Bare,
            other => panic!("no such place: {other:?}"),
        };
        let mut plan = Self {
            place,
            mask: 0,
            ignored: 0,
            close: Vec::new(),
            open: Vec::new(),
            terminal: None,
            groups: None,
            uid: None,
            capabilities: CapabilitySet::empty(),
            secure_bits: CapabilitiesSecureBits::empty(),
            key: None,
            max_processes: None,
            max_files: None,
            max_data: None,
            directory: None,
            binds: Vec::new(),
            disk: None,
            read_only: false,
            cgroup: None,
            view: View::Host,
            middle: false,
            own_pid_in: None,
            strace: None,
            strace_alone: false,
            program: Vec::new(),
        };
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            plan.take(&word);
        }
        plan.program = words.collect();
        assert!(!plan.program.is_empty(), "no program to launch");
        plan
    }

    fn take(&mut self, word: &OsStr) {
        let bytes = word.as_bytes();
        let at = bytes
            .iter()
            .position(|&byte| byte == b'=')
            .unwrap_or(bytes.len());
        let (name, value) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
        let path = || PathBuf::from(OsStr::from_bytes(value));
        let text = || str::from_utf8(value).expect("a word of the plan is text");
        let number = || text().parse::<u64>().expect("a number");
        match name {
            b"mask" => self.mask = number(),
            b"ignored" => self.ignored = number(),
            b"close" => self.close.push(text().parse().expect("a descriptor")),
            b"open" => {
                let (fd, path) = text().split_once(':').expect("FD:PATH");
                self.open
                    .push((fd.parse().expect("a descriptor"), path.into()));
            }
            b"terminal" => self.terminal = Some(path()),
            b"groups" => {
                let number = |word: &str| Gid::from_raw(word.parse().expect("a gid"));
                self.groups = Some(text().split(',').map(number).collect());
            }
            b"uid" => self.uid = Some(text().parse().expect("a uid")),
            b"capabilities" => self.capabilities = CapabilitySet::from_bits_retain(number()),
            b"secure-bits" => {
                let bits = number().try_into().expect("a small number");
                self.secure_bits = CapabilitiesSecureBits::from_bits_retain(bits);
            }
            b"key" => self.key = Some(CString::new(value).expect("no null byte")),
            b"max-processes" => self.max_processes = Some(number()),
            b"max-data" => self.max_data = Some(number()),
            b"max-files" => self.max_files = Some(number()),
            b"directory" => self.directory = Some(path()),
            b"bind" => {
                let (from, to) = text().split_once(':').expect("FROM:TO");
                self.binds.push((from.into(), to.into()));
            }
            b"disk" => {
                let (size, at) = text().split_once(':').expect("SIZE:DIRECTORY");
                self.disk = Some((size.into(), at.into()));
            }
            b"read-only" => self.read_only = true,
            b"cgroup" => self.cgroup = Some(path()),
            b"cgroup-view" => self.view = View::named(text()),
            b"middle" => self.middle = true,
            b"own-pid-in" => self.own_pid_in = Some(text().into()),
            b"strace-alone" => self.strace_alone = true,
            b"strace-log" => self.strace = Some((path(), Vec::new())),
            b"strace" => self
                .strace
                .as_mut()
                .expect("strace-log comes first")
                .1
                .push(text().into()),
            _ => panic!("no such word in a plan: {}", word.display()),
        }
    }
}

/// Runs the launcher; the words are those after `--launch`.
pub fn run(mut words: impl Iterator<Item = OsString>) -> i32 {
    sys::close_from(3);
    // The launcher outlives whatever the program, or the terminal, sends around: it ends by the
    // socket alone.
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
    // A harness that has gone away is noticed by poll, not here.
    let _gone = socket.write_all(format!("{line}\n").as_bytes());
}

fn start(plan: &Plan, socket: &UnixStream) -> io::Result<()> {
    // The harness's own view of processes: a link `self` that is read through it names pids as the
    // harness sees them, whatever namespace the reader is in.
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

/// A PID namespace needs a capability; who lacks it gets it from a user namespace, as root of
/// nothing but that.
fn enter_user_namespace_if_needed() -> io::Result<()> {
    // A namespace that is entered by a child that ends at once tells whether one may be had, and
    // costs nothing.
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

/// The gate at which the program's process waits for a tracer: it tells that it is there, and goes
/// on when it is opened.
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

/// Starts the program, waits for its end, reports what it left behind, and leaves nothing.
fn keep(plan: &Plan, socket: &UnixStream, outside: &File) -> io::Result<()> {
    let (opened, open) = io::pipe()?;
    let (mut arrival, reached) = io::pipe()?;
    let gate = Gate { reached, opened };
    let (mut reports, report) = io::pipe()?;
    let child = if plan.middle {
        let Some(middle) = sys::fork()? else {
            drop(open);
            stand_in_the_middle(plan, socket, outside, report, gate);
        };
        drop(report);
        let mut target = [0; 4];
        reports.read_exact(&mut target)?;
        Child {
            pid: i32::from_ne_bytes(target),
            parent: Some((middle, reports)),
        }
    } else {
        drop(report);
        let Some(pid) = fork_the_program(plan)? else {
            drop(open);
            become_the_program(plan, socket, outside, gate);
        };
        Child { pid, parent: None }
    };
    drop(gate);
    arrival.read_to_end(&mut Vec::new())?;
    let tracer = match &plan.strace {
        Some((log, expressions)) => match attach(child.pid, log, expressions, plan.strace_alone) {
            Ok(tracer) => Some(tracer),
            Err(error) => {
                clear_up(None);
                return Err(error);
            }
        },
        None => None,
    };
    // Who waits at the gate reads its end.
    drop(open);
    let ended = child.wait(socket);
    if let Some(status) = ended {
        say(socket, &format!("end {status}"));
        for (pid, state, name) in children() {
            if Some(pid) != tracer {
                say(socket, &format!("left {state} {name}"));
            }
        }
    }
    clear_up(tracer);
    say(socket, "done");
    Ok(())
}

/// The program's process, as its keeper sees it.
struct Child {
    pid: i32,
    /// The parent in the middle, if there is one, and the pipe over which it tells the child's
    /// status.
    parent: Option<(i32, io::PipeReader)>,
}

impl Child {
    /// Waits until the child has ended and returns its raw status; `None` if the harness went away
    /// before.
    fn wait(self, socket: &UnixStream) -> Option<i32> {
        let pid = Pid::from_raw(self.pid).expect("a child's pid is positive");
        let exit: OwnedFd =
            pidfd_open(pid, PidfdFlags::empty()).expect("a child that is not reaped can be opened");
        loop {
            let mut both = [
                PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(exit.as_fd(), PollFlags::IN),
            ];
            if poll(&mut both, None).is_err() {
                continue;
            }
            if !both[1].revents().is_empty() {
                break;
            }
            if !both[0].revents().is_empty() {
                return None;
            }
        }
        if let Some((middle, mut reports)) = self.parent {
            let mut status = [0; 4];
            let told = reports.read_exact(&mut status).is_ok();
            sys::reap(middle, Wait::Blocking);
            if told {
                return Some(i32::from_ne_bytes(status));
            }
        }
        sys::reap(self.pid, Wait::Blocking).map(|(_, status)| status)
    }
}

fn stand_in_the_middle(
    plan: &Plan,
    socket: &UnixStream,
    outside: &File,
    mut report: io::PipeWriter,
    gate: Gate,
) -> ! {
    announce("middle", socket, outside);
    let Some(pid) = fork_the_program(plan).expect("fork") else {
        drop(report);
        become_the_program(plan, socket, outside, gate);
    };
    drop(gate);
    report
        .write_all(&pid.to_ne_bytes())
        .expect("the keeper reads");
    if let Some((_, status)) = sys::reap(pid, Wait::Blocking) {
        report
            .write_all(&status.to_ne_bytes())
            .expect("the keeper reads");
    }
    sys::exit_now(0);
}

fn fork_the_program(plan: &Plan) -> io::Result<Option<i32>> {
    if plan.place == Place::First {
        sys::fork_into_pid_namespace()
    } else {
        sys::fork()
    }
}

fn announce(what: &str, socket: &UnixStream, outside: &File) {
    let own = nix::fcntl::readlinkat(outside, "self").expect("/proc has a link to its reader");
    say(socket, &format!("{what} {}", own.display()));
}

/// Attaches strace to a process that waits at the gate, so that every call from its exec on is
/// seen.
fn attach(pid: i32, log: &Path, expressions: &[String], alone: bool) -> io::Result<i32> {
    let mut command = Command::new("strace");
    command
        .args((!alone).then_some("-f"))
        .arg("-qq")
        .arg("-o")
        .arg(log);
    for expression in expressions {
        command.arg("-e").arg(expression);
    }
    // Apart from what frigate says: under load strace remarks on events that it sees in another
    // order than it expects.
    let remarks = fs::File::create(log.with_extension("remarks"))?;
    let mut tracer = command
        .arg("-p")
        .arg(pid.to_string())
        .stderr(remarks)
        .spawn()?;
    let until = Instant::now() + Duration::from_secs(20);
    while status_field(pid, "TracerPid:").is_none_or(|tracer| tracer == "0") {
        if tracer.try_wait()?.is_some() || Instant::now() > until {
            return Err(io::Error::other("strace did not attach"));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(tracer.id().cast_signed())
}

fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .map(|value| value.trim().to_owned())
}

/// The keeper's children with their states and names.
fn children() -> Vec<(i32, String, String)> {
    let own = nix::unistd::getpid();
    let list = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let described = list
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .map(|pid: i32| {
            let state = status_field(pid, "State:").unwrap_or_default();
            let name = status_field(pid, "Name:").unwrap_or_default();
            (pid, state.chars().next().unwrap_or('?').to_string(), name)
        });
    described.collect()
}

/// Kills and reaps every descendant: the children of a killed one become the keeper's, who reaps
/// all their orphans.
fn clear_up(tracer: Option<i32>) {
    let until = Instant::now() + Duration::from_secs(10);
    // The tracer ends by itself once nothing is left to trace; killed earlier, it would let its
    // tracees run on.
    while Instant::now() < until {
        while sys::reap(-1, Wait::Polling).is_some() {}
        let left = children();
        if left.is_empty() {
            return;
        }
        for (pid, ..) in left {
            if Some(pid) != tracer {
                let _gone = sys::kill(pid, libc::SIGKILL);
            }
        }
        sleep(Duration::from_millis(1));
    }
    if let Some(pid) = tracer {
        let _gone = sys::kill(pid, libc::SIGKILL);
    }
}

/// The last steps before the program runs. The mask comes last, as it lets signals in.
fn become_the_program(plan: &Plan, socket: &UnixStream, outside: &File, gate: Gate) -> ! {
    let error = match prepare(plan, socket, outside, gate) {
        Ok((program, arguments, environment)) => {
            for signal in 1..=64 {
                let ignored = plan.ignored & sys::bit(signal) != 0;
                let disposition = if ignored {
                    Disposition::Ignore
                } else {
                    Disposition::Default
                };
                // KILL and STOP are refused, and need nothing.
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

/// Mounts what the program shall see of cgroups, in a mount namespace of its own.
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
    // The same file system twice on one mount point is refused.
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
        // The one who writes; before any namespace hides the group.
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
    // Other places than the first have no mount namespace of their own, or share it with their
    // keeper.
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
    // Here a tracer attaches, which so sees nothing but the program.
    gate.pass()?;
    // Last, since these numbers may be those of the launcher's own descriptors.
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

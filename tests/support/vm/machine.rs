//! One run of a virtual machine: a kernel, a file system, its output on the console, and facts on a
//! second line.
//!
//! The engine is QEMU's emulator, which needs no privilege and no KVM. `FRIGATE_TEST_VM=uml`
//! selects User Mode Linux, which is faster, but has no cpuset controller and no pressure figures.
//! The console is the engine's standard output, and the second line its standard error. There a
//! fact is a JSON array of strings, and anything else is a complaint of the engine itself.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::super::{own_program, sys};
use super::{Engine, kernel};

/// What comes out of a running machine.
pub enum Event {
    /// A line of the console.
    Line(String),
    /// A fact that the guest sent on the second line. Its first word says what it is about.
    Fact(Vec<String>),
}

/// How a run ended.
pub struct End {
    /// The whole console, without what the kernel printed after the end of PID 1.
    pub console: String,
    /// The raw wait status of PID 1, if the kernel printed it.
    pub status: Option<i32>,
    /// What the engine itself printed.
    pub complaints: String,
    /// Whether the time was over before the machine's end.
    pub late: bool,
}

impl End {
    /// Returns the last lines of the console and all complaints of the engine.
    pub fn tail(&self) -> String {
        let lines: Vec<_> = self.console.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        format!(
            "{}--- the end of the guest's console:\n{last}",
            self.complaints
        )
    }
}

/// How long a boot may take. A guest is up within 3 s. An emulated kernel hangs once in some
/// hundred boots. If a guest has sent nothing by then, it is booted again, because it has proved
/// nothing. Once it is up, nothing is tried again.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const BOOTS: usize = 3;

/// How long an engine whose guest has panicked may take to end by itself. User Mode Linux leaves
/// processes that hold its console open.
const AFTER_THE_END: Duration = Duration::from_millis(500);

/// What the kernel prints when PID 1 ends, followed by its exit status as `wait` would return it.
const END_OF_INIT: &str = "Attempted to kill init! exitcode=0x";

/// Boots this file system and runs it to its end. Calls `each` for everything that comes out. The
/// limit counts from the boot that comes up.
pub fn run(
    archives: &[&[u8]],
    limit: Duration,
    mut each: impl FnMut(&Event),
) -> Result<End, String> {
    // Use a file without a name, which the engine opens through this process: nothing of it is
    // left, however this process ends.
    let mut image = tempfile::tempfile().map_err(|error| error.to_string())?;
    for archive in archives {
        image
            .write_all(archive)
            .map_err(|error| format!("cannot write the guest's file system: {error}"))?;
    }
    let path = format!("/proc/{}/fd/{}", std::process::id(), image.as_raw_fd());
    let mut last = String::new();
    for _ in 0..BOOTS {
        match boot(&path, limit, &mut each)? {
            Ok(end) => return Ok(end),
            Err(tail) => last = tail,
        }
    }
    Err(format!("the guest did not come up, {BOOTS} times\n{last}"))
}

/// The engine's process. It is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if Engine::chosen() == Engine::Uml {
            // The engine's kernel leads a session of its own. Processes of the guest may be left in
            // it, stopped.
            let _gone = sys::kill(-self.0.id().cast_signed(), libc::SIGKILL);
        }
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn start(image: &str) -> Result<Running, String> {
    let mut command = Command::new(own_program());
    command
        .arg("--tether")
        .arg(std::process::id().to_string())
        .args(words(image)?);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if Engine::chosen() == Engine::Uml {
        // The engine keeps the guest's memory in this directory.
        command.env("TMPDIR", "/dev/shm");
    }
    command
        .spawn()
        .map(Running)
        .map_err(|error| format!("cannot start the virtual machine: {error}"))
}

/// Boots once. The inner `Err` is the console of a guest that has not come up in time.
fn boot(
    image: &str,
    limit: Duration,
    each: &mut impl FnMut(&Event),
) -> Result<Result<End, String>, String> {
    let mut engine = start(image)?;
    let (sender, events) = channel();
    let out = engine.0.stdout.take().expect("it is a pipe");
    let err = engine.0.stderr.take().expect("it is a pipe");
    let facts = sender.clone();
    std::thread::spawn(move || read_lines(out, &sender, Event::Line));
    std::thread::spawn(move || {
        read_lines(err, &facts, |line| match serde_json::from_str(&line) {
            Ok(words) => Event::Fact(words),
            Err(_) => Event::Fact(vec![COMPLAINT.to_owned(), line]),
        });
    });

    let started = Instant::now();
    let mut up = false;
    let mut over: Option<Instant> = None;
    let mut end = End {
        console: String::new(),
        status: None,
        complaints: String::new(),
        late: false,
    };
    loop {
        let until = over.unwrap_or(started + if up { limit } else { BOOT_LIMIT });
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Line(line)) => {
                if let Some((_, code)) = line.split_once(END_OF_INIT) {
                    let code = code
                        .split(|c: char| !c.is_ascii_hexdigit())
                        .next()
                        .unwrap_or_default();
                    end.status = i32::from_str_radix(code, 16).ok();
                    over = Some(Instant::now() + AFTER_THE_END);
                } else if end.status.is_none() {
                    end.console.push_str(&line);
                    end.console.push('\n');
                    each(&Event::Line(line));
                }
            }
            Ok(Event::Fact(words)) => match words.as_slice() {
                [complaint, line] if complaint == COMPLAINT => {
                    end.complaints.push_str(line);
                    end.complaints.push('\n');
                }
                _ => {
                    up |= words.first().is_some_and(|word| word == "up");
                    each(&Event::Fact(words));
                }
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if over.is_some() => break,
            Err(RecvTimeoutError::Timeout) if up => {
                end.late = true;
                break;
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Err(end.tail())),
        }
    }
    if up || end.status.is_some() {
        return Ok(Ok(end));
    }
    // The engine ended by itself and early, and the next boot would end the same way.
    Err(format!(
        "the virtual machine ended before the guest was up\n{}",
        end.tail()
    ))
}

const COMPLAINT: &str = "complaint";

fn read_lines(stream: impl Read, to: &Sender<Event>, event: impl Fn(String) -> Event) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream
        .read_until(b'\n', &mut line)
        .is_ok_and(|count| count > 0)
    {
        let text = String::from_utf8_lossy(&line);
        if to
            .send(event(text.trim_end_matches(['\r', '\n']).to_owned()))
            .is_err()
        {
            return;
        }
        line.clear();
    }
}

/// Returns the engine's command line.
fn words(image: &str) -> Result<Vec<OsString>, String> {
    // Print little, and make the panic that ends every guest end the machine as well.
    let common = "rdinit=/init panic=-1 quiet loglevel=1";
    let mut words: Vec<OsString> = Vec::new();
    let mut add = |text: &str| words.extend(text.split_whitespace().map(OsString::from));
    match Engine::chosen() {
        Engine::Qemu => {
            // Do not use the microvm machine: it has no second clock, and a kernel that cannot tell
            // the speed of its first one hangs. Use one processor: with two, an emulated boot hangs
            // more often.
            add(
                "qemu-system-x86_64 -accel tcg -M q35,sata=off,usb=off,smbus=off,vmport=off -cpu max -m 1024 -smp 1",
            );
            add("-nodefaults -no-user-config -display none -monitor none -no-reboot");
            add("-serial stdio -serial file:/dev/stderr -kernel");
            words.extend([
                kernel()?.into(),
                "-initrd".into(),
                image.into(),
                "-append".into(),
            ]);
            // Leave out what only delays a boot: mitigations, self tests, security modules.
            words.push(
                format!(
                    "console=ttyS0 {common} mitigations=off nokaslr lsm= audit=0 no_timer_check cryptomgr.notests \
                     rcupdate.rcu_expedited=1"
                )
                .into(),
            );
        }
        Engine::Uml => {
            add("linux.uml mem=1024M con=null con0=null,fd:1 ssl=null ssl0=null,fd:2 noreboot");
            add(common);
            words.push(format!("initrd={image}").into());
        }
    }
    Ok(words)
}

/// Runs `--tether PID PROGRAM [ARG...]`: becomes the program. The program is killed when the thread
/// that started it ends, for whatever reason. That thread belongs to the process PID.
pub fn tether(mut words: impl Iterator<Item = OsString>) -> i32 {
    let parent = words.next().expect("a pid");
    prctl::set_pdeathsig(Signal::SIGKILL).expect("it may wish so");
    // A core of a guest that has ended by a panic is of no use, and as large as its memory.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).expect("less is allowed");
    // If the parent has already ended, the parent-death signal comes too late.
    if nix::unistd::getppid().to_string() != parent.to_string_lossy() {
        return 1;
    }
    let program = words.next().expect("a program");
    let error = Command::new(&program).args(words).exec();
    panic!("cannot run {}: {error}", program.display());
}

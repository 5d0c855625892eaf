//! The puppet: a child program that does what a scenario's script says, and says what happens to
//! it.
//!
//! `--puppet SCRIPT [ARG...]`, or `--puppet @FILE` for a script in a file. A script is a list of
//! deeds with `;` between them; a deed that starts another process takes that one's script in
//! braces. The puppet blocks every signal before its first deed and takes them one by one, so it
//! reports exactly what was sent to it, and dies of nothing but KILL, unless the script says
//! `plain`.
//!
//! ```text
//! say TEXT            prints a line ($pid, $ppid, $attempt and $clock are replaced)
//! error TEXT          the same on standard error
//! to FILE             prints to this file from now on
//! pour FROM TO        writes that stretch of the noise to standard output
//! report              prints each signal as it comes, for ever: got TERM code 0 from 1 value 0
//! wait SIGNAL         the same until this one has come
//! exit CODE           die SIGNAL          stop (itself, by SIGSTOP)
//! nap MILLISECONDS    pause (for ever, whatever signal comes)
//! plain               gives back the mask and dispositions that it was started with
//! open SIGNAL         (default disposition, not blocked)
//! send WHOM SIGNAL    WHOM: parent, group, all, or a pid
//! session             group (a session, a process group of its own)
//! leave {SCRIPT}      starts a process that leads a group of its own, and moves into that group
//! fork {SCRIPT}       orphan {SCRIPT} (its parent ends at once)
//! orphans COUNT       makes so many children of one process, all ended and none reaped, and ends that process
//! reap                waits for all its children
//! attempt FILE        counts its own starts in this file; on N {SCRIPT} and after N {SCRIPT} depend on the count
//! repeat N {SCRIPT}
//! lock FILE           prints locked, or busy where another process holds the lock
//! touch FILE          await FILE (until it exists)    missing FILE (says so if it does not exist)
//! flags               says whether standard error is blocking
//! input               prints the lines of its standard input until it ends
//! exec PROGRAM [ARG...]   with the mask and dispositions that it was started with; $self is this program, and any other
//!                     word that begins with $ an environment variable
//! become UID          tries to become this user, and says whether it may
//! hog SIZE            takes so much memory, 1 MiB after the other, and keeps it (32M; says hogged 32M)
//! spin MILLISECONDS   computes for so long, then says for how long and how much processor time it got: spun 1000 200
//! bomb                makes processes without end, deaf to every signal, all of which do the same
//! stubborn            makes three lines of processes, each in a session of its own, in which one always starts the next and
//!                     ends soon after, so that none is there for long enough to be killed by its pid; deaf to every signal
//! key NAME            says whether its session keyring has a key of this name: key NAME: found
//! cgroup              cgroup /path (in its own namespace's terms)
//! nest DIRECTORY COUNT    makes so many directories there, each in the one before; says nested and how many it could make
//! mask  args  descriptors  listed FILE (the descriptors, written to a file)  directory  ids  foreground  environment NAME  field NAME (of /proc/self/status)
//! ```

use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::abort;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Pid, getpgrp, getpid, getppid, getsid, setpgid, setsid, tcgetpgrp};

use rustix::time::ClockId;

use super::names::{name, number};
use super::sys::{self, Disposition, Wait};

struct Puppet {
    mask: u64,
    ignored: u64,
    /// The signals that it takes; others act on it as on any program.
    taken: u64,
    arguments: Vec<OsString>,
    output: Option<File>,
    attempt: usize,
    locks: Vec<Flock<File>>,
    hoard: Vec<Vec<u8>>,
}

/// Runs the puppet; the words are those after `--puppet`.
pub fn run(mut words: impl Iterator<Item = OsString>) -> i32 {
    let mask = sys::replace_mask(sys::ALL);
    let script = words
        .next()
        .expect("a script")
        .into_string()
        .expect("a script is text");
    let script = script.strip_prefix('@').map_or(script.clone(), |path| {
        fs::read_to_string(path).expect("a script")
    });
    let arguments = words.collect();
    let mut puppet = Puppet {
        mask,
        ignored: sys::ignored(),
        taken: sys::ALL,
        arguments,
        output: None,
        attempt: 0,
        locks: Vec::new(),
        hoard: Vec::new(),
    };
    puppet.play(&script);
    0
}

/// Cuts a script at the semicolons that no braces enclose.
fn deeds(script: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let cut = move |character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ';' && depth == 0
    };
    script
        .split(cut)
        .map(str::trim)
        .filter(|deed| !deed.is_empty())
}

fn block(text: &str) -> &str {
    let inner = text
        .split_once('{')
        .and_then(|(_, rest)| rest.trim_end().strip_suffix('}'));
    inner.unwrap_or_else(|| panic!("a script in braces, not {text:?}"))
}

impl Puppet {
    fn play(&mut self, script: &str) {
        for deed in deeds(script) {
            let (verb, rest) = deed.split_once(char::is_whitespace).unwrap_or((deed, ""));
            self.perform(verb, rest.trim());
        }
    }

    fn perform(&mut self, verb: &str, rest: &str) {
        match verb {
            "say" => self.say(&self.filled_in(rest)),
            "error" => {
                let _closed = write_line(&mut io::stderr(), &self.filled_in(rest));
            }
            "to" => {
                self.output = Some(
                    OpenOptions::new()
                        .create(true)
                        .append(true)
                        .open(rest)
                        .expect(rest),
                );
            }
            "pour" => {
                let (from, to) = rest.split_once(' ').expect("FROM TO");
                let range = from.parse().expect("a number")..to.parse().expect("a number");
                // Not through the library's buffer, which would cut the pieces at its own lengths.
                let out = io::stdout()
                    .as_fd()
                    .try_clone_to_owned()
                    .expect("standard output is open");
                super::noise::pour(range, &mut File::from(out)).expect("somebody takes it");
            }
            "report" => self.take_signals(None),
            "wait" => self.take_signals(Some(number(rest))),
            "exit" => sys::exit_now(rest.parse().expect("a code")),
            "die" => die(number(rest)),
            "stop" => sys::kill(getpid().as_raw(), libc::SIGSTOP).expect("it may stop itself"),
            "nap" => sleep(Duration::from_millis(rest.parse().expect("milliseconds"))),
            "pause" => loop {
                nix::unistd::pause();
            },
            "plain" => self.give_back(),
            "open" => {
                sys::set_disposition(number(rest), Disposition::Default).expect("it can be reset");
                self.taken &= !sys::bit(number(rest));
                sys::replace_mask(self.taken);
            }
            "send" => send(rest),
            "session" => drop(setsid().expect("setsid")),
            "group" => setpgid(Pid::from_raw(0), Pid::from_raw(0)).expect("setpgid"),
            "leave" => {
                let leader = self.fork(&format!("group; {}", block(rest)));
                // Until then there is no such group.
                while setpgid(Pid::from_raw(0), Pid::from_raw(leader)).is_err() {
                    sleep(Duration::from_millis(1));
                }
            }
            "fork" => drop(self.fork(block(rest))),
            "orphan" => self.orphan(block(rest)),
            "orphans" => self.orphans(rest.parse().expect("a count")),
            "reap" => while sys::reap(-1, Wait::Blocking).is_some() {},
            "attempt" => self.count_attempt(rest),
            "on" | "after" | "repeat" => self.conditionally(verb, rest),
            "lock" => self.lock(rest),
            "touch" => drop(File::create(rest).expect(rest)),
            "await" => {
                while !Path::new(rest).exists() {
                    sleep(Duration::from_millis(2));
                }
            }
            "missing" => {
                if !Path::new(rest).exists() {
                    self.say(&format!("missing {rest}"));
                }
            }
            "flags" => {
                let fd = io::stderr();
                let flags = rustix::fs::fcntl_getfl(&fd).expect("standard error is open");
                let blocking = !flags.contains(rustix::fs::OFlags::NONBLOCK);
                self.say(&format!(
                    "flags 2 {}",
                    if blocking { "blocking" } else { "non-blocking" }
                ));
            }
            "input" => {
                for line in io::stdin().lock().lines().map_while(Result::ok) {
                    self.say(&format!("input {line}"));
                }
            }
            "exec" => {
                self.give_back();
                self.exec(rest);
            }
            "become" => {
                let result = nix::unistd::setuid(rest.parse::<u32>().expect("a uid").into());
                let told = result.map_or_else(|error| error.to_string(), |()| "done".into());
                self.say(&format!("become {rest}: {told}"));
            }
            "hog" => self.hog(rest),
            "spin" => {
                let (wall, processor) =
                    spin(Duration::from_millis(rest.parse().expect("milliseconds")));
                self.say(&format!(
                    "spun {} {}",
                    wall.as_millis(),
                    processor.as_millis()
                ));
            }
            "bomb" => bomb(),
            "stubborn" => self.stubborn(),
            "key" => {
                let name = CString::new(rest).expect("no null byte");
                let told =
                    sys::has_key(&name).map_or_else(|error| error.to_string(), |()| "found".into());
                self.say(&format!("key {rest}: {told}"));
            }
            "cgroup" => {
                let groups = fs::read_to_string("/proc/self/cgroup").expect("/proc");
                let path = groups
                    .lines()
                    .find_map(|line| line.strip_prefix("0::"))
                    .unwrap_or("none");
                self.say(&format!("cgroup {path}"));
            }
            "nest" => {
                let (top, count) = rest.split_once(' ').expect("DIRECTORY COUNT");
                self.say(&format!(
                    "nested {}",
                    nest(top, count.parse().expect("a count"))
                ));
            }
            "mask" => self.say(&format!(
                "mask {:016x} ignored {:016x}",
                self.mask, self.ignored
            )),
            "args" => self.arguments.iter().for_each(|word| {
                self.say(&format!("argument {}", word.as_bytes().escape_ascii()));
            }),
            "descriptors" => list_descriptors().iter().for_each(|line| self.say(line)),
            "listed" => fs::write(rest, list_descriptors().join("\n")).expect(rest),
            "directory" => self.say(&format!(
                "directory {}",
                std::env::current_dir().expect("a directory").display()
            )),
            "ids" => self.say(&format!(
                "pid {} parent {} group {} session {}",
                getpid(),
                getppid(),
                getpgrp(),
                getsid(None).expect("a session")
            )),
            "foreground" => {
                let foreground = tcgetpgrp(io::stdin().as_fd()).map(|group| group == getpgrp());
                self.say(&format!("foreground {foreground:?}"));
            }
            "environment" => {
                let value =
                    std::env::var_os(rest).map(|value| value.as_bytes().escape_ascii().to_string());
                self.say(&format!(
                    "environment {rest} {}",
                    value.as_deref().unwrap_or("unset")
                ));
            }
            "field" => {
                let status = fs::read_to_string("/proc/self/status").expect("/proc");
                let line = status
                    .lines()
                    .find(|line| line.starts_with(rest))
                    .expect("such a field");
                self.say(&line.replace('\t', " "));
            }
            _ => panic!("the puppet knows no {verb:?}"),
        }
    }

    fn filled_in(&self, text: &str) -> String {
        let clock = rustix::time::clock_gettime(ClockId::Monotonic);
        text.replace("$pid", &getpid().to_string())
            .replace("$ppid", &getppid().to_string())
            .replace("$attempt", &self.attempt.to_string())
            .replace(
                "$clock",
                &(clock.tv_sec * 1000 + clock.tv_nsec / 1_000_000).to_string(),
            )
    }

    /// Prints a line by one write, so that lines of several processes do not mix.
    fn say(&self, text: &str) {
        // Nobody may be reading any more; the signals that come matter all the same.
        let _closed = match self.output.as_ref() {
            Some(mut file) => write_line(&mut file, text),
            None => write_line(&mut io::stdout(), text),
        };
    }

    fn take_signals(&self, until: Option<i32>) {
        loop {
            let Some(taken) = sys::take_signal(self.taken, None) else {
                continue;
            };
            // Its own children's ends are not what a scenario asks for; one that a process sent has
            // a code of 0 or less.
            if taken.signal == libc::SIGCHLD && taken.code > 0 {
                continue;
            }
            let sender = taken.sender;
            self.say(&format!(
                "got {} code {} from {sender} value {}",
                name(taken.signal),
                taken.code,
                taken.value
            ));
            if until == Some(taken.signal) {
                return;
            }
        }
    }

    fn give_back(&mut self) {
        for signal in 1..=64 {
            let ignored = self.ignored & sys::bit(signal) != 0;
            let _refused = sys::set_disposition(
                signal,
                if ignored {
                    Disposition::Ignore
                } else {
                    Disposition::Default
                },
            );
        }
        self.taken = self.mask;
        sys::replace_mask(self.mask);
    }

    fn fork(&mut self, script: &str) -> i32 {
        sys::fork().expect("fork").unwrap_or_else(|| {
            self.play(script);
            sys::exit_now(0)
        })
    }

    fn orphan(&mut self, script: &str) {
        let Some(middle) = sys::fork().expect("fork") else {
            self.fork(script);
            sys::exit_now(0)
        };
        sys::reap(middle, Wait::Blocking);
    }

    /// All of them become orphans in one instant: when their common parent ends.
    fn orphans(&self, count: usize) {
        let Some(middle) = sys::fork().expect("fork") else {
            for made in 0..count {
                match sys::fork() {
                    Ok(Some(_)) => {}
                    Ok(None) => sys::exit_now(0),
                    Err(error) => {
                        self.say(&format!("only {made} orphans: {error}"));
                        sys::exit_now(1)
                    }
                }
            }
            self.say(&format!("made {count} orphans"));
            sys::exit_now(0)
        };
        sys::reap(middle, Wait::Blocking);
    }

    fn count_attempt(&mut self, path: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect(path);
        file.write_all(b".").expect(path);
        self.attempt = fs::read(path).expect(path).len();
    }

    fn conditionally(&mut self, verb: &str, rest: &str) {
        let count: usize = rest
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .expect("a count");
        let times = match verb {
            "on" => usize::from(self.attempt == count),
            "after" => usize::from(self.attempt > count),
            _ => count,
        };
        for _ in 0..times {
            self.play(block(rest));
        }
    }

    fn lock(&mut self, path: &str) {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect(path);
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                self.locks.push(lock);
                self.say("locked");
            }
            Err(_) => self.say("busy"),
        }
    }

    fn hog(&mut self, size: &str) {
        let count = size
            .strip_suffix('M')
            .and_then(|count| count.parse::<usize>().ok())
            .expect("a size such as 32M");
        // Filled with something, because pages of zeros need not be there.
        self.hoard.extend((0..count).map(|_| vec![1; 1 << 20]));
        self.say(&format!("hogged {size}"));
    }

    fn stubborn(&self) {
        ignore_all();
        for _ in 0..3 {
            if let Ok(None) = sys::fork() {
                // A fork that fails at a limit of processes is tried again: the line breaks off by
                // KILL alone.
                loop {
                    let _own = setsid();
                    sleep(Duration::from_millis(5));
                    if matches!(sys::fork(), Ok(Some(_))) {
                        sleep(Duration::from_millis(20));
                        sys::exit_now(0);
                    }
                }
            }
        }
        self.say("stubborn");
    }

    fn exec(&self, rest: &str) {
        let words = rest
            .split_whitespace()
            .map(|word| match word.strip_prefix('$') {
                Some("self") => super::own_program().into_os_string(),
                Some(name) => std::env::var_os(name).expect(name),
                None => word.into(),
            });
        let words: Vec<_> = words
            .map(|word| CString::new(word.into_vec()).expect("no NUL"))
            .collect();
        let Err(error) = nix::unistd::execv(&words[0], &words);
        self.say(&format!("exec {rest}: {error}"));
        sys::exit_now(99)
    }
}

/// One line for each open descriptor, and one that says that these were all.
fn list_descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc");
    let described = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let target = fs::read_link(&path).ok()?;
        Some((
            path.file_name()?.to_str()?.parse::<i32>().ok()?,
            target.display().to_string(),
        ))
    });
    // The one that reads this very directory is not the script's.
    let mut open: Vec<_> = described
        .filter(|(_, target)| !target.ends_with("/fd"))
        .collect();
    open.sort_unstable();
    let lines = open
        .into_iter()
        .map(|(fd, target)| format!("descriptor {fd} {target}"));
    lines.chain(["descriptors end".to_owned()]).collect()
}

fn write_line(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(format!("{text}\n").as_bytes())?;
    to.flush()
}

fn send(rest: &str) {
    let (whom, signal) = rest.split_once(' ').expect("WHOM SIGNAL");
    let pid = match whom {
        "parent" => getppid().as_raw(),
        "group" => 0,
        "all" => -1,
        pid => pid.parse().expect("a pid"),
    };
    sys::kill(pid, number(signal)).expect("it can be sent");
}

fn ignore_all() {
    for signal in 1..=64 {
        // KILL and STOP are refused.
        let _refused = sys::set_disposition(signal, Disposition::Ignore);
    }
}

fn bomb() -> ! {
    ignore_all();
    loop {
        if sys::fork().is_err() {
            // At the limit; a busy loop there would only take the processor from the others.
            sleep(Duration::from_millis(1));
        }
    }
}

/// Computes until so much time is over; returns the time that it took and the processor time that
/// it got. One below the other, by descriptors: their path is soon longer than the kernel takes.
fn nest(top: &str, count: usize) -> usize {
    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let name = "d".repeat(100);
    let mut at = open(top, flags, Mode::empty()).expect(top);
    let makes_another = |_: &usize| {
        mkdirat(&at, &*name, Mode::from_raw_mode(0o755)).is_ok_and(|()| {
            at = openat(&at, &*name, flags, Mode::empty()).expect("it was just made");
            true
        })
    };
    (0..count).take_while(makes_another).count()
}

fn spin(limit: Duration) -> (Duration, Duration) {
    let processor = || {
        let now = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(
            now.tv_sec.try_into().unwrap_or_default(),
            now.tv_nsec.try_into().unwrap_or_default(),
        )
    };
    let (begun, before) = (Instant::now(), processor());
    while begun.elapsed() < limit {}
    (begun.elapsed(), processor().saturating_sub(before))
}

fn die(signal: i32) -> ! {
    // KILL is refused, and needs nothing.
    let _refused = sys::set_disposition(signal, Disposition::Default);
    sys::replace_mask(sys::ALL & !sys::bit(signal));
    sys::kill(getpid().as_raw(), signal).expect("it may signal itself");
    // Only a signal whose default is to do nothing comes so far.
    abort()
}

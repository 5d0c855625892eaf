//! The inits that are compared: how each is found, what it offers, and how it is word to start the
//! child.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::Programs;
use crate::tool::{Tool, find};

/// The pause between two starts that frigate is given, in milliseconds. It is the shortest that
/// frigate accepts.
pub const BACKOFF_MS: u32 = 10;

/// The grace period that each init is given, in milliseconds.
pub const GRACE_MS: u32 = 1000;

/// What the init has to do, and so what the child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The child reports its first and its last moment.
    Once,
    /// It does nothing, because its run is counted and not timed.
    Nothing,
    /// It sleeps, and TERM ends it.
    Sleep,
    /// It ignores TERM.
    IgnoreTerm,
    /// It reports every USR1 that it gets.
    Echo,
    /// It makes orphans.
    Orphans,
    /// It ends at once, and the init starts it again.
    Quick,
    /// It lives long enough to count as healthy, and the init starts it again.
    Healthy,
}

impl Purpose {
    fn mode(self) -> &'static str {
        match self {
            Self::Once | Self::Quick => "once",
            Self::Nothing => "nothing",
            Self::Sleep => "sleep",
            Self::IgnoreTerm => "ignore",
            Self::Echo => "echo",
            Self::Orphans => "batches",
            Self::Healthy => "live",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Floor,
    Frigate,
    /// Takes a command, as frigate does.
    Command,
    /// Takes a directory with a file `run`.
    S6,
    Runit,
    Busybox,
    /// Takes a file of its own.
    Supervisord,
}

/// One init.
#[derive(Debug, Clone)]
pub struct Peer {
    pub tool: Tool,
    kind: Kind,
}

/// How an init is started for one purpose.
#[derive(Debug, Clone)]
pub struct Arrangement {
    pub words: Vec<OsString>,
    /// The directory for the FIFOs and the init's own files.
    pub directory: PathBuf,
}

impl Arrangement {
    pub fn reports(&self) -> PathBuf {
        self.directory.join("r")
    }

    pub fn orders(&self) -> PathBuf {
        self.directory.join("o")
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join("stderr")
    }
}

/// Returns all of them, the floor and frigate first.
pub fn all(programs: &Programs, frigate: &Path) -> Vec<Peer> {
    let floor = Tool {
        name: "floor",
        package: None,
        binary: Ok(programs.floor.clone()),
    };
    let mut peers = vec![
        Peer {
            tool: floor,
            kind: Kind::Floor,
        },
        Peer {
            tool: Tool::frigate(frigate),
            kind: Kind::Frigate,
        },
    ];
    for (name, package, kind, program) in [
        ("tini", "tini", Kind::Command, "tini"),
        ("tini-static", "tini", Kind::Command, "tini-static"),
        ("dumb-init", "dumb-init", Kind::Command, "dumb-init"),
        ("catatonit", "catatonit", Kind::Command, "catatonit"),
        ("s6-supervise", "s6", Kind::S6, "s6-supervise"),
        ("runsv", "runit", Kind::Runit, "runsv"),
        ("busybox runsv", "busybox", Kind::Busybox, "busybox"),
        (
            "supervisord",
            "supervisor",
            Kind::Supervisord,
            "supervisord",
        ),
    ] {
        let mut tool = Tool::installed(name, package, program);
        if kind == Kind::Busybox {
            tool.binary = tool.binary.and_then(with_runsv);
        }
        peers.push(Peer { tool, kind });
    }
    let reason = "no package of this Debian release has it".to_owned();
    let dinit = find("dinit").ok_or(reason).and(Err(
        "its services need a control socket; not arranged here".to_owned(),
    ));
    peers.push(Peer {
        tool: Tool {
            name: "dinit",
            package: None,
            binary: dinit,
        },
        kind: Kind::Command,
    });
    peers
}

fn with_runsv(busybox: PathBuf) -> Result<PathBuf, String> {
    let list = Command::new(&busybox)
        .arg("--list")
        .stdin(Stdio::null())
        .output();
    let list = list
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    if list.lines().any(|line| line == "runsv") {
        Ok(busybox)
    } else {
        Err("this busybox was built without runsv".into())
    }
}

impl Peer {
    pub fn is_floor(&self) -> bool {
        self.kind == Kind::Floor
    }

    /// Returns the reason if the size of the file means nothing.
    pub fn meaningless_size(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Supervisord => Some("a script; its interpreter and libraries are not one file"),
            Kind::Busybox => Some("a part of a file with many programs"),
            Kind::Floor | Kind::Frigate | Kind::Command | Kind::S6 | Kind::Runit => None,
        }
    }

    /// Returns whether the init ends when its child has ended.
    fn ends_with_child(&self) -> bool {
        matches!(self.kind, Kind::Floor | Kind::Frigate | Kind::Command)
    }

    /// Checks that the init ends when its child has ended.
    ///
    /// # Errors
    ///
    /// The init does not, for this reason.
    pub fn must_end_with_child(&self) -> Result<(), String> {
        if self.ends_with_child() {
            Ok(())
        } else {
            Err("starts its child again forever".into())
        }
    }

    fn offers(&self, purpose: Purpose) -> Result<(), &'static str> {
        let (offered, reason) = match purpose {
            Purpose::Once | Purpose::Nothing | Purpose::Sleep | Purpose::Orphans => (true, ""),
            Purpose::Echo => (self.ends_with_child(), "forwards no signal"),
            Purpose::Quick | Purpose::Healthy => {
                (self.kind != Kind::Command, "starts nothing again")
            }
            Purpose::IgnoreTerm => (
                matches!(self.kind, Kind::Frigate | Kind::S6 | Kind::Supervisord),
                "has no grace period: waits for the child forever",
            ),
        };
        if offered { Ok(()) } else { Err(reason) }
    }

    /// Prepares a directory for this init and purpose.
    ///
    /// # Errors
    ///
    /// The init is not installed, or does not offer this.
    pub fn arrange(
        &self,
        purpose: Purpose,
        programs: &Programs,
        work: &Path,
    ) -> Result<Arrangement, String> {
        let binary = self.tool.binary.clone()?;
        self.offers(purpose)?;
        let directory = work.join(format!("{}-{purpose:?}", self.tool.name.replace(' ', "-")));
        let _former = fs::remove_dir_all(&directory);
        let prepare = || -> std::io::Result<Vec<OsString>> {
            fs::create_dir_all(&directory)?;
            let owner = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
            for name in ["r", "o"] {
                nix::unistd::mkfifo(&directory.join(name), owner)?;
            }
            let argument = format!("{}={}", purpose.mode(), directory.join("r").display());
            let mut words = self.words(purpose, binary, &directory, programs);
            match self.kind {
                Kind::Floor | Kind::Frigate | Kind::Command => {
                    words.extend([programs.child.clone().into(), argument.into()]);
                }
                Kind::S6 | Kind::Runit | Kind::Busybox => {
                    write_service(&directory, &programs.child, &argument)?;
                }
                Kind::Supervisord => write_configuration(&directory, &programs.child, &argument)?,
            }
            Ok(words)
        };
        let words = prepare()
            .map_err(|error| format!("cannot prepare '{}': {error}", directory.display()))?;
        Ok(Arrangement { words, directory })
    }

    /// Returns the init and its own words, up to the command.
    fn words(
        &self,
        purpose: Purpose,
        binary: PathBuf,
        directory: &Path,
        programs: &Programs,
    ) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![binary.into()];
        match self.kind {
            Kind::Floor => match purpose {
                Purpose::Echo | Purpose::Sleep => {
                    words = vec![programs.floor_that_forwards.clone().into()];
                }
                Purpose::Quick | Purpose::Healthy => {
                    words = vec![programs.floor_that_restarts.clone().into()];
                }
                Purpose::Once | Purpose::Nothing | Purpose::IgnoreTerm | Purpose::Orphans => {}
            },
            Kind::Frigate => {
                match purpose {
                    Purpose::Quick => words.extend(
                        [
                            "--restart=true",
                            "--start-secs=0",
                            &format!("--backoff={BACKOFF_MS}ms"),
                            &format!("--backoff-max={BACKOFF_MS}ms"),
                        ]
                        .map(OsString::from),
                    ),
                    Purpose::Healthy => {
                        words.extend(["--restart=true", "--start-secs=1s"].map(OsString::from));
                    }
                    Purpose::IgnoreTerm => words.push(format!("--grace={GRACE_MS}ms").into()),
                    Purpose::Once
                    | Purpose::Nothing
                    | Purpose::Sleep
                    | Purpose::Echo
                    | Purpose::Orphans => {}
                }
                words.push("--".into());
            }
            Kind::Command => words.push("--".into()),
            Kind::Busybox => words.extend(["runsv".into(), directory.into()]),
            Kind::S6 | Kind::Runit => words.push(directory.into()),
            Kind::Supervisord => words.extend([
                "-n".into(),
                "-c".into(),
                directory.join("supervisord.conf").into(),
            ]),
        }
        words
    }
}

/// Writes the file `run`. The child is the interpreter of the file, so that no shell comes in
/// between.
fn write_service(directory: &Path, child: &Path, word: &str) -> std::io::Result<()> {
    let run = directory.join("run");
    fs::write(&run, format!("#!{} {word}\n", child.display()))?;
    fs::set_permissions(&run, Permissions::from_mode(0o755))?;
    fs::write(directory.join("timeout-kill"), format!("{GRACE_MS}\n"))
}

fn write_configuration(directory: &Path, child: &Path, word: &str) -> std::io::Result<()> {
    let text = format!(
        "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={0}/pid\n\n\
         [program:child]\ncommand={1} {word}\nautorestart=true\nstartsecs=0\nstopwaitsecs={2}\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n",
        directory.display(),
        child.display(),
        GRACE_MS / 1000,
    );
    fs::write(directory.join("supervisord.conf"), text)
}

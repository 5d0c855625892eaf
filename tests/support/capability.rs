//! What a machine may lack. Each capability is probed once, when the first scenario asks for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Frigate, Mode, vm};

/// Something that some scenarios need and some machines lack.
pub struct Capability {
    pub name: &'static str,
    probe: fn() -> Result<(), String>,
    found: OnceLock<Result<(), String>>,
}

impl Capability {
    /// Returns a capability with its probe. If the probe fails, its error says why the capability
    /// is missing.
    pub const fn new(name: &'static str, probe: fn() -> Result<(), String>) -> Self {
        Self {
            name,
            probe,
            found: OnceLock::new(),
        }
    }

    /// Probes the capability once, and returns the reason if it is missing.
    pub fn check(&self) -> Result<(), String> {
        self.found.get_or_init(self.probe).clone()
    }
}

/// The name of each capability that was missing in this run, the reason, and how many scenarios
/// needed it.
static MISSING: Mutex<BTreeMap<&'static str, (String, usize)>> = Mutex::new(BTreeMap::new());

/// What a scenario does about the capabilities that it needs.
pub enum Verdict {
    Run,
    Skip(String),
    Fail(String),
}

/// Checks all capabilities that a scenario needs. `FRIGATE_TEST_REQUIRE=docker,strace` makes a
/// missing one of these a failure, and `all` any missing one.
pub fn judge(needs: &[&'static Capability]) -> Verdict {
    for capability in needs {
        let Err(reason) = capability.check() else {
            continue;
        };
        let required = std::env::var("FRIGATE_TEST_REQUIRE").unwrap_or_default();
        if required
            .split(',')
            .any(|name| name.trim() == capability.name || name.trim() == "all")
        {
            return Verdict::Fail(format!(
                "{} is required and missing: {reason}",
                capability.name
            ));
        }
        let mut missing = MISSING.lock().unwrap_or_else(PoisonError::into_inner);
        missing
            .entry(capability.name)
            .or_insert_with(|| (reason.clone(), 0))
            .1 += 1;
        return Verdict::Skip(format!("needs {}: {reason}", capability.name));
    }
    Verdict::Run
}

/// Returns one line for each capability that was missing.
pub fn summary() -> Vec<String> {
    let missing = MISSING.lock().unwrap_or_else(PoisonError::into_inner);
    missing
        .iter()
        .map(|(name, (reason, count))| format!("skipped {count} for want of {name}: {reason}"))
        .collect()
}

/// A fresh PID namespace, made by root or in a user namespace.
pub static PID_NAMESPACE: Capability = Capability::new("pid-namespace", || {
    let ended = Frigate::launching(Mode::Pid1, ["--puppet", "exit 7"]).try_wait()?;
    if ended == 7 << 8 {
        Ok(())
    } else {
        Err(format!("a process in one ended with status {ended}"))
    }
});

/// Root, to change users and limit mounts.
pub static ROOT: Capability = Capability::new("root", || {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err("the tests do not run as root".into())
    }
});

/// Kernel keyrings, which a filter of system calls may forbid.
pub static KEYRINGS: Capability = Capability::new("keyrings", || {
    let frigate =
        Frigate::launching(Mode::Subreaper, ["--puppet", "key probe; exit 7"]).key("probe");
    let ended = frigate.try_wait()?;
    if ended == 7 << 8 {
        Ok(())
    } else {
        Err(format!(
            "a process with a keyring ended with status {ended}"
        ))
    }
});

/// strace that can attach and inject.
pub static STRACE: Capability = Capability::new("strace", || {
    let delay = "inject=getpid:delay_enter=1";
    let ended = Frigate::launching(Mode::Subreaper, ["--puppet", "exit 7"])
        .strace([delay])
        .try_wait()?;
    if ended == 7 << 8 {
        Ok(())
    } else {
        Err(format!("a traced process ended with status {ended}"))
    }
});

/// A shell with job control.
pub static BASH: Capability = Capability::new("bash", || {
    succeeds(Command::new("bash").args(["-c", "exit 0"]))
});

/// A Docker engine that replies.
pub static DOCKER: Capability =
    Capability::new("docker", || succeeds(Command::new("docker").arg("version")));

/// A loopback address of IPv6.
pub static IPV6: Capability = Capability::new("ipv6", || {
    let bound = std::net::TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0));
    bound.map(drop).map_err(|error| error.to_string())
});

/// A virtual machine with a kernel of its own.
pub static VM: Capability = Capability::new("vm", vm::probe);

/// crun. The guest has it if the machine that boots the guest has it.
pub static CRUN: Capability =
    Capability::new("crun", || succeeds(Command::new("crun").arg("--version")));

/// Room for 20,000 more processes.
pub static MANY_PROCESSES: Capability = Capability::new("many-processes", || {
    const WANTED: u64 = 24_000;
    let most = |path: &str| -> u64 {
        let text =
            std::fs::read_to_string(Path::new("/proc/sys/kernel").join(path)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    for limit in ["pid_max", "threads-max"] {
        if most(limit) < WANTED {
            return Err(format!("kernel.{limit} is {}", most(limit)));
        }
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let (own, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NPROC)
        .map_err(|e| e.to_string())?;
    if own < WANTED {
        Err(format!("the limit of processes is {own}"))
    } else {
        Ok(())
    }
});

fn succeeds(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let Output { status, stderr, .. } = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(format!(
        "{program}: {}",
        said.lines().next().unwrap_or("it failed without a word")
    ))
}

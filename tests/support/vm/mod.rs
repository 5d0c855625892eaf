//! A virtual machine with a kernel whose cgroups are all of version 2, for claims that need one.
//!
//! - `scenario(..).in_guest()` runs a scenario in the one guest that all such scenarios share.
//!   There this program runs again, below a frigate that really is PID 1 of a kernel, and sends the
//!   host each scenario's result: `guest`.
//! - `vm::Boot` boots a guest of its own, for claims about that PID 1: `boot`.
//!
//! `FRIGATE_TEST_VM=uml` selects User Mode Linux as the engine, and `FRIGATE_TEST_KERNEL=FILE`
//! another kernel for QEMU. `FRIGATE_TEST_VM_LIMIT=SECONDS` is how long the shared guest may take
//! from its boot to its end, 600 by default.

mod archive;
mod boot;
pub mod guest;
mod machine;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use archive::Archive;
pub use boot::Boot;
pub use machine::tether;

use super::{frigate, own_program};

/// What a machine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Qemu,
    Uml,
}

impl Engine {
    fn chosen() -> Self {
        match std::env::var("FRIGATE_TEST_VM").as_deref() {
            Err(_) | Ok("" | "qemu") => Self::Qemu,
            Ok("uml") => Self::Uml,
            Ok(other) => panic!("FRIGATE_TEST_VM is {other:?}, and may be qemu or uml"),
        }
    }

    /// Returns the path of the second serial line in the guest.
    fn port(self) -> &'static str {
        match self {
            Self::Qemu => "/dev/ttyS1",
            Self::Uml => "/dev/ttyS0",
        }
    }
}

/// The path of this program in the guest.
const CLAIMS: &str = "/usr/local/bin/claims";

/// Checks that everything is there to boot a guest, and otherwise returns what is missing.
pub fn probe() -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the guest is an x86_64 machine, and this one is not".into());
    }
    archive::find("busybox")?;
    match Engine::chosen() {
        Engine::Qemu => {
            archive::find("qemu-system-x86_64")?;
            kernel()?;
        }
        Engine::Uml => drop(archive::find("linux.uml")?),
    }
    Ok(())
}

/// Returns the path of the guest's kernel, which the script fetches once.
fn kernel() -> Result<String, String> {
    static KERNEL: OnceLock<Result<String, String>> = OnceLock::new();
    let fetch = || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/kernel");
        let output = Command::new(&script).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("cannot run {}: {error}", script.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    };
    KERNEL.get_or_init(fetch).clone()
}

/// Returns the binary under test and its own arguments, with the path that it has in the guest.
fn under_test() -> Vec<String> {
    let words = frigate::binary()
        .into_iter()
        .map(|word| word.into_string().expect("its path is text"));
    let mut words: Vec<_> = words.collect();
    let name = Path::new(&words[0])
        .file_name()
        .expect("a program")
        .display()
        .to_string();
    words[0] = format!("/usr/local/bin/{name}");
    words
}

/// Returns the file system that all guests have in common.
fn base() -> Result<&'static [u8], String> {
    static BASE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let made = BASE.get_or_init(|| {
        pack().map_err(|error| format!("cannot make the guest's file system: {error}"))
    });
    made.as_deref().map_err(Clone::clone)
}

fn pack() -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut archive = Archive::default();
    for directory in [
        "/proc",
        "/sys",
        "/dev",
        "/run",
        "/tmp",
        "/mnt",
        "/root",
        "/sbin",
        "/usr/sbin",
    ] {
        archive.directory(directory);
    }
    archive.file("/init", 0o755, include_bytes!("../../vm/init"));
    archive.file(
        "/etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    );
    archive.file("/etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    archive
        .program(&archive::find("busybox")?, "/bin/busybox")
        .map_err(text)?;
    archive.program(&own_program(), CLAIMS).map_err(text)?;
    let binary = frigate::binary().swap_remove(0);
    let binary = archive::find(binary.to_str().expect("its path is text"))?;
    archive.program(&binary, &under_test()[0]).map_err(text)?;
    // A scenario that needs one of these checks in the guest whether it is there.
    for name in ["crun", "strace"] {
        if let Ok(program) = archive::find(name) {
            archive
                .program(&program, &format!("/usr/bin/{name}"))
                .map_err(text)?;
        }
    }
    Ok(archive.finish())
}

/// Returns the part of the file system that one guest has for itself: a shell script that ends by
/// becoming these words.
fn instructions(setup: &str, words: &[String]) -> Vec<u8> {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    let script = format!(
        "port={}\nfirst() {{\n{setup}\nexec {}\n}}\n",
        Engine::chosen().port(),
        words.join(" ")
    );
    let mut archive = Archive::default();
    archive.file("/etc/guest", 0o644, script.as_bytes());
    archive.finish()
}

/// Returns a word in quotes that make the shell take it as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns how long the shared guest may take.
fn limit() -> Duration {
    let limit = std::env::var("FRIGATE_TEST_VM_LIMIT")
        .map(|limit| limit.parse().expect("FRIGATE_TEST_VM_LIMIT: seconds"));
    Duration::from_secs(limit.unwrap_or(600))
}

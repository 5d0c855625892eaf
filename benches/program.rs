//! The programs without a C library that the benchmark builds for itself: the floor, the starter,
//! the child, the writer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The paths of these programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Starts an init, and reports when.
    pub starter: PathBuf,
    /// The program that the init starts.
    pub child: PathBuf,
    /// Does the least that an init can do.
    pub floor: PathBuf,
    /// Does the same, and passes signals on.
    pub floor_that_forwards: PathBuf,
    /// Does the same, and starts its child again forever.
    pub floor_that_restarts: PathBuf,
    /// Writes the stream for a logger.
    pub writer: PathBuf,
}

impl Programs {
    /// Builds all of them into a directory.
    ///
    /// # Errors
    ///
    /// The compiler's message.
    pub fn build(into: &Path) -> Result<Self, String> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err("the floor and its helpers are written for x86_64 Linux".into());
        }
        fs::create_dir_all(into)
            .map_err(|error| format!("cannot make '{}': {error}", into.display()))?;
        let build = |name: &str, source: &str, condition: Option<&str>| {
            compile(&into.join(name), source, condition)
        };
        Ok(Self {
            starter: build("starter", "starter.rs", None)?,
            child: build("child", "child.rs", None)?,
            floor: build("floor", "floor.rs", None)?,
            floor_that_forwards: build("floor-that-forwards", "floor.rs", Some("forwards"))?,
            floor_that_restarts: build("floor-that-restarts", "floor.rs", Some("restarts"))?,
            writer: build("writer", "writer.rs", None)?,
        })
    }
}

fn compile(to: &Path, source: &str, condition: Option<&str>) -> Result<PathBuf, String> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/programs")
        .join(source);
    let mut command = Command::new(compiler);
    command.args(["--edition", "2024"]);
    for option in [
        "opt-level=z",
        "panic=abort",
        "strip=symbols",
        "force-unwind-tables=no",
        "relocation-model=static",
        "link-arg=-nostartfiles",
        "link-arg=-nostdlib",
        "link-arg=-static",
        // Do not pad the file to whole pages, and leave out what is not needed to run.
        "link-arg=-Wl,--build-id=none,-z,noseparate-code,-z,max-page-size=4096,-z,norelro,--no-eh-frame-hdr",
    ] {
        command.args(["-C", option]);
    }
    if let Some(condition) = condition {
        command.args(["--cfg", condition]);
    }
    let output = command
        .arg("-o")
        .arg(to)
        .arg(&source)
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    if output.status.success() {
        Ok(to.to_path_buf())
    } else {
        Err(format!(
            "cannot build '{}':\n{}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

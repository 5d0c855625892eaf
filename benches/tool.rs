//! A program that is compared with others: its name, its path, and its package.

use std::path::{Path, PathBuf};
use std::process::Command;

const FRIGATE: &str = "frigate";

/// One program.
#[derive(Debug, Clone)]
pub struct Tool {
    pub name: &'static str,
    /// The Debian package that contains it.
    pub package: Option<&'static str>,
    /// Its path, or the reason why it is not there.
    pub binary: Result<PathBuf, String>,
}

impl Tool {
    /// Returns the shipped binary.
    pub fn frigate(binary: &Path) -> Self {
        let found = std::fs::canonicalize(binary);
        let found = found.map_err(|error| format!("cannot find '{}': {error}", binary.display()));
        Self {
            name: FRIGATE,
            package: None,
            binary: found,
        }
    }

    /// Returns a program of `PATH`.
    pub fn installed(name: &'static str, package: &'static str, program: &str) -> Self {
        let binary = find(program).ok_or_else(|| format!("not installed (package {package})"));
        Self {
            name,
            package: Some(package),
            binary,
        }
    }

    pub fn is_frigate(&self) -> bool {
        self.name == FRIGATE
    }

    /// Returns the package that contains it, if it is not installed. A program that is installed
    /// but cannot be used is not missing.
    pub fn missing_package(&self) -> Option<&'static str> {
        self.package.filter(|_| {
            self.binary
                .as_ref()
                .is_err_and(|reason| reason.starts_with("not installed"))
        })
    }

    pub fn version(&self) -> Option<String> {
        if self.is_frigate() {
            return Some(env!("CARGO_PKG_VERSION").into());
        }
        self.binary.as_ref().ok()?;
        let output = Command::new("dpkg-query")
            .args(["-W", "-f", "${Version}", self.package?])
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Returns the path of a program of `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())?;
    std::fs::canonicalize(found).ok()
}

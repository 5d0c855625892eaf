//! The guest's file system: an archive in the kernel's `newc` format
//! (`initramfs/buffer-format.rst`), unpacked at boot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An archive that is being made.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    present: BTreeSet<PathBuf>,
}

const DIRECTORY: u32 = 0o040_755;

impl Archive {
    /// Adds a directory, and those above it.
    pub fn directory(&mut self, path: &str) {
        let path = Path::new(path);
        let mut above: Vec<_> = path
            .ancestors()
            .filter(|path| path.parent().is_some())
            .collect();
        above.reverse();
        for path in above {
            if self.present.insert(path.to_owned()) {
                self.entry(path, DIRECTORY, &[]);
            }
        }
    }

    /// Adds a file with these permissions, and the directories above it. If a path is added twice,
    /// the first file stays.
    pub fn file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        let path = Path::new(path);
        self.directory(
            path.parent()
                .and_then(Path::to_str)
                .expect("a plain absolute path"),
        );
        if self.present.insert(path.to_owned()) {
            self.entry(path, 0o100_000 | permissions, contents);
        }
    }

    /// Adds a program under another path, with the libraries and the loader that it asks for under
    /// their own. Leaves out its symbols, which are nine tenths of a debug build, if there is a
    /// `strip`.
    pub fn program(&mut self, from: &Path, path: &str) -> io::Result<()> {
        let copy = tempfile::NamedTempFile::new()?;
        let stripped = Command::new("strip")
            .arg("-o")
            .arg(copy.path())
            .arg(from)
            .stderr(Stdio::null())
            .status();
        let stripped = stripped.is_ok_and(|status| status.success());
        self.file(
            path,
            0o755,
            &fs::read(if stripped { copy.path() } else { from })?,
        );
        for library in libraries(from)? {
            let contents = fs::read(&library)?;
            self.file(&library, 0o755, &contents);
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        let name = path
            .strip_prefix("/")
            .expect("an absolute path")
            .to_str()
            .expect("a plain path");
        self.entries += 1;
        self.record(name, self.entries, mode, contents);
    }

    fn record(&mut self, name: &str, inode: u32, mode: u32, contents: &[u8]) {
        let length = |bytes: usize| u32::try_from(bytes).expect("less than 4 GiB");
        // The fields in order: inode, mode, owner, group, links, time, size, device and its minor,
        // represented device and its minor, length of the name with its NUL, check sum.
        let fields = [
            inode,
            mode,
            0,
            0,
            1,
            0,
            length(contents.len()),
            0,
            0,
            0,
            0,
            length(name.len() + 1),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Returns the finished archive. The kernel accepts several of them, one after the other.
    pub fn finish(mut self) -> Vec<u8> {
        self.record("TRAILER!!!", 0, 0, &[]);
        self.bytes
    }
}

/// Returns what the dynamic loader would map for a program, including itself. A static program has
/// no libraries.
fn libraries(program: &Path) -> io::Result<Vec<String>> {
    let listing = Command::new("ldd").arg(program).output()?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    Ok(listing
        .split_whitespace()
        .filter(|word| word.starts_with('/') && Path::new(word).is_file())
        .map(str::to_owned)
        .collect())
}

/// Finds a program the way a shell does.
pub fn find(program: &str) -> Result<PathBuf, String> {
    if program.contains('/') {
        return Ok(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file());
    found.ok_or_else(|| format!("cannot find {program}"))
}

//! The user database as the child will see it.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::{c_path, errno, open_at};
use crate::core::errno::Errno;

/// The most that is read of a file. No user database is larger.
const MAX_DATABASE_BYTES: usize = 16 << 20;

/// Reads a file of `/etc`, inside `root` if there is one. Returns nothing if the file does not
/// exist.
///
/// # Errors
///
/// The file exists and cannot be read, or the root cannot be opened.
pub(crate) fn read_database(root: Option<&str>, file: &str) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY
        .union(OFlags::CLOEXEC)
        .union(OFlags::NOCTTY)
        .union(OFlags::NONBLOCK);
    let open = |path: &str, flags| open_at(CWD, path, flags, Mode::empty());
    let path = ["/etc/", file].concat();
    let opened = match root {
        None => open(&path, flags),
        Some(root) => {
            let root_fd = open(root, OFlags::PATH.union(OFlags::DIRECTORY)).map_err(errno)?;
            match open_in_root(&root_fd, &path, flags) {
                Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
                    open(&[root, &path].concat(), flags)
                }
                result => result,
            }
        }
    };
    let file = match opened {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(errno(error)),
    };
    let mut content = Vec::new();
    let mut chunk = [0; 4096];
    while content.len() < MAX_DATABASE_BYTES {
        match rustix::io::read(&file, &mut chunk) {
            Ok(0) => break,
            Ok(length) => content.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(content)
}

/// How often a lookup is repeated because a mount or name changed anywhere in the system.
const MAX_ATTEMPTS: usize = 1000;

/// Opens a path inside a root by `openat2(RESOLVE_IN_ROOT)` (Linux 5.6). So a link leads where it
/// will lead for the child. EAGAIN means that a mount or name changed during the lookup, so that
/// the kernel could not rule out an escape; `openat2(2)` tells the caller to try again.
fn open_in_root(root: &OwnedFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut result = Err(rustix::io::Errno::AGAIN);
    for _ in 0..MAX_ATTEMPTS {
        result = openat2(
            root,
            path.as_c_str(),
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        );
        if !matches!(result, Err(rustix::io::Errno::AGAIN)) {
            break;
        }
    }
    result
}

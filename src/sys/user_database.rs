//! The user database as the child will see it.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::{c_path, errno, open_at};
use crate::core::errno::Errno;

/// The largest database that is read: beyond that it is not one.
const MAX_DATABASE_BYTES: usize = 16 << 20;

/// A file of `/etc`, below `root` if there is one; empty where it does not exist.
///
/// # Errors
///
/// It exists and cannot be read, or the root cannot be opened.
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

/// How often the kernel may find that a mount was changed anywhere while it looked.
const MAX_ATTEMPTS: usize = 1000;

/// `openat2(RESOLVE_IN_ROOT)` (Linux 5.6): a link inside the root means what it will mean to the
/// child. EAGAIN says that mounts or names changed meanwhile, so that the kernel could not be sure;
/// its man page has the caller try again.
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

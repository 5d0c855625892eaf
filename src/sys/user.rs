//! Who frigate is, the user database as the child will see it, and what the child inherits.
//!
//! # Safety
//!
//! A descriptor that nobody here owns is asked what it is, and neither used nor kept.
#![expect(unsafe_code, reason = "asks about descriptors by their numbers")]

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{getegid, geteuid, getgid, getgroups, getuid};
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_ambient_set};

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

/// Whether the program's file has given it privileges that its caller does not have: by
/// set-user-ID, set-group-ID or file capabilities. `AT_SECURE` alone does not say so. A security
/// module may set it for any start in another domain, and has done so for the first process of
/// every container.
#[inline(never)]
pub(crate) fn has_more_privileges_than_caller() -> bool {
    if getuid() != geteuid() || getgid() != getegid() {
        return true;
    }
    if getuid().is_root() {
        return false;
    }
    // Without file capabilities a user other than root keeps its ambient capabilities across an
    // exec and no others; with them the ambient set is emptied (capabilities(7)).
    let permitted = capabilities(None).map_or(u64::MAX, |sets| sets.permitted.bits());
    (0..u64::BITS).map(|index| 1 << index).any(|bit| {
        permitted & bit != 0
            && !capability_is_in_ambient_set(CapabilitySet::from_bits_retain(bit)).unwrap_or(false)
    })
}

/// How many numbers are looked at for an inherited descriptor. Those of engines, shells and
/// supervisors are small.
const MAX_DESCRIPTORS: i32 = 4096;

/// The first descriptor of a directory that the child inherits: by `fchdir(2)` or `openat(2)` it is
/// a way out of any root. frigate's own are all closed at an exec.
#[inline(never)]
pub(crate) fn find_inherited_directory() -> Option<i32> {
    (0..MAX_DESCRIPTORS).find(|number| {
        // SAFETY: the number is only asked about. If it is no descriptor, both calls say so.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl_getfd(fd).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
            && fstat(fd)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    })
}

/// Whether frigate is that user already.
pub(crate) fn is_user(uid: u32) -> bool {
    getuid().as_raw() == uid && geteuid().as_raw() == uid
}

/// Whether frigate has that group already.
pub(crate) fn is_group(gid: u32) -> bool {
    getgid().as_raw() == gid && getegid().as_raw() == gid
}

/// Whether frigate is a member of just these groups. Where the group itself stays (`gid` is
/// frigate's, or none is wanted) it counts as one of them whether it is listed or not; where it
/// changes, only what is listed is left.
pub(crate) fn has_groups(wanted: &[u32], gid: Option<u32>) -> bool {
    let own = getegid().as_raw();
    let kept = gid.is_none_or(is_group).then_some(own);
    let Ok(actual) = getgroups() else {
        return false;
    };
    let is_member =
        |gid: u32| kept == Some(gid) || actual.iter().any(|actual| actual.as_raw() == gid);
    let is_wanted = |gid: u32| kept == Some(gid) || wanted.contains(&gid);
    actual.iter().all(|gid| is_wanted(gid.as_raw())) && wanted.iter().all(|gid| is_member(*gid))
}

/// The file system of anonymous pipes (`PIPEFS_MAGIC`).
const PIPEFS_MAGIC: rustix::fs::FsWord = 0x5049_5045;

/// Gives the standard streams to the user, so that it can open `/dev/stdout` by name: anonymous
/// pipes, and terminals if `with_terminals`. All else has a name of its own, whose owner is not
/// frigate's business: files, named FIFOs, devices such as `/dev/null`. What may not be given stays
/// as it is.
#[inline(never)]
pub(crate) fn set_stream_owner(uid: u32, with_terminals: bool) {
    use rustix::fs::{Uid, fchown, fstatfs};
    use rustix::stdio::{stderr, stdin, stdout};
    for stream in [stdin(), stdout(), stderr()] {
        let Ok(stat) = fstat(stream) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_changed = kind == FileType::Fifo
            && fstatfs(stream).is_ok_and(|system| system.f_type == PIPEFS_MAGIC)
            || with_terminals
                && kind == FileType::CharacterDevice
                && rustix::termios::isatty(stream);
        if is_changed && stat.st_uid != uid {
            let _ = fchown(stream, Some(Uid::from_raw(uid)), None);
        }
    }
}

//! Files that frigate opens by name, in directories that others may write to.
//!
//! frigate keeps its identity while the child becomes `--user`. A file that frigate opens as root
//! by its whole path would let whoever can write to a directory on the way choose which file that
//! is. So the path is walked once, component by component, and the last directory is held open.
//! From then on everything is done to a name in that directory, and no link is followed.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat};
use rustix::io::Errno as RawErrno;
use rustix::process::geteuid;
use rustix::{fs, io};

use super::errno;
use super::spawn::Confinement;
use crate::core::errno::Errno;

/// As many links as the kernel itself follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

const STICKY_BIT: u32 = 0o1000;

/// The user that the child becomes, if that is another one than frigate's, and one whose rights
/// have limits.
#[derive(Clone, Copy)]
pub(crate) struct ChildUser<'a> {
    uid: u32,
    confinement: &'a Confinement,
}

impl<'a> ChildUser<'a> {
    pub(crate) fn of(confinement: &'a Confinement) -> Option<Self> {
        let uid = confinement.user.filter(|uid| *uid != 0)?;
        Some(Self { uid, confinement })
    }

    /// Whether it can put something into the directory. An owner can take that right at any time.
    fn may_write(self, directory: &Stat) -> bool {
        let Confinement { group, groups, .. } = self.confinement;
        // Groups that are frigate's may be any.
        let is_member = || {
            *group == Some(directory.st_gid)
                || groups
                    .as_ref()
                    .is_none_or(|all| all.contains(&directory.st_gid))
        };
        directory.st_uid == self.uid
            || directory.st_mode & 0o002 > 0
            || directory.st_mode & 0o020 > 0 && is_member()
    }
}

/// What is wrong with a file or a directory on the way, and how to mend it.
type Rule = &'static str;

const FOREIGN_LINK: Rule =
    "' is a link that neither root nor frigate controls; name the file that it leads to";
const REPLACEABLE: Rule = "' can be replaced by the command's user; make this user its owner";
const HARD_LINKS: Rule = "' has more than one hard link; remove the others";
const FOREIGN_OWNER: Rule = "' belongs to another user; remove it";
const NOT_REGULAR: Rule = "' is not a regular file";

/// Why a file was not opened.
#[derive(Debug)]
pub(crate) struct OpenError {
    pub(crate) errno: Errno,
    /// The component that is against a rule, and the rule.
    violation: Option<String>,
}

impl OpenError {
    /// What is said after the error number: the rule, if there is one, and what happens next.
    pub(crate) fn followed_by(&self, next: &str) -> String {
        let (text, separator) = self
            .violation
            .as_ref()
            .map_or(("", ""), |text| (text.as_str(), "; "));
        [text, separator, next].concat()
    }

    pub(crate) const fn is_rule_violation(&self) -> bool {
        self.violation.is_some()
    }

    fn violation(object: &CStr, rule: Rule) -> Self {
        let text = ["'", &crate::core::text::text_of(object.to_bytes()), rule].concat();
        Self {
            errno: Errno::NOT_PERMITTED,
            violation: Some(text),
        }
    }

    /// In place of the error number.
    pub(crate) fn reason(&self) -> String {
        self.violation
            .clone()
            .unwrap_or_else(|| self.errno.to_string())
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            violation: None,
        }
    }
}

impl From<RawErrno> for OpenError {
    fn from(error: RawErrno) -> Self {
        errno(error).into()
    }
}

/// A name in a directory that is held open.
pub(crate) struct DirectoryEntry {
    directory: OwnedFd,
    name: CString,
    /// The child's user, if it can put files into the directory.
    writer: Option<u32>,
}

/// An open file, and where it is; `None`: a link of procfs led to it, such as `/proc/self/fd/1`,
/// and it has no name.
pub(crate) struct Opened {
    pub(crate) file: OwnedFd,
    pub(crate) stat: Stat,
    pub(crate) entry: Option<DirectoryEntry>,
}

fn has_type(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

pub(crate) fn is_regular(stat: &Stat) -> bool {
    has_type(stat, FileType::RegularFile)
}

/// Never waits for the reader of a FIFO, never makes a terminal the controlling one.
pub(super) const APPEND_FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// A descriptor of a directory, or of a link, that gives no right to what is in it.
const PATH_FLAGS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl DirectoryEntry {
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn open_with(&self, flags: OFlags) -> io::Result<OwnedFd> {
        open_at(self.directory.as_fd(), &self.name, flags)
    }

    /// Opens the file of that name, or makes one. A link is not followed. With `regular_only`
    /// nothing else is opened.
    ///
    /// What the child's user may have put there has to be its own, root's or frigate's, and must
    /// have no other name: a hard link, or a file that was moved here, would be a way to a file
    /// that this user cannot write to.
    pub(crate) fn open(&self, regular_only: bool) -> Result<(OwnedFd, Stat), OpenError> {
        let existing = APPEND_FLAGS.union(OFlags::NOFOLLOW);
        let mut result = self.open_with(existing);
        let mut is_new = false;
        if matches!(result, Err(RawErrno::NOENT)) {
            result = self.open_with(existing.union(OFlags::CREATE).union(OFlags::EXCL));
            is_new = result.is_ok();
        }
        if matches!(result, Err(RawErrno::EXIST)) {
            // Another writer of the same log was quicker.
            result = self.open_with(existing);
        }
        let violation = |rule| OpenError::violation(&self.name, rule);
        let file = match result {
            Err(RawErrno::LOOP) => return Err(violation(FOREIGN_LINK)),
            result => result?,
        };
        let stat = stat_of(&file)?;
        if !is_regular(&stat) && regular_only {
            return Err(violation(NOT_REGULAR));
        }
        if !is_new && (is_regular(&stat) || self.writer.is_some()) && stat.st_nlink > 1 {
            return Err(violation(HARD_LINKS));
        }
        if let Some(writer) = self.writer
            && !is_new
            && ![0, geteuid().as_raw(), writer].contains(&stat.st_uid)
        {
            return Err(violation(FOREIGN_OWNER));
        }
        Ok((file, stat))
    }

    /// What has the name of that backup now, 0 being the file itself; a link is a link.
    pub(crate) fn stat_backup(&self, backup: u32) -> Result<Option<Stat>, Errno> {
        match fs::statat(
            &self.directory,
            self.backup_name(backup).as_c_str(),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) => Ok(Some(stat)),
            Err(RawErrno::NOENT) => Ok(None),
            Err(error) => Err(errno(error)),
        }
    }

    /// Gives a backup, 0 being the file itself, the next higher number.
    pub(crate) fn shift_backup(&self, backup: u32) -> Result<(), Errno> {
        let (from, to) = (self.backup_name(backup), self.backup_name(backup + 1));
        fs::renameat(
            &self.directory,
            from.as_c_str(),
            &self.directory,
            to.as_c_str(),
        )
        .map_err(errno)
    }

    fn backup_name(&self, number: u32) -> CString {
        let mut name = self.name.to_bytes().to_vec();
        if number > 0 {
            name.extend_from_slice(format!(".{number}").as_bytes());
        }
        CString::new(name).unwrap_or_default()
    }
}

/// Walks a path from `/` or the current directory, and opens what it leads to, or makes a file.
///
/// # Errors
///
/// The kernel's, or one of the rules of `walk`.
pub(crate) fn open(path: &str, user: Option<ChildUser<'_>>) -> Result<Opened, OpenError> {
    let mut path_walk = Walk {
        directory: open_directory(CWD, c"/")?,
        rest: path.as_bytes().to_vec(),
        name: CString::default(),
    };
    if !path.starts_with('/') {
        path_walk.directory = open_directory(CWD, c".")?;
    }
    match walk(&mut path_walk, user) {
        Ok(WalkEnd::ProcfsLink) => {
            let file = open_at(path_walk.directory.as_fd(), &path_walk.name, APPEND_FLAGS)?;
            Ok(Opened {
                stat: stat_of(&file)?,
                file,
                entry: None,
            })
        }
        Ok(WalkEnd::Entry { writer }) => {
            let entry = DirectoryEntry {
                directory: path_walk.directory,
                name: path_walk.name,
                writer,
            };
            let (file, stat) = entry.open(false)?;
            Ok(Opened {
                file,
                stat,
                entry: Some(entry),
            })
        }
        Err(WalkError::Errno(errno)) => Err(errno.into()),
        Err(WalkError::Rule(rule)) => Err(OpenError::violation(&path_walk.name, rule)),
    }
}

/// What a walk ended at.
enum WalkEnd {
    /// A link of procfs, such as `/proc/self/fd/1`.
    ProcfsLink,
    Entry {
        /// See `DirectoryEntry`.
        writer: Option<u32>,
    },
}

/// Why a walk went no further.
#[derive(Clone, Copy)]
enum WalkError {
    Errno(Errno),
    /// The component at hand is against it.
    Rule(Rule),
}

impl From<RawErrno> for WalkError {
    fn from(error: RawErrno) -> Self {
        Self::Errno(errno(error))
    }
}

/// How far a walk has come.
struct Walk {
    directory: OwnedFd,
    /// What is still to be walked.
    rest: Vec<u8>,
    /// The component at hand.
    name: CString,
}

impl Walk {
    /// Takes the next component off the path. Returns false at its end.
    fn next(&mut self) -> bool {
        let Some(first) = self.rest.iter().position(|byte| *byte != b'/') else {
            return false;
        };
        let mut word = self.rest.split_off(first);
        self.rest = word.split_off(
            word.iter()
                .position(|byte| *byte == b'/')
                .unwrap_or(word.len()),
        );
        self.name = CString::new(word).unwrap_or_default();
        true
    }

    fn open_directory(&mut self) -> io::Result<()> {
        self.directory = open_directory(self.directory.as_fd(), &self.name)?;
        Ok(())
    }
}

/// Walks to the last component.
///
/// In a directory that the child's user can write to, only a directory of this user's own is
/// entered: it gives nothing that the user does not have, while anything else could have been moved
/// there. Elsewhere, and in a sticky directory for what is not the user's, all directories are
/// entered, and links are followed if they are root's or frigate's. The owner of `/` is trusted as
/// well: in a user namespace that does not know root, it is root by another number.
#[inline(never)]
fn walk(walk: &mut Walk, user: Option<ChildUser<'_>>) -> Result<WalkEnd, WalkError> {
    let trusted = [
        0,
        geteuid().as_raw(),
        stat_of(&open_directory(CWD, c"/")?)?.st_uid,
    ];
    let mut links = 0;
    while walk.next() {
        let is_last = walk.rest.is_empty();
        if matches!(walk.name.as_bytes(), b"." | b"..") {
            // Nobody can put anything else in their place.
            walk.open_directory()?;
            continue;
        }
        let around = stat_of(&walk.directory)?;
        let writer = user
            .filter(|user| user.may_write(&around))
            .map(|user| user.uid);
        let end = WalkEnd::Entry { writer };
        let found = match open_at(
            walk.directory.as_fd(),
            &walk.name,
            PATH_FLAGS | OFlags::NOFOLLOW,
        ) {
            Err(RawErrno::NOENT) if is_last => return Ok(end),
            found => found?,
        };
        let stat = stat_of(&found)?;
        let is_sticky = around.st_mode & STICKY_BIT > 0;
        // The user, if it can put something else there.
        let user = writer.filter(|uid| !is_sticky || [stat.st_uid, around.st_uid].contains(uid));
        if !has_type(&stat, FileType::Symlink) {
            if is_last {
                return Ok(end);
            }
            if user.is_some_and(|uid| stat.st_uid != uid) {
                return Err(WalkError::Rule(REPLACEABLE));
            }
            // ENOTDIR if it is none. Opened anew by its descriptor, so that it is the one that was
            // looked at.
            walk.directory = open_directory(found.as_fd(), c".")?;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(RawErrno::LOOP.into());
        }
        // Links of procfs are the kernel's own, whoever has them, and their text is no path.
        if fs::fstatfs(&found)?.f_type == PROC_SUPER_MAGIC {
            if is_last {
                return Ok(WalkEnd::ProcfsLink);
            }
            walk.open_directory()?;
            continue;
        }
        if user.is_some() || !trusted.contains(&stat.st_uid) {
            return Err(WalkError::Rule(FOREIGN_LINK));
        }
        // A path is at most PATH_MAX bytes long.
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let (target, _) = fs::readlinkat_raw(&found, c"", &mut buffer[..])?;
        let mut path = target.to_vec();
        if path.starts_with(b"/") {
            walk.directory = open_directory(CWD, c"/")?;
        }
        path.append(&mut walk.rest);
        walk.rest = path;
    }
    Err(RawErrno::ISDIR.into())
}

/// `openat(2)`, once for all callers; a new file is not readable by everybody, since nobody knows
/// what the child prints.
#[inline(never)]
fn open_at(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    fs::openat(directory, name, flags, Mode::from_raw_mode(0o640))
}

#[inline(never)]
fn open_directory(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_at(directory, name, PATH_FLAGS | OFlags::DIRECTORY)
}

#[inline(never)]
fn stat_of(fd: &OwnedFd) -> io::Result<Stat> {
    fs::fstat(fd)
}

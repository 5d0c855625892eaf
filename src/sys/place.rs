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
const MOST_LINKS: usize = 40;

const STICKY: u32 = 0o1000;

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

const LINK: Rule =
    "' is a link that neither root nor frigate controls; name the file that it leads to";
const REPLACEABLE: Rule = "' can be replaced by the command's user; make this user its owner";
const HARD_LINKS: Rule = "' has more than one hard link; remove the others";
const FOREIGN: Rule = "' belongs to another user; remove it";
const NOT_REGULAR: Rule = "' is not a regular file";

/// Why a file was not opened.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// The component that is against a rule, and the rule.
    against: Option<String>,
}

impl Refusal {
    /// What is said after the error number: the rule, if there is one, and what happens next.
    pub(crate) fn then(&self, next: &str) -> String {
        let (text, separator) = self
            .against
            .as_ref()
            .map_or(("", ""), |text| (text.as_str(), "; "));
        [text, separator, next].concat()
    }

    pub(crate) const fn is_by_rule(&self) -> bool {
        self.against.is_some()
    }

    fn rule(object: &CStr, rule: Rule) -> Self {
        let text = ["'", &crate::core::text::lossy_text(object.to_bytes()), rule].concat();
        Self {
            errno: Errno::NOT_PERMITTED,
            against: Some(text),
        }
    }

    /// In place of the error number.
    pub(crate) fn reason(&self) -> String {
        self.against
            .clone()
            .unwrap_or_else(|| self.errno.to_string())
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            against: None,
        }
    }
}

impl From<RawErrno> for Refusal {
    fn from(error: RawErrno) -> Self {
        errno(error).into()
    }
}

/// A name in a directory that is held open.
pub(crate) struct Place {
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
    pub(crate) place: Option<Place>,
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

pub(crate) fn is_regular(stat: &Stat) -> bool {
    is(stat, FileType::RegularFile)
}

/// Never waits for the reader of a FIFO, never makes a terminal the controlling one.
pub(super) const FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// A descriptor of a directory, or of a link, that gives no right to what is in it.
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Place {
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
    pub(crate) fn open(&self, regular_only: bool) -> Result<(OwnedFd, Stat), Refusal> {
        let existing = FLAGS.union(OFlags::NOFOLLOW);
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
        let against = |rule| Refusal::rule(&self.name, rule);
        let file = match result {
            Err(RawErrno::LOOP) => return Err(against(LINK)),
            result => result?,
        };
        let stat = stat_of(&file)?;
        if !is_regular(&stat) && regular_only {
            return Err(against(NOT_REGULAR));
        }
        if !is_new && (is_regular(&stat) || self.writer.is_some()) && stat.st_nlink > 1 {
            return Err(against(HARD_LINKS));
        }
        if let Some(writer) = self.writer
            && !is_new
            && ![0, geteuid().as_raw(), writer].contains(&stat.st_uid)
        {
            return Err(against(FOREIGN));
        }
        Ok((file, stat))
    }

    /// What has the name of that backup now, 0 being the file itself; a link is a link.
    pub(crate) fn look(&self, backup: u32) -> Result<Option<Stat>, Errno> {
        match fs::statat(
            &self.directory,
            self.backup(backup).as_c_str(),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) => Ok(Some(stat)),
            Err(RawErrno::NOENT) => Ok(None),
            Err(error) => Err(errno(error)),
        }
    }

    /// Gives a backup, 0 being the file itself, the next higher number.
    pub(crate) fn move_up(&self, backup: u32) -> Result<(), Errno> {
        let (from, to) = (self.backup(backup), self.backup(backup + 1));
        fs::renameat(
            &self.directory,
            from.as_c_str(),
            &self.directory,
            to.as_c_str(),
        )
        .map_err(errno)
    }

    fn backup(&self, number: u32) -> CString {
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
pub(crate) fn open(path: &str, user: Option<ChildUser<'_>>) -> Result<Opened, Refusal> {
    let mut way = Way {
        directory: enter(CWD, c"/")?,
        rest: path.as_bytes().to_vec(),
        name: CString::default(),
    };
    if !path.starts_with('/') {
        way.directory = enter(CWD, c".")?;
    }
    match walk(&mut way, user) {
        Ok(End::OfProcfs) => {
            let file = open_at(way.directory.as_fd(), &way.name, FLAGS)?;
            Ok(Opened {
                stat: stat_of(&file)?,
                file,
                place: None,
            })
        }
        Ok(End::Name { writer }) => {
            let place = Place {
                directory: way.directory,
                name: way.name,
                writer,
            };
            let (file, stat) = place.open(false)?;
            Ok(Opened {
                file,
                stat,
                place: Some(place),
            })
        }
        Err(Fault::Errno(errno)) => Err(errno.into()),
        Err(Fault::Rule(rule)) => Err(Refusal::rule(&way.name, rule)),
    }
}

/// What a walk ended at.
enum End {
    /// A link of procfs, such as `/proc/self/fd/1`.
    OfProcfs,
    Name {
        /// See `Place`.
        writer: Option<u32>,
    },
}

/// Why a walk went no further.
#[derive(Clone, Copy)]
enum Fault {
    Errno(Errno),
    /// The component at hand is against it.
    Rule(Rule),
}

impl From<RawErrno> for Fault {
    fn from(error: RawErrno) -> Self {
        Self::Errno(errno(error))
    }
}

/// How far a walk has come.
struct Way {
    directory: OwnedFd,
    /// What is still to be walked.
    rest: Vec<u8>,
    /// The component at hand.
    name: CString,
}

impl Way {
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

    fn enter(&mut self) -> io::Result<()> {
        self.directory = enter(self.directory.as_fd(), &self.name)?;
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
fn walk(way: &mut Way, user: Option<ChildUser<'_>>) -> Result<End, Fault> {
    let trusted = [0, geteuid().as_raw(), stat_of(&enter(CWD, c"/")?)?.st_uid];
    let mut links = 0;
    while way.next() {
        let is_last = way.rest.is_empty();
        if matches!(way.name.as_bytes(), b"." | b"..") {
            // Nobody can put anything else in their place.
            way.enter()?;
            continue;
        }
        let around = stat_of(&way.directory)?;
        let writer = user
            .filter(|user| user.may_write(&around))
            .map(|user| user.uid);
        let end = End::Name { writer };
        let found = match open_at(
            way.directory.as_fd(),
            &way.name,
            ON_THE_WAY | OFlags::NOFOLLOW,
        ) {
            Err(RawErrno::NOENT) if is_last => return Ok(end),
            found => found?,
        };
        let stat = stat_of(&found)?;
        let is_sticky = around.st_mode & STICKY > 0;
        // The user, if it can put something else there.
        let user = writer.filter(|uid| !is_sticky || [stat.st_uid, around.st_uid].contains(uid));
        if !is(&stat, FileType::Symlink) {
            if is_last {
                return Ok(end);
            }
            if user.is_some_and(|uid| stat.st_uid != uid) {
                return Err(Fault::Rule(REPLACEABLE));
            }
            // ENOTDIR if it is none. Opened anew by its descriptor, so that it is the one that was
            // looked at.
            way.directory = enter(found.as_fd(), c".")?;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(RawErrno::LOOP.into());
        }
        // Links of procfs are the kernel's own, whoever has them, and their text is no path.
        if fs::fstatfs(&found)?.f_type == PROC_SUPER_MAGIC {
            if is_last {
                return Ok(End::OfProcfs);
            }
            way.enter()?;
            continue;
        }
        if user.is_some() || !trusted.contains(&stat.st_uid) {
            return Err(Fault::Rule(LINK));
        }
        // A path is at most PATH_MAX bytes long.
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let (target, _) = fs::readlinkat_raw(&found, c"", &mut buffer[..])?;
        let mut path = target.to_vec();
        if path.starts_with(b"/") {
            way.directory = enter(CWD, c"/")?;
        }
        path.append(&mut way.rest);
        way.rest = path;
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
fn enter(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_at(directory, name, ON_THE_WAY | OFlags::DIRECTORY)
}

#[inline(never)]
fn stat_of(fd: &OwnedFd) -> io::Result<Stat> {
    fs::fstat(fd)
}

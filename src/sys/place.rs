//! Files that frigate opens by name, in directories that others may write to.
//!
//! frigate keeps its identity while the child becomes `--user`. A file that frigate opens as root by its whole path would let
//! whoever can write to a directory on the way choose which file that is. So the path is walked once, component by component,
//! and the last directory is held open. From then on everything is done to a name in that directory, and no link is followed.

use core::ffi::CStr;
use core::fmt;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat};
use rustix::io::Errno as RawErrno;
use rustix::process::geteuid;
use rustix::{fs, io};

use super::errno;
use super::spawn::Confinement;
use crate::errno::Errno;

/// As many links as the kernel itself follows in one path (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

const STICKY: u32 = 0o1000;

/// The user that the child becomes, if that is another one than frigate's, and one whose rights have limits.
pub(crate) struct ChildUser {
    uid: u32,
    /// `None`: those of frigate, so that it may be a member of any.
    groups: Option<Vec<u32>>,
}

impl ChildUser {
    pub(crate) fn of(confinement: &Confinement) -> Option<Self> {
        let uid = confinement.user.filter(|uid| *uid != 0)?;
        Some(Self::with(uid, confinement))
    }

    /// Not inlined, since a plain run has no such user.
    #[inline(never)]
    fn with(uid: u32, confinement: &Confinement) -> Self {
        let mut groups = confinement.groups.clone();
        if let (Some(groups), Some(group)) = (&mut groups, confinement.group) {
            groups.push(group);
        }
        Self { uid, groups }
    }

    /// Whether it can put something into the directory. An owner can take that right at any time.
    fn may_write(&self, directory: &Stat) -> bool {
        let is_member = || self.groups.as_ref().is_none_or(|groups| groups.contains(&directory.st_gid));
        directory.st_uid == self.uid || directory.st_mode & 0o002 > 0 || directory.st_mode & 0o020 > 0 && is_member()
    }
}

/// What is wrong with a file or a directory on the way, and behind a semicolon how to mend it.
type Rule = &'static str;

const LINK: Rule = "is a link that neither root nor frigate controls; name the file that it leads to";
const REPLACEABLE: Rule = "can be replaced by the command's user; make this user its owner";
const HARD_LINKS: Rule = "has more than one hard link; remove the others";
const FOREIGN: Rule = "belongs to another user; remove it";
const NOT_REGULAR: Rule = "is not a regular file";

/// Why a file was not opened.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// The component that is against a rule.
    against: Option<(String, Rule)>,
}

impl Refusal {
    /// What is said after the error number: the rule, if there is one, and what happens next.
    pub(crate) fn then(&self, next: &str) -> String {
        match &self.against {
            Some((object, rule)) => {
                let what = rule.split_once(';').map_or(*rule, |(what, _)| what);
                ["'", object, "' ", what, "; ", next].concat()
            }
            None => next.to_owned(),
        }
    }

    pub(crate) const fn is_by_rule(&self) -> bool {
        self.against.is_some()
    }

    fn rule(object: &[u8], rule: Rule) -> Self {
        Self { errno: Errno::NOT_PERMITTED, against: Some((crate::line::text_of(object), rule)) }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, against: None }
    }
}

impl From<RawErrno> for Refusal {
    fn from(error: RawErrno) -> Self {
        errno(error).into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.against {
            Some((object, rule)) => write!(out, "'{object}' {rule}"),
            None => write!(out, "{}", self.errno),
        }
    }
}

/// A name in a directory that is held open.
pub(crate) struct Place {
    directory: OwnedFd,
    name: CString,
    /// The child's user, if it can put files into the directory.
    writer: Option<u32>,
}

/// An open file, and where it is; `None`: a link of procfs led to it, such as `/proc/self/fd/1`, and it has no name.
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
pub(super) const FLAGS: OFlags =
    OFlags::WRONLY.union(OFlags::APPEND).union(OFlags::NOCTTY).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A descriptor of a directory, or of a link, that gives no right to what is in it.
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Place {
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn open_with(&self, flags: OFlags) -> io::Result<OwnedFd> {
        open_at(self.directory.as_fd(), &self.name, flags)
    }

    /// Opens the file of that name, or makes one. A link is not followed. With `regular_only` nothing else is opened.
    ///
    /// What the child's user may have put there has to be its own, root's or frigate's, and must have no other name: a hard
    /// link, or a file that was moved here, would be a way to a file that this user cannot write to.
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
        let against = |rule| Refusal::rule(self.name.as_bytes(), rule);
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

    /// What has that name now, followed by a suffix; a link is a link.
    pub(crate) fn look(&self, suffix: &str) -> Result<Option<Stat>, Errno> {
        match fs::statat(&self.directory, self.with(suffix).as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(RawErrno::NOENT) => Ok(None),
            Err(error) => Err(errno(error)),
        }
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        fs::renameat(&self.directory, self.with(from).as_c_str(), &self.directory, self.with(to).as_c_str())
            .map_err(errno)
    }

    fn with(&self, suffix: &str) -> CString {
        CString::new([self.name.as_bytes(), suffix.as_bytes()].concat()).unwrap_or_default()
    }
}

/// Walks a path from `/` or the current directory, and opens what it leads to, or makes a file.
///
/// # Errors
///
/// The kernel's, or one of the rules of `Walk::step`.
pub(crate) fn open(path: &str, user: Option<&ChildUser>) -> Result<Opened, Refusal> {
    let root = enter(CWD, c"/")?;
    let trusted = [0, geteuid().as_raw(), stat_of(&root)?.st_uid];
    let directory = if path.starts_with('/') { root } else { enter(CWD, c".")? };
    let path = path.as_bytes().to_vec();
    let mut walk =
        Walk { directory, path, at: 0, name: CString::default(), walked: Vec::new(), links: 0, trusted, user };
    // Each step takes a component away, or follows one of a limited number of links.
    loop {
        match walk.step()? {
            Step::Further => {}
            Step::Opened(file) => return Ok(Opened { stat: stat_of(&file)?, file, place: None }),
            Step::Last { writer } => {
                let place = Place { directory: walk.directory, name: walk.name, writer };
                let (file, stat) = place.open(false)?;
                return Ok(Opened { file, stat, place: Some(place) });
            }
        }
    }
}

enum Step {
    Further,
    /// A link of procfs led to it.
    Opened(OwnedFd),
    Last {
        writer: Option<u32>,
    },
}

enum Found {
    Link { is_in_procfs: bool },
    Other,
}

/// `openat(2)`, once for all callers; a new file is not readable by everybody, since nobody knows what the child prints.
#[inline(never)]
fn open_at(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    fs::openat(directory, name, flags, Mode::from_raw_mode(0o640))
}

fn enter(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_at(directory, name, ON_THE_WAY | OFlags::DIRECTORY)
}

#[inline(never)]
fn stat_of(fd: &OwnedFd) -> io::Result<Stat> {
    fs::fstat(fd)
}

struct Walk<'a> {
    directory: OwnedFd,
    path: Vec<u8>,
    /// How much of it has been walked.
    at: usize,
    /// The component at hand.
    name: CString,
    /// The way so far, for messages.
    walked: Vec<u8>,
    links: usize,
    /// Whose links are followed: root's, frigate's, and those of the owner of `/`, who is root by another number in a user
    /// namespace that does not know root.
    trusted: [u32; 3],
    user: Option<&'a ChildUser>,
}

impl Walk<'_> {
    /// Takes one component. The last one is opened.
    ///
    /// In a directory that the child's user can write to, only a directory of this user's own is entered: it gives nothing that
    /// the user does not have, while anything else could have been moved there. Elsewhere, and in a sticky directory for what
    /// is not the user's, all directories are entered, and links are followed if their owner is trusted.
    fn step(&mut self) -> Result<Step, Refusal> {
        let rest = self.path.get(self.at..).unwrap_or_default();
        let slashes = rest.iter().position(|byte| *byte != b'/').ok_or(RawErrno::ISDIR)?;
        let rest = rest.get(slashes..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.name = CString::new(word).unwrap_or_default();
        self.at += slashes + end;
        if slashes > 0 {
            self.walked.push(b'/');
        }
        self.walked.extend_from_slice(word);
        let is_last = self.at == self.path.len();
        if word == b"." || word == b".." {
            // Nobody can put anything else in their place.
            self.directory = enter(self.directory.as_fd(), &self.name)?;
            return if is_last { Err(RawErrno::ISDIR.into()) } else { Ok(Step::Further) };
        }
        let around = stat_of(&self.directory)?;
        let writer = self.user.filter(|user| user.may_write(&around)).map(|user| user.uid);
        let found = match open_at(self.directory.as_fd(), &self.name, ON_THE_WAY | OFlags::NOFOLLOW) {
            Err(RawErrno::NOENT) if is_last => return Ok(Step::Last { writer }),
            found => found?,
        };
        match self.judge(&found, &around, writer, is_last)? {
            Found::Link { is_in_procfs } => self.follow(&found, is_in_procfs),
            Found::Other if is_last => Ok(Step::Last { writer }),
            Found::Other => {
                self.directory = found;
                Ok(Step::Further)
            }
        }
    }

    /// Whether what was found in a directory may be followed or entered. A file is judged when it is opened.
    #[inline(never)]
    fn judge(&self, found: &OwnedFd, around: &Stat, writer: Option<u32>, is_last: bool) -> Result<Found, Refusal> {
        let stat = stat_of(found)?;
        let is_sticky = around.st_mode & STICKY > 0;
        // Whoever can put something else there.
        let user = writer.filter(|uid| !is_sticky || [stat.st_uid, around.st_uid].contains(uid));
        if is(&stat, FileType::Symlink) {
            // Those of procfs are the kernel's own, whoever has them.
            let is_in_procfs = fs::fstatfs(found)?.f_type == PROC_SUPER_MAGIC;
            if !is_in_procfs && (user.is_some() || !self.trusted.contains(&stat.st_uid)) {
                return Err(Refusal::rule(&self.walked, LINK));
            }
            return Ok(Found::Link { is_in_procfs });
        }
        if !is_last && user.is_some_and(|uid| stat.st_uid != uid) {
            return Err(Refusal::rule(&self.walked, REPLACEABLE));
        }
        if !is_last && !is(&stat, FileType::Directory) {
            return Err(RawErrno::NOTDIR.into());
        }
        Ok(Found::Other)
    }

    /// Links of procfs, such as `/proc/self/fd/1`, have to be followed by the kernel: their text is no path.
    fn follow(&mut self, link: &OwnedFd, is_in_procfs: bool) -> Result<Step, Refusal> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(RawErrno::LOOP.into());
        }
        if is_in_procfs && self.at == self.path.len() {
            return Ok(Step::Opened(open_at(self.directory.as_fd(), &self.name, FLAGS)?));
        }
        if is_in_procfs {
            self.directory = enter(self.directory.as_fd(), &self.name)?;
            return Ok(Step::Further);
        }
        let mut path = fs::readlinkat(link, c"", Vec::new())?.into_bytes();
        let parent = self.walked.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        self.walked.truncate(parent);
        if path.starts_with(b"/") {
            self.walked.clear();
            self.directory = enter(CWD, c"/")?;
        }
        path.extend_from_slice(self.path.get(self.at..).unwrap_or_default());
        self.path = path;
        self.at = 0;
        Ok(Step::Further)
    }
}

//! Events of files and directories (`inotify(7)`), for everything on the way to a path.
//!
//! A child may be able to change the way while it is walked. So each component is opened without a
//! link being followed, links are followed by their text, and a watch is added through the
//! descriptor that was looked at. No file is opened for reading: a FIFO or a device does not notice.

use core::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno as RawErrno;
use rustix::process::getcwd;

use super::own_descriptor::note_own;
use super::safe_open::{MAX_LINKS, PATH_FLAGS, PathWalk};
use super::{descriptor_link, errno};
use crate::core::errno::Errno;
use crate::core::watch::{FileKind, Identity};

/// The most components of one way, with those of the links on it. A child that can make links could
/// make the way as long as it likes.
const MOST_COMPONENTS: usize = 256;

/// The directory itself is removed or moved.
const ITSELF: WatchFlags = WatchFlags::DELETE_SELF
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Also, an entry of the directory comes or goes.
const NAMES: WatchFlags = ITSELF
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE);

/// A file is closed after it was open for writing, or its permissions or times change. Writes
/// themselves are not reported: a file that is written in steps would be taken half written.
const CONTENT: WatchFlags = WatchFlags::CLOSE_WRITE.union(WatchFlags::ATTRIB);

/// One watch on the way to a path.
#[derive(PartialEq, Eq)]
pub(crate) struct Step {
    /// The kernel's number of the watch.
    pub(crate) watch: i32,
    /// The entry of the watched directory that is meant; `None` means any.
    name: Option<Vec<u8>>,
}

/// Something that happened at a watch.
#[derive(Clone, Copy)]
pub(crate) struct FileEvent<'a> {
    /// `None` means that events were lost, at any watch.
    watch: Option<i32>,
    /// The entry of the watched directory; empty for what is watched itself.
    name: &'a [u8],
}

impl FileEvent<'_> {
    /// Returns whether the event may concern a path with this step. `Some(true)` means that it was
    /// about an entry of the directory that the path names.
    pub(crate) fn concerns(self, step: &Step) -> Option<bool> {
        let Some(watch) = self.watch else {
            return Some(step.name.is_none());
        };
        if watch != step.watch {
            return None;
        }
        match &step.name {
            _ if self.name.is_empty() => Some(false),
            None => Some(true),
            Some(name) => (name == self.name).then_some(false),
        }
    }
}

/// A queue of events, at most one for each kind of event, watch and name.
pub(crate) struct Inotify(OwnedFd);

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Inotify {
    pub(crate) fn new() -> Result<Self, Errno> {
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map(|fd| Self(note_own(fd)))
            .map_err(errno)
    }

    /// Watches everything on the way to an absolute path by which the path could come to name
    /// something else, and what it names. Appends these watches to `steps`. Returns what the path
    /// names; `None` means nothing. What is watched already is not watched twice, and keeps its
    /// number.
    ///
    /// A change before its watch was added is not reported. If a second call appends the same
    /// watches, they were all there before it, and it missed nothing.
    ///
    /// # Errors
    ///
    /// Something cannot be watched: a directory is not readable (EACCES), the user has as many
    /// watches as the kernel allows (ENOSPC), or `/proc` is not mounted (ENOENT).
    pub(crate) fn watch_path(
        &self,
        path: &str,
        steps: &mut Vec<Step>,
    ) -> Result<Option<Identity>, Errno> {
        self.walk(path, steps).map_err(errno)
    }

    fn walk(&self, path: &str, steps: &mut Vec<Step>) -> rustix::io::Result<Option<Identity>> {
        let mut walk = PathWalk::begin(path)?;
        let mut links = 0;
        for _ in 0..MOST_COMPONENTS {
            if !walk.advance() {
                return self.watch_end(&walk.directory, steps).map(Some);
            }
            let name = Some(walk.name.as_bytes().to_vec());
            let flags = PATH_FLAGS | OFlags::NOFOLLOW;
            let component = match openat(&walk.directory, &walk.name, flags, Mode::empty()) {
                // It is not there, or frigate may not see it.
                Err(RawErrno::NOENT | RawErrno::ACCESS | RawErrno::NAMETOOLONG) => {
                    steps.push(self.watch(&walk.directory, NAMES | CONTENT, name)?);
                    return Ok(None);
                }
                opened => opened.map(note_own)?,
            };
            let stat = fstat(&component)?;
            let is_last = walk.rest.iter().all(|byte| *byte == b'/');
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Symlink {
                steps.push(self.watch(&walk.directory, NAMES, name)?);
                links += 1;
                if links > MAX_LINKS {
                    return Ok(None);
                }
                walk.follow(&component)?;
            } else if is_last {
                steps.push(self.watch(&walk.directory, NAMES | CONTENT, name)?);
                return self.watch_end(&component, steps).map(Some);
            } else if kind == FileType::Directory {
                // A directory that frigate may enter and not read cannot be watched. Then its
                // replacement goes unnoticed, which is better than no watch at all.
                match self.watch(&walk.directory, ITSELF, Some(Vec::new())) {
                    Err(RawErrno::ACCESS) => {}
                    watched => steps.push(watched?),
                }
                walk.directory = component;
            } else {
                // A file where a directory should be.
                steps.push(self.watch(&walk.directory, NAMES, name)?);
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Watches what the path names. A file is watched besides its directory: one that is mounted by
    /// itself is written to through another directory.
    fn watch_end(&self, end: &OwnedFd, steps: &mut Vec<Step>) -> rustix::io::Result<Identity> {
        let kind = kind_of(&fstat(end)?);
        match kind {
            FileKind::Directory => steps.push(self.watch(end, NAMES | CONTENT, None)?),
            FileKind::Regular => match self.watch(end, CONTENT, Some(Vec::new())) {
                // frigate may not read the file. Its directory reports most changes, too.
                Err(RawErrno::ACCESS) => {}
                watched => steps.push(watched?),
            },
            FileKind::Other => {}
        }
        // After the watch: what changes now is reported.
        fstat(end).map(|stat| identity_of(&stat))
    }

    fn watch(
        &self,
        target: &OwnedFd,
        flags: WatchFlags,
        name: Option<Vec<u8>>,
    ) -> rustix::io::Result<Step> {
        // Two paths may need different events of one directory.
        let flags = flags | WatchFlags::MASK_ADD;
        let link = descriptor_link(target)?;
        let watch = inotify::add_watch(&self.0, link.as_c_str(), flags)?;
        Ok(Step { watch, name })
    }

    /// Removes a watch. The kernel may have removed it already.
    pub(crate) fn unwatch(&self, watch: i32) {
        let _ = inotify::remove_watch(&self.0, watch);
    }

    /// Takes the events of one read off the queue. Returns whether there were any.
    pub(crate) fn read(&self, each: &mut dyn FnMut(FileEvent<'_>)) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut buffer);
        while let Ok(event) = reader.next() {
            let is_lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            each(FileEvent {
                watch: Some(event.wd()).filter(|_| !is_lost),
                name: event.file_name().map_or(&[], core::ffi::CStr::to_bytes),
            });
            if reader.is_buffer_empty() {
                return true;
            }
        }
        false
    }
}

fn kind_of(stat: &Stat) -> FileKind {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::RegularFile {
        FileKind::Regular
    } else if kind == FileType::Directory {
        FileKind::Directory
    } else {
        FileKind::Other
    }
}

#[allow(
    clippy::useless_conversion,
    reason = "the kernel's types differ between processors"
)]
fn identity_of(stat: &Stat) -> Identity {
    Identity {
        kind: kind_of(stat),
        device: stat.st_dev.into(),
        inode: stat.st_ino.into(),
        links: stat.st_nlink.into(),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        changed: (stat.st_ctime.into(), stat.st_ctime_nsec.into()),
    }
}

/// Returns the path with the current directory before it, if it is relative.
pub(crate) fn absolute_path(path: &str) -> Result<String, Errno> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let directory = getcwd(Vec::new()).map_err(errno)?;
    match directory.to_str() {
        // Otherwise the directory cannot be reached from the root (`getcwd(3)`).
        Ok(directory) if directory.starts_with('/') => Ok([directory, "/", path].concat()),
        _ => Err(Errno::NOT_FOUND),
    }
}

/// Checks that a directory is there.
pub(crate) fn check_directory(path: &str) -> Result<(), Errno> {
    super::path_handle::PathHandle::open(path)?.check_directory()
}

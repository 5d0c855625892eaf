//! How far a walk along a path has got.

use core::mem::MaybeUninit;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::CWD;
use rustix::{fs, io};

use super::descriptor::open_directory;

/// How many links the kernel follows in one path (`path_resolution(7)`).
pub(in crate::sys) const MAX_LINKS: usize = 40;

/// How far a walk has got.
pub(in crate::sys) struct PathWalk {
    pub(in crate::sys) directory: OwnedFd,
    /// The rest of the path.
    pub(in crate::sys) rest: Vec<u8>,
    /// The current component.
    pub(in crate::sys) name: CString,
}

impl PathWalk {
    /// Begins a walk at `/`, or in the current directory if the path is relative.
    pub(in crate::sys) fn begin(path: &str) -> io::Result<Self> {
        let mut walk = Self {
            directory: open_directory(CWD, c"/")?,
            rest: path.as_bytes().to_vec(),
            name: CString::default(),
        };
        if !path.starts_with('/') {
            walk.directory = open_directory(CWD, c".")?;
        }
        Ok(walk)
    }

    /// Takes the next component off the path. Returns false at the end of the path.
    pub(in crate::sys) fn advance(&mut self) -> bool {
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

    pub(super) fn open_directory(&mut self) -> io::Result<()> {
        self.directory = open_directory(self.directory.as_fd(), &self.name)?;
        Ok(())
    }

    /// Puts the target of a link before the rest of the path.
    pub(in crate::sys) fn follow(&mut self, link: &OwnedFd) -> io::Result<()> {
        // PATH_MAX (limits.h).
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let (target, _) = fs::readlinkat_raw(link, c"", &mut buffer[..])?;
        let mut path = target.to_vec();
        if path.starts_with(b"/") {
            self.directory = open_directory(CWD, c"/")?;
        }
        path.append(&mut self.rest);
        self.rest = path;
        Ok(())
    }
}

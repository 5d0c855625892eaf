//! The kernel's error numbers: which of them pass by themselves, and how they read.
//!
//! The numbers are those of `errno(3)` on every supported architecture.
#![forbid(unsafe_code)]

use core::fmt;

/// An error number of the kernel's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(i32);

/// What frigate can meet, in its own words, sorted by number.
const TEXTS: [(i32, &str); 35] = [
    (1, "operation not permitted"),
    (2, "no such file or directory"),
    (3, "no such process"),
    (4, "interrupted"),
    (5, "input/output error"),
    (6, "no such device or address"),
    (7, "argument list too long"),
    (8, "not a program this kernel can execute (a script needs a first line such as #!/bin/sh)"),
    (9, "bad descriptor"),
    (11, "resource temporarily unavailable (a limit on processes?)"),
    (12, "out of memory"),
    (13, "permission denied"),
    (14, "bad address"),
    (16, "busy"),
    (17, "file exists"),
    (19, "no such device"),
    (20, "not a directory"),
    (21, "is a directory"),
    (22, "invalid argument"),
    (23, "too many open files in the system"),
    (24, "too many open files"),
    (26, "the file is being written to"),
    (27, "file too large"),
    (28, "no space left on the device"),
    (30, "read-only file system"),
    (32, "broken pipe"),
    (34, "out of range"),
    (36, "file name too long"),
    (38, "not supported by this kernel"),
    (40, "too many symbolic links"),
    (80, "a shared library it needs is damaged"),
    (95, "not supported there"),
    (110, "timed out"),
    (116, "the network file system no longer knows it"),
    (122, "disk quota exceeded"),
];

impl Errno {
    pub(crate) const NOT_PERMITTED: Self = Self(1);
    pub(crate) const NOT_FOUND: Self = Self(2);
    pub(crate) const NO_PROCESS: Self = Self(3);
    pub(crate) const INTERRUPTED: Self = Self(4);
    pub(crate) const IO: Self = Self(5);
    pub(crate) const AGAIN: Self = Self(11);
    pub(crate) const ACCESS: Self = Self(13);
    pub(crate) const BUSY: Self = Self(16);
    pub(crate) const EXISTS: Self = Self(17);
    pub(crate) const NO_DEVICE: Self = Self(19);
    pub(crate) const NOT_A_DIRECTORY: Self = Self(20);
    pub(crate) const IS_A_DIRECTORY: Self = Self(21);
    pub(crate) const INVALID: Self = Self(22);
    pub(crate) const READ_ONLY: Self = Self(30);
    pub(crate) const RANGE: Self = Self(34);
    pub(crate) const NOT_SUPPORTED: Self = Self(95);
    pub(crate) const TIMED_OUT: Self = Self(110);
    pub(crate) const STALE: Self = Self(116);

    pub(crate) const fn new(raw: i32) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> i32 {
        self.0
    }

    /// Whether the same start may succeed a moment later: the machine was short of something (EINTR, EIO, EAGAIN, ENOMEM,
    /// EBUSY, ENFILE, EMFILE, ETXTBSY, ENOSPC, ENOBUFS, ETIMEDOUT, ESTALE, EDQUOT).
    pub(crate) const fn is_for_now(self) -> bool {
        matches!(self.0, 4 | 5 | 11 | 12 | 16 | 23 | 24 | 26 | 28 | 105 | 110 | 116 | 122)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TEXTS.iter().find(|(number, _)| *number == self.0) {
            Some((_, text)) => out.write_str(text),
            None => write!(out, "error number {}", self.0),
        }
    }
}

//! The kernel's error numbers: which of them are temporary, and how they read.
//!
//! The numbers are those of `errno(3)` on every supported architecture.

use core::fmt;

use crate::core::number::parse_number;

/// An error number of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(i32);

/// The errors that frigate can meet, a line each, which begins with the number. An array of pairs
/// would take 24 bytes more for each.
const TEXTS: &str = "\
1 operation not permitted\n\
2 no such file or directory\n\
3 no such process\n\
4 interrupted\n\
5 input/output error\n\
6 no such device or address\n\
7 argument list too long\n\
8 not a program this kernel can execute (a script needs a first line such as #!/bin/sh)\n\
9 bad descriptor\n\
11 resource temporarily unavailable (a limit on processes?)\n\
12 out of memory\n\
13 permission denied\n\
14 bad address\n\
16 busy\n\
17 file exists\n\
19 no such device\n\
20 not a directory\n\
21 is a directory\n\
22 invalid argument\n\
23 too many open files in the system\n\
24 too many open files\n\
26 the file is being written to\n\
27 file too large\n\
28 no space left on the device\n\
30 read-only file system\n\
32 broken pipe\n\
34 out of range\n\
36 file name too long\n\
38 not supported by this kernel\n\
40 too many symbolic links\n\
80 a shared library it needs is damaged\n\
91 a socket of another type\n\
95 not supported there\n\
97 address family not supported\n\
99 address not available\n\
101 network unreachable\n\
104 connection reset\n\
110 timed out\n\
111 connection refused\n\
113 host unreachable\n\
116 the network file system no longer knows it\n\
122 disk quota exceeded";

/// The same in a place of its own. No plain run reads it, so `tools/layout.ld` puts it behind what
/// one needs, which has 64 KiB.
static COLD_TEXTS: [u8; TEXTS.len()] = match TEXTS.as_bytes().first_chunk() {
    Some(texts) => *texts,
    None => [b' '; TEXTS.len()],
};

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
    pub(crate) const TOO_MANY_FILES: Self = Self(24);
    pub(crate) const NO_SPACE: Self = Self(28);
    pub(crate) const READ_ONLY: Self = Self(30);
    pub(crate) const RANGE: Self = Self(34);
    pub(crate) const NOT_SUPPORTED: Self = Self(95);
    pub(crate) const CONNECTION_RESET: Self = Self(104);
    pub(crate) const TIMED_OUT: Self = Self(110);
    pub(crate) const CONNECTION_REFUSED: Self = Self(111);
    pub(crate) const STALE: Self = Self(116);

    pub(crate) const fn new(raw: i32) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> i32 {
        self.0
    }

    /// Returns whether the same start may succeed a moment later, because something ran out (EINTR,
    /// EIO, EAGAIN, ENOMEM, EBUSY, ENFILE, EMFILE, ETXTBSY, ENOSPC, ENOBUFS, ETIMEDOUT, ESTALE,
    /// EDQUOT).
    pub(crate) const fn is_for_now(self) -> bool {
        matches!(
            self.0,
            4 | 5 | 11 | 12 | 16 | 23 | 24 | 26 | 28 | 105 | 110 | 116 | 122
        )
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = core::str::from_utf8(&COLD_TEXTS).unwrap_or_default();
        let mut lines = texts.split('\n').filter_map(|line| line.split_once(' '));
        match lines.find(|(errno, _)| parse_number(errno) == Some(self.0)) {
            Some((_, text)) => out.write_str(text),
            None => write!(out, "error number {}", self.0),
        }
    }
}

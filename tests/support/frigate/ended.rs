//! A frigate that has ended.

use std::time::Duration;

use crate::support::cgroup::Site;

/// How frigate ended, and what it printed.
#[derive(Debug)]
pub struct Ended {
    /// The raw wait status.
    pub status: i32,
    /// States and names of the processes that it left behind, zombies included.
    pub left: Vec<String>,
    pub out: String,
    pub err: String,
    pub took: Duration,
    pub(super) site: Option<Site>,
}

impl Ended {
    /// Returns the exit code. `None` means that a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.signal().is_none().then_some(self.status >> 8 & 0xff)
    }

    /// Returns the signal that ended it. `None` means that it exited.
    pub fn signal(&self) -> Option<i32> {
        Some(self.status & 0x7f).filter(|&signal| signal != 0)
    }

    /// Checks the exit code. Shows everything if it is another one.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self:#?}");
        self
    }

    /// Checks that nothing was printed on standard error.
    #[track_caller]
    pub fn expect_silence(&self) -> &Self {
        assert_eq!(self.err, "", "{self:#?}");
        self
    }

    /// Checks that it left no process behind.
    #[track_caller]
    pub fn expect_nothing_left(&self) -> &Self {
        assert_eq!(self.left, Vec::<String>::new(), "{self:#?}");
        self
    }

    /// Returns the cgroup that it was started in. The cgroup is removed when this is dropped.
    #[track_caller]
    pub fn cgroup(&self) -> &Site {
        self.site.as_ref().expect("it was started by `in_cgroup`")
    }

    /// Returns the lines of standard error.
    pub fn messages(&self) -> Vec<&str> {
        self.err.lines().collect()
    }
}

//! When a child is started, started again, stopped, and as whom.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use crate::core::restart::{Restart, RestartPolicy};
use crate::core::rules::{GRACE_CLOSE_WAIT, Rules};
use crate::library::error::Error;

/// When a child that ended by itself is started again.
///
/// An end is expected where the exit code is 0; anything else, a panic of a task among it, is
/// unexpected.
///
/// ```
/// use frigate::AutoRestart;
///
/// assert_eq!("unexpected".parse::<AutoRestart>()?, AutoRestart::Unexpected);
/// assert_eq!(AutoRestart::True.to_string(), "true");
/// assert!("perhaps".parse::<AutoRestart>().is_err());
/// # Ok::<(), frigate::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum AutoRestart {
    /// After an unexpected end (`unexpected`).
    Unexpected,
    /// Always (`true`).
    #[default]
    True,
    /// Never (`false`).
    False,
}

impl AutoRestart {
    const fn word(self) -> &'static str {
        match self {
            Self::Unexpected => "unexpected",
            Self::True => "true",
            Self::False => "false",
        }
    }
}

impl fmt::Display for AutoRestart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

impl FromStr for AutoRestart {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Unexpected, Self::True, Self::False]
            .into_iter()
            .find(|known| known.word() == text)
            .ok_or_else(|| Error::Word {
                word: text.to_owned(),
                expected: "unexpected, true or false",
            })
    }
}

/// How a child is looked after. The defaults are those of the original Go package.
///
/// ```
/// use std::time::Duration;
/// use frigate::{AutoRestart, Strategy};
///
/// let strategy = Strategy::new().auto_restart(AutoRestart::Unexpected).start_retries(5);
/// assert_eq!(strategy.start_retries, 5);
/// assert_eq!(strategy.start_secs, Duration::from_secs(10));
/// assert!(strategy.auto_start && !strategy.kill);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Strategy {
    /// Whether [`Frigate::protect`](crate::Frigate::protect) starts the child; default: true.
    /// Otherwise [`Frigate::start`](crate::Frigate::start) does.
    pub auto_start: bool,
    /// When it is started again after an end of its own; default: [`AutoRestart::True`].
    pub auto_restart: AutoRestart,
    /// A child that stays up this long has started; default: 10 s. An earlier unexpected end is a
    /// failed start. Zero: no start ever fails.
    pub start_secs: Duration,
    /// Failed starts in a row that are tried again, after growing pauses from 100 ms to 60 s,
    /// before [`Outcome::GaveUp`](crate::Outcome::GaveUp); default: 3. A good start sets the count
    /// to zero.
    pub start_retries: u32,
    /// Before each start, ends other processes of the same name by TERM; default: false. A
    /// program's name is the last component of its executable's path or of its `argv[0]`; a task's
    /// is the task's, in a process of the same executable. Never touched are the host, its
    /// ancestors, PID 1, other protected children, and processes of other PID namespaces.
    pub grace_close: bool,
    /// How long these get before KILL; default: 30 s.
    pub grace_close_wait: Duration,
    /// Ends by KILL at once, instead of TERM and then KILL: on a stop, for what a child leaves
    /// running, and, by the kernel, when the host itself ends; default: false.
    pub kill: bool,
    /// Who the child runs as: `name`, `uid`, `name:group`, `uid:gid`, `:group`, looked up in the
    /// `/etc/passwd` and `/etc/group` that the child will see; default: none, the current user.
    pub user: Option<String>,
    /// The child's root directory, which needs privileges; default: none. A task needs `/proc`
    /// mounted in there.
    pub chroot: Option<PathBuf>,
}

impl Default for Strategy {
    fn default() -> Self {
        let policy = RestartPolicy::default();
        Self {
            auto_start: true,
            auto_restart: AutoRestart::default(),
            start_secs: policy.start_secs,
            start_retries: policy.start_retries,
            grace_close: false,
            grace_close_wait: GRACE_CLOSE_WAIT,
            kill: false,
            user: None,
            chroot: None,
        }
    }
}

impl Strategy {
    /// The defaults.
    ///
    /// ```
    /// assert_eq!(frigate::Strategy::new(), frigate::Strategy::default());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Strategy::auto_start`](#structfield.auto_start).
    ///
    /// ```
    /// assert!(!frigate::Strategy::new().auto_start(false).auto_start);
    /// ```
    #[must_use]
    pub fn auto_start(self, auto_start: bool) -> Self {
        Self { auto_start, ..self }
    }

    /// Sets [`Strategy::auto_restart`](#structfield.auto_restart).
    ///
    /// ```
    /// use frigate::{AutoRestart, Strategy};
    /// assert_eq!(Strategy::new().auto_restart(AutoRestart::False).auto_restart, AutoRestart::False);
    /// ```
    #[must_use]
    pub fn auto_restart(self, auto_restart: AutoRestart) -> Self {
        Self {
            auto_restart,
            ..self
        }
    }

    /// Sets [`Strategy::start_secs`](#structfield.start_secs).
    ///
    /// ```
    /// use std::time::Duration;
    /// assert!(frigate::Strategy::new().start_secs(Duration::ZERO).start_secs.is_zero());
    /// ```
    #[must_use]
    pub fn start_secs(self, start_secs: Duration) -> Self {
        Self { start_secs, ..self }
    }

    /// Sets [`Strategy::start_retries`](#structfield.start_retries).
    ///
    /// ```
    /// assert_eq!(frigate::Strategy::new().start_retries(0).start_retries, 0);
    /// ```
    #[must_use]
    pub fn start_retries(self, start_retries: u32) -> Self {
        Self {
            start_retries,
            ..self
        }
    }

    /// Sets [`Strategy::grace_close`](#structfield.grace_close).
    ///
    /// ```
    /// assert!(frigate::Strategy::new().grace_close(true).grace_close);
    /// ```
    #[must_use]
    pub fn grace_close(self, grace_close: bool) -> Self {
        Self {
            grace_close,
            ..self
        }
    }

    /// Sets [`Strategy::grace_close_wait`](#structfield.grace_close_wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// let wait = Duration::from_secs(5);
    /// assert_eq!(frigate::Strategy::new().grace_close_wait(wait).grace_close_wait, wait);
    /// ```
    #[must_use]
    pub fn grace_close_wait(self, grace_close_wait: Duration) -> Self {
        Self {
            grace_close_wait,
            ..self
        }
    }

    /// Sets [`Strategy::kill`](#structfield.kill).
    ///
    /// ```
    /// assert!(frigate::Strategy::new().kill(true).kill);
    /// ```
    #[must_use]
    pub fn kill(self, kill: bool) -> Self {
        Self { kill, ..self }
    }

    /// Sets [`Strategy::user`](#structfield.user).
    ///
    /// ```
    /// assert_eq!(frigate::Strategy::new().user("nobody").user.as_deref(), Some("nobody"));
    /// ```
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..self
        }
    }

    /// Sets [`Strategy::chroot`](#structfield.chroot).
    ///
    /// ```
    /// assert!(frigate::Strategy::new().chroot("/srv/root").chroot.is_some());
    /// ```
    #[must_use]
    pub fn chroot(self, chroot: impl Into<PathBuf>) -> Self {
        Self {
            chroot: Some(chroot.into()),
            ..self
        }
    }

    /// Returns the rules that the core works by. What the library does not let a host set is the
    /// program's default.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            strategy: RestartPolicy {
                restart: match self.auto_restart {
                    AutoRestart::Unexpected => Restart::Unexpected,
                    AutoRestart::True => Restart::True,
                    AutoRestart::False => Restart::False,
                },
                start_secs: self.start_secs,
                start_retries: self.start_retries,
                ..RestartPolicy::default()
            },
            // Each stop brings its own.
            grace: None,
            kill: self.kill,
            grace_close: self.grace_close.then_some(self.grace_close_wait),
            ..Rules::default()
        }
    }
}

//! When a child is started, restarted and stopped, and as which user it runs.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use crate::core::restart::{Restart, RestartPolicy};
use crate::core::rules::{GRACE_CLOSE_WAIT, Rules, StopRules};
use crate::library::error::Error;

/// When a child that ended by itself is started again.
///
/// An end is expected if the exit code is 0. Everything else is unexpected: another exit code, a
/// signal, or a panic of a registered function.
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
    /// Restarts after an unexpected end. Printed and parsed as `unexpected`.
    Unexpected,
    /// Restarts after every end. Printed and parsed as `true`.
    #[default]
    True,
    /// Never restarts. Printed and parsed as `false`.
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

/// When a child is started, restarted and stopped, and as which user it runs.
///
/// ```
/// use std::time::Duration;
/// use frigate::{AutoRestart, Frigate, Strategy};
///
/// let strategy = Strategy::new()
///     .auto_restart(AutoRestart::Unexpected)
///     .start_secs(Duration::from_secs(2))
///     .start_retries(5);
/// let frigate = Frigate::create("nginx").strategy(strategy);
/// # let _ = frigate;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strategy {
    pub(crate) auto_start: bool,
    auto_restart: AutoRestart,
    start_secs: Duration,
    start_retries: u32,
    grace_close: bool,
    grace_close_wait: Duration,
    kill: bool,
    pub(crate) user: Option<String>,
    pub(crate) chroot: Option<PathBuf>,
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
    /// Returns the defaults, which each method names.
    ///
    /// ```
    /// assert_eq!(frigate::Strategy::new(), frigate::Strategy::default());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether [`Frigate::protect`](crate::Frigate::protect) starts the child. If not,
    /// [`Frigate::start`](crate::Frigate::start) does. Default: `true`.
    ///
    /// ```
    /// use frigate::{Frigate, Strategy};
    ///
    /// let frigate = Frigate::create("true").strategy(Strategy::new().auto_start(false));
    /// frigate.protect()?;
    /// assert!(frigate.wait().is_err(), "it was not started");
    /// frigate.start()?;
    /// # frigate.stop(std::time::Duration::ZERO)?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn auto_start(self, auto_start: bool) -> Self {
        Self { auto_start, ..self }
    }

    /// Sets when a child that ended by itself is started again. Default: [`AutoRestart::True`].
    ///
    /// ```
    /// use frigate::{AutoRestart, Frigate, Strategy};
    ///
    /// let once = Strategy::new().auto_restart(AutoRestart::False);
    /// let frigate = Frigate::create("true").strategy(once);
    /// frigate.protect()?;
    /// assert_eq!(frigate.wait()?.to_string(), "complete");
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn auto_restart(self, auto_restart: AutoRestart) -> Self {
        Self {
            auto_restart,
            ..self
        }
    }

    /// Sets how long a child must stay up for its start to count as a good one. An unexpected end
    /// before that is a failed start. With zero, no start fails. Default: 10 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::Strategy;
    /// let strategy = Strategy::new().start_secs(Duration::from_secs(1));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn start_secs(self, start_secs: Duration) -> Self {
        Self { start_secs, ..self }
    }

    /// Sets how many failed starts in a row are tried again before frigate gives up
    /// ([`Outcome::GaveUp`](crate::Outcome::GaveUp)). Default: 3.
    ///
    /// A good start sets the count to zero. The pauses between failed starts grow from 100 ms to 60
    /// s.
    ///
    /// ```
    /// use frigate::{Frigate, Outcome, Strategy};
    ///
    /// let frigate = Frigate::create("false").strategy(Strategy::new().start_retries(1));
    /// frigate.protect()?;
    /// assert!(matches!(frigate.wait()?, Outcome::GaveUp { .. }), "two starts have failed");
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn start_retries(self, start_retries: u32) -> Self {
        Self {
            start_retries,
            ..self
        }
    }

    /// Sets whether other processes of the same program are ended by TERM before each start.
    /// Default: `false`.
    ///
    /// A process is one of the same program if the child's name is the last component of the path
    /// of its executable, or of its `argv[0]`. A process of the same registered function is one of
    /// the same executable that runs this function. frigate never touches the host, its ancestors,
    /// PID 1, other protected children, and processes of other PID namespaces.
    ///
    /// ```
    /// let strategy = frigate::Strategy::new().grace_close(true);
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn grace_close(self, grace_close: bool) -> Self {
        Self {
            grace_close,
            ..self
        }
    }

    /// Sets how long processes that [`Strategy::grace_close`] ends have from TERM to KILL.
    /// Default: 30 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::Strategy;
    /// let strategy = Strategy::new().grace_close(true).grace_close_wait(Duration::from_secs(5));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn grace_close_wait(self, grace_close_wait: Duration) -> Self {
        Self {
            grace_close_wait,
            ..self
        }
    }

    /// Sets whether frigate sends KILL at once, instead of TERM first: to stop the child, to end
    /// what it leaves running, and when the host ends. Default: `false`.
    ///
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    /// use std::time::Duration;
    /// use frigate::{Frigate, ProtectTask, Strategy};
    ///
    /// let task = ProtectTask::new("sleep").arg("1000");
    /// let frigate = Frigate::from(task).strategy(Strategy::new().kill(true));
    /// let events = frigate.events();
    /// frigate.protect()?;
    /// events.recv().expect("it starts");
    /// let status = frigate.stop(Duration::from_secs(10))?.status();
    /// assert_eq!(status.and_then(|status| status.signal()), Some(9));
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn kill(self, kill: bool) -> Self {
        Self { kill, ..self }
    }

    /// Sets the user that the child runs as. Default: the host's.
    ///
    /// Accepts `name`, `uid`, `name:group`, `uid:gid` and `:group`. The names are looked up in the
    /// `/etc/passwd` and `/etc/group` that the child will see. `HOME`, `USER` and `LOGNAME` follow
    /// the user. To become another user takes privileges.
    ///
    /// ```
    /// let strategy = frigate::Strategy::new().user("www-data");
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..self
        }
    }

    /// Sets the root directory of the child, which takes privileges. Default: the host's.
    ///
    /// A registered function needs `/proc` mounted in there.
    ///
    /// ```
    /// let strategy = frigate::Strategy::new().chroot("/srv/root");
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn chroot(self, chroot: impl Into<PathBuf>) -> Self {
        Self {
            chroot: Some(chroot.into()),
            ..self
        }
    }

    /// Returns the rules that the core follows. Pauses and expected codes are the binary's
    /// defaults.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            restart_policy: RestartPolicy {
                restart: match self.auto_restart {
                    AutoRestart::Unexpected => Restart::Unexpected,
                    AutoRestart::True => Restart::True,
                    AutoRestart::False => Restart::False,
                },
                start_secs: self.start_secs,
                start_retries: self.start_retries,
                ..RestartPolicy::default()
            },
            stop: StopRules {
                // Each call of `stop` has its own.
                grace: None,
                kill: self.kill,
                ..Rules::default().stop
            },
            grace_close: self.grace_close.then_some(self.grace_close_wait),
            ..Rules::default()
        }
    }
}

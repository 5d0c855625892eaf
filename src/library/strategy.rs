//! When a child is started, restarted and stopped, how it is checked, and as which user it runs.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use crate::core::restart::{Restart, RestartPolicy};
use crate::core::rules::{GRACE_CLOSE_WAIT, Rules, StopRules};
use crate::library::check_settings::CheckSettings;
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

/// When a child is started, restarted and stopped, how it is checked, and as which user it runs.
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
    pub(crate) checks: CheckSettings,
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
            checks: CheckSettings::default(),
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

    /// Sets what is asked, again and again, whether the child is alive. Default: nothing.
    ///
    /// A child that is unhealthy is stopped, and started again unless [`Strategy::auto_restart`] is
    /// [`AutoRestart::False`]: then the outcome is [`Outcome::Unhealthy`](crate::Outcome::Unhealthy).
    /// It is a failed start if the child was never healthy since its start, or was stopped before
    /// [`Strategy::start_secs`] were over. Both a program and a registered function can be checked.
    ///
    /// | target | a check succeeds if |
    /// |---|---|
    /// | `http://HOST[:PORT][/PATH]` | the server answers `GET` with a status from 200 to 399; PORT is 80 if it is left out |
    /// | `tcp://HOST:PORT` | the server can be connected to |
    /// | `unix:PATH` | the same, for the stream socket at PATH |
    /// | `file:PATH` | the file was modified no longer ago than [`Strategy::health_interval`] and [`Strategy::health_timeout`] together: the heartbeat of a worker that has no port |
    /// | `exec:WORDS` | the program exits with 0 |
    /// | `notify` | nothing is asked: the child reports by itself that it is alive (`sd_notify(3)`) |
    ///
    /// HOST is an address, IPv6 in brackets, or `localhost`: names are not looked up. PATH is
    /// absolute, and a path of the host: [`Strategy::chroot`] does not change it. WORDS are split as
    /// a shell does it, at blanks, with `'…'`, `"…"` and `\`; nothing is expanded.
    ///
    /// The program of `exec:` runs as the child does: its user, root, directory, environment,
    /// [`ControlGroup`](crate::ControlGroup) and signal mask. It has a process group of its own,
    /// which gets KILL at the timeout, and its output is dropped. To start it, frigate forks the
    /// host, which takes the longer the more memory the host has in use.
    ///
    /// No check runs between two starts, while the child is being stopped, or while a signal has
    /// suspended it. Two checks of one child never overlap.
    ///
    /// With `notify` the child is unhealthy if it does not send `WATCHDOG=1` for
    /// [`Strategy::health_interval`], zero meaning that it need not, or as soon as it sends
    /// `WATCHDOG=trigger`. There are no retries and no timeout. Until the first message, the interval
    /// counts from the end of [`Strategy::health_start`]. The child finds the socket in
    /// `NOTIFY_SOCKET`, the interval in microseconds in `WATCHDOG_USEC`, and its own pid in
    /// `WATCHDOG_PID`. These replace the host's variables, and what
    /// [`ProtectTask::env`](crate::ProtectTask::env) has set. Only the child and the living processes of
    /// its group and its cgroup are heard, so the host is not. frigate sends nothing to the host's own
    /// `NOTIFY_SOCKET`. If a message carries descriptors, frigate forks the host: the other process
    /// closes them, and ends within 100 ms.
    ///
    /// A target that has no meaning is refused when the child is protected or started:
    /// [`Error::Target`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{EventKind, Frigate, ProtectTask, Strategy};
    ///
    /// // The child is as healthy as this check says: its target would be http://127.0.0.1:8080/.
    /// let strategy = Strategy::new().health("exec:test -d /proc");
    /// let frigate = Frigate::from(ProtectTask::new("sleep").arg("1000")).strategy(strategy);
    /// let events = frigate.events();
    /// frigate.protect()?;
    /// assert!(events.iter().any(|event| event.kind == EventKind::Healthy));
    /// frigate.stop(Duration::from_secs(10))?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    ///
    /// ```
    /// use frigate::{Error, Frigate, Strategy};
    ///
    /// let wrong = Frigate::create("top").strategy(Strategy::new().health("tcp://example.org:80"));
    /// assert!(matches!(wrong.protect(), Err(Error::Target { .. })));
    /// ```
    #[must_use]
    pub fn health(mut self, target: impl Into<String>) -> Self {
        self.checks.health = Some(target.into());
        self
    }

    /// Sets the pause from the end of one check of health to the next. Until its first success, the
    /// child is checked once a second, or each interval if that is shorter. No pause is shorter than
    /// 100 ms. Default: 10 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::Strategy;
    /// let strategy = Strategy::new()
    ///     .health("tcp://localhost:5432")
    ///     .health_interval(Duration::from_secs(2));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn health_interval(mut self, interval: Duration) -> Self {
        self.checks.interval = interval;
        self
    }

    /// Sets how long one check may take, of health and of readiness. A check that takes longer has
    /// failed. Default: 3 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::Strategy;
    /// let strategy = Strategy::new()
    ///     .health("unix:/run/app.sock")
    ///     .health_timeout(Duration::from_millis(500));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn health_timeout(mut self, timeout: Duration) -> Self {
        self.checks.timeout = timeout;
        self
    }

    /// Sets how many failures in a row make the child unhealthy. 0 means 1. Default: 3.
    ///
    /// ```
    /// use frigate::Strategy;
    /// let strategy = Strategy::new().health("http://localhost:8080/healthz").health_retries(5);
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn health_retries(mut self, retries: u32) -> Self {
        self.checks.retries = retries;
        self
    }

    /// Sets the time from each start for which failures of health do not count. It ends early with
    /// the first success. Default: 30 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::Strategy;
    /// let strategy = Strategy::new()
    ///     .health("http://[::1]:8080/healthz")
    ///     .health_start(Duration::from_secs(120));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn health_start(mut self, start: Duration) -> Self {
        self.checks.start = start;
        self
    }

    /// Sets the signal that an unhealthy child is sent, by its number from 1 to 64: that of QUIT or
    /// ABRT makes many programs write a stack dump. KILL follows after 30 s. With
    /// [`Strategy::kill`], frigate sends KILL at once. Default: TERM.
    ///
    /// CHLD, STOP and other numbers are refused when the child is protected or started:
    /// [`Error::Word`].
    ///
    /// ```
    /// use frigate::{Error, Frigate, Strategy};
    ///
    /// let strategy = Strategy::new().health("tcp://localhost:8080");
    /// let dumping = strategy.clone().health_signal(3); // QUIT
    /// # let _ = dumping;
    /// let wrong = Frigate::create("top").strategy(strategy.health_signal(65));
    /// assert!(matches!(wrong.protect(), Err(Error::Word { .. })));
    /// ```
    #[must_use]
    pub fn health_signal(mut self, signal: i32) -> Self {
        self.checks.signal = Some(signal);
        self
    }

    /// Sets what is asked until the child is ready: at once when it is started, and then one second
    /// after the end of each check, until the first success. Then the child has started, whatever
    /// [`Strategy::start_secs`] says, and not before. Health is not checked before that. Default:
    /// nothing.
    ///
    /// [`Strategy::health`] has the targets, and says when they are refused. With `notify` the child is
    /// ready when it sends `READY=1` (`sd_notify(3)`). Its variables are those of health with `notify`.
    /// If health has another target, or none, `WATCHDOG_USEC` and `WATCHDOG_PID` are removed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{EventKind, Frigate, ProtectTask, Strategy};
    ///
    /// let strategy = Strategy::new().ready("exec:true");
    /// let frigate = Frigate::from(ProtectTask::new("sleep").arg("1000")).strategy(strategy);
    /// let events = frigate.events();
    /// frigate.protect()?;
    /// assert!(events.iter().any(|event| event.kind == EventKind::Ready));
    /// frigate.stop(Duration::from_secs(10))?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn ready(mut self, target: impl Into<String>) -> Self {
        self.checks.ready = Some(target.into());
        self
    }

    /// Sets the time from each start in which the child has to be ready. If it is not, it is stopped:
    /// a failed start. With [`AutoRestart::False`] the outcome is
    /// [`Outcome::Unhealthy`](crate::Outcome::Unhealthy). Zero means no limit. Default: 60 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::Strategy;
    /// let strategy = Strategy::new()
    ///     .ready("tcp://localhost:5432")
    ///     .ready_within(Duration::from_secs(10));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    pub fn ready_within(mut self, within: Duration) -> Self {
        self.checks.within = within;
        self
    }

    /// Returns the rules that the core follows, but for the checks. Pauses and expected codes are the
    /// binary's defaults.
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

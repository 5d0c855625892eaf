//! The modes: what frigate does instead of supervising a command.

/// How long a check may take: for a run, and beside `--probe`.
pub(crate) const HEALTH_TIMEOUT: &str = "health-timeout";

/// What is asked for instead of a supervised command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Probe,
    Status,
    Signal,
    /// Reap and wait, without a command.
    Pause,
    /// Become the command.
    Exec,
}

/// An option that replaces the supervision of a command.
#[derive(Debug)]
pub(crate) struct Mode {
    pub(crate) deed: Deed,
    /// The option's name, without the dashes.
    pub(crate) name: &'static str,
    /// The options that may stand beside it. Any other is a mistake.
    pub(crate) beside: &'static [&'static str],
}

/// Every mode. If two are typed, the first of this table refuses the other.
const MODES: [Mode; 5] = [
    Mode {
        deed: Deed::Probe,
        name: "probe",
        beside: &[HEALTH_TIMEOUT],
    },
    Mode {
        deed: Deed::Status,
        name: "status",
        beside: &["log-format"],
    },
    Mode {
        deed: Deed::Signal,
        name: "signal",
        beside: &[],
    },
    Mode {
        deed: Deed::Pause,
        name: "pause",
        beside: &["stop-on", "leftovers", "log-format", "verbose", "quiet"],
    },
    Mode {
        deed: Deed::Exec,
        name: "exec",
        beside: &["user", "chroot", "workdir", "no-new-privs"],
    },
];

impl Mode {
    /// Returns the first mode that `is_wanted` accepts.
    pub(crate) fn find(is_wanted: impl Fn(&Self) -> bool) -> Option<&'static Self> {
        MODES.iter().find(|mode| is_wanted(mode))
    }

    /// Returns whether the option may be given in this mode.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.name == name || self.beside.contains(&name)
    }
}

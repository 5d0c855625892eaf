//! The modes: what frigate does instead of running a command.

/// How long a check may take: for a run, and beside `--probe`.
pub(crate) const HEALTH_TIMEOUT: &str = "health-timeout";

/// The deeds that are asked for instead of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Probe,
    Signal,
}

/// An option that replaces the run of a command.
#[derive(Debug)]
pub(crate) struct Mode {
    pub(crate) deed: Deed,
    /// The option's name, without the dashes.
    pub(crate) name: &'static str,
    /// The options that may stand beside it. Any other is a mistake.
    pub(crate) beside: &'static [&'static str],
}

/// Every mode. If two are typed, the first of this table refuses the other.
const MODES: [Mode; 2] = [
    Mode {
        deed: Deed::Probe,
        name: "probe",
        beside: &[HEALTH_TIMEOUT],
    },
    Mode {
        deed: Deed::Signal,
        name: "signal",
        beside: &[],
    },
];

impl Mode {
    /// Returns the first mode whose option's name `is_wanted` accepts.
    pub(crate) fn find(is_wanted: impl Fn(&str) -> bool) -> Option<&'static Self> {
        MODES.iter().find(|mode| is_wanted(mode.name))
    }

    /// Returns whether the option may be given in this mode.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.name == name || self.beside.contains(&name)
    }
}

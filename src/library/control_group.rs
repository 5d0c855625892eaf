//! The limits of a child, by cgroup v2.

use crate::core::limit::{self, Limit};
use crate::library::error::Error;
use crate::library::size::ByteSize;

/// The limits of a child and of all processes that it starts. They are in a cgroup v2 of their own,
/// below the host's cgroup.
///
/// If the host's cgroup cannot hold both processes and controllers, frigate first moves the host
/// and all other processes of that cgroup into a leaf `init` below it. The child is created inside
/// its cgroup, so that the limits hold from its first instruction on. If a limit cannot be applied,
/// the start is refused ([`Error::ControlGroup`]). With [`ControlGroup::best_effort`] the child
/// starts without it, and an [`EventKind::Warning`](crate::EventKind::Warning) says so.
///
/// Values are checked when the child is protected ([`Error::Word`]).
///
/// ```
/// use frigate::{ByteSize, ControlGroup, Frigate};
///
/// let limits = ControlGroup::new()
///     .memory_max(ByteSize::mib(256))
///     .cpu_max(1.5)
///     .pids_max(64)
///     .best_effort(true);
/// let frigate = Frigate::create("sleep").control_group(limits);
/// # let _ = frigate;
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControlGroup {
    /// Each file with its value, as the caller has set it.
    limits: Vec<(String, String)>,
    is_best_effort: bool,
}

impl ControlGroup {
    /// Returns a group without limits. For such a group, frigate makes no cgroup.
    ///
    /// ```
    /// assert_eq!(frigate::ControlGroup::new(), frigate::ControlGroup::default());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, file: &str, value: String) -> Self {
        self.limits.push((file.to_owned(), value));
        self
    }

    /// Sets the most memory that the group can use (`memory.max`). If it needs more, the kernel
    /// kills it.
    ///
    /// ```
    /// # use frigate::{ByteSize, ControlGroup};
    /// let limits = ControlGroup::new().memory_max(ByteSize::mib(64));
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn memory_max(self, size: ByteSize) -> Self {
        self.with("memory.max", size.to_string())
    }

    /// Sets how much memory the group can use before the kernel slows it down and reclaims memory
    /// from it (`memory.high`).
    ///
    /// ```
    /// # use frigate::{ByteSize, ControlGroup};
    /// let limits = ControlGroup::new().memory_high(ByteSize::mib(48));
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn memory_high(self, size: ByteSize) -> Self {
        self.with("memory.high", size.to_string())
    }

    /// Sets the most swap space that the group can use (`memory.swap.max`).
    ///
    /// ```
    /// # use frigate::{ByteSize, ControlGroup};
    /// let limits = ControlGroup::new().memory_swap_max(ByteSize::new(0));
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn memory_swap_max(self, size: ByteSize) -> Self {
        self.with("memory.swap.max", size.to_string())
    }

    /// Sets how much processor time the group gets (`cpu.max`), in processors: from 0.01 to 8192,
    /// rounded to 0.00001.
    ///
    /// ```
    /// # use frigate::ControlGroup;
    /// let limits = ControlGroup::new().cpu_max(0.5);
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn cpu_max(self, processors: f64) -> Self {
        self.with("cpu.max", format!("{processors:.5}"))
    }

    /// Sets the group's share of processor time when other groups compete for it (`cpu.weight`):
    /// from 1 to 10,000. The kernel's default is 100.
    ///
    /// ```
    /// # use frigate::ControlGroup;
    /// let limits = ControlGroup::new().cpu_weight(50);
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn cpu_weight(self, weight: u32) -> Self {
        self.with("cpu.weight", weight.to_string())
    }

    /// Sets how many processes and threads the group can hold (`pids.max`).
    ///
    /// ```
    /// # use frigate::ControlGroup;
    /// let limits = ControlGroup::new().pids_max(32);
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn pids_max(self, count: u64) -> Self {
        self.with("pids.max", count.to_string())
    }

    /// Sets another file of the child's cgroup, such as `io.max`, to a value. The files that
    /// frigate itself needs are refused: `cgroup.procs`, `cgroup.kill`, `cgroup.freeze`,
    /// `cgroup.type` and `cgroup.subtree_control`.
    ///
    /// ```
    /// # use frigate::ControlGroup;
    /// let limits = ControlGroup::new().file("io.max", "8:0 rbps=1048576");
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn file(self, file: &str, value: impl Into<String>) -> Self {
        self.with(file, value.into())
    }

    /// Sets whether the child starts without a limit that cannot be applied, with a warning. A
    /// value that has no meaning is refused in any case. Default: `false`.
    ///
    /// ```
    /// # use frigate::ControlGroup;
    /// let limits = ControlGroup::new().pids_max(32).best_effort(true);
    /// # let _ = limits;
    /// ```
    #[must_use]
    pub fn best_effort(self, best_effort: bool) -> Self {
        Self {
            is_best_effort: best_effort,
            ..self
        }
    }

    pub(crate) const fn is_best_effort(&self) -> bool {
        self.is_best_effort
    }

    /// Returns the limits as the kernel's files accept them.
    ///
    /// # Errors
    ///
    /// [`Error::Word`] for the first value that has no meaning.
    pub(crate) fn limits(&self) -> Result<Vec<Limit>, Error> {
        self.limits
            .iter()
            .map(|(file, value)| read_limit(file, value))
            .collect()
    }
}

fn read_limit(file: &str, value: &str) -> Result<Limit, Error> {
    let spelled = format!("{file}={value}");
    let (read, expected): (fn(&str) -> Option<String>, _) = match file {
        "memory.max" | "memory.high" | "memory.swap.max" => {
            (limit::size, "a size such as 512, 64K, 512M, or max")
        }
        "cpu.max" => (limit::cpus, "a number of processors from 0.01 to 8192"),
        "cpu.weight" => (limit::weight, "a number from 1 to 10000"),
        "pids.max" => (limit::count, "a number, or max"),
        _ => return read_assignment(spelled),
    };
    match read(value) {
        Some(value) => Ok(Limit {
            file: file.to_owned(),
            value,
            spelled,
        }),
        None => Err(Error::Word {
            word: spelled,
            expected,
        }),
    }
}

/// Reads `FILE=VALUE` for a file whose values frigate does not know.
fn read_assignment(spelled: String) -> Result<Limit, Error> {
    match limit::assignment(&spelled) {
        Some((file, value)) => Ok(Limit {
            file,
            value,
            spelled,
        }),
        None => Err(Error::Word {
            word: spelled,
            expected: "a file of cgroup v2 that frigate does not write itself, and a value",
        }),
    }
}

//! The limits of a child, by cgroup v2.

use crate::core::limit::{
    CPU_MAX, CPU_WEIGHT, Limit, LimitFile, MEMORY_HIGH, MEMORY_MAX, MEMORY_SWAP_MAX, PIDS_MAX,
    parse_assignment,
};
use crate::core::quantity::Quantity;
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
        self.with(MEMORY_MAX.name, size.to_string())
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
        self.with(MEMORY_HIGH.name, size.to_string())
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
        self.with(MEMORY_SWAP_MAX.name, size.to_string())
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
        self.with(CPU_MAX.name, format!("{processors:.5}"))
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
        self.with(CPU_WEIGHT.name, weight.to_string())
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
        self.with(PIDS_MAX.name, count.to_string())
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
        let each = self.limits.iter().map(|(file, value)| {
            let spelled = format!("{file}={value}");
            let Some(known) = LimitFile::with_name(file) else {
                let (file, value) = parse_assignment(&spelled).ok_or_else(|| Error::Word {
                    word: spelled.clone(),
                    expected: "a file of cgroup v2 that frigate does not write itself, and a value",
                })?;
                return Ok(Limit {
                    file,
                    value,
                    spelled,
                });
            };
            let value = known.quantity.parse(value).ok_or_else(|| Error::Word {
                word: spelled.clone(),
                expected: accepted(known.quantity),
            })?;
            Ok(Limit {
                file: file.clone(),
                value,
                spelled,
            })
        });
        each.collect()
    }
}

/// Returns what a limit's value may be. Sizes and processors have types of their own here, and so
/// fewer spellings than on the command line.
const fn accepted(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Size => "a size such as 512, 64K, 512M, or max",
        Quantity::Cpus => "a number of processors from 0.01 to 8192",
        Quantity::Weight | Quantity::Count => quantity.accepted(),
    }
}

//! The limits of a child, by cgroup v2.

use crate::core::limit::{
    CPU_MAX, CPU_WEIGHT, Limit, LimitFile, MEMORY_HIGH, MEMORY_MAX, MEMORY_SWAP_MAX, PIDS_MAX,
    parse_assignment,
};
use crate::core::quantity::Quantity;
use crate::library::error::Error;
use crate::library::size::ByteSize;

/// The limits that a child and all it starts are held inside, by a cgroup v2 of their own below the
/// host's.
///
/// Where the host sits in a cgroup that may not hold both processes and controllers, frigate first
/// moves it, and what else is there, into a leaf `init` below. The child is made inside its group,
/// so that not one instruction of it runs unlimited. A limit that cannot be had is a refusal
/// ([`Error::ControlGroup`]), or with [`ControlGroup::best_effort`] an
/// [`EventKind::Warning`](crate::EventKind::Warning).
///
/// ```
/// use frigate::{ByteSize, ControlGroup, Frigate};
///
/// let limits = ControlGroup::new().memory_max(ByteSize::mib(256)).cpu_max(1.5).pids_max(64).best_effort(true);
/// let frigate = Frigate::create("sleep").control_group(limits);
/// # let _ = frigate;
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControlGroup {
    /// As they are written: the file and its value.
    limits: Vec<(String, String)>,
    is_best_effort: bool,
}

impl ControlGroup {
    /// One without limits, for which no cgroup is made.
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

    /// `memory.max`: the most memory; the kernel kills what needs more.
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

    /// `memory.high`: the memory above which the child is slowed down and made to give some back.
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

    /// `memory.swap.max`: the most swap.
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

    /// `cpu.max`: how many processors' time it gets, from 0.01 to 8192, to the hundred-thousandth.
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

    /// `cpu.weight`: its share beside others where time is short, from 1 to 10,000; a group without
    /// one has 100.
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

    /// `pids.max`: the most processes and threads.
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

    /// Any other file of the child's group, such as `io.max`, and its value; none that frigate
    /// itself writes (`cgroup.procs`, `cgroup.kill`, `cgroup.freeze`, `cgroup.type`,
    /// `cgroup.subtree_control`).
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

    /// Whether a limit that cannot be had is a warning instead of a refusal; default: false. A
    /// value that has no meaning is refused all the same.
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

    /// As the kernel's files take them.
    ///
    /// # Errors
    ///
    /// The first value that has no meaning.
    pub(crate) fn limits(&self) -> Result<Vec<Limit>, Error> {
        let each = self.limits.iter().map(|(file, value)| {
            let spelled = format!("{file}={value}");
            let Some(known) = LimitFile::named(file) else {
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

//! The limits of cgroup v2. Some files have an option of their own; `--cgroup` sets any other.

use crate::core::quantity::Quantity;

/// A file of a cgroup that has an option of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LimitFile {
    /// The option's name, without the leading dashes.
    pub(crate) option: &'static str,
    pub(crate) name: &'static str,
    pub(crate) quantity: Quantity,
    /// The value that the kernel gives it in a new cgroup.
    pub(crate) default: &'static str,
    /// Whether a lower value in an ancestor takes precedence. That holds for limits. A weight only
    /// compares a cgroup with its siblings (`cgroup-v2.rst`, "Resource Distribution Models").
    pub(crate) is_capped_by_ancestors: bool,
}

pub(crate) const MEMORY_MAX: LimitFile = LimitFile {
    option: "memory-max",
    name: "memory.max",
    quantity: Quantity::Size,
    default: "max",
    is_capped_by_ancestors: true,
};

pub(crate) const MEMORY_HIGH: LimitFile = LimitFile {
    option: "memory-high",
    name: "memory.high",
    quantity: Quantity::Size,
    default: "max",
    is_capped_by_ancestors: true,
};

pub(crate) const MEMORY_SWAP_MAX: LimitFile = LimitFile {
    option: "memory-swap-max",
    name: "memory.swap.max",
    quantity: Quantity::Size,
    default: "max",
    is_capped_by_ancestors: true,
};

pub(crate) const CPU_MAX: LimitFile = LimitFile {
    option: "cpu-max",
    name: "cpu.max",
    quantity: Quantity::Cpus,
    default: "max",
    is_capped_by_ancestors: true,
};

pub(crate) const CPU_WEIGHT: LimitFile = LimitFile {
    option: "cpu-weight",
    name: "cpu.weight",
    quantity: Quantity::Weight,
    default: "100",
    is_capped_by_ancestors: false,
};

pub(crate) const PIDS_MAX: LimitFile = LimitFile {
    option: "pids-max",
    name: "pids.max",
    quantity: Quantity::Count,
    default: "max",
    is_capped_by_ancestors: true,
};

/// All of them, in the order in which frigate writes them.
pub(crate) static LIMIT_FILES: [LimitFile; 6] = [
    MEMORY_MAX,
    MEMORY_HIGH,
    MEMORY_SWAP_MAX,
    CPU_MAX,
    CPU_WEIGHT,
    PIDS_MAX,
];

impl LimitFile {
    /// Returns the file of that name; `None` if it has no option of its own.
    pub(crate) fn with_name(name: &str) -> Option<&'static Self> {
        LIMIT_FILES.iter().find(|file| file.name == name)
    }
}

/// One value for one file of the child's cgroup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    pub(crate) file: String,
    pub(crate) value: String,
    /// The limit as the user gave it, for messages.
    pub(crate) spelled: String,
}

impl Limit {
    /// Returns the controller that has to be enabled for the file. Its name is the part before the
    /// first dot. `None` means that every cgroup has the file.
    pub(crate) fn controller(&self) -> Option<&str> {
        let (controller, _) = self.file.split_once('.')?;
        (controller != "cgroup").then_some(controller)
    }

    /// Returns whether a lower value in an ancestor takes precedence.
    pub(crate) fn is_capped_by_ancestors(&self) -> bool {
        LimitFile::with_name(&self.file).is_some_and(|file| file.is_capped_by_ancestors)
    }

    /// Returns whether the limit has no effect, because an ancestor allows less.
    pub(crate) fn exceeds(&self, ancestor_value: &str) -> bool {
        LimitFile::with_name(&self.file)
            .filter(|file| file.is_capped_by_ancestors)
            .is_some_and(|file| file.quantity.exceeds(&self.value, ancestor_value))
    }
}

/// The files that control the cgroup itself. frigate writes them, and none of them is a limit.
const RESERVED_FILES: [&str; 6] = [
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cgroup.threads",
    "cgroup.type",
];

/// Enough for every file of a cgroup: a controller's name, and at most 64 bytes after it (the
/// kernel's `MAX_CFTYPE_NAME`).
const MAX_FILE_NAME_BYTES: usize = 127;

/// The kernel accepts at most a page, 4,096 bytes, in one write to such a file.
const MAX_VALUE_BYTES: usize = 4095;

/// Parses `FILE=VALUE` into file and value. `None` means that it is malformed, or that FILE is one
/// of `RESERVED_FILES`.
pub(crate) fn parse_assignment(text: &str) -> Option<(String, String)> {
    let (file, value) = text.split_once('=')?;
    let is_name_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let (controller, rest) = file.split_once('.')?;
    let is_file = !controller.is_empty()
        && !rest.is_empty()
        && file.len() <= MAX_FILE_NAME_BYTES
        && file.bytes().all(is_name_byte);
    (is_file
        && !RESERVED_FILES.contains(&file)
        && !value.is_empty()
        && value.len() <= MAX_VALUE_BYTES)
        .then(|| (file.to_owned(), value.to_owned()))
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;

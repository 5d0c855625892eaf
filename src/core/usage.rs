//! What a cgroup used, as the kernel counts it in `memory.events`, `memory.peak`, `cpu.stat` and
//! `cgroup.events`.

use core::time::Duration;

use crate::core::number::parse_number;

/// What a child's cgroup used, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Usage {
    /// The kernel killed one of its processes because memory ran out.
    pub(crate) out_of_memory: bool,
    /// The most memory that the group ever held, over all starts, in bytes.
    pub(crate) peak: Option<u64>,
    /// The CPU time since the start, in user and kernel mode.
    pub(crate) cpu: Option<Duration>,
    /// How long `cpu.max` made its processes wait, summed over all CPUs.
    pub(crate) throttled: Option<Duration>,
}

impl Usage {
    /// Nothing is known.
    pub(crate) const NONE: Self = Self {
        out_of_memory: false,
        peak: None,
        cpu: None,
        throttled: None,
    };
}

/// Returns the value of a key in a file of lines `key value`.
pub(crate) fn value_of(file: &[u8], key: &str) -> Option<u64> {
    file.split(|byte| *byte == b'\n')
        .find_map(|line| parse_counter(line.strip_prefix(key.as_bytes())?.strip_prefix(b" ")?))
}

/// Parses a file that holds one number and a line end.
pub(crate) fn parse_counter(digits: &[u8]) -> Option<u64> {
    parse_number(digits.trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_whole_first_word_of_a_line() {
        let file = b"low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(value_of(file, "oom"), Some(1));
        assert_eq!(value_of(file, "oom_kill"), Some(3));
        assert_eq!(value_of(file, "max"), Some(12));
        assert_eq!(value_of(file, "kill"), None);
        assert_eq!(value_of(b"", "oom"), None);
        assert_eq!(value_of(b"oom", "oom"), None);
        assert_eq!(value_of(b"oom x", "oom"), None);
        assert_eq!(parse_counter(b"18446744073709551615\n"), Some(u64::MAX));
    }
}

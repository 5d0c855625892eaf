//! What the kernel counts in the child's cgroup, from one start to the next.

use core::time::Duration;

use crate::core::errno::Errno;
use crate::core::usage::{Usage, parse_counter, value_of};
use crate::sys::cgroup::CgroupDirectory;

/// The kernel's counters when they were last read.
pub(super) struct UsageCounters {
    /// Whether the memory controller is enabled, which counts out-of-memory kills.
    has_memory: bool,
    oom_kills: u64,
    cpu_micros: u64,
    throttled_micros: u64,
}

impl UsageCounters {
    /// Returns the counters of a new cgroup.
    pub(super) const fn new(has_memory: bool) -> Self {
        Self {
            has_memory,
            oom_kills: 0,
            cpu_micros: 0,
            throttled_micros: 0,
        }
    }

    /// Returns what was used since the last call, but the peak over all starts. Without `fully`,
    /// only whether there was an out-of-memory kill is read.
    pub(super) fn take_usage(&mut self, directory: &CgroupDirectory, fully: bool) -> Usage {
        let mut usage = Usage::NONE;
        if self.has_memory {
            usage.out_of_memory = self.take_out_of_memory(directory);
        }
        if !fully {
            return usage;
        }
        if self.has_memory {
            usage.peak = directory
                .read("memory.peak")
                .ok()
                .and_then(|peak| parse_counter(&peak));
        }
        let stat = directory.read("cpu.stat").unwrap_or_default();
        let since = |key, before: &mut u64| {
            let now = value_of(&stat, key)?;
            Some(Duration::from_micros(
                now.saturating_sub(core::mem::replace(before, now)),
            ))
        };
        usage.cpu = since("usage_usec", &mut self.cpu_micros);
        usage.throttled = since("throttled_usec", &mut self.throttled_micros);
        usage
    }

    /// Returns whether there was an out-of-memory kill since the last call.
    ///
    /// The counters count the kills in this cgroup, one by one or as a whole, even if the limit
    /// that was hit is an ancestor's.
    fn take_out_of_memory(&mut self, directory: &CgroupDirectory) -> bool {
        let Ok(events) = read_memory_events(directory) else {
            return false;
        };
        let counts = ["oom_kill", "oom_group_kill"].map(|key| value_of(&events, key).unwrap_or(0));
        let oom_kills: u64 = counts.iter().sum();
        oom_kills > core::mem::replace(&mut self.oom_kills, oom_kills)
    }
}

/// Reads the memory events of this cgroup without those of cgroups below (Linux 5.2). Kills below
/// are the concern of the child that has set a limit there.
fn read_memory_events(directory: &CgroupDirectory) -> Result<Vec<u8>, Errno> {
    directory
        .read("memory.events.local")
        .or_else(|_| directory.read("memory.events"))
}

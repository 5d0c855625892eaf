//! What `/proc` says about processes, as the harness sees them from outside their namespaces.

use std::fs;
use std::path::PathBuf;

/// One process at one moment.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub state: char,
    pub name: String,
}

/// Reads `/proc/PID/stat`. `None` means that the process is gone.
pub fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold any character, so the last parenthesis ends it.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process {
        pid,
        parent,
        group,
        state,
        name,
    })
}

/// Returns the children of a process, including those that have ended.
pub fn children(pid: i32) -> Vec<Process> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| process(pid.parse().ok()?))
        .collect()
}

/// Returns every descendant of a process.
pub fn descendants(pid: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found
}

/// Returns a field of `/proc/PID/status`, without its name.
pub fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find(|line| line.split(':').next() == Some(field))?;
    Some(line[field.len() + 1..].trim().to_owned())
}

/// Returns how often a process was switched away from, voluntarily or not.
pub fn context_switches(pid: i32) -> u64 {
    ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
        .iter()
        .map(|field| {
            status_field(pid, field)
                .and_then(|count| count.parse::<u64>().ok())
                .expect("a live process")
        })
        .sum()
}

/// Returns the memory that a process has made its own, in KiB: the pages that belong to no file, in
/// memory or swapped out. Counts them exactly, because `/proc/PID/status` may be off by dozens of
/// pages. Pages of files are left out, because the kernel takes them away and brings them back.
pub fn anonymous_kib(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .expect("a process of the same user");
    let field = |name: &str| {
        let rest = rollup.lines().find_map(|line| line.strip_prefix(name));
        let count = rest.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        count.unwrap_or_else(|| panic!("no {name} in {rollup}"))
    };
    field("Anonymous:") + field("Swap:")
}

/// Returns the open descriptors of a process with the files that they lead to.
pub fn descriptors(pid: i32) -> Vec<(i32, PathBuf)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let described = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((
            path.file_name()?.to_str()?.parse().ok()?,
            fs::read_link(&path).ok()?,
        ))
    });
    described.collect()
}

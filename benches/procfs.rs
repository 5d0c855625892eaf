//! What the kernel reports about a process.

use std::fs;

/// Memory in kB, from `smaps_rollup`.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    /// Memory that no other process shares.
    pub private: f64,
    /// Memory that belongs to no file.
    pub anonymous: f64,
}

fn read(pid: i32, file: &str) -> Result<String, String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))
}

fn field(text: &str, name: &str) -> Result<f64, String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("the kernel tells no {name}"))
}

/// Reads how much memory a process has.
///
/// # Errors
///
/// The kernel does not report it.
pub fn memory(pid: i32) -> Result<Memory, String> {
    let text = read(pid, "smaps_rollup")?;
    Ok(Memory {
        resident: field(&text, "Rss:")?,
        private: field(&text, "Private_Clean:")? + field(&text, "Private_Dirty:")?,
        anonymous: field(&text, "Anonymous:")?,
    })
}

/// Reads how often the process was put on a processor.
///
/// # Errors
///
/// The kernel does not report it.
pub fn switches(pid: i32) -> Result<f64, String> {
    let text = read(pid, "status")?;
    Ok(field(&text, "voluntary_ctxt_switches:")? + field(&text, "nonvoluntary_ctxt_switches:")?)
}

/// Reads the processor time of the process, in nanoseconds. `stat` would count in hundredths of a
/// second.
///
/// # Errors
///
/// The kernel does not report it.
pub fn processor_time(pid: i32) -> Result<f64, String> {
    let text = read(pid, "schedstat")?;
    let first = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    first.ok_or_else(|| "the kernel keeps no schedstat".into())
}

/// Counts the children of the process, including zombies.
///
/// # Errors
///
/// The kernel does not report it.
pub fn children(pid: i32) -> Result<usize, String> {
    Ok(read(pid, &format!("task/{pid}/children"))?
        .split_whitespace()
        .count())
}

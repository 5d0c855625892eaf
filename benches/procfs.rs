//! What the kernel tells about a process.

use std::fs;

/// Memory in kB, as `smaps_rollup` has it.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    /// Shared with nobody.
    pub private: f64,
    /// Behind no file.
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

/// A process's memory.
///
/// # Errors
///
/// The kernel does not tell.
pub fn memory(pid: i32) -> Result<Memory, String> {
    let text = read(pid, "smaps_rollup")?;
    Ok(Memory {
        resident: field(&text, "Rss:")?,
        private: field(&text, "Private_Clean:")? + field(&text, "Private_Dirty:")?,
        anonymous: field(&text, "Anonymous:")?,
    })
}

/// How often it was put on a processor.
///
/// # Errors
///
/// As above.
pub fn switches(pid: i32) -> Result<f64, String> {
    let text = read(pid, "status")?;
    Ok(field(&text, "voluntary_ctxt_switches:")? + field(&text, "nonvoluntary_ctxt_switches:")?)
}

/// The time that it has had a processor, in nanoseconds: `stat` would count in hundredths of a
/// second.
///
/// # Errors
///
/// As above.
pub fn processor_time(pid: i32) -> Result<f64, String> {
    let text = read(pid, "schedstat")?;
    let first = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    first.ok_or_else(|| "the kernel keeps no schedstat".into())
}

/// How many children it has, living or not.
///
/// # Errors
///
/// As above.
pub fn children(pid: i32) -> Result<usize, String> {
    Ok(read(pid, &format!("task/{pid}/children"))?
        .split_whitespace()
        .count())
}

//! The files that a command may mean.

use std::ffi::CString;

/// Where a command is looked for if there is no `PATH`: what Docker and the shells take.
pub(crate) const DEFAULT_SEARCH_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `NAME_MAX` and `PATH_MAX` (`limits.h`).
const NAME_MAX: usize = 255;

/// The files that COMMAND may mean, in the order of `execvp(3)`: itself if it has a slash, else one
/// in each directory of `PATH`, an empty one being the current directory.
pub(crate) fn candidate_paths(command: &[u8], path: Option<&[u8]>) -> Vec<CString> {
    let string = |bytes: &[u8]| CString::new(bytes.to_vec()).ok();
    if command.is_empty() {
        return Vec::new();
    }
    // No file has so long a name, and to put it behind every directory of a long `PATH` could take
    // gigabytes. By itself it makes the kernel fail as `execvp(3)` does: with ENAMETOOLONG.
    if command.contains(&b'/') || command.len() > NAME_MAX {
        return string(command).into_iter().collect();
    }
    let directories = path
        .unwrap_or(DEFAULT_SEARCH_PATH)
        .split(|byte| *byte == b':');
    directories
        .filter_map(|directory| {
            let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            string(&[directory, separator, command].concat())
        })
        .collect()
}

#[cfg(test)]
#[path = "command_path_tests.rs"]
mod tests;

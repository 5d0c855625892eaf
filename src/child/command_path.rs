//! The files that a command may mean.

use std::ffi::CString;

/// The directories that are searched if there is no `PATH`: the same as in Docker and shells.
pub(crate) const DEFAULT_SEARCH_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest file name in bytes (`limits.h`).
const NAME_MAX: usize = 255;

/// Returns the files that COMMAND may mean, in the order of `execvp(3)`. With a slash it is a path
/// itself. Otherwise it may be in each directory of `PATH`; an empty one means the current
/// directory.
pub(crate) fn candidate_paths(command: &[u8], path: Option<&[u8]>) -> Vec<CString> {
    let string = |bytes: &[u8]| CString::new(bytes.to_vec()).ok();
    if command.is_empty() {
        return Vec::new();
    }
    // No file has so long a name, and joined to every directory of a long `PATH` it could take
    // gigabytes. Alone it makes exec fail with ENAMETOOLONG, as `execvp(3)` would.
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

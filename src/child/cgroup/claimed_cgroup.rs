//! A cgroup that this frigate alone uses, because it has created or adopted and locked it.

use crate::child::cgroup::enabled_parent::LEAF_NAME;
use crate::child::cgroup::reason::failure_reason;
use crate::core::errno::Errno;
use crate::core::text::lossy_text;
use crate::core::usage::value_of;
use crate::sys::cgroup::{self, CgroupDirectory};
use crate::sys::kernel_file::WritableFile;
use crate::sys::process::last_component;

/// Every attempt claims a name, finds it in use, or removes what is in the way. So this bound is
/// never met in practice.
const CLAIM_ATTEMPTS: u32 = 10_000;

/// A cgroup that is locked by this process.
pub(super) struct ClaimedCgroup {
    pub(super) path: String,
    pub(super) directory: CgroupDirectory,
    /// See `CgroupDirectory::lock`.
    pub(super) kill_file: Option<WritableFile>,
    /// Whether it existed before, with processes in it.
    pub(super) is_adopted: bool,
}

/// What an attempt to claim a name led to.
enum Attempt {
    Claimed(ClaimedCgroup),
    /// The name is in use: a file of the kernel, another frigate's or another user's cgroup.
    InUse,
    /// The name is free by now.
    Retry,
}

impl ClaimedCgroup {
    /// Creates a cgroup for that command, or adopts one that an earlier run has left. If another
    /// frigate uses the name, a number is appended.
    ///
    /// # Errors
    ///
    /// The path at which no cgroup could be created, and why.
    pub(super) fn claim(parent_path: &str, command: &[u8]) -> Result<Self, String> {
        let name = cgroup_name(command);
        let mut suffix = 1;
        for _ in 0..CLAIM_ATTEMPTS {
            let path = match suffix {
                1 if name != LEAF_NAME => [parent_path, "/", &name].concat(),
                _ => format!("{parent_path}/{name}-{suffix}"),
            };
            match try_claim(&path) {
                Ok(Attempt::Claimed(claimed)) => return Ok(claimed),
                Ok(Attempt::InUse) => suffix += 1,
                Ok(Attempt::Retry) => {}
                Err(errno) => return Err(failure_reason(&path, errno)),
            }
        }
        let path = [parent_path, "/", &name].concat();
        Err(failure_reason(&path, Errno::EXISTS))
    }
}

/// Claims the cgroup at that path.
///
/// Its lock shows whether it is in use: the kernel releases the lock when its holder ends. An
/// unlocked cgroup with processes is adopted, and they are ended before the first start. An
/// unlocked cgroup without processes is removed, to be created anew.
fn try_claim(path: &str) -> Result<Attempt, Errno> {
    let is_new = match cgroup::create(path) {
        Ok(()) => true,
        Err(Errno::EXISTS) => false,
        Err(errno) => return Err(errno),
    };
    let locked =
        CgroupDirectory::open(path).and_then(|directory| Ok((directory.lock(is_new)?, directory)));
    let (kill_file, directory) = match locked {
        Ok(locked) => locked,
        // Its holder has just removed it.
        Err(Errno::NOT_FOUND) => return Ok(Attempt::Retry),
        Err(Errno::NOT_A_DIRECTORY | Errno::AGAIN | Errno::ACCESS) => return Ok(Attempt::InUse),
        Err(errno) => return Err(errno),
    };
    if !is_new {
        // Its holder may have removed it just before the lock became free. Then this read fails.
        let Ok(events) = directory.read("cgroup.events") else {
            return Ok(Attempt::Retry);
        };
        if value_of(&events, "populated") != Some(1) {
            directory.remove_descendants();
            let removed = cgroup::remove(path);
            return Ok(removed.map_or(Attempt::InUse, |()| Attempt::Retry));
        }
    }
    Ok(Attempt::Claimed(ClaimedCgroup {
        path: path.to_owned(),
        directory,
        kill_file,
        is_adopted: !is_new,
    }))
}

/// Returns a directory name for the cgroup of that command, without `/` and without a leading dot.
fn cgroup_name(command: &[u8]) -> String {
    let name = lossy_text(last_component(command));
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '@' | ':' | '.');
    let replace = |c: char| if is_allowed(c) { c } else { '_' };
    let name: String = name.chars().map(replace).take(64).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        "command".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
#[path = "claimed_cgroup_tests.rs"]
mod tests;

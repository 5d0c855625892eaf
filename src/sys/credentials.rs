//! The user, groups and capabilities that frigate has.

use rustix::process::{getegid, geteuid, getgid, getgroups, getuid};
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_ambient_set};

/// Returns whether frigate's own file gave it privileges that its caller lacks: by set-user-ID,
/// set-group-ID or file capabilities.
///
/// `AT_SECURE` (`getauxval(3)`) does not answer this. A security module may set it at any exec into
/// another domain, and does so for the first process of every container.
pub(crate) fn has_more_privileges_than_caller() -> bool {
    if getuid() != geteuid() || getgid() != getegid() {
        return true;
    }
    if getuid().is_root() {
        return false;
    }
    // Without file capabilities, a user other than root keeps exactly its ambient capabilities at
    // an exec. With them, the kernel empties the ambient set (capabilities(7)).
    let permitted = capabilities(None).map_or(u64::MAX, |sets| sets.permitted.bits());
    (0..u64::BITS).map(|index| 1 << index).any(|bit| {
        permitted & bit != 0
            && !capability_is_in_ambient_set(CapabilitySet::from_bits_retain(bit)).unwrap_or(false)
    })
}

/// Returns whether frigate's user is `uid` already.
pub(crate) fn is_user(uid: u32) -> bool {
    getuid().as_raw() == uid && geteuid().as_raw() == uid
}

/// Returns whether frigate's group is `gid` already.
pub(crate) fn is_group(gid: u32) -> bool {
    getgid().as_raw() == gid && getegid().as_raw() == gid
}

/// Returns whether frigate's supplementary groups are exactly `wanted`.
///
/// If the child keeps frigate's group (`gid` is this group or `None`), the group counts on both
/// sides, listed or not. If the child changes its group, only the lists count.
pub(crate) fn has_groups(wanted: &[u32], gid: Option<u32>) -> bool {
    let own = getegid().as_raw();
    let kept = gid.is_none_or(is_group).then_some(own);
    let Ok(actual) = getgroups() else {
        return false;
    };
    let is_member =
        |gid: u32| kept == Some(gid) || actual.iter().any(|actual| actual.as_raw() == gid);
    let is_wanted = |gid: u32| kept == Some(gid) || wanted.contains(&gid);
    actual.iter().all(|gid| is_wanted(gid.as_raw())) && wanted.iter().all(|gid| is_member(*gid))
}

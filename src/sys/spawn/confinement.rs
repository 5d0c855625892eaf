//! What the child changes about itself: root, groups, user, directory, privileges.
//!
//! # Safety
//!
//! Each call is given numbers, or pointers to live values. The C library's wrappers would signal
//! every thread of the host program. These calls are the kernel's own, and change one process.
#![expect(unsafe_code, reason = "raw system calls on the child's side")]

use std::ffi::CString;

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::core::errno::Errno;
use crate::core::status::Stage;
use crate::sys::{errno, last_errno};

/// The changes, in the order in which the child makes them. It keeps frigate's value for what is
/// `None`.
#[derive(Clone, Default)]
pub(crate) struct Confinement {
    pub(crate) root: Option<CString>,
    pub(crate) groups: Option<Vec<libc::gid_t>>,
    pub(crate) group: Option<libc::gid_t>,
    pub(crate) user: Option<libc::uid_t>,
    pub(crate) directory: Option<CString>,
    pub(crate) no_new_privileges: bool,
}

impl Confinement {
    pub(super) const fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                root: None,
                groups: None,
                group: None,
                user: None,
                directory: None,
                no_new_privileges: false
            }
        )
    }

    /// Makes the changes in the only order in which each is still permitted: the root and the
    /// groups while privileged, then the user, then the directory with that user's permissions.
    /// Returns the first that failed.
    // Not inlined: what every run executes has 352 bytes less (`tools/order.ld`).
    #[inline(never)]
    pub(super) fn apply(&self) -> Result<(), (Stage, Errno)> {
        let check = |stage, result: libc::c_long| {
            if result < 0 {
                Err((stage, last_errno()))
            } else {
                Ok(())
            }
        };
        if let Some(root) = &self.root {
            // SAFETY: the path is a C string.
            check(Stage::Root, unsafe { libc::chroot(root.as_ptr()) }.into())?;
            // The working directory would stay outside of the root, and lead out of it.
            // SAFETY: the path is a C string.
            check(Stage::Root, unsafe { libc::chdir(c"/".as_ptr()) }.into())?;
        }
        if let Some(groups) = &self.groups {
            // SAFETY: the array is live, and has this length.
            check(Stage::Groups, unsafe {
                libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr())
            })?;
        }
        if let Some(group) = self.group {
            // SAFETY: setresgid(2) touches no memory.
            check(Stage::Group, unsafe {
                libc::syscall(libc::SYS_setresgid, group, group, group)
            })?;
        }
        if let Some(user) = self.user {
            become_user(user).map_err(|errno| (Stage::User, errno))?;
        }
        if let Some(directory) = &self.directory {
            // SAFETY: the path is a C string.
            let result = unsafe { libc::chdir(directory.as_ptr()) };
            check(Stage::Directory, result.into())?;
        }
        if self.no_new_privileges {
            // SAFETY: this prctl(2) operation takes numbers.
            let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            check(Stage::NoNewPrivileges, result.into())?;
        }
        Ok(())
    }
}

/// `KEYCTL_JOIN_SESSION_KEYRING`.
const JOIN_SESSION_KEYRING: libc::c_int = 1;

fn become_user(user: libc::uid_t) -> Result<(), Errno> {
    // The keys of frigate's session are not for that user. The new keyring comes before the change:
    // after it, a user that has used up its quota of keys would keep frigate's keyring. A failure
    // does not matter: Docker's filter of system calls, for one, refuses the call.
    // SAFETY: this keyctl(2) operation takes a name, or null for a keyring without one.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            core::ptr::null::<core::ffi::c_char>(),
        )
    };
    // SAFETY: setresuid(2) touches no memory.
    if unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) } < 0 {
        return Err(last_errno());
    }
    if user != 0 {
        // The kernel drops capabilities by itself only if the user was 0 and no securebits forbid
        // it, and never the inheritable ones. The ambient set is always a part of the permitted and
        // the inheritable set, and so goes with them (capabilities(7)). The bounding set stays: it
        // gives nothing.
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        set_capabilities(None, sets).map_err(errno)?;
    }
    Ok(())
}

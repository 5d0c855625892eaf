//! The word in which a child tells why it never executed its program.
//!
//! A pipe would make frigate wait, or take three system calls more for each start. The word is read
//! when the child has been reaped.
//!
//! # Safety
//!
//! The page is mapped as long as its owner lives. Both sides use it as an atomic only.
#![expect(unsafe_code, reason = "a page that two processes share")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::core::errno::Errno;
use crate::core::status::{SpawnFailure, Stage};
use crate::sys::last_errno;

/// 0 means no failure. Otherwise the upper half is the stage, counted from 1, and the lower half
/// the error number, which is less than 4096.
#[derive(Default)]
pub(super) struct FailureWord {
    /// The word of a child that shares frigate's memory.
    own: AtomicU32,
    /// The word of a forked child, made for the first one. A page costs a system call, which a
    /// child in frigate's memory does not need.
    page: Option<SharedPage>,
}

impl FailureWord {
    /// Makes the word one that forked children share.
    pub(super) fn share_with_forks(&mut self) -> Result<(), Errno> {
        if self.page.is_none() {
            self.page = Some(SharedPage::map()?);
        }
        Ok(())
    }

    fn word(&self) -> &AtomicU32 {
        self.page.as_ref().map_or(&self.own, SharedPage::word)
    }

    pub(super) fn clear(&self) {
        self.word().store(0, Ordering::Relaxed);
    }

    /// Writes the failure, on the child's side.
    pub(super) fn set(&self, stage: Stage, errno: Errno) {
        let word = (stage as u32 + 1) << 16 | errno.raw().unsigned_abs() & 0xffff;
        self.word().store(word, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<SpawnFailure> {
        let word = self.word().load(Ordering::Acquire);
        let stage = Stage::ALL
            .get((word >> 16).checked_sub(1)? as usize)
            .copied()?;
        Some(SpawnFailure {
            stage,
            errno: Errno::new(i32::try_from(word & 0xffff).ok()?),
        })
    }
}

/// A page that this process and its forked children share.
struct SharedPage(NonNull<AtomicU32>);

impl SharedPage {
    /// `mmap(MAP_SHARED | MAP_ANONYMOUS)`. The kernel fills the page with zeros.
    fn map() -> Result<Self, Errno> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let page = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                size_of::<AtomicU32>(),
                protection,
                flags,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(last_errno());
        }
        NonNull::new(page.cast()).map(Self).ok_or(Errno::INVALID)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped as long as `self` lives, and aligned.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing here refers to it any more. A child has
        // a mapping of its own.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU32>()) };
    }
}

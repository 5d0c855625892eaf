//! Which descriptors are frigate's own, for `descriptors::release`.

use core::sync::atomic::{AtomicI32, Ordering};
use std::os::fd::{AsRawFd, OwnedFd};

/// The highest number of a descriptor that frigate has opened and keeps; 0 or more than 2.
static HIGHEST_OWN: AtomicI32 = AtomicI32::new(0);

/// Notes a descriptor of frigate's own, so that `descriptors::release` spares it. Each is close-on-exec.
pub(super) fn note_own(fd: OwnedFd) -> OwnedFd {
    HIGHEST_OWN.fetch_max(fd.as_raw_fd(), Ordering::Relaxed);
    fd
}

/// Returns the highest number noted; 0 means none.
pub(super) fn highest_own() -> i32 {
    HIGHEST_OWN.load(Ordering::Relaxed)
}

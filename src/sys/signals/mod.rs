//! Signals: blocked, awaited, received and sent.
//!
//! Sets of signals are the kernel's own 64 bits, for the raw system calls. The C library's
//! `sigset_t` does not suffice. Its `sigfillset` leaves out the two or three signals that the
//! library keeps for its threads, and its `sigprocmask` and `sigaction` refuse them, but any
//! process can send them by `kill(2)`.

mod disposition;
mod former_group;
mod mask;
mod received;
mod send;
mod waiter;
mod watch;

pub(crate) use disposition::restore_sigchld;
pub(super) use disposition::{ignore_sigchld, set_disposition};
pub(crate) use former_group::FormerGroup;
pub(crate) use mask::{Mask, block_all};
pub(super) use mask::{block_all_but, block_all_but_libc_signals, current_mask, set_mask};
pub(crate) use received::ReceivedSignal;
pub(crate) use send::{
    is_anyone_left, requeue, send, send_by_pidfd, send_to_everyone, send_to_group_by_pidfd,
    send_to_group_of, suspend_own_job,
};
pub(crate) use waiter::{SignalWaiter, WakeReason};
pub(crate) use watch::{Watch, poll_watches};
pub(super) use watch::{is_readable, is_ready};

/// The size of the kernel's signal set, which its calls take as an argument.
const SIGSET_BYTES: usize = size_of::<u64>();

/// All 64 signals. The kernel itself leaves out KILL and STOP (`sigprocmask(2)`).
const ALL_SIGNALS: u64 = u64::MAX;

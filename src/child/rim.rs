//! What binary and library do differently with their children.

use std::os::fd::BorrowedFd;

use crate::child::leftovers::Leftovers;
use crate::core::action::Recipient;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::signal::Signal;
use crate::core::status::SpawnFailure;
use crate::core::supervisor::Event;
use crate::sys::process::HeldProcesses;
use crate::sys::spawn::{Cgroup, SpawnPlan, Spawned};

/// The child's standard output and standard error, if they are captured.
pub(crate) type Streams<'a> = [Option<BorrowedFd<'a>>; 2];

/// What binary and library do differently.
pub(crate) trait Rim {
    fn report(&mut self, fact: &Fact<'_>);

    /// # Errors
    ///
    /// The child could not be made.
    fn spawn(
        &mut self,
        plan: &mut SpawnPlan,
        restarts: u32,
        cgroup: Option<Cgroup<'_>>,
        streams: Streams<'_>,
    ) -> Result<Spawned, SpawnFailure>;

    /// # Errors
    ///
    /// The kernel did not send the signal. A child that has ended just now is no error.
    fn send(&mut self, child: &Spawned, signal: Signal, to: Recipient) -> Result<(), Errno>;

    /// # Errors
    ///
    /// Nothing was found, and there may be something.
    fn find_namesakes(&self) -> Result<HeldProcesses, Errno>;

    /// Sends TERM and CONT to all that is left at the end. Returns the answer, if it is known.
    fn end_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event>;

    /// Looks whether anything is left at the end. Returns the answer; `None` if it follows.
    fn probe_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event>;

    /// Sends KILL to all that is left at the end.
    fn kill_rest(&mut self, leftovers: &mut Leftovers);

    /// Whether a process is left that is alive and that a signal can reach.
    fn is_any_left(&self, leftovers: &mut Leftovers) -> bool;
}

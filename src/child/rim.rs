//! What the binary and the library do differently with a child.

use std::os::fd::BorrowedFd;

use crate::child::leftovers::Leftovers;
use crate::core::action::Recipient;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::signal::Signal;
use crate::core::status::SpawnFailure;
use crate::core::supervisor::Event;
use crate::sys::process::HeldProcesses;
use crate::sys::spawn::{self, Cgroup, SpawnPlan, Spawned};

/// The child's standard output and standard error, if they are captured.
pub(crate) type Streams<'a> = [Option<BorrowedFd<'a>>; 2];

/// What the binary and the library do differently.
pub(crate) trait Rim {
    fn report(&mut self, fact: &Fact<'_>);

    /// Starts a child. `restarts` is the number of restarts before it.
    ///
    /// # Errors
    ///
    /// The child could not be started.
    fn spawn(
        &mut self,
        plan: &mut SpawnPlan,
        restarts: u32,
        cgroup: Option<Cgroup<'_>>,
        streams: Streams<'_>,
    ) -> Result<Spawned, SpawnFailure>;

    /// Starts the program of a check. In a process that is frigate and nothing else, nothing has to be
    /// kept from it.
    ///
    /// # Errors
    ///
    /// The program could not be started.
    fn spawn_check_program(
        &mut self,
        plan: &mut SpawnPlan,
        cgroup: Option<Cgroup<'_>>,
        streams: Streams<'_>,
    ) -> Result<Spawned, SpawnFailure> {
        spawn::spawn(plan, 0, false, cgroup, streams, ())
    }

    /// Sends the child a signal. If the child has just ended, that is not an error.
    ///
    /// # Errors
    ///
    /// The kernel did not send the signal.
    fn send(&mut self, child: &Spawned, signal: Signal, to: Recipient) -> Result<(), Errno>;

    /// Finds the other processes of the command's name.
    ///
    /// # Errors
    ///
    /// None was found, and there may be some.
    fn find_namesakes(&self) -> Result<HeldProcesses, Errno>;

    /// Sends TERM and CONT to the rest. Returns the answer if it is known already.
    fn end_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event>;

    /// Looks whether anything is left of the rest. Returns the answer; `None` means that it
    /// follows.
    fn probe_rest(&mut self, leftovers: &mut Leftovers) -> Option<Event>;

    /// Sends KILL to the rest.
    fn kill_rest(&mut self, leftovers: &mut Leftovers);

    /// Returns whether a process is left that is alive and can be signaled.
    fn is_any_left(&self, leftovers: &mut Leftovers) -> bool;
}

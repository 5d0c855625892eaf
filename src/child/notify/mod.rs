//! What the child reports by itself (`sd_notify(3)`), and what is passed on to frigate's manager.

mod manager;
mod status_text;

use core::time::Duration;

use manager::Manager;
pub(crate) use status_text::StatusText;

use crate::child::cgroup::ChildCgroup;
use crate::core::errno::Errno;
use crate::core::health::notification::{self, Assignment, Notification};
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::sys::notify_socket::{NotifySocket, StartProcess};
use crate::sys::process::group_of;
use crate::sys::signals::Watch;
use crate::sys::spawn::{Spawned, run_in_new_process};

/// The longest message. systemd takes no longer ones either.
const MOST_BYTES: usize = 4096;

/// How many assignments of one message count: more than there are kinds of them.
const MOST_ASSIGNMENTS: usize = 16;

/// How many messages are taken before signals are looked at again, so that a flood of messages
/// delays them by one turn at most.
const MOST_MESSAGES: usize = 16;

/// The pause after the kernel has made no process for a host. No signal tells frigate's thread there
/// that one has ended.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The child whose messages count.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) child: Pid,
    pub(crate) cgroup: Option<&'a ChildCgroup>,
    /// Whether no other start will follow.
    pub(crate) is_last_start: bool,
}

/// Takes the messages of one child.
pub(crate) struct NotificationReceiver {
    socket: NotifySocket,
    manager: Option<Manager>,
}

impl NotificationReceiver {
    /// Opens a socket for the child. `manager` is frigate's own `NOTIFY_SOCKET`, if it has one.
    ///
    /// # Errors
    ///
    /// The kernel gives no socket or no address. A manager that cannot be reached is no error.
    pub(crate) fn open(manager: Option<&[u8]>) -> Result<Self, Errno> {
        let until_one_has_ended = None;
        Ok(Self {
            socket: NotifySocket::open(|work, _| run_in_new_process(work), until_one_has_ended)?,
            manager: manager.map(Manager::connect),
        })
    }

    /// Opens a socket for the child of a host program. `start_process` makes a process of the host
    /// that has a pidfd. Nothing is passed on: the host's `NOTIFY_SOCKET` is its own affair.
    ///
    /// # Errors
    ///
    /// The kernel gives no socket or no address.
    pub(crate) fn open_in_host(start_process: StartProcess) -> Result<Self, Errno> {
        Ok(Self {
            socket: NotifySocket::open(start_process, Some(RETRY_PAUSE))?,
            manager: None,
        })
    }

    /// Returns the value of the child's `NOTIFY_SOCKET`.
    ///
    /// # Errors
    ///
    /// The kernel has given no abstract address.
    pub(crate) fn address(&self) -> Result<Vec<u8>, Errno> {
        self.socket.address()
    }

    /// Returns what becomes ready when `receive` has something to do.
    pub(crate) fn watch(&self) -> Option<Watch<'_>> {
        self.socket.watch()
    }

    /// Returns when `tick` is due; `None` means never.
    pub(crate) const fn deadline(&self) -> Option<Moment> {
        self.socket.deadline()
    }

    /// Returns the processes of the receiver's own that the caller has to reap by their pidfds. Each
    /// has ended, or was sent KILL.
    pub(crate) fn take_unreaped(&mut self) -> Vec<Spawned> {
        self.socket.take_unreaped()
    }

    /// Closes the socket, without a wait, in a process that goes on. Returns the processes that are
    /// still to be reaped, like `take_unreaped`.
    pub(crate) fn close_elsewhere(self) -> Vec<Spawned> {
        self.socket.close_elsewhere()
    }

    /// Ends a process of the receiver's own that takes too long.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.socket.tick(now);
    }

    /// Takes the end of a process that was reaped. Returns whether it was one of the receiver's.
    pub(crate) fn note_reaped(&mut self, pid: Pid) -> bool {
        self.socket.note_reaped(pid)
    }

    /// Takes the messages that have come, and calls `visit` with what counts. `None` means that
    /// there is no child: the messages are dropped. Returns why frigate's manager has not got one.
    pub(crate) fn receive(
        &mut self,
        from: Option<Sender<'_>>,
        visit: &mut dyn FnMut(Assignment<'_>),
    ) -> Option<Errno> {
        let mut buffer = [0; MOST_BYTES];
        let mut failure = None;
        for _ in 0..MOST_MESSAGES {
            let Some(received) = self.socket.receive(&mut buffer) else {
                break;
            };
            let from = from.filter(|from| {
                let sender = received.sender;
                !received.is_truncated && sender.is_some_and(|pid| from.is_own(pid))
            });
            let Some(from) = from else {
                continue;
            };
            let message = buffer.get(..received.length).unwrap_or_default();
            for assignment in notification::parse(message).take(MOST_ASSIGNMENTS) {
                if let Assignment::Notification(notification) = assignment {
                    failure = self.pass_on(notification, from.is_last_start).or(failure);
                }
                visit(assignment);
            }
        }
        failure
    }

    /// Tells frigate's manager that the child is ready, or stops for good. Returns why that failed.
    ///
    /// The other messages are about the child alone. A child that stops and is started again does
    /// not stop for the manager, which would wait for frigate's end, and then kill it.
    fn pass_on(&mut self, notification: Notification, is_last_start: bool) -> Option<Errno> {
        let message: &[u8] = match notification {
            Notification::Ready => b"READY=1",
            Notification::Stopping if is_last_start => b"STOPPING=1",
            Notification::Stopping
            | Notification::Alive
            | Notification::Trigger
            | Notification::Interval(_)
            | Notification::Extend(_) => return None,
        };
        self.manager.as_mut()?.tell(message).err()
    }
}

impl Sender<'_> {
    /// Returns whether the process is the child, or a living process of its group or cgroup. Every
    /// process of the network namespace can send messages, of other containers of a pod too.
    fn is_own(&self, pid: Pid) -> bool {
        pid == self.child
            || group_of(pid) == Some(self.child)
            || self.cgroup.is_some_and(|cgroup| cgroup.has_member(pid))
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;

//! The socket on which a child reports by itself, and the one to frigate's own manager
//! (`sd_notify(3)`, `unix(7)`).
//!
//! # Safety
//!
//! `recvmsg(2)` is given pointers to live buffers of the sizes that it is told. It is called without
//! `rustix`, whose type for a sender's process has no place for 0, which stands for a process of
//! another PID namespace. `pause(2)` touches no memory.
#![expect(unsafe_code, reason = "recvmsg with credentials, and pause")]

use core::mem::MaybeUninit;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind,
    connect, getsockname, recv, send, shutdown, socket_with, sockopt,
};

use super::own_descriptor::note_own;
use super::pidfd::{self, ReapResult};
use super::signals::{self, Watch};
use super::spawn::Spawned;
use super::{clock, errno, last_errno};
use crate::core::errno::Errno;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// How long the process that drops a message may take. Mostly the drop takes no time.
const DROP_TIMEOUT: Duration = Duration::from_millis(100);

/// How many messages are dropped by the caller before the socket is closed. The kernel's own limit is
/// mostly 10 (`net.unix.max_dgram_qlen`).
const MOST_DROPPED_AT_CLOSE: usize = 1024;

/// Makes a process that runs the work and then ends. The work may call only what `signal-safety(7)`
/// lists. The time is how long the process may take; `None` means no limit. A caller that never waits
/// need not obey it, since `tick` sends KILL as well.
pub(crate) type StartProcess = fn(&dyn Fn(), Option<Duration>) -> Result<Spawned, Errno>;

/// A datagram, and who sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    /// `None` means a process that is not in frigate's PID namespace, or below it.
    pub(crate) sender: Option<Pid>,
    /// The number of its bytes in the buffer.
    pub(crate) length: usize,
    /// The buffer was too small for it.
    pub(crate) is_truncated: bool,
}

/// A datagram socket at an abstract address that the kernel has chosen.
pub(crate) struct NotifySocket {
    fd: OwnedFd,
    drop: Drop,
    start_process: StartProcess,
    /// How long to wait after the kernel has made no process. `None` means until one has ended, which
    /// `note_reaped` reports.
    retry_pause: Option<Duration>,
    /// Processes that have ended, or were sent KILL, and that `note_reaped` does not report.
    unreaped: Vec<Spawned>,
}

/// What becomes of a message with descriptors.
enum Drop {
    /// There is none.
    Nothing,
    /// This process drops it. At `until` it is sent KILL; `None` means that it was.
    UnderWay { by: Spawned, until: Option<Moment> },
    /// The kernel made no process for it. It is tried again at `until`; `None` means when a process
    /// has ended.
    Refused { until: Option<Moment> },
}

impl NotifySocket {
    /// A process with a pidfd is reaped by that, and one without by the caller, who then calls
    /// `note_reaped`. The field `retry_pause` explains that.
    pub(crate) fn open(
        start_process: StartProcess,
        retry_pause: Option<Duration>,
    ) -> Result<Self, Errno> {
        let fd = datagram_socket().map_err(errno)?;
        // Before the socket has an address: the kernel adds the sender only to messages that are
        // sent after this.
        sockopt::set_socket_passcred(&fd, true).map_err(errno)?;
        bind(&fd, &SocketAddrUnix::new_unnamed()).map_err(errno)?;
        Ok(Self {
            fd,
            drop: Drop::Nothing,
            start_process,
            retry_pause,
            unreaped: Vec::new(),
        })
    }

    /// Returns the address as `NOTIFY_SOCKET` names it: `@`, and then five hexadecimal digits.
    pub(crate) fn address(&self) -> Result<Vec<u8>, Errno> {
        let address = getsockname(&self.fd).map_err(errno)?;
        let address = SocketAddrUnix::try_from(address).map_err(errno)?;
        let name = address.abstract_name().ok_or(Errno::INVALID)?;
        Ok([b"@", name].concat())
    }

    /// Returns what becomes ready when `receive` has something to do. `None` means that a message has
    /// to be dropped first, and that no descriptor reports it.
    pub(crate) fn watch(&self) -> Option<Watch<'_>> {
        let fd = match &self.drop {
            Drop::Nothing => Some(&self.fd),
            Drop::UnderWay { by, .. } => by.pidfd.as_ref(),
            Drop::Refused { .. } => None,
        };
        fd.map(|fd| Watch::readable(fd.as_fd()))
    }

    /// Takes the next message. `None` means that there is none, or that another one has to be
    /// dropped first.
    ///
    /// A message is read first, and then dropped. It can carry descriptors, which the kernel closes
    /// when it is dropped, and to close a socket can take as long as its owner wants (`SO_LINGER` in
    /// `socket(7)`). So another process drops a message with descriptors. They cannot be refused:
    /// `sd_notify_barrier(3)` sends one, and waits until it is closed.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<Received> {
        self.reap_by_pidfd();
        let Drop::Nothing = self.drop else {
            return None;
        };
        let (received, has_descriptors) = self.peek(buffer).ok()?;
        if has_descriptors {
            self.drop_elsewhere();
        } else {
            self.drop_first();
        }
        // A message that stays is read again.
        let stays = matches!(self.drop, Drop::Refused { .. });
        (!stays).then_some(received)
    }

    /// Takes the end of a process that was reaped. Returns whether it had to drop a message.
    pub(crate) fn note_reaped(&mut self, pid: Pid) -> bool {
        let has_dropped = matches!(&self.drop, Drop::UnderWay { by, .. } if by.pid == pid);
        if has_dropped || matches!(self.drop, Drop::Refused { .. }) {
            self.drop = Drop::Nothing;
        }
        has_dropped
    }

    /// Reaps the process that drops a message, if it has ended and has a pidfd.
    fn reap_by_pidfd(&mut self) {
        let Drop::UnderWay { by, .. } = &self.drop else {
            return;
        };
        let Some(pidfd) = by.pidfd.as_ref().filter(|fd| pidfd::has_ended(fd.as_fd())) else {
            return;
        };
        let is_traced = matches!(pidfd::reap(pidfd.as_fd()), ReapResult::Alive);
        let ended = core::mem::replace(&mut self.drop, Drop::Nothing);
        if let Drop::UnderWay { by, .. } = ended {
            // It can be reaped when its tracer has detached from it. The message is dropped by now.
            self.unreaped.extend(is_traced.then_some(by));
        }
    }

    /// Returns the processes with a pidfd that the caller has to reap by it: each has ended, or was
    /// sent KILL.
    pub(crate) fn take_unreaped(&mut self) -> Vec<Spawned> {
        core::mem::take(&mut self.unreaped)
    }

    /// Returns when `tick` is due; `None` means never.
    pub(crate) const fn deadline(&self) -> Option<Moment> {
        match self.drop {
            Drop::UnderWay { until, .. } | Drop::Refused { until } => until,
            Drop::Nothing => None,
        }
    }

    /// Sends KILL to the process that drops a message, if it takes too long. To end, it need not wait
    /// for what it closes. If there is none, lets `receive` try again.
    pub(crate) fn tick(&mut self, now: Moment) {
        if self.deadline().is_none_or(|until| until > now) {
            return;
        }
        match &mut self.drop {
            Drop::UnderWay { by, until } => {
                *until = None;
                kill(by);
            }
            Drop::Refused { .. } => self.drop = Drop::Nothing,
            Drop::Nothing => {}
        }
    }

    /// Closes the socket of a process that goes on, and must not wait. Returns the processes with a
    /// pidfd that are still to be reaped: each was sent KILL, or has ended.
    ///
    /// The last close of the socket drops every message that it still holds, and closes their
    /// descriptors. If there may be any, another process closes it last: one that was sent KILL does
    /// not wait for what it closes.
    pub(crate) fn close_elsewhere(mut self) -> Vec<Spawned> {
        // No message comes after this.
        let _ = shutdown(&self.fd, Shutdown::Read);
        let mut unreaped = self.take_unreaped();
        let is_empty = match core::mem::replace(&mut self.drop, Drop::Nothing) {
            Drop::Nothing => self.drop_plain(),
            // Both would take messages from the queue, and this thread the wrong one.
            Drop::UnderWay { by, .. } => {
                kill(&by);
                unreaped.push(by);
                false
            }
            Drop::Refused { .. } => false,
        };
        if is_empty {
            return unreaped;
        }
        let hold = || loop {
            // SAFETY: pause(2) touches no memory.
            unsafe { libc::pause() };
        };
        // No limit: if this thread is late, the other process must not end before the drop below.
        match (self.start_process)(&hold, None) {
            Ok(holder) => {
                // In this order: the other process is to close it last.
                drop(self.fd);
                kill(&holder);
                unreaped.push(holder);
            }
            // One descriptor is lost. That is better than a thread that may wait for a minute.
            Err(_) => core::mem::forget(self.fd),
        }
        unreaped
    }

    /// Drops messages up to the first with descriptors. Returns whether none is left.
    fn drop_plain(&self) -> bool {
        for _ in 0..MOST_DROPPED_AT_CLOSE {
            match self.peek(&mut []) {
                Ok((_, false)) => self.drop_first(),
                Ok((_, true)) => return false,
                Err(errno) => return errno == Errno::AGAIN,
            }
        }
        false
    }

    /// Reads the first message of the queue, and leaves it there. Returns whether it carries
    /// descriptors.
    fn peek(&self, buffer: &mut [u8]) -> Result<(Received, bool), Errno> {
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut control = MaybeUninit::<Credentials>::zeroed();
        // SAFETY: a msghdr of zeros has no buffers, and some C libraries pad it.
        let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        // There is room for the sender alone. So the kernel hands over no descriptors, and says
        // that something was left out.
        message.msg_controllen = size_of::<Credentials>() as _;
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: the header, and the buffers that it points to, are live, and have these sizes.
        let length = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, flags) };
        let length = usize::try_from(length).map_err(|_| last_errno())?;
        // SAFETY: it was zeroed, and any bytes are a value of it.
        let control = unsafe { control.assume_init() };
        let is_credentials = control.header.cmsg_level == libc::SOL_SOCKET
            && control.header.cmsg_type == libc::SCM_CREDENTIALS;
        let received = Received {
            sender: Pid::new(control.sender.pid).filter(|_| is_credentials),
            length,
            is_truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        };
        Ok((received, message.msg_flags & libc::MSG_CTRUNC != 0))
    }

    /// Drops the first message of the queue.
    fn drop_first(&self) {
        let _ = recv(&self.fd, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
    }

    fn drop_elsewhere(&mut self) {
        self.drop = match (self.start_process)(&|| self.drop_first(), Some(DROP_TIMEOUT)) {
            Ok(by) => Drop::UnderWay {
                by,
                until: Some(clock::now().after(DROP_TIMEOUT)),
            },
            Err(_) => Drop::Refused {
                until: self.retry_pause.map(|pause| clock::now().after(pause)),
            },
        };
    }
}

/// Sends KILL to a process. One without a pidfd has not been reaped.
fn kill(process: &Spawned) {
    let _ = match &process.pidfd {
        Some(pidfd) => signals::send_by_pidfd(pidfd.as_fd(), Signal::KILL),
        None => signals::send(process.pid, Signal::KILL),
    };
}

/// The control message with a sender's credentials (`unix(7)`), with the padding of `cmsg(3)`.
#[repr(C)]
struct Credentials {
    header: libc::cmsghdr,
    sender: libc::ucred,
    padding: u32,
}

fn datagram_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map(note_own)
}

/// A socket that is connected to the notification socket of frigate's own manager.
pub(crate) struct ManagerSocket(OwnedFd);

impl ManagerSocket {
    /// Connects to the address that `NOTIFY_SOCKET` names: an absolute path, or an abstract address
    /// after `@`.
    pub(crate) fn connect(address: &[u8]) -> Result<Self, Errno> {
        let address = match address.split_first() {
            Some((b'/', _)) => SocketAddrUnix::new(address),
            Some((b'@', name)) => SocketAddrUnix::new_abstract_name(name),
            _ => return Err(Errno::INVALID),
        }
        .map_err(errno)?;
        let fd = datagram_socket().map_err(errno)?;
        connect(&fd, &address).map_err(errno)?;
        Ok(Self(fd))
    }

    pub(crate) fn send(&self, message: &[u8]) -> Result<(), Errno> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        send(&self.0, message, flags).map(|_| ()).map_err(errno)
    }
}

#[cfg(test)]
#[path = "notify_socket_tests.rs"]
mod tests;

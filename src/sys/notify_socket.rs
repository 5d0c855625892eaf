//! The socket on which a child reports by itself, and the one to frigate's own manager
//! (`sd_notify(3)`, `unix(7)`).
//!
//! # Safety
//!
//! `recvmsg(2)` is given pointers to live buffers of the sizes that it is told. It is called without
//! `rustix`, whose type for a sender's process has no place for 0, which stands for a process of
//! another PID namespace.
#![expect(unsafe_code, reason = "recvmsg with credentials")]

use core::mem::MaybeUninit;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    getsockname, recv, send, socket_with, sockopt,
};

use super::own_descriptor::note_own;
use super::signals::{self, Watch};
use super::spawn::run_in_new_process;
use super::{clock, errno, last_errno};
use crate::core::errno::Errno;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::signal::Signal;

/// How long the process that drops a message may take. Mostly the drop takes no time.
const DROP_TIMEOUT: Duration = Duration::from_millis(100);

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
}

/// What becomes of a message with descriptors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drop {
    /// There is none.
    Nothing,
    /// This process drops it. At `until` it is sent KILL; `None` means that it was.
    UnderWay { by: Pid, until: Option<Moment> },
    /// The kernel made no process for it. It is tried again when a process has ended.
    Refused,
}

impl NotifySocket {
    pub(crate) fn open() -> Result<Self, Errno> {
        let fd = datagram_socket().map_err(errno)?;
        // Before the socket has an address: the kernel adds the sender only to messages that are
        // sent after this.
        sockopt::set_socket_passcred(&fd, true).map_err(errno)?;
        bind(&fd, &SocketAddrUnix::new_unnamed()).map_err(errno)?;
        Ok(Self {
            fd,
            drop: Drop::Nothing,
        })
    }

    /// Returns the address as `NOTIFY_SOCKET` names it: `@`, and then five hexadecimal digits.
    pub(crate) fn address(&self) -> Result<Vec<u8>, Errno> {
        let address = getsockname(&self.fd).map_err(errno)?;
        let address = SocketAddrUnix::try_from(address).map_err(errno)?;
        let name = address.abstract_name().ok_or(Errno::INVALID)?;
        Ok([b"@", name].concat())
    }

    /// Returns what becomes ready when there is a message. `None` means that one has to be dropped
    /// first.
    pub(crate) fn watch(&self) -> Option<Watch<'_>> {
        let is_free = self.drop == Drop::Nothing;
        is_free.then(|| Watch::readable(self.fd.as_fd()))
    }

    /// Takes the next message. `None` means that there is none, or that another one has to be
    /// dropped first.
    ///
    /// A message is read first, and then dropped. It can carry descriptors, which the kernel closes
    /// when it is dropped, and to close a socket can take as long as its owner wants (`SO_LINGER` in
    /// `socket(7)`). So another process drops a message with descriptors. They cannot be refused:
    /// `sd_notify_barrier(3)` sends one, and waits until it is closed.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<Received> {
        if self.drop != Drop::Nothing {
            return None;
        }
        let (received, has_descriptors) = self.peek(buffer).ok()?;
        if has_descriptors {
            self.drop_elsewhere();
        } else {
            self.drop_first();
        }
        // A message that stays is read again.
        (self.drop != Drop::Refused).then_some(received)
    }

    /// Takes the end of a process that was reaped. Returns whether it had to drop a message.
    pub(crate) fn note_reaped(&mut self, pid: Pid) -> bool {
        let has_dropped = matches!(self.drop, Drop::UnderWay { by, .. } if by == pid);
        if has_dropped || self.drop == Drop::Refused {
            self.drop = Drop::Nothing;
        }
        has_dropped
    }

    /// Returns when `tick` is due; `None` means never.
    pub(crate) const fn deadline(&self) -> Option<Moment> {
        match self.drop {
            Drop::UnderWay { until, .. } => until,
            Drop::Nothing | Drop::Refused => None,
        }
    }

    /// Sends KILL to the process that drops a message, if it takes too long. To end, it need not wait
    /// for what it closes.
    pub(crate) fn tick(&mut self, now: Moment) {
        if let Drop::UnderWay { by, until } = &mut self.drop {
            if until.is_some_and(|until| until <= now) {
                *until = None;
                // It has not been reaped.
                let _ = signals::send(*by, Signal::KILL);
            }
        }
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
        self.drop = match run_in_new_process(|| self.drop_first()) {
            Ok(by) => Drop::UnderWay {
                by,
                until: Some(clock::now().after(DROP_TIMEOUT)),
            },
            Err(_) => Drop::Refused,
        };
    }
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

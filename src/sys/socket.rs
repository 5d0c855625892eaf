//! Stream sockets by which frigate asks a server. No call here waits.

use core::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno as RawErrno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    connect, getpeername, getsockname, recv, send, shutdown, socket_with, sockopt,
};

use super::errno;
use super::own_descriptor::note_own;
use super::path_handle::PathHandle;
use super::signals::{Watch, is_ready};
use crate::core::errno::Errno;

/// A stream socket whose connection is being made, or was made.
pub(crate) struct Socket(OwnedFd);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// Begins a TCP connection (`connect(2)`).
    pub(crate) fn connect_to_address(ip: IpAddr, port: u16) -> Result<Self, Errno> {
        let family = match ip {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        begin(family, &|socket| {
            connect(socket, &SocketAddr::new(ip, port))
        })
    }

    /// Connects to the listener at a path.
    ///
    /// # Errors
    ///
    /// If the listener's queue is full, the kernel says EAGAIN, and nothing reports when there is
    /// room again. That becomes `Errno::CONNECTION_REFUSED`.
    pub(crate) fn connect_to_path(path: &str) -> Result<Self, Errno> {
        // Through the handle's link there is no path left to walk.
        let socket = PathHandle::open(path)?;
        let address = SocketAddrUnix::new(socket.link()?.as_c_str()).map_err(errno)?;
        let result = begin(AddressFamily::UNIX, &|socket| connect(socket, &address));
        match result {
            Err(Errno::AGAIN) => Err(Errno::CONNECTION_REFUSED),
            result => result,
        }
    }

    /// Returns the result of the connection; `None` means that there is none yet.
    pub(crate) fn poll_connected(&self) -> Option<Result<(), Errno>> {
        if !is_ready(Watch::writable(self.0.as_fd())) {
            return None;
        }
        let result = sockopt::socket_error(&self.0).and_then(|result| result);
        if result.is_ok() && self.is_connected_to_itself() {
            return Some(Err(Errno::CONNECTION_REFUSED));
        }
        Some(result.map_err(errno))
    }

    /// Returns whether both ends of the connection are this socket. If nothing listens at a local
    /// port from which the kernel takes the ports of clients, it may take this very port. The
    /// connection then meets itself (RFC 9293, simultaneous open).
    fn is_connected_to_itself(&self) -> bool {
        let own = getsockname(&self.0).ok();
        let peer = getpeername(&self.0).ok().flatten();
        own.is_some() && own == peer
    }

    /// Sends bytes without SIGPIPE. Returns how many were taken.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        send(&self.0, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map_err(errno)
    }

    /// Receives bytes. 0 means that the other side sends no more.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        recv(&self.0, buffer, RecvFlags::DONTWAIT)
            .map(|(length, _)| length)
            .map_err(errno)
    }

    /// Tells the other side that nothing more is sent (`shutdown(2)`).
    pub(crate) fn end_sending(&self) {
        let _ = shutdown(&self.0, Shutdown::Write);
    }
}

fn begin(
    family: AddressFamily,
    connect: &dyn Fn(&OwnedFd) -> rustix::io::Result<()>,
) -> Result<Socket, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None).map_err(errno)?;
    let socket = note_own(socket);
    match connect(&socket) {
        Ok(()) | Err(RawErrno::INPROGRESS | RawErrno::INTR) => Ok(Socket(socket)),
        Err(error) => Err(errno(error)),
    }
}

//! The program that has started frigate, and waits for its messages: systemd, or Podman.

use crate::core::errno::Errno;
use crate::sys::notify_socket::ManagerSocket;

/// frigate's manager, and what it was told last.
pub(super) struct Manager {
    /// Connected before the first start, so that no child can put another socket in the place of
    /// the manager's.
    socket: Result<ManagerSocket, Errno>,
    last_message: &'static [u8],
}

impl Manager {
    pub(super) fn connect(address: &[u8]) -> Self {
        Self {
            socket: ManagerSocket::connect(address),
            last_message: b"",
        }
    }

    /// Sends the manager a message, unless it was the last one sent: each start of a child repeats
    /// what is true of the service already. A failure is returned once for each message.
    pub(super) fn tell(&mut self, message: &'static [u8]) -> Result<(), Errno> {
        if core::mem::replace(&mut self.last_message, message) == message {
            return Ok(());
        }
        match &self.socket {
            Ok(socket) => socket.send(message),
            Err(errno) => Err(*errno),
        }
    }
}

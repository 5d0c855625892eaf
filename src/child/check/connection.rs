//! A connection to a server that is asked.
#![forbid(unsafe_code)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use crate::core::errno::Errno;
use crate::core::health::target::{Address, Host};
use crate::sys::signals::Watch;
use crate::sys::socket::Socket;

/// How many bytes are read in one call.
const CHUNK_BYTES: usize = 4096;

/// How many chunks are read before signals have their turn.
const MOST_CHUNKS: usize = 16;

/// A connection that is being made, or was made.
pub(super) struct Connection {
    pub(super) socket: Socket,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    /// 127.0.0.1 is asked. If it refuses, `::1` is asked at this port.
    ConnectingToLocalhost(u16),
    /// `::1` is asked, since 127.0.0.1 has failed like this. If both fail, this is what is reported:
    /// a machine without IPv6 always refuses the second.
    FallingBack(Errno),
    Connected,
}

/// The result of a read.
pub(super) enum Reading {
    /// There may be more to come.
    Open,
    /// The other side sends no more.
    End,
    Failed(Errno),
}

impl Connection {
    pub(super) fn to_address(address: Address) -> Result<Self, Errno> {
        let port = address.port;
        match address.host {
            Host::Literal(ip) => Self::begin(ip, port, State::Connecting),
            Host::Localhost => {
                let state = State::ConnectingToLocalhost(port);
                Self::begin(Ipv4Addr::LOCALHOST.into(), port, state)
                    .or_else(|errno| Self::fall_back(port, errno))
            }
        }
    }

    pub(super) fn to_path(path: &str) -> Result<Self, Errno> {
        Ok(Self {
            socket: Socket::connect_to_path(path)?,
            state: State::Connecting,
        })
    }

    fn fall_back(port: u16, errno: Errno) -> Result<Self, Errno> {
        let state = State::FallingBack(errno);
        Self::begin(Ipv6Addr::LOCALHOST.into(), port, state).map_err(|_| errno)
    }

    fn begin(ip: IpAddr, port: u16, state: State) -> Result<Self, Errno> {
        Ok(Self {
            socket: Socket::connect_to_address(ip, port)?,
            state,
        })
    }

    /// Returns the result of the connection; `None` means that there is none yet.
    pub(super) fn poll_connected(&mut self) -> Option<Result<(), Errno>> {
        let result = match self.state {
            State::Connected => Ok(()),
            State::Connecting => self.socket.poll_connected()?,
            State::FallingBack(first) => self.socket.poll_connected()?.map_err(|_| first),
            State::ConnectingToLocalhost(port) => match self.socket.poll_connected()? {
                Ok(()) => Ok(()),
                Err(errno) => match Self::fall_back(port, errno) {
                    Ok(connection) => {
                        *self = connection;
                        // Refused or connected at once, or watched from here on.
                        self.socket.poll_connected()?.map_err(|_| errno)
                    }
                    Err(errno) => Err(errno),
                },
            },
        };
        // A reset comes from a server that had accepted the connection.
        if !matches!(result, Ok(()) | Err(Errno::CONNECTION_RESET)) {
            return Some(result);
        }
        self.state = State::Connected;
        Some(Ok(()))
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub(super) fn readable(&self) -> Watch<'_> {
        Watch::readable(self.socket.as_fd())
    }

    pub(super) fn writable(&self) -> Watch<'_> {
        Watch::writable(self.socket.as_fd())
    }

    /// Hands what has arrived to `take`, until it returns false. Reads no more than a bounded part
    /// at a time: a server that sends forever must not keep frigate from its signals.
    ///
    /// Not inlined, so that its stack frame, with the buffer, is not part of the sleeping loop's.
    #[inline(never)]
    pub(super) fn read(&self, take: &mut dyn FnMut(&[u8]) -> bool) -> Reading {
        let mut buffer = [0; CHUNK_BYTES];
        for _ in 0..MOST_CHUNKS {
            match self.socket.receive(&mut buffer) {
                Ok(0) => return Reading::End,
                Ok(length) => {
                    if !take(buffer.get(..length).unwrap_or_default()) {
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(errno) => return Reading::Failed(errno),
            }
        }
        Reading::Open
    }
}

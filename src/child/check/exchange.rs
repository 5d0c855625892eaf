//! What is said to a server, and what it answers.
#![forbid(unsafe_code)]

use crate::child::check::connection::{Connection, Reading};
use crate::child::check::status_line::StatusLine;
use crate::core::errno::Errno;
use crate::core::health::failure::CheckFailure;
use crate::sys::signals::Watch;

/// A connection to a server, and perhaps a request that waits for its status line.
///
/// If a socket is closed while something is unread, or if something arrives after that, the kernel
/// sends a reset. Servers count that as an error, and some databases refuse a host that causes many.
/// So when the result is known, the connection is still read to its end. If it is dropped before that, what
/// has arrived is read once more.
pub(crate) struct Exchange {
    connection: Connection,
    request: String,
    /// How many bytes of the request have been sent.
    sent: usize,
    /// What has arrived of the answer; `None` means that none is expected.
    line: Option<StatusLine>,
}

impl Exchange {
    /// Says nothing: a server that can be connected to is well.
    pub(super) const fn silent(connection: Connection) -> Self {
        Self {
            connection,
            request: String::new(),
            sent: 0,
            line: None,
        }
    }

    /// Asks for a path by HTTP/1.0: the server closes the connection behind its answer.
    pub(super) fn http(connection: Connection, authority: &str, path: &str) -> Self {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let request = [
            "GET ",
            slash,
            path,
            " HTTP/1.0\r\nHost: ",
            authority,
            "\r\nUser-Agent: frigate\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        ];
        Self {
            connection,
            request: request.concat(),
            sent: 0,
            line: Some(StatusLine::default()),
        }
    }

    pub(super) fn watch(&self) -> Watch<'_> {
        if self.connection.is_connected() && self.unsent().is_empty() {
            self.connection.readable()
        } else {
            self.connection.writable()
        }
    }

    fn unsent(&self) -> &[u8] {
        self.request.as_bytes().get(self.sent..).unwrap_or_default()
    }

    /// Goes on as far as possible without a wait. Returns the result, if there is one.
    ///
    /// A server that is asked nothing is well as soon as it is connected to. A server that never
    /// closes its end is well, too, and no moment tells it from one that is about to. So the result
    /// does not wait for that end, but the close of this one does.
    pub(super) fn advance(&mut self) -> Option<Result<(), CheckFailure>> {
        let refused = |verb| move |errno| Some(Err(CheckFailure::Refused { verb, errno }));
        if let Err(errno) = self.connection.poll_connected()? {
            return refused("connect")(errno);
        }
        let mut is_reset = false;
        if !self.unsent().is_empty() {
            self.sent += match self.connection.socket.send(self.unsent()) {
                Ok(sent) => sent,
                Err(Errno::AGAIN) => 0,
                // The server has reset the connection. The kernel reports that once, here or when
                // the connection was made, and the read would find an end.
                Err(_) => {
                    is_reset = true;
                    self.request.len()
                }
            };
            if !self.unsent().is_empty() {
                return None;
            }
        }
        let Some(line) = &mut self.line else {
            self.connection.socket.end_sending();
            return Some(Ok(()));
        };
        let mut result = None;
        let reading = self.connection.read(&mut |bytes| {
            result = line.take(bytes);
            result.is_none()
        });
        match (result, reading) {
            (Some(result), _) => Some(result),
            (None, Reading::Open) => None,
            (None, Reading::End) if is_reset => refused("read")(Errno::CONNECTION_RESET),
            (None, Reading::End) => Some(Err(CheckFailure::Closed)),
            (None, Reading::Failed(errno)) => refused("read")(errno),
        }
    }

    /// Reads what has arrived. Returns whether the other side sends no more.
    pub(super) fn read_to_end(&self) -> bool {
        !matches!(self.connection.read(&mut |_| true), Reading::Open)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.read_to_end();
    }
}

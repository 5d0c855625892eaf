//! The harness's side of the standard outputs.

use std::fs::OpenOptions;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Mutex;

use super::Output;
use crate::support::terminal::Terminal;
use crate::support::transcript::Transcript;

/// The harness's side of the standard outputs.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) out: Option<Transcript>,
    pub(super) err: Option<Transcript>,
    /// Readers of full pipes, which keep these open and read nothing.
    pub(super) held: Mutex<Vec<PipeReader>>,
    /// The unread sides of terminals, open for as long as the program runs.
    pub(super) unread: Vec<OwnedFd>,
}

impl Streams {
    pub(super) fn open(&mut self, output: Output, is_out: bool) -> Result<Stdio, String> {
        match output {
            Output::Closed => return Ok(Stdio::null()),
            Output::Terminal => {
                let (master, other_side) = Terminal::unread();
                self.unread.push(master);
                return Ok(Stdio::from(other_side));
            }
            Output::Socket => {
                let (reader, writer) = UnixStream::pair().map_err(|error| error.to_string())?;
                let transcript = Some(Transcript::of(reader));
                if is_out {
                    self.out = transcript;
                } else {
                    self.err = transcript;
                }
                return Ok(Stdio::from(OwnedFd::from(writer)));
            }
            _ => {}
        }
        let (reader, writer) = io::pipe().map_err(|error| error.to_string())?;
        match output {
            Output::Full | Output::Unread => {
                if output == Output::Full {
                    fill(&writer).map_err(|error| error.to_string())?;
                }
                self.held.lock().expect("no trial panics here").push(reader);
            }
            Output::Gone => drop(reader),
            _ => {
                let transcript = Some(Transcript::of(reader));
                if is_out {
                    self.out = transcript;
                } else {
                    self.err = transcript;
                }
            }
        }
        Ok(Stdio::from(OwnedFd::from(writer)))
    }
}

/// Fills a pipe to the last byte. Opens it anew for that, because `O_NONBLOCK` belongs to the open
/// file. The program under test shares that, and would find it changed.
pub(super) fn fill(either_end: &impl AsRawFd) -> io::Result<()> {
    let again = format!("/proc/self/fd/{}", either_end.as_raw_fd());
    let mut again = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(again)?;
    for size in [4096, 1] {
        while again.write(&vec![b'.'; size]).is_ok() {}
    }
    Ok(())
}

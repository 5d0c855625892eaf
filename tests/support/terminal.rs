//! A pseudo-terminal. The trial has its other side, and acts as the user who types.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use rustix::event::{PollFd, PollFlags, poll};

use super::transcript::Transcript;

/// The user's side.
pub struct Terminal {
    master: File,
    path: PathBuf,
    /// Held so that the terminal does not end while no program has it open.
    other_side: Option<File>,
    /// The reader lets the terminal go when this is closed.
    _reading: PipeWriter,
}

/// Reads the user's side until every descriptor of the other side is closed, or until it is told to
/// end.
struct Reader {
    master: File,
    stop: PipeReader,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut both = [
            PollFd::from_borrowed_fd(self.master.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
        ];
        poll(&mut both, None)?;
        let stop = both[0].revents().is_empty();
        if stop {
            Ok(0)
        } else {
            self.master.read(buffer)
        }
    }
}

/// Returns a fresh pseudo-terminal: the user's side and its path.
fn master() -> (OwnedFd, PathBuf) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .expect("a pseudo-terminal");
    grantpt(&master).expect("grantpt");
    unlockpt(&master).expect("unlockpt");
    let path = PathBuf::from(ptsname_r(&master).expect("a name"));
    (OwnedFd::from(master), path)
}

impl Terminal {
    /// Returns both sides of a terminal that is never read. The user's side comes first.
    pub fn unread() -> (OwnedFd, File) {
        let (master, path) = master();
        let other_side = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(path);
        (master, other_side.expect("its other side"))
    }

    /// Opens a fresh terminal. All its descriptors are close-on-exec. Otherwise the programs of
    /// other trials would keep it from hanging up.
    pub fn open() -> (Self, Transcript) {
        let (master, path) = master();
        let other_side = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(&path);
        let other_side = Some(other_side.expect("its other side"));
        let master = File::from(master);
        let (stop, reading) = io::pipe().expect("a pipe");
        let transcript = Transcript::of(Reader {
            master: master.try_clone().expect("a copy"),
            stop,
        });
        (
            Self {
                master,
                path,
                other_side,
                _reading: reading,
            },
            transcript,
        )
    }

    /// Makes its output end when the last program has closed it.
    pub fn let_end(&mut self) {
        self.other_side = None;
    }

    /// Returns the path of the program's side.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Types keys: `\x03` is Ctrl-C, `\x1a` is Ctrl-Z, `\x1c` is Ctrl-\.
    pub fn type_in(&mut self, keys: &str) {
        self.master
            .write_all(keys.as_bytes())
            .expect("the terminal takes input");
    }

    /// Changes the size of its window.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = rustix::termios::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.master, size).expect("it has a size");
    }

    /// Returns the foreground group, as the harness sees it.
    pub fn foreground(&self) -> Option<i32> {
        nix::unistd::tcgetpgrp(&self.master)
            .ok()
            .map(nix::unistd::Pid::as_raw)
            .filter(|&group| group > 0)
    }
}

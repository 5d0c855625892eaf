//! What the puppet prints and reads.
//!
//! ```text
//! say TEXT            prints a line ($pid, $ppid, $attempt and $clock are replaced)
//! error TEXT          prints the same on standard error
//! to FILE             prints to this file from now on
//! pour FROM TO        writes that stretch of the noise to standard output
//! flags               prints whether standard error is blocking
//! input               prints the lines of its standard input until it ends
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;

use nix::unistd::{getpid, getppid};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::time::ClockId;

use super::{Puppet, Verbs};
use crate::support::noise;

pub(super) const VERBS: Verbs = &[
    ("say", |puppet, text| puppet.say(&puppet.filled_in(text))),
    ("error", |puppet, text| {
        let _closed = write_line(&mut io::stderr(), &puppet.filled_in(text));
    }),
    ("to", |puppet, path| {
        let file = OpenOptions::new().create(true).append(true).open(path);
        puppet.output = Some(file.expect(path));
    }),
    ("pour", |_, range| pour(range)),
    ("flags", |puppet, _| {
        let flags = fcntl_getfl(io::stderr()).expect("standard error is open");
        let is_blocking = !flags.contains(OFlags::NONBLOCK);
        puppet.say(&format!(
            "flags 2 {}",
            if is_blocking {
                "blocking"
            } else {
                "non-blocking"
            }
        ));
    }),
    ("input", |puppet, _| {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            puppet.say(&format!("input {line}"));
        }
    }),
];

impl Puppet {
    fn filled_in(&self, text: &str) -> String {
        let clock = rustix::time::clock_gettime(ClockId::Monotonic);
        text.replace("$pid", &getpid().to_string())
            .replace("$ppid", &getppid().to_string())
            .replace("$attempt", &self.attempt.to_string())
            .replace(
                "$clock",
                &(clock.tv_sec * 1000 + clock.tv_nsec / 1_000_000).to_string(),
            )
    }

    /// Prints a line by one write, so that lines of several processes do not mix.
    pub(super) fn say(&self, text: &str) {
        // The reader may be gone. The puppet goes on, because it still has to take signals.
        let _closed = match self.output.as_ref() {
            Some(mut file) => write_line(&mut file, text),
            None => write_line(&mut io::stdout(), text),
        };
    }
}

fn pour(range: &str) {
    let (from, to) = range.split_once(' ').expect("FROM TO");
    let range = from.parse().expect("a number")..to.parse().expect("a number");
    // Do not use the library's buffer, which would cut the pieces at its own lengths.
    let out = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .expect("standard output is open");
    noise::pour(range, &mut File::from(out)).expect("its reader takes it");
}

fn write_line(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(format!("{text}\n").as_bytes())?;
    to.flush()
}

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::core::errno::Errno;
use crate::messages::context::MessageContext;
use crate::messages::format::Format;
use crate::messages::formatter::MessageFormatter;
use crate::sys::signals;

#[path = "file_tests.rs"]
mod file_tests;

/// A capture of standard output into the file `log` of a new directory, and what it reported.
struct Bench {
    directory: TempDir,
    capture: Capture,
    reported: Vec<String>,
}

impl Bench {
    fn new(max_bytes: u64, backups: u32) -> Self {
        Self::prepared(max_bytes, backups, |_| ())
    }

    fn prepared(max_bytes: u64, backups: u32, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let path = directory.path().join("log");
        let capture = open(path.to_str().unwrap(), max_bytes, backups)
            .ok()
            .unwrap();
        Self {
            directory,
            capture,
            reported: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Writes bytes as the child would.
    fn write(&self, bytes: &[u8]) {
        writer(&self.capture, 0).write_all(bytes).unwrap();
    }

    /// Moves chunks until nothing is left to move.
    fn move_all(&mut self) {
        let reported = &mut self.reported;
        while is_ready(&self.capture, 0) {
            self.capture
                .move_ready(1, &mut |fact| reported.push(text(fact)));
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.write(bytes);
        self.move_all();
    }

    fn drain(&mut self) {
        let reported = &mut self.reported;
        drain(&mut self.capture, DRAIN_TIMEOUT, &mut |fact| {
            reported.push(text(fact));
        });
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|_| "missing".into())
    }
}

fn open(path: &str, max_bytes: u64, backups: u32) -> Result<Capture, Errno> {
    let stdout = Some(LogPath {
        path: path.into(),
        spelled: String::new(),
    });
    let logs = Logs {
        stdout,
        stderr: None,
        redirect: false,
        max_bytes,
        backups,
    };
    Capture::open(&logs, None).map_err(|(_, error)| error.errno)
}

/// Returns whether the first stream becomes ready within a number of milliseconds.
fn is_ready(capture: &Capture, timeout: u64) -> bool {
    signals::poll_watches(
        &capture.watches()[..1],
        Some(Duration::from_millis(timeout)),
    )
    .contains(&true)
}

fn drain(capture: &mut Capture, timeout: Duration, report: &mut dyn FnMut(&Fact<'_>)) {
    let mut wait = |left, watched: &[Watch<'_>]| {
        signals::poll_watches(watched, Some(left));
        false
    };
    capture.drain(timeout, &mut wait, report);
}

fn writer(capture: &Capture, stream: usize) -> File {
    File::from(
        capture.child_streams()[stream]
            .unwrap()
            .try_clone_to_owned()
            .unwrap(),
    )
}

fn text(fact: &Fact<'_>) -> String {
    let line = MessageFormatter::new(MessageContext::default()).line(fact, Format::Text, (0, 0));
    String::from_utf8_lossy(line.as_bytes())
        .trim_end()
        .to_owned()
}

fn make_fifo(path: &Path) {
    let mkfifo = std::process::Command::new("mkfifo").arg(path).status();
    assert!(mkfifo.unwrap().success());
}

/// Returns bytes in which no sequence repeats.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn nothing_wanted_is_nothing_opened() {
    let capture = Capture::default();
    assert!(capture.child_streams().iter().all(Option::is_none) && capture.watches().is_empty());
}

#[test]
fn a_file_is_made_and_one_that_exists_is_appended_to() {
    let mut bench = Bench::new(0, 0);
    bench.feed(b"one\n");
    assert_eq!(bench.read("log"), "one\n");
    let mut bench = Bench::prepared(0, 0, |directory| {
        fs::write(directory.join("log"), "zero\n").unwrap();
    });
    bench.feed(b"one\n");
    bench.feed(b"two\n");
    assert_eq!(bench.read("log"), "zero\none\ntwo\n");
}

#[test]
fn what_cannot_be_opened_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("no/log");
    assert_eq!(
        open(missing.to_str().unwrap(), 0, 0).err(),
        Some(Errno::NOT_FOUND)
    );
    assert_eq!(
        open(directory.path().to_str().unwrap(), 0, 0).err(),
        Some(Errno::new(21))
    );
}

#[test]
fn what_cannot_be_written_is_dropped_counted_and_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    make_fifo(&path);
    let reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let capture = open(path.to_str().unwrap(), 0, 0).ok().unwrap();
    drop(reader);
    let mut bench = Bench {
        directory,
        capture,
        reported: Vec::new(),
    };
    for _ in 0..50 {
        bench.feed(&vec![b'x'; 20_000]);
    }
    assert!(bench.reported.is_empty(), "{:?}", bench.reported);
    // Now it can be written again.
    fs::remove_file(bench.path("log")).unwrap();
    bench.feed(b"after");
    assert_eq!(bench.read("log"), "after");
    assert_eq!(bench.reported.len(), 1, "{:?}", bench.reported);
    assert!(
        bench.reported[0].ends_with("broken pipe; dropped 1000000 bytes"),
        "{:?}",
        bench.reported
    );
    bench.drain();
    assert_eq!(bench.reported.len(), 1, "{:?}", bench.reported);
}

#[test]
fn a_disk_that_is_full_to_the_end_is_reported_then() {
    let mut bench = Bench::prepared(0, 0, |directory| {
        std::os::unix::fs::symlink("/dev/full", directory.join("log")).unwrap();
    });
    bench.feed(b"12345");
    bench.write(b"67");
    bench.drain();
    assert_eq!(bench.reported.len(), 1, "{:?}", bench.reported);
    assert!(
        bench.reported[0].ends_with("dropped 7 bytes"),
        "{:?}",
        bench.reported
    );
}

#[test]
fn what_takes_no_offset_is_written_to_all_the_same() {
    let mut bench = Bench::prepared(4, 2, |directory| {
        std::os::unix::fs::symlink("/dev/null", directory.join("log")).unwrap();
    });
    bench.feed(&noise(60_000));
    bench.drain();
    assert!(bench.reported.is_empty(), "{:?}", bench.reported);
    assert!(bench.path("log").is_symlink() && !bench.path("log.1").exists());
}

#[test]
fn a_slow_reader_of_a_fifo_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    make_fifo(&path);
    // Without a reader the FIFO is not opened, and not waited for.
    assert_eq!(
        open(path.to_str().unwrap(), 0, 0).err(),
        Some(Errno::new(6))
    );
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let capture = open(path.to_str().unwrap(), 0, 0).ok().unwrap();
    let mut bench = Bench {
        directory,
        capture,
        reported: Vec::new(),
    };
    let bytes = noise(300_000);
    bench.write(&bytes);
    let mut got: Vec<u8> = Vec::new();
    while got.len() < bytes.len() {
        let reported = &mut bench.reported;
        bench
            .capture
            .move_ready(1, &mut |fact| reported.push(text(fact)));
        let mut buffer = [0; 10_000];
        let length = reader.read(&mut buffer).unwrap();
        got.extend(&buffer[..length]);
    }
    assert!(got == bytes, "bytes are lost or out of order");
    assert!(bench.reported.is_empty(), "{:?}", bench.reported);
}

#[test]
fn a_stream_waits_for_its_reader_alone_while_that_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    make_fifo(&path);
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(0)
        .open(&path)
        .unwrap();
    let mut capture = open(path.to_str().unwrap(), 0, 0).ok().unwrap();
    writer(&capture, 0).write_all(&vec![b'x'; 200_000]).unwrap();
    for _ in 0..100 {
        capture.move_ready(1, &mut |_| ());
    }
    assert!(
        !is_ready(&capture, 1000),
        "it waits for something that is there"
    );
    let mut buffer = vec![0; 65536];
    reader.read_exact(&mut buffer).unwrap();
    assert!(is_ready(&capture, 1000), "it takes more");
    for _ in 0..100 {
        capture.move_ready(1, &mut |_| ());
        reader.read_exact(&mut buffer[..1]).unwrap();
    }
}

#[test]
fn the_end_does_not_wait_for_others_that_hold_the_pipe() {
    let mut bench = Bench::new(0, 0);
    let held = writer(&bench.capture, 0);
    bench.write(&noise(60_000));
    bench.drain();
    assert_eq!(fs::metadata(bench.path("log")).unwrap().len(), 60_000);
    drop(held);
}

#[test]
fn two_streams_have_two_files_or_one_in_the_order_of_writing() {
    let directory = tempfile::tempdir().unwrap();
    let log = |name: &str| {
        Some(LogPath {
            path: directory.path().join(name).to_str().unwrap().into(),
            spelled: String::new(),
        })
    };
    for (redirect, expected) in [(false, ["13", "2"]), (true, ["123", "2"])] {
        let logs = Logs {
            stdout: log("out"),
            stderr: log("err"),
            redirect,
            max_bytes: 0,
            backups: 0,
        };
        fs::write(directory.path().join("out"), "").unwrap();
        let mut capture = Capture::open(&logs, None).ok().unwrap();
        for (stream, byte) in [(0, b"1"), (1, b"2"), (0, b"3")] {
            writer(&capture, stream).write_all(byte).unwrap();
        }
        drain(&mut capture, DRAIN_TIMEOUT, &mut |_| ());
        let read =
            ["out", "err"].map(|name| fs::read_to_string(directory.path().join(name)).unwrap());
        assert_eq!(read, expected);
    }
}

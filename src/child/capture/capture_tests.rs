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
use crate::messages::format::Format;
use crate::messages::message::{Names, Speaker};
use crate::sys::host;

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

/// Whether the first stream becomes ready within a number of milliseconds.
fn is_ready(capture: &Capture, timeout: u64) -> bool {
    host::wait(
        &capture.watches()[..1],
        Some(Duration::from_millis(timeout)),
    )
    .contains(&true)
}

fn drain(capture: &mut Capture, timeout: Duration, report: &mut dyn FnMut(&Fact<'_>)) {
    let mut wait = |left, watched: &[Watch<'_>]| {
        host::wait(watched, Some(left));
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
    let line = Speaker::new(Names::default()).line(fact, Format::Text, (0, 0));
    String::from_utf8_lossy(line.as_bytes())
        .trim_end()
        .to_owned()
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
    assert!(capture.descriptors().is_empty());
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
fn a_file_is_rotated_at_the_very_byte_and_none_is_lost() {
    let bytes = noise(100_000);
    let mut bench = Bench::new(999, 1000);
    for chunk in bytes.chunks(1777) {
        bench.feed(chunk);
    }
    let mut all = Vec::new();
    for number in (1..=100).rev() {
        let backup = fs::read(bench.path(&format!("log.{number}"))).unwrap();
        assert_eq!(backup.len(), 999, "log.{number}");
        all.extend(backup);
    }
    assert!(!bench.path("log.101").exists());
    all.extend(fs::read(bench.path("log")).unwrap());
    assert!(all == bytes, "bytes are lost or out of order");
}

#[test]
fn a_full_file_stays_until_there_is_more() {
    let mut bench = Bench::new(4, 1);
    bench.feed(b"1234");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.1").as_str()),
        ("1234", "missing")
    );
    bench.feed(b"5");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.1").as_str()),
        ("5", "1234")
    );
}

#[test]
fn only_so_many_backups_are_kept() {
    let mut bench = Bench::new(2, 2);
    bench.feed(b"aabbccddee");
    let kept = ["log", "log.1", "log.2", "log.3"].map(|name| bench.read(name));
    assert_eq!(kept, ["ee", "dd", "cc", "missing"]);
}

#[test]
fn without_backups_a_full_file_starts_empty_again() {
    let mut bench = Bench::new(4, 0);
    bench.feed(b"1234567890");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.1").as_str()),
        ("90", "missing")
    );
}

#[test]
fn a_gap_among_the_backups_is_filled_and_what_is_beyond_stays() {
    let mut bench = Bench::prepared(2, 9, |directory| {
        for (name, text) in [("log", "cc"), ("log.1", "bb"), ("log.3", "aa")] {
            fs::write(directory.join(name), text).unwrap();
        }
    });
    bench.feed(b"dd");
    let kept = ["log", "log.1", "log.2", "log.3"].map(|name| bench.read(name));
    assert_eq!(kept, ["dd", "cc", "bb", "aa"]);
}

#[test]
fn a_file_that_is_too_large_already_is_rotated_first() {
    let mut bench = Bench::prepared(4, 1, |directory| {
        fs::write(directory.join("log"), "far too much").unwrap();
    });
    bench.feed(b"new");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.1").as_str()),
        ("new", "far too much")
    );
}

#[test]
fn a_renamed_file_is_noticed_and_another_begun() {
    let mut bench = Bench::new(0, 0);
    bench.feed(b"one");
    fs::rename(bench.path("log"), bench.path("log.old")).unwrap();
    bench.feed(b"two");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.old").as_str()),
        ("two", "one")
    );
    // logrotate's `create` makes the file itself.
    fs::rename(bench.path("log"), bench.path("log.old")).unwrap();
    fs::write(bench.path("log"), "made: ").unwrap();
    bench.feed(b"three");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.old").as_str()),
        ("made: three", "two")
    );
    assert!(bench.reported.is_empty(), "{:?}", bench.reported);
}

#[test]
fn a_removed_file_is_made_again() {
    let mut bench = Bench::new(0, 0);
    bench.feed(b"one");
    fs::remove_file(bench.path("log")).unwrap();
    bench.feed(b"two");
    assert_eq!(bench.read("log"), "two");
}

#[test]
fn an_emptied_file_goes_on_at_its_beginning() {
    let mut bench = Bench::new(8, 1);
    bench.feed(b"1234567");
    OpenOptions::new()
        .write(true)
        .open(bench.path("log"))
        .unwrap()
        .set_len(0)
        .unwrap();
    bench.feed(b"abc");
    assert_eq!(bench.read("log"), "abc");
    bench.feed(b"defghij");
    assert_eq!(
        (bench.read("log").as_str(), bench.read("log.1").as_str()),
        ("ij", "abcdefgh")
    );
}

#[test]
fn what_another_process_appends_is_not_overwritten() {
    let mut bench = Bench::new(0, 0);
    bench.feed(b"one ");
    OpenOptions::new()
        .append(true)
        .open(bench.path("log"))
        .unwrap()
        .write_all(b"other ")
        .unwrap();
    bench.feed(b"two");
    assert_eq!(bench.read("log"), "one other two");
}

#[test]
fn a_rotation_that_fails_loses_nothing_and_is_reported_once() {
    let mut bench = Bench::prepared(4, 1, |directory| {
        fs::create_dir(directory.join("log.1")).unwrap();
    });
    bench.feed(b"123456789012345678901234567890");
    assert_eq!(bench.read("log"), "123456789012345678901234567890");
    let path = bench.path("log");
    let expected = format!(
        "frigate: cannot rotate '{}': is a directory; going on in the file at hand",
        path.display()
    );
    assert_eq!(bench.reported, [expected]);
    fs::remove_dir(bench.path("log.1")).unwrap();
    bench.feed(b"abcdefgh");
    assert!(bench.path("log.1").is_file() && bench.read("log").len() <= 4);
    assert_eq!(bench.reported.len(), 1, "{:?}", bench.reported);
}

#[test]
fn a_file_that_cannot_be_made_again_goes_on_as_it_is_and_is_reported_once() {
    let mut bench = Bench::prepared(4, 3, |directory| {
        fs::create_dir(directory.join("sub")).unwrap();
    });
    bench.capture = open(bench.path("sub/log").to_str().unwrap(), 4, 3)
        .ok()
        .unwrap();
    bench.feed(b"12");
    let mut kept = File::open(bench.path("sub/log")).unwrap();
    fs::remove_dir_all(bench.path("sub")).unwrap();
    bench.feed(b"3456");
    bench.feed(b"78");
    let mut text = String::new();
    kept.read_to_string(&mut text).unwrap();
    assert_eq!(text, "12345678");
    assert_eq!(bench.reported.len(), 1, "{:?}", bench.reported);
    assert!(
        bench.reported[0].contains("cannot open") && bench.reported[0].contains("no such file"),
        "{:?}",
        bench.reported
    );
}

#[test]
fn a_directory_that_is_moved_takes_its_log_along() {
    let mut bench = Bench::prepared(0, 0, |directory| {
        fs::create_dir(directory.join("sub")).unwrap();
    });
    bench.capture = open(bench.path("sub/log").to_str().unwrap(), 4, 3)
        .ok()
        .unwrap();
    bench.feed(b"12");
    fs::rename(bench.path("sub"), bench.path("moved")).unwrap();
    fs::create_dir(bench.path("sub")).unwrap();
    bench.feed(b"345");
    assert_eq!(
        (
            bench.read("moved/log").as_str(),
            bench.read("moved/log.1").as_str()
        ),
        ("5", "1234")
    );
    assert!(bench.reported.is_empty(), "{:?}", bench.reported);
}

#[test]
fn what_cannot_be_written_is_dropped_counted_and_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
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
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
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
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
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
fn a_link_is_followed_once_and_never_later() {
    use std::os::unix::fs::symlink;
    let mut bench = Bench::prepared(4, 1, |directory| {
        fs::create_dir(directory.join("sub")).unwrap();
        symlink("sub/log", directory.join("log")).unwrap();
    });
    bench.feed(b"1234567");
    assert_eq!(
        (
            bench.read("sub/log").as_str(),
            bench.read("sub/log.1").as_str()
        ),
        ("567", "1234")
    );
    fs::write(bench.path("victim"), "victim").unwrap();
    fs::remove_file(bench.path("sub/log")).unwrap();
    symlink("../victim", bench.path("sub/log")).unwrap();
    let mut kept = File::open(bench.path("sub/log.1")).unwrap();
    bench.feed(b"8");
    // The open file is full, and the rotation renames the link.
    bench.feed(b"90");
    assert_eq!(
        (bench.read("victim").as_str(), bench.reported.len()),
        ("victim", 1),
        "{:?}",
        bench.reported
    );
    assert!(
        bench.reported[0].contains(
            "'log' is a link that neither root nor frigate controls; name the file that it leads to; going on"
        ),
        "{:?}",
        bench.reported
    );
    let mut text = String::new();
    kept.read_to_string(&mut text).unwrap();
    assert_eq!(text, "1234");
}

#[test]
fn a_backup_that_cannot_be_looked_at_is_not_overwritten() {
    // A name of 255 bytes has no backups: their names are too long.
    let name = "x".repeat(255);
    let mut bench = Bench::new(0, 0);
    bench.capture = open(bench.path(&name).to_str().unwrap(), 4, 2)
        .ok()
        .unwrap();
    bench.feed(b"1234567");
    assert_eq!(bench.read(&name), "1234567");
    assert!(
        bench.reported.len() == 1 && bench.reported[0].contains("cannot rotate"),
        "{:?}",
        bench.reported
    );
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

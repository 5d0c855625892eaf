use super::*;

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

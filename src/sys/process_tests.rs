use proptest::prelude::*;

use super::{HeldProcesses, ProcessStat, Procfs, descendants, last_component};
use crate::core::pid::Pid;
use crate::sys::startup::own_pid;

/// A line of `/proc/pid/stat` as the kernel writes it, less the fields behind the start time that
/// nobody reads.
fn stat(name: &[u8], parent: &str, started: &str) -> Vec<u8> {
    let behind = format!(
        " S {parent} 4242 4242 34816 4242 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {started} 2375680 160 18446744073709551615\n"
    );
    [b"4242 (", name, b")", behind.as_bytes()].concat()
}

fn pid(number: i32) -> Pid {
    Pid::new(number).unwrap_or_else(|| unreachable!("a pid is above 0"))
}

/// The parent's id and the start time.
fn parse_stat(stat: &[u8]) -> Option<(i32, u64)> {
    super::parse_stat(pid(4242), stat).map(|process| (process.parent, process.start_ticks))
}

fn child_of(parent: i32, number: i32) -> ProcessStat {
    ProcessStat {
        pid: pid(number),
        parent,
        group: 1,
        start_ticks: 1,
        is_zombie: false,
    }
}

fn numbers(found: &[ProcessStat]) -> Vec<i32> {
    let mut numbers: Vec<_> = found.iter().map(|process| process.pid.raw()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn the_group_and_the_state_are_found_too() {
    let whole = |state: &str, group: &str, threads: &str| {
        format!("7 (a) b) {state} 1 {group} 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 {threads} 0 5 0\n")
    };
    let look = |line: String| {
        super::parse_stat(pid(7), line.as_bytes()).map(|process| (process.group, process.is_zombie))
    };
    assert_eq!(look(whole("S", "42", "1")), Some((42, false)));
    assert_eq!(look(whole("T", "42", "1")), Some((42, false)));
    assert_eq!(look(whole("Z", "42", "1")), Some((42, true)));
    assert_eq!(look(whole("X", "-1", "0")), Some((0, true)));
    // The first thread has ended, and another has not.
    assert_eq!(look(whole("Z", "42", "2")), Some((42, false)));
}

#[test]
fn descendants_are_found_through_every_generation() {
    let all = [
        (1, 2),
        (2, 3),
        (9, 4),
        (4, 9),
        (3, 5),
        (1, 6),
        (0, 1),
        (2, 7),
        (7, 8),
        (5, 1),
    ];
    let all: Vec<_> = all
        .iter()
        .map(|(parent, number)| child_of(*parent, *number))
        .collect();
    assert_eq!(
        numbers(&descendants(all.clone(), pid(2))),
        [1, 3, 5, 6, 7, 8]
    );
    assert_eq!(
        numbers(&descendants(all.clone(), pid(3))),
        [1, 2, 5, 6, 7, 8]
    );
    assert!(descendants(all.clone(), pid(8)).is_empty());
    // No /proc shows such a circle.
    assert!(!descendants(all, pid(9)).is_empty());
}

/// Each is the child of the one with the next higher id: a generation a process, and none in the
/// order of the list.
#[test]
fn a_long_line_of_descendants_is_found_in_little_time() {
    const COUNT: i32 = 200_000;
    let all = (2..COUNT)
        .map(|number| child_of(number + 1, number))
        .collect();
    let began = std::time::Instant::now();
    assert_eq!(descendants(all, pid(COUNT)).len(), 199_998);
    // What looks at every process for each generation would take minutes.
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[test]
fn the_parent_and_the_start_time_are_found_behind_any_name() {
    let names: [&[u8]; 14] = [
        b"sh",
        b"",
        b" ",
        b")",
        b"(",
        b"a b",
        b"a) S 1 (b",
        b"a) R 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 99 (",
        b")) Z 0 0 0 (",
        b"(sd-pam)",
        b"new\nline",
        b"4243 (x) S 1",
        b"\xff\xfe)",
        b"a) S 77 88",
    ];
    for name in names {
        let name_text = String::from_utf8_lossy(name);
        assert_eq!(
            parse_stat(&stat(name, "17", "123456")),
            Some((17, 123_456)),
            "{name_text}"
        );
    }
}

#[test]
fn the_largest_numbers_of_the_kernel_fit() {
    assert_eq!(
        parse_stat(&stat(b"x", "4194304", "18446744073709551615")),
        Some((4_194_304, u64::MAX))
    );
    // PID 1 and kernel threads, and children of another namespace, have no parent here.
    assert_eq!(parse_stat(&stat(b"x", "0", "0")), Some((0, 0)));
}

#[test]
fn what_is_no_stat_line_is_nobody() {
    let table: [&[u8]; 9] = [
        b"",
        b"\n",
        b")",
        b"4242 (sh",
        b"4242 (sh)",
        b"4242 (sh) S",
        b"4242 (sh) S 1",
        b"4242 (sh) S 1 2 3",
        b"4242 sh S 1 4242 4242 34816 4242 4194560 1 2 3 4 5 6 7 8 20 0 1 0 5 0",
    ];
    for line in table {
        assert_eq!(parse_stat(line), None, "{}", String::from_utf8_lossy(line));
    }
    for (parent, started) in [
        ("-1", "5"),
        ("x", "5"),
        ("1", "x"),
        ("99999999999", "5"),
        ("1", "18446744073709551616"),
    ] {
        assert_eq!(
            parse_stat(&stat(b"sh", parent, started)),
            None,
            "{parent}, {started}"
        );
    }
}

#[test]
fn a_line_cut_short_behind_the_start_time_will_do() {
    let line = stat(b"a) S 1 (b", "17", "123456");
    let at = line
        .windows(7)
        .position(|bytes| bytes == b" 123456")
        .map(|at| at + 7);
    let cut = at.and_then(|at| line.get(..at)).unwrap_or_default();
    assert_eq!(parse_stat(cut), Some((17, 123_456)));
}

#[test]
fn the_last_component_is_what_follows_the_last_slash() {
    let table: [(&[u8], &[u8]); 8] = [
        (b"sh", b"sh"),
        (b"/bin/sh", b"sh"),
        (b"./sh", b"sh"),
        (b"dir/", b""),
        (b"/", b""),
        (b"", b""),
        (b"-sh", b"-sh"),
        (b"/a\xff/\xfe", b"\xfe"),
    ];
    for (path, expected) in table {
        assert_eq!(
            last_component(path),
            expected,
            "{}",
            String::from_utf8_lossy(path)
        );
    }
}

/// The kernel's own line, which no example can stand for: this very process, as `/proc` shows it.
#[test]
fn this_process_sees_itself_in_proc() {
    let own_pid = own_pid();
    let seen = own_pid
        .and_then(|own_pid| Procfs::open(own_pid).ok())
        .and_then(|procfs| procfs.read_stat(own_pid?));
    assert_eq!(seen.map(|process| process.pid), own_pid);
    let parent = i32::try_from(std::os::unix::process::parent_id()).ok();
    assert_eq!(seen.map(|process| process.parent), parent);
    assert!(seen.is_some_and(|process| process.start_ticks > 0));
}

#[test]
fn a_proc_of_other_numbers_is_refused() {
    let other_pid = own_pid().and_then(|own_pid| Pid::new(own_pid.raw() + 1));
    assert!(other_pid.is_some_and(|pid| Procfs::open(pid).is_err()));
}

#[test]
fn this_process_is_never_one_of_the_others_of_its_name() {
    let own_pid = own_pid();
    let name = std::env::current_exe().ok();
    let name = name
        .as_deref()
        .and_then(std::path::Path::file_name)
        .map(std::ffi::OsStr::as_encoded_bytes);
    let (Some(own_pid), Some(name)) = (own_pid, name) else {
        unreachable!("a process has an id and a name")
    };
    assert!(
        Procfs::open(own_pid).is_ok_and(|procfs| procfs.has_name(own_pid, name, None)),
        "it has that name"
    );
    let others = HeldProcesses::find_namesakes(name, own_pid, None);
    assert!(others.is_ok_and(|others| others.held.iter().all(|(pid, _)| *pid != own_pid)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_name_hides_the_parent(
        name in prop::collection::vec(1..=255_u8, 0..16),
        parent in 0..4_194_304_i32,
        started in any::<u64>(),
    ) {
        let line = stat(&name, &parent.to_string(), &started.to_string());
        prop_assert_eq!(parse_stat(&line), Some((parent, started)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(line in prop::collection::vec(any::<u8>(), 0..200), near in "[0-9 ()S-]{0,120}") {
        let _ = (parse_stat(&line), parse_stat(near.as_bytes()));
        let last = last_component(&line);
        prop_assert!(line.ends_with(last) && !last.contains(&b'/'));
    }
}

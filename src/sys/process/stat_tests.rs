use proptest::prelude::*;

use crate::core::pid::Pid;

/// Returns a line of `/proc/pid/stat` as the kernel writes it, without the fields after the start
/// time, which frigate does not read.
fn stat(name: &[u8], parent: &str, started: &str) -> Vec<u8> {
    let behind = format!(
        " S {parent} 4242 4242 34816 4242 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {started} 2375680 160 18446744073709551615\n"
    );
    [b"4242 (", name, b")", behind.as_bytes()].concat()
}

fn pid(number: i32) -> Pid {
    Pid::new(number).unwrap_or_else(|| unreachable!("a pid is above 0"))
}

/// Returns the parent's id and the start time.
fn parse_stat(stat: &[u8]) -> Option<(i32, u64)> {
    super::parse_stat(pid(4242), stat).map(|process| (process.parent, process.start_ticks))
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
    }
}

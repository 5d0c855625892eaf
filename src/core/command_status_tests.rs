#![expect(
    clippy::indexing_slicing,
    reason = "a test says that it failed by panicking"
)]

use proptest::prelude::*;

use super::*;

fn written(status: &CommandStatus<'_>, room: usize) -> Vec<u8> {
    let mut out = vec![b'?'; room];
    let length = status.write(&mut out);
    assert!(
        out[length..].iter().all(|byte| *byte == b'?'),
        "nothing is written behind the line"
    );
    out.truncate(length);
    out
}

fn status(
    state: CommandState,
    health: HealthState,
    restarts: u32,
    name: &[u8],
) -> CommandStatus<'_> {
    CommandStatus {
        state,
        health,
        restarts: Some(restarts),
        name,
        report: b"",
    }
}

const NGINX: CommandStatus<'static> = CommandStatus {
    state: CommandState::Up,
    health: HealthState::Healthy,
    restarts: Some(12),
    name: b"nginx",
    report: b"",
};

#[test]
fn a_line_has_state_health_restarts_and_name() {
    assert_eq!(
        written(&NGINX, LONGEST_LINE),
        b"frigate: up healthy 12 nginx"
    );
    let plain = status(CommandState::Starting, HealthState::Unchecked, 0, b"sh");
    assert_eq!(written(&plain, LONGEST_LINE), b"frigate: starting - 0 sh");
}

#[test]
fn every_field_is_read_as_it_was_written() {
    for state in CommandState::ALL {
        for health in HealthState::ALL {
            for restarts in [0, 1, 9, 10, 99, 4_294_967_295] {
                for name in [b"nginx".as_slice(), b"", b"two words ", b"\xff\n"] {
                    let status = status(state, health, restarts, name);
                    let line = written(&status, LONGEST_LINE);
                    assert_eq!(CommandStatus::parse(&line), Ok(status));
                }
            }
        }
    }
}

#[test]
fn a_line_is_cut_from_the_right_and_a_number_never_in_two() {
    let table: [(usize, &[u8]); 9] = [
        (28, b"frigate: up healthy 12 nginx"),
        (27, b"frigate: up healthy 12 ngin"),
        (24, b"frigate: up healthy 12 n"),
        (23, b"frigate: up healthy 12"),
        (21, b"frigate: up healthy"),
        (18, b"frigate: up"),
        (10, b"frigate:"),
        (8, b"frigate:"),
        (7, b""),
    ];
    for (room, line) in table {
        assert_eq!(written(&NGINX, room), line, "room for {room}");
    }
    // The last byte that fits would be the first of two.
    let accented = CommandStatus {
        name: "caf\u{e9}".as_bytes(),
        ..NGINX
    };
    assert_eq!(written(&accented, 27), b"frigate: up healthy 12 caf");
    assert_eq!(
        written(&accented, 28),
        "frigate: up healthy 12 caf\u{e9}".as_bytes()
    );
}

#[test]
fn a_report_follows_the_whole_name_and_is_cut() {
    let reporting = CommandStatus {
        report: "caf\u{e9}".as_bytes(),
        ..NGINX
    };
    let line = written(&reporting, LONGEST_LINE);
    assert_eq!(line, "frigate: up healthy 12 nginx\0caf\u{e9}".as_bytes());
    for zeros in [0, 1, 9] {
        let shown = [line.as_slice(), &vec![0; zeros]].concat();
        assert_eq!(CommandStatus::parse(&shown), Ok(reporting));
    }
    for (room, report) in [(29, ""), (30, "c"), (33, "caf"), (34, "caf\u{e9}")] {
        let line = written(&reporting, room);
        let expected = CommandStatus {
            report: report.as_bytes(),
            ..NGINX
        };
        assert_eq!(CommandStatus::parse(&line), Ok(expected), "room for {room}");
    }
    let longest = CommandStatus {
        report: &[b'x'; REPORT_BYTES + 1],
        ..NGINX
    };
    let expected = CommandStatus {
        report: &[b'x'; REPORT_BYTES],
        ..NGINX
    };
    let line = written(&longest, LONGEST_LINE);
    assert_eq!(CommandStatus::parse(&line), Ok(expected));
    // Behind a name that was cut there is no report.
    assert_eq!(written(&reporting, 26), b"frigate: up healthy 12 ngi");
}

#[test]
fn what_was_cut_is_said_to_be_missing() {
    let parsed = CommandStatus::parse(b"frigate: up healthy");
    let expected = CommandStatus {
        restarts: None,
        name: b"",
        ..NGINX
    };
    assert_eq!(parsed, Ok(expected));
    for line in [b"frigate:".as_slice(), b"frigate: up", b"frigate: ended"] {
        assert_eq!(CommandStatus::parse(line), Err(NoStatus::Cut));
    }
}

#[test]
fn other_lines_are_no_status() {
    for line in [
        "",
        "frigate",
        "/sbin/init",
        "nginx: master process nginx",
        "frigate.capture:front",
        "frigate:up healthy 2 nginx",
        "frigate: ",
        "frigate: running healthy 2 nginx",
        "frigate: up well 2 nginx",
        "frigate: up  2 nginx",
        "frigate: up healthy two nginx",
        "frigate: up healthy -1 nginx",
        "frigate: up healthy 4294967296 nginx",
        " frigate: up healthy 2 nginx",
    ] {
        assert_eq!(
            CommandStatus::parse(line.as_bytes()),
            Err(NoStatus::Foreign),
            "{line:?}"
        );
    }
}

#[test]
fn only_a_command_that_is_up_and_not_known_to_be_unhealthy_is_well() {
    for state in CommandState::ALL {
        for health in HealthState::ALL {
            let is_well = state == CommandState::Up
                && [HealthState::Unchecked, HealthState::Healthy].contains(&health);
            assert_eq!(status(state, health, 0, b"x").is_well(), is_well);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_of_any_room_tells_no_lie(
        state in 0_usize..5, health in 0_usize..5, restarts: u32,
        name in "[^\0]{0,90}", room in 0_usize..=LONGEST_LINE
    ) {
        let whole = status(
            CommandState::ALL[state], HealthState::ALL[health], restarts, name.as_bytes(),
        );
        let line = written(&whole, room);
        match CommandStatus::parse(&line) {
            Ok(read) => {
                prop_assert_eq!((read.state, read.health), (whole.state, whole.health));
                prop_assert!(read.restarts.is_none_or(|read| read == restarts));
                prop_assert!(name.as_bytes().starts_with(read.name));
                prop_assert!(core::str::from_utf8(read.name).is_ok());
            }
            Err(NoStatus::Cut) => prop_assert!(room < 27),
            Err(NoStatus::Foreign) => prop_assert!(line.is_empty()),
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, words in "(frigate:)?( (up|-|healthy|7|x))*") {
        let _ = CommandStatus::parse(&bytes);
        let _ = CommandStatus::parse(words.as_bytes());
    }
}

#[test]
fn what_is_shown_is_the_word() {
    for state in CommandState::ALL {
        assert_eq!(state.shown(), state.word().as_bytes());
    }
    for health in HealthState::ALL {
        assert_eq!(health.shown(), health.word().as_bytes());
    }
}

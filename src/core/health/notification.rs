//! What a child reports by itself (`sd_notify(3)`).

use core::time::Duration;

/// One message of the child that the core decides on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notification {
    /// `READY=1`
    Ready,
    /// `WATCHDOG=1`
    Alive,
    /// `WATCHDOG=trigger`
    Trigger,
    /// `WATCHDOG_USEC=…`. Zero means that the child need not report any more.
    Interval(Duration),
    /// `EXTEND_TIMEOUT_USEC=…`
    Extend(Duration),
    /// `STOPPING=1`
    Stopping,
}

/// One line of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Assignment<'a> {
    Notification(Notification),
    /// `STATUS=…`: what the child says about itself, for people to read.
    Status(&'a [u8]),
}

/// Returns the assignments of a datagram that count, in order. Others are left out.
pub(crate) fn parse(datagram: &[u8]) -> impl Iterator<Item = Assignment<'_>> {
    datagram
        .split(|byte| *byte == b'\n')
        .filter_map(parse_assignment)
}

fn parse_assignment(line: &[u8]) -> Option<Assignment<'_>> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = line.split_at_checked(at)?;
    let value = value.get(1..)?;
    let notification = match (name, value) {
        (b"STATUS", text) => return Some(Assignment::Status(text)),
        (b"READY", b"1") => Notification::Ready,
        (b"WATCHDOG", b"1") => Notification::Alive,
        (b"WATCHDOG", b"trigger") => Notification::Trigger,
        (b"STOPPING", b"1") => Notification::Stopping,
        (b"WATCHDOG_USEC", digits) => Notification::Interval(parse_micros(digits)?),
        (b"EXTEND_TIMEOUT_USEC", digits) => Notification::Extend(parse_micros(digits)?),
        (_, _) => return None,
    };
    Some(Assignment::Notification(notification))
}

fn parse_micros(digits: &[u8]) -> Option<Duration> {
    let text = core::str::from_utf8(digits).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_assignment_that_counts_has_its_meaning_and_others_have_none() {
        let second = Duration::from_secs(1);
        let table: &[(&str, &[Assignment<'_>])] = &[
            ("READY=1", &[Assignment::Notification(Notification::Ready)]),
            (
                "WATCHDOG=1",
                &[Assignment::Notification(Notification::Alive)],
            ),
            (
                "WATCHDOG=trigger",
                &[Assignment::Notification(Notification::Trigger)],
            ),
            (
                "STOPPING=1",
                &[Assignment::Notification(Notification::Stopping)],
            ),
            (
                "WATCHDOG_USEC=1000000",
                &[Assignment::Notification(Notification::Interval(second))],
            ),
            (
                "EXTEND_TIMEOUT_USEC=1000000",
                &[Assignment::Notification(Notification::Extend(second))],
            ),
            ("STATUS=half = done", &[Assignment::Status(b"half = done")]),
            ("STATUS=", &[Assignment::Status(b"")]),
            (
                "STATUS=up\nREADY=1\n",
                &[
                    Assignment::Status(b"up"),
                    Assignment::Notification(Notification::Ready),
                ],
            ),
            (
                "X_OWN=1\nMAINPID=4\n\nREADY=1\0\nWATCHDOG=1",
                &[Assignment::Notification(Notification::Alive)],
            ),
        ];
        for (datagram, expected) in table {
            let found: Vec<_> = parse(datagram.as_bytes()).collect();
            assert_eq!(found, *expected, "{datagram:?}");
        }
        for nothing in [
            "",
            "=",
            "READY",
            "READY=0",
            "READY=",
            "ready=1",
            " READY=1",
            "READY=1 ",
            "WATCHDOG=0",
            "STOPPING=0",
            "WATCHDOG_USEC=",
            "WATCHDOG_USEC=-1",
            "WATCHDOG_USEC=+1",
            "WATCHDOG_USEC=1.5",
            "EXTEND_TIMEOUT_USEC=18446744073709551616",
            "FDSTORE=1",
        ] {
            assert_eq!(parse(nothing.as_bytes()).count(), 0, "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn no_datagram_breaks_it_and_none_has_more_than_its_lines(datagram: Vec<u8>) {
            let lines = datagram.split(|byte| *byte == b'\n').count();
            prop_assert!(parse(&datagram).count() <= lines);
        }
    }
}

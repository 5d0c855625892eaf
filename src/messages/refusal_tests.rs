#![allow(clippy::panic, reason = "a test that meets no line has failed")]

use serde_json::{Value, json};

use super::{Format, Line, Mistake, line, termination};
use crate::messages::line::LIMIT;

/// 2026-03-01T12:00:00.250Z.
const TIME: (i64, u32) = (1_772_366_400, 250_999_999);

fn mistake(text: &str) -> Mistake {
    Mistake {
        text: text.to_owned(),
    }
}

fn string(line: &Line) -> String {
    String::from_utf8(line.as_bytes().to_vec()).unwrap_or_else(|error| panic!("not UTF-8: {error}"))
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_refusal_is_told_in_the_same_forms() {
    let why = "cannot use '--grace=\"x\"': expected a duration";
    let mistake = mistake(why);
    assert_eq!(
        string(&line(&mistake, Format::Text, TIME)),
        format!("frigate: {why}\n")
    );
    let told = parse(&string(&line(&mistake, Format::Json, TIME)));
    let expected = json!({
        "time": "2026-03-01T12:00:00.250Z",
        "level": "error",
        "event": "refused",
        "exit_code": 125,
        "message": why,
    });
    assert_eq!(told, expected);
    let log = parse(&string(&termination(&mistake)));
    let expected = json!({
        "outcome": "error",
        "exit_code": 125,
        "signal": null,
        "oom_killed": false,
        "restarts": 0,
        "message": why,
    });
    assert_eq!(log, expected);
}

#[test]
fn a_refusal_of_any_length_is_one_line() {
    for why in [
        "x".repeat(10_000),
        "é".repeat(10_000),
        format!("x{}", "é".repeat(10_000)),
        "\"".repeat(10_000),
    ] {
        let mistake = mistake(&why);
        let text = string(&line(&mistake, Format::Text, TIME));
        assert!(text.starts_with("frigate: "), "{text}");
        let json = string(&line(&mistake, Format::Json, TIME));
        let log = string(&termination(&mistake));
        for told in [&json, &log] {
            assert!(parse(told).get("message").is_some(), "{told}");
        }
        for told in [text, json, log] {
            assert!(told.len() <= LIMIT, "{} bytes", told.len());
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(told.ends_with('\n'), "{told}");
        }
    }
}

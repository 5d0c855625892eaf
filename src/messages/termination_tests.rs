#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what must not be has failed"
)]

use core::cell::Cell;
use std::fs;

use super::Log;
use crate::messages::line::Line;
use crate::messages::termination::WantedLog;

/// Returns whether a message was composed, and whether it was written.
fn write(log: &Log) -> (bool, bool) {
    let is_composed = Cell::new(false);
    let compose = || {
        is_composed.set(true);
        Line::new()
    };
    let is_written = log.write(&compose).is_ok();
    (is_composed.get(), is_written)
}

#[test]
fn a_message_is_composed_only_if_there_is_a_file_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path =
        |name: &str| WantedLog::Path(directory.path().join(name).to_str().unwrap().to_owned());
    assert_eq!(write(&Log::open(&WantedLog::None, None)), (false, true));
    assert_eq!(write(&Log::open(&path("no/log"), None)), (false, false));
    assert_eq!(write(&Log::open(&path("log"), None)), (true, true));
    if !fs::exists("/dev/termination-log").unwrap() {
        assert_eq!(
            write(&Log::open(&WantedLog::Automatic, None)),
            (false, true)
        );
    }
}

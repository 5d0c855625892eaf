//! Log files: `doc/specification.md#log-files`.

mod failures;
mod files;
mod streams;
mod waiting;

use std::fs;

use libtest_mimic::Trial;

use crate::support::noise::noise;
use crate::support::{Ended, Frigate, Mode, Running, eventually};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    streams::trials(out);
    files::trials(out);
    failures::trials(out);
    waiting::trials(out);
}

/// Returns a frigate whose standard output goes to the file `log`.
fn logging(mode: Mode) -> Frigate {
    let frigate = Frigate::new(mode);
    let option = format!("--stdout={}", frigate.path("log"));
    frigate.option(option)
}

/// A directory for log files that outlives the frigate that writes them.
struct Logs(tempfile::TempDir);

impl Logs {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))
            .expect("the trial owns it");
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0
            .path()
            .join(name)
            .to_str()
            .expect("temporary directories have plain names")
            .to_owned()
    }

    fn frigate(&self, mode: Mode) -> Frigate {
        Frigate::new(mode).option(format!("--stdout={}", self.path("log")))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.bytes(name)).into_owned()
    }

    /// Returns everything that was ever written, the oldest file first.
    fn all(&self, backups: u32) -> Vec<u8> {
        let mut all = Vec::new();
        for number in (1..=backups).rev() {
            all.extend(fs::read(self.path(&format!("log.{number}"))).unwrap_or_default());
        }
        all.extend(self.bytes("log"));
        all
    }
}

/// Waits until a file contains this text. Returns the file's content.
#[track_caller]
fn wait_text(path: impl AsRef<std::path::Path>, text: &str) -> String {
    let path = path.as_ref();
    eventually(&format!("{text:?} in {}", path.display()), || {
        fs::read_to_string(path)
            .ok()
            .filter(|content| content.contains(text))
    })
}

#[track_caller]
fn expect_noise(got: &[u8], to: u64) {
    let expected = noise(0..to);
    let differs = got
        .iter()
        .zip(&expected)
        .position(|(got, expected)| got != expected);
    assert!(
        differs.is_none() && got.len() == expected.len(),
        "{} bytes of {to}, wrong from {differs:?} on",
        got.len()
    );
}

/// Starts a child that prints a line for each USR1.
fn talking(mode: Mode) -> Running {
    let frigate = logging(mode).puppet("error ready; report").spawn();
    frigate.wait_message("ready");
    frigate
}

#[track_caller]
fn talk(frigate: &Running) {
    frigate.kill(libc::SIGUSR1);
    wait_text(frigate.path("log"), "got USR1");
}

/// Returns how many bytes the only message reports as dropped.
#[track_caller]
fn dropped(ended: &Ended, reason: &str) -> u64 {
    let messages: Vec<_> = ended
        .err
        .lines()
        .filter(|line| line.starts_with("frigate: "))
        .collect();
    let [message] = messages.as_slice() else {
        panic!("{ended:#?}")
    };
    let count = message
        .strip_suffix(" bytes")
        .and_then(|rest| rest.rsplit_once(&format!(": {reason}; dropped ")));
    let (head, count) = count.unwrap_or_else(|| panic!("{ended:#?}"));
    assert!(head.starts_with("frigate: cannot write to '"), "{ended:#?}");
    count.parse().expect("a number")
}

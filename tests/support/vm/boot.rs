//! A guest of its own, in which frigate is PID 1 with the options of one scenario.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::machine::{self, End, Event};
use super::{CLAIMS, base, instructions, under_test};

/// A frigate that runs as PID 1 of a kernel, and its command. A scenario that boots needs
/// `capability::VM`.
///
/// ```ignore
/// let booted = vm::Boot::new().option("--restart=unexpected").puppet("say hello; exit 37").run();
/// booted.expect_code(37);
/// assert!(booted.out.contains("hello"));
/// ```
#[derive(Default)]
pub struct Boot {
    setup: String,
    options: Vec<String>,
    command: Vec<String>,
}

/// How PID 1 ended, and everything that the console showed before.
#[derive(Debug)]
pub struct Booted {
    /// Its raw wait status, as the kernel printed it when it panicked.
    pub status: i32,
    pub out: String,
}

/// How long a boot may take, far more than any boot needs.
const LIMIT: Duration = Duration::from_secs(90);

impl Boot {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one word before the command.
    pub fn option(mut self, word: impl Into<String>) -> Self {
        self.options.push(word.into());
        self
    }

    /// Runs these lines of shell in the guest first, in the process that then becomes frigate. So
    /// frigate has what they export.
    pub fn setup(mut self, lines: &str) -> Self {
        self.setup.push_str(lines);
        self.setup.push('\n');
        self
    }

    /// Sets the command, which follows `--`. The guest has busybox, frigate and this program.
    pub fn command(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the puppet with a script as the command.
    pub fn puppet(self, script: impl Into<String>) -> Self {
        self.command([CLAIMS.to_owned(), "--puppet".into(), script.into()])
    }

    /// Boots the guest and waits for the end of its PID 1.
    #[track_caller]
    pub fn run(self) -> Booted {
        // Boot one guest at a time: each takes a processor for itself, and other trials measure.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let words = [under_test(), self.options, vec!["--".into()], self.command].concat();
        let own = instructions(&self.setup, &words);
        let ended = base().and_then(|base| machine::run(&[base, &own], LIMIT, |_: &Event| {}));
        match ended {
            Ok(End {
                console: out,
                status: Some(status),
                ..
            }) => Booted { status, out },
            Ok(end) if end.late => panic!("PID 1 did not end within {LIMIT:?}\n{}", end.tail()),
            Ok(end) => panic!(
                "the guest ended, and not by the end of its PID 1\n{}",
                end.tail()
            ),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Booted {
    /// Checks the exit code. Shows everything if it is another one.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.status, code << 8, "{self:#?}");
        self
    }
}

//! The guest that all scenarios `in_guest` share: both sides of it.
//!
//! The host boots it when the first of them runs. In it, the host starts this program with its own
//! filters. The guest sends every fact as soon as it is known:
//!
//! ```text
//! ["up", "1.52"]                     the guest has booted, in so many seconds of its own clock
//! ["passed", NAME]   ["failed", NAME, TEXT]   ["ignored", NAME, WHY]
//! ["note", FIGURE]                   of `note(..)`, or a capability that was missing there
//! ```

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use libtest_mimic::Arguments;

use super::super::scenario;
use super::machine::{self, Event};
use super::{CLAIMS, base, instructions, limit, under_test};

/// How a scenario in the guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed(String),
    Ignored(String),
}

/// The facts of a run so far.
#[derive(Debug, Default)]
pub struct Record {
    verdicts: BTreeMap<String, Verdict>,
    /// How the guest ended, once it has.
    end: Option<String>,
}

impl Record {
    /// Adds a fact. Returns the figure if the guest has noted one.
    pub fn take(&mut self, fact: &[String]) -> Option<String> {
        let words: Vec<_> = fact.iter().map(String::as_str).collect();
        let (name, verdict) = match words.as_slice() {
            ["passed", name] => (name, Verdict::Passed),
            ["failed", name, text] => (name, Verdict::Failed((*text).to_owned())),
            ["ignored", name, why] => (name, Verdict::Ignored((*why).to_owned())),
            ["note", figure] => return Some((*figure).to_owned()),
            _ => return None,
        };
        self.verdicts.insert((*name).to_owned(), verdict);
        None
    }

    /// Records the end of the guest. Scenarios that it has not reported by now have failed.
    pub fn close(&mut self, how: String) {
        self.end = Some(how);
    }

    /// Returns the verdict on a scenario. `None` means that one may still come. The first scenario
    /// that was not reported gets all that is known about the guest's end, the others a line of it.
    pub fn verdict(&mut self, name: &str) -> Option<Verdict> {
        if let Some(verdict) = self.verdicts.get(name) {
            return Some(verdict.clone());
        }
        let how = self.end.as_mut()?;
        let text = format!("no verdict from the guest: {how}");
        how.truncate(how.find('\n').unwrap_or(how.len()));
        Some(Verdict::Failed(text))
    }
}

/// The arguments of this run, which the guest's run gets as well.
#[derive(Default)]
struct Asked {
    words: Vec<String>,
    quiet: bool,
}

static ASKED: OnceLock<Asked> = OnceLock::new();

/// Keeps the arguments of this run for the guest's.
pub fn prepare(arguments: &Arguments) {
    let mut words: Vec<_> = arguments.filter.iter().cloned().collect();
    words.extend(arguments.exact.then(|| "--exact".into()));
    words.extend(
        arguments
            .skip
            .iter()
            .flat_map(|skip| ["--skip".into(), skip.clone()]),
    );
    // A scenario spends most of its time waiting, but there is only one processor, and a slow one.
    words.extend(["--test-threads=4", "--color=never"].map(str::to_owned));
    let _again = ASKED.set(Asked {
        words,
        quiet: arguments.quiet,
    });
}

type Shared = Arc<(Mutex<Record>, Condvar)>;

fn lock(shared: &Shared) -> MutexGuard<'_, Record> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

static GUEST: OnceLock<Shared> = OnceLock::new();

/// Waits for the end of the guest, if there is one, for its last figures and its engine's
/// processes.
pub fn finish() {
    if let Some(shared) = GUEST.get() {
        let record = shared
            .1
            .wait_while(lock(shared), |record| record.end.is_none());
        drop(record.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Waits for the guest's verdict on a scenario. Boots the guest if it has not been booted.
pub fn verdict(name: &str) -> Verdict {
    let shared = GUEST.get_or_init(|| {
        let shared = Shared::default();
        let record = Arc::clone(&shared);
        // This thread lives as long as the machine, because the machine is killed when the thread
        // ends.
        std::thread::spawn(move || keep(&record));
        shared
    });
    let mut record = lock(shared);
    loop {
        if let Some(verdict) = record.verdict(name) {
            return verdict;
        }
        record = shared
            .1
            .wait(record)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// Runs the guest from its boot to its end.
fn keep(shared: &Shared) {
    // A scenario that must run alone waits for the whole guest.
    let _turn = scenario::shared_turn();
    let how =
        catch_unwind(AssertUnwindSafe(|| run(shared))).unwrap_or_else(|panic| message(&*panic));
    lock(shared).close(how);
    shared.1.notify_all();
}

fn run(shared: &Shared) -> String {
    let asked = ASKED.get_or_init(Asked::default);
    let mut words = under_test();
    words.extend(["--", CLAIMS].map(str::to_owned));
    words.extend(asked.words.iter().cloned());
    let kept =
        ["FRIGATE_TEST_REQUIRE", "RUST_BACKTRACE"].map(|name| (name, std::env::var(name).ok()));
    let given = [("FRIGATE_TEST_BINARY", Some(under_test().join(" ")))];
    let exports = kept
        .into_iter()
        .chain(given)
        .filter_map(|(name, value)| Some((name, value?)));
    let exports = exports.map(|(name, value)| format!("export {name}={}\n", super::quoted(&value)));
    let setup = format!("export {PORT}=$port\n{}", exports.collect::<String>());
    let own = instructions(&setup, &words);
    let ended = base().and_then(|base| {
        machine::run(&[base, &own], limit(), |event| match event {
            Event::Line(line) => {
                if !asked.quiet {
                    eprintln!("vm| {line}");
                }
            }
            Event::Fact(fact) => {
                if let ["up", seconds] = fact
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .as_slice()
                {
                    scenario::note(format!("the guest was up {seconds} s after its boot"));
                }
                if let Some(figure) = lock(shared).take(fact) {
                    scenario::note(figure);
                }
                shared.1.notify_all();
            }
        })
    });
    match ended {
        Ok(end) if end.late => format!("it was not done after {:?}\n{}", limit(), end.tail()),
        Ok(end) => format!("it ended with status {:?}\n{}", end.status, end.tail()),
        Err(error) => error,
    }
}

/// Returns the text of a panic.
pub fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}

/// The variable that names the line for facts. It is set only in the guest.
const PORT: &str = "FRIGATE_TEST_GUEST";

/// Returns whether this process runs in the guest.
pub fn inside() -> bool {
    std::env::var_os(PORT).is_some()
}

/// Sends the host a fact.
pub fn send(fact: &[&str]) {
    static LINE: OnceLock<Mutex<std::fs::File>> = OnceLock::new();
    let open = || {
        let port = std::env::var_os(PORT).expect("only the guest tells");
        Mutex::new(
            OpenOptions::new()
                .write(true)
                .open(port)
                .expect("the second line is there"),
        )
    };
    let mut line = LINE
        .get_or_init(open)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let text = serde_json::to_string(fact).expect("strings") + "\n";
    line.write_all(text.as_bytes()).expect("the host listens");
    // The end of PID 1 follows the last fact at once, and what the line has not taken by then is
    // lost.
    let _a_pipe = rustix::termios::tcdrain(&*line);
}

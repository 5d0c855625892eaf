//! Watched paths: `doc/specification.md#watched-paths`.

mod directories;
mod files;
mod load;
mod refusals;
mod starts;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::{Frigate, Mode, Running, eventually, wait_state};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    files::trials(out);
    directories::trials(out);
    starts::trials(out);
    load::trials(out);
    refusals::trials(out);
}

/// The script of a child that prints every signal until TERM.
const CHILD: &str = "say ready; wait TERM; exit 5";

/// A frigate that sends HUP for one path, and USR1 for a mark. Both are in directories of their own.
struct Watching {
    frigate: Frigate,
    directory: PathBuf,
}

/// The same, running.
struct Watched {
    running: Running,
    directory: PathBuf,
    mark: PathBuf,
    marks: usize,
}

impl Watching {
    /// Watches a path below the directory `watched`, which exists.
    fn new(mode: Mode, path: &str) -> Self {
        let frigate = Frigate::new(mode);
        let directory = PathBuf::from(frigate.path("watched"));
        fs::create_dir(&directory).expect("the trial owns it");
        fs::create_dir(frigate.path("mark")).expect("the trial owns it");
        let mark = frigate.path("mark/mark");
        let path = directory.join(path);
        let frigate = frigate
            .option(format!("--watch={}=HUP", path.display()))
            .option(format!("--watch={mark}=USR1"));
        Self { frigate, directory }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Starts `CHILD`.
    fn spawn(self) -> Watched {
        self.spawn_script(CHILD)
    }

    /// Starts a child that says `ready`.
    fn spawn_script(self, script: &str) -> Watched {
        let running = self.frigate.puppet(script).spawn();
        running.wait_line("ready");
        let mark = running.path("mark/mark");
        Watched {
            running,
            directory: self.directory,
            mark,
            marks: 0,
        }
    }
}

/// Returns how often the child got this signal.
fn count(running: &Running, signal: &str) -> usize {
    let got = format!("got {signal} ");
    running.out().text().matches(&got).count()
}

impl Watched {
    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Waits until everything that has changed so far was acted on: a change of the mark comes after
    /// it, and so does the mark's signal. Returns how often the child got HUP.
    #[track_caller]
    fn settle(&mut self) -> usize {
        self.marks += 1;
        fs::write(&self.mark, "x".repeat(self.marks)).expect("the trial owns it");
        eventually("the signal of the mark", || {
            (count(&self.running, "USR1") >= self.marks).then_some(())
        });
        count(&self.running, "HUP")
    }

    /// Makes a change, and expects so many signals in all for the changes so far. frigate is stopped
    /// meanwhile: it finds all steps of the change at once, however slow this machine is.
    #[track_caller]
    fn expect(&mut self, signals: usize, change: impl FnOnce(&Self)) {
        let pid = self.running.pid;
        self.running.kill(libc::SIGSTOP);
        wait_state(pid, 'T');
        change(self);
        self.running.kill(libc::SIGCONT);
        // The kernel may report an end of a file late, which puts the signal behind that of the mark.
        eventually("the signal of the change", || {
            (count(&self.running, "HUP") >= signals).then_some(())
        });
        assert_eq!(self.settle(), signals, "{}", self.running.out().text());
    }

    /// Stops frigate.
    #[track_caller]
    fn end(self) {
        self.running.kill(libc::SIGTERM);
        let ended = self.running.wait();
        ended.expect_code(5).expect_silence().expect_nothing_left();
    }
}

/// Writes a file by a process of its own. If this process wrote it, a process that another thread
/// forks meanwhile would have it open for a moment, and the kernel would report its end later.
fn write(path: impl AsRef<Path>, text: &str) {
    shell("printf %s \"$2\" > \"$1\"", path, text);
}

fn append(path: impl AsRef<Path>, text: &str) {
    shell("printf %s \"$2\" >> \"$1\"", path, text);
}

#[track_caller]
fn shell(script: &str, path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    let status = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args([path, Path::new(text)])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{}",
        path.display()
    );
}

fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    fs::rename(from, to).expect("both are the trial's");
}

fn link(target: impl AsRef<Path>, at: impl AsRef<Path>) {
    symlink(target, at).expect("the trial owns the directory");
}

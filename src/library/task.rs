//! Functions of the host program that run as children: the registry, and the way into one in a
//! fresh process.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination, exit};
use std::sync::Mutex;

use crate::library::shared_state::lock;
use crate::sys::host;

/// The variable that tells a fresh process of the same executable which task it is; the first in
/// its environment.
pub(crate) const VARIABLE: &str = "FRIGATE_TASK";

/// The exit code of a task that panics: what Rust gives a `main` that does.
const PANICKED: u8 = 101;

static REGISTRY: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Registers a function of this program as a task, which
/// [`Frigate::create`](crate::Frigate::create) then protects by that name.
///
/// To be called at the top of `main`, before any thread is started and before anything is
/// protected. A task runs in a fresh process of the same executable, with its own arguments and
/// environment: there, this call does not return, but runs the function and ends the process. The
/// executable may have been replaced or removed meanwhile; the task is of the one that the host was
/// started from.
///
/// The exit code is that of the function as if it were `main`: 0, or its [`ExitCode`], or 1 where
/// it returns an error, which is printed. A panic is reported by the panic hook, and ends with 101.
/// Where the program is built with `panic = "abort"`, a panic ends the task by ABRT.
///
/// Registering a name once more replaces nothing: the first function of a name is the one that
/// runs.
///
/// A fresh process learns from the variable `FRIGATE_TASK` which task it is. A program with
/// privileges of its file (set-user-ID, set-group-ID, file capabilities) ignores that variable, and
/// protects no tasks: [`Error::Privileged`](crate::Error::Privileged).
///
/// ```standalone_crate
/// use frigate::{AutoRestart, Frigate, Strategy};
/// use std::process::ExitCode;
///
/// fn main() -> Result<(), frigate::Error> {
///     frigate::register_task("answer", || ExitCode::from(42));
///
///     let frigate = Frigate::create("answer").strategy(Strategy::new().auto_restart(AutoRestart::False));
///     frigate.protect()?;
///     assert_eq!(frigate.wait()?.status().and_then(|status| status.code()), Some(42));
///     Ok(())
/// }
/// ```
pub fn register_task<T: Termination>(name: impl Into<String>, function: impl FnOnce() -> T) {
    let name = name.into();
    if current().is_some_and(|task| task == name) {
        run(&name, function);
    }
    // A process that was forked from the host protects nothing, and must not wait for a lock that
    // is held in the host.
    if host::is_forked() {
        return;
    }
    lock(&REGISTRY).insert(name);
}

/// The task that this process was started as, as long as it has not begun. A program with
/// privileges of its file does not believe a variable: whoever started it would choose which of its
/// functions runs, with privileges that they do not have.
pub(crate) fn current() -> Option<String> {
    std::env::var(VARIABLE)
        .ok()
        .filter(|_| !host::is_privileged())
}

/// Returns the variable that makes a process run the task of this name: `FRIGATE_TASK=name`.
pub(crate) fn variable(name: &str) -> String {
    format!("{VARIABLE}={name}")
}

pub(crate) fn is_registered(name: &str) -> bool {
    lock(&REGISTRY).contains(name)
}

fn run<T: Termination>(name: &str, function: impl FnOnce() -> T) -> ! {
    // A program that the task starts, itself perhaps, is not to be taken for the task.
    host::remove_variable(VARIABLE);
    // All tasks are the same executable, which the kernel calls `exe` here.
    if let Ok(name) = CString::new(name) {
        host::set_name(&name);
    }
    // The process ends here in any case, so that nobody sees what a panic left half done.
    let code = catch_unwind(AssertUnwindSafe(|| function().report())).map_or(PANICKED, number);
    exit(code.into());
}

/// An exit code tells its number only by being the same as another one.
fn number(code: ExitCode) -> u8 {
    (0..=u8::MAX)
        .find(|number| ExitCode::from(*number) == code)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_tells_its_number() {
        for code in 0..=u8::MAX {
            assert_eq!(number(ExitCode::from(code)), code);
        }
        assert_eq!(
            (number(ExitCode::SUCCESS), number(ExitCode::FAILURE)),
            (0, 1)
        );
    }
}

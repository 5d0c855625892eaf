//! Functions of the host program that run as children: their names, and the entry point of such a
//! function in its process.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination, exit};
use std::sync::Mutex;

use crate::core::variable::TASK;
use crate::library::shared_state::lock;
use crate::sys::host;

/// The exit code of a task that panics, as of a Rust program whose `main` does.
const PANICKED: u8 = 101;

static REGISTERED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Registers a function of this program as a task, so that
/// [`Frigate::create`](crate::Frigate::create) can protect it under this name.
///
/// Call it at the top of `main`, before the program starts a thread and before it protects
/// anything. A task runs in a new process of the same executable. In that process this call does
/// not return: it runs the function and ends the process. If the executable was replaced or removed
/// in the meantime, the task still runs the one that the host was started from.
///
/// The exit code is the same as if the function were `main`: 0, or the [`ExitCode`] that it
/// returns, or 1 if it returns an error, which is printed. After a panic, which the panic hook
/// reports, it is 101. If the program is built with `panic = "abort"`, a panic ends the task by
/// ABRT.
///
/// If a name is registered twice, the first function runs.
///
/// The new process learns from the variable `FRIGATE_TASK` which task it is. A program that got
/// privileges from its file (set-user-ID, set-group-ID, file capabilities) ignores the variable,
/// and can protect programs, but no tasks: [`Error::Privileged`](crate::Error::Privileged).
///
/// ```standalone_crate
/// use frigate::{AutoRestart, Frigate, Strategy};
/// use std::process::ExitCode;
///
/// fn main() -> Result<(), frigate::Error> {
///     frigate::register_task("answer", || ExitCode::from(42));
///
///     let once = Strategy::new().auto_restart(AutoRestart::False);
///     let frigate = Frigate::create("answer").strategy(once);
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
    // a thread of the host held at the fork.
    if host::is_forked() {
        return;
    }
    lock(&REGISTERED).insert(name);
}

/// Returns the task that this process was started as, until it runs. `None` means that it is no
/// task. A program with privileges of its file ignores the variable: the user who started it could
/// choose which of its functions runs, with privileges that this user does not have.
pub(crate) fn current() -> Option<String> {
    std::env::var(TASK).ok().filter(|_| !host::is_privileged())
}

/// Returns the variable that makes a process run the task of this name: `FRIGATE_TASK=name`.
pub(crate) fn variable(name: &str) -> String {
    format!("{TASK}={name}")
}

pub(crate) fn is_registered(name: &str) -> bool {
    lock(&REGISTERED).contains(name)
}

/// Runs the function in the child's process, and exits.
#[expect(clippy::disallowed_methods, reason = "a task ends here")]
fn run<T: Termination>(name: &str, function: impl FnOnce() -> T) -> ! {
    // If the task starts its own executable, that process must not become the task, too.
    host::remove_variable(TASK);
    // The kernel has named the process `exe`, after the last component of `/proc/self/exe`.
    if let Ok(name) = CString::new(name) {
        host::set_name(&name);
    }
    // The process ends here in any case, so that no code meets data that a panic left half changed.
    let code = catch_unwind(AssertUnwindSafe(|| function().report())).map_or(PANICKED, exit_number);
    exit(code.into());
}

/// Returns the number of an exit code, which can only be compared with others.
fn exit_number(code: ExitCode) -> u8 {
    (0..=u8::MAX)
        .find(|number| ExitCode::from(*number) == code)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_every_exit_code_is_found() {
        for code in 0..=u8::MAX {
            assert_eq!(exit_number(ExitCode::from(code)), code);
        }
        assert_eq!(
            (
                exit_number(ExitCode::SUCCESS),
                exit_number(ExitCode::FAILURE)
            ),
            (0, 1)
        );
    }
}

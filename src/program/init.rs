//! Lets a host program be PID 1 of its container: the program's event loop takes that place, and
//! the host goes on in a child.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::child::capture::Capture;
use crate::child::check::checker::Checker;
use crate::child::driver::Child;
use crate::core::dispatch::{Dispatcher, Surroundings};
use crate::core::signal::SignalSet;
use crate::messages::context::MessageContext;
use crate::messages::formatter::MessageFormatter;
use crate::messages::refusal::refuse;
use crate::messages::report::Reporter;
use crate::messages::termination;
use crate::program::config::Config;
use crate::program::event_loop::EventLoop;
use crate::program::options::values::Values;
use crate::program::process_tree::{FrigateProcess, ProcessTree};
use crate::sys::process::last_component;
use crate::sys::signals;
use crate::sys::spawn::{ChildPlan, Confinement, Environment, Memory, Pidfd, SpawnPlan};
use crate::sys::{descriptors, host, startup, terminal};

/// Makes the process an init if it is PID 1. Call it first in `main`, before
/// [`register_task`](crate::register_task).
///
/// In a container without an init the host program is PID 1. Orphans become its children then, and
/// nothing reaps them; signals for which it has no handler are lost. With this call, PID 1 becomes
/// an init that runs the `frigate` program's own event loop. It forwards every signal to the host's
/// process group and reaps orphans. When the host has ended, it sends TERM to the processes that
/// are left, sends KILL after 5 s, and exits with the host's exit code. The host goes on in a
/// child: the same executable, with the same arguments and the same environment, in which this call
/// returns.
///
/// If the process is not PID 1, the call returns at once.
///
/// ```
/// frigate::init();
/// // From here on the process is not PID 1, even if it was started as PID 1.
/// assert_ne!(std::process::id(), 1);
/// ```
pub fn init() {
    let Some(own) = startup::own_pid().filter(|own| own.raw() == 1) else {
        return;
    };
    let Some(config) = config() else { return };
    let Ok(mask) = signals::block_all() else {
        return;
    };
    host::restore_sigpipe();
    descriptors::fill_standard();
    let argv: Vec<CString> = std::env::args_os().filter_map(c_string).collect();
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        c_string(OsString::from_vec(
            [name.as_bytes(), value.as_bytes()].join(&b'='),
        ))
    });
    let mut environment = Environment::unchanged(variables.collect());
    let command = argv.first().cloned().unwrap_or_default();
    let context = MessageContext {
        command: command.to_string_lossy().into_owned(),
        ..MessageContext::default()
    };
    let formatter = MessageFormatter::new(context);
    let reporter = Reporter::new(formatter, config.format, config.verbosity);
    let child_plan = ChildPlan::new(
        vec![c"/proc/self/exe".into()],
        environment.keep(argv),
        environment,
        Confinement::default(),
        mask,
        signals::restore_sigchld(),
    );
    let reports_exec = false;
    let plan = SpawnPlan::new(child_plan, Pidfd::No, reports_exec, Memory::Copied);
    let surroundings = Surroundings {
        has_terminal: terminal::foreground_group().is_some(),
        is_resumable: false,
    };
    let is_reaper = true;
    let frigate = FrigateProcess {
        pid: own,
        is_reaper,
    };
    let name = last_component(command.to_bytes()).to_vec();
    let tree = ProcessTree::new(frigate, reporter, surroundings.has_terminal, name, None);
    let capture = Capture::default();
    let child = Child::new(
        &config.rules,
        tree.scope(),
        plan,
        None,
        capture,
        Checker::default(),
        false,
    );
    let dispatcher = Dispatcher::new(
        config.stop_on,
        config.restart_on,
        config.rewrite,
        surroundings,
    );
    let mut event_loop = EventLoop::new(child, tree, dispatcher, termination::Log::Automatic);
    let code = event_loop
        .run()
        .unwrap_or_else(|mistake| refuse(&mistake, config.format, event_loop.termination_log()));
    #[expect(clippy::disallowed_methods, reason = "a host that is PID 1 ends here")]
    std::process::exit(code.into());
}

fn c_string(text: OsString) -> Option<CString> {
    CString::new(text.into_vec()).ok()
}

/// Returns the defaults, but no signal asks the init to stop: signals are for the host, which
/// decides when it ends.
fn config() -> Option<Config> {
    let defaults = Config::new(&Values::default()).ok()?;
    Some(Config {
        stop_on: SignalSet::of([]),
        ..defaults
    })
}

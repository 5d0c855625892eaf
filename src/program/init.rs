//! A host program that is PID 1 of its container: the binary's event loop takes that place, and the
//! host goes on beside it.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::child::capture::Capture;
use crate::child::driver::Child;
use crate::core::dispatch::{Dispatcher, Surroundings};
use crate::core::signal::SignalSet;
use crate::messages::message::{Names, Speaker};
use crate::messages::refusal::refuse;
use crate::messages::report::Reporter;
use crate::messages::termination;
use crate::program::config::Config;
use crate::program::event_loop::EventLoop;
use crate::program::options::values::Values;
use crate::program::process_tree::{ProcessTree, Role};
use crate::sys::process::last_component;
use crate::sys::signals;
use crate::sys::spawn::{Bond, Confinement, Environment, Pidfd, SpawnPlan};
use crate::sys::{descriptors, host, startup, terminal};

/// Makes the process a well-behaved init where it is PID 1; to be called first of all in `main`,
/// before [`register_task`](crate::register_task).
///
/// In a container without an init the host program is PID 1: orphans become its children, which
/// nobody collects, and signals that it has no handler for are lost. Here, PID 1 stays behind as
/// the init, which is the `frigate` program's own loop: it forwards every signal to the host's
/// process group, reaps orphans, and when the host has ended asks what is left to end, kills what
/// does not within 5 s, and exits with the host's code. The host goes on in a child: the same
/// executable, run anew with the same arguments and the same environment, where this call returns.
///
/// Where the process is not PID 1, it returns at once.
///
/// ```
/// frigate::init();
/// // From here on the process is not PID 1, whatever it was started as.
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
    let names = Names {
        command: command.to_string_lossy().into_owned(),
        ..Names::default()
    };
    let speaker = Speaker::new(names);
    let reporter = Reporter::new(speaker, config.format, config.verbosity);
    let plan = SpawnPlan {
        confinement: Confinement::default(),
        candidates: vec![c"/proc/self/exe".into()],
        argv: environment.keep(argv),
        environment,
        mask,
        ignores_sigchld: signals::restore_sigchld(),
        pidfd: Pidfd::No,
        announces_exec: false,
        entrance: None,
        bond: Bond::default(),
    };
    let surroundings = Surroundings {
        terminal: terminal::foreground_group().is_some(),
        resumable: false,
    };
    let is_reaper = true;
    let role = Role { own, is_reaper };
    let name = last_component(command.to_bytes()).to_vec();
    let tree = ProcessTree::new(role, reporter, surroundings.terminal, name, None);
    let capture = Capture::default();
    let child = Child::new(config.rules, tree.scope(), plan, None, capture, false);
    let dispatcher = Dispatcher::new(config.stop_on, config.rewrite, surroundings);
    let log = termination::OpenLog::Automatic;
    let code = EventLoop::new(child, tree, dispatcher, log).run();
    std::process::exit(
        code.unwrap_or_else(|mistake| {
            refuse(&mistake, config.format, &termination::OpenLog::Automatic)
        })
        .into(),
    );
}

fn c_string(text: OsString) -> Option<CString> {
    CString::new(text.into_vec()).ok()
}

/// The defaults, but that no signal asks the init to stop: each is for the host, which ends when it
/// sees fit, or as long as its container may.
fn config() -> Option<Config> {
    let defaults = Config::new(&Values::default()).ok()?;
    Some(Config {
        stop_on: SignalSet::of([]),
        ..defaults
    })
}

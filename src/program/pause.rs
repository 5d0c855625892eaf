//! The mode `--pause`: PID 1 of a container without a command of its own, whose processes come from
//! elsewhere (`docker exec`, the other containers of a pod). It reaps until it is asked to stop.
//!
//! It is the event loop with a child that is never started: a stop ends what is left, as after any
//! other stop that comes while no command runs.
#![forbid(unsafe_code)]

use crate::child::capture::Capture;
use crate::child::check::checker::Checker;
use crate::child::driver::Child;
use crate::core::dispatch::{Dispatcher, Surroundings};
use crate::core::exit_code::ExitCodeMap;
use crate::core::fact::Fact;
use crate::core::rules::{Rules, StopRules};
use crate::messages::report::Reporter;
use crate::messages::termination;
use crate::program::config::Config;
use crate::program::event_loop::EventLoop;
use crate::program::process_tree::{FrigateProcess, ProcessTree};
use crate::sys::descriptors;
use crate::sys::signals::{self, Mask};
use crate::sys::spawn::{ChildPlan, Confinement, Environment, Memory, Pidfd, SpawnPlan};

/// The name that `--status` shows in place of a command's.
const NAME: &[u8] = b"pause";

/// Returns the event loop of a frigate without a command. Closes what frigate has inherited, and
/// reports if frigate is not PID 1.
pub(crate) fn event_loop(
    config: &Config,
    frigate: FrigateProcess,
    mut reporter: Reporter,
    surroundings: Surroundings,
    mask: Mask,
) -> EventLoop {
    if !frigate.is_init() {
        reporter.report(&Fact::NotInit);
    }
    // An end by any signal is a success.
    let success = (129..=192).map(|code| (code, 0));
    let rules = Rules {
        // What is left gets exactly the time of `--leftovers`.
        stop: StopRules {
            grace: config.rules.leftovers,
            ..config.rules.stop
        },
        exit_codes: ExitCodeMap::new(success.collect::<Vec<_>>().leak()),
        ..config.rules
    };
    let mut tree = ProcessTree::new(
        frigate,
        reporter,
        surroundings.has_terminal,
        NAME.to_vec(),
        None,
    );
    tree.waits_for_everyone = frigate.is_init();
    let mut environment = Environment::unchanged(Vec::new());
    let child_plan = ChildPlan::new(
        Vec::new(),
        environment.keep(Vec::new()),
        environment,
        Confinement::default(),
        mask,
        // Orphans must be reaped here, if the kernel was told to do it by itself.
        signals::restore_sigchld(),
    );
    let reports_exec = false;
    let child = Child::new(
        &rules,
        tree.scope(),
        SpawnPlan::new(child_plan, Pidfd::No, reports_exec, Memory::Copied),
        None,
        Capture::default(),
        Checker::default(),
        false,
    );
    let dispatcher = Dispatcher::new(
        config.stop_on,
        config.restart_on,
        config.rewrite,
        surroundings,
    );
    descriptors::release();
    EventLoop::new(child, tree, dispatcher, termination::Log::Automatic)
}

//! The mode `--exec`: frigate becomes the command, as gosu and su-exec do.
#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::child::command_path::candidate_paths;
use crate::messages::mistake::Mistake;
use crate::messages::refusal::refuse;
use crate::messages::termination;
use crate::program::config::Config;
use crate::program::prepared_command::{PreparedCommand, give_streams};
use crate::program::process_tree::FrigateProcess;
use crate::sys::signals::Mask;
use crate::sys::spawn::{ChildPlan, Environment, Pointers, replace_program};
use crate::sys::startup::CStrings;

/// Becomes the command. Returns the exit code if that fails.
// Not inlined: what every run executes has 1,616 bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
pub(crate) fn run(
    config: &Config,
    command: &[&'static CStr],
    environment: CStrings,
    mask: Mask,
) -> u8 {
    try_run(config, command, environment, mask)
        .unwrap_or_else(|mistake| refuse(&mistake, config.format, &termination::Log::None))
}

/// # Errors
///
/// The user, the group or the root cannot be learned.
fn try_run(
    config: &Config,
    command: &[&'static CStr],
    environment: CStrings,
    mask: Mask,
) -> Result<u8, Mistake> {
    let frigate = FrigateProcess::of_first_thread()?;
    let prepared = PreparedCommand::new(config, command)?;
    let reporter = prepared.reporter(config, None);
    give_streams(prepared.confinement.user, frigate);
    let ignores_sigchld = false;
    let failure = replace_program(&ChildPlan::new(
        candidate_paths(prepared.program.to_bytes(), environment.value_of("PATH")),
        Pointers::new(command.iter().copied()),
        Environment::of_same_process(environment, &prepared.variables),
        prepared.confinement,
        mask,
        // Its disposition was not changed, and so is not restored.
        ignores_sigchld,
    ));
    let text = reporter.formatter.failure_text(failure);
    refuse(&Mistake { text }, config.format, &termination::Log::None);
    Ok(failure.code())
}

//! The plans of the checks that options ask for.
#![forbid(unsafe_code)]

use std::ffi::CString;

use crate::child::check::CheckPlan;
use crate::child::check::checker::{CheckPlans, Checker};
use crate::child::check::wanted_target::WantedTarget;
use crate::child::command_path::candidate_paths;
use crate::core::health::target::{Question, Target};
use crate::core::pid::Pid;
use crate::core::variable::Variable;
use crate::program::config::Config;
use crate::sys::signals::Mask;
use crate::sys::spawn::{ChildPlan, Confinement, Environment, Memory, Pidfd, SpawnPlan};
use crate::sys::startup::CStrings;

/// What frigate has inherited, and passes on to the programs that it starts.
pub(crate) struct Inherited {
    pub(crate) environment: CStrings,
    pub(crate) own_pid: Pid,
    pub(crate) mask: Mask,
    pub(crate) ignores_sigchld: bool,
}

/// Makes the plans of the checks. A program of a check runs as the child does.
// Not inlined: what every run executes has 1,300 bytes less (`tools/order.ld`).
#[inline(never)]
pub(crate) fn make_checker(
    config: &Config,
    inherited: &Inherited,
    confinement: &Confinement,
    variables: &[Variable],
) -> Checker {
    let spawn = |words: &[Vec<u8>]| {
        let environment = Environment::new(inherited.environment, inherited.own_pid, variables);
        make_spawn_plan(words, inherited, environment, confinement.clone())
    };
    let plan = |wanted: &Option<WantedTarget>| {
        let wanted = wanted.as_ref()?;
        let Target::Asked(question) = &wanted.target else {
            return None;
        };
        Some(CheckPlan {
            spawn: match question {
                Question::Exec(words) => Some(spawn(words)),
                Question::Http { .. }
                | Question::Tcp(_)
                | Question::Unix(_)
                | Question::File(_) => None,
            },
            question: question.clone(),
            longest_age: wanted.longest_age,
        })
    };
    Checker::new(CheckPlans {
        health: plan(&config.health),
        ready: plan(&config.ready),
    })
}

/// Returns the plan for a program of a check.
pub(crate) fn make_spawn_plan(
    words: &[Vec<u8>],
    inherited: &Inherited,
    mut environment: Environment,
    confinement: Confinement,
) -> SpawnPlan {
    let program = words.first().map(Vec::as_slice).unwrap_or_default();
    let path = inherited.environment.value_of("PATH");
    let argv = words
        .iter()
        .filter_map(|word| CString::new(word.as_slice()).ok());
    let child = ChildPlan::new(
        candidate_paths(program, path),
        environment.keep(argv.collect()),
        environment,
        confinement,
        inherited.mask,
        inherited.ignores_sigchld,
    );
    let reports_exec = false;
    SpawnPlan::new(child, Pidfd::No, reports_exec, Memory::Copied)
}

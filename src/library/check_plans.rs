//! The plans of a child's checks.

use core::time::Duration;
use std::ffi::CString;

use crate::child::check::CheckPlan;
use crate::child::check::checker::{CheckPlans, Checker};
use crate::child::command_path::candidate_paths;
use crate::core::health::target::Question;
use crate::library::check_settings::WantedChecks;
use crate::library::program_setup::ProgramSetup;
use crate::sys::spawn::{ChildPlan, Environment, Memory, Pidfd, SpawnPlan};

/// Makes the plans of the checks that a strategy asks for.
pub(crate) fn make_checker(wanted: &WantedChecks, program: &ProgramSetup) -> Checker {
    let longest_age = wanted.rules.longest_age();
    let plan = |question: &Question| make_plan(question.clone(), longest_age, program);
    Checker::new(CheckPlans {
        health: wanted.health.as_ref().map(plan),
        ready: wanted.ready.as_ref().map(plan),
    })
}

fn make_plan(question: Question, longest_age: Duration, program: &ProgramSetup) -> CheckPlan {
    let spawn = match &question {
        Question::Exec(words) => Some(make_spawn_plan(words, program)),
        Question::Http { .. } | Question::Tcp(_) | Question::Unix(_) | Question::File(_) => None,
    };
    CheckPlan {
        question,
        longest_age,
        spawn,
    }
}

/// Returns the plan for the program of a check. It runs as the child does, but is no process of a
/// task: with the variable of one, the host's own executable would run the task instead of the check,
/// and `grace_close` would find it as another process of the task.
fn make_spawn_plan(words: &[Vec<u8>], program: &ProgramSetup) -> SpawnPlan {
    let name = words.first().map(Vec::as_slice).unwrap_or_default();
    let task_variables = usize::from(program.task_variable.is_some());
    let variables = program.environment.iter().skip(task_variables);
    let mut environment = Environment::owned(variables.cloned().collect());
    let argv = words
        .iter()
        .filter_map(|word| CString::new(word.as_slice()).ok());
    let ignores_sigchld = false;
    let child = ChildPlan::new(
        candidate_paths(name, program.search_path.as_deref()),
        environment.keep(argv.collect()),
        environment,
        program.confinement.clone(),
        program.mask,
        ignores_sigchld,
    );
    let reports_exec = false;
    SpawnPlan::new(child, Pidfd::Always, reports_exec, Memory::Copied)
}

//! The binary from its first instruction to its exit code.
#![expect(unsafe_code, reason = "main is given C arrays")]

use core::ffi::{CStr, c_char, c_int};
use core::mem::ManuallyDrop;
use std::ffi::CString;

use crate::child::capture::Capture;
use crate::child::cgroup::{self, Prepared};
use crate::child::command_path::candidate_paths;
use crate::child::driver::Child;
use crate::child::identity::resolve_identity;
use crate::core::dispatch::{Dispatcher, Surroundings};
use crate::core::errno::Errno;
use crate::core::exit_code::FRIGATE_FAILED;
use crate::core::fact::Fact;
use crate::core::fact::Level as Verbosity;
use crate::core::pid::Pid;
use crate::core::restart::Restart;
use crate::core::text::text_of;
use crate::messages::format::Format;
use crate::messages::message::{Names, Speaker};
use crate::messages::mistake::Mistake;
use crate::messages::refusal::refuse;
use crate::messages::report::Reporter;
use crate::messages::termination;
use crate::program::command_line::{self, Request};
use crate::program::config::Config;
use crate::program::event_loop::EventLoop;
use crate::program::options::{table, variables};
use crate::program::process_tree::{ProcessTree, Role};
use crate::sys::safe_open::ChildUser;
use crate::sys::signals::{self, Mask};
use crate::sys::spawn::{Bond, Confinement, Environment, Pidfd, Pointers, SpawnPlan};
use crate::sys::startup::{self, CStrings, Entry};
use crate::sys::{credentials, descriptors, inherited, output, process, terminal};

/// What this was built from. `tools/dist` sets the variable.
const COMMIT: &str = match option_env!("FRIGATE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What helps where a limit cannot be had.
const WAY_OUT: &str = "; or give --cgroup-best-effort";

/// Does all that the `frigate` program does; answers with its exit code.
///
/// # Safety
///
/// `argv` and `envp` are the arrays that the C `main` is given, untouched, and no thread runs
/// beside this one.
#[must_use]
pub unsafe fn main(argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    // Before anything else: from here on no signal is lost, and none does anything by itself.
    let mask = match signals::block_all() {
        Ok(mask) => mask,
        Err(errno) => return cannot_block(errno).into(),
    };
    descriptors::fill_standard();
    // Before any word or variable is obeyed, even by where the refusal is written.
    if startup::is_secure() && is_privileged() {
        return FRIGATE_FAILED.into();
    }
    // SAFETY: the duty of this function's caller.
    let argv = unsafe { CStrings::new(argv) };
    // SAFETY: the same.
    let environment = unsafe { CStrings::new(envp) };
    let arguments: Vec<&'static CStr> = argv.iter().skip(1).map(Entry::whole).collect();
    let words: Vec<&[u8]> = arguments.iter().map(|word| word.to_bytes()).collect();
    // What is made here is not taken apart: the process ends with it.
    let candidates = variables::candidates(environment);
    let request = ManuallyDrop::new(command_line::read(&words, candidates.clone()));
    let code = match &*request {
        Ok(Request::Help) => print(&table::help()),
        Ok(Request::Version) => print(&version()),
        Ok(Request::Run(config, first)) => {
            run(config, &arguments, *first, environment, mask).unwrap_or_else(|mistake| {
                // Nothing has been started; whose child it would have been may not even be known.
                let log = termination::OpenLog::open(&config.termination_log, None);
                refuse(&mistake, config.format, &log)
            })
        }
        Err(mistake) => refuse(
            mistake,
            command_line::format(&words, candidates),
            &termination::OpenLog::Automatic,
        ),
    };
    code.into()
}

#[inline(never)]
fn cannot_block(errno: Errno) -> u8 {
    refuse(
        &Mistake::refused_call("block", "signals", errno),
        Format::Text,
        &termination::OpenLog::Automatic,
    )
}

/// The version in the form that container engines parse: they take what follows ` - git.` for the
/// commit.
#[inline(never)]
fn version() -> String {
    [
        "frigate ",
        env!("CARGO_PKG_VERSION"),
        " - git.",
        COMMIT,
        "\n",
    ]
    .concat()
}

/// Whether frigate has privileges that its caller lacks, which is said.
#[cold]
#[inline(never)]
fn is_privileged() -> bool {
    let exceeds = credentials::has_more_privileges_than_caller();
    if exceeds {
        output::write_to_stderr(
            b"frigate: cannot run: its file has privileges that its caller lacks\n",
        );
    }
    exceeds
}

fn print(text: &str) -> u8 {
    if output::write_to_stdout(text) {
        0
    } else {
        FRIGATE_FAILED
    }
}

/// Makes everything that has to be there before the first start, and runs the whole life of the
/// child.
#[expect(clippy::too_many_lines, reason = "to be split")]
fn run(
    config: &Config,
    arguments: &[&'static CStr],
    first: usize,
    environment: CStrings,
    mask: Mask,
) -> Result<u8, Mistake> {
    let command = arguments.get(first).copied().unwrap_or_default();
    let own = startup::first_pid()
        .ok_or_else(|| Mistake::new("learn", "the process id").because("it is not positive"))?;
    if let Some(signal) = config.pdeathsig {
        startup::set_parent_death_signal(signal)
            .map_err(|errno| Mistake::new("use", "--pdeathsig").because(&errno.to_string()))?;
    }
    let (confinement, replaced) = confinement(config)?;
    let uid = confinement.user;
    let user = ChildUser::of(&confinement);
    let termination_log = termination::OpenLog::open(&config.termination_log, user);
    let capture = capture(config, &confinement, user)?;
    // Last of all that may be refused: it changes more than frigate itself.
    let Prepared { group, warnings } = match config.limits.as_slice() {
        [] => Prepared::default(),
        limits => cgroup::prepare(
            limits,
            config.cgroup_best_effort,
            WAY_OUT,
            command.to_bytes(),
            own,
        )?,
    };
    let names = Names {
        command: text_of(command.to_bytes()),
        user: config
            .user
            .as_ref()
            .map(|user| user.value.clone())
            .unwrap_or_default(),
        root: config.chroot.clone().unwrap_or_default(),
        directory: config.workdir.clone().unwrap_or_default(),
        group: group
            .as_ref()
            .map(|group| group.path().to_owned())
            .unwrap_or_default(),
    };
    let speaker = Speaker::new(names);
    let mut reporter = Reporter::new(speaker, config.format, config.verbosity);
    let (mut role, surroundings) = role(own);
    if own.raw() != 1
        && let Err(errno) = startup::become_subreaper(own)
    {
        role.is_reaper = false;
        let then = "orphans of the child will not be reaped here";
        reporter.say(&Fact::Cannot {
            verb: "become",
            object: "subreaper",
            errno,
            then,
        });
    }
    if config.chroot.is_some() {
        warn_of_a_way_out(&mut reporter);
    }
    for warning in &warnings {
        let cgroup::Warning {
            verb,
            object,
            reason,
            then,
        } = warning;
        reporter.say(&Fact::Limit {
            verb,
            object,
            reason,
            then,
        });
    }
    if group.as_ref().is_some_and(|group| group.is_adopted) {
        reporter.say(&Fact::GroupAdopted);
    }
    let plan = SpawnPlan {
        confinement,
        candidates: candidate_paths(command.to_bytes(), environment.value_of("PATH")),
        argv: Pointers::new(arguments.iter().copied().skip(first)),
        environment: Environment::new(environment, own, replaced),
        mask,
        ignores_sigchld: signals::restore_sigchld(),
        pidfd: if config.rules.strategy.restart == Restart::False {
            Pidfd::No
        } else {
            Pidfd::IfPossible
        },
        announces_exec: config.verbosity >= Verbosity::Info,
        entrance: None,
        bond: Bond::close(),
    };
    let name = process::last_component(command.to_bytes()).to_vec();
    let is_counted = config.verbosity >= Verbosity::Info;
    let tree = ProcessTree::new(role, reporter, surroundings.terminal, name, uid);
    let scope = tree.scope();
    let child = Child::new(config.rules, scope, plan, group, capture, is_counted);
    let dispatcher = Dispatcher::new(config.stop_on, config.rewrite, surroundings);
    let mut event_loop = EventLoop::new(child, tree, dispatcher, termination_log);
    if let Some(uid) = uid {
        // After all that may be refused, since nothing puts the owner back. A terminal belongs to
        // the container of a PID 1; elsewhere it is the one of a person's session, on which other
        // processes of that user could then read and type.
        inherited::set_stream_owner(uid, own.raw() == 1);
    }
    // The log is the one that was opened before the start: the child has run, and may have put
    // anything in its place.
    let code = event_loop
        .run()
        .unwrap_or_else(|mistake| refuse(&mistake, config.format, event_loop.termination_log()));
    // Not taken apart: the process ends with it.
    core::mem::forget(event_loop);
    Ok(code)
}

/// Says which inherited descriptor leads out of the child's root, if one does.
#[inline(never)]
fn warn_of_a_way_out(reporter: &mut Reporter) {
    if let Some(number) = inherited::find_inherited_directory() {
        let object = ["descriptor ", number.to_string().as_str()].concat();
        let then = "it leads out of the root";
        reporter.say(&Fact::Cannot {
            verb: "close",
            object: &object,
            errno: Errno::IS_A_DIRECTORY,
            then,
        });
    }
}

/// The streams that are captured, open.
fn capture(
    config: &Config,
    confinement: &Confinement,
    user: Option<ChildUser<'_>>,
) -> Result<Capture, Mistake> {
    let Config { logs, .. } = config;
    if logs.stdout.is_none() && logs.stderr.is_none() && !logs.redirect {
        return Ok(Capture::default());
    }
    let capture = Capture::open(logs, user)
        .map_err(|(log, refusal)| Mistake::new("open", &log.spelled).because(&refusal.reason()))?;
    if let Some(uid) = confinement.user {
        capture.set_pipe_owner(uid);
    }
    Ok(capture)
}

/// What the child does to itself, and the variables that follow from it.
fn confinement(config: &Config) -> Result<(Confinement, Vec<CString>), Mistake> {
    let path = |path: &Option<String>| {
        path.clone()
            .and_then(|path| CString::new(path.into_bytes()).ok())
    };
    let mut confinement = Confinement {
        root: path(&config.chroot),
        directory: path(&config.workdir),
        no_new_privileges: config.no_new_privs,
        ..Confinement::default()
    };
    let variables = match &config.user {
        Some(user) => resolve_identity(user, config.chroot.as_deref(), &mut confinement)?,
        None => Vec::new(),
    };
    Ok((confinement, variables))
}

fn role(own: Pid) -> (Role, Surroundings) {
    let terminal = terminal::foreground_group().is_some();
    let resumable = own.raw() != 1 && terminal::is_resumable();
    let surroundings = Surroundings {
        terminal,
        resumable,
    };
    let is_reaper = true;
    (Role { own, is_reaper }, surroundings)
}

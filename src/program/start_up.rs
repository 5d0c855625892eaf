//! The binary from its first instruction to its exit code.
#![expect(unsafe_code, reason = "main is given C arrays")]

use core::ffi::{CStr, c_char, c_int};
use core::time::Duration;
use std::ffi::CString;

use crate::child::capture::Capture;
use crate::child::cgroup::{self, ChildCgroup, PreparedCgroup};
use crate::child::check::checker::Checker;
use crate::child::check::wanted_target::WantedTarget;
use crate::child::command_path::candidate_paths;
use crate::child::driver::Child;
use crate::child::identity::resolve_identity;
use crate::child::notify::NotificationReceiver;
use crate::core::dispatch::{Dispatcher, Surroundings};
use crate::core::errno::Errno;
use crate::core::exit_code::FRIGATE_FAILED;
use crate::core::fact::{Fact, Level};
use crate::core::health::rules::CheckRules;
use crate::core::pid::Pid;
use crate::core::text::lossy_text;
use crate::core::variable::{self, Variable};
use crate::messages::context::MessageContext;
use crate::messages::format::Format;
use crate::messages::formatter::MessageFormatter;
use crate::messages::mistake::Mistake;
use crate::messages::refusal::refuse;
use crate::messages::report::Reporter;
use crate::messages::termination;
use crate::program::check_plans::{Inherited, make_checker};
use crate::program::command_line::{self, Request};
use crate::program::config::Config;
use crate::program::event_loop::EventLoop;
use crate::program::options::table;
use crate::program::pause;
use crate::program::probe::Probe;
use crate::program::process_tree::{FrigateProcess, ProcessTree};
use crate::program::shown_status::ShownStatus;
use crate::program::watched_files::WatchedFiles;
use crate::sys::argument_area::ArgumentArea;
use crate::sys::safe_open::ChildUser;
use crate::sys::signals::{self, Mask};
use crate::sys::spawn::{
    ChildPlan, Confinement, Environment, Memory, Pidfd, Pointers, SpawnPlan, replace_program,
};
use crate::sys::startup::{self, CStrings};
use crate::sys::{credentials, descriptors, inherited, output, process, terminal};

/// The commit that this was built from. `tools/dist` sets the variable.
const COMMIT: &str = match option_env!("FRIGATE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The end of the reason why a limit cannot be applied.
const BEST_EFFORT_HINT: &str = "; or give --cgroup-best-effort";

/// Runs the `frigate` program. Returns its exit code.
///
/// # Safety
///
/// `argv` and `envp` are the arrays that the C `main` is given, untouched, and no thread runs
/// beside this one.
#[must_use]
pub unsafe fn main(argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    // Block signals before anything else: from here on no signal is lost, and none takes effect by
    // itself.
    let mask = match signals::block_all() {
        Ok(mask) => mask,
        Err(errno) => return cannot_block(errno).into(),
    };
    descriptors::fill_standard();
    // Check this before any word or variable is obeyed. They even decide where the refusal is
    // written.
    if startup::is_secure() && is_privileged() {
        return FRIGATE_FAILED.into();
    }
    // SAFETY: the duty of this function's caller.
    let argv = unsafe { CStrings::new(argv) };
    // SAFETY: the same.
    let environment = unsafe { CStrings::new(envp) };
    let arguments: Vec<&'static CStr> = argv.iter().skip(1).collect();
    let words: Vec<&[u8]> = arguments.iter().map(|word| word.to_bytes()).collect();
    let entries = environment.iter().map(CStr::to_bytes);
    let request = command_line::read(&words, entries.clone());
    let code = match &request {
        Ok(Request::Probe(probe)) => probe_once(probe, environment, mask),
        Ok(Request::Status(reader)) => reader.run(),
        Ok(Request::Signal(sender)) => sender.run(),
        Ok(Request::Pause(config)) => pause_as_asked(config, argv, mask),
        Ok(Request::Exec(config, first)) => {
            let command = arguments.get(*first..).unwrap_or_default();
            exec(config, command, environment, mask)
                .unwrap_or_else(|mistake| refuse(&mistake, config.format, &termination::Log::None))
        }
        Ok(Request::Help) => print(&table::help()),
        Ok(Request::Version) => print(&version()),
        Ok(Request::Run(config, first)) => {
            let command = arguments.get(*first..).unwrap_or_default();
            run(config, command, argv, environment, mask).unwrap_or_else(|mistake| {
                // No child was started, and its user may not even be known.
                let log = termination::Log::open(&config.termination_log, None);
                refuse(&mistake, config.format, &log)
            })
        }
        Err(mistake) => {
            let report = command_line::report_of_mistake(&words, entries);
            let log = if report.is_end {
                termination::Log::Automatic
            } else {
                termination::Log::None
            };
            refuse(mistake, report.format, &log)
        }
    };
    code.into()
}

fn cannot_block(errno: Errno) -> u8 {
    refuse(
        &Mistake::refused_call("block", "signals", errno),
        Format::Text,
        &termination::Log::Automatic,
    )
}

/// Returns the text of `--version`, in the form that container engines parse: they take what
/// follows ` - git.` for the commit.
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

/// Whether frigate has privileges that its caller lacks. Writes so to standard error.
// Not inlined: what every run executes has 160 bytes less (`tools/order.ld`).
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

/// Runs a probe. Returns its exit code.
// Not inlined: what every run executes has 1,168 bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
fn probe_once(probe: &Probe, environment: CStrings, mask: Mask) -> u8 {
    match own_pid() {
        Ok(own_pid) => probe.run(environment, own_pid, mask),
        Err(mistake) => refuse(&mistake, Format::Text, &termination::Log::None),
    }
}

fn print(text: &str) -> u8 {
    if output::write_to_stdout(text) {
        0
    } else {
        FRIGATE_FAILED
    }
}

/// Prepares everything for the first start, and then runs the child until it has ended for good.
/// Returns the exit code.
///
/// # Errors
///
/// What was asked for cannot be prepared. No child has been started then.
fn run(
    config: &Config,
    command: &[&'static CStr],
    argv: CStrings,
    environment: CStrings,
    mask: Mask,
) -> Result<u8, Mistake> {
    let program = command.first().copied().unwrap_or_default();
    let own_pid = own_pid()?;
    follow_parent(config)?;
    let (confinement, mut variables) = confinement(config)?;
    let notifications = open_notifications(config, environment, &mut variables)?;
    let user = ChildUser::of(&confinement);
    let termination_log = termination::Log::open(&config.termination_log, user);
    let capture = open_capture(config, &confinement, user)?;
    let watched_files = match config.watches.as_slice() {
        [] => None,
        rules => Some(WatchedFiles::open(rules)?),
    };
    // The last step that may fail: it changes more than frigate itself.
    let prepared = prepare_group(config, program, own_pid)?;

    let formatter = MessageFormatter::new(context(config, program, prepared.cgroup.as_ref()));
    let mut reporter = Reporter::new(formatter, config.format, config.verbosity);
    let surroundings = surroundings(own_pid);
    let frigate = become_reaper(own_pid, &mut reporter);
    if config.chroot.is_some() {
        report_open_directory(&mut reporter);
    }
    prepared.report(&mut |fact| reporter.report(fact));

    let uid = confinement.user;
    let inherited = Inherited {
        environment,
        own_pid,
        mask,
        ignores_sigchld: signals::restore_sigchld(),
    };
    let checker = if config.rules.checks == CheckRules::NONE {
        Checker::default()
    } else {
        make_checker(config, &inherited, &confinement, &variables)
    };
    let mut child_environment = Environment::new(environment, own_pid, &variables);
    if config.rules.checks.watchdog().is_some() {
        child_environment.add_watchdog_pid();
    }
    let words = command.iter().copied();
    let child_argv = if frigate.is_init() {
        // Copied, because the status will be written where they are.
        child_environment.keep(words.map(CStr::to_owned).collect())
    } else {
        Pointers::new(words)
    };
    let child_plan = ChildPlan::new(
        candidate_paths(program.to_bytes(), environment.value_of("PATH")),
        child_argv,
        child_environment,
        confinement,
        mask,
        inherited.ignores_sigchld,
    );
    let pidfd = if config.rules.restart_policy.restarts() {
        Pidfd::IfPossible
    } else {
        Pidfd::No
    };
    let reports_exec = config.verbosity >= Level::Info;
    let plan = SpawnPlan::new(child_plan, pidfd, reports_exec, Memory::Shared);
    let name = process::last_component(program.to_bytes()).to_vec();
    let is_counted = config.verbosity >= Level::Info;
    let mut tree = ProcessTree::new(frigate, reporter, surroundings.has_terminal, name, uid);
    tree.watched_files = watched_files;
    let mut child = Child::new(
        &config.rules,
        tree.scope(),
        plan,
        prepared.cgroup,
        capture,
        checker,
        is_counted,
    );
    child.notifications = notifications;
    let dispatcher = Dispatcher::new(
        config.stop_on,
        config.restart_on,
        config.rewrite,
        surroundings,
    );
    let mut event_loop = EventLoop::new(child, tree, dispatcher, termination_log);
    if frigate.is_init() {
        let has_command = true;
        // SAFETY: `argv` is what `main` was given. The child has a copy of its words. The
        // configuration, the name and the messages own their texts. `main` reads the words again only
        // if it never comes here.
        event_loop.shown_status = unsafe { shown_status(argv, has_command) };
    }
    if let Some(uid) = uid {
        // Do this after everything that may fail, since they are not given back. A terminal belongs
        // to the container of a PID 1. Elsewhere it belongs to a user's session, and other
        // processes of the child's user could then read from it and type into it.
        inherited::set_stream_owner(uid, own_pid.raw() == 1);
    }
    // The log was opened before the start: by now the child may have replaced the file.
    let code = event_loop
        .run()
        .unwrap_or_else(|mistake| refuse(&mistake, config.format, event_loop.termination_log()));
    // Not dropped, since the process ends: 576 bytes less of code, and no system call for each
    // descriptor.
    core::mem::forget(event_loop);
    Ok(code)
}

/// Returns the status that takes the place of the arguments. Only for PID 1, which is alone in what
/// users see of the container: elsewhere they look for frigate's command line.
///
/// # Safety
///
/// That of `ArgumentArea::new`.
unsafe fn shown_status(argv: CStrings, has_command: bool) -> Option<ShownStatus> {
    // SAFETY: the duty of the caller.
    let area = unsafe { ArgumentArea::new(argv) };
    area.map(|area| ShownStatus::new(area, has_command))
}

/// Runs without a command. Returns the exit code.
// Not inlined: what every run executes has ? bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
fn pause_as_asked(config: &Config, argv: CStrings, mask: Mask) -> u8 {
    let own_pid = match own_pid() {
        Ok(own_pid) => own_pid,
        Err(mistake) => return refuse(&mistake, config.format, &termination::Log::Automatic),
    };
    let formatter = MessageFormatter::new(MessageContext::default());
    let mut reporter = Reporter::new(formatter, config.format, config.verbosity);
    let surroundings = surroundings(own_pid);
    let frigate = become_reaper(own_pid, &mut reporter);
    let mut event_loop = pause::event_loop(config, frigate, reporter, surroundings, mask);
    if frigate.is_init() {
        let has_command = false;
        // SAFETY: `argv` is what `main` was given. There is no command, and the configuration owns its
        // texts. `main` reads the words again only if it never comes here.
        event_loop.shown_status = unsafe { shown_status(argv, has_command) };
    }
    let code = event_loop
        .run_without_command()
        .unwrap_or_else(|mistake| refuse(&mistake, config.format, event_loop.termination_log()));
    core::mem::forget(event_loop);
    code
}

/// Becomes the command. Returns the exit code if that fails.
///
/// # Errors
///
/// The user, the group or the root cannot be learned.
// Not inlined: what every run executes has 1,616 bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
fn exec(
    config: &Config,
    command: &[&'static CStr],
    environment: CStrings,
    mask: Mask,
) -> Result<u8, Mistake> {
    let program = command.first().copied().unwrap_or_default();
    let own_pid = own_pid()?;
    let (confinement, variables) = confinement(config)?;
    let formatter = MessageFormatter::new(context(config, program, None));
    let mut reporter = Reporter::new(formatter, config.format, config.verbosity);
    if config.chroot.is_some() {
        report_open_directory(&mut reporter);
    }
    if let Some(uid) = confinement.user {
        inherited::set_stream_owner(uid, own_pid.raw() == 1);
    }
    let ignores_sigchld = false;
    let failure = replace_program(&ChildPlan::new(
        candidate_paths(program.to_bytes(), environment.value_of("PATH")),
        Pointers::new(command.iter().copied()),
        Environment::of_same_process(environment, &variables),
        confinement,
        mask,
        // Its disposition was not changed, and so is not restored.
        ignores_sigchld,
    ));
    let text = reporter.formatter.failure_text(failure);
    refuse(&Mistake { text }, config.format, &termination::Log::None);
    Ok(failure.code())
}

fn own_pid() -> Result<Pid, Mistake> {
    startup::first_pid()
        .ok_or_else(|| Mistake::new("learn", "the process id").because("it is not positive"))
}

/// Obeys `--pdeathsig`.
fn follow_parent(config: &Config) -> Result<(), Mistake> {
    let Some(signal) = config.pdeathsig else {
        return Ok(());
    };
    startup::set_parent_death_signal(signal)
        .map_err(|errno| Mistake::new("use", "--pdeathsig").because(&errno.to_string()))
}

/// Returns what the child changes about itself, and the variables that follow from it.
fn confinement(config: &Config) -> Result<(Confinement, Vec<Variable>), Mistake> {
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

/// Opens the socket on which the child reports by itself, and adds the variables that name it. `None`
/// means that nothing is expected: then `NOTIFY_SOCKET` reaches the child as frigate has it.
fn open_notifications(
    config: &Config,
    environment: CStrings,
    variables: &mut Vec<Variable>,
) -> Result<Option<NotificationReceiver>, Mistake> {
    let rules = &config.rules.checks;
    if rules.expects_notifications() {
        open_receiver(rules.watchdog(), environment, variables).map(Some)
    } else {
        Ok(None)
    }
}

// Not inlined: what every run executes has 0 bytes less (`tools/order.ld`).
#[inline(never)]
fn open_receiver(
    watchdog: Option<Duration>,
    environment: CStrings,
    variables: &mut Vec<Variable>,
) -> Result<NotificationReceiver, Mistake> {
    let manager = environment.value_of(variable::NOTIFY_SOCKET);
    let opened = NotificationReceiver::open(manager)
        .and_then(|receiver| Ok((receiver.address()?, receiver)));
    let (address, receiver) = opened
        .map_err(|errno| Mistake::refused_call("open", "the socket for notifications", errno))?;
    variables.extend(variable::notification_variables(address, watchdog));
    Ok(receiver)
}

/// Opens the log files, and makes the pipes for the streams that are captured.
// Not inlined: what every run executes has 368 bytes less (`tools/order.ld`).
#[inline(never)]
fn open_capture(
    config: &Config,
    confinement: &Confinement,
    user: Option<ChildUser<'_>>,
) -> Result<Capture, Mistake> {
    let logs = &config.logs;
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

/// Makes the child's cgroup, if there is a limit.
fn prepare_group(config: &Config, program: &CStr, own_pid: Pid) -> Result<PreparedCgroup, Mistake> {
    match config.limits.as_slice() {
        [] => Ok(PreparedCgroup::default()),
        limits => cgroup::prepare(
            limits,
            config.cgroup_best_effort,
            BEST_EFFORT_HINT,
            program.to_bytes(),
            own_pid,
        ),
    }
}

fn context(config: &Config, program: &CStr, group: Option<&ChildCgroup>) -> MessageContext {
    let user = config.user.as_ref().map(|user| user.value.clone());
    let group = group.map(|group| group.path().to_owned());
    MessageContext {
        command: lossy_text(program.to_bytes()),
        user: user.unwrap_or_default(),
        root: config.chroot.clone().unwrap_or_default(),
        directory: config.workdir.clone().unwrap_or_default(),
        group: group.unwrap_or_default(),
        health: text_of(config.health.as_ref()),
        ready: text_of(config.ready.as_ref()),
    }
}

fn text_of(wanted: Option<&WantedTarget>) -> String {
    wanted.map(|wanted| wanted.text.clone()).unwrap_or_default()
}

fn surroundings(own_pid: Pid) -> Surroundings {
    let has_terminal = terminal::foreground_group().is_some();
    let is_resumable = own_pid.raw() != 1 && terminal::is_resumable();
    Surroundings {
        has_terminal,
        is_resumable,
    }
}

/// Becomes a subreaper, unless frigate is PID 1: orphans come to it then.
fn become_reaper(own_pid: Pid, reporter: &mut Reporter) -> FrigateProcess {
    let mut frigate = FrigateProcess {
        pid: own_pid,
        is_reaper: true,
    };
    if own_pid.raw() == 1 {
        return frigate;
    }
    if let Err(errno) = startup::become_subreaper(own_pid) {
        frigate.is_reaper = false;
        reporter.report(&Fact::Cannot {
            verb: "become",
            object: "subreaper",
            errno,
            then: "orphans of the child will not be reaped here",
        });
    }
    frigate
}

/// Reports an inherited directory, by which the child could leave its root.
// Not inlined: what every run executes has 334 bytes less (`tools/order.ld`).
#[inline(never)]
fn report_open_directory(reporter: &mut Reporter) {
    if let Some(number) = inherited::find_inherited_directory() {
        let object = ["descriptor ", number.to_string().as_str()].concat();
        reporter.report(&Fact::Cannot {
            verb: "close",
            object: &object,
            errno: Errno::IS_A_DIRECTORY,
            then: "it leads out of the root",
        });
    }
}

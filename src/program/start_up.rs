//! The binary from its first instruction to its exit code.
#![expect(unsafe_code, reason = "main is given C arrays")]

use core::ffi::{CStr, c_char, c_int};
use core::time::Duration;

use crate::child::capture::Capture;
use crate::child::cgroup::{self, PreparedCgroup};
use crate::child::check::checker::Checker;
use crate::child::command_path::candidate_paths;
use crate::child::driver::Child;
use crate::child::notify::NotificationReceiver;
use crate::core::dispatch::{Dispatcher, Surroundings};
use crate::core::errno::Errno;
use crate::core::exit_code::FRIGATE_FAILED;
use crate::core::fact::Level;
use crate::core::health::rules::CheckRules;
use crate::core::pid::Pid;
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
use crate::program::exec;
use crate::program::options::table;
use crate::program::pause;
use crate::program::prepared_command::{PreparedCommand, give_streams};
use crate::program::probe::Probe;
use crate::program::process_tree::{FrigateProcess, ProcessTree};
use crate::program::shown_status::ShownStatus;
use crate::program::watched_files::WatchedFiles;
use crate::sys::argument_area::ArgumentArea;
use crate::sys::safe_open::ChildUser;
use crate::sys::signals::{self, Mask};
use crate::sys::spawn::{ChildPlan, Environment, Memory, Pidfd, Pointers, SpawnPlan};
use crate::sys::startup::{self, CStrings};
use crate::sys::{credentials, descriptors, output, process, terminal};

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
            exec::run(config, command, environment, mask)
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
    match FrigateProcess::of_first_thread() {
        Ok(frigate) => probe.run(environment, frigate.pid, mask),
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
    let mut frigate = FrigateProcess::of_first_thread()?;
    follow_parent(config)?;
    let mut prepared = PreparedCommand::new(config, command)?;
    let notifications = open_notifications(config, environment, &mut prepared.variables)?;
    let user = ChildUser::of(&prepared.confinement);
    let termination_log = termination::Log::open(&config.termination_log, user);
    let capture = open_capture(config, prepared.confinement.user, user)?;
    let watched_files = match config.watches.as_slice() {
        [] => None,
        rules => Some(WatchedFiles::open(rules)?),
    };
    // The last step that may fail: it changes more than frigate itself.
    let group = prepare_group(config, prepared.program, frigate.pid)?;

    let mut reporter = prepared.reporter(config, group.cgroup.as_ref());
    let surroundings = surroundings(frigate.pid);
    frigate.become_reaper(&mut reporter);
    group.report(&mut |fact| reporter.report(fact));

    let PreparedCommand {
        program,
        confinement,
        variables,
    } = prepared;
    let uid = confinement.user;
    let inherited = Inherited {
        environment,
        own_pid: frigate.pid,
        mask,
        ignores_sigchld: signals::restore_sigchld(),
    };
    let checker = if config.rules.checks == CheckRules::NONE {
        Checker::default()
    } else {
        make_checker(config, &inherited, &confinement, &variables)
    };
    let mut child_environment = Environment::new(environment, frigate.pid, &variables);
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
        group.cgroup,
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
    give_streams(uid, frigate);
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
// Not inlined: what every run executes has 1,616 bytes less (`tools/order.ld`).
#[cold]
#[inline(never)]
fn pause_as_asked(config: &Config, argv: CStrings, mask: Mask) -> u8 {
    let mut frigate = match FrigateProcess::of_first_thread() {
        Ok(frigate) => frigate,
        Err(mistake) => return refuse(&mistake, config.format, &termination::Log::Automatic),
    };
    let formatter = MessageFormatter::new(MessageContext::default());
    let mut reporter = Reporter::new(formatter, config.format, config.verbosity);
    let surroundings = surroundings(frigate.pid);
    frigate.become_reaper(&mut reporter);
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

/// Obeys `--pdeathsig`.
fn follow_parent(config: &Config) -> Result<(), Mistake> {
    let Some(signal) = config.pdeathsig else {
        return Ok(());
    };
    startup::set_parent_death_signal(signal)
        .map_err(|errno| Mistake::new("use", "--pdeathsig").because(&errno.to_string()))
}

/// Opens the socket on which the child reports by itself, and adds the variables that name it. `None`
/// means that no report is expected. The child then inherits `NOTIFY_SOCKET` unchanged.
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

// Not inlined: what every run executes has 2,576 bytes less (`tools/order.ld`).
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
    uid: Option<u32>,
    user: Option<ChildUser<'_>>,
) -> Result<Capture, Mistake> {
    let logs = &config.logs;
    if logs.stdout.is_none() && logs.stderr.is_none() && !logs.redirect {
        return Ok(Capture::default());
    }
    let capture = Capture::open(logs, user)
        .map_err(|(log, refusal)| Mistake::new("open", &log.spelled).because(&refusal.reason()))?;
    if let Some(uid) = uid {
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

fn surroundings(own_pid: Pid) -> Surroundings {
    let has_terminal = terminal::foreground_group().is_some();
    let is_resumable = own_pid.raw() != 1 && terminal::is_resumable();
    Surroundings {
        has_terminal,
        is_resumable,
    }
}

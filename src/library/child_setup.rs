//! All that frigate's thread needs to start a child, made by the thread that asks for the start.

use std::io;
use std::sync::{Arc, Mutex};

use crate::child::capture::Capture;
use crate::child::cgroup::{self, PreparedCgroup};
use crate::child::notify::NotificationReceiver;
use crate::core::limit::Limit;
use crate::core::rules::Rules;
use crate::core::variable;
use crate::library::check_settings::WantedChecks;
use crate::library::control_group::ControlGroup;
use crate::library::error::Error;
use crate::library::invocation::Invocation;
use crate::library::logger::{self, Logger};
use crate::library::program_setup::ProgramSetup;
use crate::library::shared_state::{SharedState, lock};
use crate::library::strategy::Strategy;
use crate::library::task;
use crate::sys::safe_open::ChildUser;
use crate::sys::{host, startup};

/// Ends the error about a limit that cannot be applied: how to start without it.
const CGROUP_HINT: &str = "; or ask for best effort (ControlGroup::best_effort)";

/// Held while a cgroup is made. Making one may move the host's processes to another cgroup, which
/// two threads must not do at the same time.
static CGROUP_LOCK: Mutex<()> = Mutex::new(());

/// How a child is protected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) strategy: Strategy,
    pub(crate) control_group: ControlGroup,
    pub(crate) logger: Option<Logger>,
}

/// The setup of a child as far as it can be made without any effect. The caller's values have all
/// been checked.
pub(crate) struct ChildPlan<'a> {
    settings: &'a Settings,
    limits: Vec<Limit>,
    checks: WantedChecks,
    program: ProgramSetup,
}

pub(crate) struct ChildSetup {
    pub(crate) shared: Arc<SharedState>,
    pub(crate) rules: Rules,
    pub(crate) checks: WantedChecks,
    pub(crate) program: ProgramSetup,
    pub(crate) capture: Capture,
    /// `None` means that the child is not expected to report anything.
    pub(crate) notifications: Option<NotificationReceiver>,
    pub(crate) cgroup: PreparedCgroup,
}

impl<'a> ChildPlan<'a> {
    pub(crate) fn new(
        name: &str,
        invocation: &Invocation,
        settings: &'a Settings,
    ) -> Result<Self, Error> {
        if let Some(name) = task::current() {
            return Err(Error::NotRegistered { name });
        }
        if host::discards_children() {
            return Err(Error::ChildrenDiscarded);
        }
        if name.is_empty() {
            return Err(Error::Word {
                word: String::new(),
                expected: "the name of a task or of a program",
            });
        }
        Ok(Self {
            settings,
            limits: settings.control_group.limits()?,
            checks: settings.strategy.checks.parse()?,
            program: ProgramSetup::new(name, invocation, &settings.strategy)?,
        })
    }

    /// Opens the log files and the socket for notifications, and makes the cgroup.
    ///
    /// # Errors
    ///
    /// [`Error::LogFile`] or, if its path has no meaning, [`Error::Word`]; [`Error::System`] for the
    /// socket; [`Error::ControlGroup`].
    pub(crate) fn prepare(self, shared: &Arc<SharedState>) -> Result<ChildSetup, Error> {
        let Self {
            settings,
            limits,
            checks,
            mut program,
        } = self;
        let user = ChildUser::of(&program.confinement);
        let capture = logger::open(settings.logger.as_ref(), user)?;
        if let Some(uid) = program.confinement.user {
            capture.set_pipe_owner(uid);
        }
        let notifications = open_notifications(&checks, &mut program)?;
        // The cgroup comes last, because making it may affect other processes, too.
        let is_best_effort = settings.control_group.is_best_effort();
        let cgroup = make_cgroup(&shared.name, &limits, is_best_effort)?;
        if let Some(group) = &cgroup.cgroup {
            group.path().clone_into(&mut program.names.group);
        }
        Ok(ChildSetup {
            shared: Arc::clone(shared),
            rules: Rules {
                checks: checks.rules,
                ..settings.strategy.rules()
            },
            checks,
            program,
            capture,
            notifications,
            cgroup,
        })
    }
}

/// Opens the socket on which the child reports by itself, and sets the variables that name it. `None`
/// means that nothing is expected: then the child has these variables as the host has them.
fn open_notifications(
    checks: &WantedChecks,
    program: &mut ProgramSetup,
) -> Result<Option<NotificationReceiver>, Error> {
    if !checks.rules.expects_notifications() {
        return Ok(None);
    }
    let opened = NotificationReceiver::open_in_host(host::run_in_new_process)
        .and_then(|receiver| Ok((receiver.address()?, receiver)));
    let (address, receiver) = opened.map_err(|errno| Error::System {
        attempt: "open the socket for notifications",
        source: io::Error::from_raw_os_error(errno.raw()),
    })?;
    let watchdog = checks.rules.watchdog();
    program.change_environment(&variable::notification_variables(address, watchdog))?;
    Ok(Some(receiver))
}

fn make_cgroup(
    name: &str,
    limits: &[Limit],
    is_best_effort: bool,
) -> Result<PreparedCgroup, Error> {
    let own = startup::own_pid().ok_or(Error::Unsupported)?;
    let _lock = lock(&CGROUP_LOCK);
    cgroup::prepare(limits, is_best_effort, CGROUP_HINT, name.as_bytes(), own).map_err(|mistake| {
        Error::ControlGroup {
            reason: mistake.text,
        }
    })
}

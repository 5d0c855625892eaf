//! What `--exec` and a run prepare alike: who the command runs as, and where.
#![forbid(unsafe_code)]

use core::ffi::CStr;
use std::ffi::CString;

use crate::child::cgroup::ChildCgroup;
use crate::child::check::wanted_target::WantedTarget;
use crate::child::identity::resolve_identity;
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::text::lossy_text;
use crate::core::variable::Variable;
use crate::messages::context::MessageContext;
use crate::messages::formatter::MessageFormatter;
use crate::messages::mistake::Mistake;
use crate::messages::report::Reporter;
use crate::program::config::Config;
use crate::program::process_tree::FrigateProcess;
use crate::sys::inherited;
use crate::sys::spawn::Confinement;

/// The command, and what it changes about itself before its exec.
pub(crate) struct PreparedCommand {
    /// The command's first word.
    pub(crate) program: &'static CStr,
    pub(crate) confinement: Confinement,
    /// The variables that follow from the user.
    pub(crate) variables: Vec<Variable>,
}

impl PreparedCommand {
    /// # Errors
    ///
    /// The user, the group or the root cannot be learned.
    pub(crate) fn new(config: &Config, command: &[&'static CStr]) -> Result<Self, Mistake> {
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
        Ok(Self {
            program: command.first().copied().unwrap_or_default(),
            confinement,
            variables,
        })
    }

    /// Returns what reports about the command. Reports an inherited directory, by which the command
    /// could leave its root.
    pub(crate) fn reporter(&self, config: &Config, group: Option<&ChildCgroup>) -> Reporter {
        let formatter = MessageFormatter::new(self.context(config, group));
        let mut reporter = Reporter::new(formatter, config.format, config.verbosity);
        if config.chroot.is_some() {
            report_open_directory(&mut reporter);
        }
        reporter
    }

    fn context(&self, config: &Config, group: Option<&ChildCgroup>) -> MessageContext {
        let user = config.user.as_ref().map(|user| user.value.clone());
        let group = group.map(|group| group.path().to_owned());
        MessageContext {
            command: lossy_text(self.program.to_bytes()),
            user: user.unwrap_or_default(),
            root: config.chroot.clone().unwrap_or_default(),
            directory: config.workdir.clone().unwrap_or_default(),
            group: group.unwrap_or_default(),
            health: text_of(config.health.as_ref()),
            ready: text_of(config.ready.as_ref()),
        }
    }
}

fn text_of(wanted: Option<&WantedTarget>) -> String {
    wanted.map(|wanted| wanted.text.clone()).unwrap_or_default()
}

/// Gives standard streams to the command's user, if it has one. Do this after everything that may
/// fail, since they are not given back. A terminal belongs to the container of a PID 1. Elsewhere it
/// belongs to a user's session, and other processes of the command's user could then read from it and
/// type into it.
pub(crate) fn give_streams(user: Option<u32>, frigate: FrigateProcess) {
    if let Some(uid) = user {
        inherited::set_stream_owner(uid, frigate.is_init());
    }
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

//! What a child runs: a registered function or a program, with its arguments, its environment and
//! its working directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::core::variable::{RESTARTS, TASK, Variable};
use crate::library::task;

#[derive(Default)]
pub(crate) struct Invocation {
    /// `None` means the function that is registered under the child's name, or else the program of
    /// that name.
    pub(crate) program: Option<OsString>,
    /// `None` means the host's for a function, and no arguments for a program.
    pub(crate) arguments: Option<Vec<OsString>>,
    /// Changes to the environment. `None` removes a variable.
    pub(crate) variables: BTreeMap<OsString, Option<OsString>>,
    /// The child does not get the host's environment.
    pub(crate) is_environment_cleared: bool,
    pub(crate) directory: Option<PathBuf>,
}

impl Invocation {
    /// Whether the child of this name is a function of the host.
    pub(crate) fn is_task(&self, name: &str) -> bool {
        self.program.is_none() && task::is_registered(name)
    }

    /// Returns the program, or for a function its name.
    pub(crate) fn program(&self, name: &str) -> OsString {
        self.program.clone().unwrap_or_else(|| name.into())
    }

    /// Returns the arguments, from `argv[0]` on.
    pub(crate) fn argv(&self, name: &str, is_task: bool) -> Vec<OsString> {
        if is_task {
            let mut host = std::env::args_os();
            let first = host.next().unwrap_or_default();
            let rest = self.arguments.clone().unwrap_or_else(|| host.collect());
            [vec![first], rest].concat()
        } else {
            let rest = self.arguments.clone().unwrap_or_default();
            [vec![self.program(name)], rest].concat()
        }
    }

    /// Returns the environment: the host's, with the variables of the child's user, and then with the
    /// changes that were asked for.
    pub(crate) fn environment(&self, of_user: Vec<Variable>) -> BTreeMap<OsString, OsString> {
        let mut environment: BTreeMap<OsString, OsString> = BTreeMap::new();
        if !self.is_environment_cleared {
            environment.extend(std::env::vars_os());
        }
        // frigate sets these two for each child. The host's own values describe the host.
        environment.remove(OsStr::new(RESTARTS));
        environment.remove(OsStr::new(TASK));
        for Variable { name, value } in of_user {
            match value {
                Some(value) => environment.insert(name.into(), OsString::from_vec(value)),
                None => environment.remove(OsStr::new(name)),
            };
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => environment.insert(name.clone(), value.clone()),
                None => environment.remove(name),
            };
        }
        environment
    }
}

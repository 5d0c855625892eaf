//! What a child runs: a registered function or a program, with its arguments, its environment and
//! its working directory.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

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

    /// Returns the environment: the host's, with the variables of the child's user (`NAME=value`),
    /// and then with the changes that were asked for.
    pub(crate) fn environment(&self, of_user: &[CString]) -> BTreeMap<OsString, OsString> {
        let mut environment: BTreeMap<OsString, OsString> = BTreeMap::new();
        if !self.is_environment_cleared {
            environment.extend(std::env::vars_os());
        }
        // frigate sets these two for each child. The host's own values describe the host.
        environment.remove(OsStr::new("FRIGATE_RESTARTS"));
        environment.remove(OsStr::new(task::VARIABLE));
        for variable in of_user {
            let (name, value) = split_variable(variable);
            if value.is_empty() {
                environment.remove(&name);
            } else {
                environment.insert(name, value);
            }
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

/// Splits `NAME=value`.
fn split_variable(variable: &CString) -> (OsString, OsString) {
    let bytes = variable.to_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=').unwrap_or(0);
    let (name, value) = bytes.split_at(end);
    let value = value.strip_prefix(b"=").unwrap_or_default();
    (
        OsString::from_vec(name.to_vec()),
        OsStr::from_bytes(value).to_owned(),
    )
}

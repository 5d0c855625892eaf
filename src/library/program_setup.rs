//! The part of a child's setup that says which file it executes, with what, and as which user.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::child::command_path::candidate_paths;
use crate::child::identity::{WantedUser, resolve_identity};
use crate::core::user::UserSpec;
use crate::core::variable::Variable;
use crate::library::error::Error;
use crate::library::invocation::Invocation;
use crate::library::strategy::Strategy;
use crate::library::task;
use crate::messages::context::MessageContext;
use crate::sys::host;
use crate::sys::process::last_component;
use crate::sys::signals::Mask;
use crate::sys::spawn::Confinement;

pub(crate) struct ProgramSetup {
    /// The files to try, in this order.
    pub(crate) candidates: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    /// `NAME=value`; for a function, `FRIGATE_TASK` comes first.
    pub(crate) environment: Vec<CString>,
    /// The `PATH` of that environment.
    pub(crate) search_path: Option<Vec<u8>>,
    pub(crate) confinement: Confinement,
    pub(crate) mask: Mask,
    /// What messages call the program, its user and its directories.
    pub(crate) names: MessageContext,
    /// The name by which other processes of the program are found.
    pub(crate) process_name: Vec<u8>,
    /// For a function, the variable by which its other processes are found (`NAME=value`).
    pub(crate) task_variable: Option<Vec<u8>>,
}

impl ProgramSetup {
    /// Reads the user database, and changes nothing.
    ///
    /// # Errors
    ///
    /// A word that has no meaning, an unknown user, or a function of a program with privileges.
    pub(crate) fn new(
        name: &str,
        invocation: &Invocation,
        strategy: &Strategy,
    ) -> Result<Self, Error> {
        let is_task = invocation.is_task(name);
        if is_task && host::is_privileged() {
            // The process of the function would ignore the variable and run the host's own `main`,
            // which protects the function again, without end.
            return Err(Error::Privileged {
                name: name.to_owned(),
            });
        }
        let program = invocation.program(name);
        let root = strategy.chroot.as_ref().map(|root| text(root.as_os_str()));
        let root = root.transpose()?;
        let directory = invocation.directory.as_ref().map(c_string).transpose()?;
        let mut confinement = Confinement {
            root: root.map(c_string).transpose()?,
            directory: directory.clone(),
            ..Confinement::default()
        };
        let user = strategy.user.as_deref();
        let of_user = confine_to_user(user, root, &mut confinement)?;

        let environment = invocation.environment(of_user);
        let search_path = environment.get(OsStr::new("PATH"));
        let search_path = search_path.map(|path| path.as_bytes().to_vec());
        let candidates = if is_task {
            vec![c"/proc/self/exe".into()]
        } else {
            candidate_paths(program.as_bytes(), search_path.as_deref())
        };
        let task_variable = is_task.then(|| task::variable(name).into_bytes());

        let lossy = |path: &CString| path.to_string_lossy().into_owned();
        Ok(Self {
            candidates,
            environment: entries(task_variable.as_deref(), &environment)?,
            search_path,
            argv: c_strings(&invocation.argv(name, is_task))?,
            confinement,
            mask: host::current_mask(),
            names: MessageContext {
                command: program.to_string_lossy().into_owned(),
                user: user.unwrap_or_default().to_owned(),
                root: root.unwrap_or_default().to_owned(),
                directory: directory.as_ref().map(lossy).unwrap_or_default(),
                health: strategy.checks.health.clone().unwrap_or_default(),
                ready: strategy.checks.ready.clone().unwrap_or_default(),
                ..MessageContext::default()
            },
            process_name: last_component(program.as_bytes()).to_vec(),
            task_variable,
        })
    }

    /// Changes the environment once more. The changes win over what the host has set.
    ///
    /// # Errors
    ///
    /// A value with a null byte.
    pub(crate) fn change_environment(&mut self, changes: &[Variable]) -> Result<(), Error> {
        self.environment.retain(|entry| {
            let name = entry.to_bytes().split(|byte| *byte == b'=').next();
            !changes
                .iter()
                .any(|change| Some(change.name.as_bytes()) == name)
        });
        for Variable { name, value } in changes {
            if let Some(value) = value {
                let entry = [name.as_bytes(), value].join(&b'=');
                self.environment.push(c_string(OsStr::from_bytes(&entry))?);
            }
        }
        Ok(())
    }
}

/// Looks the user up and adds what the child has to become to its confinement. Returns the
/// variables that follow from it.
fn confine_to_user(
    user: Option<&str>,
    root: Option<&str>,
    confinement: &mut Confinement,
) -> Result<Vec<Variable>, Error> {
    let Some(user) = user else {
        return Ok(Vec::new());
    };
    let spec = UserSpec::parse(user).ok_or_else(|| Error::Word {
        word: user.to_owned(),
        expected: "USER, USER:GROUP or :GROUP, names or numbers",
    })?;
    let wanted = WantedUser {
        spec,
        value: user.to_owned(),
        spelled: user.to_owned(),
    };
    resolve_identity(&wanted, root, confinement).map_err(|mistake| Error::User {
        reason: mistake.text,
    })
}

/// Returns the environment as `NAME=value`, with the variable of a function before all others.
fn entries(
    task_variable: Option<&[u8]>,
    environment: &BTreeMap<OsString, OsString>,
) -> Result<Vec<CString>, Error> {
    let rest = environment
        .iter()
        .map(|(name, value)| [name.as_bytes(), value.as_bytes()].join(&b'='));
    task_variable
        .map(<[u8]>::to_vec)
        .into_iter()
        .chain(rest)
        .map(|entry| c_string(OsStr::from_bytes(&entry)))
        .collect()
}

fn c_string(text: impl AsRef<OsStr>) -> Result<CString, Error> {
    let text = text.as_ref();
    CString::new(text.as_bytes()).map_err(|_| Error::Word {
        word: text.to_string_lossy().into_owned(),
        expected: "text without a null byte",
    })
}

fn c_strings(list: &[OsString]) -> Result<Vec<CString>, Error> {
    list.iter().map(c_string).collect()
}

fn text(path: &OsStr) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::Word {
        word: path.to_string_lossy().into_owned(),
        expected: "valid UTF-8",
    })
}

//! What a child is: a program or a task, its arguments, its environment, its directory; and the
//! handle of one that lives.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::child::capture::Capture;
use crate::child::cgroup::{self, Prepared};
use crate::child::preparation::WantedUser;
use crate::child::preparation::{become_user, candidates};
use crate::core::errno::Errno;
use crate::core::user::UserSpec;
use crate::library::control_group::ControlGroup;
use crate::library::error::Error;
use crate::library::event::Event;
use crate::library::guard::Guard;
use crate::library::logger::{self, Logger};
use crate::library::outcome::Outcome;
use crate::library::registry;
use crate::library::shared_state::{Process, SharedState, State, lock};
use crate::library::strategy::Strategy;
use crate::library::task;
use crate::library::ward::Charge;
use crate::messages::message::Names;
use crate::sys::place::ChildUser;
use crate::sys::process::last_component;
use crate::sys::spawn::Confinement;
use crate::sys::{host, startup};

/// What helps where a limit cannot be had.
const WAY_OUT: &str = "; or ask for best effort (ControlGroup::best_effort)";

/// Whose turn it is to make a cgroup: two at a time would move the host's processes about under
/// each other's feet.
static TURN: Mutex<()> = Mutex::new(());

/// What a child runs: a registered task or a program, with its arguments, its environment and its
/// directory.
///
/// It is given to a [`Frigate`](crate::Frigate) by
/// [`Frigate::protect_task`](crate::Frigate::protect_task), or protected as it is, with the default
/// [`Strategy`], by [`ProtectTask::start`]. What is not set is the host's.
///
/// ```
/// use std::time::Duration;
/// use frigate::{Outcome, ProtectTask};
///
/// let task = ProtectTask::new("pause").program("sleep").arg("1000").env("LANG", "C").current_dir("/");
/// task.start()?;
/// assert!(matches!(task.stop(Duration::from_secs(10))?, Outcome::Cancel { .. }));
/// # Ok::<(), frigate::Error>(())
/// ```
pub struct ProtectTask {
    program: Option<OsString>,
    arguments: Option<Vec<OsString>>,
    /// Set, or removed.
    variables: BTreeMap<OsString, Option<OsString>>,
    is_cleared: bool,
    directory: Option<PathBuf>,
    pub(crate) settings: Settings,
    shared: Arc<SharedState>,
    /// Held from the look at the child's state to the end of what follows from it, so that a `stop`
    /// meets a child that has not started, or one whose start the thread was told of, and none in
    /// between.
    turn: Mutex<()>,
}

/// How it is protected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) strategy: Strategy,
    pub(crate) control_group: ControlGroup,
    pub(crate) logger: Option<Logger>,
}

impl fmt::Debug for ProtectTask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProtectTask")
            .field("name", &self.shared.name)
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("directory", &self.directory)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

impl Drop for ProtectTask {
    fn drop(&mut self) {
        if !host::is_forked() {
            registry::drop_handle(&self.shared);
        }
    }
}

impl ProtectTask {
    /// The registered task of that name or, where none is, the program.
    ///
    /// A program is looked for in `PATH`, unless its name has a slash. The name is the child's in
    /// [`done`](crate::done) and in events; no two children that live have the same.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").name(), "top");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            program: None,
            arguments: None,
            variables: BTreeMap::new(),
            is_cleared: false,
            directory: None,
            settings: Settings::default(),
            shared: Arc::new(SharedState::new(&name.into())),
            turn: Mutex::default(),
        }
    }

    /// The program to run, where it is not the name; then no task is looked for.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("cache").program("/usr/bin/redis-server");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Adds an argument. A task without any has those of the host; a program has none.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn arg(self, argument: impl Into<OsString>) -> Self {
        self.args([argument])
    }

    /// Adds arguments.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("nginx").args(["-g", "daemon off;"]);
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments
            .get_or_insert_default()
            .extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child's environment, which is otherwise that of the host at the time
    /// of [`Frigate::protect`](crate::Frigate::protect). `FRIGATE_RESTARTS` is always set: how
    /// often the child was restarted.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env("TZ", "UTC");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a variable from the child's environment.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env_remove("TZ");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), None);
        self
    }

    /// Leaves out every variable of the host's, and all that were set here before.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("date").env_clear().env("TZ", "UTC");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.variables.clear();
        self.is_cleared = true;
        self
    }

    /// The child's working directory, inside its root; otherwise that of the host at each start, or
    /// with [`Strategy::chroot`] the root.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("ls").current_dir("/tmp");
    /// # let _ = task;
    /// ```
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The name.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").name(), "top");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The id of the process that runs now; none: none does.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").pid(), None);
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().map(|process| process.pid)
    }

    /// When the process that runs now was started; none: none does.
    ///
    /// ```
    /// assert_eq!(frigate::ProtectTask::new("top").start_time(), None);
    /// ```
    #[must_use]
    pub fn start_time(&self) -> Option<Instant> {
        self.process().map(|process| process.start_time)
    }

    fn process(&self) -> Option<Process> {
        if host::is_forked() {
            None
        } else {
            self.shared.process()
        }
    }

    /// A channel of what happens to the child from now on. It closes when the child has ended for
    /// good.
    ///
    /// ```
    /// use std::time::Duration;
    /// use frigate::{EventKind, ProtectTask};
    ///
    /// let task = ProtectTask::new("sleep").arg("1000");
    /// let events = task.events();
    /// task.start()?;
    /// assert!(events.iter().any(|event| matches!(event.kind, EventKind::Started { restarts: 0, .. })));
    /// task.stop(Duration::from_secs(10))?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        let (sender, receiver) = channel();
        self.listen(sender);
        receiver
    }

    pub(crate) fn listen(&self, listener: Sender<Event>) {
        if !host::is_forked() {
            self.shared.add_listener(listener);
        }
    }

    /// Moves the channels for the next start to another child.
    pub(crate) fn move_listeners(&self, to: &Self) {
        if !host::is_forked() {
            for listener in self.shared.take_idle_listeners() {
                to.shared.add_listener(listener);
            }
        }
    }

    /// Starts it now: one that waits for that, one that has ended for good, which begins anew, or
    /// one that is not protected, and is from now on. One that lives goes on as it does.
    ///
    /// # Errors
    ///
    /// Those of [`Frigate::protect`](crate::Frigate::protect).
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// task.start()?;
    /// task.stop(std::time::Duration::ZERO)?;
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn start(&self) -> Result<(), Error> {
        become_host()?;
        let _turn = lock(&self.turn);
        match self.shared.state() {
            State::Started(_) => Ok(()),
            State::NotStarted => self.begin(),
            State::NotProtected | State::Ended(_) => self.enter(true),
        }
    }

    pub(crate) fn protect(&self) -> Result<(), Error> {
        become_host()?;
        let _turn = lock(&self.turn);
        match self.shared.state() {
            State::NotStarted | State::Started(_) => Err(self.already_protected()),
            State::NotProtected | State::Ended(_) => self.enter(self.settings.strategy.auto_start),
        }
    }

    /// Registers the child, and starts it if it is to be started.
    fn enter(&self, starts: bool) -> Result<(), Error> {
        // What is wrong with it is said now, and not when it is started.
        self.charge(&self.shared)?;
        let former = registry::add(&self.shared).ok_or_else(|| self.already_protected())?;
        if starts && let Err(error) = self.begin() {
            registry::restore(&self.shared, former);
            return Err(error);
        }
        Ok(())
    }

    fn begin(&self) -> Result<(), Error> {
        let mut charge = self.charge(&self.shared)?;
        let guard = Guard::on_duty()?;
        let user = ChildUser::of(&charge.confinement);
        charge.capture = logger::begin_capture(self.settings.logger.as_ref(), user)?;
        if let Some(uid) = charge.confinement.user {
            charge.capture.give(uid);
        }
        // Last of all that may be refused: it changes more than the child.
        let Prepared { group, warnings } = self.confine()?;
        charge.names.group = group
            .as_ref()
            .map(|group| group.path().to_owned())
            .unwrap_or_default();
        charge.group = group;
        charge.warnings = warnings;
        self.shared.set_state(State::Started(None));
        guard.protect(charge);
        Ok(())
    }

    /// Cancels it: TERM and CONT to the child's group, and KILL when `timeout` is over, or with
    /// [`Strategy::kill`] KILL at once. Returns when it has ended for good and nothing of its group
    /// is left, 5 s after KILL at the latest. Where it is being stopped already, the shorter of the
    /// two times holds.
    ///
    /// Returns how it ended: [`Outcome::Cancel`], unless it had ended already.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: it was never protected. [`Error::Forked`]: this process was forked
    /// from the host.
    ///
    /// ```
    /// use std::time::Duration;
    /// let task = frigate::ProtectTask::new("sleep").arg("1000");
    /// task.start()?;
    /// assert_eq!(task.stop(Duration::from_secs(10))?.to_string(), frigate::CANCEL_PROCESS);
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn stop(&self, timeout: Duration) -> Result<Outcome, Error> {
        refuse_if_forked()?;
        let turn = lock(&self.turn);
        match self.shared.state() {
            State::NotProtected | State::Ended(_) => {}
            State::NotStarted => self.shared.end(Outcome::Cancel { last: None }),
            State::Started(_) => Guard::on_duty()?.stop(&self.shared, timeout),
        }
        let outcome = self.shared.outcome();
        drop(turn);
        self.received(outcome)
    }

    /// Waits until it has ended for good, and returns how.
    ///
    /// # Errors
    ///
    /// [`Error::NotProtected`]: it was never started. [`Error::Forked`]: this process was forked
    /// from the host.
    ///
    /// ```
    /// let task = frigate::ProtectTask::new("/does/not/exist");
    /// task.start()?;
    /// assert_eq!(task.wait()?.to_string(), "not-started");
    /// # Ok::<(), frigate::Error>(())
    /// ```
    pub fn wait(&self) -> Result<Outcome, Error> {
        refuse_if_forked()?;
        let turn = lock(&self.turn);
        let outcome = self.shared.outcome();
        drop(turn);
        self.received(outcome)
    }

    /// Waits for the outcome. `None` means that the child was not started.
    fn received(&self, outcome: Option<Receiver<Outcome>>) -> Result<Outcome, Error> {
        outcome
            .and_then(|outcome| outcome.recv().ok())
            .ok_or_else(|| Error::NotProtected {
                name: self.name().to_owned(),
            })
    }

    fn already_protected(&self) -> Error {
        Error::AlreadyProtected {
            name: self.name().to_owned(),
        }
    }

    fn confine(&self) -> Result<Prepared, Error> {
        let limits = self.settings.control_group.limits()?;
        let own = startup::own_pid().ok_or(Error::Unsupported)?;
        let _turn = lock(&TURN);
        let is_best_effort = self.settings.control_group.is_best_effort();
        cgroup::prepare(
            &limits,
            is_best_effort,
            WAY_OUT,
            self.name().as_bytes(),
            own,
        )
        .map_err(|mistake| Error::ControlGroup {
            reason: mistake.text,
        })
    }

    /// All that the child needs, but its cgroup.
    #[expect(clippy::too_many_lines, reason = "to be split")]
    fn charge(&self, link: &Arc<SharedState>) -> Result<Charge, Error> {
        if let Some(name) = task::current() {
            return Err(Error::NotRegistered { name });
        }
        if host::discards_children() {
            return Err(Error::ChildrenDiscarded);
        }
        if self.name().is_empty() {
            return Err(Error::Word {
                word: String::new(),
                expected: "the name of a task or of a program",
            });
        }
        self.settings.control_group.limits()?;
        let is_task = self.program.is_none() && task::is_registered(self.name());
        if is_task && host::is_privileged() {
            // Its process would ignore the variable and run the host's own `main`, which protects
            // the task, without end.
            return Err(Error::Privileged {
                name: self.name().to_owned(),
            });
        }
        let program = self
            .program
            .clone()
            .unwrap_or_else(|| self.name().to_owned().into());
        let mut confinement = Confinement::default();
        let root = self
            .settings
            .strategy
            .chroot
            .as_ref()
            .map(|root| text(root.as_os_str()))
            .transpose()?;
        let directory = self
            .directory
            .as_ref()
            .map(|directory| c_string(directory.as_os_str()))
            .transpose()?;
        confinement.root = root.map(|root| c_string(OsStr::new(root))).transpose()?;
        confinement.directory.clone_from(&directory);
        let user = self.settings.strategy.user.clone();
        let identity = match &user {
            None => Vec::new(),
            Some(user) => {
                let expected = "USER, USER:GROUP or :GROUP, names or numbers";
                let spec = UserSpec::parse(user).ok_or_else(|| Error::Word {
                    word: user.clone(),
                    expected,
                })?;
                let wanted = WantedUser {
                    spec,
                    value: user.clone(),
                    spelled: user.clone(),
                };
                become_user(&wanted, root, &mut confinement).map_err(|mistake| Error::User {
                    reason: mistake.text,
                })?
            }
        };
        let variables = self.environment(&identity);
        let path = variables
            .get(OsStr::new("PATH"))
            .map(|path| path.as_bytes());
        let variable = format!("{}={}", task::VARIABLE, self.name()).into_bytes();
        let mut environment = Vec::new();
        if is_task {
            environment.push(c_string(OsStr::from_bytes(&variable))?);
        }
        for (name, value) in &variables {
            environment.push(c_string(OsStr::from_bytes(
                &[name.as_bytes(), value.as_bytes()].join(&b'='),
            ))?);
        }
        let argv = if is_task {
            let mut own = std::env::args_os();
            let first = own.next().unwrap_or_default();
            let rest = self.arguments.clone().unwrap_or_else(|| own.collect());
            c_strings(&[vec![first], rest].concat())?
        } else {
            c_strings(
                &[
                    vec![program.clone()],
                    self.arguments.clone().unwrap_or_default(),
                ]
                .concat(),
            )?
        };
        let command = program.to_string_lossy().into_owned();
        let lossy = |path: &CString| path.to_string_lossy().into_owned();
        Ok(Charge {
            link: Arc::clone(link),
            rules: self.settings.strategy.rules(),
            candidates: if is_task {
                vec![c"/proc/self/exe".into()]
            } else {
                candidates(program.as_bytes(), path)
            },
            argv,
            environment,
            names: Names {
                command,
                user: user.unwrap_or_default(),
                root: root.unwrap_or_default().to_owned(),
                directory: directory.as_ref().map(lossy).unwrap_or_default(),
                group: String::new(),
            },
            confinement,
            mask: host::mask(),
            group: None,
            warnings: Vec::new(),
            capture: Capture::default(),
            name: last_component(program.as_bytes()).to_vec(),
            task: is_task.then_some(variable),
        })
    }

    /// The variables of the child: the host's, those of the user that it becomes, and those that
    /// were set.
    fn environment(&self, identity: &[CString]) -> BTreeMap<OsString, OsString> {
        let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
        if !self.is_cleared {
            variables.extend(std::env::vars_os());
        }
        // Both are frigate's own words to its children, and of others they tell nothing.
        variables.remove(OsStr::new("FRIGATE_RESTARTS"));
        variables.remove(OsStr::new(task::VARIABLE));
        for entry in identity {
            let (name, value) = entry.to_bytes().split_at(
                entry
                    .to_bytes()
                    .iter()
                    .position(|byte| *byte == b'=')
                    .unwrap_or(0),
            );
            let value = value.strip_prefix(b"=").unwrap_or_default();
            let name = OsString::from_vec(name.to_vec());
            if value.is_empty() {
                variables.remove(&name)
            } else {
                variables.insert(name, OsString::from_vec(value.to_vec()))
            };
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => variables.insert(name.clone(), value.clone()),
                None => variables.remove(name),
            };
        }
        variables
    }
}

/// Makes this process the host, unless it was forked from it.
fn become_host() -> Result<(), Error> {
    let system = |errno: Errno| io::Error::from_raw_os_error(errno.raw());
    host::become_host().map_err(|errno| Error::System {
        attempt: "map a page",
        source: system(errno),
    })?;
    refuse_if_forked()
}

/// Refuses what a process that was forked from the host cannot do. Before any lock: see
/// `host::is_forked`.
fn refuse_if_forked() -> Result<(), Error> {
    if host::is_forked() {
        Err(Error::Forked)
    } else {
        Ok(())
    }
}

fn c_string(text: &OsStr) -> Result<CString, Error> {
    let word = || text.to_string_lossy().into_owned();
    CString::new(text.as_bytes()).map_err(|_| Error::Word {
        word: word(),
        expected: "text without a null byte",
    })
}

fn c_strings(list: &[OsString]) -> Result<Vec<CString>, Error> {
    list.iter().map(|text| c_string(text)).collect()
}

fn text(path: &OsStr) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::Word {
        word: path.to_string_lossy().into_owned(),
        expected: "valid UTF-8",
    })
}

//! Registration: turns one claim into trials of the test runner, one for each mode.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use libtest_mimic::{Completion, Failed, Trial};

use super::capability::{self, Capability, PID_NAMESPACE, VM, Verdict};
use super::vm::guest;

/// The place of frigate in the process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is PID 1 of a fresh PID namespace, which has its own `/proc`.
    Pid1,
    /// It is not PID 1, and has to make itself a subreaper.
    Subreaper,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Pid1 => "pid1",
            Self::Subreaper => "subreaper",
        }
    }
}

/// One claim that is being registered.
pub struct Scenario {
    name: &'static str,
    modes: &'static [Mode],
    shows_mode: bool,
    needs: Vec<&'static Capability>,
    alone: bool,
    in_guest: bool,
}

/// Begins a scenario. It runs in both modes unless a method below says otherwise.
pub fn scenario(name: &'static str) -> Scenario {
    let modes = &[Mode::Pid1, Mode::Subreaper];
    Scenario {
        name,
        modes,
        shows_mode: true,
        needs: Vec::new(),
        alone: false,
        in_guest: false,
    }
}

/// A scenario holds this lock shared while it runs, or exclusively if it must run alone.
static TURN: RwLock<()> = RwLock::new(());

/// Keeps scenarios that must run alone from running.
pub fn shared_turn() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

impl Scenario {
    /// Runs in one mode only.
    pub fn only(mut self, mode: Mode) -> Self {
        self.modes = if mode == Mode::Pid1 {
            &[Mode::Pid1]
        } else {
            &[Mode::Subreaper]
        };
        self
    }

    /// Runs once, in the subreaper mode, because the claim has nothing to do with modes.
    pub fn once(mut self) -> Self {
        self.modes = &[Mode::Subreaper];
        self.shows_mode = false;
        self
    }

    /// Names what the machine must have. If something is missing, the scenario is reported as
    /// ignored.
    pub fn needs(mut self, capabilities: &[&'static Capability]) -> Self {
        self.needs.extend_from_slice(capabilities);
        self
    }

    /// Runs while no other scenario does, because it measures, or because it takes so much of the
    /// machine that others would fail.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Runs in the guest instead of on this machine. There all cgroups are of version 2 and root
    /// may do everything. The guest must have what the scenario needs.
    pub fn in_guest(mut self) -> Self {
        self.in_guest = true;
        self
    }

    /// Registers the scenario.
    pub fn run(self, out: &mut Vec<Trial>, claim: impl Fn(Mode) + Send + Clone + 'static) {
        if guest::inside() && !self.in_guest {
            return;
        }
        for &mode in self.modes {
            let name = if self.shows_mode {
                format!("{} [{}]", self.name, mode.name())
            } else {
                self.name.to_owned()
            };
            if self.in_guest && !guest::inside() {
                let asked = name.clone();
                out.push(Trial::ignorable_test(name, move || ask_guest(&asked)));
                continue;
            }
            let mut needs = self.needs.clone();
            if self.shows_mode && mode == Mode::Pid1 {
                needs.push(&PID_NAMESPACE);
            }
            let (alone, claim) = (self.alone, claim.clone());
            let perform = move || match capability::judge(&needs) {
                Verdict::Skip(reason) => Ok(Completion::ignored_with(reason)),
                Verdict::Fail(reason) => Err(reason.into()),
                Verdict::Run => {
                    // A trial that panicked has failed. The others still run.
                    if alone {
                        let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
                        claim(mode);
                    } else {
                        let _turn = shared_turn();
                        claim(mode);
                    }
                    Ok(Completion::Completed)
                }
            };
            if guest::inside() {
                let sent_name = name.clone();
                out.push(Trial::ignorable_test(name, move || {
                    report_to_host(&sent_name, perform)
                }));
            } else {
                out.push(Trial::ignorable_test(name, perform));
            }
        }
    }
}

type Performed = Result<Completion, Failed>;

/// Takes the host's side of a scenario in the guest: waits for its verdict.
fn ask_guest(name: &str) -> Performed {
    match capability::judge(&[&VM]) {
        Verdict::Skip(reason) => return Ok(Completion::ignored_with(reason)),
        Verdict::Fail(reason) => return Err(reason.into()),
        Verdict::Run => {}
    }
    match guest::verdict(name) {
        guest::Verdict::Passed => Ok(Completion::Completed),
        guest::Verdict::Failed(text) => Err(text.into()),
        guest::Verdict::Ignored(why) => Ok(Completion::ignored_with(why)),
    }
}

/// Takes the guest's side: performs the scenario and sends its result to the host.
fn report_to_host(name: &str, perform: impl FnOnce() -> Performed) -> Performed {
    let performed = catch_unwind(AssertUnwindSafe(perform));
    match &performed {
        Ok(Ok(Completion::Completed)) => guest::send(&["passed", name]),
        Ok(Ok(Completion::Ignored { reason })) => {
            guest::send(&["ignored", name, reason.as_deref().unwrap_or_default()]);
        }
        Ok(Err(failed)) => guest::send(&["failed", name, failed.message().unwrap_or_default()]),
        Err(panic) => guest::send(&["failed", name, &guest::message(&**panic)]),
    }
    performed.unwrap_or_else(|panic| resume_unwind(panic))
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps a measured figure, which is printed after the run.
pub fn note(figure: impl Into<String>) {
    NOTES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(figure.into());
}

/// Takes the figures of this run.
pub fn notes() -> Vec<String> {
    std::mem::take(&mut NOTES.lock().unwrap_or_else(PoisonError::into_inner))
}

//! Registration: one claim, run in each mode, as trials of the test runner.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use libtest_mimic::{Completion, Failed, Trial};

use super::capability::{self, Capability, PID_NAMESPACE, VM, Verdict};
use super::vm::guest;

/// How frigate stands to the process tree.
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

/// One claim on its way into the list of trials.
pub struct Scenario {
    name: &'static str,
    modes: &'static [Mode],
    shows_mode: bool,
    needs: Vec<&'static Capability>,
    alone: bool,
    in_guest: bool,
}

/// Begins a scenario, which runs in both modes unless it says otherwise.
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

/// A scenario holds this shared while it runs, or exclusively if it must run alone.
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

    /// Runs once, because the claim has nothing to do with modes. It is given the subreaper mode.
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

    /// Runs while no other scenario does: because it measures, or because it takes so much of the
    /// machine that others would fail.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Runs in the guest instead of on this machine. There all cgroups are of version 2 and root
    /// may do everything. What the scenario needs, it needs there.
    pub fn in_guest(mut self) -> Self {
        self.in_guest = true;
        self
    }

    /// Registers it.
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
                    // A trial that panicked has failed; the others still take their turns.
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
                let told = name.clone();
                out.push(Trial::ignorable_test(name, move || {
                    tell_host(&told, perform)
                }));
            } else {
                out.push(Trial::ignorable_test(name, perform));
            }
        }
    }
}

type Performed = Result<Completion, Failed>;

/// The host's side of a scenario in the guest.
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

/// The guest's side: performs the scenario and sends its result to the host.
fn tell_host(name: &str, perform: impl FnOnce() -> Performed) -> Performed {
    let performed = catch_unwind(AssertUnwindSafe(perform));
    match &performed {
        Ok(Ok(Completion::Completed)) => guest::tell(&["passed", name]),
        Ok(Ok(Completion::Ignored { reason })) => {
            guest::tell(&["ignored", name, reason.as_deref().unwrap_or_default()]);
        }
        Ok(Err(failed)) => guest::tell(&["failed", name, failed.message().unwrap_or_default()]),
        Err(panic) => guest::tell(&["failed", name, &guest::message(&**panic)]),
    }
    performed.unwrap_or_else(|panic| resume_unwind(panic))
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps a measured figure, to be printed after the run.
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

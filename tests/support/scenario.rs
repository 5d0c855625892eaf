//! Registration: one claim, run in each mode, as trials of the test runner.

use std::sync::{Mutex, PoisonError, RwLock};

use libtest_mimic::{Completion, Trial};

use super::capability::{self, Capability, PID_NAMESPACE, Verdict};

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
}

/// Begins a scenario, which runs in both modes unless it says otherwise.
pub fn scenario(name: &'static str) -> Scenario {
    Scenario { name, modes: &[Mode::Pid1, Mode::Subreaper], shows_mode: true, needs: Vec::new(), alone: false }
}

/// Scenarios share this; one that must run alone holds it for itself.
static TURN: RwLock<()> = RwLock::new(());

impl Scenario {
    /// Runs in one mode only.
    pub fn only(mut self, mode: Mode) -> Self {
        self.modes = if mode == Mode::Pid1 { &[Mode::Pid1] } else { &[Mode::Subreaper] };
        self
    }

    /// Runs once, because modes mean nothing to it; the mode that it is handed is to be ignored.
    pub fn once(mut self) -> Self {
        self.modes = &[Mode::Subreaper];
        self.shows_mode = false;
        self
    }

    /// Names what the machine must have; where something is missing the scenario is reported as ignored.
    pub fn needs(mut self, capabilities: &[&'static Capability]) -> Self {
        self.needs.extend_from_slice(capabilities);
        self
    }

    /// Runs while no other scenario does, because it measures, or takes so much of the machine that others would.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Registers it.
    pub fn run(self, out: &mut Vec<Trial>, claim: impl Fn(Mode) + Send + Clone + 'static) {
        for &mode in self.modes {
            let name = if self.shows_mode { format!("{} [{}]", self.name, mode.name()) } else { self.name.to_owned() };
            let mut needs = self.needs.clone();
            if self.shows_mode && mode == Mode::Pid1 {
                needs.push(&PID_NAMESPACE);
            }
            let (alone, claim) = (self.alone, claim.clone());
            out.push(Trial::ignorable_test(name, move || match capability::judge(&needs) {
                Verdict::Skip(reason) => Ok(Completion::ignored_with(reason)),
                Verdict::Fail(reason) => Err(reason.into()),
                Verdict::Run => {
                    // A trial that panicked has failed; the others still take their turns.
                    if alone {
                        let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
                        claim(mode);
                    } else {
                        let _turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
                        claim(mode);
                    }
                    Ok(Completion::Completed)
                }
            }));
        }
    }
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps a measured figure, to be printed after the run.
pub fn note(figure: impl Into<String>) {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).push(figure.into());
}

/// Takes the figures of this run.
pub fn notes() -> Vec<String> {
    std::mem::take(&mut NOTES.lock().unwrap_or_else(PoisonError::into_inner))
}

//! The mode `--probe`: one check, and its result as an exit code.

use core::fmt::Write;
use core::time::Duration;

use crate::child::check::{Check, CheckPlan};
use crate::core::exit_code;
use crate::core::health::failure::CheckFailure;
use crate::core::health::rules::{HEALTH_INTERVAL, longest_age};
use crate::core::health::target::Question;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::signal::{Signal, SignalSet};
use crate::core::status::WaitStatus;
use crate::core::text::Printable;
use crate::messages::check_failure::ReadableFailure;
use crate::messages::line::Line;
use crate::program::check_plans::{Inherited, make_spawn_plan};
use crate::sys::reap::{self, WaitResult};
use crate::sys::signals::{self, Mask, SignalWaiter, WakeReason};
use crate::sys::spawn::{Confinement, Environment, SpawnPlan};
use crate::sys::startup::{self, CStrings};
use crate::sys::{clock, output};

/// What `--probe` asks for.
pub(crate) struct Probe<'a> {
    pub(crate) question: Question,
    /// The target as it was typed.
    pub(crate) target: &'a str,
    pub(crate) timeout: Duration,
}

/// The exit code of a check that failed.
const UNHEALTHY: u8 = 1;

/// The most characters of a target that the message shows.
const TARGET_CHARACTERS: usize = 300;

/// How long a server gets to close its end of the connection once the result is known, and a
/// program to end after KILL. Both mostly take no time. A server that never closes must not use up
/// what an engine gives the whole probe (1 s in Kubernetes).
const REST_TIMEOUT: Duration = Duration::from_millis(500);

/// The signals that by default do nothing, or suspend a process: a probe is over before a user
/// would resume it.
const WITHOUT_EFFECT: SignalSet = SignalSet::of([
    Signal::CHLD,
    Signal::CONT,
    Signal::TSTP,
    Signal::TTIN,
    Signal::TTOU,
    Signal::URG,
    Signal::WINCH,
]);

/// How a probe ends.
enum Verdict {
    Healthy,
    Unhealthy(CheckFailure),
    /// This signal ends it, as it would end a program that does not handle it.
    Interrupted(Signal),
}

impl Probe<'_> {
    /// Checks once. Writes a line to standard error if the check failed. Returns the exit code.
    pub(crate) fn run(&self, environment: CStrings, own_pid: Pid, mask: Mask) -> u8 {
        let longest_age = longest_age(HEALTH_INTERVAL, self.timeout);
        let spawn = match &self.question {
            Question::Exec(words) => Some(spawn_plan(words, environment, own_pid, mask)),
            Question::Http { .. } | Question::Tcp(_) | Question::Unix(_) | Question::File(_) => {
                None
            }
        };
        let plan = CheckPlan {
            question: self.question.clone(),
            longest_age,
            spawn,
        };
        match self.check(plan) {
            Verdict::Healthy => 0,
            Verdict::Unhealthy(failure) => {
                output::write_to_stderr(self.line(failure).as_bytes());
                UNHEALTHY
            }
            Verdict::Interrupted(signal) => exit_code::of_signal(signal),
        }
    }

    fn check(&self, mut plan: CheckPlan) -> Verdict {
        let deadline = clock::now().after(self.timeout);
        let mut check = plan.begin(None);
        let mut waiter = SignalWaiter::default();
        let verdict = loop {
            match check.advance(&plan) {
                Some(Ok(())) => break Verdict::Healthy,
                Some(Err(failure)) => break Verdict::Unhealthy(failure),
                None => {}
            }
            let timeout = self.timeout;
            let Some(left) = left(deadline) else {
                check.cancel();
                break Verdict::Unhealthy(CheckFailure::TimedOut { timeout });
            };
            if let Some(signal) = wait(&mut waiter, left, &mut check) {
                check.cancel();
                break Verdict::Interrupted(signal);
            }
        };
        let deadline = clock::now().after(REST_TIMEOUT);
        while reap_all(&mut check) || !check.is_over() {
            let Some(left) = left(deadline) else { break };
            if wait(&mut waiter, left, &mut check).is_some() {
                break;
            }
        }
        verdict
    }

    fn line(&self, failure: CheckFailure) -> Line {
        let mut line = Line::new();
        let target = Printable(self.target, TARGET_CHARACTERS);
        let failure = ReadableFailure(failure);
        let _ = write!(line, "frigate: '{target}' is unhealthy: {failure}");
        line.end_with("\n");
        line
    }
}

/// Returns the time until the deadline; `None` means that it has come.
fn left(deadline: Moment) -> Option<Duration> {
    Some(deadline.since(clock::now())).filter(|left| !left.is_zero())
}

/// Waits until the check can go on, or the time is over. Returns a signal that ends the probe.
///
/// All signals are blocked, so that none ends the probe before the check's program has been killed.
fn wait(waiter: &mut SignalWaiter, timeout: Duration, check: &mut Check) -> Option<Signal> {
    match waiter.wait(Some(timeout), check.watch().as_slice()) {
        WakeReason::Signal(received) => {
            reap_all(check);
            received
                .signal()
                .filter(|signal| !WITHOUT_EFFECT.contains(*signal))
        }
        WakeReason::Ready | WakeReason::Timeout => None,
        // Nothing else reports the end of the check's program.
        WakeReason::Failed(_) => Some(Signal::SYS),
    }
}

/// Reaps what has ended: the check's program, and what it left behind. Returns whether any of them
/// is alive.
fn reap_all(check: &mut Check) -> bool {
    loop {
        match reap::reap_next(false) {
            WaitResult::Changed { pid, status } => {
                if let WaitStatus::Ended(status) = status {
                    check.note_reaped(pid, status);
                }
            }
            WaitResult::NothingYet => return true,
            WaitResult::NoChild | WaitResult::Failed(_) => return false,
        }
    }
}

/// Returns the plan for a program of the check. It runs as the probe does.
fn spawn_plan(words: &[Vec<u8>], environment: CStrings, own_pid: Pid, mask: Mask) -> SpawnPlan {
    // What the program leaves behind at the timeout becomes a child of this process, and is reaped
    // here. PID 1 may be a program that reaps nothing.
    let _ = startup::become_subreaper(own_pid);
    let inherited = Inherited {
        environment,
        own_pid,
        mask,
        ignores_sigchld: signals::restore_sigchld(),
    };
    let environment = Environment::new(environment, own_pid, &[]);
    make_spawn_plan(words, &inherited, environment, Confinement::default())
}

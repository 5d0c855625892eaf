//! The whole of frigate in virtual time: what a signal is for, whose end was reaped, what is left
//! at the end.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::fact::Fact;
use crate::core::lifecycle::{self, DEATHLESS, Finish, KILL_PATIENCE, Lifecycle};
use crate::core::look::Look;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::rules::Rules;
use crate::core::signal::{Sender, Signal, SignalSet};
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};
use crate::core::usage::Usage;

/// How long a forwarded TSTP may take to stop the child; a stop after that is the doing of somebody
/// at the terminal.
const WANTED: Duration = Duration::from_secs(2);

/// How long the rest may take to die of KILL where the child has used up all patience.
const BRIEFLY: Duration = Duration::from_millis(100);

/// What `--rewrite` makes of each signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rewrite {
    /// By number less one: the signal that it is treated as; none: it is dropped.
    to: [Option<Signal>; 64],
}

impl Rewrite {
    pub(crate) fn identity() -> Self {
        let mut to = [None; 64];
        for (slot, number) in to.iter_mut().zip(1..) {
            *slot = Signal::new(number);
        }
        Self { to }
    }

    pub(crate) fn set(&mut self, from: Signal, to: Option<Signal>) {
        if let Some(slot) = self.to.get_mut(usize::from(from.number()) - 1) {
            *slot = to;
        }
    }

    pub(crate) fn apply(&self, signal: Signal) -> Option<Signal> {
        self.to
            .get(usize::from(signal.number()) - 1)
            .copied()
            .flatten()
    }
}

/// Where frigate finds itself; none of it changes while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Surroundings {
    /// Standard input is frigate's controlling terminal.
    pub(crate) terminal: bool,
    /// Somebody could resume a stopped frigate: it is not PID 1, and its parent is of the same
    /// session.
    pub(crate) resumable: bool,
}

/// Which group the terminal's foreground group is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Foreground {
    Frigate,
    Child,
    Other,
}

/// What the rim, or time, tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Begin,
    Received {
        signal: Signal,
        sender: Sender,
    },
    OthersGone,
    Spawned {
        pid: Pid,
    },
    SpawnFailed(SpawnFailure),
    /// See `lifecycle::Event`.
    Executed,
    OutOfReach,
    /// The protected child was reaped.
    Ended {
        status: ExitStatus,
        held_terminal: bool,
        usage: Usage,
    },
    /// Everything that had ended is reaped; `children`: there are others.
    Swept {
        children: bool,
    },
    GroupGone,
    /// The child was stopped.
    Stopped {
        signal: Signal,
        foreground: Foreground,
    },
    Tick,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serving,
    /// The child has ended for good; nobody knows yet whether anything is left.
    Ended(Finish),
    /// Leftovers were sent TERM.
    Draining(Finish),
    /// Leftovers were sent KILL, and are left behind at `until`.
    Killing {
        finish: Finish,
        until: Moment,
        look: Look,
    },
    Done,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Lifecycle,
    rules: Rules,
    stop_on: SignalSet,
    rewrite: Rewrite,
    surroundings: Surroundings,
    phase: Phase,
    /// When a process asked the child to stop, and it has not stopped yet.
    stop_forwarded_at: Option<Moment>,
}

impl Supervisor {
    pub(crate) fn new(
        rules: Rules,
        stop_on: SignalSet,
        rewrite: Rewrite,
        surroundings: Surroundings,
    ) -> Self {
        let child = Lifecycle::new(rules);
        Self {
            child,
            rules,
            stop_on,
            rewrite,
            surroundings,
            phase: Phase::Serving,
            stop_forwarded_at: None,
        }
    }

    pub(crate) const fn restarts(&self) -> u32 {
        self.child.restarts()
    }

    pub(crate) const fn out_of_memory(&self) -> bool {
        self.child.out_of_memory()
    }

    /// Returns the exit code that frigate ends with, after `--remap-exit`.
    pub(crate) fn exit_code(&self, outcome: Outcome) -> u8 {
        self.rules.exit_code(outcome)
    }

    /// What the child leaves when it ends by itself is left alone, in its cgroup too.
    pub(crate) const fn leaves_alone(&self) -> bool {
        self.rules.leftovers.is_none()
    }

    /// Whether this signal asks frigate to stop.
    pub(crate) fn is_stop(&self, signal: Signal) -> bool {
        self.rewrite
            .apply(signal)
            .is_some_and(|signal| self.stop_on.contains(signal))
    }

    /// When `Event::Tick` is due; none: sleep until a signal comes.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.phase {
            Phase::Serving => self.child.deadline(),
            Phase::Draining(finish) => finish.kill_at,
            Phase::Killing { until, look, .. } => Some(until.min(look.at())),
            Phase::Ended(_) | Phase::Done => None,
        }
    }

    pub(crate) fn step(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Begin => self.child_step(lifecycle::Event::Begin, now, out),
            Event::OthersGone => self.child_step(lifecycle::Event::OthersGone, now, out),
            Event::Spawned { pid } => {
                self.stop_forwarded_at = None;
                self.child_step(lifecycle::Event::Spawned { pid }, now, out);
            }
            Event::SpawnFailed(failure) => {
                self.child_step(lifecycle::Event::SpawnFailed(failure), now, out);
            }
            Event::Executed => self.child_step(lifecycle::Event::Executed, now, out),
            Event::OutOfReach => self.child_step(lifecycle::Event::OutOfReach, now, out),
            Event::GroupGone => self.child_step(lifecycle::Event::GroupGone, now, out),
            Event::Ended {
                status,
                held_terminal,
                usage,
            } => {
                if self.surroundings.terminal {
                    out.push(Action::TakeTerminal);
                }
                self.child_step(
                    lifecycle::Event::Ended {
                        status,
                        held_terminal,
                        usage,
                    },
                    now,
                    out,
                );
            }
            Event::Swept { children } => self.swept(children, now, out),
            Event::Received { signal, sender } => self.received(signal, sender, now, out),
            Event::Stopped { signal, foreground } => self.stopped(signal, foreground, now, out),
            Event::Tick => self.tick(now, out),
        }
    }

    fn child_step(&mut self, event: lifecycle::Event, now: Moment, out: &mut Actions) {
        self.child.step(event, now, out);
        if self.phase == Phase::Serving
            && let Some(finish) = self.child.finish()
        {
            self.phase = Phase::Ended(finish);
            // An end is told during a sweep, which says by itself what is left; anything else must
            // have one made.
            if !matches!(event, lifecycle::Event::Ended { .. }) {
                out.push(Action::Sweep);
            }
        }
    }

    fn swept(&mut self, children: bool, now: Moment, out: &mut Actions) {
        match self.phase {
            Phase::Serving => self.child_step(lifecycle::Event::Swept, now, out),
            Phase::Ended(Finish { outcome, .. })
            | Phase::Draining(Finish { outcome, .. })
            | Phase::Killing {
                finish: Finish { outcome, .. },
                ..
            } if !children => {
                self.exit(outcome, out);
            }
            Phase::Ended(Finish {
                outcome,
                kill_at: None,
                ..
            }) => self.exit(outcome, out),
            Phase::Ended(finish) => {
                self.phase = Phase::Draining(finish);
                out.push(Action::Say(Fact::EndingLeftovers));
                out.push(Action::EndAll);
            }
            Phase::Draining(_) | Phase::Killing { .. } | Phase::Done => {}
        }
    }

    fn exit(&mut self, outcome: Outcome, out: &mut Actions) {
        self.phase = Phase::Done;
        out.push(Action::Exit(outcome));
    }

    fn received(&mut self, signal: Signal, sender: Sender, now: Moment, out: &mut Actions) {
        if signal == Signal::CHLD {
            out.push(Action::Sweep);
            return;
        }
        // Of its own stop, of a reader that went away, of a log file that may not grow
        // (`RLIMIT_FSIZE`).
        if sender == Sender::Frigate && matches!(signal, Signal::TSTP | Signal::PIPE | Signal::XFSZ)
        {
            return;
        }
        let Some(signal) = self.rewrite.apply(signal) else {
            out.push(Action::Say(Fact::Dropped {
                signal,
                by_rule: true,
            }));
            return;
        };
        let queued = matches!(sender, Sender::Process { queued: true });
        if self.stop_on.contains(signal) && self.phase == Phase::Serving {
            out.push(Action::Say(Fact::StopAsked { signal }));
            self.child_step(lifecycle::Event::Stop { signal, queued }, now, out);
            return;
        }
        let Some(pid) = self.child.alive() else {
            out.push(Action::Say(Fact::Dropped {
                signal,
                by_rule: false,
            }));
            return;
        };
        if matches!(
            signal,
            Signal::STOP | Signal::TSTP | Signal::TTIN | Signal::TTOU
        ) {
            self.stop_forwarded_at = (sender != Sender::Kernel).then_some(now);
        }
        if signal == Signal::CONT {
            self.stop_forwarded_at = None;
        }
        if signal == Signal::CONT && self.surroundings.terminal {
            out.push(Action::GiveTerminal {
                and_continue: false,
            });
        }
        out.push(Action::Say(Fact::Forwarded { signal, pid }));
        out.push(Action::Send {
            signal,
            alone: self.rules.single_child || queued,
            queued,
        });
        // Ctrl-Z reached frigate because the terminal is not its standard input, so that the child
        // was never given it: the job stops all the same.
        if signal == Signal::TSTP && sender == Sender::Kernel && self.surroundings.resumable {
            out.push(Action::Suspend);
        }
    }

    #[inline(never)]
    fn stopped(&mut self, signal: Signal, foreground: Foreground, now: Moment, out: &mut Actions) {
        let Some(pid) = self.child.alive().filter(|_| self.surroundings.terminal) else {
            return;
        };
        let wants_terminal = signal == Signal::TTIN || signal == Signal::TTOU;
        let wanted = self
            .stop_forwarded_at
            .take()
            .is_some_and(|at| now.since(at) < WANTED);
        if wants_terminal && foreground == Foreground::Frigate {
            // `fg` without a CONT: the shell gave frigate the terminal while the child ran in the
            // background.
            out.push(Action::GiveTerminal { and_continue: true });
        } else if self.surroundings.resumable {
            out.push(Action::TakeTerminal);
            out.push(Action::Suspend);
        } else if signal == Signal::TSTP && !wanted {
            out.push(Action::Say(Fact::Continued { pid }));
            out.push(Action::Send {
                signal: Signal::CONT,
                alone: self.rules.single_child,
                queued: false,
            });
        }
    }

    #[inline(never)]
    fn tick(&mut self, now: Moment, out: &mut Actions) {
        match self.phase {
            Phase::Serving => self.child_step(lifecycle::Event::Tick, now, out),
            Phase::Draining(finish) if finish.kill_at.is_some_and(|kill_at| now >= kill_at) => {
                let patience = if finish.left_behind {
                    BRIEFLY
                } else {
                    KILL_PATIENCE
                };
                self.phase = Phase::Killing {
                    finish,
                    until: now.after(patience),
                    look: Look::first(now),
                };
                if !finish.killed {
                    out.extend(self.rules.leftovers_killed(finish.outcome));
                }
                out.push(Action::KillAll);
            }
            Phase::Killing { finish, until, .. } if now >= until => {
                if !finish.left_behind {
                    out.push(Action::Say(Fact::LeftBehind {
                        pid: None,
                        reason: DEATHLESS,
                    }));
                }
                self.exit(finish.outcome, out);
            }
            // Once more: what forked just then was not seen the time before.
            Phase::Killing {
                finish,
                until,
                look,
            } if now >= look.at() => {
                self.phase = Phase::Killing {
                    finish,
                    until,
                    look: look.next(now),
                };
                out.push(Action::KillAll);
            }
            Phase::Ended(_) | Phase::Draining(_) | Phase::Killing { .. } | Phase::Done => {}
        }
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;

//! One protected child, from its first start to its last end: state × event -> state and actions,
//! in virtual time.
//!
//! *Invariant:* every state and event meet in `Lifecycle::step`, by name. A pair that cannot happen
//! changes nothing and is reported; nothing here panics, waits or asks the kernel.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::fact::{Fact, Trouble};
use crate::core::look::Look;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::restart::{History, Restart, Verdict};
use crate::core::rules::{Rules, said_unless_zero};
use crate::core::signal::Signal;
use crate::core::status::{ExitStatus, Outcome, SpawnFailure};
use crate::core::usage::Usage;

/// How long a process may take to die of KILL before it is left behind (it sleeps where no signal
/// reaches it).
pub(crate) const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// What is left of a former child's group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Remains {
    Gone,
    /// It was sent TERM, and gets KILL at `until`.
    Ending {
        until: Moment,
        look: Look,
    },
    /// It was sent KILL, and is left behind at `until`.
    Killed {
        until: Moment,
        look: Look,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ready,
    /// Other processes of the name were sent TERM, or KILL, and have until then.
    Closing {
        until: Moment,
        killed: bool,
    },
    Spawning,
    Running {
        since: Moment,
    },
    /// Asked to stop; the child lives.
    Stopping(Stopping),
    /// The pause between two starts, while what is left of the former child's group comes to its
    /// end.
    Between {
        start_at: Moment,
        remains: Remains,
    },
    Ended(Finish),
}

/// A stop under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stopping {
    /// When the child was started.
    since: Moment,
    /// The signal that asked for it.
    asked: Signal,
    /// When the child is killed or, if it was or is out of reach, left behind; `None`: it has all
    /// the time it takes.
    until: Option<Moment>,
    killed: bool,
    /// The kernel does not let frigate signal the child.
    out_of_reach: bool,
}

/// The end of it all: how, and from when on leftovers are killed; `None`: they are left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Finish {
    pub(crate) outcome: Outcome,
    pub(crate) kill_at: Option<Moment>,
    /// Do not report KILL again: it was already reported, or `--kill` made it expected.
    pub(crate) killed: bool,
    /// The child itself did not die of KILL, and said so: nothing else is given as long again.
    pub(crate) left_behind: bool,
}

/// What the rim, or time, tells of one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Begin,
    OthersGone,
    Spawned {
        pid: Pid,
    },
    SpawnFailed(SpawnFailure),
    /// The child runs its program. Told only where somebody wants to know, and always before its
    /// end.
    Executed,
    /// The kernel does not let frigate signal the child (EPERM).
    OutOfReach,
    /// The child was reaped; `held_terminal`: its group was the terminal's foreground group then.
    Ended {
        status: ExitStatus,
        held_terminal: bool,
        usage: Usage,
    },
    /// Something else was reaped.
    Swept,
    GroupGone,
    /// frigate was asked to stop; `queued`: the signal came with a value.
    Stop {
        signal: Signal,
        queued: bool,
    },
    Tick,
}

#[derive(Debug)]
pub(crate) struct Lifecycle {
    rules: Rules,
    state: State,
    history: History,
    pid: Option<Pid>,
    last: Option<ExitStatus>,
    restarts: u32,
    /// A start was tried: the next one is a restart.
    begun: bool,
    /// The kernel killed a process of the last child's group for want of memory.
    out_of_memory: bool,
    released: bool,
}

impl Lifecycle {
    pub(crate) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Ready,
            history: History::NONE,
            pid: None,
            last: None,
            restarts: 0,
            begun: false,
            out_of_memory: false,
            released: false,
        }
    }

    /// The living child.
    pub(crate) fn alive(&self) -> Option<Pid> {
        match self.state {
            State::Running { .. } | State::Stopping(_) => self.pid,
            State::Ready
            | State::Closing { .. }
            | State::Spawning
            | State::Between { .. }
            | State::Ended(_) => None,
        }
    }

    pub(crate) const fn finish(&self) -> Option<Finish> {
        match self.state {
            State::Ended(finish) => Some(finish),
            State::Ready
            | State::Closing { .. }
            | State::Spawning
            | State::Running { .. }
            | State::Stopping(_)
            | State::Between { .. } => None,
        }
    }

    pub(crate) const fn restarts(&self) -> u32 {
        self.restarts
    }

    pub(crate) const fn out_of_memory(&self) -> bool {
        self.out_of_memory
    }

    /// Sets the grace period of the stop that is about to come. One that is under way is cut to it,
    /// never extended.
    pub(crate) fn allow(&mut self, grace: Duration, now: Moment) {
        self.rules.grace = Some(grace);
        if let State::Stopping(stopping) = &mut self.state
            && !stopping.killed
        {
            stopping.hurry(now.after(grace));
        }
    }

    /// When `Event::Tick` is due; none: only an event from outside changes anything.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Ready | State::Spawning | State::Running { .. } | State::Ended(_) => None,
            State::Closing { until, .. } => Some(until),
            State::Stopping(Stopping { until, .. }) => until,
            State::Between { start_at, remains } => Some(match remains {
                Remains::Gone => start_at,
                Remains::Ending { until, look } | Remains::Killed { until, look } => {
                    until.min(look.at())
                }
            }),
        }
    }

    pub(crate) fn step(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match self.state {
            State::Ready => self.when_ready(event, now, out),
            State::Closing { until, killed } => self.when_closing(until, killed, event, now, out),
            State::Spawning => self.when_spawning(event, now, out),
            State::Running { since } => self.when_running(since, event, now, out),
            State::Stopping(stopping) => self.when_stopping(stopping, event, now, out),
            State::Between { start_at, remains } => {
                self.when_between(start_at, remains, event, now, out);
            }
            State::Ended(_) => {}
        }
    }

    fn when_ready(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Begin if self.rules.is_adopted => self.clear(now, now, out),
            Event::Begin => self.start(now, out),
            Event::Stop { signal, .. } => self.cancel(signal, now, out),
            Event::Swept | Event::Tick => {}
            Event::OthersGone
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::OutOfReach
            | Event::Ended { .. }
            | Event::GroupGone => self.impossible(event, out),
        }
    }

    #[inline(never)]
    fn when_closing(
        &mut self,
        until: Moment,
        killed: bool,
        event: Event,
        now: Moment,
        out: &mut Actions,
    ) {
        match event {
            Event::OthersGone => self.spawn(out),
            Event::Stop { signal, .. } => self.cancel(signal, now, out),
            Event::Tick if now < until => {}
            Event::Tick if killed => {
                out.push(Action::Say(Fact::OthersLeft));
                self.spawn(out);
            }
            Event::Tick => {
                self.state = State::Closing {
                    until: now.after(KILL_PATIENCE),
                    killed: true,
                };
                out.push(Action::KillOthers);
            }
            Event::Swept => {}
            Event::Begin
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::OutOfReach
            | Event::Ended { .. }
            | Event::GroupGone => self.impossible(event, out),
        }
    }

    fn when_spawning(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Spawned { pid } => {
                self.pid = Some(pid);
                self.state = State::Running { since: now };
                if self.rules.strategy.restart == Restart::False {
                    self.release(out);
                }
            }
            Event::SpawnFailed(failure) => self.not_started(failure, now, out),
            Event::Swept | Event::Tick => {}
            // A stop cannot come here: the rim answers Spawn before it takes another signal.
            Event::Begin
            | Event::OthersGone
            | Event::Executed
            | Event::OutOfReach
            | Event::Ended { .. }
            | Event::GroupGone
            | Event::Stop { .. } => self.impossible(event, out),
        }
    }

    fn when_running(&mut self, since: Moment, event: Event, now: Moment, out: &mut Actions) {
        match event {
            Event::Ended {
                status,
                held_terminal,
                usage,
            } => {
                self.last = Some(status);
                self.out_of_memory = usage.out_of_memory;
                if held_terminal && status.looks_interrupted() {
                    self.say_ended(status, since, usage, now, out);
                    let stop = if status.code() == 128 + Signal::INT.number() {
                        Signal::INT
                    } else {
                        Signal::QUIT
                    };
                    self.cancel(stop, now, out);
                } else {
                    self.decide(status, since, usage, now, out);
                }
            }
            // A failure between fork and exec is known only when the child that reported it is
            // reaped.
            Event::SpawnFailed(failure) => self.not_started(failure, now, out),
            Event::Stop { signal, queued } => {
                let killed = self.rules.kill;
                let patience = if killed {
                    Some(KILL_PATIENCE)
                } else {
                    self.rules.grace
                };
                let until = patience.map(|patience| now.after(patience));
                self.state = State::Stopping(Stopping {
                    since,
                    asked: signal,
                    until,
                    killed,
                    out_of_reach: false,
                });
                self.release(out);
                self.send_stop(signal, queued, out);
            }
            Event::Executed => self.say_started(out),
            // A signal that is no stop did not reach it, which the rim has said.
            Event::OutOfReach | Event::Swept | Event::Tick => {}
            Event::Begin | Event::OthersGone | Event::Spawned { .. } | Event::GroupGone => {
                self.impossible(event, out);
            }
        }
    }

    #[inline(never)]
    fn when_stopping(
        &mut self,
        mut stopping: Stopping,
        event: Event,
        now: Moment,
        out: &mut Actions,
    ) {
        let Stopping {
            since,
            until,
            killed,
            ..
        } = stopping;
        match event {
            Event::Executed => self.say_started(out),
            // It may still end by itself, but nothing that frigate does will make it.
            Event::OutOfReach => {
                stopping.out_of_reach = true;
                stopping.hurry(now.after(KILL_PATIENCE));
                self.state = State::Stopping(stopping);
            }
            Event::Ended { status, usage, .. } => {
                self.last = Some(status);
                self.out_of_memory = usage.out_of_memory;
                self.say_ended(status, since, usage, now, out);
                self.end_stop(stopping, now, out);
            }
            Event::SpawnFailed(failure) if failure.is_for_now() => {
                self.end_stop(stopping, now, out);
            }
            Event::SpawnFailed(failure) => {
                let kill_at = self.kill_after_stop(stopping, now);
                self.end(Outcome::NotStarted(failure), Some(kill_at), killed, out);
            }
            Event::Stop { signal, queued } if !killed => self.send_stop(signal, queued, out),
            Event::Tick if until.is_none_or(|until| now < until) => {}
            Event::Tick if killed || stopping.out_of_reach => {
                let reason = if stopping.out_of_reach {
                    NOT_ALLOWED
                } else {
                    DEATHLESS
                };
                out.push(Action::Say(Fact::LeftBehind {
                    pid: self.pid,
                    reason,
                }));
                self.last = Some(ExitStatus::Signaled {
                    signal: Signal::KILL,
                    core: false,
                });
                // What else is left had as long as the child.
                self.end_stop(
                    Stopping {
                        killed: true,
                        ..stopping
                    },
                    now,
                    out,
                );
                if let State::Ended(finish) = &mut self.state {
                    finish.left_behind = true;
                }
            }
            Event::Tick => {
                let until = Some(now.after(KILL_PATIENCE));
                self.state = State::Stopping(Stopping {
                    until,
                    killed: true,
                    ..stopping
                });
                let grace = self.rules.grace.unwrap_or_default();
                out.extend(said_unless_zero(
                    grace,
                    Fact::Killed {
                        pid: self.pid,
                        grace,
                    },
                ));
                out.push(self.send(Signal::KILL));
            }
            Event::Stop { .. } | Event::Swept => {}
            Event::Begin | Event::OthersGone | Event::Spawned { .. } | Event::GroupGone => {
                self.impossible(event, out);
            }
        }
    }

    #[inline(never)]
    fn when_between(
        &mut self,
        start_at: Moment,
        remains: Remains,
        event: Event,
        now: Moment,
        out: &mut Actions,
    ) {
        match event {
            Event::GroupGone => {
                self.state = State::Between {
                    start_at,
                    remains: Remains::Gone,
                };
                self.start_if_due(now, out);
            }
            Event::Swept if remains != Remains::Gone => out.push(Action::ProbeGroup),
            Event::Tick => self.tick_between(start_at, remains, now, out),
            // The leftovers of the former group keep the grace period that they were given.
            Event::Stop { signal, .. } => {
                let (kill_at, killed) = match remains {
                    Remains::Gone => (now.after(self.rules.after_stop()), self.rules.kill),
                    Remains::Ending { until, .. } => (until, self.rules.kill),
                    Remains::Killed { .. } => (now, true),
                };
                self.end(
                    Outcome::Cancel {
                        last: self.last,
                        stop: signal,
                    },
                    Some(kill_at),
                    killed,
                    out,
                );
            }
            Event::Swept => {}
            Event::Begin
            | Event::OthersGone
            | Event::Spawned { .. }
            | Event::SpawnFailed(_)
            | Event::Executed
            | Event::OutOfReach
            | Event::Ended { .. } => self.impossible(event, out),
        }
    }

    fn impossible(&self, event: Event, out: &mut Actions) {
        out.push(Action::Say(Fact::Impossible {
            state: self.state.name(),
            event: event.name(),
        }));
    }

    fn say_started(&self, out: &mut Actions) {
        out.extend(self.pid.map(|pid| {
            Action::Say(Fact::Started {
                pid,
                restarts: self.restarts,
            })
        }));
    }

    fn say_ended(
        &self,
        status: ExitStatus,
        since: Moment,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        out.push(Action::Say(Fact::Ended {
            pid: self.pid,
            status,
            uptime: now.since(since),
            usage,
        }));
    }

    fn start(&mut self, now: Moment, out: &mut Actions) {
        if let Some(wait) = self.rules.grace_close {
            self.state = State::Closing {
                until: now.after(wait),
                killed: false,
            };
            out.push(Action::CloseOthers);
        } else {
            self.spawn(out);
        }
    }

    fn spawn(&mut self, out: &mut Actions) {
        self.state = State::Spawning;
        self.begun = true;
        out.push(Action::Spawn {
            restarts: self.restarts,
        });
    }

    fn start_if_due(&mut self, now: Moment, out: &mut Actions) {
        if let State::Between {
            start_at,
            remains: Remains::Gone,
        } = self.state
            && now >= start_at
        {
            self.restarts = self.restarts.saturating_add(self.begun.into());
            self.start(now, out);
        }
    }

    fn tick_between(&mut self, start_at: Moment, remains: Remains, now: Moment, out: &mut Actions) {
        let remains = match remains {
            Remains::Gone => Remains::Gone,
            Remains::Ending { until, .. } if now >= until => {
                let grace = self.rules.between_starts();
                out.extend(said_unless_zero(grace, Fact::LeftoversKilled { grace }));
                out.push(Action::KillGroup);
                out.push(Action::ProbeGroup);
                Remains::Killed {
                    until: now.after(KILL_PATIENCE),
                    look: Look::first(now),
                }
            }
            Remains::Killed { until, .. } if now >= until => {
                out.push(Action::Say(Fact::LeftBehind {
                    pid: None,
                    reason: DEATHLESS,
                }));
                Remains::Gone
            }
            Remains::Ending { until, look } if now >= look.at() => {
                out.push(Action::ProbeGroup);
                Remains::Ending {
                    until,
                    look: look.next(now),
                }
            }
            Remains::Killed { until, look } if now >= look.at() => {
                out.push(Action::ProbeGroup);
                Remains::Killed {
                    until,
                    look: look.next(now),
                }
            }
            Remains::Ending { .. } | Remains::Killed { .. } => remains,
        };
        self.state = State::Between { start_at, remains };
        self.start_if_due(now, out);
    }

    /// The child ended by itself: the strategy decides.
    fn decide(
        &mut self,
        status: ExitStatus,
        since: Moment,
        usage: Usage,
        now: Moment,
        out: &mut Actions,
    ) {
        let uptime = now.since(since);
        let verdict =
            self.history
                .after_end(&self.rules.strategy, status, uptime, self.scatter(now));
        let trouble = Trouble::Ended {
            pid: self.pid,
            status,
            uptime,
            usage,
        };
        // A restart has a line of its own, which says the same.
        if !matches!(verdict, Verdict::Again { .. }) {
            self.say_ended(status, since, usage, now, out);
        }
        self.obey(verdict, trouble, Outcome::Complete(status), now, out);
    }

    fn not_started(&mut self, failure: SpawnFailure, now: Moment, out: &mut Actions) {
        let verdict = self
            .history
            .after_failure(&self.rules.strategy, failure, self.scatter(now));
        self.obey(
            verdict,
            Trouble::NotStarted(failure),
            Outcome::NotStarted(failure),
            now,
            out,
        );
    }

    fn obey(
        &mut self,
        verdict: Verdict,
        trouble: Trouble,
        outcome: Outcome,
        now: Moment,
        out: &mut Actions,
    ) {
        let kill_at = self.rules.after_own_end().map(|span| now.after(span));
        match verdict {
            Verdict::Finish => self.end(outcome, kill_at, self.rules.kill, out),
            Verdict::GiveUp { failures } => {
                let outcome = Outcome::GaveUp { last: self.last };
                out.push(Action::Say(Fact::GaveUp {
                    failures,
                    last: self.last,
                    code: self.rules.exit_code(outcome),
                }));
                self.end(outcome, kill_at, self.rules.kill, out);
            }
            Verdict::Again { pause, failures } => {
                let limit = self.rules.strategy.limit();
                out.push(Action::Say(Fact::Restarting {
                    trouble,
                    pause,
                    failures,
                    limit,
                }));
                self.clear(now.after(pause), now, out);
            }
        }
    }

    /// Ends what a former child left, so that the next one, not before `start_at`, meets none of
    /// it.
    fn clear(&mut self, start_at: Moment, now: Moment, out: &mut Actions) {
        let look = Look::first(now);
        let remains = if self.rules.kill {
            out.push(Action::KillGroup);
            out.push(Action::ProbeGroup);
            Remains::Killed {
                until: now.after(KILL_PATIENCE),
                look,
            }
        } else {
            out.push(Action::EndGroup);
            Remains::Ending {
                until: now.after(self.rules.between_starts()),
                look,
            }
        };
        self.state = State::Between { start_at, remains };
    }

    /// The end by a stop while no child had to be killed for it.
    fn cancel(&mut self, stop: Signal, now: Moment, out: &mut Actions) {
        let outcome = Outcome::Cancel {
            last: self.last,
            stop,
        };
        self.end(
            outcome,
            Some(now.after(self.rules.after_stop())),
            self.rules.kill,
            out,
        );
    }

    /// The end of a child that was asked to stop.
    fn end_stop(&mut self, stopping: Stopping, now: Moment, out: &mut Actions) {
        let outcome = Outcome::Cancel {
            last: self.last,
            stop: stopping.asked,
        };
        let kill_at = self.kill_after_stop(stopping, now);
        self.end(outcome, Some(kill_at), stopping.killed, out);
    }

    /// When what is left after a stop is killed: at the end of the grace period if there is one.
    fn kill_after_stop(&self, stopping: Stopping, now: Moment) -> Moment {
        match (stopping.killed, stopping.until, self.rules.grace) {
            (true, ..) => now,
            (false, Some(until), Some(_)) => until,
            (false, ..) => now.after(self.rules.after_stop()),
        }
    }

    fn end(&mut self, outcome: Outcome, kill_at: Option<Moment>, killed: bool, out: &mut Actions) {
        if let Outcome::NotStarted(failure) = outcome {
            out.push(Action::Say(Fact::NotStarted {
                failure,
                code: self.rules.exit_code(outcome),
            }));
        }
        self.release(out);
        self.state = State::Ended(Finish {
            outcome,
            kill_at,
            killed,
            left_behind: false,
        });
    }

    fn release(&mut self, out: &mut Actions) {
        if !self.released {
            self.released = true;
            out.push(Action::Release);
        }
    }

    /// The stop signal, then CONT, since a stopped child could not die of it.
    fn send_stop(&self, asked: Signal, queued: bool, out: &mut Actions) {
        if self.rules.kill {
            out.push(self.send(Signal::KILL));
            return;
        }
        let signal = self.rules.stop_signal.unwrap_or(asked);
        out.push(Action::Send {
            signal,
            alone: self.rules.single_child,
            queued,
        });
        out.push(self.send(Signal::CONT));
    }

    fn send(&self, signal: Signal) -> Action {
        Action::Send {
            signal,
            alone: self.rules.single_child,
            queued: false,
        }
    }

    /// A number that two frigates do not share: the nanoseconds of the moment, well stirred (the
    /// finalizer of `SplitMix64`). Pure, so that virtual time replays it; a pause needs no better
    /// chance than that.
    fn scatter(&self, now: Moment) -> u32 {
        let mut bits = now.nanos() ^ u64::from(self.restarts);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from(bits >> 32).unwrap_or(0)
    }
}

impl Stopping {
    /// Moves the deadline to this moment if it is later, or if there is none.
    fn hurry(&mut self, until: Moment) {
        self.until = Some(self.until.map_or(until, |before| before.min(until)));
    }
}

/// Why something is left behind.
pub(crate) const DEATHLESS: &str = "it does not die of KILL";
const NOT_ALLOWED: &str = "frigate is not allowed to signal it";

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Closing { .. } => "closing",
            Self::Spawning => "spawning",
            Self::Running { .. } => "running",
            Self::Stopping(_) => "stopping",
            Self::Between { .. } => "between",
            Self::Ended(_) => "ended",
        }
    }
}

impl Event {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::OthersGone => "others-gone",
            Self::Spawned { .. } => "spawned",
            Self::SpawnFailed(_) => "spawn-failed",
            Self::Executed => "executed",
            Self::OutOfReach => "out-of-reach",
            Self::Ended { .. } => "ended",
            Self::Swept => "swept",
            Self::GroupGone => "group-gone",
            Self::Stop { .. } => "stop",
            Self::Tick => "tick",
        }
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;

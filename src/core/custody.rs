//! One protected child of a host program, to the end of what it leaves: `lifecycle`, and after it
//! the rest of its group.
//!
//! In the binary `supervisor` stands at this place, which has every process around it to look
//! after. Here only the child's own group is frigate's; nobody reports the ends in it, so that it
//! is looked at now and then until it is empty.

use core::time::Duration;

use crate::core::action::{Action, Actions};
use crate::core::fact::Fact;
use crate::core::lifecycle::{DEATHLESS, Event, Finish, KILL_PATIENCE, Lifecycle};
use crate::core::look::Look;
use crate::core::moment::Moment;
use crate::core::rules::Rules;
use crate::core::signal::Signal;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serving,
    /// The child has ended for good, and its group was sent TERM.
    Draining {
        finish: Finish,
        look: Look,
    },
    /// The group was sent KILL, and is left behind at `until`.
    Killing {
        finish: Finish,
        until: Moment,
        look: Look,
    },
    Done,
}

#[derive(Debug)]
pub(crate) struct Custody {
    child: Lifecycle,
    rules: Rules,
    phase: Phase,
}

impl Custody {
    pub(crate) const fn new(rules: Rules) -> Self {
        Self {
            child: Lifecycle::new(rules),
            rules,
            phase: Phase::Serving,
        }
    }

    /// When `Event::Tick` is due; none: only an event from outside changes anything.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match self.phase {
            Phase::Serving => self.child.deadline(),
            Phase::Draining { finish, look } => Some(
                finish
                    .kill_at
                    .map_or(look.at(), |kill_at| kill_at.min(look.at())),
            ),
            Phase::Killing { until, look, .. } => Some(until.min(look.at())),
            Phase::Done => None,
        }
    }

    /// The host asks for the end, by TERM and then, after `grace`, by KILL. Asked again it never
    /// takes longer than the shortest of the times given.
    pub(crate) fn stop(&mut self, grace: Duration, now: Moment, out: &mut Actions) {
        self.child.allow(grace, now);
        self.rules.grace = Some(grace);
        self.step(
            Event::Stop {
                signal: Signal::TERM,
                queued: false,
            },
            now,
            out,
        );
        if let Phase::Draining { finish, .. } = &mut self.phase {
            let kill_at = now.after(self.rules.after_stop());
            finish.kill_at = Some(finish.kill_at.map_or(kill_at, |before| before.min(kill_at)));
        }
    }

    pub(crate) fn step(&mut self, event: Event, now: Moment, out: &mut Actions) {
        match self.phase {
            Phase::Serving => {
                self.child.step(event, now, out);
                if let Some(finish) = self.child.finish() {
                    self.drain(finish, now, out);
                }
            }
            Phase::Draining { finish, look } => match event {
                Event::GroupGone => self.exit(finish, out),
                Event::Tick if finish.kill_at.is_some_and(|kill_at| now >= kill_at) => {
                    out.extend(self.rules.leftovers_killed(finish.outcome));
                    self.kill(finish, now, out);
                }
                Event::Tick if now >= look.at() => {
                    self.phase = Phase::Draining {
                        finish,
                        look: look.next(now),
                    };
                    out.push(Action::ProbeGroup);
                }
                Event::Tick | Event::Stop { .. } | Event::Swept => {}
                Event::Begin
                | Event::OthersGone
                | Event::Spawned { .. }
                | Event::SpawnFailed(_)
                | Event::Executed
                | Event::OutOfReach
                | Event::Ended { .. } => Self::impossible("draining", event, out),
            },
            Phase::Killing {
                finish,
                until,
                look,
            } => match event {
                Event::GroupGone => self.exit(finish, out),
                Event::Tick if now >= until => {
                    if !finish.left_behind {
                        out.push(Action::Say(Fact::LeftBehind {
                            pid: None,
                            reason: DEATHLESS,
                        }));
                    }
                    self.exit(finish, out);
                }
                // Once more: what forked just then was not seen the time before.
                Event::Tick if now >= look.at() => {
                    self.phase = Phase::Killing {
                        finish,
                        until,
                        look: look.next(now),
                    };
                    out.push(Action::KillGroup);
                    out.push(Action::ProbeGroup);
                }
                Event::Tick | Event::Stop { .. } | Event::Swept => {}
                Event::Begin
                | Event::OthersGone
                | Event::Spawned { .. }
                | Event::SpawnFailed(_)
                | Event::Executed
                | Event::OutOfReach
                | Event::Ended { .. } => Self::impossible("killing", event, out),
            },
            Phase::Done => {}
        }
    }

    fn impossible(state: &'static str, event: Event, out: &mut Actions) {
        out.push(Action::Say(Fact::Impossible {
            state,
            event: event.name(),
        }));
    }

    /// TERM to what the child left, if that is not over already.
    fn drain(&mut self, finish: Finish, now: Moment, out: &mut Actions) {
        let Some(kill_at) = finish.kill_at else {
            return self.exit(finish, out);
        };
        if finish.killed || now >= kill_at {
            self.kill(finish, now, out);
        } else {
            self.phase = Phase::Draining {
                finish,
                look: Look::first(now),
            };
            out.push(Action::EndGroup);
        }
    }

    fn kill(&mut self, finish: Finish, now: Moment, out: &mut Actions) {
        // A child that did not die of KILL has had its five seconds, and is one of those that are
        // looked for.
        let until = if finish.left_behind {
            now
        } else {
            now.after(KILL_PATIENCE)
        };
        self.phase = Phase::Killing {
            finish,
            until,
            look: Look::first(now),
        };
        out.push(Action::KillGroup);
        out.push(Action::ProbeGroup);
    }

    fn exit(&mut self, finish: Finish, out: &mut Actions) {
        self.phase = Phase::Done;
        out.push(Action::Exit(finish.outcome));
    }
}

#[cfg(test)]
#[path = "custody_tests.rs"]
mod tests;

#![allow(clippy::panic, reason = "a test whose own script is wrong has failed")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at the few kinds that it is about"
)]

use core::time::Duration;
use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Dispatcher, Event, Foreground, ProgramAction, Surroundings};
use crate::core::action::{Action, Actions, Recipient};
use crate::core::errno::Errno;
use crate::core::fact::Fact;
use crate::core::moment::Moment;
use crate::core::pid::Pid;
use crate::core::script::{self, Scripted, at_millis, brief, by, config, rest};
use crate::core::signal::{Sender, Signal};
use crate::core::status::{ExitStatus, Outcome, SpawnFailure, Stage};
use crate::core::supervisor::{Scope, Supervisor};
use crate::core::usage::Usage;
use crate::core::watch::Reaction;
use crate::core::{lifecycle, supervisor};
use crate::program::config::Config;

const TICK: Event = Event::Supervisor(supervisor::Event::Tick);

const PROCESS: Sender = Sender::Process { queued: false };
const QUEUED: Sender = Sender::Process { queued: true };

const NO_TERMINAL: Surroundings = Surroundings {
    has_terminal: false,
    is_resumable: false,
};
/// `docker run -it`: a terminal, and no shell that could resume frigate.
const AS_INIT: Surroundings = Surroundings {
    has_terminal: true,
    is_resumable: false,
};
const IN_SHELL: Surroundings = Surroundings {
    has_terminal: true,
    is_resumable: true,
};

const LEFT: Event = Event::Supervisor(rest(true));
const NONE_LEFT: Event = Event::Supervisor(rest(false));

const fn received(signal: Signal, sender: Sender) -> Event {
    Event::Received { signal, sender }
}

const fn changed(reaction: Reaction) -> Event {
    let path = "/etc/server.conf";
    Event::Changed { path, reaction }
}

const fn stop(signal: Signal) -> Event {
    received(signal, PROCESS)
}

const fn of_child(event: lifecycle::Event) -> Event {
    Event::Supervisor(supervisor::Event::Child(event))
}

const fn ended(status: ExitStatus) -> Event {
    of_child(script::ended(status))
}

const fn exited(code: u8) -> Event {
    of_child(script::exited(code))
}

const fn interrupted(signal: Signal) -> Event {
    of_child(script::interrupted(signal))
}

fn spawned(pid: i32) -> Event {
    of_child(script::spawned(pid))
}

fn signal(name: &str) -> Signal {
    Signal::parse(name).unwrap_or_else(|| panic!("no such signal: {name}"))
}

/// The whole of frigate in virtual time.
#[derive(Debug)]
struct Frigate {
    dispatcher: Dispatcher,
    supervisor: Supervisor,
    now: Moment,
}

impl Frigate {
    fn new(options: &str, surroundings: Surroundings) -> Self {
        let Config {
            rules,
            stop_on,
            restart_on,
            rewrite,
            ..
        } = config(options);
        let scope = Scope::Everyone { reports_ends: true };
        Self {
            dispatcher: Dispatcher::new(stop_on, restart_on, rewrite, surroundings),
            supervisor: Supervisor::new(&rules, scope),
            now: at_millis(0),
        }
    }

    /// Returns a frigate with a child that was started at 0.
    fn running(options: &str, surroundings: Surroundings) -> Self {
        let mut frigate = Self::new(options, surroundings);
        frigate.take(of_child(lifecycle::Event::Begin));
        frigate.take(spawned(7));
        assert_eq!(frigate.supervisor.alive(), Pid::new(7));
        frigate
    }
}

impl Scripted for Frigate {
    type Event = Event;
    type Action = ProgramAction;
    const TICK: Event = TICK;

    fn deadline(&self) -> Option<Moment> {
        self.supervisor.deadline()
    }

    fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    fn step(&mut self, event: Event) -> Vec<ProgramAction> {
        let mut out = Actions::new();
        let before = self.supervisor.deadline();
        self.dispatcher
            .step(&mut self.supervisor, event, self.now, &mut out);
        assert!(!out.is_full(), "{event:?} may have lost an action");
        let after = self.supervisor.deadline();
        // Leftovers of a child that was killed are killed without delay: that deadline may be the
        // very end of it.
        assert!(
            after == before
                || after.is_none_or(|at| at >= self.now)
                || matches!(event, Event::Supervisor(supervisor::Event::Rest { .. }))
        );
        out.iter().collect()
    }
}

fn exit(outcome: Outcome) -> String {
    brief(&[Action::Exit(outcome)])
}

// What each signal is for: `doc/specification.md#forwarding`.

#[test]
fn every_signal_from_every_sender_has_its_role() {
    for signal in (1..=64).filter_map(Signal::new) {
        for sender in [Sender::Kernel, Sender::Frigate, PROCESS, QUEUED] {
            let queued = sender == QUEUED;
            let expected = match signal {
                Signal::CHLD => "Reap".to_owned(),
                Signal::TSTP | Signal::PIPE | Signal::XFSZ if sender == Sender::Frigate => {
                    String::new()
                }
                Signal::TERM | Signal::INT | Signal::QUIT if queued => {
                    format!("report stop; send {signal} with its value; send CONT")
                }
                Signal::TERM | Signal::INT | Signal::QUIT => {
                    format!("report stop; send {signal}; send CONT")
                }
                _ if queued => format!("report forwarded; send {signal} with its value"),
                Signal::KILL => "report forwarded; KillCgroup; send KILL".to_owned(),
                _ => format!("report forwarded; send {signal}"),
            };
            let mut frigate = Frigate::running("", NO_TERMINAL);
            assert_eq!(
                frigate.take(received(signal, sender)),
                expected,
                "{signal} from {sender:?}"
            );
        }
    }
}

#[test]
fn with_single_child_no_signal_goes_to_the_group() {
    for signal in (1..=64).filter_map(Signal::new) {
        for sender in [Sender::Kernel, PROCESS, QUEUED] {
            let mut frigate = Frigate::running("--single-child", NO_TERMINAL);
            for action in frigate.step(received(signal, sender)) {
                assert!(
                    !matches!(
                        action,
                        ProgramAction::Child(Action::Send {
                            to: Recipient::Group,
                            ..
                        })
                    ),
                    "{signal}: {action:?}"
                );
            }
        }
    }
}

#[test]
fn rewriting_comes_before_the_role_and_only_once() {
    let table = [
        (
            "--rewrite HUP:QUIT",
            "HUP",
            PROCESS,
            "report stop; send QUIT; send CONT",
        ),
        (
            "--rewrite TERM:HUP",
            "TERM",
            PROCESS,
            "report forwarded; send HUP",
        ),
        (
            "--rewrite TERM:INT --stop-signal=USR2",
            "TERM",
            PROCESS,
            "report stop; send USR2; send CONT",
        ),
        ("--rewrite USR1:0", "USR1", PROCESS, "report dropped"),
        ("--rewrite TERM:0", "TERM", PROCESS, "report dropped"),
        (
            "--rewrite WINCH:RTMIN+3",
            "WINCH",
            Sender::Kernel,
            "report forwarded; send RTMIN+3",
        ),
        (
            "--rewrite RTMIN+3:USR1",
            "RTMIN+3",
            QUEUED,
            "report forwarded; send USR1 with its value",
        ),
        (
            "--rewrite RTMIN:TERM",
            "RTMIN",
            QUEUED,
            "report stop; send TERM with its value; send CONT",
        ),
        (
            "--rewrite HUP:USR1 --rewrite USR1:TERM",
            "HUP",
            PROCESS,
            "report forwarded; send USR1",
        ),
        (
            "--rewrite HUP:USR1 --rewrite HUP:USR2",
            "HUP",
            PROCESS,
            "report forwarded; send USR2",
        ),
        (
            "--rewrite HUP:0",
            "USR1",
            PROCESS,
            "report forwarded; send USR1",
        ),
        ("--rewrite PIPE:TERM", "PIPE", Sender::Frigate, ""),
        ("--rewrite XFSZ:TERM", "XFSZ", Sender::Frigate, ""),
        (
            "--stop-on HUP,RTMIN+3",
            "RTMIN+3",
            PROCESS,
            "report stop; send RTMIN+3; send CONT",
        ),
        (
            "--stop-on HUP,RTMIN+3",
            "TERM",
            PROCESS,
            "report forwarded; send TERM",
        ),
        (
            "--stop-on USR1 --rewrite TERM:USR1",
            "TERM",
            PROCESS,
            "report stop; send USR1; send CONT",
        ),
    ];
    for (options, name, sender, expected) in table {
        let mut frigate = Frigate::running(options, NO_TERMINAL);
        assert_eq!(
            frigate.take(received(signal(name), sender)),
            expected,
            "{options}: {name}"
        );
    }
}

#[test]
fn a_change_of_a_watched_path_sends_its_signal_or_restarts_the_child() {
    let hup = || changed(Reaction::Signal(signal("HUP")));
    let table = [
        ("", hup(), "report changed; send HUP"),
        // Neither `--rewrite` nor `--stop-on` is about what frigate itself sends.
        (
            "--rewrite HUP:USR1 --stop-on HUP",
            hup(),
            "report changed; send HUP",
        ),
        (
            "",
            changed(Reaction::Signal(Signal::KILL)),
            "report changed; KillCgroup; send KILL",
        ),
        (
            "--watch=/etc/server.conf=restart",
            changed(Reaction::Restart),
            "report changed; send TERM; send CONT",
        ),
    ];
    for (options, event, expected) in table {
        let mut frigate = Frigate::running(options, NO_TERMINAL);
        assert_eq!(frigate.take(event), expected, "{options}");
    }
}

#[test]
fn a_change_does_nothing_before_the_first_start_in_a_stop_and_between_two_starts() {
    let reactions = [Reaction::Signal(signal("HUP")), Reaction::Restart];
    for event in reactions.map(changed) {
        let options = "--restart=true --stop-delay=1s --watch=/etc/server.conf=restart";
        let mut frigate = Frigate::new(options, NO_TERMINAL);
        assert_eq!(frigate.take(event), "");
        let mut frigate = Frigate::running(options, NO_TERMINAL);
        frigate.take(exited(1));
        assert_eq!(frigate.supervisor.alive(), None);
        assert_eq!(frigate.take(event), "", "between two starts");
        for stops in 1..=2 {
            let mut frigate = Frigate::running(options, NO_TERMINAL);
            for _ in 0..stops {
                frigate.take(stop(Signal::TERM));
            }
            assert_eq!(frigate.take(event), "", "after {stops} stop signals");
        }
    }
}

#[test]
fn a_signal_may_ask_for_a_restart_and_a_stop_may_be_delayed_unless_it_is_ctrl_c() {
    let table = [
        (
            "--restart-on HUP",
            "HUP",
            PROCESS,
            "report restart; send TERM; send CONT",
        ),
        (
            "--restart-on HUP --rewrite USR1:HUP",
            "USR1",
            QUEUED,
            "report restart; send TERM; send CONT",
        ),
        (
            "--restart-on HUP",
            "USR1",
            PROCESS,
            "report forwarded; send USR1",
        ),
        (
            "--stop-delay 5s",
            "INT",
            PROCESS,
            "report stop; report stop-delayed",
        ),
        (
            "--stop-delay 5s",
            "INT",
            Sender::Kernel,
            "report stop; send INT; send CONT",
        ),
        (
            "--stop-delay 5s --rewrite INT:TERM",
            "INT",
            Sender::Kernel,
            "report stop; send TERM; send CONT",
        ),
    ];
    for (options, name, sender, expected) in table {
        let mut frigate = Frigate::running(options, NO_TERMINAL);
        assert_eq!(
            frigate.take(received(signal(name), sender)),
            expected,
            "{options}: {name}"
        );
    }
}

#[test]
fn messages_name_the_signal_as_received_where_it_is_dropped_and_as_sent_where_it_is_not() {
    let options = "--rewrite HUP:0 --rewrite USR1:USR2 --rewrite WINCH:TERM";
    let mut frigate = Frigate::running(options, NO_TERMINAL);
    let dropped = frigate.step(stop(signal("HUP")));
    assert_eq!(
        dropped,
        [ProgramAction::Child(Action::Report(Fact::Dropped {
            signal: signal("HUP"),
            by_rule: true
        }))]
    );
    let forwarded = frigate.step(stop(signal("USR1")));
    let Some(pid) = Pid::new(7) else {
        panic!("7 is a process id")
    };
    assert_eq!(
        forwarded.first(),
        Some(&ProgramAction::Child(Action::Report(Fact::Forwarded {
            signal: signal("USR2"),
            pid
        })))
    );
    let stopped = frigate.step(stop(signal("WINCH")));
    assert_eq!(
        stopped.first(),
        Some(&ProgramAction::Child(Action::Report(Fact::StopAsked {
            signal: Signal::TERM
        })))
    );
}

#[test]
fn a_rewritten_child_signal_is_still_a_sweep() {
    // The options refuse such a rule; were there one, the children would not be reaped any more.
    let mut frigate = Frigate::running("", NO_TERMINAL);
    frigate.dispatcher.rewrite.set(Signal::CHLD, None);
    assert_eq!(frigate.take(received(Signal::CHLD, Sender::Kernel)), "Reap");
}

#[test]
fn while_no_child_lives_stops_take_effect_and_other_signals_are_dropped() {
    let between = || {
        Frigate::running("--restart=unexpected --backoff=1s --grace=5s", NO_TERMINAL).play(&[
            (100, exited(1), "report restarting; EndGroup"),
            (100, of_child(lifecycle::Event::GroupGone), ""),
        ])
    };
    for signal in (1..=64).filter_map(Signal::new) {
        let expected = match signal {
            Signal::CHLD => "Reap",
            Signal::TERM | Signal::INT | Signal::QUIT => {
                "report stop; ReleaseDescriptors; ProbeRest"
            }
            _ => "report dropped",
        };
        for sender in [PROCESS, QUEUED] {
            assert_eq!(
                between().take(received(signal, sender)),
                expected,
                "{signal}"
            );
        }
    }
    between().play(&[
        (
            200,
            stop(Signal::TERM),
            "report stop; ReleaseDescriptors; ProbeRest",
        ),
        (
            200,
            NONE_LEFT,
            &exit(Outcome::Cancel {
                last: Some(ExitStatus::Exited(1)),
                stop: Signal::TERM,
            }),
        ),
    ]);
}

#[test]
fn a_stop_while_others_are_closed_ends_before_anything_was_started() {
    Frigate::new("--grace-close", NO_TERMINAL).play(&[
        (0, of_child(lifecycle::Event::Begin), "CloseNamesakes"),
        (10, received(signal("USR1"), PROCESS), "report dropped"),
        (
            20,
            stop(Signal::INT),
            "report stop; ReleaseDescriptors; ProbeRest",
        ),
        (
            20,
            NONE_LEFT,
            &exit(Outcome::Cancel {
                last: None,
                stop: Signal::INT,
            }),
        ),
    ]);
}

#[test]
fn a_child_that_is_being_stopped_still_gets_every_signal() {
    Frigate::running("--grace=5s", NO_TERMINAL).play(&[
        (0, stop(Signal::TERM), "report stop; send TERM; send CONT"),
        (1, stop(signal("USR1")), "report forwarded; send USR1"),
        (2, stop(Signal::INT), "report stop; send INT; send CONT"),
        (5000, TICK, "report killed; KillCgroup; send KILL"),
    ]);
}

#[test]
fn once_the_child_has_ended_for_good_no_signal_is_for_anybody() {
    let mut frigate = Frigate::running("", NO_TERMINAL).play(&[(5, exited(0), "report ended")]);
    for draining in [false, true] {
        for signal in (1..=64)
            .filter_map(Signal::new)
            .filter(|signal| *signal != Signal::CHLD)
        {
            assert_eq!(
                frigate.take(stop(signal)),
                "report dropped",
                "{signal}, draining: {draining}"
            );
        }
        assert_eq!(frigate.take(received(Signal::CHLD, Sender::Kernel)), "Reap");
        frigate.take(LEFT);
    }
}

// Starts and ends.

#[test]
fn a_sweep_that_finds_nothing_wakes_nobody() {
    for children in [true, false] {
        let mut frigate = Frigate::running("--restart=true", NO_TERMINAL);
        assert_eq!(frigate.take(Event::Supervisor(rest(children))), "");
        assert_eq!(frigate.supervisor.deadline(), None);
    }
}

#[test]
fn restarts_are_counted() {
    let frigate = Frigate::running("--restart=true", NO_TERMINAL).play(&[
        (20_000, exited(0), "report restarting; EndGroup"),
        (
            20_000,
            of_child(lifecycle::Event::GroupGone),
            "Spawn { restarts: 1 }",
        ),
        (20_000, spawned(8), ""),
    ]);
    assert_eq!(frigate.supervisor.restarts(), 1);
}

#[test]
fn a_failure_to_start_for_good_looks_at_once_what_is_left_and_exits() {
    let failure = SpawnFailure {
        stage: Stage::Exec,
        errno: Errno::new(2),
    };
    Frigate::new("", NO_TERMINAL).play(&[
        (
            0,
            of_child(lifecycle::Event::Begin),
            "Spawn { restarts: 0 }",
        ),
        (
            0,
            of_child(lifecycle::Event::SpawnFailed(failure)),
            "ReleaseDescriptors; report not-started; ProbeRest",
        ),
        (0, NONE_LEFT, &exit(Outcome::NotStarted(failure))),
    ]);
}

// What is left at the end: `doc/specification.md#leftovers`.

#[test]
fn where_nothing_is_left_it_exits_at_once() {
    let status = ExitStatus::Exited(3);
    let frigate = Frigate::running("", NO_TERMINAL).play(&[
        (5, ended(status), "report ended"),
        (5, NONE_LEFT, &exit(Outcome::Complete(status))),
    ]);
    assert_eq!(frigate.supervisor.deadline(), None);
}

#[test]
fn what_is_left_is_ended_and_has_its_time_from_the_end_of_the_child() {
    Frigate::running("--leftovers=5s", NO_TERMINAL).play(&[
        (1000, exited(0), "report ended"),
        (1000, LEFT, "report leftovers; EndRest"),
        (1500, received(Signal::CHLD, Sender::Kernel), "Reap"),
        (1500, LEFT, ""),
        (
            6000,
            TICK,
            "report leftovers-killed if any; KillRest; ProbeRest",
        ),
        (
            6001,
            NONE_LEFT,
            &exit(Outcome::Complete(ExitStatus::Exited(0))),
        ),
    ]);
}

#[test]
fn what_is_left_after_a_stop_gets_the_rest_of_the_grace_period() {
    let outcome = Outcome::Cancel {
        last: Some(by(Signal::TERM)),
        stop: Signal::TERM,
    };
    Frigate::running("--grace=5s", NO_TERMINAL).play(&[
        (
            1000,
            stop(Signal::TERM),
            "report stop; send TERM; send CONT",
        ),
        (3000, ended(by(Signal::TERM)), "report ended"),
        (3000, LEFT, "report leftovers; EndRest"),
        (
            6000,
            TICK,
            "report leftovers-killed if any; KillRest; ProbeRest",
        ),
        (6010, TICK, "KillRest; ProbeRest"),
        (6011, NONE_LEFT, &exit(outcome)),
    ]);
}

#[test]
fn what_is_left_alone_delays_no_exit_and_gets_no_signal() {
    Frigate::running("--leftovers=leave", NO_TERMINAL).play(&[
        (1000, exited(3), "report ended"),
        (1000, LEFT, &exit(Outcome::Complete(ExitStatus::Exited(3)))),
    ]);
    // After a stop it is ended nevertheless.
    Frigate::running("--leftovers=leave", NO_TERMINAL).play(&[
        (
            1000,
            stop(Signal::TERM),
            "report stop; send TERM; send CONT",
        ),
        (2000, ended(by(Signal::TERM)), "report ended"),
        (2000, LEFT, "report leftovers; EndRest"),
        (
            7000,
            TICK,
            "report leftovers-killed if any; KillRest; ProbeRest",
        ),
    ]);
}

#[test]
fn a_time_of_nothing_for_leftovers_kills_them_without_a_word() {
    Frigate::running("--leftovers=0", NO_TERMINAL).play(&[
        (1000, exited(0), "report ended"),
        (1000, LEFT, "report leftovers; EndRest"),
        (1000, TICK, "KillRest; ProbeRest"),
    ]);
}

#[test]
fn leftovers_that_end_by_themselves_are_not_killed() {
    Frigate::running("--leftovers=5s", NO_TERMINAL).play(&[
        (1000, exited(0), "report ended"),
        (1000, LEFT, "report leftovers; EndRest"),
        (
            1500,
            NONE_LEFT,
            &exit(Outcome::Complete(ExitStatus::Exited(0))),
        ),
    ]);
}

#[test]
fn under_kill_what_is_left_is_killed_at_once_and_without_a_word() {
    Frigate::running("--kill", NO_TERMINAL).play(&[
        (1000, exited(0), "report ended"),
        (1000, LEFT, "report leftovers; EndRest"),
        (1000, TICK, "KillRest; ProbeRest"),
        (
            1001,
            NONE_LEFT,
            &exit(Outcome::Complete(ExitStatus::Exited(0))),
        ),
    ]);
}

#[test]
fn what_a_killed_child_leaves_is_killed_without_another_wait_or_word() {
    let outcome = Outcome::Cancel {
        last: Some(by(Signal::KILL)),
        stop: Signal::TERM,
    };
    Frigate::running("--grace=5s", NO_TERMINAL).play(&[
        (0, stop(Signal::TERM), "report stop; send TERM; send CONT"),
        (5000, TICK, "report killed; KillCgroup; send KILL"),
        (5001, ended(by(Signal::KILL)), "report ended"),
        (5001, LEFT, "report leftovers; EndRest"),
        (5001, TICK, "KillRest; ProbeRest"),
        (5002, NONE_LEFT, &exit(outcome)),
    ]);
}

#[test]
fn what_not_even_kill_ends_is_looked_at_again_and_left_behind_after_five_seconds() {
    let mut frigate = Frigate::running("--leftovers=1s", NO_TERMINAL).play(&[
        (0, exited(7), "report ended"),
        (0, LEFT, "report leftovers; EndRest"),
        (
            1000,
            TICK,
            "report leftovers-killed if any; KillRest; ProbeRest",
        ),
    ]);
    let mut looks = 0;
    loop {
        let Some(deadline) = frigate.supervisor.deadline() else {
            panic!("nothing would ever end this")
        };
        frigate.now = deadline;
        let actions = frigate.take(TICK);
        if actions != "KillRest; ProbeRest" {
            assert_eq!(
                actions,
                format!(
                    "report left-behind if any; {}",
                    exit(Outcome::Complete(ExitStatus::Exited(7)))
                )
            );
            break;
        }
        looks += 1;
        assert_eq!(frigate.take(LEFT), "");
    }
    assert_eq!(frigate.now, at_millis(6000));
    assert!((5..20).contains(&looks), "{looks} looks in 5 s");
}

#[test]
fn leftovers_of_the_last_group_that_were_killed_before_a_stop_are_not_said_to_be_killed_again() {
    let mut frigate = Frigate::running("--restart=unexpected --leftovers=1s", NO_TERMINAL);
    let mut said = frigate.take(exited(1));
    while !said.contains("leftovers-killed") {
        let Some(deadline) = frigate.supervisor.deadline() else {
            panic!("nothing would ever end this")
        };
        frigate.now = deadline;
        said = frigate.take(TICK);
    }
    frigate.play(&[
        (
            1000,
            stop(Signal::TERM),
            "report stop; ReleaseDescriptors; ProbeRest",
        ),
        (1000, LEFT, "report leftovers; EndRest"),
        (1000, TICK, "KillRest; ProbeRest"),
    ]);
}

// The terminal: `doc/specification.md#terminal`.

const TSTP: Signal = Signal::TSTP;

fn stopped_by(signal: Signal, foreground: Foreground) -> Event {
    Event::Suspended { signal, foreground }
}

#[test]
fn a_stopped_child_is_continued_followed_or_let_be() {
    use Foreground::{Child, Frigate as Own, Other};
    const CONTINUED: &str = "report continued; send CONT";
    const FOLLOWED: &str = "TakeTerminal; Suspend";
    const GIVEN: &str = "GiveTerminal { and_continue: true }";
    let without_terminal_but_shell = Surroundings {
        has_terminal: false,
        is_resumable: true,
    };
    let table = [
        (AS_INIT, TSTP, Child, CONTINUED),
        (AS_INIT, TSTP, Other, CONTINUED),
        (AS_INIT, Signal::STOP, Child, ""),
        (AS_INIT, Signal::TTIN, Own, GIVEN),
        (AS_INIT, Signal::TTOU, Own, GIVEN),
        (AS_INIT, Signal::TTIN, Other, ""),
        (IN_SHELL, TSTP, Child, FOLLOWED),
        (IN_SHELL, TSTP, Own, FOLLOWED),
        (IN_SHELL, Signal::STOP, Child, FOLLOWED),
        (IN_SHELL, Signal::TTIN, Other, FOLLOWED),
        (IN_SHELL, Signal::TTOU, Child, FOLLOWED),
        (IN_SHELL, Signal::TTIN, Own, GIVEN),
        (IN_SHELL, Signal::TTOU, Own, GIVEN),
        (NO_TERMINAL, TSTP, Other, ""),
        (NO_TERMINAL, Signal::TTIN, Other, ""),
        (without_terminal_but_shell, TSTP, Other, ""),
        (without_terminal_but_shell, Signal::STOP, Other, ""),
    ];
    for (surroundings, signal, foreground, expected) in table {
        let mut frigate = Frigate::running("", surroundings);
        let actions = frigate.take(stopped_by(signal, foreground));
        assert_eq!(
            actions, expected,
            "{surroundings:?}, {signal}, {foreground:?}"
        );
    }
}

/// Checks the same as rules, over everything that could make a difference.
#[test]
fn a_stopped_child_meets_one_rule_in_every_surrounding() {
    for (has_terminal, is_resumable) in [(false, false), (false, true), (true, false), (true, true)]
    {
        for foreground in [Foreground::Frigate, Foreground::Child, Foreground::Other] {
            for signal in [Signal::STOP, TSTP, Signal::TTIN, Signal::TTOU] {
                for asked_by in [None, Some(PROCESS), Some(QUEUED), Some(Sender::Kernel)] {
                    let mut frigate = Frigate::running(
                        "",
                        Surroundings {
                            has_terminal,
                            is_resumable,
                        },
                    );
                    asked_by.map(|sender| frigate.take(received(signal, sender)));
                    let by_process = asked_by.is_some_and(|sender| sender != Sender::Kernel);
                    let wants_terminal = signal == Signal::TTIN || signal == Signal::TTOU;
                    let expected = match (has_terminal, is_resumable) {
                        (true, _) if wants_terminal && foreground == Foreground::Frigate => {
                            "GiveTerminal { and_continue: true }"
                        }
                        (true, true) => "TakeTerminal; Suspend",
                        (true, false) if signal == TSTP && !by_process => {
                            "report continued; send CONT"
                        }
                        (false, _) | (true, false) => "",
                    };
                    let actions = frigate.take(stopped_by(signal, foreground));
                    let case = format!(
                        "{has_terminal}, {is_resumable}, {foreground:?}, {signal}, {asked_by:?}"
                    );
                    assert_eq!(actions, expected, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_stop_that_a_process_asked_for_is_left_alone_where_ctrl_z_is_continued() {
    for signal in [TSTP, Signal::TTIN, Signal::TTOU, Signal::STOP] {
        Frigate::running("", AS_INIT).play(&[
            (
                0,
                received(signal, PROCESS),
                &format!("report forwarded; send {signal}"),
            ),
            (1, stopped_by(TSTP, Foreground::Child), ""),
            // The next signal is the user's again.
            (
                2,
                stopped_by(TSTP, Foreground::Child),
                "report continued; send CONT",
            ),
        ]);
    }
}

#[test]
fn a_stop_that_a_process_asked_for_stays_wanted_when_another_signal_comes_before_it_is_seen() {
    Frigate::running("", AS_INIT).play(&[
        (0, received(TSTP, PROCESS), "report forwarded; send TSTP"),
        (
            0,
            received(signal("USR1"), PROCESS),
            "report forwarded; send USR1",
        ),
        (1, stopped_by(TSTP, Foreground::Child), ""),
    ]);
}

#[test]
fn a_continuation_takes_back_what_a_forwarded_stop_announced() {
    let given = "GiveTerminal { and_continue: false }; report forwarded; send CONT";
    Frigate::running("", AS_INIT).play(&[
        (0, received(TSTP, PROCESS), "report forwarded; send TSTP"),
        (1, received(Signal::CONT, PROCESS), given),
        (
            2,
            stopped_by(TSTP, Foreground::Child),
            "report continued; send CONT",
        ),
    ]);
}

#[test]
fn a_forwarded_stop_that_the_child_withstood_says_nothing_of_a_later_ctrl_z() {
    Frigate::running("", AS_INIT).play(&[
        (0, received(TSTP, PROCESS), "report forwarded; send TSTP"),
        (
            5000,
            stopped_by(TSTP, Foreground::Child),
            "report continued; send CONT",
        ),
    ]);
}

#[test]
fn a_stop_that_was_forwarded_to_the_former_child_says_nothing_of_the_next() {
    Frigate::running("--restart=true", AS_INIT).play(&[
        (
            20_000,
            received(TSTP, PROCESS),
            "report forwarded; send TSTP",
        ),
        (
            20_001,
            exited(1),
            "TakeTerminal; report restarting; EndGroup",
        ),
        (
            20_001,
            of_child(lifecycle::Event::GroupGone),
            "Spawn { restarts: 1 }",
        ),
        (20_001, spawned(8), ""),
        (
            30_000,
            stopped_by(TSTP, Foreground::Child),
            "report continued; send CONT",
        ),
    ]);
}

#[test]
fn a_continuation_gives_the_child_the_terminal_first() {
    for surroundings in [AS_INIT, IN_SHELL] {
        let mut frigate = Frigate::running("", surroundings);
        let expected = "GiveTerminal { and_continue: false }; report forwarded; send CONT";
        assert_eq!(frigate.take(received(Signal::CONT, PROCESS)), expected);
    }
    let mut frigate = Frigate::running("", NO_TERMINAL);
    assert_eq!(
        frigate.take(received(Signal::CONT, PROCESS)),
        "report forwarded; send CONT"
    );
}

#[test]
fn ctrl_z_that_reached_frigate_stops_the_whole_job_where_somebody_can_resume_it() {
    let shell = Surroundings {
        has_terminal: false,
        is_resumable: true,
    };
    let mut frigate = Frigate::running("", shell);
    assert_eq!(
        frigate.take(received(TSTP, Sender::Kernel)),
        "report forwarded; send TSTP; Suspend"
    );
    assert_eq!(
        frigate.take(received(TSTP, PROCESS)),
        "report forwarded; send TSTP"
    );
    assert_eq!(frigate.take(received(TSTP, Sender::Frigate)), "");
    let mut frigate = Frigate::running("", NO_TERMINAL);
    assert_eq!(
        frigate.take(received(TSTP, Sender::Kernel)),
        "report forwarded; send TSTP"
    );
}

#[test]
fn the_terminal_is_taken_back_first_of_all_when_the_child_ends() {
    for surroundings in [AS_INIT, IN_SHELL] {
        let actions = Frigate::running("--restart=true", surroundings).take(exited(1));
        assert_eq!(actions, "TakeTerminal; report restarting; EndGroup");
    }
    assert_eq!(
        Frigate::running("--restart=true", NO_TERMINAL).take(exited(1)),
        "report restarting; EndGroup"
    );
}

#[test]
fn a_child_interrupted_at_the_terminal_is_a_cancel() {
    let interrupted = interrupted(Signal::INT);
    let outcome = Outcome::Cancel {
        last: Some(by(Signal::INT)),
        stop: Signal::INT,
    };
    Frigate::running("--restart=true", AS_INIT).play(&[
        (
            50,
            interrupted,
            "TakeTerminal; ReleaseDescriptors; report ended",
        ),
        (50, NONE_LEFT, &exit(outcome)),
    ]);
}

#[test]
fn a_stop_of_nobody_is_ignored() {
    let mut frigate =
        Frigate::running("", AS_INIT).play(&[(5, exited(0), "TakeTerminal; report ended")]);
    assert_eq!(frigate.take(stopped_by(TSTP, Foreground::Child)), "");
}

// Whole lives, in worlds where processes die of what is sent to them, or do not.

/// Which signals end a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Temper {
    /// Every signal but CONT.
    Mild,
    /// KILL alone.
    Stubborn,
    /// Nothing: it sleeps in the kernel.
    Undead,
}

impl Temper {
    fn dies_of(self, signal: Signal) -> bool {
        match self {
            Self::Mild => signal != Signal::CONT && signal != Signal::CHLD,
            Self::Stubborn => signal == Signal::KILL,
            Self::Undead => false,
        }
    }
}

/// Plays the rim: performs what is asked, and answers as the real one does, after the whole step.
#[derive(Debug)]
struct World {
    frigate: Frigate,
    child: Temper,
    /// Which signals end what each child leaves in its group.
    leaves: Option<Temper>,
    alive: bool,
    left: bool,
    exits: Vec<Outcome>,
    /// The actions since the test last read them.
    done: Vec<ProgramAction>,
}

impl World {
    fn new(options: &str, child: Temper, leaves: Option<Temper>) -> Self {
        let frigate = Frigate::new(options, NO_TERMINAL);
        Self {
            frigate,
            child,
            leaves,
            alive: false,
            left: false,
            exits: Vec::new(),
            done: Vec::new(),
        }
    }

    fn tell(&mut self, event: impl Into<Event>) {
        self.tell_all([event.into()]);
    }

    /// Reports what one turn of the loop has found. An answer comes before what waits. A sweep's
    /// ends come last.
    fn tell_all(&mut self, events: impl Into<VecDeque<Event>>) {
        let mut events = events.into();
        while let Some(event) = events.pop_front() {
            for action in self.frigate.step(event) {
                self.done.push(action);
                let is_swept = matches!(
                    action,
                    ProgramAction::Reap
                        | ProgramAction::Child(Action::ProbeRest | Action::Send { .. })
                );
                let found = self.perform(action);
                if is_swept {
                    events.extend(found);
                } else {
                    found
                        .into_iter()
                        .rev()
                        .for_each(|event| events.push_front(event));
                }
            }
        }
    }

    fn rest_event(&self) -> Event {
        Event::Supervisor(rest(self.alive || self.left))
    }

    /// Returns the events of the child's end, as a sweep reports them.
    fn child_ends(&mut self, status: ExitStatus) -> Vec<Event> {
        if !core::mem::replace(&mut self.alive, false) {
            return Vec::new();
        }
        self.left = self.leaves.is_some();
        vec![ended(status), self.rest_event()]
    }

    fn signal_leftovers(&mut self, signal: Signal) {
        self.left &= self.leaves.is_some_and(|temper| !temper.dies_of(signal));
    }

    fn signal_all(&mut self, signal: Signal) -> Vec<Event> {
        self.signal_leftovers(signal);
        self.alive &= !self.child.dies_of(signal);
        vec![self.rest_event()]
    }

    fn perform(&mut self, action: ProgramAction) -> Vec<Event> {
        let gone = |left: bool| {
            let event = of_child(lifecycle::Event::GroupGone);
            if left { Vec::new() } else { vec![event] }
        };
        let action = match action {
            ProgramAction::Child(action) => action,
            ProgramAction::Reap => return vec![self.rest_event()],
            _ => return Vec::new(),
        };
        match action {
            Action::Spawn { .. } => {
                assert!(
                    !self.alive && !self.left,
                    "a start beside the former child or what it left"
                );
                self.alive = true;
                return vec![spawned(7)];
            }
            Action::Send { signal, .. } if self.alive && self.child.dies_of(signal) => {
                return self.child_ends(by(signal));
            }
            Action::CloseNamesakes => return vec![of_child(lifecycle::Event::NamesakesGone)],
            Action::EndGroup => {
                self.signal_leftovers(Signal::TERM);
                return gone(self.left);
            }
            Action::ProbeGroup => return gone(self.left),
            Action::KillGroup => self.signal_leftovers(Signal::KILL),
            Action::ProbeRest => return vec![self.rest_event()],
            Action::EndRest => return self.signal_all(Signal::TERM),
            Action::KillRest => return self.signal_all(Signal::KILL),
            Action::Exit(outcome) => self.exits.push(outcome),
            // It still exists, but does not matter any more.
            Action::ReportIfAnyLeft(Fact::LeftBehind { .. }) => self.left = false,
            _ => {}
        }
        Vec::new()
    }

    /// Lets time pass until then, and frigate act at each deadline on the way.
    fn pass_until(&mut self, until: Moment) {
        self.tick_until(until);
        self.frigate.now = until;
    }

    /// Moves time up to `until`. A minute of looks and pauses is a few hundred ticks. If a tick did
    /// not move the deadline, that would be a busy loop.
    fn tick_until(&mut self, until: Moment) {
        for _ in 0..100_000 {
            let deadline = self
                .frigate
                .supervisor
                .deadline()
                .filter(|deadline| *deadline <= until);
            let Some(deadline) = deadline else { return };
            self.frigate.now = deadline.max(self.frigate.now);
            self.tell(TICK);
        }
        panic!("it never sleeps: {:?}", self.frigate);
    }

    /// Lets frigate act at its deadlines until there is none.
    fn pass(&mut self) {
        self.tick_until(Moment::from_nanos(u64::MAX));
    }
}

/// One thing that happens to a whole frigate.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Passes(u64),
    Ends(ExitStatus),
    Signal(Signal, Sender),
    Anything(Event),
}

fn any_signal() -> impl Strategy<Value = Signal> {
    (1..=64).prop_filter_map("no such signal", Signal::new)
}

fn any_sender() -> impl Strategy<Value = Sender> {
    prop::sample::select(vec![Sender::Kernel, Sender::Frigate, PROCESS, QUEUED])
}

fn any_status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        Just(ExitStatus::Exited(0)),
        any::<u8>().prop_map(ExitStatus::Exited),
        any_signal().prop_map(by)
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let foreground = prop::sample::select(vec![
        Foreground::Frigate,
        Foreground::Child,
        Foreground::Other,
    ]);
    prop_oneof![
        Just(of_child(lifecycle::Event::Begin)),
        Just(of_child(lifecycle::Event::NamesakesGone)),
        Just(of_child(lifecycle::Event::GroupGone)),
        Just(of_child(lifecycle::Event::Executed)),
        Just(of_child(lifecycle::Event::SignalRefused)),
        Just(TICK),
        (1..100).prop_map(spawned),
        (1..200).prop_map(|errno| {
            let (stage, errno) = (Stage::Exec, Errno::new(errno));
            of_child(lifecycle::Event::SpawnFailed(SpawnFailure { stage, errno }))
        }),
        (any_status(), any::<bool>()).prop_map(|(status, held_terminal)| {
            let usage = Usage::NONE;
            of_child(lifecycle::Event::Ended {
                status,
                held_terminal,
                usage,
            })
        }),
        any::<bool>().prop_map(|is_any| Event::Supervisor(rest(is_any))),
        (any_signal(), foreground)
            .prop_map(|(signal, foreground)| Event::Suspended { signal, foreground }),
        (any_signal(), any_sender())
            .prop_map(|(signal, sender)| Event::Received { signal, sender }),
        any_signal().prop_map(|signal| changed(Reaction::Signal(signal))),
        Just(changed(Reaction::Restart)),
    ]
}

/// Returns everything that can happen, except for a request to stop.
fn life() -> impl Strategy<Value = Vec<Happening>> {
    let harmless = any_signal().prop_filter("it stops", |signal| {
        ![Signal::TERM, Signal::INT, Signal::QUIT, Signal::KILL].contains(signal)
    });
    let happening = prop_oneof![
        3 => prop_oneof![0..100_u64, 0..60_000_u64].prop_map(Happening::Passes),
        3 => any_status().prop_map(Happening::Ends),
        2 => (harmless, any_sender()).prop_map(|(signal, sender)| Happening::Signal(signal, sender)),
    ];
    prop::collection::vec(happening, 0..25)
}

fn any_options() -> impl Strategy<Value = String> {
    let select = |words: &[&'static str]| prop::sample::select(words.to_vec());
    let restart = select(&[
        "",
        "--restart=unexpected",
        "--restart=true",
        "--restart=true --start-secs=0",
    ]);
    let grace = select(&["", "--grace=0", "--grace=50ms", "--grace=7s", "--kill"]);
    let other = select(&[
        "",
        "--leftovers=leave",
        "--leftovers=70ms",
        "--grace-close",
        "--single-child",
        "--stop-signal=HUP",
        "--stop-on=USR1,TERM",
        "--restart-on=HUP,USR2",
        "--stop-delay=3s",
    ]);
    let retries = select(&["", "--start-retries=0", "--start-retries=1000"]);
    (restart, grace, other, retries).prop_map(|(a, b, c, d)| format!("{a} {b} {c} {d}"))
}

fn any_temper() -> impl Strategy<Value = Temper> {
    prop::sample::select(vec![Temper::Mild, Temper::Stubborn, Temper::Undead])
}

impl World {
    fn live(&mut self, life: &[Happening]) {
        for happening in life {
            match *happening {
                Happening::Passes(millis) => {
                    let until = self.frigate.now.after(Duration::from_millis(millis));
                    self.pass_until(until);
                }
                Happening::Ends(status) => {
                    let events = self.child_ends(status);
                    self.tell_all(events);
                }
                Happening::Signal(signal, sender) => self.tell(received(signal, sender)),
                Happening::Anything(event) => self.tell(event),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_that_is_asked_to_stop_ends_in_one_exit_and_in_time(
        options in any_options(),
        child in any_temper(),
        leaves in prop::option::of(any_temper()),
        life in life(),
    ) {
        let mut world = World::new(&options, child, leaves);
        world.tell(of_child(lifecycle::Event::Begin));
        world.live(&life);
        prop_assert!(world.exits.len() <= 1, "{:?}", world.exits);
        prop_assert!(!brief(&world.done).contains("impossible"), "{}", brief(&world.done));
        world.done.clear();
        let rules = config(&options).rules;
        let (asked, over) = (world.frigate.now, world.exits.len());
        world.tell(stop(Signal::TERM));
        world.pass();
        if rules.stop.grace.is_none() && !rules.stop.kill && world.alive {
            // The child may take all the time that it needs.
            prop_assert_eq!((world.exits.len(), world.frigate.supervisor.deadline()), (0, None));
            return Ok(());
        }
        prop_assert_eq!(world.exits.len(), 1);
        let started = world.done.iter().any(|action| matches!(action, ProgramAction::Child(Action::Spawn { .. } | Action::CloseNamesakes)));
        prop_assert!(!started, "a start after a stop: {:?}", world.done);
        let took = world.frigate.now.since(asked);
        let mut grace = rules.after_stop().max(rules.between_starts());
        if rules.restart_policy.on_request {
            grace = grace.max(rules.own_stop_grace());
        }
        // Five seconds for the child, and five for what it left.
        prop_assert!(took <= rules.stop.delay + grace + Duration::from_millis(5200), "it took {took:?}");
        if over == 0 && child == Temper::Mild && leaves.is_none() {
            prop_assert!(took <= rules.stop.delay, "no child was left to wait {took:?} for");
        }
    }

    #[test]
    fn a_life_without_restarts_ends_in_one_exit_with_the_end_of_its_child(
        options in prop::sample::select(vec!["", "--grace=50ms", "--kill", "--restart=unexpected"]),
        leaves in prop::option::of(any_temper()),
        code in any::<u8>(),
    ) {
        let mut world = World::new(options, Temper::Mild, leaves);
        world.tell(of_child(lifecycle::Event::Begin));
        let code = if options == "--restart=unexpected" { 0 } else { code };
        world.live(&[Happening::Ends(ExitStatus::Exited(code))]);
        world.pass();
        prop_assert_eq!(world.exits, [Outcome::Complete(ExitStatus::Exited(code))]);
    }

    /// Reports any event, sensible or not. Nothing panics, there is one exit, and after it nothing
    /// is started, sent or waited for.
    #[test]
    fn nothing_matters_after_the_exit(
        options in any_options(),
        life in prop::collection::vec(any_event().prop_map(Happening::Anything), 0..60),
        afterwards in prop::collection::vec(any_event().prop_map(Happening::Anything), 1..30),
    ) {
        let mut world = World::new(&options, Temper::Mild, None);
        world.tell(of_child(lifecycle::Event::Begin));
        // A wild event may report a child that the world does not have.
        (world.alive, world.left) = (false, false);
        for happening in life {
            world.live(&[happening]);
            world.alive = false;
        }
        world.tell(stop(Signal::TERM));
        world.tell(exited(0));
        world.tell(NONE_LEFT);
        world.pass();
        prop_assert_eq!(world.exits.len(), 1);
        world.done.clear();
        world.live(&afterwards);
        prop_assert_eq!((world.exits.len(), world.frigate.supervisor.deadline()), (1, None));
        for action in &world.done {
            let harmless = matches!(
                action,
                ProgramAction::Child(Action::Report(_)) | ProgramAction::Reap | ProgramAction::TakeTerminal
            );
            prop_assert!(harmless, "{action:?}");
        }
    }
}

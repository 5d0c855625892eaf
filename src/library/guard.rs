//! The driver of the library: one thread of frigate's own for all protected children of the host.
//!
//! *Invariant:* the thread is made when a child is first protected, lives as long as the host, has
//! every signal blocked but the C library's own, and with nothing to do sleeps in one `poll(2)`
//! without a time-out: over the pidfds of the children and a bell that commands ring.

use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::core::pid::Pid;
use crate::library::child_setup::ChildSetup;
use crate::library::error::Error;
use crate::library::shared_state::{SharedState, lock};
use crate::library::ward::Ward;
use crate::sys::host::{self, Bell, Look};
use crate::sys::signals::Watch;
use crate::sys::spawn::Spawned;
use crate::sys::{clock, startup};

/// What other threads ask of frigate's.
enum Command {
    Protect(Box<ChildSetup>),
    Stop {
        link: Arc<SharedState>,
        timeout: Duration,
    },
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Guard {
    commands: Sender<Command>,
    bell: Arc<Bell>,
}

static GUARD: Mutex<Option<Guard>> = Mutex::new(None);

impl Guard {
    /// The guard on duty; a new one where there is none.
    ///
    /// # Errors
    ///
    /// The kernel has no pidfds, or no thread is to be had.
    pub(crate) fn on_duty() -> Result<Self, Error> {
        let mut on_duty = lock(&GUARD);
        if let Some(guard) = on_duty.as_ref() {
            return Ok(guard.clone());
        }
        let host = startup::own_pid().ok_or(Error::Unsupported)?;
        if !host::has_pidfds() {
            return Err(Error::Unsupported);
        }
        let system = |attempt, source| Error::System { attempt, source };
        let bell = Bell::new().map_err(|errno| {
            system(
                "make an eventfd",
                std::io::Error::from_raw_os_error(errno.raw()),
            )
        })?;
        let bell = Arc::new(bell);
        let (commands, orders) = channel();
        let heard = Arc::clone(&bell);
        // Blocked before the thread exists, so that no handler of the host's runs on it before it
        // has blocked them itself.
        let thread = host::with_all_blocked(|| {
            std::thread::Builder::new()
                .name("frigate".to_owned())
                .spawn(move || keep_watch(&heard, &orders, host))
        });
        thread.map_err(|source| system("start a thread", source))?;
        let guard = Self { commands, bell };
        *on_duty = Some(guard.clone());
        Ok(guard)
    }

    fn order(&self, command: Command) {
        // The thread never ends before the host does.
        let _ = self.commands.send(command);
        self.bell.ring();
    }

    pub(crate) fn protect(&self, setup: ChildSetup) {
        self.order(Command::Protect(Box::new(setup)));
    }

    pub(crate) fn stop(&self, link: &Arc<SharedState>, timeout: Duration) {
        self.order(Command::Stop {
            link: Arc::clone(link),
            timeout,
        });
    }
}

/// The thread.
fn keep_watch(bell: &Bell, orders: &Receiver<Command>, host: Pid) {
    host::keep_signals_off();
    let mut wards: Vec<Ward> = Vec::new();
    // Children that did not die of KILL: nobody watches over them, but no zombie is to stay.
    let mut stragglers: Vec<Spawned> = Vec::new();
    loop {
        let now = clock::now();
        for ward in wards
            .iter_mut()
            .filter(|ward| ward.deadline().is_some_and(|deadline| deadline <= now))
        {
            ward.tick();
        }
        for ward in wards.extract_if(.., |ward| ward.has_ended()) {
            stragglers.extend(ward.finish());
        }
        let now = clock::now();
        let timeout = wards
            .iter()
            .filter_map(Ward::deadline)
            .min()
            .map(|deadline| deadline.since(now));
        let seen = look_out(bell, &wards, &stragglers, timeout);
        let mut rest = seen.as_slice();
        for ward in &mut wards {
            let (own, others) = rest
                .split_at_checked(ward.watched().count())
                .unwrap_or_default();
            rest = others;
            if own.contains(&true) {
                ward.look(own);
            }
        }
        stragglers.retain(|child| {
            let pidfd = child.pidfd.as_ref().map(AsFd::as_fd);
            pidfd.is_some_and(|pidfd| matches!(host::reap(pidfd), Look::Alive))
        });
        bell.silence();
        for command in orders.try_iter() {
            match command {
                Command::Protect(setup) => wards.push(Ward::new(*setup, host)),
                Command::Stop { link, timeout } => {
                    if let Some(ward) = wards
                        .iter_mut()
                        .find(|ward| Arc::ptr_eq(ward.shared(), &link))
                    {
                        ward.stop(timeout);
                    }
                }
            }
        }
    }
}

/// Sleeps until there is something to do; answers with one flag for each thing that is watched for
/// the wards, in order.
fn look_out(
    bell: &Bell,
    wards: &[Ward],
    stragglers: &[Spawned],
    timeout: Option<Duration>,
) -> Vec<bool> {
    let mut watched: Vec<_> = wards.iter().flat_map(Ward::watched).collect();
    watched.push(Watch::readable(bell.as_fd()));
    watched.extend(
        stragglers
            .iter()
            .filter_map(|child| child.pidfd.as_ref())
            .map(|fd| Watch::readable(fd.as_fd())),
    );
    host::wait(&watched, timeout)
}

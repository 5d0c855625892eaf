//! The claims by topic. Each scenario is named after the sentence that it checks.

mod capture;
mod cgroup;
mod cli;
mod descriptors;
mod docker;
mod exit_code;
mod grace;
mod grace_close;
mod group;
mod health;
mod house;
mod messages;
mod modes;
mod probe;
mod reaping;
mod requests;
mod restart;
mod signals;
mod terminal;
mod user;
mod vm;
mod watch;

use libtest_mimic::Trial;

/// Lists every scenario.
pub fn register(out: &mut Vec<Trial>) {
    capture::trials(out);
    cli::trials(out);
    descriptors::trials(out);
    docker::trials(out);
    exit_code::trials(out);
    grace::trials(out);
    grace_close::trials(out);
    group::trials(out);
    health::trials(out);
    house::trials(out);
    messages::trials(out);
    modes::trials(out);
    probe::trials(out);
    reaping::trials(out);
    requests::trials(out);
    restart::trials(out);
    signals::trials(out);
    terminal::trials(out);
    user::trials(out);
    watch::trials(out);
    // Scenarios in the guest come last, so that no others wait for them.
    cgroup::trials(out);
    vm::trials(out);
}

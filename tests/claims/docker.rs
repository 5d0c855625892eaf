//! Real containers: the project's image built from its `Dockerfile`, and Debian's servers behind
//! the entrypoint `["frigate", "--restart=unexpected", "--"]`.
//!
//! Every container belongs to one trial, is named after this process, has no network, and is
//! removed when the trial ends. The images come from `tests/docker/images`, which makes them on the
//! machine itself.

mod confinement;
mod container;
mod draining;
mod examples;
mod hangs;
mod health;
mod image;
mod init;
mod jobs;
mod lifetime;
mod servers;
mod terminal;
mod termination_log;

use std::process::Command;

use libtest_mimic::Trial;

use crate::support::capability::{self, Capability};
use crate::support::scenario;

/// An engine, and the tools that make images for it without pulling any. It has the engine's name:
/// `FRIGATE_TEST_REQUIRE=docker` requires these trials to run.
static CONTAINERS: Capability = Capability::new("docker", || {
    capability::DOCKER.check()?;
    let check = Command::new(container::script("base-image"))
        .arg("--check")
        .output()
        .map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&check.stderr);
    if check.status.success() {
        Ok(())
    } else {
        Err(said.trim().trim_start_matches("base-image: ").to_owned())
    }
});

/// A second engine, which belongs to the test.
static SECOND_ENGINE: Capability = Capability::new("dockerd", || {
    capability::ROOT.check()?;
    answers("dockerd", "--version")
});

static COMPOSE: Capability =
    Capability::new("docker-compose", || answers("docker-compose", "version"));

static PODMAN: Capability = Capability::new("podman", || {
    capability::ROOT.check()?;
    // podman notices that it lacks one of the others only when the pod is to start.
    ["podman", "runc", "conmon", "catatonit"]
        .iter()
        .try_for_each(|program| answers(program, "--version"))
});

fn answers(program: &str, question: &str) -> Result<(), String> {
    match Command::new(program).arg(question).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program} {question}: {}", output.status)),
        Err(error) => Err(format!("cannot run {program}: {error}")),
    }
}

/// A name and the function that checks it.
type Claim = (&'static str, fn());

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    let nothing_more: &[&'static Capability] = &[];
    for (needs, claims) in [
        (nothing_more, image::CLAIMS),
        (nothing_more, lifetime::CLAIMS),
        (nothing_more, confinement::CLAIMS),
        (nothing_more, jobs::CLAIMS),
        (nothing_more, terminal::CLAIMS),
        (nothing_more, termination_log::CLAIMS),
        (nothing_more, servers::CLAIMS),
        (nothing_more, hangs::CLAIMS),
        (nothing_more, health::CLAIMS),
        (nothing_more, draining::CLAIMS),
        (&[&SECOND_ENGINE], init::CLAIMS),
        (&[&COMPOSE], examples::COMPOSE),
        (&[&PODMAN], examples::KUBERNETES),
    ] {
        for &(name, claim) in claims {
            scenario(name)
                .once()
                .needs(&[&CONTAINERS])
                .needs(needs)
                .run(out, move |_mode| claim());
        }
    }
}

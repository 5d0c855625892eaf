//! Health and readiness: `doc/specification.md#health-and-readiness`.

mod costs;
mod notify;
mod programs;
mod servers;
mod timing;
mod traps;

use libtest_mimic::Trial;

use crate::support::{Frigate, Mode};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    servers::trials(out);
    programs::trials(out);
    notify::trials(out);
    timing::trials(out);
    traps::trials(out);
    costs::trials(out);
}

/// Options that find a hang soon: each check has 300 ms, and two failures in a row are enough.
const SOON: &str =
    "--health-interval=100ms --health-timeout=300ms --health-retries=2 --health-start=0";

/// Checks this target often.
fn checking(mode: Mode, target: &str) -> Frigate {
    Frigate::new(mode)
        .option(format!("--health={target}"))
        .options(SOON)
}

//! Limits (`doc/specification.md#limits`), in the guest: by what they do, not by what files say.

mod effects;
mod life;
mod refusals;

use libtest_mimic::Trial;

use crate::support::cgroup::Site;
use crate::support::{Frigate, Mode};

/// Lists the scenarios.
pub fn trials(out: &mut Vec<Trial>) {
    effects::trials(out);
    life::trials(out);
    refusals::trials(out);
}

/// Returns a frigate that is started in the leaf to which an earlier one has moved itself, because
/// no process can enter the group above any more. `docker exec` does that, or a shell that starts
/// two.
fn from_leaf(site: &Site, options: &str, script: &str) -> Frigate {
    let leaf = site.child("init");
    let line = format!(
        "echo 0 >{}/cgroup.procs && exec \"$UNDER_TEST\" {options} -- \"$SELF\" --puppet '{script}'",
        leaf.path().display()
    );
    Frigate::of_program(Mode::Subreaper, ["/bin/sh"])
        .named_programs()
        .bare_command(["-c", &line])
}

//! Limits (`doc/specification.md#limits`), in the guest. The claims check their effects, not the
//! content of files.

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

/// Returns a frigate that starts in the leaf to which an earlier one has moved itself, because the
/// group above can no longer hold processes. `docker exec` starts one there, and so does a shell
/// that starts two.
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

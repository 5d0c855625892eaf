//! Runs each example to its end.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};

/// Returns the path of an example, which cargo puts into a folder beside this program's.
fn program(name: &str) -> PathBuf {
    let own = crate::support::own_program();
    let target = own
        .parent()
        .and_then(|directory| directory.parent())
        .unwrap_or(&own);
    target.join("examples").join(name)
}

/// Each example, with parts of what it must print.
const ALL: [(&str, &[&str]); 5] = [
    (
        "health",
        &[
            "is ready",
            "is healthy",
            "is unhealthy",
            "no answer within 1 s, 2 times in a row",
            "starting it again",
            "outcome: cancel",
        ],
    ),
    (
        "protect_function",
        &["counted to 3", "panicked at", "outcome: complete"],
    ),
    ("protect_program", &["outcome: cancel", "output: 0 lines"]),
    (
        "small_supervisor",
        &["clock", "flaky", "greeter", "gave-up", "cancel", "complete"],
    ),
    (
        "tokio_host",
        &["the host's own child: exit status: 0", "outcome: cancel"],
    ),
];

pub fn trials(out: &mut Vec<Trial>) {
    out.extend(ALL.map(|(name, expected)| {
        Trial::ignorable_test(format!("examples::{name}"), move || {
            let program = program(name);
            if !program.exists() {
                return Ok(Completion::ignored_with(
                    "it has not been built (cargo build --examples)",
                ));
            }
            let output = Command::new(program)
                .output()
                .map_err(|error| error.to_string())?;
            let output_text =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if output.status.success() && expected.iter().all(|word| output_text.contains(word)) {
                return Ok(Completion::Completed);
            }
            Err(Failed::from(format!("{}\n{output_text}", output.status)))
        })
    }));
}

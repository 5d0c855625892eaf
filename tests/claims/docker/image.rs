//! The project's image.

use std::process::Command;

use serde_json::Value;

use super::Claim;
use super::container::{Container, Engine, images};

pub const CLAIMS: &[Claim] = &[
    (
        "docker::image_holds_one_file_and_nothing_else",
        holds_one_file,
    ),
    ("docker::image_runs_without_any_other_file", runs_alone),
    (
        "docker::copied_frigate_is_the_entrypoint_of_another_image",
        is_an_entrypoint,
    ),
];

fn holds_one_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = directory.path().join("image.tar");
    Engine::default().ok(&[
        "save",
        "--output",
        archive.to_str().expect("UTF-8"),
        &images().project,
    ]);
    let tar = |words: &[&str]| {
        let output = Command::new("tar")
            .current_dir(directory.path())
            .args(words)
            .output()
            .expect("tar is there");
        assert!(
            output.status.success(),
            "tar {words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    tar(&["-xf", "image.tar"]);
    let manifest = std::fs::read(directory.path().join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let layers: Vec<&str> = manifest[0]["Layers"]
        .as_array()
        .expect("layers")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let [layer] = layers[..] else {
        panic!("more layers than one: {layers:?}")
    };
    assert_eq!(tar(&["-tf", layer]), "frigate\n");
    let modes = tar(&["-tvf", layer]);
    assert!(
        modes.starts_with("-rwxr-xr-x "),
        "everybody may run it: {modes}"
    );
}

fn runs_alone() {
    let engine = Engine::default();
    let run = [
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        &images().project,
    ];
    let version = engine.ok(&[&run[..], &["--version"]].concat());
    assert!(version.starts_with("frigate "), "{version}");

    let usage = engine.call(&run);
    assert_eq!(usage.status.code(), Some(125), "{usage:?}");
    let missing = engine.call(&[&run[..], &["--", "no-such-program"]].concat());
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    for refused in [usage, missing] {
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            said.starts_with("frigate: ") && said.lines().count() == 1,
            "one line: {said}"
        );
    }
}

fn is_an_entrypoint() {
    let format = "--format={{json .Config.Entrypoint}}";
    let entrypoint = Engine::default().ok(&["image", "inspect", format, &images().servers]);
    assert_eq!(entrypoint, r#"["frigate","--restart=unexpected","--"]"#);
    let container = Container::start(&[], &["cat", "/proc/1/cmdline"]);
    assert_eq!(container.wait(), 0);
    // frigate shows its state where its arguments were.
    let out = container.logs().out;
    assert!(out.starts_with("frigate: up - 0 cat\0"), "{out}");
}

//! `HEALTHCHECK` with frigate itself, in an image that holds nothing but frigate and a server.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Claim;
use super::container::{Container, Engine, eventually, images};

pub const CLAIMS: &[Claim] = &[
    (
        "docker::image_from_scratch_is_healthy_unhealthy_and_healthy",
        probe,
    ),
    (
        "docker::image_from_scratch_is_healthy_once_it_is_ready",
        status,
    ),
];

/// A confined container: a user that no file knows, and nothing to write to.
const CONFINED: [&str; 4] = [
    "--read-only",
    "--user=12345",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
];

/// An image that is removed when this is dropped.
struct Image(String);

impl Image {
    /// Makes an image with frigate, a static server, options of frigate, and a health check by
    /// frigate with these words.
    #[track_caller]
    fn make(options: &[&str], check: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let entrypoint = [&["/frigate"], options, &["--"]].concat();
        let check = [&["/frigate"], check].concat();
        let directory = tempfile::tempdir().expect("a directory");
        let file = format!(
            "FROM {} AS frigate\nFROM {} AS servers\nFROM scratch\n\
             COPY --from=frigate /frigate /frigate\nCOPY --from=servers /bin/busybox /busybox\n\
             COPY page /page/index.html\nENTRYPOINT {entrypoint:?}\n\
             CMD [\"/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/page\"]\n\
             HEALTHCHECK --interval=500ms --timeout=10s --retries=2 CMD {check:?}\n",
            images().project,
            images().servers
        );
        fs::write(directory.path().join("Dockerfile"), file).expect("a file");
        fs::write(directory.path().join("page"), "page\n").expect("a file");
        let name = format!("frigate-test-{}-scratch-{number}", std::process::id());
        let place = directory.path().to_str().expect("UTF-8");
        Engine::default().ok(&["build", "--quiet", "--tag", &name, place]);
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        Engine::default().call(&["image", "rm", "--no-prune", &self.0]);
    }
}

fn probe() {
    let image = Image::make(
        &["--restart=unexpected"],
        &["--health-timeout=1s", "--probe=http://127.0.0.1:8080/"],
    );
    for options in [&CONFINED[..], &[]] {
        let container = Container::start_on(&Engine::default(), &image.0, options, &[]);
        container.wait_health("healthy");
        let children = container.exec(&["/busybox", "cat", "/proc/1/task/1/children"]);
        let server = children.trim();
        container.exec(&["/busybox", "kill", "-STOP", server]);
        container.wait_health("unhealthy");
        // The engine keeps the line of the probe.
        let line = "frigate: 'http://127.0.0.1:8080/' is unhealthy: no answer within 1 s";
        eventually("the reason", || {
            container.health_log().contains(line).then_some(())
        });
        container.exec(&["/busybox", "kill", "-CONT", server]);
        container.wait_health("healthy");
        assert_eq!(container.stop(), 143);
        let logs = container.logs();
        assert!(logs.messages().is_empty(), "{logs:#?}");
    }
}

fn status() {
    let image = Image::make(
        &["--ready=tcp://127.0.0.1:9090", "--ready-within=0"],
        &["--status"],
    );
    for options in [&CONFINED[..], &[]] {
        let container = Container::start_on(&Engine::default(), &image.0, options, &[]);
        container.wait_health("unhealthy");
        let reports = |line: &str| {
            eventually(line, || container.health_log().contains(line).then_some(()));
        };
        // The engine keeps what `--status` prints.
        reports("frigate: 'busybox' is starting, 0 restarts");
        // It serves one connection, which is the check's.
        container.exec_detached(&[], &["/busybox", "nc", "-l", "-p", "9090"]);
        container.wait_health("healthy");
        reports("frigate: 'busybox' is up, 0 restarts");
        assert_eq!(container.stop(), 143);
        let logs = container.logs();
        assert!(logs.messages().is_empty(), "{logs:#?}");
    }
}

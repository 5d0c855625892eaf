//! The Compose file and the pod manifest of `examples/`, run as they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Claim;
use super::container::{Container, Engine, eventually, images};

pub const COMPOSE: &[Claim] = &[
    (
        "docker::compose_example_serves_survives_a_crash_and_stops",
        compose,
    ),
    (
        "docker::health_example_serves_again_after_a_hang_beside_the_engines_check",
        health,
    ),
    ("docker::examples_with_limits_are_valid", limits),
];
pub const KUBERNETES: &[Claim] = &[("docker::pod_example_serves_survives_a_crash_and_stops", pod)];

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Returns the words before the server's own in the first container of a manifest.
pub fn words_of_pod(path: &str) -> Vec<String> {
    let pod = std::fs::read_to_string(example(path)).expect("the example");
    let command = pod
        .lines()
        .find_map(|line| line.trim().strip_prefix("command: "))
        .expect("a command");
    serde_json::from_str(command).expect("a list of words")
}

/// Ends the main process of nginx from outside.
const CRASH: &str = "kill -KILL $(ps -o pid= --ppid 1 | head -n 1)";
const ASK: &str = "curl --silent --fail localhost:80";

/// A program with the same words before all of its arguments, in every call.
struct Tool {
    program: &'static str,
    before: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Tool {
    fn call(&self, words: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=10", "180", self.program])
            .args(&self.before)
            .args(words);
        command
            .envs(self.environment.iter().cloned())
            .output()
            .expect("timeout is there")
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let output = self.call(words);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{} {words:?}: {}\n{out}{err}",
            self.program,
            output.status
        );
        out.trim_end().to_owned()
    }
}

/// A Compose project of one service `web`. It is taken down, and its image removed, when this is
/// dropped.
struct Project {
    tool: Tool,
    image: String,
    _override: tempfile::TempDir,
}

impl Project {
    /// Prepares the project of a directory of `examples/`. Only a test changes this: images that are
    /// on this machine, a name of its own, no network, and these lines of the service.
    fn of(directory: &str, more: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let other = place.path().join("override.yaml");
        let name = format!("frigate-test-{directory}-{}", std::process::id());
        let image = format!("{name}-web");
        let text_of_override = format!(
            "services:\n  web:\n    image: {image}\n    network_mode: none\n    build:\n      args:\n        \
             FRIGATE: {}\n        NGINX: {}\n{more}",
            images().project,
            images().servers
        );
        std::fs::write(&other, text_of_override).expect("a file");
        let file = example(directory).join("compose.yaml");
        let before = ["-p", &name, "-f", text(&file), "-f", text(&other)];
        let tool = Tool {
            program: "docker-compose",
            before: before.map(str::to_owned).to_vec(),
            environment: vec![
                ("DOCKER_BUILDKIT", "0".to_owned()),
                ("COMPOSE_DOCKER_CLI_BUILD", "0".to_owned()),
            ],
        };
        tool.ok(&["config", "--quiet"]);
        Self {
            tool,
            image,
            _override: place,
        }
    }

    /// Starts it. Returns the container's id.
    fn up(&self) -> String {
        self.tool.ok(&["up", "--build", "--detach"]);
        self.tool.ok(&["ps", "--quiet", "web"])
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.tool.call(&["down", "--volumes", "--timeout=1"]);
        Engine::default().call(&["image", "rm", "--no-prune", &self.image]);
    }
}

fn compose() {
    let project = Project::of("compose", "");
    let id = project.up();
    let engine = Engine::default();
    let ask = || {
        engine
            .call(&["exec", &id, "sh", "-c", ASK])
            .status
            .success()
            .then_some(())
    };
    eventually("the first answer", ask);
    engine.ok(&["exec", &id, "sh", "-c", CRASH]);
    let log = || String::from_utf8(engine.call(&["logs", &id]).stderr).expect("UTF-8");
    eventually("the restart, as JSON", || {
        log().contains("\"event\":\"restart").then_some(())
    });
    eventually("the next answer", ask);
    project.tool.ok(&["stop"]);
    assert_eq!(
        engine.ok(&["inspect", "--format={{.State.ExitCode}}", &id]),
        "0",
        "{}",
        log()
    );
}

/// Hangs nginx. Both healers find it: frigate restarts it, and the engine marks the container.
fn health() {
    let project = Project::of(
        "health",
        "    environment:\n      FRIGATE_INIT_VERBOSE: 1\n      FRIGATE_INIT_HEALTH_INTERVAL: 2s\n      FRIGATE_INIT_HEALTH_TIMEOUT: 1s\n    \
         healthcheck:\n      interval: 500ms\n      timeout: 1s\n      retries: 2\n",
    );
    let id = project.up();
    let engine = Engine::default();
    let health = |state: &str| {
        eventually(&format!("the engine finds it {state}"), || {
            let format = "--format={{.State.Health.Status}}";
            (engine.ok(&["inspect", format, &id]) == state).then_some(())
        });
    };
    let log = || String::from_utf8(engine.call(&["logs", &id]).stderr).expect("UTF-8");
    eventually("a successful check of each healer", || {
        log().contains("is healthy").then_some(())
    });
    health("healthy");
    // This is the command that the example names.
    let stop = "kill -STOP $(cat /proc/$(cat /run/nginx.pid)/task/*/children)";
    engine.ok(&["exec", &id, "sh", "-c", stop]);
    health("unhealthy");
    eventually("the restart", || {
        log().contains("; starting it again").then_some(())
    });
    health("healthy");
    // One restart is enough, and the engine made none.
    let count = engine.ok(&["inspect", "--format={{.RestartCount}}", &id]);
    let text = log();
    assert_eq!(
        (count.as_str(), text.matches("is unhealthy").count()),
        ("0", 1),
        "{text}"
    );
    project.tool.ok(&["stop"]);
    assert_eq!(
        engine.ok(&["inspect", "--format={{.State.ExitCode}}", &id]),
        "0",
        "{}",
        log()
    );
}

/// Checks that frigate accepts every word of the example. An engine whose own cgroups are of
/// version 1 cannot run it.
fn limits() {
    let file = std::fs::read_to_string(example("limits/compose.yaml")).expect("the example");
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("limits/compose.yaml");
    std::fs::create_dir(directory.path().join("limits")).expect("a directory");
    std::os::unix::fs::symlink(example("compose"), directory.path().join("compose"))
        .expect("a link");
    // Versions of Compose before 2 know neither this line, which only states the default, nor the
    // other way to build.
    std::fs::write(&copy, file.replace("    cgroup: private\n", "")).expect("a file");
    let before = ["-f", text(&copy)].map(str::to_owned).to_vec();
    let tool = Tool {
        program: "docker-compose",
        before,
        environment: Vec::new(),
    };
    let config = tool.ok(&["config"]);
    let variables: Vec<(&str, &str)> = config
        .lines()
        .filter_map(|line| {
            line.trim()
                .split_once(": ")
                .filter(|(name, _)| name.starts_with("FRIGATE_INIT_"))
        })
        .map(|(name, value)| (name, value.trim_matches(['\'', '"'])))
        .collect();
    assert!(variables.len() >= 3, "{config}");
    let words = words_of_pod("limits/pod.yaml");
    let mut binary = crate::support::frigate::binary().into_iter();
    let mut run = Command::new(binary.next().expect("a program"));
    run.args(binary)
        .args(["--cgroup-best-effort", "-q"])
        .args(words.get(1..words.len() - 1).expect("options"));
    let output = run
        .envs(variables)
        .arg("true")
        .output()
        .expect("frigate runs");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..]),
        "{output:?}"
    );
}

/// A pod. It is taken down when this is dropped.
struct Pod {
    podman: Tool,
    manifest: PathBuf,
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.podman
            .call(&["play", "kube", "--down", text(&self.manifest)]);
        self.podman.call(&["rm", "--all", "--force", "--time=0"]);
        self.podman.call(&["rmi", "--all", "--force"]);
        // podman leaves its empty groups. A group that holds processes cannot be removed.
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
        {
            let parent = hierarchy.path().join("libpod_parent");
            let groups = std::fs::read_dir(&parent)
                .into_iter()
                .flatten()
                .flatten()
                .map(|group| group.path());
            for group in groups.chain([parent.clone()]) {
                let _kept = std::fs::remove_dir(group);
            }
        }
    }
}

fn pod() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| text(&directory.path().join(name)).to_owned();
    // Use limits that this process may set and a runtime that accepts the older cgroups, and write
    // nothing outside the directory.
    let configuration = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nnetns = \"none\"\n\
                         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n";
    std::fs::write(path("containers.conf"), configuration).expect("a file");
    let before = [
        "--root",
        &path("root"),
        "--runroot",
        &path("run"),
        "--tmpdir",
        &path("tmp"),
        "--storage-driver",
        "vfs",
    ];
    let podman = Tool {
        program: "podman",
        before: before.map(str::to_owned).to_vec(),
        environment: vec![("CONTAINERS_CONF", path("containers.conf"))],
    };

    // Pack nginx and the files that it needs, without the rest of its image, because podman would
    // copy all of that for each layer.
    let pack = "set -e; f() { command -v $1; ldd $(command -v $1) | grep -o '/[^ ]*'; }; \
                { for p in nginx curl ps sh head; do f $p; done; echo /usr/local/bin/frigate; } | sort -u | \
                tar -ch -T - /etc/nginx /usr/share/nginx /var/log/nginx /var/lib/nginx /var/www \
                /etc/passwd /etc/group /etc/nsswitch.conf";
    let donor = Container::start(
        &["--entrypoint=bash"],
        &["-c", &format!("({pack}) >/tmp/image.tar")],
    );
    assert_eq!(donor.wait(), 0, "{:#?}", donor.logs());
    Engine::default().ok(&[
        "cp",
        &format!("{}:/tmp/image.tar", donor.name),
        &path("image.tar"),
    ]);
    let search = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    podman.ok(&[
        "import",
        "--quiet",
        "--change",
        search,
        &path("image.tar"),
        "localhost/web-behind-frigate:latest",
    ]);

    let pod = Pod {
        podman,
        manifest: example("kubernetes/pod.yaml"),
    };
    let podman = &pod.podman;
    podman.ok(&["play", "kube", "--network=none", text(&pod.manifest)]);
    let ask = || {
        podman
            .call(&["exec", "web-web", "sh", "-c", ASK])
            .status
            .success()
            .then_some(())
    };
    eventually("the first answer", ask);
    podman.ok(&["exec", "web-web", "sh", "-c", CRASH]);
    let log = || {
        let logs = podman.call(&["logs", "web-web"]);
        String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned()
    };
    eventually("the restart, as JSON", || {
        log().contains("\"event\":\"restart").then_some(())
    });
    eventually("the next answer", ask);
    podman.ok(&["stop", "--time=60", "web-web"]);
    assert_eq!(
        podman.ok(&["inspect", "--format={{.State.ExitCode}}", "web-web"]),
        "0",
        "{}",
        log()
    );
}

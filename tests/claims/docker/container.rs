//! An engine, its images, and one container of a trial.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::eventually_within;

/// How long a container may take to do anything. An engine that starts six containers at once on a
/// loaded machine is slow, and only a trial that hangs should fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// Replaces the image's entrypoint in a trial that gives options of its own.
pub const BARE: &str = "--entrypoint=frigate";

/// Returns the path of a file of `tests/docker`.
pub fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "docker", name]
        .iter()
        .collect()
}

/// The images of this run.
pub struct Images {
    /// The project's own image, which holds one file.
    pub project: String,
    /// The servers, with frigate copied out of the project's image.
    pub servers: String,
}

/// Makes the images when the first trial asks for them.
#[track_caller]
pub fn images() -> &'static Images {
    static IMAGES: OnceLock<Result<Images, String>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        let made = Command::new(script("images"))
            .output()
            .map_err(|error| error.to_string())?;
        let names = String::from_utf8_lossy(&made.stdout);
        match names.lines().collect::<Vec<_>>()[..] {
            [project, servers] if made.status.success() => Ok(Images {
                project: project.to_owned(),
                servers: servers.to_owned(),
            }),
            _ => Err(format!(
                "{}\n{}",
                made.status,
                String::from_utf8_lossy(&made.stderr)
            )),
        }
    });
    images
        .as_ref()
        .unwrap_or_else(|error| panic!("no images: {error}"))
}

/// Polls until the condition returns a value. Does so less often than elsewhere, because each poll
/// runs the engine's client, and for longer.
#[track_caller]
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, Duration::from_millis(50), what, condition)
}

/// A Docker engine, by its address.
#[derive(Clone, Default)]
pub struct Engine {
    /// `None` means the machine's own engine.
    pub host: Option<String>,
}

impl Engine {
    /// Returns the client with these words, ready to be started.
    pub fn command(&self, words: &[&str]) -> Command {
        // No call here takes as long as this. A client that waited in vain for an engine would hold
        // up the whole run.
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", "--kill-after=10", "180", "docker"])
            .args(words);
        command.envs(self.host.iter().map(|host| ("DOCKER_HOST", host)));
        command
    }

    /// Runs the client to its end.
    pub fn call(&self, words: &[&str]) -> Output {
        self.command(words)
            .output()
            .expect("timeout and docker are there")
    }

    /// Runs the client, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.call(words);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "docker {}: {}\n{out}{err}",
            words.join(" "),
            output.status
        );
        out.trim_end().to_owned()
    }
}

/// What a container wrote.
#[derive(Debug)]
pub struct Logs {
    pub out: String,
    pub err: String,
}

impl Logs {
    /// Returns frigate's messages.
    pub fn messages(&self) -> Vec<&str> {
        self.err
            .lines()
            .filter(|line| line.starts_with("frigate: "))
            .collect()
    }
}

/// A container of one trial. It is removed when this is dropped.
pub struct Container {
    engine: Engine,
    pub name: String,
}

impl Container {
    /// Starts the image with the servers: the engine's options, then the words after the image's
    /// name.
    #[track_caller]
    pub fn start(options: &[&str], words: &[&str]) -> Self {
        Self::start_on(&Engine::default(), &images().servers, options, words)
    }

    /// Starts an image on an engine.
    #[track_caller]
    pub fn start_on(engine: &Engine, image: &str, options: &[&str], words: &[&str]) -> Self {
        let container = Self::unstarted(engine);
        let fixed = ["run", "--detach", "--name", &container.name];
        // Use a network that leads nowhere, unless the trial names another one.
        let network: &[&str] = if options.iter().any(|option| option.starts_with("--network")) {
            &[]
        } else {
            &["--network=none"]
        };
        engine.ok(&[&fixed, network, options, &[image], words].concat());
        container
    }

    /// Returns a name for a client's call that need not make a container.
    pub fn unstarted(engine: &Engine) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            engine: engine.clone(),
            name: format!("frigate-test-{}-{number}", std::process::id()),
        }
    }

    /// Runs a program in the container, which must succeed. Returns what it printed.
    #[track_caller]
    pub fn exec(&self, words: &[&str]) -> String {
        self.engine.ok(&[&["exec", &self.name], words].concat())
    }

    /// Runs a program in the container, and leaves it running.
    #[track_caller]
    pub fn exec_detached(&self, options: &[&str], words: &[&str]) {
        self.engine
            .ok(&[&["exec", "--detach"], options, &[&self.name], words].concat());
    }

    /// Runs a program in the container that may fail.
    pub fn try_exec(&self, words: &[&str]) -> Option<String> {
        let output = self.engine.call(&[&["exec", &self.name], words].concat());
        output.status.success().then(|| {
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()
        })
    }

    /// Returns the pid, inside the container, of the protected child: the one child of PID 1 except
    /// for orphans.
    #[track_caller]
    pub fn child(&self) -> String {
        eventually("one child of PID 1", || {
            let children = self.try_exec(&["ps", "-o", "pid=", "--ppid", "1"])?;
            let mut children = children.split_whitespace();
            let child = children.next()?.to_owned();
            children.next().is_none().then_some(child)
        })
    }

    /// Returns what the container has written so far.
    #[track_caller]
    pub fn logs(&self) -> Logs {
        let output = self.engine.call(&["logs", &self.name]);
        assert!(
            output.status.success(),
            "no logs of {}: {}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Logs {
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Waits until the container has written this.
    #[track_caller]
    pub fn wait_log(&self, text: &str) {
        eventually(&format!("{text:?} in the logs"), || {
            let Logs { out, err } = self.logs();
            (out.contains(text) || err.contains(text)).then_some(())
        });
    }

    /// Waits for the container's end. Returns its exit code.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        self.engine
            .ok(&["wait", &self.name])
            .parse()
            .expect("docker wait prints the exit code")
    }

    /// Sends the container a signal, by name.
    #[track_caller]
    pub fn kill(&self, signal: &str) {
        self.engine.ok(&["kill", "--signal", signal, &self.name]);
    }

    /// Stops the container as `docker stop` does. Returns its exit code. The engine waits longer
    /// than frigate, so that frigate always ends the container, and never the engine.
    #[track_caller]
    pub fn stop(&self) -> i32 {
        self.engine.ok(&["stop", "--time", "100", &self.name]);
        self.wait()
    }

    /// Freezes the container, frigate and its child alike.
    #[track_caller]
    pub fn pause(&self) {
        self.engine.ok(&["pause", &self.name]);
    }

    /// Lets a frozen container go on.
    #[track_caller]
    pub fn unpause(&self) {
        self.engine.ok(&["unpause", &self.name]);
    }

    /// Waits until the engine's own health check says this of the container.
    #[track_caller]
    pub fn wait_health(&self, state: &str) {
        let format = "--format={{.State.Health.Status}}";
        eventually(&format!("the container is {state}"), || {
            (self.engine.ok(&["inspect", format, &self.name]) == state).then_some(())
        });
    }

    /// Returns what the engine's own health checks have printed of late.
    #[track_caller]
    pub fn health_log(&self) -> String {
        let format = "--format={{range .State.Health.Log}}{{.Output}}{{end}}";
        self.engine.ok(&["inspect", format, &self.name])
    }

    /// Starts the container once more, after its end.
    #[track_caller]
    pub fn start_again(&self) {
        self.engine.ok(&["start", &self.name]);
    }

    /// Returns everything that helps to understand a failure.
    fn describe(&self) -> String {
        let mut text = format!("--- container {}", self.name);
        for words in [
            &["inspect", "--format={{json .State}}"][..],
            &["top"],
            &["logs"],
        ] {
            let output = self.engine.call(&[words, &[&self.name]].concat());
            let (out, err) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            let _infallible = write!(text, "\n--- {}:\n{out}{err}", words.join(" "));
        }
        text
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.describe());
        }
        // If a trial only used the name, there is nothing to remove, and that is no failure.
        self.engine
            .call(&["rm", "--force", "--volumes", &self.name]);
    }
}

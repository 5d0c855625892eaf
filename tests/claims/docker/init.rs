//! frigate as the engine's own init: a second engine, whose `--init-path` is the file from the
//! project's image.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::Claim;
use super::container::{Container, Engine, eventually, images};
use crate::support::sys;

pub const CLAIMS: &[Claim] = &[
    (
        "docker::engine_takes_frigate_for_its_init_and_passes_exit_codes",
        exit_codes,
    ),
    (
        "docker::engines_init_reaps_forwards_and_stops",
        reaps_and_stops,
    ),
    (
        "docker::engines_init_is_told_by_the_environment_to_restart",
        restarts,
    ),
];

/// The name of the image that holds nothing but busybox, in the second engine.
const BUSYBOX: &str = "busybox";

/// A second engine. Its data, its state, its socket and its network are its own. It has no bridge
/// and no packet filter.
struct Second {
    engine: Engine,
    daemon: Child,
    directory: TempDir,
}

impl Second {
    fn start() -> Self {
        let first = Engine::default();
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| {
            directory
                .path()
                .join(name)
                .to_str()
                .expect("UTF-8")
                .to_owned()
        };

        let donor = Container::unstarted(&first);
        first.ok(&["create", "--name", &donor.name, &images().project]);
        first.ok(&["cp", &format!("{}:/frigate", donor.name), &path("frigate")]);

        let host = format!("unix://{}", path("socket"));
        let log = File::create(path("log")).expect("a log");
        // The machine's own configuration belongs to the machine's own engine.
        std::fs::write(path("configuration"), "{}").expect("a file");
        // Use a network namespace of its own: an engine without a bridge removes the bridge that it
        // finds, and that one is the first engine's.
        let daemon = Command::new("unshare")
            .args([
                "--net",
                "dockerd",
                "--host",
                &host,
                "--data-root",
                &path("data"),
                "--exec-root",
                &path("exec"),
            ])
            .args([
                "--pidfile",
                &path("pid"),
                "--init-path",
                &path("frigate"),
                "--storage-driver=vfs",
                "--bridge=none",
            ])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ])
            .args([
                "--exec-opt",
                "native.cgroupdriver=cgroupfs",
                "--config-file",
                &path("configuration"),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a copy"))
            .stderr(log)
            .spawn()
            .expect("unshare is there");
        let archive = path("busybox.tar");
        let mut second = Self {
            engine: Engine { host: Some(host) },
            daemon,
            directory,
        };
        eventually("an answer of the second engine", || {
            assert!(
                second.daemon.try_wait().expect("a child").is_none(),
                "dockerd ended early"
            );
            second
                .engine
                .call(&["version"])
                .status
                .success()
                .then_some(())
        });
        second.import(&first, Path::new(&archive));
        second
    }

    /// Imports busybox from a file. It is static and needs nothing else.
    fn import(&self, from: &Engine, file: &Path) {
        let pack = [
            "run",
            "--rm",
            "--network=none",
            "--entrypoint=tar",
            &images().servers,
            "-c",
            "-C",
            "/",
            "bin/busybox",
        ];
        let status = from
            .command(&pack)
            .stdout(File::create(file).expect("a file"))
            .status()
            .expect("docker is there");
        assert!(
            status.success(),
            "cannot take busybox out of the image: {status}"
        );
        self.engine
            .ok(&["import", file.to_str().expect("UTF-8"), BUSYBOX]);
    }

    fn run(&self, options: &[&str], script: &str) -> Container {
        let options = [&["--init"], options].concat();
        Container::start_on(
            &self.engine,
            BUSYBOX,
            &options,
            &["busybox", "sh", "-c", script],
        )
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log =
                std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            eprintln!("--- dockerd:\n{log}");
        }
        // Send TERM and not KILL: it ends its containers and unmounts its file systems.
        let pid = i32::try_from(self.daemon.id()).expect("a pid");
        if sys::kill(pid, libc::SIGTERM).is_ok() {
            let _gone = self.daemon.wait();
        }
    }
}

fn exit_codes() {
    let second = Second::start();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        let container = second.run(&[], script);
        assert_eq!(container.wait(), code, "{script}");
        assert_eq!(container.logs().err, "", "{script}");
    }
    // It has the name that the engine gives its init, and shows its state where its arguments were.
    let script = "busybox cat /proc/1/comm; busybox tr '\\0' ' ' </proc/1/cmdline";
    let container = second.run(&[], script);
    assert_eq!(container.wait(), 0);
    let out = container.logs().out;
    assert!(
        out.starts_with("docker-init\nfrigate: up - 0 busybox "),
        "{out}"
    );
}

fn reaps_and_stops() {
    let second = Second::start();
    let script = "trap 'echo hup' HUP; trap 'echo bye; exit 5' TERM; i=0; \
                  while [ $i -lt 50 ]; do (busybox sleep 0.1 &); i=$((i + 1)); done; echo ready; \
                  while :; do busybox sleep 0.1; done";
    let container = second.run(&[], script);
    container.wait_log("ready");
    eventually("no orphan and no zombie", || {
        let states = container.try_exec(&["busybox", "ps", "-o", "stat,args"])?;
        // The script itself starts `sleep` again and again.
        let asleep = states
            .lines()
            .filter(|line| line.ends_with("    busybox sleep 0.1"))
            .count();
        (!states.lines().any(|line| line.starts_with('Z')) && asleep <= 1).then_some(())
    });
    container.kill("HUP");
    container.wait_log("hup");
    assert_eq!(container.stop(), 5);
    let logs = container.logs();
    assert!(
        logs.messages().is_empty() && logs.out == "ready\nhup\nbye\n",
        "{logs:#?}"
    );
}

fn restarts() {
    let second = Second::start();
    let script = "echo start $FRIGATE_RESTARTS; [ $FRIGATE_RESTARTS = 1 ] || kill -SEGV $$";
    let container = second.run(
        &[
            "--env=FRIGATE_INIT_RESTART=unexpected",
            "--env=FRIGATE_INIT_BACKOFF=10ms",
        ],
        script,
    );
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    assert_eq!(logs.out, "start 0\nstart 1\n");
    assert_eq!(logs.messages().len(), 1, "{logs:#?}");
}
